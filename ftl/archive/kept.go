package archive

import (
	"context"
	"os"
)

// Recycling is what Recycle turns a tree into.
type Recycling struct {
	Index *Index
	// Fresh is a new, empty directory beside the stage. What is made in it shows what new files are
	// like there: their owner, group, attributes and flags. Recycle leaves some in it.
	Fresh *os.Root
	// Remove deletes an entry of the stage with all that is below it. It follows no link and enters
	// no mount.
	Remove func(ctx context.Context, name string) error
}

// Kept is what a stage holds already of the tree that Restore makes in it.
type Kept struct {
	files   []bool       // by entry; they have their content, mode and time
	partial map[int]bool // entries; files of which some pieces are there
	bytes   int64        // of the files
}

func newKept(x *Index) *Kept {
	return &Kept{files: make([]bool, x.Entries), partial: make(map[int]bool)}
}

// Nothing is kept of a stage that was empty.

func (k *Kept) file(i int) bool      { return k != nil && k.files[i] }
func (k *Kept) isPartial(i int) bool { return k != nil && k.partial[i] }
func (k *Kept) size() int64 {
	if k == nil {
		return 0
	}
	return k.bytes
}
