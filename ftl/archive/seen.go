package archive

import "hash/maphash"

// seen remembers which names an archive has used, and for what. It keeps a hash instead of each
// name, so that five million of them fit into memory whatever their length. Each archive has a new
// key for the hash, so nobody can prepare two names that collide. By chance, that happens to one in
// a million archives of five million names.
type seen struct {
	seed  maphash.Seed
	names map[uint64]kind
}

// kind is what a name is used for: a directory's index among the walker's directories, or one of
// the constants.
type kind int32

const (
	aFile    kind = -1
	aSymlink kind = -2
)

// newSeen expects so many names.
func newSeen(names int) seen {
	return seen{seed: maphash.MakeSeed(), names: make(map[uint64]kind, names)}
}

func (s *seen) add(name string, k kind) { s.names[maphash.String(s.seed, name)] = k }

func (s *seen) find(name string) (k kind, found bool) {
	k, found = s.names[maphash.String(s.seed, name)]
	return k, found
}
