package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/rollout"
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
	p.addSettings(command, &s, settingBucket, settingNode)
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
	p.addSettings(command, &s, settingBucket, settingNode)
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

// A rolloutView is a rollout as it is shown. As JSON it is what ftl rollout show prints.
type rolloutView struct {
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"`
	Base     revision.Revision `json:"base"`
	Serial   int64             `json:"serial"`
	At       ftl.Time          `json:"at"`
	By       string            `json:"by"`
	Date     ftl.Time          `json:"date"`
	Settled  ftl.Time          `json:"settled"`
	Halted   ftl.Time          `json:"halted"`
	Why      string            `json:"why"`
	Next     string            `json:"next"`
	Waves    []waveView        `json:"waves"`
	Hosts    []hostView        `json:"hosts"`
	Slots    []slotView        `json:"slots"`
}

// A waveView is one wave.
type waveView struct {
	Hosts     int      `json:"hosts"`
	State     string   `json:"state"` // done, open or shut
	Opened    ftl.Time `json:"opened"`
	Well      int      `json:"well"`
	Need      int      `json:"need"`
	Undecided []string `json:"undecided"`
	Failed    []string `json:"failed"`
	Halt      int      `json:"halt"`
	Soak      string   `json:"soak"`
	Missing   []string `json:"missing"` // hosts that have not said anything
}

// A hostView is a host's part.
type hostView struct {
	Host  string       `json:"host"`
	Wave  int          `json:"wave"` // from 1
	Place string       `json:"place"`
	Vote  rollout.Kind `json:"vote"` // "" for none
	Voted ftl.Time     `json:"voted"`
	Waits string       `json:"waits"` // what for, and until when at the earliest
}

