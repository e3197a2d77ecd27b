package serve

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/revision"
)

// maxHosts is how many hosts a page of the table has.
const maxHosts = 200

// hostsPage is the table of hosts, by what the URL asks for:
//
//	package=NAME state=failing label=zone=a text=web sort=name|heard|state after=200
func hostsPage(v view) (page, error) {
	table := v.hostTable()
	return page{Title: "Hosts", Nav: "hosts", Fragments: []fragment{
		{ID: "filter", Label: "Filter", template: "host-filter", Data: table},
		{ID: "hosts", Label: "Hosts", template: "hosts", Data: table},
	}}, nil
}

// A hostTable is a part of the hosts.
type hostTable struct {
	Package, State, Label, Text, Sort string
	Packages                          []string // to choose from
	States                            []stateCount
	Rows                              []hostRow
	Total, First, Last                int
	Before, After                     string // addresses of the next parts; "" for none
	Sorts                             []sortLink
	Date                              moment
}

// A stateCount is how many hosts of those that the rest of the filter selects are in a state.
type stateCount struct {
	mark
	Hosts   int
	Link    string
	Current bool
}

type sortLink struct {
	Name, Word, Link string
	Current          bool
}

// A hostRow is a host.
type hostRow struct {
	hostLink
	Mark     mark
	Packages []chip
	Heard    moment
	Version  string
	Labels   []string
	Message  string
	Twin     bool
}

// A chip is a package on a host.
type chip struct {
	mark
	Package revision.Package
	Current string // id
	Link    string
}

// A selection is which hosts are asked for.
type selection struct {
	pkg               revision.Package
	state, text, sort string
	label             map[string]string
	after             int
}

func (v view) selection() selection {
	s := selection{state: v.query.Get("state"), text: strings.ToLower(v.query.Get("text")), sort: v.query.Get("sort")}
	s.pkg, _ = revision.ParsePackage(v.query.Get("package")) // one that can't be is none
	if name, value, ok := strings.Cut(v.query.Get("label"), "="); ok {
		s.label = map[string]string{name: value}
	}
	s.after, _ = strconv.Atoi(v.query.Get("after")) // likewise
	s.after = max(0, s.after)
	return s
}

// A marked host is one with its state, as far as the selection goes.
type marked struct {
	*fleet.Host
	mark mark
	rank int
}

// selected returns the hosts that are asked for, but for their state, in order.
func (v view) selected(s selection) []marked {
	var hosts []marked
	for i := range v.Hosts {
		h, m := &v.Hosts[i], v.marks[i]
		if s.pkg != (revision.Package{}) {
			report, has := h.Package(s.pkg)
			if !has {
				continue
			}
			if h.Broken == "" {
				m = group(h.Condition(report, v.blessed(report)))
			}
		}
		if !h.Matches(s.label) || s.text != "" && !mentions(h, s.text) {
			continue
		}
		hosts = append(hosts, marked{h, m, rankOf(m)})
	}
	order := map[string]func(a, b marked) int{
		"name":  func(a, b marked) int { return natural(a.Name(), b.Name()) },
		"heard": func(a, b marked) int { return cmp.Or(a.At.Compare(b.At), natural(a.Name(), b.Name())) },
	}[s.sort]
	if order == nil {
		order = func(a, b marked) int {
			if a.rank != b.rank {
				return a.rank - b.rank
			}
			return natural(a.Name(), b.Name())
		}
	}
	slices.SortStableFunc(hosts, order)
	return hosts
}

// natural compares names so that web-9 comes before web-10.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			if c := cmp.Or(cmp.Compare(x, y), cmp.Compare(a[:x], b[:y])); c != 0 {
				return c
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits returns how many digits a text begins with.
func digits(text string) int {
	return len(text) - len(strings.TrimLeft(text, "0123456789"))
}

