package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// volume is a file system of its own in an image, which can lose its power.
type volume struct {
	kind   string // ext4 or xfs
	image  string
	device string
	dir    string // where it is mounted
	kept   bool   // it has a file that can't be deleted
}

// kinds are the file systems, with the size of an image, which takes as much
// room as is used of it.
var kinds = []struct {
	name string
	size int64
	make []string
	pack string // the Debian package that the command is of
}{
	{"ext4", 64 << 20, []string{"mkfs.ext4", "-q", "-F", "-m", "0"}, "e2fsprogs"},
	{"xfs", 300 << 20, []string{"mkfs.xfs", "-q", "-f"}, "xfsprogs"},
}

// newVolume makes and mounts a file system.
func newVolume(ctx context.Context, dir, kind string, size int64, options ...string) (_ *volume, err error) {
	v := &volume{kind: kind, image: dir + ".image", dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(v.image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(v.image, size); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		if k.name == kind {
			if _, err := output(ctx, append(append(k.make, options...), v.image)...); err != nil {
				return nil, err
			}
		}
	}
	device, err := output(ctx, "losetup", "--find", "--show", v.image)
	if err != nil {
		return nil, err
	}
	v.device = strings.TrimSpace(device)
	return v, v.mount()
}

func (v *volume) mount() error {
	if err := unix.Mount(v.device, v.dir, v.kind, unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", v.device, v.dir, err)
	}
	return nil
}

// unmount waits for processes that are just ending, and until the kernel has
// let the file system go: a process with mounts of its own may have a copy of
// this one, and what is mounted then is still the one without power.
func (v *volume) unmount() error {
	deadline := time.Now().Add(30 * time.Second)
	err := unix.Unmount(v.dir, 0)
	for errors.Is(err, unix.EBUSY) && time.Now().Before(deadline) {
		time.Sleep(2 * time.Millisecond)
		err = unix.Unmount(v.dir, 0)
	}
	if err != nil {
		return err
	}
	for mounted := filepath.Join("/sys/fs", v.kind, filepath.Base(v.device)); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(mounted); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return fmt.Errorf("%s is still mounted somewhere else", v.device)
}

// The two ways in which the power can go. The first is the cruel one: the
// journal, and so each name, reaches the disk; the bytes that were still in
// memory don't. With the second, nothing does since the last commit.
const (
	journalFlushed = 1
	nothingFlushed = 2
)

// cut ends all writing to the volume, as the end of its power would. From now on
// every change fails.
func (v *volume) cut(how uint32) error {
	dir, err := os.Open(v.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	const shutdown = 0x8004587d // EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN
	if err := unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, int(how)); err != nil {
		return fmt.Errorf("shut down %s: %w", v.dir, err)
	}
	return nil
}

// powerUp mounts the volume anew after a cut, which repeats its journal.
func (v *volume) powerUp() error {
	if err := v.unmount(); err != nil {
		return fmt.Errorf("unmount %s: %w", v.dir, err)
	}
	return v.mount()
}

// fill makes the volume hold exactly what the template holds, durably.
func (v *volume) fill(ctx context.Context, template string) error {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != "lost+found" {
			if err := os.RemoveAll(filepath.Join(v.dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if _, err := output(ctx, "cp", "-a", template+"/.", v.dir); err != nil {
		return err
	}
	return v.sync()
}

// keep makes a file one that nobody can delete, durably.
func (v *volume) keep(path string) error {
	v.kept = true
	if err := setImmutable(path, true); err != nil {
		return err
	}
	return v.sync()
}

// letGo makes all files deletable again.
func (v *volume) letGo() error {
	if !v.kept {
		return nil
	}
	v.kept = false
	return filepath.WalkDir(v.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		return setImmutable(path, false)
	})
}

func setImmutable(path string, immutable bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	flags, err := unix.IoctlGetInt(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	const flag = 0x10 // FS_IMMUTABLE_FL
	changed := flags &^ flag
	if immutable {
		changed = flags | flag
	}
	if changed == flags {
		return nil
	}
	return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, changed)
}

// sync makes all of the volume durable.
func (v *volume) sync() error {
	dir, err := os.Open(v.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Syncfs(int(dir.Fd()))
}

// close unmounts and detaches what there is of the volume.
func (v *volume) close() error {
	var errs []error
	if err := v.unmount(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		errs = append(errs, fmt.Errorf("unmount %s: %w", v.dir, err), unix.Unmount(v.dir, unix.MNT_DETACH))
	}
	if v.device != "" {
		_, err := output(context.Background(), "losetup", "--detach", v.device)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, os.Remove(v.image))...)
}

// output runs a command and returns what it prints.
func output(ctx context.Context, argv ...string) (string, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	text, err := command.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(text), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, exit.Stderr)
	}
	return string(text), err
}
