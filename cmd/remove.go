package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newRemove() *cobra.Command {
	var (
		s    settings
		opts host.RemoveOptions
		yes  bool
	)
	command := &cobra.Command{
		Use:   "remove REVISION|PACKAGE",
		Short: "Remove a revision, or a whole package, from this host",
		Long: `Remove takes a revision off this host, after its pre-remove; the active and the
previous one are refused. It stays in the bucket.

A whole package is stopped by the un-jump of its active revision, then everything of it
goes except its shared directory, if there is anything in that. The host is then not
subscribed any more. Where a revision is active it asks first, or on no terminal
wants --yes.`,
		Example: `  ftl remove my_site.2026112145296Wq
  ftl remove --yes my_site`,
		Args: one("REVISION or PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			if !yes {
				opts.Confirm = p.confirmRemoval
			}
			return p.remove(command.Context(), s, args[0], opts)
		},
	}
	p.addSettings(command, &s, hostSettings...)
	addDryRun(command, &s)
	command.Flags().BoolVar(&opts.Force, "force", false, "also when pre-remove fails")
	command.Flags().BoolVar(&yes, "yes", false, "remove a package with an active revision without asking")
	return command
}

// confirmRemoval asks whether a package shall go that runs.
func (p *Program) confirmRemoval(ctx context.Context, active revision.Revision) error {
	refused := func(format string, args ...any) error {
		return ftl.Errorf(ftl.Refused, "to remove it: ftl remove --yes "+active.Package().String(), format, args...)
	}
	if !p.hasPerson() {
		return refused("%s is active on this host", active)
	}
	yes, err := p.confirm(ctx, "%s is active. Stop it, and remove %s from this host?", active, active.Package())
	if err == nil && !yes {
		err = refused("%s stays", active.Package())
	}
	return err
}

func (p *Program) remove(ctx context.Context, s settings, arg string, opts host.RemoveOptions) error {
	h, err := p.host(s)
	if err != nil {
		return err
	}
	if !strings.Contains(arg, ".") {
		pkg, err := parsePackage(arg)
		if err != nil {
			return err
		}
		return h.RemovePackage(ctx, pkg, opts)
	}
	r, err := parseRevision(arg)
	if err != nil {
		return err
	}
	return h.Remove(ctx, r, opts)
}
