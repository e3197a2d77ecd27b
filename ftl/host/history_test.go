package host

import (
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host/tree"
)

func TestLogLinesThatAreNotWholeArePassedOver(t *testing.T) {
	tests := []struct {
		name, text string
		want       string
	}{
		{"none", "", ""},
		{"one", `{"name":"jump"}` + "\n", "jump"},
		{"a last line without an end", `{"name":"jump"}` + "\n" + `{"name":"ready"}`, "jump"},
		{"half a line, then a whole one", `{"name":"ju` + "\n" + `{"name":"ready"}` + "\n", "ready"},
		{"a line that was glued to half a line", `{"name":"ju{"name":"jump"}` + "\n" + `{"name":"ready"}` + "\n", "ready"},
		{"the note of a cut", "… 7 bytes before this were cut …\n" + `{"name":"ready"}` + "\n", "ready"},
		{"of an older ftl", `{"time":"2026-11-21T03:00:00Z","command":"ftl sync","pid":7,"name":"flip","state":"success"}` + "\n", "flip"},
		{"no name", "{}\n[]\n7\n\"jump\"\n\n", ""},
		{"a revision that is none", `{"name":"jump","revision":"no"}` + "\n", ""},
	}
	for _, test := range tests {
		var got []string
		for _, line := range tree.ParseLog([]byte(test.text)) {
			got = append(got, string(line.Name))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %v, want %q", test.name, got, test.want)
		}
	}
}

func TestJumpIsOneEntryUnlessEveryHookIsWanted(t *testing.T) {
	tests := []struct {
		name             ftl.Step
		state            ftl.State
		want, withOutput bool
	}{
		{"jump", ftl.Success, true, true},
		{"jump", ftl.Failure, true, true},
		{"post-jump", ftl.Running, false, false},
		{"post-jump", ftl.Success, false, true},
		{"post-jump", ftl.Failure, false, true},
		{"post-sync", ftl.Success, false, true},
		{"post-sync", ftl.Failure, true, true},
		{"pre-remove", ftl.Failure, true, true},
		{"flip", ftl.Success, false, false},
		{"fetch", ftl.Success, false, false},
		{"fetch", ftl.Failure, true, true},
		{"recover", ftl.Running, true, true},
		{"a hook's own step", ftl.Failure, false, false},
	}
	for _, test := range tests {
		line := tree.LogLine{Name: test.name, State: test.state}
		if got, withOutput := tells(line, false), tells(line, true); got != test.want || withOutput != test.withOutput {
			t.Errorf("%s %s: got %v, and %v with output", test.name, test.state, got, withOutput)
		}
	}
}
