package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/revision"
)

// A check that could not be started says nothing about the revision.
func TestBrokenDiskRejectsNoRevision(t *testing.T) {
	p := newPackage(t)
	from, to := letter(t, "a"), letter(t, "b")
	st := &state{Format: stateFormat, Ready: map[revision.Revision]ready{from: {}, to: {}}}
	for _, r := range []revision.Revision{from, to} {
		dir := filepath.Join(p.revisionDir(r), "ftl")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "check"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	broken := &fs.PathError{Op: "open", Path: "log", Err: unix.EROFS}
	for name, after := range map[string]func(*state, error) error{"post-jump": p.afterPostJump, "check": p.afterCheck} {
		st.Jump = &flight{To: to, From: from, Phase: phaseCheck}
		if err := after(st, broken); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s: got %v, want the disk's error", name, err)
		}
		if len(st.Rejected) > 0 || st.Jump == nil || st.Jump.Phase == phaseRevertUnJump {
			t.Errorf("%s: the revision was rejected", name)
		}
	}
	if err := p.giveUp(st, broken); !errors.Is(err, unix.EROFS) || st.Inconsistent != "" {
		t.Errorf("got %v, and the package is inconsistent: %q", err, st.Inconsistent)
	}
}
