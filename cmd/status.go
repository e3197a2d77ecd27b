package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
)

func (p *Program) newStatus() *cobra.Command {
	var (
		s     settings
		flags fleetFlags
	)
	command := &cobra.Command{
		Use:   "status [PACKAGE...]",
		Short: "Show whether this host runs what is blessed",
		Long: `Status prints a line for each package: its condition, the ids of the current and the
previous revision and of the master's active one, since when it is so, and when a sync
last looked at the bucket. It takes no lock and changes nothing. Without FTL_BUCKET it
shows what the last sync saw.

  ok            it runs what is blessed
  behind        another revision is blessed; a sync has not run, or somebody jumped by hand
  pending       something has to come first: a blessing, a delay, a pre-jump, another ftl
  held          ftl hold keeps it
  rejected      what is blessed did not pass its check here, and was left again
  failed        a hook, a download or the bucket failed
  inconsistent  no revision works: a person is needed
  retired       it was taken out of the bucket, and what is here runs on

The exit code is 0 only when every package shown is ok or retired, so that a script can wait for
it; otherwise it is 1, or 8 where the bucket can't be read. Then ftl why tells more.

With --fleet it shows all hosts, by what they last reported to the bucket: what is wrong
now, what runs where, what is rolled out and how far, and how old all of that is. A host
that was not heard from in time is silent, and never counts as ok. The exit code is 0
only when every host was heard from and is ok, retired or held.`,
		Example: `  ftl status
  ftl status --fleet
  ftl status --fleet --host web1
  until ftl status my_site; do sleep 5; done  # when the machine boots`,
		RunE: func(command *cobra.Command, args []string) error {
			if err := flags.check(command); err != nil {
				return err
			}
			if flags.wanted {
				return p.statusFleet(command.Context(), s, args, flags)
			}
			return p.status(command.Context(), s, args)
		},
	}
	p.addSettings(command, &s, slices.Concat(verifying, placeSettings, []setting{settingRoot, settingNode, settingBucket, settingDelay, settingMaxAge})...)
	flags.add(command)
	return command
}

func (p *Program) status(ctx context.Context, s settings, args []string) error {
	all, err := p.readStatus(ctx, s, args)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		p.warn("this host is subscribed to nothing")
	}
	if p.json {
		for _, s := range all {
			p.writeJSON(s)
		}
	} else {
		p.printStatus(all)
	}
	return notConverged(all)
}

func (p *Program) readStatus(ctx context.Context, s settings, args []string) ([]ftl.Status, error) {
	packages, err := parsePackages(args)
	if err != nil {
		return nil, err
	}
	h, err := p.host(s)
	if err != nil {
		return nil, err
	}
	return h.Status(ctx, packages)
}

func (p *Program) printStatus(all []ftl.Status) {
	if len(all) == 0 {
		return
	}
	rows := [][]string{{"PACKAGE", "STATE", "CURRENT", "PREVIOUS", "MASTER", "SINCE", "LAST SYNC"}}
	for _, s := range all {
		rows = append(rows, []string{
			s.Package.String(), string(s.Condition), orDash(s.Current.ID()), orDash(s.Previous.ID()), orDash(s.Active.ID()),
			ftl.Clock(s.Since.Time), ftl.Clock(s.LastSync.Time),
		})
	}
	for _, line := range columns(rows) {
		p.print("%s", line)
	}
}

// notConverged is the error of the packages that are not what is blessed.
func notConverged(all []ftl.Status) error {
	var errs []error
	for _, s := range all {
		first, held := s.First()
		if !held || s.Condition.Converged() {
			continue
		}
		failure := &ftl.Error{
			Hint: "ftl why " + s.Package.String() + " tells more",
			Err:  errors.New(s.Package.String() + " is " + conditionOf(s, first)),
		}
		if unreachable(first.Err) {
			failure.Err = fmt.Errorf("%s is %s: %w", s.Package, s.Condition, first.Err)
		}
		errs = append(errs, failure)
	}
	return ftl.Join(errs...)
}

// conditionOf says the condition and what it is due to.
func conditionOf(s ftl.Status, first ftl.Decision) string {
	message, condition := first.Message, string(s.Condition)
	if strings.HasPrefix(message, condition+" ") { // held by, delayed
		return message
	}
	return condition + ": " + message
}
