package catalog

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
)

// sampleReport is that of a host with so many packages, each of which has much to say.
func sampleReport(t *testing.T, packages, chatter int) Report {
	t.Helper()
	r := Report{
		Format: reportFormat, Host: "web-1", Machine: "0badcafe", Version: "2.0", Labels: map[string]string{"zone": "a"},
		Time: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), Every: Duration(time.Minute), Keep: 5,
	}
	for i := range packages {
		pkg := parsePackage(t, fmt.Sprintf("tool%d", i))
		revision, err := pkg.Revision("2026112145296Wq")
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Repeat("x", chatter)
		r.Packages = append(r.Packages, PackageReport{
			Status: ftl.Status{Package: pkg, Condition: ftl.Failed, Current: revision, Message: said}, Serial: 7,
			Jump:      &JumpReport{To: revision, State: ftl.Failure, Took: Duration(1500 * time.Millisecond)},
			Steps:     []ftl.Event{{Package: pkg, Step: ftl.Fetch, State: ftl.Failure, Message: said}},
			Decisions: []ftl.Decision{{Package: pkg, About: "jump", Condition: ftl.Failed, Message: said}},
		})
	}
	return r
}

func TestReportRoundTrip(t *testing.T) {
	c := &Catalog{Bucket: openBucket(t)}
	want := sampleReport(t, 3, 10)
	node := NodeOf("web/1")
	written, err := c.PutReport(t.Context(), node, want)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := c.Report(t.Context(), node)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	put(t, c, "_ftl/hosts/a b", "junk")
	all, date, err := c.Reports(t.Context())
	if err != nil || len(all) != 1 || all[0].Node != node || all[0].ETag != written.ETag || all[0].At.IsZero() || date.IsZero() {
		t.Errorf("got %v, %v, %v", all, date, err)
	}
	if err := c.ForgetReport(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	if all, _, err := c.Reports(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after it was deleted: got %v, %v", all, err)
	}
}

func TestReportIsCut(t *testing.T) {
	for _, row := range []struct {
		packages, chatter         int
		cut                       bool
		steps, decisions, message bool
	}{
		{3, 100, false, true, true, true},
		{10, 1000, true, false, true, true},
		{14, 1500, true, false, false, true},
		{40, 1500, true, false, false, false},
	} {
		text, err := sampleReport(t, row.packages, row.chatter).Encode()
		if err != nil {
			t.Fatal(err)
		}
		r, err := DecodeReport(text)
		if err != nil || len(r.Packages) != row.packages || r.Cut != row.cut {
			t.Fatalf("%+v: got %d packages, cut %v, %v", row, len(r.Packages), r.Cut, err)
		}
		p := r.Packages[0]
		if p.Condition != ftl.Failed || p.Serial != 7 || p.Current.ID() == "" {
			t.Errorf("%+v: got %+v", row, p)
		}
		if got := p.Steps != nil; got != row.steps {
			t.Errorf("%+v: steps %v", row, got)
		}
		if got := p.Decisions != nil; got != row.decisions {
			t.Errorf("%+v: decisions %v", row, got)
		}
		if got := p.Message != ""; got != row.message {
			t.Errorf("%+v: message %v", row, got)
		}
	}
}

// A report is what a host says, so it may be anything.
func TestDecodeReportRefuses(t *testing.T) {
	for _, text := range []string{
		"", "{}", "[]", "null", `{"format":1,"every":-1}`, `{"format":1,"every":1e300}`, `{"format":1,"packages":[{"package":"../x"}]}`,
		`{"format":1,"labels":"x"}`, `{"format":1,"host":"` + strings.Repeat("x", MaxReport) + `"}`,
	} {
		if r, err := DecodeReport([]byte(text)); err == nil {
			t.Errorf("%.60s is the report %+v", text, r)
		}
	}
}
