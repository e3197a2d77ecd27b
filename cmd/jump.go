package cmd

import (
	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
)

func (p *Program) newJump() *cobra.Command {
	var (
		onMaster bool
		onHost   host.JumpOptions
		blessing master.JumpOptions
	)
	command := &cobra.Command{
		Use:   "jump REVISION",
		Short: "Activate a revision on this host, or with --master bless it for all",
		Long: `Jump makes a revision the active one of its package: pre-jump of the new one, un-jump
of the old one, the links flip, post-jump of the new one. A revision that is not here
is fetched first. The choice stands until the master changes.

With --master it blesses the revision in the bucket instead: every host jumps to it
when it next syncs, also the one that is down now.`,
		Example: `  ftl jump my_site.2026112145296Wq
  ftl jump --master my_site.2026112145296Wq --note "fix login"`,
		Args: one("REVISION"),
		RunE: func(command *cobra.Command, args []string) error {
			r, err := parseRevision(args[0])
			if err != nil {
				return err
			}
			if onMaster {
				m, err := p.masterOnly(command, "interrupt")
				if err != nil {
					return err
				}
				return m.Jump(command.Context(), r, blessing)
			}
			h, err := p.hostOnly(command, "again", "note")
			if err != nil {
				return err
			}
			return h.Jump(command.Context(), r, onHost)
		},
	}
	addJumpFlags(command, &onMaster, &onHost, &blessing.Note)
	command.Flags().BoolVar(&blessing.Again, "again", false, "with --master: bless the active revision once more, so that every host tries anew")
	return command
}

func (p *Program) newJumpBack() *cobra.Command {
	var (
		onMaster bool
		onHost   host.JumpOptions
		note     string
	)
	command := &cobra.Command{
		Use:   "jump-back PACKAGE",
		Short: "Activate the previous revision again, on this host or with --master for all",
		Long: `Jump-back is a jump to the previous revision, with the same hooks. Twice is back where
one was. With --master it blesses the revision that was blessed before.`,
		Example: `  ftl jump-back my_site
  ftl jump-back --master my_site --note "login is broken"`,
		Args: one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			pkg, err := parsePackage(args[0])
			if err != nil {
				return err
			}
			if onMaster {
				m, err := p.masterOnly(command, "interrupt")
				if err != nil {
					return err
				}
				return m.JumpBack(command.Context(), pkg, note)
			}
			h, err := p.hostOnly(command, "note")
			if err != nil {
				return err
			}
			return h.JumpBack(command.Context(), pkg, onHost)
		},
	}
	addJumpFlags(command, &onMaster, &onHost, &note)
	return command
}

func addJumpFlags(command *cobra.Command, onMaster *bool, onHost *host.JumpOptions, note *string) {
	addFlags(command, append(hostSettings, settingBucket)...)
	addDryRun(command)
	addJSON(command)
	command.Flags().BoolVar(onMaster, "master", false, "act on the bucket, for all hosts")
	command.Flags().BoolVar(&onHost.Interrupt, "interrupt", false, "end the hook that another ftl is stuck in, then go on")
	command.Flags().StringVar(note, "note", "", "with --master: a note to keep in the marker")
}

// masterOnly returns the master, for a command with flags that only mean
// something on the host.
func (p *Program) masterOnly(command *cobra.Command, hostFlags ...string) (*master.Master, error) {
	if err := onlyWith(command, false, hostFlags...); err != nil {
		return nil, err
	}
	return p.master(command.Context(), command)
}

// hostOnly returns the host, for a command with flags that only mean something
// on the master.
func (p *Program) hostOnly(command *cobra.Command, masterFlags ...string) (*host.Host, error) {
	if err := onlyWith(command, true, masterFlags...); err != nil {
		return nil, err
	}
	return p.host(command)
}
