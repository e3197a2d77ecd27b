package archive

import (
	"bytes"
	"hash/maphash"
)

// judge refuses what a walker refuses in a tar: what its entries are to each other. It sets Totals.
//
// It remembers a hash of each name and what it is used for, but only of a share of the names at a
// time, and goes through all entries once for each share. So it needs the same memory for any
// number of entries.
func (x *Index) judge() error {
	shares := uint64(x.Entries/namesAtOnce + 1)
	made, dirNames := int64(0), 0
	seed := maphash.MakeSeed() // so nobody can prepare names that collide
	j := judge{shares: shares}
	for share := range shares {
		j.begin(seed, share)
		r := x.rows(true)
		for r.next() {
			if err := j.row(r); err != nil {
				return err
			}
		}
		if r.fault != nil {
			return r.fault
		}
		made += j.made
		dirNames += j.dirNames
	}
	size, err := x.contentSize()
	switch {
	case err != nil:
		return err
	case made == 0:
		return invalid("it is empty")
	case made > maxEntries:
		return invalid("it unpacks to more than %d entries", maxEntries)
	case dirNames > maxDirNames:
		return invalid("its directories' names are longer than %d bytes together", maxDirNames)
	case size > maxBytes:
		return invalid("it unpacks to more than %d bytes", maxBytes)
	}
	x.Totals = Totals{Entries: made, Bytes: size}
	return nil
}

// contentSize returns the size of all files. The sum can't overflow, as the files lie side by side.
func (x *Index) contentSize() (size int64, err error) {
	sizes := newCursor(x.columns[columnSizes], &err)
	for sizes.at() < sizes.end && err == nil {
		size += sizes.number()
	}
	return size, err
}

// namesAtOnce is how many entries there are to a share of the names. It is a variable so that tests
// can reach it.
var namesAtOnce = 256 << 10

// judge is the work on one share of the names.
type judge struct {
	share, shares uint64
	seen          nameTable
	made          int64  // entries of this share, also directories that no entry lists
	dirNames      int    // bytes of their names
	parent        []byte // directory of the last entry
}

func (j *judge) begin(seed maphash.Seed, share uint64) {
	j.share, j.made, j.dirNames = share, 0, 0
	j.parent = append(j.parent[:0], '.')
	j.seen.begin(seed)
	j.seen.add(j.seen.hash(j.parent), aDirectory)
}

// mine reports whether a name is of this share.
func (j *judge) mine(hash uint64) bool { return (hash>>32)%j.shares == j.share }

// row takes an entry.
func (j *judge) row(r *rows) error {
	if err := j.parents(r.name); err != nil {
		return err
	}
	if r.kind == kindHardLink {
		hash := j.seen.hash(r.link)
		if j.mine(hash) && j.seen.find(hash) != aRegular {
			return invalid("%q: hard link to %q, which is no earlier file of this archive", r.name, r.link)
		}
	}
	hash := j.seen.hash(r.name)
	if !j.mine(hash) {
		return nil
	}
	was, is := j.seen.find(hash), useOf(r.kind)
	switch {
	case was == unused:
		j.make(r.name, hash, is)
	case was != aDirectory || is != aDirectory: // a directory may be listed twice
		return invalid("%q: it is in the archive twice", r.name)
	}
	return nil
}

// make counts a name that was not used before.
func (j *judge) make(name []byte, hash uint64, as use) {
	j.seen.add(hash, as)
	j.made++
	if as == aDirectory {
		j.dirNames += len(name)
	}
}

// parents makes sure that the directory of name is one, as is each part of it. A symlink is refused
// even if it stays inside.
func (j *judge) parents(name []byte) error {
	dir := []byte(".")
	if i := bytes.LastIndexByte(name, '/'); i >= 0 {
		dir = name[:i]
	}
	if bytes.Equal(dir, j.parent) {
		return nil
	}
	for i := 0; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		hash := j.seen.hash(dir[:i])
		if !j.mine(hash) {
			continue
		}
		switch j.seen.find(hash) {
		case unused:
			j.make(dir[:i], hash, aDirectory)
		case aLink:
			return invalid("%q: %q is a symlink in this archive", name, dir[:i])
		case aRegular:
			return invalid("%q: %q is a file in this archive", name, dir[:i])
		}
	}
	j.parent = append(j.parent[:0], dir...)
	return nil
}

// EachClash calls do for each name that differs from an earlier one only in case. Like judge, it
// goes through all entries for each share of the names, so a large index comes out of order.
func (x *Index) EachClash(do func(name string)) error {
	shares := uint64(x.Entries/namesAtOnce + 1)
	seed := maphash.MakeSeed()
	var folded, dirs nameTable
	for share := range shares {
		folded.begin(seed)
		dirs.begin(seed)
		r := x.rows(true)
		for r.next() {
			hash := folded.hash(bytes.ToLower(r.name))
			if (hash>>32)%shares != share {
				continue
			}
			if r.kind == kindDirectory { // which may be listed twice
				same := dirs.hash(r.name)
				if dirs.find(same) != unused {
					continue
				}
				dirs.add(same, aDirectory)
			}
			if folded.find(hash) != unused {
				do(string(r.name))
				continue
			}
			folded.add(hash, aRegular)
		}
		if r.fault != nil {
			return r.fault
		}
	}
	return nil
}

// use is what a name is used for.
type use uint64

const (
	unused use = iota
	aRegular
	aLink
	aDirectory
	useBits = 3
)

func useOf(kind uint64) use {
	switch kind {
	case kindDirectory:
		return aDirectory
	case kindSymlink:
		return aLink
	}
	return aRegular
}

// nameTable remembers what names are used for, by a hash of each. It is a table with open
// addressing: the two low bits of a slot are the use, the others those of the hash.
type nameTable struct {
	seed  maphash.Seed
	slots []uint64 // a power of two
	used  int
}

// begin forgets all names.
func (n *nameTable) begin(seed maphash.Seed) {
	n.seed, n.used = seed, 0
	if n.slots == nil {
		n.slots = make([]uint64, 1024)
	}
	clear(n.slots)
}

func (n *nameTable) hash(name []byte) uint64 { return maphash.Bytes(n.seed, name) &^ useBits }

// slot returns where a hash is, or would be.
func (n *nameTable) slot(hash uint64) *uint64 {
	for i := hash >> 2; ; i++ {
		s := &n.slots[i&uint64(len(n.slots)-1)]
		if *s == 0 || *s&^useBits == hash {
			return s
		}
	}
}

func (n *nameTable) find(hash uint64) use { return use(*n.slot(hash) & useBits) }

func (n *nameTable) add(hash uint64, as use) {
	if n.used++; n.used > len(n.slots)/4*3 {
		old := n.slots
		n.slots = make([]uint64, 2*len(old))
		for _, s := range old {
			if s != 0 {
				*n.slot(s &^ useBits) = s
			}
		}
	}
	*n.slot(hash) = hash | uint64(as)
}
