package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	poll    = 20 * time.Millisecond // how often a file or process is checked
	backlog = 16                    // how many times its limit a log may be while it is copied
	chunk   = 32 << 10              // how much is copied at a time
)

// A logFile is a hook's log as ftl has it open: other processes append to it, ftl
// copies what they append, and cuts it when it gets long.
//
// Cutting a file that others append to is sound because O_APPEND has the kernel
// find the end anew for each write: after the file was emptied their next write
// goes to its new end. ftl then appends what it wants to keep. Its own
// description of the file, not shared with the hook, then tells where that
// ended, even when others have written in between, and so what was copied
// before is not copied again.
type logFile struct {
	limit  int64
	file   *os.File // for ftl
	writer *os.File // for the hook, appending

	mu      sync.Mutex // for the offsets, and around a cut
	begin   int64      // where this run's output begins
	next    int64      // the first byte not copied yet
	skipped int64      // bytes that were cut before they were copied
}

// openLog opens the log at path for one more run, and makes it if need be.
func openLog(dir *os.File, path string, limit int64) (*logFile, error) {
	l, err := openExisting(dir, path, limit, os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if l.writer, err = openLogFile(dir, path, os.O_WRONLY); err != nil {
		l.Close()
		return nil, err
	}
	if err := sameFile(l.file, l.writer); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// openExisting opens the log for ftl only. Everything in it counts as copied.
func openExisting(dir *os.File, path string, limit int64, flag int) (*logFile, error) {
	f, err := openLogFile(dir, path, flag|os.O_RDWR)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &logFile{limit: limit, file: f, begin: info.Size(), next: info.Size()}, nil
}

// openLogFile opens a log by its name in dir, which the path says for messages; without dir, by the
// path. A fifo does not block it.
func openLogFile(dir *os.File, path string, flag int) (*os.File, error) {
	at, name := unix.AT_FDCWD, path
	if dir != nil {
		at, name = int(dir.Fd()), filepath.Base(path)
	}
	fd, err := unix.Openat(at, name, flag|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openNone opens the log of a run that has none: it swallows everything, and is
// always empty.
func openNone() (*logFile, error) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	writer, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		file.Close()
		return nil, err
	}
	return &logFile{file: file, writer: writer}, nil
}

func sameFile(a, b *os.File) error {
	aInfo, err := a.Stat()
	if err != nil {
		return err
	}
	bInfo, err := b.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(aInfo, bInfo) {
		return fmt.Errorf("%s was replaced while it was opened", a.Name())
	}
	return nil
}

// Close closes ftl's descriptors of the log; the hook and its daemons keep
// theirs.
func (l *logFile) Close() error {
	if l.writer == nil {
		return l.file.Close()
	}
	return errors.Join(l.file.Close(), l.writer.Close())
}

// copyUntil copies what is appended to the log, and after the end what was
// there when it came: a daemon may go on writing for ever.
func (l *logFile) copyUntil(ended <-chan struct{}, out *annotator) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-ended:
			running = false
		case <-tick.C:
		}
		if err := l.copy(out); err != nil {
			out.note(fmt.Sprintf("read %s: %v", l.file.Name(), err))
			return
		}
	}
	out.flush()
}

// copy copies as many bytes as wait to be copied when it is called.
func (l *logFile) copy(out *annotator) error {
	buf := make([]byte, chunk)
	waiting, err := l.waiting()
	for err == nil && waiting > 0 {
		n, skipped, readErr := l.read(buf[:min(waiting, chunk)])
		if skipped > 0 {
			out.note(fmt.Sprintf("… %d bytes not shown …", skipped))
		}
		out.write(buf[:n])
		if n == 0 {
			return readErr
		}
		waiting, err = waiting-int64(n), readErr
	}
	return err
}

func (l *logFile) waiting() (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size, err := l.size()
	return size - l.next, err
}

// read reads on, and tells how many bytes before that were cut unread. At the
// end of the log it reads 0 bytes, which is not an error.
func (l *logFile) read(buf []byte) (n int, skipped int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err = l.file.ReadAt(buf, l.next)
	if err == io.EOF {
		err = nil
	}
	l.next += int64(n)
	skipped, l.skipped = l.skipped, 0
	return n, skipped, err
}

