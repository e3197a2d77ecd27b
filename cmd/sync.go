package cmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newSync() *cobra.Command {
	var opts host.SyncOptions
	command := &cobra.Command{
		Use:   "sync [PACKAGE...]",
		Short: "Bring this host up to date with the bucket",
		Long: `Sync fetches new revisions, jumps to the one that was blessed, and removes what is
not wanted any more: for the packages named, or for all that this host is subscribed
to, which are the directories in FTL_ROOT. It prints a line for each change, and
nothing when nothing changed. Run it from cron.`,
		Example: `  mkdir $FTL_ROOT/my_site && ftl sync     # subscribe, and fetch
  * * * * * FTL_SPLAY=50s ftl sync --cron  # a line for crontab -e`,
		RunE: func(command *cobra.Command, args []string) error {
			return p.sync(command, args, opts)
		},
	}
	addFlags(command, append(hostSettings, settingBucket, settingKeep, settingSplay, settingDelay, settingMetrics)...)
	addDryRun(command)
	addJSON(command)
	command.Flags().BoolVar(&opts.Cron, "cron", false, "exit 0 at once when another sync is at work, and say nothing about a failure that is known and not due to be tried again")
	return command
}

func (p *Program) sync(command *cobra.Command, args []string, opts host.SyncOptions) error {
	var packages []revision.Package
	for _, arg := range args {
		pkg, err := parsePackage(arg)
		if err != nil {
			return err
		}
		packages = append(packages, pkg)
	}
	h, err := p.host(command)
	if err != nil {
		return err
	}
	if h.Open == nil {
		return settingBucket.missing()
	}
	if h.Keep, err = p.keep(command); err != nil {
		return err
	}
	if opts.Splay, err = p.duration(command, settingSplay, 0); err != nil {
		return err
	}
	var results results
	opts.Done = results.add
	err = h.Sync(command.Context(), packages, opts)
	p.writeMetrics(p.value(command, settingMetrics), h, results.all)
	if opts.Cron && err != nil {
		err = quiet(err)
	}
	return err
}

// quiet makes those failures silent that cron has already been told of.
func quiet(err error) error {
	failures := ftl.Split(err)
	for i, failure := range failures {
		if known, ok := errors.AsType[*ftl.Error](failure); ok && known.Waiting {
			failures[i] = silentError{failure}
		}
	}
	return errors.Join(failures...)
}
