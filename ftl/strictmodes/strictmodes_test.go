package strictmodes_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rhettg/ftl/ftl/strictmodes"
)

func TestCheck(t *testing.T) {
	top := t.TempDir()
	path := func(name string) string { return filepath.Join(top, name) }
	for _, dir := range []string{"safe", "open", "sticky", "sticky/ours"} {
		if err := os.Mkdir(path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"safe/file", "safe/open", "open/file", "sticky/ours/file"} {
		if err := os.WriteFile(path(file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]fs.FileMode{"open": 0o777, "safe/open": 0o606, "sticky": 0o777 | fs.ModeSticky} {
		if err := os.Chmod(path(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"safe/link": "file", "safe/out": path("open/file"), "safe/up": "../safe/file", "loop": "loop", "open/back": path("safe/file"),
	} {
		if err := os.Symlink(target, path(name)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, unsafe string }{
		{"safe/file", ""},
		{"safe/link", ""},
		{"safe/up", ""},
		{"safe/open", "safe/open"},
		{"open/file", "open"},
		{"safe/out", "open"},
		{"open/back", "open"}, // the link can be exchanged
	}
	if os.Geteuid() == 0 { // else the sticky directory is not root's
		tests = append(tests, struct{ name, unsafe string }{"sticky/ours/file", ""})
	}
	for _, test := range tests {
		err := strictmodes.Check(path(test.name))
		unsafe, _ := errors.AsType[*strictmodes.Error](err)
		switch {
		case test.unsafe == "" && err != nil:
			t.Errorf("%s: got %v, want it safe", test.name, err)
		case test.unsafe != "" && (unsafe == nil || unsafe.Path != path(test.unsafe)):
			t.Errorf("%s: got %v, want %s unsafe", test.name, err, test.unsafe)
		}
	}
	if err := strictmodes.Check(path("absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: got %v", err)
	}
	if err := strictmodes.Check(path("loop")); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link to itself: got %v", err)
	}
	if err := strictmodes.Check(path("sticky")); err == nil {
		t.Error("a directory that everybody may write to is safe only as a parent")
	}
}

func TestCheckOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: giving files away takes root")
	}
	top := t.TempDir()
	theirs := filepath.Join(top, "theirs")
	file := filepath.Join(theirs, "file")
	if err := os.Mkdir(theirs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{theirs, file} {
		if err := os.Chown(name, 65534, 0); err != nil {
			t.Fatal(err)
		}
		err := strictmodes.Check(file)
		if unsafe, ok := errors.AsType[*strictmodes.Error](err); !ok || unsafe.Path != name {
			t.Errorf("%s of somebody else: got %v", name, err)
		}
		if err := os.Chown(name, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	// A directory of a group that is not root's.
	if err := errors.Join(os.Chown(theirs, 0, 65534), os.Chmod(theirs, 0o775)); err != nil {
		t.Fatal(err)
	}
	if err := strictmodes.Check(file); err == nil {
		t.Error("a group may write to its directory, and it is safe")
	}
}

// What was checked is what is open, whatever its path leads to by then.
func TestOpenDirStaysWhatItIs(t *testing.T) {
	top := t.TempDir()
	one, two := filepath.Join(top, "one"), filepath.Join(top, "two")
	for _, dir := range []string{one, two} {
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, filepath.Base(dir)), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(top, "link")
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	dir, err := strictmodes.OpenDir(link)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := errors.Join(os.Remove(link), os.Symlink("two", link), os.Rename(one, filepath.Join(top, "away"))); err != nil {
		t.Fatal(err)
	}
	if names, err := dir.Readdirnames(-1); err != nil || len(names) != 1 || names[0] != "one" {
		t.Errorf("got %v, %v, want one", names, err)
	}
	if _, err := strictmodes.OpenDir(filepath.Join(two, "two")); err == nil {
		t.Error("a file is opened as a directory")
	}
}

// The bits of the group are the most that an access control list allows, also a user.
func TestCheckAccessList(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: a group that is safe takes root")
	}
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	if err := strictmodes.Check(dir); err != nil {
		t.Errorf("of root's group: %v", err)
	}
	if err := allow(dir, 65534); err != nil {
		t.Skipf("NOT TESTED: an access control list: %v", err)
	}
	err := strictmodes.Check(dir)
	if unsafe, ok := errors.AsType[*strictmodes.Error](err); !ok || unsafe.Remedy != "setfacl -b" {
		t.Errorf("got %v, want that the list is removed", err)
	}
}
