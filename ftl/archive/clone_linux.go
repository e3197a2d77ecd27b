package archive

import (
	"errors"

	"golang.org/x/sys/unix"
)

// clone makes an empty file a copy of another one: it shares the blocks where the file system can
// (FICLONE), else it copies within the kernel, else through a buffer. A source that has become
// shorter is not an error.
func clone(to, from int, size int64, buf []byte) error {
	if err := unix.IoctlFileClone(to, from); err == nil {
		return nil
	}
	for left := size; left > 0; {
		n, err := unix.CopyFileRange(from, nil, to, nil, int(min(left, 1<<30)), 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil && left == size:
			return copyBytes(to, from, buf)
		case err != nil:
			return err
		case n == 0:
			return nil
		}
		left -= int64(n)
	}
	return nil
}
