package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/master"
)

func (p *Program) newSpool() *cobra.Command {
	var opts master.SpoolOptions
	command := &cobra.Command{
		Use:   "spool FILE|DIR",
		Short: "Upload a new revision",
		Long: `Spool uploads a file or a directory as a new revision and prints the revision's
name, and nothing else. Hosts fetch it when they next sync; nothing becomes active.

The package is the file's name up to the first dot. A .tar, .tar.gz, .tgz, .gz,
.tar.zst, .tzst or .zst is unpacked on the hosts, and checked here first; anything
else is kept under its own name. A directory is packed without its .git.`,
		Example: `  rev=$(ftl spool my_site.tgz) && ftl jump --master $rev
  ftl spool build/my_site`,
		Args: one("FILE or DIR"),
		RunE: func(command *cobra.Command, args []string) error {
			m, err := p.master(command.Context(), command)
			if err != nil {
				return err
			}
			r, err := m.Spool(command.Context(), args[0], opts)
			if err != nil {
				return err
			}
			if !isSet(command, flagJSON) { // else the event has told it
				fmt.Fprintln(p.Stdout, r)
			}
			return nil
		},
	}
	addFlags(command, settingBucket, settingNode)
	addJSON(command)
	command.Flags().BoolVar(&opts.AsIs, "as-is", false, "upload the file untouched; hosts then fetch it as a whole")
	command.Flags().StringVar(&opts.Note, "note", "", "a note to keep with the revision")
	return command
}
