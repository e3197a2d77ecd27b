package serve

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/rollout"
)

var update = flag.Bool("update", false, "write the golden pages anew")

func requestFor(address string) *http.Request {
	return httptest.NewRequest(http.MethodGet, "/events?page="+url.QueryEscape(address), nil)
}

// Each page is what it was, to the byte.
func TestGoldenPages(t *testing.T) {
	s := sample(t)
	var rejected string
	for _, h := range s.Hosts {
		if len(h.Packages[0].Steps) > 0 {
			rejected = h.Name()
		}
	}
	for name, address := range map[string]string{
		"overview": "/", "package": "/p/my_site", "rollout": "/p/my_site/1795260001", "blessing": "/p/api/1795250000", "hosts": "/h",
		"hosts-filtered": "/h?package=my_site&state=rejected&label=zone%3Da", "host": "/h/" + rejected, "silent": "/h/zz-api-2", "log": "/log",
	} {
		got := htmlOf(t, s, address)
		file := filepath.Join("testdata", "golden", name+".html")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is another page than %s; if it is right: go test ./ftl/serve -run TestGolden -update\n%s", address, file, firstDifference(got, string(want)))
		}
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "got  " + a[i] + "\nwant " + b[i]
		}
	}
	return "one is longer"
}

// What is wrong is told first, the worst of it.
func TestVerdict(t *testing.T) {
	silent := func(h fleet.Host) fleet.Host { h.Silent = true; return h }
	broken := well("x")
	broken.Broken = "junk"
	one := []*Package{blessed(entry(newSite, 7, time.Hour))}
	for _, row := range []struct {
		hosts       []fleet.Host
		word, class string
	}{
		{nil, "Nothing yet", "warn"},
		{[]fleet.Host{well("a", newSite)}, "All is well", "ok"},
		{[]fleet.Host{well("a", newSite), well("b", oldSite)}, "In progress", "work"},
		{[]fleet.Host{well("a", newSite), silent(well("b", newSite))}, "Silent", "warn"},
		{[]fleet.Host{failing("a"), silent(well("b", newSite)), well("c", oldSite)}, "1 host rejected it", "bad"},
		{[]fleet.Host{broken, well("a", newSite)}, "Unreadable", "warn"},
	} {
		v := view{Snapshot: newSnapshot("x", noon, row.hosts, one)}
		if got := v.verdict(); got.Word != row.word || got.Class != row.class {
			t.Errorf("%d hosts: got %q (%s), want %q (%s)", len(row.hosts), got.Word, got.Class, row.word, row.class)
		}
	}
	v := view{Snapshot: sample(t)}
	if got := v.verdict(); got.Word != "Halted" || len(got.More) != 3 {
		t.Errorf("got %q and %d more", got.Word, len(got.More))
	}
}

