package serve

import (
	"strconv"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/revision"
)

// A mark is a state as it is shown: a colour never stands alone.
type mark struct {
	Class string // of the style sheet
	Icon  string
	Word  string
}

// The marks of hosts, as far as viewers tell them apart.
var (
	markOK         = mark{"ok", "✓", "ok"}
	markWaiting    = mark{"wait", "…", "waiting"}
	markFailing    = mark{"bad", "✗", "failing"}
	markRejected   = mark{"rej", "↶", "rejected"}
	markHeld       = mark{"held", "‖", "held"}
	markSilent     = mark{"gone", "?", "silent"}
	markUnreadable = mark{"gone", "!", "unreadable"}
)

// marks are all of them, the worst first.
var marks = []mark{markFailing, markRejected, markSilent, markUnreadable, markWaiting, markHeld, markOK}

// markOf returns the mark of a condition.
func markOf(c ftl.Condition) mark {
	switch c {
	case ftl.OK, ftl.Retired:
		return mark{"ok", "✓", string(c)}
	case ftl.Failed, ftl.Inconsistent:
		return mark{"bad", "✗", string(c)}
	case ftl.Rejected:
		return markRejected
	case ftl.Held:
		return markHeld
	case fleet.Silent:
		return markSilent
	case ftl.Behind, ftl.Pending:
		return mark{"wait", "…", string(c)}
	}
	return mark{"gone", "?", "unknown"}
}

// group returns the one of marks that a condition counts to.
func group(c ftl.Condition) mark {
	class := markOf(c).Class
	for _, m := range marks {
		if m.Class == class {
			return m
		}
	}
	return markSilent
}

// markOfHost returns the mark of a host: the worst of its packages.
func (s *Snapshot) markOfHost(h fleet.Host) mark {
	if h.Broken != "" {
		return markUnreadable
	}
	if h.Silent {
		return markSilent
	}
	worst := len(marks) - 1
	for _, report := range h.Packages {
		worst = min(worst, rankOf(group(h.Condition(report, s.blessed(report)))))
	}
	return marks[worst]
}

// blessed returns what is blessed of the package that a host tells of.
func (s *Snapshot) blessed(report catalog.PackageReport) (r revision.Revision) {
	if pkg, found := s.Package(report.Package); found {
		active, _ := pkg.Marker.Active()
		return active.Revision
	}
	return r
}

// hostCount says how many hosts in words.
func hostCount(n int) string {
	if n == 1 {
		return "1 host"
	}
	return strconv.Itoa(n) + " hosts"
}
