package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
)

func TestIsLocal(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:8300": true, "[::1]:80": true, "localhost:1": true, "unix:/run/x": true, "127.9.9.9:1": true,
		":8300": false, "0.0.0.0:8300": false, "[::]:80": false, "10.0.0.1:80": false, "example.org:80": false, "8300": false, "": false,
	} {
		if got := IsLocal(address); got != want {
			t.Errorf("%q: got %v", address, got)
		}
	}
}

// A socket that was left behind is replaced, one that is in use is not.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	first, err := Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("got %v, %v", info, err)
	}
	if second, err := Listen(t.Context(), "unix:"+path); err == nil {
		second.Close()
		t.Error("a socket in use was replaced")
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false)
	first.Close()
	third, err := Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	third.Close()
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), "unix:"+path); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}

// certificate writes a pair of files for a name.
func certificate(t *testing.T, c *Certificate, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	text, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{c.CertFile: {Type: "CERTIFICATE", Bytes: text}, c.KeyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		temp := file + ".new"
		if err := os.WriteFile(temp, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temp, file); err != nil {
			t.Fatal(err)
		}
	}
}

// served runs a server until the test ends it.
func served(t *testing.T, r stage, c *Certificate) (address string, end func() error) {
	t.Helper()
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, listener, c) }()
	return listener.Addr().String(), func() error { cancel(); return <-ended }
}

func unserved(t *testing.T) stage {
	t.Helper()
	r := start(t, Config{})
	s, err := New(Config{Bucket: r.bucket})
	if err != nil {
		t.Fatal(err)
	}
	return stage{s, nil, r.bucket}
}

// A certificate that was renewed is used from then on, and one that makes no sense is not.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	c := &Certificate{CertFile: filepath.Join(dir, "crt"), KeyFile: filepath.Join(dir, "key")}
	if _, err := c.Load(); err == nil {
		t.Error("there is none, and that is no error")
	}
	certificate(t, c, "one.example.org")
	address, end := served(t, unserved(t), c)
	name := func() string {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	if got := name(); got != "one.example.org" {
		t.Errorf("got %s", got)
	}
	if err := os.WriteFile(c.KeyFile, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "one.example.org" {
		t.Errorf("while it is being written: got %s", got)
	}
	certificate(t, c, "two.example.org")
	if got := name(); got != "two.example.org" {
		t.Errorf("after it was renewed: got %s", got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// A server that is told to end does not wait for those who follow, and answers nobody any more.
func TestEnd(t *testing.T) {
	r := unserved(t)
	address, end := served(t, r, nil)
	r.report(t, "web-1", ftl.OK)
	response, err := http.Get("http://" + address + "/events?page=/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := end(); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Errorf("the stream did not end in order: %v", err)
	}
	if _, err := http.Get("http://" + address + "/"); err == nil {
		t.Error("it still answers")
	}
}

// Who begins a request and does not go on keeps nobody else waiting, and is not waited for.
func TestSlowClients(t *testing.T) {
	r := unserved(t)
	address, end := served(t, r, nil)
	for range 50 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: local")
	}
	response, err := http.Get("http://" + address + "/")
	if err != nil || response.StatusCode != 200 {
		t.Errorf("got %v, %v", response, err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}
