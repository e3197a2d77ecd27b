package archive

import (
	"context"
	"encoding/binary"
	"hash/crc32"

	"golang.org/x/sys/unix"
)

// A large file comes in pieces, in any order. Until it is complete, a table follows its content,
// which says which pieces are there: so a fetch that was interrupted goes on with the others.
//
//	content                     its size, with holes where pieces are missing
//	digest of the content       16 bytes
//	checksum of each piece      8 bytes: a CRC-32C, and its complement
//
// The checksum tells whether a piece has reached the disk. That the file as a whole is right, its
// digest tells in the end.

const checksumSize = 8

func tableSize(pieces int) int64 { return int64(len(Digest{}) + pieces*checksumSize) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendChecksum(b, content []byte) []byte {
	sum := crc32.Checksum(content, castagnoli)
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, sum), ^sum)
}

// beginTable makes an empty file one that pieces are to be written to.
func beginTable(f outFile, e *IndexEntry, pieces int) error {
	if err := f.truncate(e.Size + tableSize(pieces)); err != nil {
		return err
	}
	return f.writeAt(e.Digest[:], e.Size)
}

// beginsTable reports whether a table for an entry follows its content in a file.
func beginsTable(fd int, e *IndexEntry, size int64) bool {
	var digest Digest
	if size <= e.Size+tableSize(0) || !e.content() {
		return false
	}
	n, err := readAt(fd, digest[:], e.Size)
	return err == nil && n == len(digest) && digest == e.Digest
}

// writePiece writes one of the pieces of a file, and then that it is there.
func (f outFile) writePiece(e *IndexEntry, p piece, content []byte) error {
	if err := f.writeAt(content, p.offset); err != nil {
		return err
	}
	return f.writeAt(appendChecksum(nil, content), e.Size+tableSize(p.number))
}

// hasPiece reports whether a piece is there.
func (f outFile) hasPiece(e *IndexEntry, p piece, buf []byte) bool {
	content, want := buf[:p.length], make([]byte, checksumSize)
	if n, err := readAt(f.fd, want, e.Size+tableSize(p.number)); err != nil || n < len(want) {
		return false
	}
	n, err := readAt(f.fd, content, p.offset)
	return err == nil && n == len(content) && string(appendChecksum(nil, content)) == string(want)
}

// resume opens a file of which some pieces are there, and returns the others. Of one that can't be
// used all pieces are to be fetched, into a new file.
func (r *restoring) resume(d *disk, entry int, pieces []numbered) ([]numbered, error) {
	e := &r.entries[entry]
	parent, base := split(e.Name)
	dir, err := d.handles.open(parent)
	if err != nil {
		return nil, err
	}
	fd, err := dir.openat(base, unix.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	f, buf := outFile{fd}, make([]byte, memberSize)
	var stat unix.Stat_t
	var missing []numbered
	if err := unix.Fstat(fd, &stat); err == nil && stat.Size == e.Size+tableSize(len(pieces)) {
		for _, p := range pieces {
			if !f.hasPiece(e, p.piece, buf) {
				missing = append(missing, p)
			} else {
				r.meter.wrote(p.length)
			}
		}
		r.share(entry, &sharedFile{file: f, made: true, resumed: true, parts: len(missing), all: len(pieces)})
		return missing, nil
	}
	if err := f.close(); err != nil {
		return nil, err
	}
	r.share(entry, &sharedFile{parts: len(pieces), all: len(pieces)})
	return pieces, dir.remove(base)
}

// finishResumed finishes the files of which all pieces were there.
func (r *restoring) finishResumed(ctx context.Context, d *disk) error {
	for entry, s := range r.files {
		if s.parts > 0 || !s.made {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := r.finishShared(d, entry, s); err != nil {
			return err
		}
	}
	return nil
}

// finishShared takes the table off a file, which is complete. One that is not what it should be is
// missed: its pieces came from two runs, and somebody may have changed them in between.
func (r *restoring) finishShared(d *disk, entry int, s *sharedFile) error {
	e := &r.entries[entry]
	s.made = false
	if s.resumed {
		same, err := s.file.hasContent(e, make([]byte, cloneSize))
		if err != nil {
			s.file.close()
			return err
		}
		if !same {
			return r.miss(d, entry, s.file)
		}
	}
	if err := s.file.truncate(e.Size); err != nil {
		s.file.close()
		return err
	}
	return d.finishFile(&e.Entry, s.file)
}

// miss deletes a file that is to be fetched again.
func (r *restoring) miss(d *disk, entry int, f outFile) error {
	e := &r.entries[entry]
	parent, base := split(e.Name)
	if err := f.close(); err != nil {
		return err
	}
	dir, err := d.handles.open(parent)
	if err == nil {
		err = dir.remove(base)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missed = append(r.missed, entry)
	r.meter.wrote(-e.Size)
	return err
}
