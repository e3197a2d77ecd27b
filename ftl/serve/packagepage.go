package serve

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

// packagePage tells of one package: how it is now, its rollout, its history and its revisions.
func packagePage(v view) (page, error) {
	pkg, err := v.wanted()
	if err != nil {
		return page{}, err
	}
	now := v.packageNow(pkg)
	fragments := []fragment{{ID: "now", Label: "Now", template: "package-now", Data: now}}
	if r := pkg.Current(); r != nil {
		fragments = append(fragments, fragment{ID: "rollouts", Label: "Rollout", template: "rollouts", Data: []strip{v.strip(r)}})
	}
	fragments = append(fragments,
		fragment{ID: "history", Label: "History", template: "history", Data: v.entries(pkg.Marker.Entries, catalog.MaxEntries)},
		fragment{ID: "revisions", Label: "Revisions", template: "revisions", Data: v.revisions(pkg)},
	)
	return page{Title: pkg.Package.String(), Nav: "overview", Fragments: fragments}, nil
}

// packageNow is how a package is now.
type packageNow struct {
	packageRow
	Broken   string
	About    catalog.About
	Manifest catalog.Digest
	Base     revision.Revision
	Troubles []trouble
	Squares  []square // one a host; none where there are too many
	Acts     []button
}

// A square is a host among the others.
type square struct {
	mark
	Name, Link, Title string
}

// maxSquares is how many hosts are shown one by one.
const maxSquares = 200

func (v view) packageNow(pkg *Package) packageNow {
	p := v.Fleet(pkg.Package)
	now := packageNow{packageRow: v.row(p), Broken: pkg.Broken, Troubles: v.packageTroubles(p), Acts: v.buttons(pkg)}
	if active, ok := pkg.Marker.Active(); ok {
		now.Manifest, now.Base = active.Manifest, active.Base
	}
	for _, listed := range pkg.Revisions {
		if listed.Active {
			now.About = listed.About
		}
	}
	if p.Hosts > maxSquares {
		return now
	}
	for _, h := range v.Hosts {
		if report, has := h.Package(pkg.Package); has {
			m := markOf(h.Condition(report, p.Blessed))
			now.Squares = append(now.Squares, square{m, h.Name(), "/h/" + url.PathEscape(h.Node.String()), h.Name() + ": " + m.Word})
		}
	}
	slices.SortStableFunc(now.Squares, func(a, b square) int { return cmp.Compare(rankOf(a.mark), rankOf(b.mark)) })
	return now
}

// rankOf orders marks, the worst first.
func rankOf(m mark) int {
	return slices.IndexFunc(marks, func(other mark) bool { return other.Class == m.Class })
}

// A revisionRow is a revision of a package.
type revisionRow struct {
	catalog.Listed
	When         moment
	Packed, Tree string // sizes
	Commit       string
	Others       []string // labels
	Hosts        int
	HostsLink    string
	Bless        string // the address of the page by which it can be blessed; "" where the viewer can't
	Command      string // that blesses it
}

// maxRevisions is how many revisions a page shows.
const maxRevisions = 100

func (v view) revisions(pkg *Package) []revisionRow {
	running := make(map[revision.Revision]int)
	for _, r := range v.Fleet(pkg.Package).Running {
		running[r.Revision] = r.Hosts
	}
	var rows []revisionRow
	for _, listed := range pkg.Revisions[:min(len(pkg.Revisions), maxRevisions)] {
		row := revisionRow{
			Listed: listed, When: v.when(listed.At.Time), Packed: size(listed.Size), Tree: size(listed.Unpacked), Commit: commitOf(listed.Labels),
			Hosts: running[listed.Revision], Command: order{Act: Bless, Revision: listed.Revision}.command(),
			HostsLink: "/h?" + url.Values{"package": {pkg.Package.String()}, "text": {listed.Revision.ID()}}.Encode(),
		}
		for name, value := range listed.Labels {
			if name != "commit" && name != "image-tag" {
				row.Others = append(row.Others, name+"="+value)
			}
		}
		slices.Sort(row.Others)
		if v.may(Bless, pkg.Package) == "" && !listed.Active {
			row.Bless = fmt.Sprintf("/p/%s/do/%s?revision=%s", pkg.Package, Bless, listed.Revision)
		}
		rows = append(rows, row)
	}
	return rows
}

// size says how large something is.
func size(bytes int64) string {
	value, unit := float64(bytes), "B"
	for _, next := range []string{"KiB", "MiB", "GiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, next
	}
	switch {
	case bytes <= 0:
		return "–"
	case unit == "B" || value >= 100:
		return fmt.Sprintf("%.0f %s", value, unit)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
