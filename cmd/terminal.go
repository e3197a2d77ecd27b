package cmd

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
)

// The flags of every command.
const (
	flagQuiet   = "quiet"
	flagVerbose = "verbose"
)

func addOutputFlags(root *cobra.Command) {
	root.PersistentFlags().BoolP(flagQuiet, "q", false, "print data and errors only")
	root.PersistentFlags().BoolP(flagVerbose, "v", false, "print every step, to stderr")
}

// useTerminal makes what follows fit for a person who looks at it: bars while
// something is fetched, and colours, unless NO_COLOR is set. Where stderr goes
// to a file or a mail, lines stay plain lines.
func (p *Program) useTerminal(data *dataWriter) {
	if !isTerminal(p.Stderr) {
		return
	}
	p.bars = &bars{out: p.Stderr}
	p.colours = p.Getenv("NO_COLOR") == "" && p.Getenv("TERM") != "dumb"
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
func (p *Program) reporter(command *cobra.Command) func(ftl.Event) {
	print := p.printChange
	switch {
	case isSet(command, flagJSON):
		print = p.streamJSON
	case isSet(command, flagQuiet):
		print = func(ftl.Event) {}
	case isSet(command, flagVerbose):
		print = func(event ftl.Event) {
			p.say("%s %s", subject(event), withDetail(string(event.Step)+" "+string(event.State), event.Message))
			p.printChange(event)
		}
	}
	if p.bars == nil {
		return print
	}
	return func(event ftl.Event) {
		p.bars.end(event)
		print(event)
	}
}

// hookOutput returns where a command sends what hooks print.
func (p *Program) hookOutput(command *cobra.Command) io.Writer {
	if isSet(command, flagQuiet) {
		return nil
	}
	return &lineWriter{out: p.Stderr}
}
