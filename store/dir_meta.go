package store

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
)

// The metadata of an object is in a hidden file beside it, named for the key and the ETag. So it
// belongs to one object, not to whichever has the key: it can be written before that object is
// visible, two writers don't interfere, and a file that was put there by other means has none.

func metaName(key, etag string) string { return path.Join(metaDir, key+"."+etag) }

// readMeta returns nil for an object without metadata.
func readMeta(root *os.Root, key, etag string) (map[string]string, error) {
	data, err := root.ReadFile(metaName(key, etag))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var meta map[string]string
	if err := json.Unmarshal(data, &meta); err != nil {
		return nil, &summary{"its metadata is not readable: " + err.Error(), err}
	}
	return meta, nil
}

// writeMeta writes durably. A file of that name is the leftover of a crash.
func writeMeta(root *os.Root, key, etag string, meta map[string]string) error {
	data, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	name := metaName(key, etag)
	if err := makeDir(root, path.Dir(name)); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(root, path.Dir(name))
}

func removeMeta(root *os.Root, key, etag string) error {
	err := root.Remove(metaName(key, etag))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
