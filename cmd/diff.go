package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newDiff() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "diff REVISION [REVISION]",
		Short: "Show which files differ between two revisions",
		Long: `Diff prints what a jump changes: the files that are added (+), changed (~) and removed
(-), with sizes and modes. One revision is compared with the one that is active, two
with each other, the older first. It reads no file, only the indexes that spool has
made: those that this host has kept, else the bucket's. With --master it needs the
bucket alone. Times are not compared.`,
		Example: `  ftl diff my_site.2026112145296Wq
  ftl diff --master my_site.2026112045100Ab my_site.2026112145296Wq`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return fmt.Errorf("REVISION is missing")
			case len(args) > 2:
				return fmt.Errorf("two revisions at most; %q is too much", args[2])
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			return p.diff(command.Context(), s, args)
		},
	}
	p.addSettings(command, &s, settingRoot, settingBucket)
	addMaster(command, &s, "compare what is in the bucket")
	return command
}

func (p *Program) diff(ctx context.Context, s settings, args []string) error {
	var revisions []revision.Revision
	for _, arg := range args {
		r, err := parseRevision(arg)
		if err != nil {
			return err
		}
		revisions = append(revisions, r)
	}
	from, err := p.inventory(ctx, s)
	if err != nil {
		return err
	}
	if len(revisions) == 1 {
		active, err := activeOf(ctx, from, revisions[0].Package())
		if err != nil {
			return err
		}
		revisions = []revision.Revision{active, revisions[0]}
	}
	older, err := from.tree(ctx, revisions[0])
	if err != nil {
		return err
	}
	newer, err := from.tree(ctx, revisions[1])
	if err != nil {
		return err
	}
	changes := newer.Since(older)
	if p.json {
		for _, change := range changes {
			p.writeJSON(change)
		}
		return nil
	}
	count := make(map[catalog.ChangeKind]int)
	for _, change := range changes {
		p.print("%s", change)
		count[change.Kind]++
	}
	if !p.quiet {
		p.say("%s -> %s: %d added, %d changed, %d removed; %d bytes of content are new",
			revisions[0], revisions[1], count[catalog.Added], count[catalog.Changed], count[catalog.Removed], newer.NewBytes(older))
	}
	return nil
}

// activeOf returns the active revision of a package, to compare with.
func activeOf(ctx context.Context, from inventory, pkg revision.Package) (revision.Revision, error) {
	listed, err := from.revisions(ctx, pkg)
	if err != nil {
		return revision.Revision{}, err
	}
	for _, r := range listed {
		if r.Active {
			return r.Revision, nil
		}
	}
	return revision.Revision{}, ftl.Errorf(ftl.NotFound, "name two revisions to compare: ftl diff OLD NEW", "no revision of %s is active", pkg)
}
