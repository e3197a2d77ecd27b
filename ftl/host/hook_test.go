package host

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
)

func TestBrokenDiskIsNoFailureOfTheHook(t *testing.T) {
	p := newPackage(t)
	run := hookRun{name: ftl.PostSync, of: letter(t, "a")}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{&hooks.ExitError{Hook: hooks.PostSync, Code: 1}, true},
		{errors.New("not executable"), true},
		{&fs.PathError{Op: "open", Path: "log", Err: unix.EROFS}, false},
		{fmt.Errorf("record process 7: %w", unix.EIO), false},
		{unix.ENOSPC, false},
	} {
		if got := hookFailed((holding{pkg: p}).hookError(run, test.err)); got != test.want {
			t.Errorf("%v: got %v, want %v", test.err, got, test.want)
		}
	}
}
