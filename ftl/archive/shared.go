package archive

import "sync"

// sharedFiles are the files whose content comes from several members, so that several goroutines
// write them. The first one makes the file, the last one finishes it.
type sharedFiles struct {
	mu     sync.Mutex
	files  map[int]*sharedFile // by entry
	missed []int               // entries that are to be fetched again
}

type sharedFile struct {
	mu      sync.Mutex
	file    outFile
	made    bool
	resumed bool // some of its parts were there before
	parts   int  // to be written
	all     int
}

// share says that the content of an entry comes in parts.
func (s *sharedFiles) share(entry int, file *sharedFile) {
	if s.files == nil {
		s.files = make(map[int]*sharedFile)
	}
	s.files[entry] = file
}

func (s *sharedFiles) shared(entry int) *sharedFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[entry]
}

// write writes a piece of a file.
func (r *restoring) write(d *disk, p piece, content []byte) error {
	e := &r.entries[p.entry]
	shared := r.shared(p.entry)
	if shared == nil {
		return unpackError(e.Name, d.wholeFile(&e.Entry, content))
	}
	return unpackError(e.Name, r.writeShared(d, shared, p, content))
}

func (d *disk) wholeFile(e *Entry, content []byte) error {
	f, err := d.create(e)
	if err != nil {
		return err
	}
	if err := f.writeAt(content, 0); err != nil {
		f.close()
		return err
	}
	return d.finishFile(e, f)
}

func (r *restoring) writeShared(d *disk, s *sharedFile, p piece, content []byte) error {
	e := &r.entries[p.entry]
	file, err := s.create(d, e)
	if err != nil {
		return err
	}
	if err := file.writePiece(e, p, content); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts--; s.parts > 0 {
		return nil
	}
	return r.finishShared(d, p.entry, s)
}

// create makes the file, unless it was made already.
func (s *sharedFile) create(d *disk, e *IndexEntry) (outFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return s.file, nil
	}
	file, err := d.create(&e.Entry)
	if err != nil {
		return file, err
	}
	s.file, s.made = file, true // closed with the others after an error
	return file, beginTable(file, e, s.all)
}

// closeShared closes the files that an error has left unfinished.
func (s *sharedFiles) closeShared() {
	for _, f := range s.files {
		if f.made {
			f.file.close()
		}
	}
}
