package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What can't be started is known without starting it.
func TestCheck(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "ours"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"#!/bin/sh\nexit 1\n":               "",
		"exit 1\n":                          "", // the shell runs it
		"#!/no/such/shell\n":                "its interpreter /no/such/shell",
		"#!/bin/sh\r\n":                     "CR LF",
		"#!/usr/bin/env ours\n":             "",
		"#!/usr/bin/env nobody-has-this\n":  "its interpreter nobody-has-this is not in PATH",
		"#!/usr/bin/env -S nobody-has-it\n": "", // which is not looked into
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "ftl"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "ftl/check"), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		revision, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer revision.Close()
		script, err := Find(revision, Check)
		if err != nil {
			t.Fatal(err)
		}
		got := script.Check(bin)
		if (got == nil) != (want == "") || got != nil && !strings.Contains(got.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, got, want)
		}
	}
}
