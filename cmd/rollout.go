package cmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newRollout() *cobra.Command {
	command := &cobra.Command{
		Use:   "rollout",
		Short: "Show a blessing in waves, stop it, or let it go on",
		Long: `Rollout is about a revision that was blessed in waves: ftl jump --master --rollout.
Halt stops it, and needs no right to bless. Resume, advance and finish let it go on, by
a new blessing of the same revision.`,
		Example: "  ftl rollout show my_site",
		Args:    cobra.NoArgs,
		RunE:    showHelp,
	}
	command.AddCommand(p.newRolloutShow(), p.newRolloutHalt(), p.newRolloutRelease())
	for _, d := range goingOn {
		command.AddCommand(p.newRolloutGoOn(d))
	}
	for _, child := range command.Commands() {
		p.completeArguments(child)
		completeFlags(child)
	}
	return command
}

func (p *Program) newRolloutShow() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "show PACKAGE",
		Short: "Show the waves and votes of the newest rollout",
		Long: `Show prints the waves of the newest blessing with how far each is, who halted it and
why, what opens next and when at the earliest, and for each host its wave, its place,
what it has said, and what it waits for.`,
		Example: "  ftl rollout show my_site",
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.rolloutShow(command.Context(), s, args[0])
		},
	}
	p.addSettings(command, &s, settingBucket)
	return command
}

func (p *Program) newRolloutHalt() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "halt PACKAGE",
		Short: "Stop the newest rollout",
		Long: `Halt stops a rollout: no further host follows, and those that run the revision keep
it. It writes no blessing, and can't be used for anything else.`,
		Example: "  ftl rollout halt my_site",
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			pkg, err := parsePackage(args[0])
			if err != nil {
				return err
			}
			m, err := p.master(command.Context(), s)
			if err != nil {
				return err
			}
			return m.Halt(command.Context(), pkg)
		},
	}
	p.addSettings(command, &s, append(verifying, settingBucket, settingNode)...)
	addDryRun(command, &s)
	return command
}

// A goOn is a way in which a rollout goes on.
type goOn struct {
	name, short, long string
	change            master.Change
}

var goingOn = []goOn{
	{"resume", "Let a halted rollout go on", `Resume blesses the revision again with the same waves, so that those hosts follow which
have not. A host that has left it again takes it only by ftl jump --master --again.`, master.Resume},
	{"advance", "Open the next wave", `Advance blesses the revision again without the first wave that is not done.`, master.Advance},
	{"finish", "Open it to all hosts at once", `Finish blesses the revision again, without waves.`, master.Finish},
}

func (p *Program) newRolloutGoOn(d goOn) *cobra.Command {
	var (
		s        settings
		opts     = master.ResumeOptions{Change: d.change}
		tolerate string
	)
	command := &cobra.Command{
		Use:     d.name + " PACKAGE",
		Short:   d.short,
		Long:    d.long,
		Example: "  ftl rollout " + d.name + " my_site",
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) (err error) {
			if opts.Tolerate, err = parseTolerate(tolerate); err != nil {
				return err
			}
			return p.rolloutGoOn(command.Context(), s, args[0], opts)
		},
	}
	p.addSettings(command, &s, append(signing, settingBucket, settingNode)...)
	addDryRun(command, &s)
	command.Flags().StringVar(&opts.Note, "note", "", "a note to keep in the marker")
	if d.change == master.Resume {
		command.Flags().StringVar(&tolerate, "tolerate", "", "raise the part of the hosts that may fail, such as 5%")
	}
	return command
}

func (p *Program) rolloutGoOn(ctx context.Context, s settings, arg string, opts master.ResumeOptions) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	return m.Resume(ctx, pkg, opts)
}

func (p *Program) newRolloutRelease() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "release PACKAGE HOST",
		Short: "Free the slot of a host that will not give it back",
		Long: `Release frees what a host has taken of --at-once, so that another may change. A host that
failed keeps it until it is well again, or its time is over.`,
		Example: "  ftl rollout release my_site web1",
		Args:    packageAndHost,
		RunE: func(command *cobra.Command, args []string) error {
			return p.rolloutRelease(command.Context(), s, args)
		},
	}
	p.addSettings(command, &s, settingBucket, settingNode)
	return command
}

func packageAndHost(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("PACKAGE and HOST are missing")
	case len(args) == 1:
		return errors.New("HOST is missing")
	case len(args) > 2:
		return fmt.Errorf("one HOST at a time; %q is too much", args[2])
	}
	return nil
}

