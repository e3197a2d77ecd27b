package cmd

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
)

func (p *Program) newWhy() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "why PACKAGE",
		Short: "Explain what holds a package back on this host",
		Long: `Why prints the decisions by which a host comes to run what is blessed, in their order,
each with what became of it. The first one that holds the package back is marked with
">", with the last lines of the hook that failed and what to do about it. It takes no
lock and changes nothing. Without FTL_BUCKET it knows what the last sync saw.`,
		Example: `  ftl why my_site`,
		Args:    one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.why(command.Context(), s, args)
		},
	}
	p.addSettings(command, &s, slices.Concat(verifying, placeSettings, []setting{settingRoot, settingNode, settingBucket, settingDelay, settingMaxAge})...)
	return command
}

func (p *Program) why(ctx context.Context, from settings, args []string) error {
	all, err := p.readStatus(ctx, from, args)
	if err != nil {
		return err
	}
	s := all[0]
	if p.json {
		for _, d := range s.Decisions {
			p.writeJSON(d)
		}
		return nil
	}
	p.printWhy(s, s.Decisions)
	return nil
}

// printWhy prints how a package is, and the decisions that it is due to.
func (p *Program) printWhy(s ftl.Status, decisions []ftl.Decision) {
	p.print("%s is %s; current %s, previous %s, the master's %s", s.Package, s.Condition,
		orDash(s.Current.ID()), orDash(s.Previous.ID()), orDash(s.Active.ID()))
	for _, d := range decisions {
		p.printDecision(d)
	}
	if s.Condition == ftl.OK {
		p.print("nothing holds it back")
	}
}

// printDecision prints a decision, with all that there is to it where it holds
// the package back.
func (p *Program) printDecision(d ftl.Decision) {
	sign := " "
	if d.First {
		sign = ">"
	}
	p.print("%s %-12s  %-8s  %s", sign, d.Condition, d.About, d.Message)
	if d.Condition == ftl.OK {
		return
	}
	p.printOutput(d.Output)
	if d.Hint != "" {
		for line := range strings.SplitSeq(d.Hint, "\n") {
			p.print("    %s", line)
		}
	}
}
