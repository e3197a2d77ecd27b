package host

import (
	"bytes"
	"os"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
)

// A host on which no sync runs has a log that is bounded, too.
func TestEveryChangeCutsALongLog(t *testing.T) {
	p := newPackage(t)
	long := bytes.Repeat([]byte("{\"name\":\"jump\",\"state\":\"success\"}\n"), 2*hooks.DefaultLogLimit/35)
	if err := os.WriteFile(p.ActivityLog(), long, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.host.Hold(t.Context(), p.Name, "a reason"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(p.ActivityLog())
	if err != nil || info.Size() > hooks.DefaultLogLimit {
		t.Errorf("the log has %d bytes, %v", info.Size(), err)
	}
	history, err := p.host.History(nil, false)
	if last := len(history) - 1; err != nil || last < 0 || history[0].Name != ftl.Hold && history[last].Name != ftl.Hold {
		t.Errorf("%d entries without the newest, %v", len(history), err)
	}
}