// size returns the log's size. A log that became shorter was emptied by the
// hook, and is then new from its beginning.
func (l *logFile) size() (int64, error) {
	info, err := l.file.Stat()
	if err != nil {
		return l.next, err
	}
	if info.Size() < l.next {
		l.begin, l.next = 0, 0
	}
	return info.Size(), nil
}

// cutUntil cuts the log whenever it is too long. It gives up at an error, which
// the cut after the end will meet again.
func (l *logFile) cutUntil(ended <-chan struct{}) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if err := l.cut(); err != nil {
			return
		}
	}
}

// cut cuts a log that is too long to its last quarter. What has not been copied
// yet is spared until the log is much too long.
func (l *logFile) cut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	size, err := l.size()
	if err != nil {
		return err
	}
	from := size - l.limit/4
	uncopied := l.next < from
	if size <= l.limit || uncopied && size <= backlog*l.limit {
		return nil
	}
	return l.cutBefore(from)
}

// cutBefore removes what is before an offset, and moves the offsets along.
func (l *logFile) cutBefore(from int64) error {
	// Up to the very end, since what is appended between the last read and
	// Truncate is lost; only a hook that outruns the reads loses more.
	kept, err := io.ReadAll(io.NewSectionReader(l.file, from, l.limit/2))
	if err != nil {
		return err
	}
	l.skipped += max(0, from-l.next)
	begin, next := max(l.begin, from)-from, max(l.next, from)-from
	l.begin, l.next = 0, 0
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	note := fmt.Appendf(nil, "… %d bytes before this were cut …\n", from)
	if _, err := l.file.Write(append(note, kept...)); err != nil {
		return err
	}
	end, err := l.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	start := end - int64(len(kept))
	l.begin, l.next = start+begin, start+next
	return l.repeat(start - int64(len(note)))
}

// repeat appends the first n bytes of the log once more: they were written
// between truncating the log and appending the kept text, which is not
// where a reader expects the newest output.
func (l *logFile) repeat(n int64) error {
	from := max(0, n-l.limit/4) // only a flood is longer
	text := make([]byte, n-from)
	read, err := l.file.ReadAt(text, from)
	if err != nil && err != io.EOF {
		return err
	}
	_, err = l.file.Write(text[:read])
	return err
}

// tail returns the last lines of this run's output, "" if they can't be read:
// it goes with an error that matters more.
func (l *logFile) tail() string {
	const maxBytes, maxLines = 4 << 10, 20
	l.mu.Lock()
	defer l.mu.Unlock()
	size, err := l.size()
	if err != nil {
		return ""
	}
	from := max(l.begin, size-maxBytes)
	text := make([]byte, max(0, size-from))
	n, _ := l.file.ReadAt(text, from)
	text = text[:n]
	if from > l.begin { // in the middle of a line; of the last one that is all there is
		if _, rest, found := bytes.Cut(text, []byte("\n")); found && len(bytes.TrimRight(rest, "\n")) > 0 {
			text = rest
		}
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	lines = lines[max(0, len(lines)-maxLines):]
	for i, line := range lines {
		lines[i] = string(appendHarmless(nil, []byte(line)))
	}
	tail := strings.Join(lines, "\n")
	return strings.ToValidUTF8(tail[max(0, len(tail)-maxBytes):], "")
}

// TailLog returns the last lines of the log at path behind an offset, at most 20
// and 4 KiB, harmless to a terminal. A log that was cut meanwhile is read from
// its beginning, and one that can't be read has none. The directory is that of
// [Options].
func TailLog(dir *os.File, path string, from int64) string {
	l, err := openExisting(dir, path, 0, 0)
	if err != nil {
		return ""
	}
	defer l.Close()
	if l.begin = from; from > l.next {
		l.begin = 0
	}
	return l.tail()
}

// CutLog cuts the log at path if it is longer than limit bytes, as [Script.Run]
// does, and may be called while a daemon writes to it. 0 is DefaultLogLimit. A
// log that doesn't exist is fine. The directory is that of [Options].
func CutLog(dir *os.File, path string, limit int64) error {
	if limit == 0 {
		limit = DefaultLogLimit
	}
	l, err := openExisting(dir, path, limit, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	defer l.Close()
	if err := l.cut(); err != nil {
		return fmt.Errorf("cut log %s: %w", path, err)
	}
	return nil
}