// A rollout that goes on says when the next wave opens, as far as that is known.
func TestOpensNext(t *testing.T) {
	var members []rollout.Member
	for i := range 10 {
		members = append(members, rollout.Member{Host: fmt.Sprintf("web-%02d", i)})
	}
	plan, err := rollout.New(newSite, noon, members, rollout.Options{Waves: []rollout.Step{{Upto: rollout.Amount{Count: 2}}}, First: []string{"web-00", "web-01"}, Soak: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	e := entry(newSite, 7, 0)
	e.Rollout = plan
	votes := []rollout.Vote{{Host: "web-00", Kind: rollout.OK, At: noon.Add(time.Minute)}, {Host: "web-01", Kind: rollout.OK, At: noon.Add(3 * time.Minute)}}
	for n, want := range []string{"", "", "opens next ≈ 12:13 UTC"} {
		r := &Rollout{Entry: e}
		r.count(votes[:n], noon.Add(4*time.Minute))
		r.View = fleet.ViewRollout(r.Entry, r.Count, r.Votes, nil)
		v := view{Snapshot: &Snapshot{Date: noon}}
		if got := v.sentence(r); strings.Contains(got, "opens next") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%d at work: got %q, want %q", n, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "just now", 59 * time.Second: "just now", time.Minute: "1 min ago", 3 * time.Hour: "3 h ago", 50 * time.Hour: "2 days ago",
		-5 * time.Second: "just now", -5 * time.Minute: "in 5 min",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestNaturalOrder(t *testing.T) {
	for _, pair := range [][2]string{{"web-9", "web-10"}, {"a", "b"}, {"web", "web-1"}, {"a1b2", "a1b10"}} {
		if natural(pair[0], pair[1]) >= 0 || natural(pair[1], pair[0]) <= 0 || natural(pair[0], pair[0]) != 0 {
			t.Errorf("%s does not come before %s", pair[0], pair[1])
		}
	}
}

// The table says how many there are, and shows no more than 200 of them.
func TestHostTable(t *testing.T) {
	var hosts []fleet.Host
	for range 450 {
		hosts = append(hosts, well(string(rune('a'+len(hosts)%26))+time.Duration(len(hosts)).String(), newSite))
	}
	s := newSnapshot("x", noon, hosts, []*Package{blessed(entry(newSite, 7, time.Hour))})
	for _, row := range []struct {
		address      string
		rows, total  int
		before, next bool
	}{
		{"/h", 200, 450, false, true}, {"/h?after=400", 50, 450, true, false}, {"/h?after=900", 0, 450, true, false}, {"/h?after=-3", 200, 450, false, true},
		{"/h?state=failing", 0, 0, false, false}, {"/h?package=other", 0, 0, false, false}, {"/h?label=zone%3Db", 0, 0, false, false},
		{"/h?text=B", 18, 18, false, false}, {"/h?text=2026112142296wq", 200, 450, false, true},
	} {
		v, _ := viewOf(t, s, row.address)
		got := v.hostTable()
		if len(got.Rows) != row.rows || got.Total != row.total || (got.Before != "") != row.before || (got.After != "") != row.next {
			t.Errorf("%s: %d of %d, before %q, after %q", row.address, len(got.Rows), got.Total, got.Before, got.After)
		}
	}
}

// Nothing that a host, a note or a hook says is markup, or turns the direction of what follows.
func TestMarkupOfOthers(t *testing.T) {
	const evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e{{.}}"
	h := failing(evil)
	h.Labels = map[string]string{evil: evil}
	h.Version, h.Canary = evil, evil
	p := &h.Packages[0]
	p.Message, p.HeldBy, p.HeldReason = evil, evil, evil
	for i := range p.Steps {
		p.Steps[i].Message = evil
	}
	p.Steps[3].Step = "post-jump/" + evil
	for i := range p.Decisions {
		d := &p.Decisions[i]
		d.About, d.Message, d.Output, d.Hint = evil, evil, evil, evil
	}
	e := entry(newSite, 7, time.Hour)
	e.By, e.Note, e.Kind, e.Params = evil, evil, evil, catalog.Params{"X": evil}
	pkg := blessed(e)
	pkg.Revisions[0].Note, pkg.Revisions[0].By, pkg.Broken = evil, evil, evil
	pkg.Revisions[0].Labels = catalog.Labels{"commit": evil, "x": evil}
	pkg.Revisions[0].About = catalog.About{Name: evil, Description: evil, URL: "javascript:alert(3)"}
	pkg.Marker.Entries[0].Labels = pkg.Revisions[0].Labels
	broken := well("b")
	broken.Broken = evil
	s := newSnapshot("x", noon, []fleet.Host{h, broken}, []*Package{pkg})
	tag := regexp.MustCompile(`<[a-z]+[^>]*>`)
	for _, address := range []string{"/", "/p/my_site", "/p/my_site/7", "/h", "/h?text=" + url.QueryEscape(evil), "/h?label=" + url.QueryEscape(evil), "/h/" + url.PathEscape(evil), "/log", "/log?package=" + url.QueryEscape(evil)} {
		html := htmlOf(t, s, address)
		if strings.Contains(html, "\u202e") || strings.Contains(html, "<script") || strings.Contains(html, "<img") || strings.Contains(html, `"javascript:`) {
			t.Errorf("%s: got %s", address, html)
		}
		for _, found := range tag.FindAllString(html, -1) {
			if strings.Contains(found, " onerror=alert(2)") && !strings.Contains(found, `&lt;img`) {
				t.Errorf("%s: a tag has the attribute: %s", address, found)
			}
		}
	}
}

// What a hook printed is for those who may see it, on pages and by the API.
func TestOutputIsLeftOut(t *testing.T) {
	s := newSnapshot("x", noon, []fleet.Host{failing("a")}, []*Package{blessed(entry(newSite, 7, time.Hour))})
	for _, sees := range []bool{true, false} {
		r := still(t, s)
		r.config.Who = func(*http.Request) (Person, error) { return Person{Looks: true, Output: sees}, nil }
		for _, path := range []string{"/", "/p/my_site", "/h/a", "/api/v1/", "/api/v1/p/my_site", "/api/v1/h", "/api/v1/h/a"} {
			response, body := r.get(t, path, nil)
			if response.StatusCode != 200 || strings.Contains(body, "bind: address in use") != sees {
				t.Errorf("%s: may see it: %v; got %d: %s", path, sees, response.StatusCode, body)
			}
		}
		if response, body := r.get(t, "/h", nil); response.StatusCode != 200 || strings.Contains(body, "bind: address in use") {
			t.Errorf("the table shows it: %s", body)
		}
	}
}

func TestPagesThatAreNotThere(t *testing.T) {
	s := sample(t)
	for _, address := range []string{"/p/none", "/p/my_site/8", "/p/my_site/x", "/p/..%2f..%2fetc", "/h/none"} {
		v, page := viewOf(t, s, address)
		if _, err := page(v); err == nil {
			t.Errorf("%s is there", address)
		}
	}
}

func TestMarksDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, m := range marks {
		if m.Icon == "" || m.Word == "" || seen[m.Icon] != "" {
			t.Errorf("%s has the sign %q, as has %q", m.Word, m.Icon, seen[m.Icon])
		}
		seen[m.Icon] = m.Word
	}
}
