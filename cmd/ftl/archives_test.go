package main

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"
)

// archiveFile is the command archive FILE [ENTRY...]. It writes a tar, also one
// that no tar program would write, and compresses it as the file's extension
// says. An entry ends as "ls -F" would mark it: dir/, script*, fifo| and
// link@target; device% is one. Everything else is a file that holds its own
// name.
func archiveFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: archive FILE [ENTRY...]")
	}
	writeCompressed(ts, args[0], func(w io.Writer) {
		archive := tar.NewWriter(w)
		for _, arg := range args[1:] {
			header, content := tarEntry(arg)
			ts.Check(archive.WriteHeader(&header))
			_, err := io.WriteString(archive, content)
			ts.Check(err)
		}
		ts.Check(archive.Close())
	})
}

func tarEntry(arg string) (header tar.Header, content string) {
	header = tar.Header{Name: strings.TrimRight(arg, "*|%"), Mode: 0o644, ModTime: time.Unix(1_700_000_000, 0)}
	name, target, link := strings.Cut(arg, "@")
	switch {
	case link:
		header.Typeflag, header.Name, header.Linkname = tar.TypeSymlink, name, target
		return header, ""
	case strings.HasSuffix(arg, "/"):
		header.Typeflag, header.Mode = tar.TypeDir, 0o755
		return header, ""
	case strings.HasSuffix(arg, "|"):
		header.Typeflag = tar.TypeFifo
		return header, ""
	case strings.HasSuffix(arg, "%"):
		header.Typeflag = tar.TypeChar
		return header, ""
	case strings.HasSuffix(arg, "*"):
		header.Mode = 0o755
		content = "#!/bin/sh\n"
	default:
		content = header.Name + "\n"
	}
	header.Typeflag, header.Size = tar.TypeReg, int64(len(content))
	return header, content
}

// compress FILE SOURCE writes a compressed copy of a file, as the extension of
// its name says.
func compress(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: compress FILE SOURCE")
	}
	writeCompressed(ts, args[0], func(w io.Writer) {
		_, err := io.WriteString(w, ts.ReadFile(args[1]))
		ts.Check(err)
	})
}

func writeCompressed(ts *testscript.TestScript, name string, write func(io.Writer)) {
	f, err := os.Create(ts.MkAbs(name))
	ts.Check(err)
	defer f.Close()
	switch name := strings.ToLower(name); {
	case strings.HasSuffix(name, "gz"):
		z := gzip.NewWriter(f)
		write(z)
		ts.Check(z.Close())
	case strings.HasSuffix(name, "zst"):
		z, err := zstd.NewWriter(f)
		ts.Check(err)
		write(z)
		ts.Check(z.Close())
	default:
		write(f)
	}
	ts.Check(f.Close())
}
