package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rhettg/ftl/ftl/host/tree"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/revision"
)

// A check that could not be started says nothing about the revision.
func TestBrokenDiskRejectsNoRevision(t *testing.T) {
	p := newPackage(t)
	from, to := letter(t, "a"), letter(t, "b")
	l := lockPackage(t, p)
	st := l.State
	st.Ready = map[revision.Revision]tree.Ready{from: {}, to: {}}
	for _, r := range []revision.Revision{from, to} {
		dir := filepath.Join(p.RevisionDir(r), "ftl")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "check"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	broken := &fs.PathError{Op: "open", Path: "log", Err: unix.EROFS}
	for phase, r := range rules {
		if r.hook == "" || r.failure == dropsJump {
			continue
		}
		st.Jump = &tree.Transition{To: to, From: from, Phase: phase}
		if r.goesOnAfter(broken) {
			t.Errorf("%s: the jump goes on", phase)
		}
		if err := l.fail(t.Context(), r, broken); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s: got %v, want the disk's error", phase, err)
		}
		if len(st.Rejected) > 0 || st.Inconsistent != "" || st.Jump == nil || rules[st.Jump.Phase].back != r.back {
			t.Errorf("%s: the revision was held responsible", phase)
		}
	}
}
