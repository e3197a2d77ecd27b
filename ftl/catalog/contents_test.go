package catalog

import (
	"slices"
	"testing"
	"time"
)

func TestSplitByTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		first, last string
		want        []string
	}{
		"much is left":         {"tool.2026010100000aa.ftl", "tool.2026010200000aa.ftl", []string{"tool.2026010921600", "tool.2026011643200", "tool.2026012364800", "tool.2026013100000", "tool.2026020721600", "tool.2026021443200", "tool.2026022164800"}},
		"four pages are left":  {"tool.2026010100000aa.ftl", "tool.2026011300000aa.ftl", []string{"tool.2026020543200"}},
		"one page is left":     {"tool.2025120100000aa.ftl", "tool.2026020100000aa.ftl", nil},
		"all in one second":    {"tool.2026010100000aa.ftl", "tool.2026010100000bb.ftl", nil},
		"newer than the clock": {"tool.2026010100000aa.ftl", "tool.2027010100000aa.ftl", nil},
		"another form":         {"tool.first.ftl", "tool.second.ftl", nil},
		"no revision":          {"_ftl/a", "_ftl/b", nil},
	} {
		if got := splitByTime(now)(test.first, test.last); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