func (p *Program) rolloutRelease(ctx context.Context, s settings, args []string) error {
	pkg, err := parsePackage(args[0])
	if err != nil {
		return err
	}
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	released, err := m.Release(ctx, pkg, p.nodeOf(ctx, s, m.Bucket, args[1]))
	if err != nil {
		return err
	}
	if released == 0 {
		return ftl.Errorf(ftl.NotFound, "who does: ftl rollout show "+pkg.String(), "%s holds no slot of %s", args[1], pkg)
	}
	p.print("%s is released", args[1])
	return nil
}

// nodeOf returns the name in keys of a host that people call so. It need not have reported.
func (p *Program) nodeOf(ctx context.Context, s settings, bucket *catalog.Catalog, name string) catalog.Node {
	if hosts, _, err := p.reports(s, bucket).read(ctx); err == nil {
		if h, found := fleet.Find(hosts, name); found {
			return h.Node
		}
	}
	return catalog.NodeOf(name)
}

func (p *Program) rolloutShow(ctx context.Context, s settings, arg string) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	bucket, err := p.bucket(ctx, s)
	if err != nil {
		return err
	}
	view, err := p.readRollout(ctx, s, bucket, pkg)
	if err != nil {
		return err
	}
	if p.json {
		return p.writeJSON(view)
	}
	p.printRollout(view)
	return nil
}

// readRollout reads the newest rollout of a package, with what the hosts have said.
func (p *Program) readRollout(ctx context.Context, s settings, bucket *catalog.Catalog, pkg revision.Package) (fleet.Rollout, error) {
	marker, err := bucket.Marker(ctx, pkg)
	if err != nil {
		return fleet.Rollout{}, err
	}
	active, blessed := marker.Active()
	if !blessed {
		return fleet.Rollout{}, bucket.UnknownPackage(ctx, pkg)
	}
	if err := active.Understood(); err != nil {
		return fleet.Rollout{}, err
	}
	if active.Rollout == nil {
		return fleet.Rollout{}, ftl.Errorf(ftl.NotFound, "how the hosts are: ftl status --fleet "+pkg.String(),
			"%s was blessed for all hosts at once; there is no rollout", active.Revision)
	}
	votes, err := bucket.Votes(ctx, pkg, active.Serial)
	if err != nil {
		return fleet.Rollout{}, err
	}
	hosts, _, err := p.reports(s, bucket).read(ctx)
	if err != nil {
		p.warn("%v; who is missing is not known", err)
	}
	count := votes.Count(active.Rollout)
	view := fleet.ViewRollout(active, count, votes.Votes, hosts)
	for number := 1; number <= active.Rollout.AtOnce; number++ {
		slot, _, err := bucket.Slot(ctx, pkg, number)
		if err != nil {
			return fleet.Rollout{}, err
		}
		if slot.Host != (catalog.Node{}) && count.At.Before(slot.Until) {
			view.Slots = append(view.Slots, fleet.Slot{Number: number, Host: slot.Host.String(), Until: ftl.At(slot.Until)})
		}
	}
	return view, nil
}

func (p *Program) printRollout(v fleet.Rollout) {
	p.print("%s, serial %d, blessed at %s by %s", v.Revision, v.Serial, ftl.Clock(v.At.Time), orDash(v.By))
	switch {
	case !v.Halted.IsZero():
		p.print("halted at %s: %s", ftl.Clock(v.Halted.Time), v.Why)
	case !v.Settled.IsZero():
		p.print("settled at %s", ftl.Clock(v.Settled.Time))
	}
	if v.Next != "" {
		p.print("next: %s", v.Next)
	}
	rows := [][]string{{"WAVE", "HOSTS", "STATE", "OPENED", "WELL", "AT WORK", "FAILED", "HALTS AT", "SOAK"}}
	for k, w := range v.Waves {
		rows = append(rows, []string{
			strconv.Itoa(k + 1), strconv.Itoa(w.Hosts), w.State, ftl.Clock(w.Opened.Time), fmt.Sprintf("%d of %d", w.Well, w.Need),
			strconv.Itoa(len(w.Undecided)), strconv.Itoa(len(w.Failed)), strconv.Itoa(w.Halt), w.Soak,
		})
	}
	p.printTable(rows)
	rows = [][]string{{"HOST", "WAVE", "PLACE", "SAYS", "SINCE", "WAITS FOR"}}
	for _, h := range v.Hosts {
		rows = append(rows, []string{h.Host, strconv.Itoa(h.Wave), h.Place, orDash(string(h.Vote)), ftl.Clock(h.Voted.Time), orDash(h.Waits)})
	}
	p.printTable(rows)
	for _, slot := range v.Slots {
		p.print("slot %d is held by %s until %s", slot.Number, slot.Host, ftl.Clock(slot.Until.Time))
	}
}

// printTable prints rows in columns.
func (p *Program) printTable(rows [][]string) {
	for _, line := range columns(rows) {
		p.print("%s", line)
	}
}
