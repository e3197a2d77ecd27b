package cmd

import (
	"context"
	"errors"
	"fmt"
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

// waitFlags are how a blessing is waited for.
type waitFlags struct {
	wanted, back, failFast bool
	timeout                time.Duration // 0 is the default
}

// defaultPatience is how long a blessing without waves is waited for.
const defaultPatience = 30 * time.Minute

func (f *waitFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.BoolVar(&f.wanted, "wait", false, "with --master: wait until the hosts run it")
	f.addRest(command)
}

// addRest adds the flags that say how to wait.
func (f *waitFlags) addRest(command *cobra.Command) {
	flags := command.Flags()
	flags.DurationVar(&f.timeout, "timeout", 0, "how long to wait (default 30m; for waves, as long as they take)")
	flags.BoolVar(&f.back, "back", false, "bless the way back when it fails, or --timeout is over")
	flags.BoolVar(&f.failFast, "fail-fast", false, "end at the first host on which it fails")
}

func (waitFlags) names() []string { return []string{"wait", "timeout", "back", "fail-fast"} }

// check refuses flags that need --wait.
func (f waitFlags) check(command *cobra.Command) error {
	for _, name := range f.names()[1:] {
		if command.Flags().Changed(name) && !f.wanted {
			return usage(fmt.Errorf("--%s needs --wait", name), command.CommandPath()+" --help")
		}
	}
	if f.timeout < 0 {
		return usage(errors.New("--timeout: it is negative"), "for example: --timeout 30m")
	}
	return nil
}

// knows refuses to wait for nobody.
func (f waitFlags) knows(roster []rollout.Member, pkg revision.Package) error {
	if !f.wanted || len(roster) > 0 {
		return nil
	}
	return ftl.Errorf(ftl.Refused, "which hosts report: ftl status --fleet; to bless without waiting: ftl jump --master REVISION",
		"no host that is subscribed to %s has reported lately, so there is nobody to wait for", pkg)
}

// waiting is a blessing that is waited for.
type waiting struct {
	waitFlags
	p      *Program
	bucket *catalog.Catalog
	hosts  *reports
	entry  catalog.Entry
	roster []rollout.Member
	began  time.Time

	told map[string]bool // what has been said
	live *block
	last progress
}

// progress is how far a blessing has come.
type progress struct {
	Well     []string   // hosts that run it, and are well
	Failed   []failedAt // hosts on which it failed, the first one first
	Missing  []missing  // hosts that are waited for
	Opened   int        // waves that are open; 0 without waves
	Waves    int        // 0 without waves
	Done     bool
	Halted   string // why, "" where it is not
	Operator bool   // a person has halted it
}

// failedAt is a host on which a revision failed.
type failedAt struct {
	Host    string
	Message string
	Kind    ftl.Kind // ftl.RolledBack or ftl.HookFailed
	Unclear bool     // it has voted, and its report, which says why, is not there yet
}

// missing is a host that is waited for, and what it says.
type missing struct {
	Host, Message string
}

// wait waits until the hosts run what was blessed, or it is clear that they will not.
func (p *Program) wait(ctx context.Context, s settings, m *master.Master, r revision.Revision, roster []rollout.Member, flags waitFlags) error {
	marker, err := m.Bucket.Marker(ctx, r.Package())
	if err != nil {
		return err
	}
	active, _ := marker.Active()
	if active.Revision != r {
		return superseded(r, marker)
	}
	w := &waiting{
		waitFlags: flags, p: p, bucket: m.Bucket, hosts: p.reports(s, m.Bucket), entry: active, roster: roster,
		began: time.Now(), told: make(map[string]bool), live: p.newBlock(),
	}
	w.begin()
	err = w.run(ctx)
	w.live.end()
	w.summarize(err)
	if err == nil {
		w.tell(ftl.Success, fmt.Sprintf("%s of %d run it", plural(len(w.last.Well), "host"), len(roster)))
		return nil
	}
	return w.goBack(ctx, m, err)
}

// patience is how long to wait; 0 is for ever.
func (w *waiting) patience() time.Duration {
	if w.timeout > 0 || w.entry.Rollout != nil {
		return w.timeout
	}
	return defaultPatience
}

// begin says who is waited for, and about how long that takes.
func (w *waiting) begin() {
	text := "waiting for " + hostCount(len(w.roster))
	if w.entry.Rollout != nil {
		text += fmt.Sprintf(" in %s, about %v", plural(len(w.entry.Rollout.Waves), "wave"), w.estimate().Round(time.Minute))
	} else {
		text += fmt.Sprintf(", at most %v", w.patience())
	}
	w.tell(ftl.Running, text)
}

// estimate is how long a good rollout takes about.
func (w *waiting) estimate() (total time.Duration) {
	var sync time.Duration
	for _, m := range w.roster {
		sync = max(sync, m.Every+m.Splay)
	}
	for _, wave := range w.entry.Rollout.Waves {
		total += wave.Over + wave.Soak + 2*sync
	}
	return total
}

// Between two looks there is ever more time, and less than this: at first, and when it takes long.
const (
	firstPause = 200 * time.Millisecond
	pause      = 5 * time.Second
	longPause  = 15 * time.Second
	takesLong  = 5 * time.Minute
)

// patienceForReports is how many looks there are for a report, which follows a vote.
const patienceForReports = 5

// unclear reports whether the first host that failed has not said why yet.
func (now progress) unclear() bool { return len(now.Failed) > 0 && now.Failed[0].Unclear }

func (w *waiting) run(ctx context.Context) error {
	next, unclear := firstPause, 0
	for {
		over := w.patience() > 0 && time.Since(w.began) >= w.patience()
		now, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return w.interrupted(ctx)
		case err != nil && !unreachable(err): // the next look may reach it
			return err
		case err == nil:
			failed := w.verdict(now)
			if failed != nil && now.unclear() && unclear < patienceForReports {
				unclear++
				break
			}
			w.show(now)
			if failed != nil || now.Done {
				return failed
			}
		}
		if over {
			return w.tooLate(err)
		}
		select {
		case <-ctx.Done():
			return w.interrupted(ctx)
		case <-time.After(next):
		}
		next = min(next*2, pause)
		if time.Since(w.began) > takesLong {
			next = longPause
		}
	}
}

