package revision_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/revision"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a", revision.MaxName)
	for _, name := range []string{
		"my_site.2026112145296Wq", "a.b", "A-1.x_Y-z", "0.0", long + "." + long, "rev.1", "my_site.revision", "my_site.2013112545296~_", "a.~",
	} {
		r, err := revision.Parse(name)
		if err != nil {
			t.Errorf("Parse(%q): %v", name, err)
			continue
		}
		if r.String() != name || r.Package().String()+"."+r.ID() != name {
			t.Errorf("Parse(%q) = %q, package %q, id %q", name, r, r.Package(), r.ID())
		}
		if again, _ := revision.Parse(name); again != r {
			t.Errorf("Parse(%q) twice gives two values", name)
		}
	}
	for _, name := range []string{
		"", "pkg", "pkg.", ".id", "pkg.rev", "-p.1", "_p.1", "p/q.1", "p.1/2", "p.1.2", "~p.1", "p.a b", "p p.1", "p.\n", "p.é",
		"../x.1", "..", long + "a.1", "p." + long + "a",
	} {
		if r, err := revision.Parse(name); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", name, r)
		}
	}
}

// The original tool accepted "jump pkg.", and made a link that led to nothing.
func TestParseRefusesEmptyID(t *testing.T) {
	if _, err := revision.Parse("pkg."); err == nil || !strings.Contains(err.Error(), "no id") {
		t.Errorf(`Parse("pkg."): got %v, want an error that says there is no id`, err)
	}
}

func TestNew(t *testing.T) {
	pkg, err := revision.ParsePackage("my_site")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 14, 34, 56, 999, time.FixedZone("", 2*3600))
	r, err := revision.New(pkg, at, [32]byte{0: 32, 1: 52})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.String(), "my_site.2026112145296Wq"; got != want {
		t.Errorf("New = %q, want %q", got, want)
	}
	if spooled, ok := r.Time(); !ok || !spooled.Equal(at.Truncate(time.Second)) {
		t.Errorf("Time = %v, %v, want the second of %v", spooled, ok, at)
	}
	if r, err := revision.New(pkg, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), [32]byte{}); err == nil {
		t.Errorf("New in the year 10000 = %v, want an error", r)
	}
}

func TestTimeOfOtherForms(t *testing.T) {
	for _, id := range []string{
		"1", "2026132145296Wq", "2026022945296Wq", "2026112186400Wq", "2026112145296W-", "2026112145296Wqq", "20261121-5296Wq",
	} {
		r := mustParse(t, "p."+id)
		if at, ok := r.Time(); ok {
			t.Errorf("Time of %v = %v, want none", r, at)
		}
	}
}

func TestCompareIsTimeOrder(t *testing.T) {
	sorted := []string{
		"a.zzz", "a.2026112145296Wq", // another package first, whatever its age
		"b.20", "b.release-1", "b.v2", "b.zzz", // other forms are older than all of this form
		"b.2025123186399zz", "b.2026010100000AA", "b.2026112145296Wp", "b.2026112145296Wq", "b.2026112145296_Z", "b.2026112145296~0", "b.202611214529700",
	}
	var revisions []revision.Revision
	for _, name := range sorted {
		revisions = append(revisions, mustParse(t, name))
	}
	shuffled := slices.Clone(revisions)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, revision.Compare)
	if !slices.Equal(shuffled, revisions) {
		t.Errorf("sorted: got %v, want %v", shuffled, revisions)
	}
}

func TestJSON(t *testing.T) {
	type holder struct {
		Package  revision.Package
		Revision revision.Revision
		None     revision.Revision
	}
	in := holder{Package: mustParse(t, "p.1").Package(), Revision: mustParse(t, "p.1")}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out holder
	if err := json.Unmarshal(data, &out); err != nil || out != in {
		t.Errorf("round trip through %s: got %v, %v, want %v", data, out, err, in)
	}
	if err := json.Unmarshal([]byte(`{"Revision":"../x"}`), &out); err == nil {
		t.Error("a bad name in JSON was accepted")
	}
}

// Whatever Parse accepts is safe as a single file name, and String returns it unchanged.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"my_site.2026112145296Wq", "a.b", "pkg.", "../x.1", "p.rev"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := revision.Parse(s)
		if err != nil {
			return
		}
		if r.String() != s {
			t.Errorf("Parse(%q).String() = %q", s, r)
		}
		if strings.ContainsAny(s, "/\\\x00 \n") || strings.HasPrefix(s, ".") || len(s) > 2*revision.MaxName+1 {
			t.Errorf("Parse accepted %q", s)
		}
		if revision.Compare(r, r) != 0 {
			t.Errorf("Compare(%q, itself) != 0", s)
		}
	})
}

func mustParse(t *testing.T, name string) revision.Revision {
	t.Helper()
	r, err := revision.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
