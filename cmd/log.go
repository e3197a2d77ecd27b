package cmd

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
)

// logOptions are the choices of log.
type logOptions struct {
	master bool
	output bool
	number int
}

func (p *Program) newLog() *cobra.Command {
	var opts logOptions
	command := &cobra.Command{
		Use:   "log [PACKAGE]",
		Short: "Show what happened on this host, or with --master what was blessed",
		Long: `Log prints what ftl did to a package on this host, or to all of them: when, who, what,
to which revision, why, with what result, how long it took, and by which command; the
newest comes last. The log is bounded: the oldest lines go.

With --master it prints the history of a package's marker: when which revision was
blessed by whom, and the note.`,
		Example: `  ftl log my_site -n 20
  ftl log my_site --output -n 5
  ftl log --master my_site`,
		Args: atMostOne("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			if opts.number < 0 {
				return usage(errors.New("-n: it is negative"), "for example: "+command.CommandPath()+" -n 20")
			}
			var packages []revision.Package
			for _, arg := range args {
				pkg, err := parsePackage(arg)
				if err != nil {
					return err
				}
				packages = append(packages, pkg)
			}
			if opts.master {
				return p.logMaster(command, packages, opts)
			}
			return p.logHost(command, packages, opts)
		},
	}
	addFlags(command, settingRoot, settingBucket)
	addJSON(command)
	command.Flags().BoolVar(&opts.master, "master", false, "show what was blessed in the bucket")
	command.Flags().BoolVar(&opts.output, "output", false, "every hook too, with the last lines that it printed")
	command.Flags().IntVarP(&opts.number, "lines", "n", 0, "only the newest; 0 is all")
	return command
}

func (p *Program) logHost(command *cobra.Command, packages []revision.Package, opts logOptions) error {
	h, err := p.host(command)
	if err != nil {
		return err
	}
	history, err := h.History(packages, opts.output)
	if err != nil {
		return err
	}
	history = newest(history, opts.number)
	if isSet(command, flagJSON) {
		for _, entry := range history {
			p.writeJSON(toHappenedJSON(entry))
		}
		return nil
	}
	p.printHistory(history, opts.output)
	return nil
}

// newest returns the last n; 0 is all.
func newest[T any](all []T, n int) []T {
	if n == 0 {
		return all
	}
	return all[max(0, len(all)-n):]
}

// printHistory prints a line for each entry, and below it what needs more room.
func (p *Program) printHistory(history []host.Happened, output bool) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, entry := range history {
		fmt.Fprintln(w, strings.Join([]string{
			clock(entry.Time), orDash(plain(entry.User)), plain(string(entry.Name)), what(entry), orDash(plain(entry.Reason)),
			string(entry.State), took(entry.Duration), plain(entry.Command),
		}, "\t"))
	}
	w.Flush()
	lines := strings.Split(table.String(), "\n")
	for i, entry := range history {
		fmt.Fprintln(p.Stdout, lines[i])
		if entry.Message != "" {
			fmt.Fprintf(p.Stdout, "    %s\n", plain(entry.Message))
		}
		if output {
			p.printOutput(entry.Output)
		}
	}
}

// printOutput prints what a hook has printed.
func (p *Program) printOutput(output string) {
	if output == "" {
		return
	}
	for line := range strings.SplitSeq(output, "\n") {
		fmt.Fprintf(p.Stdout, "    | %s\n", plain(line))
	}
}

func took(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}

// what says what an entry is about.
func what(entry host.Happened) string {
	name := entry.Revision.String()
	if name == "" {
		name = entry.Package.String()
	}
	if entry.From != (revision.Revision{}) && entry.From != entry.Revision && entry.Name == "jump" {
		return entry.From.String() + " -> " + name
	}
	return name
}

// plain makes text that somebody else wrote fit for one line of a terminal.
func plain(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, text)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// clock is how a time is shown to people.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// happenedJSON is a line of log.
type happenedJSON struct {
	Time     time.Time         `json:"time"`
	Package  revision.Package  `json:"package"`
	User     string            `json:"user"`
	Command  string            `json:"command"`
	Name     ftl.Step          `json:"name"`
	Revision revision.Revision `json:"revision"`
	From     revision.Revision `json:"from"`
	Reason   string            `json:"reason"`
	State    ftl.State         `json:"state"`
	Message  string            `json:"message"`
	Duration float64           `json:"duration"`
	Output   string            `json:"output"`
}

func toHappenedJSON(entry host.Happened) happenedJSON {
	return happenedJSON{
		entry.Time, entry.Package, entry.User, entry.Command, entry.Name, entry.Revision, entry.From,
		entry.Reason, entry.State, entry.Message, entry.Duration.Seconds(), entry.Output,
	}
}

// logMaster prints the marker's history.
func (p *Program) logMaster(command *cobra.Command, packages []revision.Package, opts logOptions) error {
	if err := onlyWith(command, false, "output"); err != nil {
		return err
	}
	if len(packages) == 0 {
		return usage(errors.New("PACKAGE is missing"), "for example: ftl log --master my_site")
	}
	m, err := p.master(command.Context(), command)
	if err != nil {
		return err
	}
	_, marker, err := m.Revisions(command.Context(), packages[0])
	if err != nil {
		return err
	}
	var entries []master.Entry // the newest last, as of a log
	for i := range marker.Entries {
		entries = append(entries, marker.Entries[len(marker.Entries)-1-i])
	}
	entries = newest(entries, opts.number)
	if isSet(command, flagJSON) {
		for _, entry := range entries {
			p.writeJSON(toBlessedJSON(entry))
		}
		return nil
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	for _, entry := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", clock(entry.At), orDash(plain(entry.By)), orDash(plain(entry.Kind)), entry.Revision, plain(entry.Note))
	}
	return w.Flush()
}

// blessedJSON is a line of log --master.
type blessedJSON struct {
	Package  revision.Package  `json:"package"`
	Revision revision.Revision `json:"revision"`
	Serial   int64             `json:"serial"`
	At       *time.Time        `json:"at"`
	By       string            `json:"by"`
	Kind     string            `json:"kind"`
	Note     string            `json:"note"`
}

func toBlessedJSON(entry master.Entry) blessedJSON {
	return blessedJSON{
		entry.Revision.Package(), entry.Revision, entry.Serial, known(entry.At), entry.By, entry.Kind, entry.Note,
	}
}

// known returns nil, which is null, for a time that is not known.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
