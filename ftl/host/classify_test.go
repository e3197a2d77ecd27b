package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
)

// What an error is decides whether a jump is turned back, tried again or left as it is.
func TestWhatAnErrorOfAHookMeans(t *testing.T) {
	exit := func(name ftl.Step, code int) error { return &hooks.ExitError{Hook: hooks.Name(name), Code: code} }
	failed := func(err error) error { return &ftl.Error{Kind: ftl.HookFailed, Err: err} }
	tests := []struct {
		name                              string
		err                               error
		failed, interrupted, disk, notNow bool
	}{
		{name: "none"},
		{name: "a hook that exits with 1", err: failed(exit(ftl.PreJump, 1)), failed: true},
		{name: "not now", err: failed(exit(ftl.PreJump, hooks.NotNow)), failed: true, notNow: true},
		{name: "not now, of another hook", err: failed(exit(ftl.PostJump, hooks.NotNow)), failed: true},
		{name: "not now, at the time-out", err: failed(&hooks.ExitError{Hook: hooks.PreJump, Code: hooks.NotNow, TimedOut: true}), failed: true},
		{name: "turned back", err: &ftl.Error{Kind: ftl.RolledBack, Err: errors.New("it was rejected")}, failed: true},
		{name: "interrupted", err: fmt.Errorf("run: %w", context.Canceled), interrupted: true},
		{name: "no space", err: &fs.PathError{Op: "open", Path: "log", Err: unix.ENOSPC}, disk: true},
		{name: "no quota", err: unix.EDQUOT, disk: true},
		{name: "a broken disk", err: fmt.Errorf("record: %w", unix.EIO), disk: true},
		{name: "a read-only disk", err: unix.EROFS, disk: true},
		{name: "anything else", err: fs.ErrPermission},
	}
	for _, test := range tests {
		for _, asked := range []struct {
			what      string
			got, want bool
		}{
			{"a hook failed", hookFailed(test.err), test.failed},
			{"interrupted", interrupted(test.err), test.interrupted},
			{"the disk failed", diskFailed(test.err), test.disk},
			{"not now", notNow(test.err), test.notNow},
		} {
			if asked.got != asked.want {
				t.Errorf("%s: %s: got %v", test.name, asked.what, asked.got)
			}
		}
	}
}

// A node waits for the same part of the splay each time, and nodes differ.
func TestSplay(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for _, node := range []string{"web1", "web2", "web3", "web4"} {
		h := &Host{Node: node}
		got := h.splayed(time.Hour)
		if got < 0 || got >= time.Hour || got != h.splayed(time.Hour) {
			t.Errorf("%s: got %v, then %v, want the same below an hour", node, got, h.splayed(time.Hour))
		}
		seen[got] = true
	}
	if len(seen) < 4 {
		t.Errorf("four nodes come at %d times", len(seen))
	}
}

func TestSplayEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := &Host{Node: "web1"}
	if err := h.waitSplay(ctx, 24*time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if err := h.waitSplay(ctx, 0); err != nil {
		t.Errorf("without one: %v", err)
	}
}
