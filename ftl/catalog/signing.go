package catalog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
)

// Two statements are signed, each for its own namespace, so that a key can be limited to one kind,
// and to some packages, by OpenSSH's own list of allowed signers. Each stands in one object with
// its signature.
//
//   - That a revision is what somebody has spooled. The signed bytes are the header of its manifest with the empty line that
//     ends it. One to four armoured signatures stand directly below.
//   - That a revision is blessed. The signed bytes name the bucket, and then have the marker's line as it is, up to the word
//     that is the signature.

// revisionNamespace and blessingNamespace are what signatures of a package's statements are made
// for.
func revisionNamespace(pkg revision.Package) string { return "ftl-revision@" + pkg.String() }
func blessingNamespace(pkg revision.Package) string { return "ftl-marker@" + pkg.String() }

const (
	blessingStatement = "ftl marker 1\n" // begins what is signed of a marker's line
	signatureWord     = " sig="
	maxSignedLine     = 4 << 10

	signatureBegin = "-----BEGIN SSH SIGNATURE-----\n"
	signatureEnd   = "\n-----END SSH SIGNATURE-----\n"
	blockBegin     = "-----BEGIN "
	maxSignatures  = 4 // of a manifest
)

// blessing returns what is signed of a marker's line, which has no signature yet.
func (i Identity) blessing(line string) []byte {
	return []byte(blessingStatement + i.name + "\n" + line + "\n")
}

// Signer makes signatures. It is a [trust.Key], or a person who is asked for one.
type Signer interface {
	// Sign returns the signature of a message for a namespace, in its binary form.
	Sign(namespace string, message []byte) ([]byte, error)
}

// Signing is how whoever writes a bucket signs. Nil is not at all.
type Signing struct {
	Signer
	Bucket Identity // that blessings are for
}

// line returns a marker's line with its signature.
func (s *Signing) line(pkg revision.Package, line string) (string, error) {
	if s == nil {
		return line, nil
	}
	if err := checkLine(line); err != nil {
		return "", fmt.Errorf("sign the blessing: %w", err)
	}
	if strings.Contains(line, signatureWord) {
		return "", &ftl.Error{Kind: ftl.Refused, Hint: "write the note or the parameter in another way",
			Err: fmt.Errorf("sign the blessing: what is signed can't contain %q", strings.TrimSpace(signatureWord))}
	}
	signature, err := s.Sign(blessingNamespace(pkg), s.Bucket.blessing(line))
	if err != nil {
		return "", fmt.Errorf("sign the blessing: %w", err)
	}
	line += signatureWord + base64.StdEncoding.EncodeToString(signature)
	if len(line) > maxSignedLine {
		return "", ftl.Errorf(ftl.Refused, "shorten the note or the parameters",
			"the signed blessing would be %d bytes long, and %d are the most", len(line), maxSignedLine)
	}
	return line, nil
}

// Manifest returns a manifest with one more signature below its header, in place of one by the same
// key.
func (s *Signing) Manifest(pkg revision.Package, text []byte) ([]byte, error) {
	if s == nil {
		return text, nil
	}
	signed, err := cutSigned(text)
	if err != nil {
		return nil, fmt.Errorf("sign the revision: %w", err)
	}
	blob, err := s.Sign(revisionNamespace(pkg), signed.statement)
	if err != nil {
		return nil, fmt.Errorf("sign the revision: %w", err)
	}
	block := trust.Armor(blob)
	own, err := trust.Dearmor(block)
	if err != nil {
		return nil, fmt.Errorf("sign the revision: %w", err)
	}
	all := bytes.Clone(signed.statement)
	kept := 0
	for i, old := range signed.signatures {
		if old.Fingerprint() != own.Fingerprint() {
			all = append(all, signed.blocks[i]...)
			kept++
		}
	}
	if kept == maxSignatures {
		return nil, fmt.Errorf("sign the revision: it has %d signatures by others, and %d are the most", kept, maxSignatures)
	}
	return append(append(all, block...), signed.rest...), nil
}

// signedManifest is a manifest taken apart, of which nothing was verified.
type signedManifest struct {
	statement  []byte // the header with the empty line that ends it
	blocks     [][]byte
	signatures []trust.Signature // of the blocks
	rest       []byte
}

// cutSigned takes a manifest apart. Blocks below the header have to be signatures, each by another
// key.
func cutSigned(text []byte) (signedManifest, error) {
	header, rest, err := splitManifest(text)
	if err != nil {
		return signedManifest{}, err
	}
	s := signedManifest{statement: text[:len(header)+len(headerEnd)], rest: rest}
	keys := make(map[string]bool)
	for bytes.HasPrefix(s.rest, []byte(blockBegin)) {
		end := bytes.Index(s.rest, []byte(signatureEnd))
		if !bytes.HasPrefix(s.rest, []byte(signatureBegin)) || end < 0 {
			return s, errors.New("a block below its header is not a signature")
		}
		end += len(signatureEnd)
		signature, err := trust.Dearmor(s.rest[:end])
		if err != nil {
			return s, err
		}
		if keys[signature.Fingerprint()] {
			return s, fmt.Errorf("it has two signatures by the key %s", signature.Fingerprint())
		}
		keys[signature.Fingerprint()] = true
		s.blocks, s.signatures, s.rest = append(s.blocks, s.rest[:end]), append(s.signatures, signature), s.rest[end:]
	}
	if len(s.blocks) > maxSignatures {
		return s, fmt.Errorf("it has %d signatures, and %d are the most", len(s.blocks), maxSignatures)
	}
	return s, nil
}

// checkLine refuses a line of which two readers could make two things.
func checkLine(line string) error {
	switch {
	case len(line) > maxSignedLine:
		return fmt.Errorf("it is %d bytes long, and %d are the most", len(line), maxSignedLine)
	case line == "" || line[0] == ' ':
		return errors.New("it is empty, or begins with a blank")
	}
	for _, c := range []byte(line) {
		if c < ' ' || c == 0x7f {
			return fmt.Errorf("it has the control character %q", c)
		}
	}
	_, rest := cutBlank(line)
	seen := make(map[string]bool)
	for {
		rest = strings.TrimLeft(rest, " ")
		if rest == "" {
			return nil
		}
		key, _, after, err := nextWord(rest)
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("it says %s twice", key)
		}
		seen[key], rest = true, after
	}
}
