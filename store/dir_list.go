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
	l := lister{ctx: ctx, root: root, opts: opts, folded: map[string]bool{}}
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
	folded  map[string]bool
}

// walk adds what is below a directory. One that is not there adds nothing.
func (l *lister) walk(dir string) error {
	if err := l.ctx.Err(); err != nil {
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

// directory walks where that can add something.
func (l *lister) directory(prefix string) error {
	matches := strings.HasPrefix(prefix, l.opts.Prefix)
	if !matches && !strings.HasPrefix(l.opts.Prefix, prefix) {
		return nil
	}
	if fold, ok := l.fold(prefix); matches && ok {
		if l.folded[fold] {
			return nil
		}
		// A directory without an object is no prefix, so one must be found.
		has, err := hasObject(l.root, prefix[:len(prefix)-1])
		if has {
			l.folded[fold] = true
		}
		return err
	}
	return l.walk(prefix[:len(prefix)-1])
}

func (l *lister) file(key string, entry fs.DirEntry) error {
	if fold, ok := l.fold(key); ok {
		l.folded[fold] = true
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

// fold returns the key up to and with the first delimiter after the prefix.
func (l *lister) fold(key string) (string, bool) {
	if l.opts.Delimiter == "" || !strings.HasPrefix(key, l.opts.Prefix) {
		return "", false
	}
	rest := key[len(l.opts.Prefix):]
	i := strings.Index(rest, l.opts.Delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(l.opts.Prefix)+i+len(l.opts.Delimiter)], true
}

func (l *lister) listing() Listing {
	out := Listing{Objects: l.objects, Date: time.Now()}
	slices.SortFunc(out.Objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	for prefix := range l.folded {
		out.Prefixes = append(out.Prefixes, prefix)
	}
	slices.Sort(out.Prefixes)
	return out
}

// hasObject reports whether there is an object at any depth.
func hasObject(root *os.Root, dir string) (bool, error) {
	entries, err := readDir(root, dir)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		key := path.Join(dir, entry.Name())
		if checkKey(key) != nil || key == lockKey {
			continue
		}
		found := entry.Type().IsRegular()
		if entry.IsDir() {
			found, err = hasObject(root, key)
		}
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// readDir returns all entries, unsorted; none where there is no directory.
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
