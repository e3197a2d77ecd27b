package master

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/archive"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Manifest says what a revision is made of, so that a host can check what it
// fetched before anything of it is used. As an object it is a header, one
// "key: value" a line, that ends with an empty line; below it is room for what
// a transfer needs.
type Manifest struct {
	Revision revision.Revision
	Archive  string // the key of the archive
	Form     archive.Form
	// File is the name of the spooled file. A revision that is no tree is kept
	// under it, less a compression's ending, and with the mode below.
	File     string
	Mode     fs.FileMode // permission bits of a revision that is no tree
	Size     int64       // bytes of the archive
	SHA256   [sha256.Size]byte
	Unpacked archive.Totals
	Hooks    []string // those present, such as post-sync
	Op       string   // of the command that spooled it
	At       time.Time
	By       string // user@host
	Note     string
}

const (
	manifestFormat    = "ftl manifest 1"
	maxManifestHeader = 16 << 10
)

// ReadManifest reads the manifest of r. The error satisfies fs.ErrNotExist
// where the bucket has no such revision.
func ReadManifest(ctx context.Context, bucket store.Bucket, r revision.Revision) (Manifest, error) {
	body, _, err := bucket.Get(ctx, manifestKey(r), store.GetOptions{Length: maxManifestHeader})
	if err != nil {
		return Manifest{}, err
	}
	defer body.Close()
	header, err := io.ReadAll(io.LimitReader(body, maxManifestHeader))
	if err != nil {
		return Manifest{}, err
	}
	manifest, err := parseManifest(header)
	if err == nil && manifest.Revision != r {
		err = fmt.Errorf("it is the manifest of %s", manifest.Revision)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("read %s: %w", manifestKey(r), err)
	}
	return manifest, nil
}

// header returns the text form, with the empty line that ends it.
func (m Manifest) header() []byte {
	var text bytes.Buffer
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&text, "%s: %s\n", key, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(&text, manifestFormat)
	line("package", "%s", m.Revision.Package())
	line("id", "%s", m.Revision.ID())
	line("archive", "%s", m.Archive)
	line("form", "%s", m.Form)
	line("file", "%s", m.File)
	line("mode", "%04o", m.Mode.Perm())
	line("size", "%d", m.Size)
	line("sha256", "%x", m.SHA256)
	line("unpacked", "%d", m.Unpacked.Bytes)
	line("entries", "%d", m.Unpacked.Entries)
	line("hooks", "%s", strings.Join(m.Hooks, " "))
	line("op", "%s", m.Op)
	line("at", "%s", m.At.UTC().Format(time.RFC3339))
	line("by", "%s", word(m.By))
	if m.Note != "" {
		line("note", "%s", strconv.Quote(m.Note))
	}
	fmt.Fprintln(&text)
	return text.Bytes()
}

// parseManifest reads the header at the beginning of a manifest. Unknown keys
// are ignored, missing ones are not.
func parseManifest(text []byte) (Manifest, error) {
	end := bytes.Index(text, []byte("\n\n"))
	if end < 0 {
		return Manifest{}, fmt.Errorf("no header ends within %d bytes; it is no manifest", maxManifestHeader)
	}
	lines := bufio.NewScanner(bytes.NewReader(text[:end]))
	if !lines.Scan() || lines.Text() != manifestFormat {
		return Manifest{}, fmt.Errorf("the first line is %q; this ftl knows %q", lines.Text(), manifestFormat)
	}
	values := make(map[string]string)
	for lines.Scan() {
		key, value, found := strings.Cut(lines.Text(), ":")
		if !found {
			return Manifest{}, fmt.Errorf("the header has the line %q", lines.Text())
		}
		values[key] = strings.TrimSpace(value)
	}
	return manifestOf(values)
}

func manifestOf(values map[string]string) (Manifest, error) {
	var errs []error
	field := func(key string, parse func(value string) error) {
		value, found := values[key]
		if !found {
			errs = append(errs, fmt.Errorf("%s is missing", key))
		} else if err := parse(value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	m := Manifest{Op: values["op"], Hooks: strings.Fields(values["hooks"]), By: unquote(values["by"]), Note: unquote(values["note"])}
	field("id", func(id string) (err error) {
		m.Revision, err = revision.Parse(values["package"] + "." + id)
		return err
	})
	field("archive", func(key string) error {
		m.Archive = key
		if r, extension, ok := keyRevision(key); !ok || r != m.Revision || extension == manifestExtension {
			return fmt.Errorf("%q is not the key of an archive of %s", key, m.Revision)
		}
		return nil
	})
	field("form", func(form string) (err error) {
		m.Form, err = archive.ParseForm(form)
		return err
	})
	field("file", func(name string) error {
		m.File = name
		_, _, err := splitName(name)
		return err
	})
	field("mode", func(mode string) error {
		bits, err := strconv.ParseUint(mode, 8, 9)
		m.Mode = fs.FileMode(bits)
		return err
	})
	field("sha256", func(digest string) error {
		sum, err := hex.DecodeString(digest)
		if err == nil && len(sum) != sha256.Size {
			err = errors.New("it is no SHA-256")
		}
		copy(m.SHA256[:], sum)
		return err
	})
	field("at", func(at string) (err error) {
		m.At, err = time.Parse(time.RFC3339, at)
		return err
	})
	field("size", amount(&m.Size))
	field("unpacked", amount(&m.Unpacked.Bytes))
	field("entries", amount(&m.Unpacked.Entries))
	return m, errors.Join(errs...)
}

// amount parses a number that is not negative.
func amount(to *int64) func(string) error {
	return func(value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err == nil && n < 0 {
			err = fmt.Errorf("%d is negative", n)
		}
		*to = n
		return err
	}
}

// unquote undoes word.
func unquote(value string) string {
	if plain, err := strconv.Unquote(value); err == nil && value[0] == '"' {
		return plain
	}
	return value
}