// mentions reports whether a host says something of a text anywhere that the table shows.
func mentions(h *fleet.Host, text string) bool {
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if has(h.Name()) || has(h.Version) || has(h.Broken) {
		return true
	}
	for name, value := range h.Labels {
		if has(name + "=" + value) {
			return true
		}
	}
	return slices.ContainsFunc(h.Packages, func(p packageReport) bool { return has(p.Message) || has(p.Current.String()) })
}

func (v view) hostTable() hostTable {
	s := v.selection()
	hosts := v.selected(s)
	table := hostTable{
		Package: v.query.Get("package"), State: s.state, Label: v.query.Get("label"), Text: v.query.Get("text"), Sort: cmp.Or(s.sort, "state"), Date: v.when(v.Date),
	}
	for _, p := range v.Packages {
		table.Packages = append(table.Packages, p.Package.String())
	}
	table.States = v.stateCounts(hosts, s.state)
	if s.state != "" {
		hosts = slices.DeleteFunc(hosts, func(h marked) bool { return h.mark.Word != s.state })
	}
	table.Total = len(hosts)
	first := min(s.after, len(hosts))
	last := min(first+maxHosts, len(hosts))
	for _, h := range hosts[first:last] {
		table.Rows = append(table.Rows, v.hostRow(h, s.pkg))
	}
	table.First, table.Last = first+1, last
	if first > 0 {
		table.Before = v.with("after", strconv.Itoa(max(0, first-maxHosts)))
	}
	if last < len(hosts) {
		table.After = v.with("after", strconv.Itoa(last))
	}
	for _, sort := range []sortLink{{Name: "state", Word: "worst first"}, {Name: "name", Word: "name"}, {Name: "heard", Word: "longest silent"}} {
		sort.Link, sort.Current = v.with("sort", sort.Name), sort.Name == table.Sort
		table.Sorts = append(table.Sorts, sort)
	}
	return table
}

func (v view) stateCounts(hosts []marked, state string) []stateCount {
	counts := make(map[mark]int)
	for _, h := range hosts {
		counts[h.mark]++
	}
	all := []stateCount{{mark{"", "", "all"}, len(hosts), v.with("state", ""), state == ""}}
	for _, m := range marks {
		if counts[m] > 0 || state == m.Word {
			all = append(all, stateCount{m, counts[m], v.with("state", m.Word), state == m.Word})
		}
	}
	return all
}

// with returns the address of this table with another value of a filter.
func (v view) with(name, value string) string {
	query := url.Values{}
	for _, known := range []string{"package", "state", "label", "text", "sort"} {
		if v.query.Get(known) != "" {
			query.Set(known, v.query.Get(known))
		}
	}
	query.Set(name, value)
	if value == "" || value == "0" {
		query.Del(name)
	}
	if len(query) == 0 {
		return "/h"
	}
	return "/h?" + query.Encode()
}

func (v view) hostRow(h marked, only revision.Package) hostRow {
	row := hostRow{
		hostLink: hostLink{h.Name(), "/h/" + url.PathEscape(h.Node.String())}, Mark: h.mark, Heard: v.when(h.At), Version: h.Version,
		Labels: labelWords(h.Labels), Message: h.Broken, Twin: h.Twin,
	}
	for _, p := range h.Packages {
		if only != (revision.Package{}) && p.Package != only {
			continue
		}
		m := markOf(h.Condition(p, v.blessed(p)))
		row.Packages = append(row.Packages, chip{m, p.Package, p.Current.ID(), "/p/" + p.Package.String()})
		if row.Message == "" && m.Class != "ok" {
			row.Message = p.Message
		}
	}
	return row
}

// labelWords are the labels as FTL_LABELS has them.
func labelWords(labels map[string]string) []string {
	var words []string
	for name, value := range labels {
		words = append(words, name+"="+value)
	}
	slices.Sort(words)
	return words
}

// seconds says how long something took.
func seconds(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return d.Round(time.Second).String()
}
