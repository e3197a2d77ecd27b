package cmd

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rhettg/ftl/revision"
)

// completionLimit is how long a completion may keep somebody waiting at a prompt.
const completionLimit = 2 * time.Second

// completeArguments gives a command the completion of what its usage line says that it takes:
// PACKAGE, REVISION, or files.
func (p *Program) completeArguments(command *cobra.Command) {
	if command.ValidArgsFunction != nil || strings.Contains(command.Use, "FILE") {
		return
	}
	wants := wanted{
		packages:  strings.Contains(command.Use, "PACKAGE"),
		revisions: strings.Contains(command.Use, "REVISION"),
		many:      strings.Contains(command.Use, "...") || strings.Count(command.Use, "REVISION") > 1,
		onMaster:  strings.Contains(command.Use, "--master") || command.Name() == "subscribe",
	}
	command.ValidArgsFunction = func(command *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !wants.many {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		words, directive := p.completeInTime(command, wants, word)
		words = slices.DeleteFunc(words, func(word string) bool { return slices.Contains(args, word) })
		return words, directive | cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags keeps the shell from offering files for the values of flags, but for those that are
// paths.
func completeFlags(command *cobra.Command) {
	command.Flags().VisitAll(func(flag *pflag.Flag) {
		complete := cobra.NoFileCompletions
		if flag.Name == settingRoot.flag() {
			complete = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
		}
		// It fails for a flag that is not there, or that has a completion.
		_ = command.RegisterFlagCompletionFunc(flag.Name, complete)
	})
}

// wanted says what the arguments of a command are.
type wanted struct {
	packages, revisions bool
	many                bool // any number of them
	onMaster            bool // the command knows the bucket only
}

// completeInTime returns the words that may stand for the one that has been begun. Whatever is
// wrong, or takes too long, it is silent: a prompt is no place for errors.
func (p *Program) completeInTime(command *cobra.Command, wants wanted, word string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(command.Context(), completionLimit)
	defer cancel()
	type answer struct {
		words     []string
		directive cobra.ShellCompDirective
	}
	answers := make(chan answer, 1)
	// A directory on a network that is gone ignores the context, and so it is not waited for: the
	// process ends with the completion.
	go func() {
		var found answer
		if from, err := p.silentInventory(ctx, command, wants); err == nil {
			found.words, found.directive = wants.complete(ctx, from, word)
		}
		answers <- found
	}()
	select {
	case found := <-answers:
		return found.words, found.directive
	case <-ctx.Done():
		return nil, 0
	}
}

// silentInventory returns what a command that is being completed would look into. It prints
// nothing.
func (p *Program) silentInventory(ctx context.Context, command *cobra.Command, wants wanted) (inventory, error) {
	silent := &Program{Stdout: io.Discard, Stderr: io.Discard, Environ: p.Environ}
	s := settings{onMaster: wants.onMaster}
	if flag := command.Flags().Lookup(flagMaster); flag != nil && flag.Value.String() == "true" {
		s.onMaster = true
	}
	if err := silent.read(&s, command.Flags(), settingRoot, settingBucket); err != nil {
		return nil, err
	}
	return silent.inventory(ctx, s)
}

// complete returns what there is for a word. Where only a revision will do and several packages are
// possible, it is their names with the dot behind.
func (w wanted) complete(ctx context.Context, from inventory, word string) ([]string, cobra.ShellCompDirective) {
	if !w.packages && !w.revisions {
		return nil, 0
	}
	name, _, inside := strings.Cut(word, ".")
	if inside && w.revisions {
		return completeRevisions(ctx, from, name)
	}
	packages, err := from.packages(ctx)
	if err != nil {
		return nil, 0
	}
	var names []string
	for _, pkg := range packages {
		if strings.HasPrefix(pkg.String(), word) {
			names = append(names, pkg.String())
		}
	}
	switch {
	case w.packages:
		return names, 0
	case len(names) == 1:
		return completeRevisions(ctx, from, names[0])
	}
	for i := range names {
		names[i] += "."
	}
	return names, cobra.ShellCompDirectiveNoSpace
}

// completeRevisions returns the revisions of a package, newest first.
func completeRevisions(ctx context.Context, from inventory, name string) ([]string, cobra.ShellCompDirective) {
	pkg, err := revision.ParsePackage(name)
	if err != nil {
		return nil, 0
	}
	listed, err := from.revisions(ctx, pkg)
	if err != nil {
		return nil, 0
	}
	var words []string
	for _, r := range slices.Backward(listed) {
		word := r.Revision.String()
		switch {
		case r.Active:
			word = cobra.CompletionWithDesc(word, "active")
		case r.Previous:
			word = cobra.CompletionWithDesc(word, "previous")
		}
		words = append(words, word)
	}
	return words, cobra.ShellCompDirectiveKeepOrder
}
