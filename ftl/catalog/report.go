package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
	"github.com/rhettg/ftl/store"
)

// Report is what a host says of itself and of all its packages. It is shown to people, and counted
// when a rollout is planned. Nothing that a host runs depends on it.
type Report struct {
	Format  int               `json:"format"`
	Host    string            `json:"host"`    // as people call it
	Machine string            `json:"machine"` // a digest that tells two machines apart which call themselves alike
	Version string            `json:"version"` // of ftl
	Labels  map[string]string `json:"labels,omitempty"`
	Time    time.Time         `json:"time"` // by the host's clock

	Every     Duration `json:"every"` // between two syncs, as measured
	Splay     Duration `json:"splay"`
	Heartbeat Duration `json:"heartbeat"` // how often it reports at least
	Delay     Duration `json:"delay"`
	Hook      Duration `json:"hook_timeout"`
	Check     Duration `json:"check_timeout"`
	Canary    string   `json:"canary,omitempty"` // "always" or "never"
	Keep      int      `json:"keep"`

	Packages []PackageReport `json:"packages"`
	// Cut is set where the report would have been too long, so that some of it was left out.
	Cut bool `json:"cut,omitempty"`
}

// PackageReport is what a host says of a package.
type PackageReport struct {
	ftl.Status
	Serial    int64          `json:"serial"`           // of the entry that it acts on
	Newest    int64          `json:"newest,omitempty"` // of the newest entry that it has read
	Entry     Digest         `json:"entry,omitzero"`   // of that, so that two hosts that were shown different ones are found
	Jump      *JumpReport    `json:"jump,omitempty"`
	Steps     []ftl.Event    `json:"steps,omitempty"`     // of the last change
	Decisions []ftl.Decision `json:"decisions,omitempty"` // as ftl why tells them
}

// JumpReport is the last jump of a package.
type JumpReport struct {
	To     revision.Revision `json:"to"`
	State  ftl.State         `json:"state"`
	Took   Duration          `json:"took"`
	Time   time.Time         `json:"time"`
	Reason string            `json:"reason"`
}

// Duration is a time.Duration that JSON has in seconds.
type Duration time.Duration

// MarshalJSON returns the seconds.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).Seconds()) }

// UnmarshalJSON reads seconds. What no host would say is an error.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return err
	}
	const longest = 10 * 365 * 24 * time.Hour
	if seconds < 0 || seconds > longest.Seconds() {
		return fmt.Errorf("%v seconds are no duration of a host", seconds)
	}
	*d = Duration(seconds * float64(time.Second))
	return nil
}

// Limits of a report.
const (
	MaxReport    = 32 << 10 // bytes
	reportFormat = 1
	reportPrefix = ours + "hosts/"
)

// ReportKey returns the key of a host's report.
func ReportKey(node Node) string { return reportPrefix + node.String() }

// Encode returns the report as it is stored, and leaves out what would make it too long: first the
// steps, then what decisions say, then the messages. Who the host is and how its packages are is
// never left out.
func (r Report) Encode() ([]byte, error) {
	r.Format = reportFormat
	for _, shorten := range []func(*PackageReport){
		func(*PackageReport) {},
		func(p *PackageReport) { p.Steps = nil },
		func(p *PackageReport) { p.Decisions = nil },
		func(p *PackageReport) { p.Message, p.HeldReason = "", "" },
	} {
		packages := make([]PackageReport, len(r.Packages))
		for i, p := range r.Packages {
			shorten(&p)
			packages[i] = p
		}
		r.Packages = packages
		text, err := json.Marshal(r)
		if err != nil || len(text) <= MaxReport {
			return text, err
		}
		r.Cut = true
	}
	return nil, fmt.Errorf("the report of %d packages is longer than %d bytes", len(r.Packages), MaxReport)
}

// DecodeReport reads what Encode gives, also of a newer ftl.
func DecodeReport(text []byte) (Report, error) {
	var r Report
	if len(text) > MaxReport {
		return r, fmt.Errorf("it is longer than %d bytes", MaxReport)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return Report{}, err
	}
	if r.Format < 1 {
		return Report{}, fmt.Errorf("it has no format")
	}
	return r, nil
}

// PutReport writes the report of a host, and returns what the bucket says of it.
func (c *Catalog) PutReport(ctx context.Context, node Node, r Report) (store.Object, error) {
	text, err := r.Encode()
	if err != nil {
		return store.Object{}, err
	}
	return c.Put(ctx, ReportKey(node), bytes.NewReader(text), store.PutOptions{SHA256: sha256.Sum256(text)})
}

// Report reads the report of a host. Absence satisfies fs.ErrNotExist.
func (c *Catalog) Report(ctx context.Context, node Node) (Report, store.Object, error) {
	text, object, err := readObject(ctx, c.Bucket, ReportKey(node), MaxReport+1)
	if err != nil {
		return Report{}, object, err
	}
	report, err := DecodeReport(text)
	if err != nil {
		return Report{}, object, refused(fmt.Errorf("read %s: %w", ReportKey(node), err))
	}
	return report, object, nil
}

// Reported is a host whose report is in the bucket.
type Reported struct {
	Node Node
	ETag string
	At   time.Time // when the bucket got it
}

// Reports lists the hosts that have reported, in the order of their names, and the bucket's clock.
func (c *Catalog) Reports(ctx context.Context) ([]Reported, time.Time, error) {
	listing, err := c.List(ctx, store.ListOptions{Prefix: reportPrefix})
	if err != nil {
		return nil, time.Time{}, err
	}
	var all []Reported
	for _, object := range listing.Objects {
		if node, err := ParseNode(strings.TrimPrefix(object.Key, reportPrefix)); err == nil {
			all = append(all, Reported{node, object.ETag, object.Modified})
		}
	}
	return all, listing.Date, nil
}

// ForgetReport deletes the report of a host.
func (c *Catalog) ForgetReport(ctx context.Context, node Node) error {
	return c.Delete(ctx, ReportKey(node))
}
