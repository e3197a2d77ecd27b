package catalog

import (
	"bufio"
	"bytes"
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
)

// Pin makes the header say which index stands below it. A manifest without one pins none.
func (m *Manifest) Pin(index io.Reader) (err error) {
	m.index, err = pinOf(index)
	return err
}

// Header returns the text form, with the empty line that ends it.
func (m Manifest) Header() []byte {
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
	if len(m.Labels) > 0 {
		line("labels", "%s", m.Labels)
	}
	if !m.About.IsZero() {
		line("about", "%s", m.About.text())
	}
	if m.index != (pin{}) {
		line("index", "%d %x", m.index.size, m.index.sha256)
	}
	fmt.Fprintln(&text)
	return text.Bytes()
}

// headerEnd ends the last line of a header, and is the empty line below it.
const headerEnd = "\n\n"

// splitManifest cuts a manifest into its header and what stands below it.
func splitManifest(text []byte) (header, below []byte, err error) {
	header, below, found := bytes.Cut(text, []byte(headerEnd))
	if !found || len(header) > maxManifestHeader {
		return nil, nil, fmt.Errorf("no header ends within %d bytes; it is no manifest", maxManifestHeader)
	}
	return header, below, nil
}

// skipBlocks cuts armoured blocks, each from a line "-----BEGIN …-----" to a line "-----END
// …-----", off the beginning of what stands below a header.
func skipBlocks(below []byte) ([]byte, error) {
	const begin, end = "-----BEGIN ", "\n-----END "
	for bytes.HasPrefix(below, []byte(begin)) {
		at := bytes.Index(below, []byte(end))
		if at < 0 {
			return nil, errors.New("a block below the header has no end")
		}
		_, after, found := bytes.Cut(below[at+1:], []byte("\n"))
		if !found {
			return nil, nil
		}
		below = after
	}
	return below, nil
}

// ParseManifest reads what Header wrote.
func ParseManifest(header []byte) (Manifest, error) { return parseManifest(header) }

// parseManifest reads the header at the beginning of a manifest. Unknown keys are ignored, unless
// they are critical; missing ones are not.
func parseManifest(text []byte) (Manifest, error) {
	header, _, err := splitManifest(text)
	if err != nil {
		return Manifest{}, err
	}
	lines := bufio.NewScanner(bytes.NewReader(header))
	if !lines.Scan() || lines.Text() != manifestFormat {
		return Manifest{}, fmt.Errorf("the first line is %q; this ftl knows %q", lines.Text(), manifestFormat)
	}
	values := make(map[string]string)
	var unknown []string
	for lines.Scan() {
		key, value, found := strings.Cut(lines.Text(), ":")
		if !found {
			return Manifest{}, fmt.Errorf("the header has the line %q", lines.Text())
		}
		values[key] = strings.TrimSpace(value)
		if isCritical(key) {
			unknown = append(unknown, key)
		}
	}
	if err := newer(unknown, "the manifest of %s.%s", values["package"], values["id"]); err != nil {
		return Manifest{}, err
	}
	manifest, err := manifestOf(values)
	manifest.Digest = sha256.Sum256(text[:len(header)+len(headerEnd)])
	return manifest, err
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
		_, _, err := SplitName(name)
		return err
	})
	field("mode", func(mode string) error {
		bits, err := strconv.ParseUint(mode, 8, 9)
		m.Mode = fs.FileMode(bits)
		return err
	})
	field("sha256", digest(&m.SHA256))
	field("at", func(at string) (err error) {
		m.At, err = time.Parse(time.RFC3339, at)
		return err
	})
	if _, found := values["labels"]; found {
		field("labels", func(value string) (err error) {
			m.Labels, err = readLabels(value)
			return err
		})
	}
	if _, found := values["about"]; found {
		field("about", func(value string) (err error) {
			m.About, err = readAbout(value)
			return err
		})
	}
	if _, found := values["index"]; found {
		field("index", func(value string) error {
			size, sum, _ := strings.Cut(value, " ")
			return errors.Join(amount(&m.index.size)(size), digest(&m.index.sha256)(sum))
		})
	}
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

// digest parses a SHA-256 in hexadecimal digits.
func digest(to *[sha256.Size]byte) func(string) error {
	return func(value string) error {
		sum, err := hex.DecodeString(value)
		if err == nil && len(sum) != sha256.Size {
			err = errors.New("it is no SHA-256")
		}
		copy(to[:], sum)
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
