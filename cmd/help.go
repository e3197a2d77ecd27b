package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/cmd/topics"
	"github.com/rhettg/ftl/revision"
)

// helpWidth is how wide the pages of the reference are: every terminal has as
// much, and longer lines are harder to read.
const helpWidth = 80

// addTopics adds the pages of the reference to the commands, for "ftl help
// TOPIC", and their list to the help of ftl itself. They can't be run.
func (p *Program) addTopics(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(command *cobra.Command, args []string) {
		help(command, args)
		if command == root {
			fmt.Fprint(p.Stdout, topicList())
		}
	})
	for _, topic := range topics.All() {
		command := &cobra.Command{Use: topic.Name, Short: topic.Short, Hidden: true}
		command.SetHelpFunc(func(*cobra.Command, []string) {
			fmt.Fprint(p.Stdout, topic.Text(helpWidth))
		})
		root.AddCommand(command)
	}
}

// topicList lists the topics as Cobra lists the commands. Its template for that
// can't be changed without linking text/template, which makes the program half
// as large again and slower to start.
func topicList() string {
	var list strings.Builder
	list.WriteString("\nTopics (ftl help TOPIC):\n")
	for _, topic := range topics.All() {
		fmt.Fprintf(&list, "  %-12s  %s\n", topic.Name, topic.Short)
	}
	return list.String()
}

func showHelp(command *cobra.Command, _ []string) error { return command.Help() }

// completeHelp adds the topics to the words that may follow "ftl help".
func completeHelp(help *cobra.Command) {
	commands := help.ValidArgsFunction
	help.ValidArgsFunction = func(command *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		words, directive := commands(command, args, word)
		if len(args) > 0 {
			return words, directive
		}
		for _, topic := range topics.All() {
			if strings.HasPrefix(topic.Name, word) {
				words = append(words, cobra.CompletionWithDesc(topic.Name, topic.Short))
			}
		}
		return words, directive
	}
}

// nearestTopic returns the topic that a typo means.
func nearestTopic(word string) (string, bool) {
	var names []string
	for _, topic := range topics.All() {
		names = append(names, topic.Name)
	}
	return revision.NearestName(word, names)
}

// knownCommand is a check that the arguments name a command or a topic to be
// explained.
func knownCommand(help *cobra.Command, args []string) error {
	_, rest, err := help.Root().Find(args)
	if err != nil || len(rest) > 0 {
		unknown := strings.Join(args, " ")
		meant := suggestions(help.Root(), "ftl help ", unknown)
		if topic, ok := nearestTopic(unknown); ok {
			meant = didYouMean("ftl help ", []string{topic})
		}
		return usage(fmt.Errorf("there is no command or topic %q", unknown), meant+"ftl --help shows the commands and the topics")
	}
	return nil
}
