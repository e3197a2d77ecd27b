package host

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
)

func TestLeftoversAreToldOnceADayToCron(t *testing.T) {
	p := newPackage(t)
	left := []tree.Leftover{
		{Tree: "revs/.trash/x", Path: "/p", Reason: "in use", Hint: "umount /p"},
		{Tree: "revs/.trash/x", Path: "/p", Reason: "in use"},
	}
	tell := func(cron bool, want int) {
		t.Helper()
		if errs := ftl.Split(p.TellLeftovers(left, cron)); len(errs) != want {
			t.Errorf("cron %v: got %v, want %d errors", cron, errs, want)
		}
	}
	tell(true, 1)
	tell(true, 0)
	tell(false, 1)
	since := p.ReadLeftovers().Trees[0].Since

	for _, told := range []time.Time{time.Now().Add(-25 * time.Hour), time.Now().Add(time.Hour)} { // the clock was set back
		setTold(t, p, told)
		tell(true, 1)
		tell(true, 0)
	}
	if got := p.ReadLeftovers().Trees; len(got) != 1 || !got[0].Since.Equal(since) {
		t.Errorf("got %v, want one since %v", got, since)
	}
	left = nil
	tell(false, 0)
	if _, err := os.Lstat(p.LeftoversPath()); err == nil {
		t.Error("the record of what is gone is still there")
	}
	tell(false, 0)
}

func setTold(t *testing.T, p *pkg, told time.Time) {
	t.Helper()
	last := p.ReadLeftovers()
	last.Told = told
	data, err := json.Marshal(last)
	if err == nil {
		err = os.WriteFile(p.LeftoversPath(), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
