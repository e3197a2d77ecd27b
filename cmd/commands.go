package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// otherNames are what people type who know other tools, below the command that they mean.
var otherNames = map[string][]string{
	"spool":     {"upload", "push", "publish", "release"},
	"sync":      {"pull", "fetch", "update"},
	"subscribe": {"add", "install", "init"},
	"jump":      {"activate", "bless", "switch", "promote"},
	"jump-back": {"rollback", "roll-back", "back", "revert", "undo"},
	"list":      {"ls", "revisions", "packages"},
	"status":    {"state", "st"},
	"why":       {"explain"},
	"log":       {"history", "logs"},
	"hold":      {"pin", "lock"},
	"unhold":    {"unpin", "unlock"},
	"remove":    {"rm", "delete", "uninstall"},
	"clean":     {"gc", "prune"},
	"env":       {"config", "settings"},
	"serve":     {"web", "dashboard", "ui", "server"},
}

// addCommands adds the commands in groups, first what everybody needs.
func (p *Program) addCommands(root *cobra.Command) {
	cobra.EnableCommandSorting = false // as they are useful, not by name
	root.SuggestionsMinimumDistance = 2
	add := func(title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
		for _, command := range commands {
			command.GroupID = title
			p.completeArguments(command)
			completeFlags(command)
			root.AddCommand(command)
		}
	}
	add("Everyday", p.newSpool(), p.newSync(), p.newJump(), p.newJumpBack(), p.newList(), p.newStatus())
	add("One host", p.newSubscribe(), p.newWhy(), p.newLog(), p.newHold(), p.newUnhold(), p.newRemove(), p.newClean(), p.newHook())
	add("The fleet", p.newDeploy(), p.newRollout(), p.newServe(), p.newToken())
	add("Trust", p.newSign(), p.newVerify(), p.newRenew())
	add("The bucket", p.newDiff(), p.newPurge(), p.newRetire(), p.newAdopt(), p.newCheck())
	env := p.newEnv() // last, as it has the flags of all others
	add(tools, p.newProbe(), env, p.newDoctor(), p.newIAM(), p.newDemo(), p.newVersion())
	root.SetHelpCommandGroupID(tools)
	root.SetCompletionCommandGroupID(tools)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	p.adaptCompletion(find(root, "completion"))
	adaptHelp(find(root, "help"))
}

// tools is the group of what is not about packages.
const tools = "Tools"

func find(root *cobra.Command, name string) *cobra.Command {
	command, _, err := root.Find([]string{name})
	if err != nil {
		panic(err) // it has just been added
	}
	return command
}

// adaptHelp makes the command help one of ours.
func adaptHelp(help *cobra.Command) {
	help.Annotations = map[string]string{needsNoEnvironment: "", printsText: ""}
	help.Short = "Help about any command or topic"
	help.Example = "  ftl help jump\n  ftl help hooks"
	help.Args = knownCommand
	completeHelp(help)
}

// unknownCommand refuses a command that ftl does not have, and names the one that may be meant.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(fmt.Errorf("unknown command %q", args[0]), suggestions(root, "ftl ", args[0])+"ftl --help shows the commands")
}

// suggestions asks whether another word is meant, as a line of a hint, "" where there is none like
// it.
func suggestions(root *cobra.Command, prefix, word string) string {
	names := root.SuggestionsFor(word)
	for name, others := range otherNames {
		if slices.Contains(others, word) {
			names = []string{name}
		}
	}
	return didYouMean(prefix, names)
}

func didYouMean(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "did you mean " + prefix + strings.Join(names, " or "+prefix) + "?\n"
}