// look reads how far it is.
func (w *waiting) look(ctx context.Context) (progress, error) {
	marker, err := w.bucket.Marker(ctx, w.entry.Revision.Package())
	if err != nil {
		return progress{}, err
	}
	if newest, _ := marker.Newest(); newest.Serial != w.entry.Serial {
		return progress{}, superseded(w.entry.Revision, marker)
	}
	all, _, err := w.hosts.Read(ctx)
	if err != nil {
		return progress{}, err
	}
	hosts := byNode(all)
	if w.entry.Rollout == nil {
		return w.byReports(hosts), nil
	}
	votes, err := w.bucket.Votes(ctx, w.entry.Revision.Package(), w.entry.Serial)
	if err != nil {
		return progress{}, err
	}
	return w.byVotes(votes.Count(w.entry.Rollout), hosts), nil
}

// byReports is how far a blessing without waves is: hosts don't vote for it.
func (w *waiting) byReports(hosts hostsByNode) (now progress) {
	for _, member := range w.roster {
		h, reported := hosts[member.Host]
		switch outcome := h.Outcome(w.entry); {
		case !reported:
			now.Missing = append(now.Missing, missing{member.Host, "its report is gone"})
		case outcome == fleet.Runs:
			now.Well = append(now.Well, h.Name())
		case outcome == fleet.LeftIt:
			now.Failed = append(now.Failed, failedAt{Host: h.Name(), Message: messageOf(h, w.entry), Kind: ftl.RolledBack})
		case outcome == fleet.FailedIt:
			now.Failed = append(now.Failed, failedAt{Host: h.Name(), Message: messageOf(h, w.entry), Kind: ftl.HookFailed})
		default:
			now.Missing = append(now.Missing, missing{h.Name(), messageOf(h, w.entry)})
		}
	}
	now.Done = len(now.Well) == len(w.roster)
	return now
}

