package catalog

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/revision"
)

// Verification is what came of looking at one statement. As JSON it is a line of ftl verify.
type Verification struct {
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"` // zero where the statement can't be read
	Kind     string            `json:"kind"`     // "revision" or "blessing"
	Key      string            `json:"key"`      // of the object
	Line     int               `json:"line"`     // of a marker, from 1; 0 in a manifest
	Serial   int64             `json:"serial"`
	At       ftl.Time          `json:"at"`
	Expires  ftl.Time          `json:"expires"`
	Trusted  bool              `json:"trusted"`
	Signer   trust.Signer      `json:"signer"`  // who has signed, where that is trusted
	Message  string            `json:"message"` // why it does not count, "" where it does

	content Digest // of what was signed, of a blessing
}

// The kinds of statement.
const (
	KindOfRevision = "revision"
	KindOfBlessing = "blessing"
)

// VerifyRevision looks at each signature of a revision. One without any has one verification, which
// says so. Trust is required.
func (c *Catalog) VerifyRevision(ctx context.Context, r revision.Revision) ([]Verification, error) {
	manifest, text, err := c.WholeManifest(ctx, r)
	if err != nil {
		return nil, err
	}
	found := Verification{Package: r.Package(), Revision: r, Kind: KindOfRevision, Key: ManifestKey(r), At: ftl.At(manifest.At)}
	signed, err := cutSigned(text)
	if err == nil && len(signed.signatures) == 0 {
		err = ErrUnsigned
	}
	if err != nil {
		found.Message = err.Error()
		return []Verification{found}, nil
	}
	var all []Verification
	for _, signature := range signed.signatures {
		one := found
		one.Signer.Fingerprint = signature.Fingerprint()
		signer, err := c.Trust.Signers.Verify(revisionNamespace(r.Package()), signed.statement, signature, c.Trust.clock(time.Time{}))
		if err == nil {
			one.Trusted, one.Signer = true, signer
		} else {
			one.Message = err.Error()
		}
		all = append(all, one)
	}
	return all, nil
}

// VerifyMarker looks at each line of a marker, the newest first. A package without a marker has
// none. Trust is required.
func (c *Catalog) VerifyMarker(ctx context.Context, pkg revision.Package) ([]Verification, error) {
	text, object, err := readObject(ctx, c.Bucket, MarkerKey(pkg), maxMarkerBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Verification
	last := int64(MaxSerial + 1)
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		one := Verification{Package: pkg, Kind: KindOfBlessing, Key: MarkerKey(pkg), Line: i + 1}
		entry, err := c.Trust.readLine(pkg, line, c.Trust.clock(object.Date))
		if err == nil && entry.Serial >= last {
			err = errSerial
		}
		if err == nil {
			one.Trusted, one.Signer, one.content, last = true, entry.Signer, entry.Digest(), entry.Serial
		} else {
			one.Message = err.Error()
			entry, _ = parseEntry(line) // as it claims to be
		}
		if refusal, ok := errors.AsType[*trust.Refusal](err); ok {
			one.Signer = trust.Signer{Principals: refusal.Principals, Fingerprint: refusal.Fingerprint}
		}
		one.Revision, one.Serial, one.At, one.Expires = entry.Revision, entry.Serial, ftl.At(entry.At), ftl.At(entry.Expires)
		all = append(all, one)
	}
	return all, nil
}

// SignedBy returns who has signed a revision, and is trusted; zero is nobody. Trust is required.
func (c *Catalog) SignedBy(ctx context.Context, r revision.Revision) (trust.Signer, error) {
	manifest, err := c.Manifest(ctx, r)
	if _, distrusted := errors.AsType[*TrustError](err); distrusted {
		return trust.Signer{}, nil
	}
	return manifest.Signer, err
}

// DescribeSigners adds who has signed each revision. Trust is required.
func (c *Catalog) DescribeSigners(ctx context.Context, listed []Listed) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelChecks)
	for i := range listed {
		group.Go(func() error {
			signer, err := c.SignedBy(ctx, listed[i].Revision)
			if errors.Is(err, fs.ErrNotExist) { // purged meanwhile
				err = nil
			}
			listed[i].Signer = &signer
			return err
		})
	}
	return group.Wait()
}

// NameSigners adds to the entries of a marker, which were read without trust, who has signed each.
// Without trust it adds nobody.
func (c *Catalog) NameSigners(ctx context.Context, marker Marker) error {
	if c.Trust == nil {
		return nil
	}
	all, err := c.VerifyMarker(ctx, marker.Package)
	if err != nil {
		return err
	}
	byLine := make(map[Digest]trust.Signer)
	for _, v := range all {
		if v.Trusted {
			byLine[v.content] = v.Signer
		}
	}
	for i := range marker.Entries {
		marker.Entries[i].Signer = byLine[marker.Entries[i].Digest()]
	}
	return nil
}

var errSerial = errors.New("its serial is not below that of the line above")
