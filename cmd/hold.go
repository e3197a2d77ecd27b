package cmd

import (
	"github.com/spf13/cobra"
)

func (p *Program) newHold() *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use:   "hold PACKAGE",
		Short: "Make sync leave alone what is active on this host",
		Long: `Hold keeps a package on this host as it is: sync still fetches what is new, but flips
no link and starts no service, nor does it try a failed post-jump again. A jump by hand
works, and does not end the hold. Who holds it, since when and why is shown by ftl
status and ftl why. A sync from cron says nothing about it.`,
		Example: `  ftl hold my_site --reason "looking into the memory leak"`,
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			pkg, err := parsePackage(args[0])
			if err != nil {
				return err
			}
			h, err := p.host(command)
			if err != nil {
				return err
			}
			return h.Hold(command.Context(), pkg, reason)
		},
	}
	addFlags(command, settingRoot, settingLockWait)
	command.Flags().StringVar(&reason, "reason", "", "why, for whoever wonders")
	return command
}

func (p *Program) newUnhold() *cobra.Command {
	command := &cobra.Command{
		Use:   "unhold PACKAGE",
		Short: "Let sync follow the master again",
		Long: `Unhold ends a hold: the next sync activates what is blessed. Where there is no hold,
there is nothing to do.`,
		Example: `  ftl unhold my_site && ftl sync my_site`,
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			pkg, err := parsePackage(args[0])
			if err != nil {
				return err
			}
			h, err := p.host(command)
			if err != nil {
				return err
			}
			return h.Unhold(command.Context(), pkg)
		},
	}
	addFlags(command, settingRoot, settingLockWait)
	return command
}
