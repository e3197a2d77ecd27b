package serve

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func parse(name string) revision.Revision {
	r, err := revision.Parse(name)
	if err != nil {
		panic(err)
	}
	return r
}

var (
	oldSite, newSite = parse("my_site.2026112045100Ab"), parse("my_site.2026112142296Wq")
	api              = parse("api.2026112130000xy")
)

// well is a host that runs what it is told.
func well(name string, runs ...revision.Revision) fleet.Host {
	h := fleet.Host{Node: catalog.NodeOf(name), At: noon.Add(-2 * time.Minute), Report: catalog.Report{
		Format: 1, Host: name, Version: "1.4.0", Labels: map[string]string{"zone": "a"}, Every: catalog.Duration(time.Minute),
		Time: noon.Add(-2 * time.Minute),
	}}
	for _, r := range runs {
		h.Packages = append(h.Packages, catalog.PackageReport{
			Status: ftl.Status{Package: r.Package(), Condition: ftl.OK, Current: r, Active: r, Since: ftl.At(noon.Add(-time.Hour)), LastSync: ftl.At(noon.Add(-2 * time.Minute))},
			Serial: 1795260000,
		})
	}
	return h
}

// failing is a host on which my_site did not pass its check.
func failing(name string) fleet.Host {
	h := well(name, oldSite)
	p := &h.Packages[0]
	p.Condition, p.Active, p.Message = ftl.Rejected, newSite, "the check of my_site.2026112142296Wq failed: exit 1"
	p.Jump = &catalog.JumpReport{To: newSite, State: ftl.Failure, Took: catalog.Duration(12 * time.Second), Time: noon.Add(-10 * time.Minute), Reason: "sync"}
	for i, s := range []struct {
		step    ftl.Step
		state   ftl.State
		seconds float64
	}{{ftl.PreJump, ftl.Success, 0.4}, {ftl.Flip, ftl.Success, 0.002}, {ftl.PostJump, ftl.Success, 3.1}, {ftl.PostJump + "/migrate", ftl.Success, 2.2}, {ftl.Check, ftl.Failure, 8.5}, {ftl.Revert, ftl.Success, 0.01}} {
		p.Steps = append(p.Steps, ftl.Event{
			Time: noon.Add(-10*time.Minute + time.Duration(i)*2*time.Second), Package: newSite.Package(), Revision: newSite, Step: s.step, State: s.state, Seconds: s.seconds,
		})
	}
	p.Decisions = []ftl.Decision{
		{Package: newSite.Package(), About: "rejected", Condition: ftl.Rejected, First: true, Message: "the check failed: exit 1", Output: "GET /health: 503\nbind: address in use\n", Hint: "ftl jump --master --again " + newSite.String()},
		{Package: newSite.Package(), About: "held", Condition: ftl.OK, Message: "it is not held"},
	}
	return h
}

// blessed is a package whose marker has these entries, the newest first.
func blessed(entries ...catalog.Entry) *Package {
	name := entries[0].Revision.Package()
	pkg := &Package{Package: name, Marker: catalog.Marker{Package: name, Entries: entries, ETag: "x"}}
	seen := map[revision.Revision]bool{}
	for i, e := range entries {
		if !seen[e.Revision] {
			seen[e.Revision] = true
			l := catalog.NewListed(e.Revision, i == 0, i == 1)
			l.At, l.By, l.Size, l.Note = ftl.At(e.At.Add(-time.Hour)), "ci@build1", 3<<20, "build "+e.Revision.ID()
			l.Labels = catalog.Labels{"commit": "3f9c2ab", "branch": "main"}
			pkg.Revisions = append(pkg.Revisions, l)
		}
		if e.Rollout != nil {
			pkg.Rollouts = append(pkg.Rollouts, &Rollout{Entry: e, Over: i > 0})
		}
	}
	return pkg
}

func entry(r revision.Revision, serial int64, before time.Duration) catalog.Entry {
	return catalog.Entry{Revision: r, Serial: serial, At: noon.Add(-before), By: "ops@build1", Kind: catalog.KindJump, Note: "fix login"}
}

// sample is a fleet of 13 hosts: a rollout of my_site that one host has halted, and api, which is
// well but for a silent host.
func sample(t *testing.T) *Snapshot {
	t.Helper()
	var hosts []fleet.Host
	var members []rollout.Member
	for i := range 10 {
		h := well(fmt.Sprintf("web-%02d", i), oldSite)
		hosts = append(hosts, h)
		members = append(members, rollout.Member{Host: h.Node.String(), Every: time.Minute})
	}
	e := entry(newSite, 1795260001, 20*time.Minute)
	e.Base = oldSite
	tolerate := 0.0
	plan, err := rollout.New(newSite, e.At, members, rollout.Options{Waves: []rollout.Step{{Upto: rollout.Amount{Count: 1}}, {Upto: rollout.Amount{Count: 4}}}, First: []string{"web-00"}, Tolerate: &tolerate})
	if err != nil {
		t.Fatal(err)
	}
	e.Rollout = plan
	site := blessed(e, entry(oldSite, 1795174000, 24*time.Hour))
	r := site.Rollouts[0]
	votes := []rollout.Vote{{Host: "web-00", Kind: rollout.Well, Wave: 0, At: noon.Add(-15 * time.Minute)}}
	hosts[0] = well("web-00", newSite)
	for i := 1; i < 10; i++ {
		name := fmt.Sprintf("web-%02d", i)
		if k, _ := plan.WaveOf(name); k == 1 {
			hosts[i] = failing(name)
			votes = append(votes, rollout.Vote{Host: name, Kind: rollout.Bad, Wave: 1, At: noon.Add(-10 * time.Minute)})
			break
		}
	}
	r.count(votes, noon)
	for i := range 3 {
		hosts = append(hosts, well(fmt.Sprintf("zz-api-%d", i), api))
	}
	hosts[12].Silent, hosts[12].At = true, noon.Add(-3*time.Hour)
	r.View = fleet.ViewRollout(r.Entry, r.Count, r.Votes, hosts)
	return newSnapshot("test-1", noon, hosts, []*Package{blessed(entry(api, 1795250000, 3*time.Hour)), site})
}

// viewOf is a view as a request for an address has it.
func viewOf(t *testing.T, s *Snapshot, address string) (view, pageFunc) {
	t.Helper()
	server, err := New(Config{Bucket: &catalog.Catalog{}})
	if err != nil {
		t.Fatal(err)
	}
	page, r, err := server.followed(requestFor(address))
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return server.view(s, Person{Looks: true, Output: true}, r), page
}

// htmlOf is a page as HTML.
func htmlOf(t *testing.T, s *Snapshot, address string) string {
	t.Helper()
	v, page := viewOf(t, s, address)
	shown, err := page(v)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	var text strings.Builder
	for _, f := range newRenderer("").fragments(shown.Fragments) {
		fmt.Fprintf(&text, "<!-- %s -->\n%s\n", f.ID, f.HTML)
	}
	return text.String()
}
