"""A service to deploy: it says which revision it is."""

import http.server
import os
import pathlib

import greeting  # from wheels/

REVISION = pathlib.Path("revision").read_text()  # which post-sync wrote


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/health":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{greeting.HELLO} {REVISION}".encode())


if __name__ == "__main__":
    address = ("127.0.0.1", int(os.environ.get("PORT", "8082")))
    http.server.ThreadingHTTPServer(address, Handler).serve_forever()
