package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

func (d *directory) List(ctx context.Context, opts ListOptions) (Listing, error) {
	root, err := d.root(ctx, "list", opts.Prefix)
	if err != nil {
		return Listing{}, err
	}
	defer root.Close()
	l := lister{ctx: ctx, root: root, opts: opts}
	// Everything that matches is below the directory that the prefix ends in.
	start := "."
	if i := strings.LastIndexByte(opts.Prefix, '/'); i >= 0 {
		start = opts.Prefix[:i]
	}
	if start == "." || checkKey(start) == nil {
		err = l.walk(start)
	}
	if err != nil {
		return Listing{}, d.failed("list", opts.Prefix, err)
	}
	return l.listing(), nil
}

// lister collects a listing while it walks.
type lister struct {
	ctx     context.Context
	root    *os.Root
	opts    ListOptions
	objects []Object
}

// walk adds what is below a directory, and nothing if that does not exist.
func (l *lister) walk(dir string) error {
	if err := context.Cause(l.ctx); err != nil {
		return err
	}
	entries, err := readDir(l.root, dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		key := path.Join(dir, entry.Name())
		below := entry.IsDir()
		if !below && !strings.HasPrefix(key, l.opts.Prefix) || checkKey(key) != nil || key == lockKey {
			continue
		}
		switch {
		case below:
			err = l.directory(key + "/")
		case entry.Type().IsRegular():
			err = l.file(key, entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// directory walks a directory that can add something.
func (l *lister) directory(prefix string) error {
	if !strings.HasPrefix(prefix, l.opts.Prefix) && !strings.HasPrefix(l.opts.Prefix, prefix) {
		return nil
	}
	if prefix < l.opts.After && !strings.HasPrefix(l.opts.After, prefix) { // so is all that is below it
		return nil
	}
	return l.walk(prefix[:len(prefix)-1])
}

func (l *lister) file(key string, entry fs.DirEntry) error {
	if key <= l.opts.After {
		return nil
	}
	info, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err == nil {
		l.objects = append(l.objects, object(key, info))
	}
	return err
}

func (l *lister) listing() Listing {
	out := Listing{Objects: l.objects, Date: time.Now()}
	slices.SortFunc(out.Objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	out.cut(l.opts.Limit)
	return out
}

// readDir returns all entries, unsorted, and none if there is no directory.
func readDir(root *os.Root, dir string) ([]fs.DirEntry, error) {
	f, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || !info.IsDir() {
		return nil, errors.Join(err, f.Close())
	}
	entries, err := f.ReadDir(-1)
	return entries, errors.Join(err, f.Close())
}
