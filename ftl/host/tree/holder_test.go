package tree

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
)

func TestWhoIsAtWork(t *testing.T) {
	alive := startProcess(t)
	gone := alive
	gone.Start++ // another process had this pid
	hook := func(of hooks.Process) *RunningHook {
		return &RunningHook{Process: of, Name: ftl.UnJump, Revision: letter(t, "a"), Since: time.Now()}
	}
	tests := []struct {
		name   string
		record Holder
		want   string // "" is nobody
	}{
		{"no record", Holder{}, ""},
		{"a holder", Holder{Process: alive, Command: "ftl jump x", Since: time.Now()}, `^another ftl is at work on pkg: "ftl jump x", pid \d+, for \d+s$`},
		{"in a hook", Holder{Process: alive, Command: "ftl sync", Since: time.Now(), Hook: hook(alive)}, `, in un-jump of pkg.a \(pid \d+\) for \d+s$`},
		{"one that has given it back", Holder{Process: alive, Command: "ftl sync", Since: time.Now(), Released: true}, ""},
		{"one that died", Holder{Process: gone, Command: "ftl sync", Since: time.Now()}, ""},
		{"one that died in a hook that lives", Holder{Process: gone, Hook: hook(alive)}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPackage(t)
			record(t, p, test.record)
			got, busy := p.AtWork(ChangeLock)
			if busy != (test.want != "") || !regexp.MustCompile(test.want).MatchString(got) {
				t.Errorf("got %q, %v, want %q", got, busy, test.want)
			}
			err := p.busy(ChangeLock)
			if failure, ok := errors.AsType[*ftl.Error](err); !ok || failure.Kind != ftl.Busy || !strings.Contains(err.Error(), "another ftl is at work on pkg") {
				t.Errorf("busy: got %v", err)
			}
		})
	}
}

// A sync that jumps holds both locks, and its hook is on the record of the other one.
func TestHookOfASyncThatJumps(t *testing.T) {
	alive, other := startProcess(t), startProcess(t)
	hook := &RunningHook{Process: other, Name: ftl.PreJump, Revision: letter(t, "a"), Since: time.Now()}
	for _, test := range []struct {
		name   string
		change Holder
		want   bool
	}{
		{"its own", Holder{Process: alive, Hook: hook}, true},
		{"that of somebody else", Holder{Process: other, Hook: hook}, false},
		{"none", Holder{Process: alive}, false},
	} {
		p := newPackage(t)
		record(t, p, test.change)
		data, err := json.Marshal(Holder{Process: alive, Command: "ftl sync", Since: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.Dir, SyncLock.Record), data, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, _ := p.AtWork(SyncLock); strings.Contains(got, "in pre-jump") != test.want {
			t.Errorf("%s: got %q", test.name, got)
		}
	}
}

func TestHookThatOutlived(t *testing.T) {
	alive := startProcess(t)
	gone := alive
	gone.Start++
	hook := func(of hooks.Process) *RunningHook {
		return &RunningHook{Process: of, Name: ftl.PostJump, Revision: letter(t, "a")}
	}
	for _, test := range []struct {
		name   string
		record Holder
		want   bool
	}{
		{"its ftl died", Holder{Process: gone, Hook: hook(alive)}, true},
		{"its ftl lives", Holder{Process: alive, Hook: hook(alive)}, false},
		{"it died too", Holder{Process: gone, Hook: hook(gone)}, false},
		{"no hook", Holder{Process: gone}, false},
	} {
		p := newPackage(t)
		record(t, p, test.record)
		if got := p.OutlivedHook(); (got != "") != test.want || test.want && !strings.HasPrefix(got, "post-jump of pkg.a (pid ") {
			t.Errorf("%s: got %q", test.name, got)
		}
	}
}

func TestChangeFromInsideAHookIsRefused(t *testing.T) {
	self, err := hooks.Self()
	if err != nil {
		t.Fatal(err)
	}
	other := startProcess(t)
	for _, test := range []struct {
		name   string
		record Holder
		want   bool
	}{
		{"inside", Holder{Hook: &RunningHook{Process: self, Name: ftl.PreJump, Revision: letter(t, "a")}}, true},
		{"beside it", Holder{Hook: &RunningHook{Process: other, Name: ftl.PreJump, Revision: letter(t, "a")}}, false},
		{"no hook", Holder{Process: other}, false},
	} {
		p := newPackage(t)
		record(t, p, test.record)
		err := p.RefuseInsideHook(SyncLock, ChangeLock)
		failure, refused := errors.AsType[*ftl.Error](err)
		if refused != test.want || refused && failure.Kind != ftl.Refused || !refused && err != nil {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}
