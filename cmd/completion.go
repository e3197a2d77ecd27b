package cmd

import (
	"bytes"
	_ "embed"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// bashFallback is what Cobra's script for bash takes from the package bash-completion, for shells
// that don't have it.
//
//go:embed completion.bash
var bashFallback string

// adaptCompletion makes the command completion one of ours.
func (p *Program) adaptCompletion(completion *cobra.Command) {
	completion.Annotations = map[string]string{needsNoEnvironment: ""}
	completion.Example = "  source <(ftl completion bash)"
	completion.Args = cobra.NoArgs
	completion.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
	for _, shell := range completion.Commands() {
		if shell.Name() == "bash" {
			shell.RunE = p.printBashCompletion
		}
	}
}

// printBashCompletion prints a script that needs nothing but bash: Cobra's calls functions of the
// package bash-completion, which is missing on small machines and on macOS, where each TAB would
// then be an error.
func (p *Program) printBashCompletion(command *cobra.Command, _ []string) error {
	bare, err := command.Flags().GetBool("no-descriptions")
	if err != nil {
		return err
	}
	var script bytes.Buffer
	if err := command.Root().GenBashCompletionV2(&script, !bare); err != nil {
		return err
	}
	text := strings.ReplaceAll(script.String(), "_filedir", "__ftl_filedir")
	text = strings.Replace(text, `_get_comp_words_by_ref "$@" cur prev words cword`, "__ftl_words", 1)
	_, err = io.WriteString(command.OutOrStdout(), text+bashFallback)
	return err
}
