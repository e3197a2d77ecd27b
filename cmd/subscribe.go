package cmd

import (
	"context"

	"github.com/spf13/cobra"
)

func (p *Program) newSubscribe() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "subscribe PACKAGE",
		Short: "Make this host follow a package of the bucket",
		Long: `Subscribe makes the package's directory in FTL_ROOT, which is all that a subscription
is: the next sync fetches the package. Unlike mkdir it makes sure that the bucket has a
package of that name. To end a subscription, remove the package.`,
		Example: `  ftl subscribe my_site && ftl sync my_site`,
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.subscribe(command.Context(), s, args[0])
		},
	}
	p.addSettings(command, &s, settingRoot, settingBucket)
	return command
}

func (p *Program) subscribe(ctx context.Context, s settings, arg string) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	h, err := p.host(s)
	if err != nil {
		return err
	}
	if h.Open == nil {
		return settingBucket.missing()
	}
	return h.Subscribe(ctx, pkg)
}