// byVotes is how far a rollout is. What failed there, the reports say.
func (w *waiting) byVotes(count *rollout.Count, hosts hostsByNode) progress {
	now := progress{Waves: len(count.Waves)}
	heard := make(map[string]bool)
	for _, wave := range count.Waves {
		if !wave.Opened.IsZero() {
			now.Opened++
		}
		for _, vote := range wave.Well {
			if !heard[vote.Host] {
				heard[vote.Host] = true
				now.Well = append(now.Well, hosts.name(vote.Host))
			}
		}
	}
	for _, failure := range count.Failures() {
		heard[failure.Host] = true
		now.Failed = append(now.Failed, w.failed(failure, hosts))
	}
	for _, member := range w.roster {
		if h := hosts[member.Host]; !heard[member.Host] {
			now.Missing = append(now.Missing, missing{hosts.name(member.Host), messageOf(h, w.entry)})
		}
	}
	now.Done = count.Complete() && len(count.Undecided()) == 0
	if count.Halt != nil {
		now.Halted, now.Operator = count.Halt.String(), count.Halt.Operator
	}
	return now
}

// failed says what became of a host that counts against the revision.
func (w *waiting) failed(f rollout.Failure, hosts hostsByNode) failedAt {
	h := hosts[f.Host]
	outcome := h.Outcome(w.entry)
	failed := failedAt{Host: hosts.name(f.Host), Message: messageOf(h, w.entry), Kind: ftl.RolledBack}
	switch {
	case f.Why != rollout.FailedThere:
		failed.Message = "it was not heard from since " + ftl.Clock(f.At)
	case outcome != fleet.LeftIt && outcome != fleet.FailedIt:
		failed.Message, failed.Unclear = "it says that it failed", true
	}
	if outcome != fleet.LeftIt && w.entry.Base == (revision.Revision{}) {
		failed.Kind = ftl.HookFailed
	}
	return failed
}

// verdict is the error of a blessing that has failed.
func (w *waiting) verdict(now progress) error {
	decided := now.Waves == 0 && len(now.Missing) == 0 && len(now.Failed) > 0
	hint := "how it is: ftl status --fleet " + w.entry.Revision.Package().String()
	switch {
	case now.Halted != "" && len(now.Failed) == 0:
		return ftl.Errorf(ftl.RolledBack, "how it is: ftl rollout show "+w.entry.Revision.Package().String(), "the rollout of %s is halted: %s", w.entry.Revision, now.Halted)
	case now.Halted != "":
		first := now.Failed[0]
		return ftl.Errorf(first.Kind, hint, "the rollout of %s is halted: %s; on %s: %s", w.entry.Revision, now.Halted, first.Host, first.Message)
	case decided, w.failFast && len(now.Failed) > 0:
		first := now.Failed[0]
		return ftl.Errorf(first.Kind, hint, "%s failed on %d of %s; on %s: %s", w.entry.Revision, len(now.Failed), hostCount(len(w.roster)), first.Host, first.Message)
	}
	return nil
}

func superseded(r revision.Revision, marker catalog.Marker) error {
	newest, _ := marker.Newest()
	return ftl.Errorf(ftl.Refused, "what was blessed: ftl log --master "+r.Package().String(),
		"%s is superseded by serial %d, %s, %s%s", r, newest.Serial, newest.Revision, newest.Verb(), newest.Origin())
}

// errTooLate is the time that is over.
var errTooLate = errors.New("the time is over")

// tooLate names those who are missing, and why they say so.
func (w *waiting) tooLate(cause error) error {
	if cause != nil {
		return fmt.Errorf("wait for %s: %w", w.entry.Revision, cause)
	}
	var lines []string
	for _, m := range w.last.Missing {
		lines = append(lines, m.Host+": "+m.Message)
	}
	for _, f := range w.last.Failed {
		lines = append(lines, f.Host+": failed: "+f.Message)
	}
	return &ftl.Error{
		Err: fmt.Errorf("%s does not run on %d of %s after %v: %w", w.entry.Revision, len(w.last.Missing)+len(w.last.Failed),
			hostCount(len(w.roster)), w.patience(), errTooLate),
		Hint: strings.Join(lines, "\n"),
	}
}

