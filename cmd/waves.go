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
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/revision"
)

// settingRollout is the operator's usual waves.
var settingRollout = setting{
	variable: "FTL_ROLLOUT", usage: "with --master: bless in waves of so many hosts, the rest last: 1,5%/30m,25%", fallback: "none", example: "1,5%,25%",
	set: func(s *settings, value string) (err error) {
		if value != "" {
			s.waves, err = rollout.ParseSteps(value)
		}
		return err
	},
}

// waveFlags are the flags of a blessing in waves, as they were typed.
type waveFlags struct {
	now                            bool
	soak, over, verdict, patience  time.Duration
	until, tolerate, first, atOnce string
	onHalt                         string
}

// wavesAlone are the flags that make no sense without waves.
var wavesAlone = []string{"soak", "tolerate", "verdict", "patience", "first", "on-halt"}

// makesWaves are the flags that make waves of a blessing, of all hosts at least.
var makesWaves = []string{"rollout", "over", "until", "at-once"}

func (f *waveFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.BoolVar(&f.now, "now", false, "all hosts at once, also where a rollout is not over")
	flags.DurationVar(&f.soak, "soak", 0, "how long a host of a wave runs it before it counts (default 10m)")
	flags.DurationVar(&f.over, "over", 0, "spread the hosts of a wave over this time")
	flags.StringVar(&f.until, "until", "", "end the waves after so many hosts: 5%, or 3")
	flags.StringVar(&f.tolerate, "tolerate", "", "the part of the hosts that may fail (default 2%)")
	flags.DurationVar(&f.verdict, "verdict", 0, "how long a host may take to say how it went (default 15m, or as its time-outs need)")
	flags.DurationVar(&f.patience, "patience", 0, "how long a wave waits for a host before another takes its place (default 15m)")
	flags.StringVar(&f.first, "first", "", "hosts that come first: NAME,NAME, or canaries, those that offer it")
	flags.StringVar(&f.atOnce, "at-once", "", "how many hosts may change at the same time: 2, or 10%")
	flags.StringVar(&f.onHalt, "on-halt", "", "what hosts do when it is halted: back")
}

// names are those of the flags.
func (waveFlags) names() []string {
	return append([]string{"now", "over", "until", "at-once"}, wavesAlone...)
}

// options reads the flags, together with the waves of the setting. Nil is all hosts at once; usual
// says that nobody has asked for the waves now.
func (f waveFlags) options(command *cobra.Command, waves []rollout.Step) (opts *rollout.Options, usual bool, err error) {
	changed := func(name string) bool { return command.Flags().Changed(name) }
	asked := slices.ContainsFunc(makesWaves, changed)
	if f.now {
		if changed("rollout") || changed("over") || changed("until") {
			return nil, false, usage(errors.New("--now and waves contradict each other"), command.CommandPath()+" --help")
		}
		waves = nil
	}
	if len(waves) == 0 && !asked {
		if i := slices.IndexFunc(wavesAlone, changed); i >= 0 {
			return nil, false, usage(fmt.Errorf("--%s needs waves", wavesAlone[i]), "for example: --rollout 1,5%,25%")
		}
		return nil, false, nil
	}
	opts = &rollout.Options{Waves: waves, Soak: f.soak, Over: f.over, Verdict: f.verdict, Patience: f.patience}
	return opts, !asked, f.parse(opts)
}

// parse reads the flags that are more than a time.
func (f waveFlags) parse(opts *rollout.Options) (err error) {
	for name, d := range map[string]time.Duration{"soak": f.soak, "over": f.over, "verdict": f.verdict, "patience": f.patience} {
		if d < 0 {
			return usage(fmt.Errorf("--%s: it is negative", name), "for example: --"+name+" 10m")
		}
	}
	if opts.Until, err = amount("until", f.until); err != nil {
		return err
	}
	if opts.AtOnce, err = amount("at-once", f.atOnce); err != nil {
		return err
	}
	if opts.Tolerate, err = parseTolerate(f.tolerate); err != nil {
		return err
	}
	switch f.onHalt {
	case "", "stay":
	case "back":
		opts.Back = true
	default:
		return usage(fmt.Errorf("--on-halt: %q is neither back nor stay", f.onHalt), "for example: --on-halt back")
	}
	for name := range strings.SplitSeq(f.first, ",") {
		switch name {
		case "":
		case "canaries":
			opts.Canaries = true
		default:
			opts.First = append(opts.First, catalog.NodeOf(name).String())
		}
	}
	return nil
}