// A slotView is a host that changes now.
type slotView struct {
	Number int      `json:"number"`
	Host   string   `json:"host"`
	Until  ftl.Time `json:"until"`
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
func (p *Program) readRollout(ctx context.Context, s settings, bucket *catalog.Catalog, pkg revision.Package) (rolloutView, error) {
	marker, err := bucket.Marker(ctx, pkg)
	if err != nil {
		return rolloutView{}, err
	}
	active, blessed := marker.Active()
	if !blessed {
		return rolloutView{}, bucket.UnknownPackage(ctx, pkg)
	}
	if err := active.Understood(); err != nil {
		return rolloutView{}, err
	}
	if active.Rollout == nil {
		return rolloutView{}, ftl.Errorf(ftl.NotFound, "how the hosts are: ftl status --fleet "+pkg.String(),
			"%s was blessed for all hosts at once; there is no rollout", active.Revision)
	}
	votes, err := bucket.Votes(ctx, pkg, active.Serial)
	if err != nil {
		return rolloutView{}, err
	}
	now := votes.Date
	if now.IsZero() {
		now = time.Now()
	}
	hosts, _, err := p.reports(s, bucket).read(ctx)
	if err != nil {
		p.warn("%v; who is missing is not known", err)
	}
	view := viewRollout(active, active.Rollout.Count(votes.Votes, now), votes.Votes, hosts)
	for number := 1; number <= active.Rollout.AtOnce; number++ {
		slot, _, err := bucket.Slot(ctx, pkg, number)
		if err != nil {
			return rolloutView{}, err
		}
		if slot.Host != (catalog.Node{}) && now.Before(slot.Until) {
			view.Slots = append(view.Slots, slotView{number, slot.Host.String(), ftl.At(slot.Until)})
		}
	}
	return view, nil
}

// viewRollout says how a rollout stands.
func viewRollout(entry catalog.Entry, count *rollout.Count, votes []rollout.Vote, hosts []fleet.Host) rolloutView {
	v := rolloutView{
		Package: entry.Revision.Package(), Revision: entry.Revision, Base: entry.Base, Serial: entry.Serial, At: ftl.At(entry.At), By: entry.By,
		Date: ftl.At(count.At), Settled: ftl.At(count.Settled), Hosts: []hostView{}, Slots: []slotView{},
	}
	if count.Halt != nil {
		v.Halted, v.Why = ftl.At(count.Halt.At), count.Halt.String()
	}
	before := 0
	for k, plan := range entry.Rollout.Waves {
		v.Waves = append(v.Waves, viewWave(count, k, plan.Upto-before))
		before = plan.Upto
	}
	v.addHosts(count, rollout.LastWords(votes), fleet.Roster(hosts, entry.Revision.Package()))
	v.Next = v.next(count)
	return v
}

func viewWave(count *rollout.Count, k, hosts int) waveView {
	plan, wave := count.Plan.Waves[k], count.Waves[k]
	w := waveView{
		Hosts: hosts, State: "shut", Opened: ftl.At(wave.Opened), Well: len(wave.Well), Need: plan.Need, Halt: plan.Halt, Soak: plan.Soak.String(),
		Undecided: []string{}, Failed: []string{}, Missing: []string{},
	}
	switch {
	case wave.Opened.IsZero():
	case k < count.Done() || count.Complete():
		w.State = "done"
	default:
		w.State = "open"
	}
	for _, vote := range wave.Undecided {
		w.Undecided = append(w.Undecided, vote.Host)
	}
	for _, f := range wave.Failures {
		w.Failed = append(w.Failed, f.Host)
	}
	return w
}

// addHosts adds the hosts that have voted or reported, in the order of the rollout.
func (v *rolloutView) addHosts(count *rollout.Count, words map[string]rollout.Vote, roster []rollout.Member) {
	known := make(map[string]rollout.Member)
	for _, m := range roster {
		known[m.Host] = m
	}
	for name := range words {
		if _, reported := known[name]; !reported && name != rollout.Operator {
			known[name] = rollout.Member{Host: name}
		}
	}
	places := make(map[string]rollout.Place)
	for name, m := range known {
		word, voted := words[name]
		as := rollout.Host{Name: name, Last: m.Last}
		if voted && word.Kind != rollout.Out {
			as.Joined = word.Wave + 1
		}
		d := count.Decide(as)
		h := hostView{Host: name, Wave: d.Own + 1, Place: d.Place.String(), Vote: word.Kind, Voted: ftl.At(word.At)}
		if voted {
			h.Wave = word.Wave + 1
		} else {
			h.Waits = waitsFor(d)
			if v.Waves[d.Own].State == "open" && d.Act == rollout.Go {
				v.Waves[d.Own].Missing = append(v.Waves[d.Own].Missing, name)
			}
		}
		places[name] = d.Place
		v.Hosts = append(v.Hosts, h)
	}
	slices.SortFunc(v.Hosts, func(a, b hostView) int {
		if places[a.Host] != places[b.Host] {
			return strings.Compare(a.Place, b.Place)
		}
		return strings.Compare(a.Host, b.Host)
	})
	for k := range v.Waves {
		slices.Sort(v.Waves[k].Missing)
	}
}

// waitsFor says in words what a host waits for that has not said anything.
func waitsFor(d rollout.Decision) string {
	when := ""
	if !d.Next.IsZero() {
		when = "; " + ftl.Clock(d.Next) + " at the earliest"
	}
	switch d.Reason {
	case rollout.IsHalted:
		return "the rollout is halted"
	case rollout.IsOpen, rollout.HasBegun, rollout.IsBroken:
		return "it may go, and was not heard from"
	case rollout.Joins:
		return fmt.Sprintf("it may join wave %d in the place of another", d.Wave+1)
	case rollout.ItsTurn:
		return "its turn" + when
	case rollout.IsBeyond:
		return "nothing: the waves end before it"
	case rollout.TooMany:
		return "others that are being mended" + when
	}
	return fmt.Sprintf("wave %d, which is not open%s", d.Own+1, when)
}

// next says what opens the next wave, and when at the earliest.
func (v *rolloutView) next(count *rollout.Count) string {
	switch open := count.Done(); {
	case count.Halt != nil:
		return "nothing, until ftl rollout resume, or another blessing"
	case count.Complete() && count.Plan.Limited:
		return "nothing: the waves end here; ftl rollout finish opens it to all"
	case count.Complete():
		return ""
	default:
		w := v.Waves[open]
		text := fmt.Sprintf("wave %d waits for %d more to be well", open+1, w.Need-w.Well)
		if len(w.Missing) > 0 {
			text += "; not heard from " + rollout.List(w.Missing)
		}
		soak := count.Plan.Waves[open].Soak
		return text + "; " + ftl.Clock(earliest(count, open).Add(soak)) + " at the earliest"
	}
}

// earliest returns since when a host of the wave may run the revision that is not well yet.
func earliest(count *rollout.Count, wave int) time.Time {
	since := count.At
	for _, vote := range count.Waves[wave].Undecided {
		if vote.At.Before(since) {
			since = vote.At
		}
	}
	return since
}

func (p *Program) printRollout(v rolloutView) {
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
