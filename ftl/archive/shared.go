package archive

import "sync"

// sharedFiles are the files whose content comes from several members, so that several goroutines
// write them. The first one makes the file, the last one finishes it.
type sharedFiles struct {
	mu    sync.Mutex
	files map[int]*sharedFile // by entry
}

type sharedFile struct {
	mu    sync.Mutex
	file  outFile
	made  bool
	parts int // to be written
}

// share says that the content of an entry comes in parts.
func (s *sharedFiles) share(entry, parts int) {
	if s.files == nil {
		s.files = make(map[int]*sharedFile)
	}
	s.files[entry] = &sharedFile{parts: parts}
}

func (s *sharedFiles) shared(entry int) *sharedFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[entry]
}

// write writes a piece of a file.
func (r *restoring) write(d *disk, p piece, content []byte) error {
	e := &r.index.Entries[p.entry].Entry
	shared := r.shared(p.entry)
	if shared == nil {
		return unpackError(e.Name, d.wholeFile(e, content))
	}
	return unpackError(e.Name, shared.write(d, e, p.offset, content))
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

func (s *sharedFile) write(d *disk, e *Entry, offset int64, content []byte) error {
	file, err := s.create(d, e)
	if err != nil {
		return err
	}
	if err := file.writeAt(content, offset); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts--; s.parts > 0 {
		return nil
	}
	s.made = false
	return d.finishFile(e, file)
}

// create makes the file, unless it was made already.
func (s *sharedFile) create(d *disk, e *Entry) (outFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return s.file, nil
	}
	file, err := d.create(e)
	if err == nil {
		s.file, s.made = file, true
	}
	return file, err
}

// closeShared closes the files that an error has left unfinished.
func (s *sharedFiles) closeShared() {
	for _, f := range s.files {
		if f.made {
			f.file.close()
		}
	}
}
