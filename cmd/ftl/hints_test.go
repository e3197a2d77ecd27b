package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/cmd"
)

// hint is a command as a message offers it: after a colon or a semicolon, or at its beginning.
var hint = regexp.MustCompile(`(^|[:;&] )ftl ([a-z][a-z-]*)((?: (?:--?[a-z-]+))*)`)

// TestHintsNameCommands looks at every text in the code that tells a person what to type: the
// command and its flags have to be there.
func TestHintsNameCommands(t *testing.T) {
	commands := make(map[string]*cobra.Command)
	for _, command := range new(cmd.Program).Commands().Commands() {
		commands[command.Name()] = command
	}
	found := 0
	for name, source := range sources(t) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			literal, ok := node.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range hint.FindAllStringSubmatch(text, -1) {
				found++
				if problem := missing(commands, match); problem != "" {
					t.Errorf("%s: %q: %s", name, text, problem)
				}
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("only %d hints were found", found)
	}
}

// missing says what a match of hint names that there is not. What begins a text may be a sentence
// about ftl.
func missing(commands map[string]*cobra.Command, match []string) string {
	name := match[2]
	command, ok := commands[name]
	if !ok && match[1] == "" {
		return ""
	}
	if !ok {
		return "there is no command " + name
	}
	for _, flag := range strings.Fields(match[3]) {
		long := strings.TrimPrefix(flag, "--")
		if command.Flags().Lookup(long) == nil && command.InheritedFlags().Lookup(long) == nil && len(flag) > 2 {
			return name + " has no flag " + flag
		}
	}
	return ""
}

func TestHintsThatNameNothingAreSeen(t *testing.T) {
	commands := make(map[string]*cobra.Command)
	for _, command := range new(cmd.Program).Commands().Commands() {
		commands[command.Name()] = command
	}
	for text, want := range map[string]string{
		"mend it, then: ftl jupm REVISION":      "there is no command jupm",
		"ftl list --mastre ":                    "list has no flag --mastre",
		"or go back: ftl jump-back --master ":   "",
		"another ftl is at work":                "",
		"ftl sync; to wait: ftl sync --patient": "sync has no flag --patient",
	} {
		got := ""
		for _, match := range hint.FindAllStringSubmatch(text, -1) {
			if problem := missing(commands, match); problem != "" {
				got = problem
			}
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
