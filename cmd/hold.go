package cmd

import (
	"context"

	"github.com/spf13/cobra"
)

func (p *Program) newHold() *cobra.Command {
	var (
		s      settings
		reason string
	)
	command := &cobra.Command{
		Use:   "hold PACKAGE",
		Short: "Keep what is active on this host, whatever is blessed",
		Long: `Hold keeps a package on this host as it is: sync still fetches what is new, but flips
no link and starts no service, nor does it try a failed post-jump again. A jump by hand
works, and does not end the hold. Who holds it, since when and why is shown by ftl
status and ftl why. A sync from cron says nothing about it.`,
		Example: `  ftl hold my_site --reason "looking into the memory leak"`,
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.hold(command.Context(), s, args[0], reason)
		},
	}
	p.addSettings(command, &s, settingRoot, settingLockWait)
	addDryRun(command, &s)
	command.Flags().StringVar(&reason, "reason", "", "why, for whoever wonders")
	return command
}

func (p *Program) hold(ctx context.Context, s settings, arg, reason string) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	h, err := p.host(s)
	if err != nil {
		return err
	}
	return h.Hold(ctx, pkg, reason)
}

func (p *Program) newUnhold() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "unhold PACKAGE",
		Short: "Let sync follow the master again",
		Long: `Unhold ends a hold: the next sync activates what is blessed. Who has jumped by hand
meanwhile is told that this stands until a revision is blessed anew, and how to follow
the master at once. Where there is no hold, there is nothing to do.`,
		Example: `  ftl unhold my_site && ftl sync my_site`,
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.unhold(command.Context(), s, args[0])
		},
	}
	p.addSettings(command, &s, settingRoot, settingLockWait)
	addDryRun(command, &s)
	return command
}

func (p *Program) unhold(ctx context.Context, s settings, arg string) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	h, err := p.host(s)
	if err != nil {
		return err
	}
	return h.Unhold(ctx, pkg)
}
