package cmd

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newStatus() *cobra.Command {
	command := &cobra.Command{
		Use:   "status [PACKAGE...]",
		Short: "Show how this host stands to what is blessed",
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

The exit code is 0 only when every package shown is ok, so that a script can wait for
it; otherwise it is 1, or 8 where the bucket can't be read. Then ftl why tells more.`,
		Example: `  ftl status
  until ftl status my_site; do sleep 5; done  # when the machine boots`,
		RunE: p.status,
	}
	addFlags(command, settingRoot, settingBucket, settingDelay)
	addJSON(command)
	return command
}

func (p *Program) status(command *cobra.Command, args []string) error {
	all, err := p.readStatus(command, args)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		p.warn("this host is subscribed to nothing")
	}
	if isSet(command, flagJSON) {
		for _, s := range all {
			p.writeJSON(toStatusJSON(s))
		}
	} else if err := p.printStatus(all); err != nil {
		return err
	}
	return notConverged(all)
}

func (p *Program) readStatus(command *cobra.Command, args []string) ([]host.Status, error) {
	var packages []revision.Package
	for _, arg := range args {
		pkg, err := parsePackage(arg)
		if err != nil {
			return nil, err
		}
		packages = append(packages, pkg)
	}
	h, err := p.host(command)
	if err != nil {
		return nil, err
	}
	return h.Status(command.Context(), packages)
}

func (p *Program) printStatus(all []host.Status) error {
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PACKAGE\tSTATE\tCURRENT\tPREVIOUS\tMASTER\tSINCE\tLAST SYNC")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Package, s.Condition,
			orDash(s.Current.ID()), orDash(s.Previous.ID()), orDash(s.Active.ID()), clock(s.Since), clock(s.LastSync))
	}
	return w.Flush()
}

// notConverged is the error of the packages that are not what is blessed.
func notConverged(all []host.Status) error {
	var errs []error
	for _, s := range all {
		first, held := s.First()
		if !held {
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
	return errors.Join(errs...)
}

// conditionOf says the condition and what it is due to.
func conditionOf(s host.Status, first host.Decision) string {
	message, condition := plain(first.Message), string(s.Condition)
	if strings.HasPrefix(message, condition+" ") { // held by, delayed
		return message
	}
	return condition + ": " + message
}

// statusJSON is a line of status.
type statusJSON struct {
	Package    revision.Package  `json:"package"`
	State      host.Condition    `json:"state"`
	Current    revision.Revision `json:"current"`
	Previous   revision.Revision `json:"previous"`
	Active     revision.Revision `json:"active"`
	Since      *time.Time        `json:"since"`
	LastSync   *time.Time        `json:"last_sync"`
	Message    string            `json:"message"`
	HeldBy     string            `json:"held_by"`
	HeldSince  *time.Time        `json:"held_since"`
	HeldReason string            `json:"held_reason"`
}

func toStatusJSON(s host.Status) statusJSON {
	line := statusJSON{
		Package: s.Package, State: s.Condition, Current: s.Current, Previous: s.Previous, Active: s.Active,
		Since: known(s.Since), LastSync: known(s.LastSync),
	}
	if first, held := s.First(); held {
		line.Message = first.Message
	}
	if s.Hold != nil {
		line.HeldBy, line.HeldSince, line.HeldReason = s.Hold.By, known(s.Hold.At), s.Hold.Reason
	}
	return line
}
