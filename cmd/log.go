package cmd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/revision"
)

// logOptions are the choices of log.
type logOptions struct {
	output bool
	number int
}

func (p *Program) newLog() *cobra.Command {
	var (
		s    settings
		opts logOptions
	)
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
			return p.log(command.Context(), s, args, opts)
		},
	}
	p.addSettings(command, &s, append(verifying, settingRoot, settingBucket)...)
	addMaster(command, &s, "show what was blessed in the bucket")
	command.Flags().BoolVar(&opts.output, "output", false, "every hook too, with the last lines that it printed")
	command.Flags().IntVarP(&opts.number, "lines", "n", 0, "only the newest; 0 is all")
	only(command, onHost, "output")
	return command
}

func (p *Program) log(ctx context.Context, s settings, args []string, opts logOptions) error {
	if opts.number < 0 {
		return usage(errors.New("-n: it is negative"), "for example: ftl log -n 20")
	}
	packages, err := parsePackages(args)
	if err != nil {
		return err
	}
	if s.onMaster {
		return p.logMaster(ctx, s, packages, opts)
	}
	return p.logHost(s, packages, opts)
}

func (p *Program) logHost(s settings, packages []revision.Package, opts logOptions) error {
	h, err := p.host(s)
	if err != nil {
		return err
	}
	history, err := h.History(packages, opts.output)
	if err != nil {
		return err
	}
	history = newest(history, opts.number)
	if p.json {
		for _, entry := range history {
			p.writeJSON(entry)
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
	var rows [][]string
	for _, entry := range history {
		rows = append(rows, []string{
			ftl.Clock(entry.Time), orDash(entry.User), string(entry.Name), what(entry), orDash(entry.Reason),
			string(entry.State), took(entry.Seconds), entry.Command,
		})
	}
	lines := columns(rows)
	for i, entry := range history {
		p.print("%s", lines[i])
		if entry.Message != "" {
			p.print("    %s", entry.Message)
		}
		if len(entry.Params) > 0 {
			p.print("    with %s", entry.Params)
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
		p.print("    | %s", line)
	}
}

func took(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond).String()
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

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// notes is all that somebody has added to a blessing.
func notes(entry catalog.Entry) string {
	texts := []string{entry.Params.String(), entry.Note, entry.Labels.String()}
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), "  ")
}

// logMaster prints the marker's history.
func (p *Program) logMaster(ctx context.Context, s settings, packages []revision.Package, opts logOptions) error {
	if len(packages) == 0 {
		return usage(errors.New("PACKAGE is missing"), "for example: ftl log --master my_site")
	}
	bucket, err := p.bucket(ctx, s)
	if err != nil {
		return err
	}
	raw := &catalog.Catalog{Bucket: bucket.Bucket} // which shows all lines
	marker, err := raw.Marker(ctx, packages[0])
	if err != nil {
		return err
	}
	if len(marker.Entries) == 0 { // nothing was blessed, or there is no such package
		if _, _, err := raw.Revisions(ctx, packages[0]); err != nil {
			return err
		}
	}
	if err := bucket.NameSigners(ctx, marker); err != nil {
		return err
	}
	var entries []catalog.Entry // the newest last, as of a log
	for i := range marker.Entries {
		entries = append(entries, marker.Entries[len(marker.Entries)-1-i])
	}
	entries = newest(entries, opts.number)
	if err := raw.Label(ctx, entries); err != nil {
		return err
	}
	if p.json {
		for _, entry := range entries {
			p.writeJSON(entry)
		}
		return nil
	}
	var rows [][]string
	for _, entry := range entries {
		row := []string{ftl.Clock(entry.At), orDash(entry.By), orDash(entry.Kind), entry.Revision.String(), notes(entry)}
		if bucket.Trust != nil {
			row = slices.Insert(row, 4, signedBy(entry.Signer))
		}
		rows = append(rows, row)
	}
	for _, line := range columns(rows) {
		p.print("%s", line)
	}
	return nil
}
