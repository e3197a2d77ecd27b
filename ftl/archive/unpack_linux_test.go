package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody runs f with the file system rights of an ordinary user; only this thread loses root's.
func asNobody(t *testing.T, stage *os.Root, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	if err := os.Chown(stage.Name(), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	defer unix.Setfsuid(0)
	f()
}

// Row 29, for a user whom modes stop. Also row 31: what is unpacked belongs to who unpacks.
func TestUnpackClosedDirectoriesAsUser(t *testing.T) {
	content := archiveOf(
		item{name: "./", flag: tar.TypeDir, mode: 0o1000},
		item{name: "none/", flag: tar.TypeDir, mode: 0o1000}, item{name: "none/f", content: "x"},
		item{name: "none/write/", flag: tar.TypeDir, mode: 0o200}, item{name: "none/write/f", mode: 0o1000, content: "x"},
		item{name: "read/", flag: tar.TypeDir, mode: 0o555}, item{name: "read/f", content: "x"},
	)
	for _, umask := range []int{0o022, 0o777} {
		stage := newStage(t)
		old := syscall.Umask(umask)
		var err, denied error
		asNobody(t, stage, func() {
			err = Unpack(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, stage, Totals{6, 3})
			_, denied = stage.Lstat("none/f")
		})
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(denied, fs.ErrPermission) {
			t.Errorf("got %v in a closed directory, want %v: does this test run with root's rights?", denied, fs.ErrPermission)
		}
		if os.Getuid() != 0 {
			continue // what is inside can't be looked at
		}
		for name, want := range map[string]fs.FileMode{".": 0o700, "none": 0, "none/write": 0o200, "none/write/f": 0, "read": 0o555} {
			i, err := stage.Lstat(name)
			if err != nil || i.Mode().Perm() != want {
				t.Errorf("umask %03o, %s: got %v, %v, want %v", umask, name, i.Mode(), err, want)
			}
			if uid := i.Sys().(*syscall.Stat_t).Uid; uid != 65534 {
				t.Errorf("umask %03o, %s: got owner %d, want 65534", umask, name, uid)
			}
		}
	}
}

// An error of the disk in the middle keeps its cause: here that of a file beyond what the process
// may write. The limit is one of the whole process, so another one runs under it.
func TestFullDisk(t *testing.T) {
	if os.Getenv("ARCHIVE_TEST_LIMITED") == "" {
		cmd := exec.Command("sh", "-c", `ulimit -f 8 && exec "$0" -test.run='^TestFullDisk$'`, os.Args[0])
		cmd.Env = append(os.Environ(), "ARCHIVE_TEST_LIMITED=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	content := archiveOf(item{name: "big", content: strings.Repeat("x", 1<<20)})
	err := Unpack(t.Context(), Packed{Content: bytes.NewReader(content), Form: Tar}, newStage(t), Totals{1, 1 << 20})
	if !errors.Is(err, syscall.EFBIG) || errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want %v", err, syscall.EFBIG)
	}
}
