package cmd

import (
	"io"
	"sync"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
)

// output is how a command prints: the flags of every command.
type output struct {
	quiet, verbose, json bool
}

func (o *output) addOutputFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print data and errors only")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print every step, to stderr")
	flags.BoolVar(&o.json, flagJSON, false, "print JSON, one value a line")
}

// useTerminal makes what follows fit for a person: bars while something is fetched,
// and colours, unless NO_COLOR is set. Where stderr goes to a file or a mail, lines stay plain
// lines.
func (p *Program) useTerminal(data *dataWriter) {
	p.screen = isTerminal(data.Writer) && p.Getenv("TERM") != "dumb"
	if !isTerminal(p.Stderr) || p.Getenv("TERM") == "dumb" { // which can't move its cursor
		return
	}
	p.bars = &bars{out: p.Stderr}
	p.colours = p.Getenv("NO_COLOR") == ""
	if isTerminal(data.Writer) {
		data.Writer = besideBars{data.Writer, p.bars}
	}
	p.Stderr = p.bars
}

// besideBars writes to another stream that ends on the same terminal.
type besideBars struct {
	io.Writer
	bars *bars
}

func (w besideBars) Write(data []byte) (int, error) {
	w.bars.mu.Lock()
	live := w.bars.live
	w.bars.mu.Unlock()
	if live != nil {
		return w.bars.Write(data)
	}
	return w.Writer.Write(data)
}

// The colours of a message's first word, for a terminal.
const (
	red    = "31"
	yellow = "33"
)

// coloured returns text in a colour, where colours are wanted.
func (p *Program) coloured(colour, text string) string {
	if !p.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// reporter returns how a command prints what happens.
func (p *Program) reporter() func(ftl.Event) {
	print := p.printChange
	switch {
	case p.json:
		print = p.streamJSON
	case p.quiet:
		print = func(ftl.Event) {}
	case p.verbose:
		print = p.printStep
	}
	if p.bars == nil {
		return print
	}
	return func(event ftl.Event) {
		p.bars.end(event)
		print(event)
	}
}

// progress returns what shows a person how far a step is, nil where nobody looks.
func (p *Program) progress() func(ftl.Progress) {
	if p.bars == nil || p.quiet || p.json {
		return nil
	}
	return p.bars.update
}

// hookOutput returns where a command sends what hooks print.
func (p *Program) hookOutput() io.Writer {
	if p.quiet {
		return nil
	}
	return &lineWriter{out: p.Stderr}
}

// lineWriter lets several hooks write whole lines at once.
type lineWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(data)
}
