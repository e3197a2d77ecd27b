package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
)

func (p *Program) newHook() *cobra.Command {
	command := &cobra.Command{
		Use:     "hook",
		Short:   "Run a hook by hand",
		Long:    "Hook has one command, for people who write hooks: run.",
		Example: "  ftl hook run my_site.2026112145296Wq pre-jump",
		Args:    cobra.NoArgs,
		RunE:    showHelp,
	}
	command.AddCommand(p.newHookRun())
	return command
}

func (p *Program) newHookRun() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "run REVISION HOOK",
		Short: "Run one hook of a revision by hand",
		Long: `Run runs one hook of a revision that is on this host: with the environment that it
would have if the revision were synced, jumped to, left or removed now, under the lock
of its package, once. What it prints goes to the log too. No link flips and no state
changes, whatever comes of it. A revision that is not ready, as its post-sync fails,
has that hook only. The failed hook is told of a post-jump that exited with 1.`,
		Example: `  ftl hook run my_site.2026112145296Wq pre-jump
  ftl hook run my_site.2026112145296Wq check --check-timeout 5s`,
		Args: revisionAndHook,
		RunE: func(command *cobra.Command, args []string) error {
			return p.hookRun(command.Context(), s, args)
		},
	}
	p.addSettings(command, &s, hostSettings...)
	p.completeArguments(command)
	revisions := command.ValidArgsFunction
	command.ValidArgsFunction = func(command *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return hookNames(), cobra.ShellCompDirectiveNoFileComp
		}
		return revisions(command, args, word)
	}
	completeFlags(command)
	return command
}

func (p *Program) hookRun(ctx context.Context, s settings, args []string) error {
	r, err := parseRevision(args[0])
	if err != nil {
		return err
	}
	if !slices.Contains(hookNames(), args[1]) {
		return usage(fmt.Errorf("there is no hook %q", args[1]), "there are "+strings.Join(hookNames(), ", "))
	}
	h, err := p.host(s)
	if err != nil {
		return err
	}
	return h.RunHook(ctx, r, ftl.Step(args[1]))
}

func revisionAndHook(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("REVISION and HOOK are missing")
	case len(args) == 1:
		return errors.New("HOOK is missing")
	case len(args) > 2:
		return fmt.Errorf("one HOOK at a time; %q is too much", args[2])
	}
	return nil
}

func hookNames() []string {
	var names []string
	for _, hook := range ftl.Hooks() {
		names = append(names, string(hook))
	}
	return names
}
