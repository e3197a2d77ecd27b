package serve

import (
	"net/url"
	"strconv"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// maxEntries is how many entries a page of the log has.
const maxEntries = 200

// logPage is the log of all blessings, of one package where the URL asks for it.
func logPage(v view) (page, error) {
	return page{Title: "Log", Nav: "log", Fragments: []fragment{{ID: "log", Label: "All blessings", template: "log", Data: v.logTable()}}}, nil
}

// A logTable is a part of the log.
type logTable struct {
	Package  string
	Packages []string
	Rows     []logRow
	Total    int
	Before   string // the address of newer ones; "" for none
	After    string
}

// logged returns the entries that the URL asks for, and after how many of them to begin.
func (v view) logged() ([]catalog.Entry, int) {
	all := v.log()
	if only, err := revision.ParsePackage(v.query.Get("package")); err == nil {
		all = nil
		if pkg, found := v.Package(only); found {
			all = pkg.Marker.Entries
		}
	}
	after, _ := strconv.Atoi(v.query.Get("after")) // what is no number is none
	return all, min(max(0, after), len(all))
}

func (v view) logTable() logTable {
	all, after := v.logged()
	table := logTable{Package: v.query.Get("package"), Total: len(all), Rows: v.entries(all[after:], maxEntries)}
	for _, p := range v.Packages {
		table.Packages = append(table.Packages, p.Package.String())
	}
	link := func(after int) string {
		return "/log?" + url.Values{"package": {table.Package}, "after": {strconv.Itoa(after)}}.Encode()
	}
	if after > 0 {
		table.Before = link(max(0, after-maxEntries))
	}
	if after+maxEntries < len(all) {
		table.After = link(after + maxEntries)
	}
	return table
}
