package archive

import (
	"bytes"
	"io/fs"
	"os"
	"strconv"
)

// readUmask returns the process's umask without setting it, which would be seen by every goroutine.
// All bits are set when the kernel does not tell.
func readUmask() fs.FileMode {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fs.ModePerm
	}
	_, rest, found := bytes.Cut(status, []byte("\nUmask:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	mask, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 8, 32)
	if !found || err != nil {
		return fs.ModePerm
	}
	return fs.FileMode(mask) & fs.ModePerm
}