func amount(flag, text string) (rollout.Amount, error) {
	if text == "" {
		return rollout.Amount{}, nil
	}
	a, err := rollout.ParseAmount(text)
	if err != nil {
		return a, usage(fmt.Errorf("--%s: %w", flag, err), "for example: --"+flag+" 5%")
	}
	return a, nil
}

// parseTolerate reads the part of the hosts that may fail: "3%", or "0". Nil is the default.
func parseTolerate(text string) (*float64, error) {
	if text == "" {
		return nil, nil
	}
	part, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(part >= 0 && part < 100) || part != 0 && !strings.HasSuffix(text, "%") {
		return nil, usage(fmt.Errorf("--tolerate: %q is no part of the hosts", text), "for example: --tolerate 2%")
	}
	part /= 100
	return &part, nil
}

// plan adds to a blessing what is known of the hosts, and how to tell of its waves. Where there are
// no waves, hosts whose reports can't be read keep nobody from blessing.
func (p *Program) plan(ctx context.Context, s settings, m *master.Master, r revision.Revision, opts *master.JumpOptions) error {
	hosts, _, err := p.reports(s, m.Bucket).read(ctx)
	if err == nil {
		opts.Fleet, err = knownFleet(ctx, m.Bucket, hosts, r.Package())
	}
	switch {
	case opts.Rollout == nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	for _, name := range opts.Rollout.First {
		if !slices.ContainsFunc(opts.Fleet.Members, func(m rollout.Member) bool { return m.Host == name }) {
			p.warn("%s has not reported lately, or is not subscribed to %s, so it can't come first", name, r.Package())
		}
	}
	opts.Plan = func(plan *rollout.Plan) {
		p.announce(plan)
		p.warnUnchecked(ctx, m.Bucket, r)
	}
	return nil
}

// announce says what waves a blessing will have.
func (p *Program) announce(plan *rollout.Plan) {
	if plan.Size == 0 {
		p.say("no host has reported; all go within %v, and nobody hears from them", plan.Waves[0].Over)
		return
	}
	before := 0
	for k, w := range plan.Waves {
		text := fmt.Sprintf("wave %d of %d: %s", k+1, len(plan.Waves), hostCount(w.Upto-before))
		if w.Over > 0 {
			text += fmt.Sprintf(" over %v", w.Over)
		}
		if k < len(plan.Waves)-1 {
			text += fmt.Sprintf("; the next one opens when %d are well for %v", w.Need, w.Soak)
		}
		p.say("%s; %s", text, haltsAt(w.Halt))
		before = w.Upto
	}
	if plan.Limited {
		p.say("the waves end there; %s stay as they are", hostCount(plan.Size-before))
	}
	if plan.AtOnce > 0 {
		p.say("at most %s change at the same time", hostCount(plan.AtOnce))
	}
}

func haltsAt(failures int) string {
	switch failures {
	case 0:
		return "no failure halts it"
	case 1:
		return "halts at the 1st failure"
	}
	return fmt.Sprintf("halts at %d failures", failures)
}

func hostCount(n int) string {
	if n == 1 {
		return "1 host"
	}
	return strconv.Itoa(n) + " hosts"
}

// warnUnchecked warns of waves in which nobody looks whether the revision works.
func (p *Program) warnUnchecked(ctx context.Context, bucket *catalog.Catalog, r revision.Revision) {
	tree, err := bucket.Tree(ctx, r)
	failure, known := errors.AsType[*ftl.Error](err)
	if err != nil && !(known && failure.Kind == ftl.Refused) {
		return // the blessing says why the revision can't be read
	}
	if err == nil {
		for _, entry := range tree.Entries {
			if slices.Contains(hooks.Candidates(hooks.Check), entry.Name) {
				return
			}
		}
	}
	p.warn("%s has no check hook: a host says that it is well as soon as post-jump has ended; see ftl help hooks", r)
}
