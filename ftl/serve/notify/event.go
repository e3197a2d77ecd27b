package notify

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// Type says what has happened.
type Type string

// What is told.
const (
	RolloutStarted  Type = "rollout.started"
	RolloutHalted   Type = "rollout.halted"
	RolloutFinished Type = "rollout.finished"
	HostRejected    Type = "host.rejected"
	HostSilent      Type = "host.silent"
)

// Data is what an event is about.
type Data struct {
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"`
	Serial   int64             `json:"serial"`
	By       string            `json:"by"` // who has blessed it
	Hosts    []string          `json:"hosts"`
	Why      string            `json:"why"`
	Link     string            `json:"link"` // to the page about it; "" where none is known
}

// Event is what has happened. As JSON it is the body that is sent, as Standard Webhooks recommends
// it, with a text for tools that know nothing of it.
type Event struct {
	Type Type      `json:"type"`
	Time time.Time `json:"timestamp"` // when it was seen, by the bucket's clock
	Data Data      `json:"data"`
	Text string    `json:"text"`

	key     string   // the same for the same event, at every server
	one     bool     // about one host
	members []string // the IDs of the events that this one stands for
}

// ID is by what a receiver knows an event that it gets again.
func (e Event) ID() string {
	sum := sha256.Sum256([]byte(e.key))
	return fmt.Sprintf("%x", sum[:16])
}

// Look is what the bucket says at a moment.
type Look struct {
	Date      time.Time // its clock
	Hosts     []fleet.Host
	Blessings []fleet.Blessing
}

// many is of how many hosts the same is told at once, instead of host by host.
const many = 20

// events returns what holds at a moment and is worth telling, whether it was told or not.
func (l Look) events() (all []Event) {
	for _, b := range l.Blessings {
		active, ok := b.Marker.Active()
		if !ok {
			continue
		}
		if b.Count != nil {
			all = append(all, l.ofRollout(active, b.Count)...)
		}
		all = append(all, l.rejected(active)...)
	}
	return append(all, l.silent()...)
}

func (l Look) event(kind Type, entry catalog.Entry, key string) Event {
	return Event{
		Type: kind, Time: l.Date, key: fmt.Sprintf("%s %s %d %s", kind, entry.Revision, entry.Serial, key),
		Data: Data{Package: entry.Revision.Package(), Revision: entry.Revision, Serial: entry.Serial, By: entry.By, Hosts: []string{}},
	}
}

func (l Look) ofRollout(entry catalog.Entry, count *rollout.Count) []Event {
	started := l.event(RolloutStarted, entry, "")
	started.Text = fmt.Sprintf("%s: the rollout of %s has started, in %d waves%s", entry.Revision.Package(), entry.Revision, len(count.Waves), entry.Origin())
	all := []Event{started}
	if count.Halt != nil {
		halted := l.event(RolloutHalted, entry, "")
		halted.Data.Why = count.Halt.String()
		for _, f := range count.Halt.Failures {
			halted.Data.Hosts = append(halted.Data.Hosts, f.Host)
		}
		halted.Text = fmt.Sprintf("%s: the rollout of %s has halted: %s", entry.Revision.Package(), entry.Revision, halted.Data.Why)
		return append(all, halted)
	}
	if count.Complete() && len(count.Undecided()) == 0 {
		finished := l.event(RolloutFinished, entry, "")
		finished.Text = fmt.Sprintf("%s: the rollout of %s has finished", entry.Revision.Package(), entry.Revision)
		all = append(all, finished)
	}
	return all
}

// rejected are the hosts that have left what is blessed again.
func (l Look) rejected(entry catalog.Entry) (all []Event) {
	pkg := entry.Revision.Package()
	for _, h := range l.Hosts {
		if p, ok := h.Package(pkg); ok && p.Condition == ftl.Rejected && p.Serial == entry.Serial && !h.Silent {
			e := l.event(HostRejected, entry, h.Node.String())
			e.Data.Why = fleet.Reason(p.Message)
			e.Text = fmt.Sprintf("%s: %s was rejected by %s: %s", pkg, entry.Revision, h.Name(), e.Data.Why)
			all = append(all, e.of(h))
		}
	}
	return all
}

// silent are the hosts that were not heard from.
func (l Look) silent() (all []Event) {
	for _, h := range l.Hosts {
		if h.Silent {
			since := h.At.UTC().Format(time.RFC3339)
			e := l.event(HostSilent, catalog.Entry{}, h.Node.String()+" "+since)
			e.Data.Why = "not heard from since " + since
			e.Text = h.Name() + ": " + e.Data.Why
			all = append(all, e.of(h))
		}
	}
	return all
}

// of is an event about one host.
func (e Event) of(h fleet.Host) Event {
	e.Data.Hosts, e.one = []string{h.Name()}, true
	return e
}

// merged returns events in which those of many hosts, about the same, are one.
func merged(events []Event) []Event {
	groups := make(map[string][]Event)
	of := func(e Event) string { return fmt.Sprint(e.Type, " ", e.Data.Revision, " ", e.Data.Serial) }
	for _, e := range events {
		if e.one {
			groups[of(e)] = append(groups[of(e)], e)
		}
	}
	var all []Event
	for _, e := range events {
		group := groups[of(e)]
		switch {
		case !e.one || len(group) <= many:
			all = append(all, e)
		case group[0].key == e.key: // in the place of the first
			all = append(all, together(group))
		}
	}
	return all
}

// together is one event for those of many hosts. Its key is made of theirs.
func together(group []Event) Event {
	e := group[0]
	var hosts, keys []string
	e.members = nil
	for _, one := range group {
		hosts = append(hosts, one.Data.Hosts...)
		keys = append(keys, one.key)
		e.members = append(e.members, one.ID())
	}
	slices.Sort(hosts)
	slices.Sort(keys)
	e.Data.Hosts, e.key = hosts, strings.Join(keys, "\n")
	e.Text = fmt.Sprintf("%d hosts, %s: %s", len(hosts), rollout.List(hosts), e.Data.Why)
	if e.Type == HostRejected {
		e.Text = fmt.Sprintf("%s: %s was rejected by %s", e.Data.Package, e.Data.Revision, e.Text)
	}
	return e
}
