package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newSync() *cobra.Command {
	var (
		s    settings
		opts host.SyncOptions
	)
	command := &cobra.Command{
		Use:   "sync [PACKAGE...]",
		Short: "Bring this host up to date with the bucket",
		Long: `Sync fetches new revisions, jumps to the one that was blessed, and removes what is
not wanted any more: for the packages named, or for all that this host is subscribed
to, which are the directories in FTL_ROOT. It prints a line for each change, and
nothing when nothing changed. Run it from cron, or with --every as a service.`,
		Example: `  mkdir $FTL_ROOT/my_site && ftl sync     # subscribe, and fetch
  * * * * * FTL_SPLAY=50s ftl sync --cron  # a line for crontab -e`,
		RunE: func(command *cobra.Command, args []string) error {
			return p.sync(command.Context(), s, args, opts)
		},
	}
	p.addSettings(command, &s, slices.Concat(hostSettings, fleetSettings, placeSettings, []setting{settingMaxAge, settingPrefetch, settingBucket, settingCheckBucket, settingKeep, settingSplay, settingDelay, settingMetrics})...)
	addDryRun(command, &s)
	command.Flags().BoolVar(&opts.Cron, "cron", false, "exit 0 at once when another sync is at work, and say nothing about a failure that is known and not due to be tried again")
	command.Flags().Var(&everyFlag{&s.every}, "every", "stay, and sync each so often, as from cron; HUP syncs now")
	command.Flags().BoolVar(&opts.Force, "force", false, "remove what is not wanted any more, also beyond the limit of a day")
	return command
}

func (p *Program) sync(ctx context.Context, s settings, args []string, opts host.SyncOptions) error {
	if s.every > 0 && (s.dryRun || opts.Force) {
		return usage(errors.New("--every goes neither with --dry-run nor with --force"), "leave one of them out")
	}
	packages, err := parsePackages(args)
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
	opts.Splay = s.splay
	if s.every > 0 {
		return p.syncEvery(ctx, h, packages, opts, s)
	}
	err = p.syncOnce(ctx, h, packages, opts, s)
	if opts.Cron && err != nil {
		err = quiet(err)
	}
	return err
}

// syncOnce syncs, and writes the metrics.
func (p *Program) syncOnce(ctx context.Context, h *host.Host, packages []revision.Package, opts host.SyncOptions, s settings) error {
	var results results
	if s.metrics != "" {
		opts.Done = results.add
	}
	err := h.Sync(ctx, packages, opts)
	if s.metrics != "" {
		p.writeMetrics(s.metrics, h, results.all)
	}
	return err
}

// shortestEvery keeps a typo from becoming a flood of requests.
const shortestEvery = time.Second

// everyFlag is a flag that holds how often to sync.
type everyFlag struct{ value *time.Duration }

func (f *everyFlag) String() string {
	if f.value == nil || *f.value == 0 {
		return ""
	}
	return f.value.String()
}

func (f *everyFlag) Type() string { return "duration" }

func (f *everyFlag) Set(text string) error {
	every, err := time.ParseDuration(text)
	if err != nil || every < shortestEvery {
		return fmt.Errorf("%q is not a duration of at least %v, such as 10s", text, shortestEvery)
	}
	*f.value = every
	return nil
}

// quiet makes those failures silent that cron has already been told of.
func quiet(err error) error {
	var failures []error
	for _, failure := range ftl.Split(err) {
		if known, ok := errors.AsType[*ftl.Error](failure); ok && known.Waiting {
			failure = silentError{failure}
		}
		failures = append(failures, failure)
	}
	return ftl.Join(failures...)
}
