package cmd

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newList() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "list [PACKAGE]",
		Short: "List packages, or the revisions of one",
		Long: `List prints the packages of this host or, with --master, of the bucket. With a package
it prints the revisions, oldest first; after a tab it marks the (active) and the
(previous) one, and in the bucket, as (settled), the newest that hosts have confirmed.
On a host these are the revisions that can be jumped to. With -v it is a table with the
state of each revision, when and by whom it was spooled, the sizes of its archive and
its tree, its note and labels; of packages it is one with what is active and what the
package says of itself in ftl/package.json.`,
		Example: `  ftl list
  ftl list --master my_site | tail -5
  ftl list -v my_site`,
		Args: atMostOne("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.list(command.Context(), s, args)
		},
	}
	p.addSettings(command, &s, append(verifying, settingRoot, settingBucket)...)
	addMaster(command, &s, "list what is in the bucket")
	return command
}

func (p *Program) list(ctx context.Context, s settings, args []string) error {
	packages, err := parsePackages(args)
	if err != nil {
		return err
	}
	from, err := p.inventory(ctx, s)
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		return p.listPackages(ctx, from)
	}
	return p.listRevisions(ctx, s, from, packages[0])
}

func (p *Program) listPackages(ctx context.Context, from inventory) error {
	packages, err := from.packages(ctx)
	if err != nil {
		return err
	}
	if p.verbose && !p.json {
		return p.listActive(ctx, from, packages)
	}
	for _, pkg := range packages {
		if !p.json {
			p.print("%s", pkg)
		} else if err := p.writeJSON(packageJSON{pkg}); err != nil {
			return err
		}
	}
	return nil
}

// listActive prints a table of packages.
func (p *Program) listActive(ctx context.Context, from inventory, packages []revision.Package) error {
	rows := [][]string{{"PACKAGE", "ACTIVE", "PREVIOUS", "REVISIONS", "ABOUT"}}
	for _, pkg := range packages {
		revisions, err := from.revisions(ctx, pkg)
		if err != nil {
			return err
		}
		row := []string{pkg.String(), "-", "-", strconv.Itoa(len(revisions)), "-"}
		shown := revisions[max(0, len(revisions)-1):] // by the active revision, else by the newest
		for i, r := range revisions {
			if r.Active {
				shown = revisions[i : i+1]
			}
			if r.Active {
				row[1] = r.Revision.ID()
			} else if r.Previous {
				row[2] = r.Revision.ID()
			}
		}
		if err := from.describe(ctx, shown); err != nil {
			return err
		}
		for _, r := range shown {
			row[4] = orDash(r.About.String())
		}
		rows = append(rows, row)
	}
	for _, line := range columns(rows) {
		p.print("%s", line)
	}
	return nil
}

func (p *Program) listRevisions(ctx context.Context, s settings, from inventory, pkg revision.Package) error {
	revisions, err := from.revisions(ctx, pkg)
	if err != nil {
		return err
	}
	if s.onMaster {
		if err := p.markSettled(ctx, s, pkg, revisions); err != nil {
			p.warn("which revision has settled is not known: %v", err)
		}
	}
	if p.json || p.verbose {
		if err := from.describe(ctx, revisions); err != nil {
			return err
		}
	}
	switch {
	case p.json:
		for _, r := range revisions {
			p.writeJSON(r)
		}
	case p.verbose:
		if about := newestAbout(revisions); !about.IsZero() {
			p.print("%s", about)
		}
		for _, line := range columns(described(revisions)) {
			p.print("%s", line)
		}
	default:
		for _, r := range revisions {
			p.print("%s", listed(r))
		}
	}
	return nil
}

// newestAbout is what the newest revision that says something of the package says.
func newestAbout(revisions []catalog.Listed) catalog.About {
	for _, r := range slices.Backward(revisions) {
		if !r.About.IsZero() {
			return r.About
		}
	}
	return catalog.About{}
}

// markSettled marks the newest revision that hosts have confirmed: the one that is blessed, or else
// the one to which they would go back.
func (p *Program) markSettled(ctx context.Context, s settings, pkg revision.Package, revisions []catalog.Listed) error {
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	marker, err := m.Bucket.Marker(ctx, pkg)
	if err != nil {
		return err
	}
	active, blessed := marker.Active()
	if !blessed {
		return nil
	}
	var known master.Fleet
	if active.Rollout == nil { // else votes say it
		hosts, _, err := p.reports(s, m.Bucket).read(ctx)
		if err != nil {
			return err
		}
		known = fleetOf(hosts, active)
	}
	settled, err := m.Settled(ctx, marker, known)
	if err != nil {
		return err
	}
	newest := active.Base
	if settled {
		newest = active.Revision
	}
	for i := range revisions {
		revisions[i].Settled = revisions[i].Revision == newest
	}
	return nil
}

// listed is the line of a revision.
func listed(r catalog.Listed) string {
	if text := marks(r); text != "" {
		return r.Revision.String() + "\t" + text
	}
	return r.Revision.String()
}

// marks are what is said of a revision beside its name.
func marks(r catalog.Listed) string {
	var all []string
	if r.Active {
		all = append(all, "(active)")
	} else if r.Previous {
		all = append(all, "(previous)")
	}
	if r.Settled {
		all = append(all, "(settled)")
	}
	return strings.Join(all, " ")
}

// described are the rows of a table of revisions.
func described(revisions []catalog.Listed) [][]string {
	rows := [][]string{{"REVISION", "STATE", "SPOOLED", "BY", "ARCHIVE", "UNPACKED", "NOTE", "LABELS"}}
	for _, r := range revisions {
		rows = append(rows, []string{
			r.Revision.String(), state(r), ftl.Clock(r.At.Time), orDash(r.By), size(r, r.Size), size(r, r.Unpacked), orDash(r.Note), orDash(r.Labels.String()),
		})
	}
	if !slices.ContainsFunc(revisions, func(r catalog.Listed) bool { return r.Signer != nil }) {
		return rows
	}
	rows[0] = append(rows[0], "SIGNED BY")
	for i, r := range revisions {
		rows[i+1] = append(rows[i+1], signedBy(*r.Signer))
	}
	return rows
}

// state is the state of a revision, and whether it has settled.
func state(r catalog.Listed) string {
	if r.Settled {
		return string(r.State) + ", settled"
	}
	return string(r.State)
}

// size is how many bytes are shown, where that is known.
func size(r catalog.Listed, bytes int64) string {
	const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
	switch {
	case r.At.IsZero():
		return "-"
	case bytes >= gib:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/gib)
	case bytes >= mib:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/mib)
	case bytes >= kib:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/kib)
	}
	return fmt.Sprintf("%d B", bytes)
}
