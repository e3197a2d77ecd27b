package cmd

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/host"
)

func (p *Program) newRemove() *cobra.Command {
	var opts host.RemoveOptions
	command := &cobra.Command{
		Use:   "remove REVISION|PACKAGE",
		Short: "Remove a revision, or a whole package, from this host",
		Long: `Remove takes a revision off this host, after its pre-remove; the active and the
previous one are refused. It stays in the bucket.

A whole package is stopped by the un-jump of its active revision, then everything of it
goes except its shared directory, if there is anything in that. The host is then not
subscribed any more.`,
		Example: `  ftl remove my_site.2026112145296Wq
  ftl remove my_site`,
		Args: one("REVISION or PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			h, err := p.host(command)
			if err != nil {
				return err
			}
			if !strings.Contains(args[0], ".") {
				pkg, err := parsePackage(args[0])
				if err != nil {
					return err
				}
				return h.RemovePackage(command.Context(), pkg, opts)
			}
			r, err := parseRevision(args[0])
			if err != nil {
				return err
			}
			return h.Remove(command.Context(), r, opts)
		},
	}
	addFlags(command, hostSettings...)
	addDryRun(command)
	command.Flags().BoolVar(&opts.Force, "force", false, "also when pre-remove fails")
	return command
}
