package cmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newWhy() *cobra.Command {
	command := &cobra.Command{
		Use:   "why PACKAGE",
		Short: "Explain what holds a package back on this host",
		Long: `Why prints the decisions by which a host comes to run what is blessed, in their order,
each with what became of it. The first one that holds the package back is marked with
">", with the last lines of the hook that failed and what to do about it. It takes no
lock and changes nothing. Without FTL_BUCKET it knows what the last sync saw.`,
		Example: `  ftl why my_site`,
		Args:    one("PACKAGE"),
		RunE:    p.why,
	}
	addFlags(command, settingRoot, settingBucket, settingDelay)
	addJSON(command)
	return command
}

func (p *Program) why(command *cobra.Command, args []string) error {
	all, err := p.readStatus(command, args)
	if err != nil {
		return err
	}
	s := all[0]
	first, held := s.First()
	if isSet(command, flagJSON) {
		for _, d := range s.Decisions {
			p.writeJSON(toDecisionJSON(s.Package, d, held && d.About == first.About))
		}
		return nil
	}
	fmt.Fprintf(p.Stdout, "%s is %s; current %s, previous %s, the master's %s\n", s.Package, s.Condition,
		orDash(s.Current.ID()), orDash(s.Previous.ID()), orDash(s.Active.ID()))
	for _, d := range s.Decisions {
		p.printDecision(d, held && d.About == first.About)
	}
	if !held {
		fmt.Fprintln(p.Stdout, "nothing holds it back")
	}
	return nil
}

// printDecision prints a decision, with all that there is to it where it holds
// the package back.
func (p *Program) printDecision(d host.Decision, first bool) {
	sign := " "
	if first {
		sign = ">"
	}
	fmt.Fprintf(p.Stdout, "%s %-12s  %-8s  %s\n", sign, d.Condition, d.About, plain(d.Message))
	if d.Condition == host.OK {
		return
	}
	p.printOutput(d.Output)
	if d.Hint != "" {
		fmt.Fprintf(p.Stdout, "    %s\n", strings.ReplaceAll(d.Hint, "\n", "\n    "))
	}
}

// decisionJSON is a line of why.
type decisionJSON struct {
	Package revision.Package `json:"package"`
	Name    string           `json:"name"`
	State   host.Condition   `json:"state"`
	First   bool             `json:"first"`
	Since   *time.Time       `json:"since"`
	Message string           `json:"message"`
	Output  string           `json:"output"`
	Hint    string           `json:"hint"`
}

func toDecisionJSON(pkg revision.Package, d host.Decision, first bool) decisionJSON {
	return decisionJSON{pkg, d.About, d.Condition, first, known(d.Since), d.Message, d.Output, d.Hint}
}
