package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rhettg/ftl/store"
)

// memory is a bucket that keeps its objects in memory and goes by a clock that is not the world's.
// As in S3, the time of an object has no fractions of a second.
type memory struct {
	now     func() time.Time
	random  *rand.Rand
	failing float64 // the part of the listings that fail

	mutex   sync.Mutex
	keys    []string // in order
	objects map[string]object
	version int // rises with each change

	gets, lists, puts int // requests, a listing counted by its pages
}

type object struct {
	store.Object
	data []byte
}

var (
	errListing       = errors.New("the listing failed")
	errNotSimulated  = errors.New("the simulation has no such request")
	_                = store.Bucket(&memory{})
	keysInPage       = 1000
	secondResolution = time.Second
)

func (m *memory) List(_ context.Context, opts store.ListOptions) (store.Listing, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.random.Float64() < m.failing {
		m.lists++
		return store.Listing{}, &store.Error{Op: "list", Key: opts.Prefix, Err: errListing}
	}
	first, _ := slices.BinarySearch(m.keys, opts.Prefix)
	listing := store.Listing{Date: m.now()}
	for _, key := range m.keys[first:] {
		if !strings.HasPrefix(key, opts.Prefix) {
			break
		}
		listing.Objects = append(listing.Objects, m.objects[key].Object)
	}
	m.lists += len(listing.Objects)/keysInPage + 1
	return listing, nil
}

// listAgain counts a listing whose answer is known, and fails as List does.
func (m *memory) listAgain(pages int) error {
	m.lists += max(1, pages)
	if m.random.Float64() < m.failing {
		return errListing
	}
	return nil
}

func (m *memory) Stat(_ context.Context, key string) (store.Object, error) {
	o, err := m.read("stat", key)
	return o.Object, err
}

func (m *memory) read(op, key string) (object, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.gets++
	o, ok := m.objects[key]
	if !ok {
		return object{}, &store.Error{Op: op, Key: key, Err: fs.ErrNotExist}
	}
	o.Date = m.now()
	return o, nil
}

func (m *memory) Get(_ context.Context, key string, opts store.GetOptions) (io.ReadCloser, store.Object, error) {
	o, err := m.read("get", key)
	if err != nil {
		return nil, o.Object, err
	}
	if opts.Unless == o.ETag && opts.Unless != "" {
		return nil, o.Object, &store.Error{Op: "get", Key: key, Err: store.ErrUnchanged}
	}
	return io.NopCloser(bytes.NewReader(o.data)), o.Object, nil
}

func (m *memory) Put(_ context.Context, key string, body io.ReadSeeker, opts store.PutOptions) (store.Object, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.puts++
	old, there := m.objects[key]
	if opts.IfAbsent && there || opts.IfMatch != "" && opts.IfMatch != old.ETag {
		return store.Object{}, &store.Error{Op: "put", Key: key, Err: store.ErrPrecondition}
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return store.Object{}, err
	}
	if i, found := slices.BinarySearch(m.keys, key); !found {
		m.keys = slices.Insert(m.keys, i, key)
	}
	m.version++
	now := m.now()
	o := store.Object{
		Key: key, Size: int64(len(data)), ETag: fmt.Sprint(m.version), Modified: now.Truncate(secondResolution), Date: now,
		Metadata: map[string]string{"sha256": fmt.Sprintf("%x", opts.SHA256)},
	}
	m.objects[key] = object{o, data}
	return o, nil
}

func (m *memory) Delete(context.Context, string) error { return errNotSimulated }
