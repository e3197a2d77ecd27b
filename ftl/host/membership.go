package host

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/store"
)

// Membership is what a host tells the fleet of itself, and its place in rollouts. The zero value is
// that of a host that says what is usual.
type Membership struct {
	ID        string            // in the keys of the bucket; "" is the node's name
	Labels    map[string]string // by which hosts are told apart
	Heartbeat time.Duration     // how often it reports at least; negative: never; 0: once an hour
	Detail    Detail
	Canary    string // "always", "never" or ""
}

// Detail is how much of what hooks print leaves the host.
type Detail string

// How much of what hooks print leaves the host.
const (
	DetailLine Detail = "line" // the last line of a hook that failed, cut
	DetailFull Detail = "full" // its last lines
	DetailNone Detail = "none"
)

// DefaultHeartbeat is how often a host reports at least.
const DefaultHeartbeat = time.Hour

const (
	reportPatience = 5 * time.Second
	shownLine      = 200     // bytes of the last line of a hook
	shownLines     = 2 << 10 // of its last lines
	shownSteps     = 30      // of the last change
	longestBackoff = time.Hour
)

// node is what the host is called in keys.
func (h *Host) node() catalog.Node { return catalog.NodeOf(cmp.Or(h.Membership.ID, h.Node)) }

func (h *Host) heartbeat() time.Duration { return cmp.Or(h.Membership.Heartbeat, DefaultHeartbeat) }

// recognize learns the host's name in keys, where the credentials tell it: once an hour, as they
// seldom change. A name that was learnt stays while nobody can be asked. A host without one takes
// no part in what needs one, and why says so.
func (h *Host) recognize(ctx context.Context, keep bool) {
	if h.Identify == nil {
		return
	}
	m := h.recall()
	known, now := m.Identity, time.Now()
	if age := now.Sub(known.At); known.ID == "" || keep && (age < 0 || age >= longestRest) {
		id, err := h.Identify(ctx)
		if h.unnamed = err; err == nil {
			known = identity{id, now}
		}
		if m.Identity = known; err == nil && keep {
			h.remember(m)
		}
	}
	if h.Membership.ID = known.ID; known.ID != "" {
		h.unnamed = nil
	}
}

// reportSelf tells the bucket how the host is, where that has changed or it is time to. It is best
// effort: it never makes a sync fail, nor last long.
func (h *Host) reportSelf(ctx context.Context, packages []*pkg, m *memory, splay time.Duration, open func() (*catalog.Catalog, error)) {
	now := time.Now()
	if ctx.Err() != nil || !h.reportDue(*m, packages, now) {
		return
	}
	if h.unnamed != nil {
		return // which why says
	}
	report := h.makeReport(ctx, packages, *m, splay)
	sum := sumOf(report)
	if since := now.Sub(m.Report.At); sum != "" && sum == m.Report.Sum && m.Report.Failed == "" && since >= 0 && since < h.heartbeat() {
		m.Report.Same, m.Report.Settings = now, m.Settings
		return
	}
	bucket, err := open()
	if err != nil {
		return // which the sync has told
	}
	ctx, cancel := context.WithTimeout(ctx, reportPatience)
	defer cancel()
	m.Report.noteForeign(ctx, bucket, h.node())
	object, err := bucket.PutReport(ctx, h.node(), report)
	if err != nil {
		m.Report.fail(err, now)
		return
	}
	m.Report = reported{At: now, ETag: object.ETag, Settings: m.Settings, Sum: sum, Foreign: m.Report.Foreign}
}

// sumOf is a digest of what a report says of how the host is: not when that was, nor by which steps
// it came to be so. In a rollout a check is asked at each sync, and each host would report at each
// sync that nothing has changed.
func sumOf(r catalog.Report) string {
	r.Time, r.Every = time.Time{}, 0
	r.Packages = slices.Clone(r.Packages)
	for i := range r.Packages {
		r.Packages[i].Steps, r.Packages[i].Decisions, r.Packages[i].LastSync = nil, nil, ftl.Time{}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return "" // which no report had: it is told
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))
}

// reportDue reports whether the bucket is to be told how the host is: something has changed, it was
// not told for long, or a try that failed is due again.
func (h *Host) reportDue(m memory, packages []*pkg, now time.Time) bool {
	since := now.Sub(m.Report.At)
	switch {
	case h.heartbeat() < 0:
		return false
	case m.Report.Failed != "":
		return !now.Before(m.Report.Next) || m.Report.Next.Sub(now) > longestBackoff
	case since < 0 || since >= h.heartbeat() || m.Settings != m.Report.Settings:
		return true
	}
	for _, p := range packages {
		if changed := p.ChangedAt(); changed.After(m.Report.At) && changed.After(m.Report.Same) {
			return true
		}
	}
	return false
}