// interrupted ends the waiting, and nothing else.
func (w *waiting) interrupted(ctx context.Context) error {
	pkg := w.entry.Revision.Package().String()
	hint := "to go back: ftl jump-back --master " + pkg
	if w.entry.Rollout != nil {
		hint = "to stop it: ftl rollout halt " + pkg
	}
	return &ftl.Error{Hint: "how it is: ftl status --fleet " + pkg + "; " + hint, Err: fmt.Errorf("no longer waiting; %s goes on: %w", w.entry.Revision, context.Cause(ctx))}
}

// goBack blesses the way back after a failure, where that is wanted.
func (w *waiting) goBack(ctx context.Context, m *master.Master, failed error) error {
	failure, known := errors.AsType[*ftl.Error](failed)
	ends := known && (failure.Kind == ftl.RolledBack || failure.Kind == ftl.HookFailed) || errors.Is(failed, errTooLate) && w.timeout > 0
	if !w.back || !ends {
		return failed
	}
	note := fmt.Sprintf("%s did not work", w.entry.Revision)
	if err := m.JumpBackFrom(ctx, w.entry.Revision.Package(), w.entry.Serial, note); err != nil {
		return ftl.Join(failed, err)
	}
	return failed
}

// show tells what is new, and draws how far it is.
func (w *waiting) show(now progress) {
	w.last = now
	w.live.end()
	for wave := 2; wave <= now.Opened; wave++ {
		w.once(ftl.Running, fmt.Sprintf("wave %d of %d is open", wave, now.Waves))
	}
	for _, f := range now.Failed {
		w.once(ftl.Failure, fmt.Sprintf("failed on %s: %s", f.Host, fleet.Reason(f.Message)))
	}
	if now.Waves == 0 {
		w.once(ftl.Running, fmt.Sprintf("%d of %s run it", len(now.Well), hostCount(len(w.roster))))
	}
	w.live.draw(now.lines(len(w.roster)))
}

// once tells what has not been said yet.
func (w *waiting) once(state ftl.State, text string) {
	if !w.told[text] {
		w.told[text] = true
		w.tell(state, text)
	}
}

func (w *waiting) tell(state ftl.State, text string) {
	switch {
	case w.p.json:
		w.p.streamJSON(ftl.Event{Time: time.Now(), Package: w.entry.Revision.Package(), Revision: w.entry.Revision, Step: ftl.Wait, State: state, Message: text})
	case !w.p.quiet:
		w.p.say("%s: %s", w.entry.Revision, text)
	}
}

// lines is the table for a terminal.
func (now progress) lines(roster int) []string {
	const shown = 10
	head := fmt.Sprintf("%d of %s run it, %d failed", len(now.Well), hostCount(roster), len(now.Failed))
	if now.Waves > 0 {
		head += fmt.Sprintf("; wave %d of %d", now.Opened, now.Waves)
	}
	rows := [][]string{{"HOST", "WAITS FOR"}}
	for _, m := range now.Missing[:min(shown, len(now.Missing))] {
		rows = append(rows, []string{m.Host, m.Message})
	}
	lines := []string{head}
	if len(now.Missing) > 0 {
		lines = append(lines, columns(rows)...)
	}
	if more := len(now.Missing) - shown; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// hostsByNode are hosts by their names in keys.
type hostsByNode map[string]fleet.Host

func byNode(hosts []fleet.Host) hostsByNode {
	all := make(hostsByNode, len(hosts))
	for _, h := range hosts {
		all[h.Node.String()] = h
	}
	return all
}

// name returns what people call the host with this name in keys.
func (all hostsByNode) name(node string) string {
	if h, reported := all[node]; reported {
		return h.Name()
	}
	return node
}

// messageOf is what a host says of an entry.
func messageOf(h fleet.Host, entry catalog.Entry) string {
	p, subscribed := h.Package(entry.Revision.Package())
	switch {
	case h.Silent:
		return "not heard from since " + ftl.Clock(h.At)
	case !subscribed:
		return "it is not subscribed"
	case p.Serial != entry.Serial && (p.Active != entry.Revision || p.Condition == ftl.OK): // which it was before
		return "it has not heard of it yet"
	case p.Message != "":
		return p.Message
	}
	return string(p.Condition)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