// fail notes why a report could not be written, and when to try again.
func (r *reported) fail(err error, now time.Time) {
	r.Failed = err.Error()
	r.Next = now.Add(min(time.Minute<<min(r.Tries, 10), longestBackoff))
	r.Tries++
}

// noteForeign looks whether somebody else has written the report since. A host can't read it, but
// it can list it.
func (r *reported) noteForeign(ctx context.Context, bucket *catalog.Catalog, node catalog.Node) {
	if r.ETag == "" {
		return
	}
	listing, err := bucket.List(ctx, store.ListOptions{Prefix: catalog.ReportKey(node), Limit: 1})
	if err != nil || len(listing.Objects) == 0 || listing.Objects[0].Key != catalog.ReportKey(node) {
		return
	}
	if listing.Objects[0].ETag == r.ETag {
		r.Foreign = 0
	} else {
		r.Foreign++
	}
}

// twin reports whether another machine calls itself like this one.
func (r reported) twin() bool { return r.Foreign >= 2 }

func (h *Host) makeReport(ctx context.Context, packages []*pkg, m memory, splay time.Duration) catalog.Report {
	r := catalog.Report{
		Host: h.Node, Machine: machine(), Version: h.Version, Labels: h.Membership.Labels, Time: time.Now(),
		Every: catalog.Duration(m.every()), Splay: catalog.Duration(splay), Heartbeat: catalog.Duration(h.heartbeat()),
		Delay: catalog.Duration(h.Delay), Hook: catalog.Duration(h.hookTimeout()), Check: catalog.Duration(h.checkTimeout()),
		Canary: h.Membership.Canary, Keep: h.Keep,
	}
	for _, p := range packages {
		if of, ok := p.makeReport(ctx, h.Membership.Detail); ok {
			r.Packages = append(r.Packages, of)
		}
	}
	return r
}

// makeReport says how a package is, and false where it is not on this host any more.
func (p *pkg) makeReport(ctx context.Context, detail Detail) (catalog.PackageReport, bool) {
	result := p.result(ctx, Result{})
	if result.Status.Package != p.Name {
		return catalog.PackageReport{}, false
	}
	r := catalog.PackageReport{Status: result.Status, Decisions: result.Status.Decisions}
	if st, err := p.ReadState(); err == nil {
		r.Serial, r.Newest, r.Entry = st.Acted.Serial, st.Seen.Serial, st.SeenEntry
	}
	r.Jump, r.Steps = lastJump(result.log, detail)
	r.Message = detail.text(r.Message)
	for i := range r.Decisions {
		r.Decisions[i].Output = detail.output(r.Decisions[i].Output)
	}
	return r, true
}

// lastJump returns the last jump of a log, and the steps since it began.
func lastJump(log []tree.LogLine, detail Detail) (*catalog.JumpReport, []ftl.Event) {
	var jump *catalog.JumpReport
	var began time.Time
	for _, line := range log {
		if line.Name == ftl.Jump && line.State != ftl.Running {
			took := time.Duration(line.Duration * float64(time.Second))
			jump = &catalog.JumpReport{To: line.Revision, State: line.State, Took: catalog.Duration(took), Time: line.Time, Reason: string(line.Reason)}
			began = line.Time.Add(-took)
		}
	}
	var steps []ftl.Event
	for _, line := range log {
		if line.Time.Before(began) || line.State == ftl.Running || line.Name == ftl.Jump || line.Name == ftl.Sync {
			continue
		}
		message := detail.text(line.Message)
		if _, _, own := line.Name.Own(); own && detail == DetailNone { // the hook has printed it
			message = ""
		}
		steps = append(steps, ftl.Event{Time: line.Time, Revision: line.Revision, Step: line.Name, State: line.State, Message: message, Seconds: line.Duration})
	}
	return jump, steps[max(0, len(steps)-shownSteps):]
}

// text is what leaves the host of a message, which a hook may have had a part in.
func (d Detail) text(message string) string {
	if d == DetailFull {
		return cut(message, shownLines)
	}
	return cut(message, shownLine)
}

// output is what leaves the host of what a hook has printed.
func (d Detail) output(text string) string {
	text = strings.TrimRight(text, "\n")
	switch d {
	case DetailNone:
		return ""
	case DetailFull:
		return text[max(0, len(text)-shownLines):]
	}
	return cut(text[strings.LastIndexByte(text, '\n')+1:], shownLine)
}

func cut(text string, limit int) string {
	text = hooks.Harmless(text)
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// machine is a digest by which two machines are told apart, and nothing else is told of them.
func machine() string {
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil || len(bytes.TrimSpace(id)) == 0 {
		name, err := os.Hostname()
		if errors.Join(err) != nil {
			return ""
		}
		id = []byte(name)
	}
	sum := sha256.Sum256(append([]byte("ftl machine\x00"), bytes.TrimSpace(id)...))
	return fmt.Sprintf("%x", sum[:8])
}
