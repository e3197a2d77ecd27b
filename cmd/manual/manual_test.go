package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rhettg/ftl/cmd"
	"github.com/rhettg/ftl/cmd/topics"
)

func TestEveryCommandHasAPage(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	pages := 0
	var check func(command *cobra.Command)
	check = func(command *cobra.Command) {
		if command.HasParent() && !command.IsAvailableCommand() {
			return
		}
		pages++
		name := strings.ReplaceAll(command.CommandPath(), " ", "-") + ".1"
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			return
		}
		page := strings.ReplaceAll(string(text), `\-`, "-")
		for _, want := range []string{".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", "ftl 1.2.3", command.Short} {
			if !strings.Contains(page, want) {
				t.Errorf("%s has no %q", name, want)
			}
		}
		command.NonInheritedFlags().VisitAll(func(flag *pflag.Flag) {
			if !flag.Hidden && !strings.Contains(page, "--"+flag.Name) {
				t.Errorf("%s has no --%s", name, flag.Name)
			}
		})
		for _, sub := range command.Commands() {
			check(sub)
		}
	}
	program := &cmd.Program{}
	check(program.Commands())
	if pages < 12 {
		t.Errorf("found only %d commands", pages)
	}
}

func TestEveryTopicHasAPage(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795221576")
	dir := t.TempDir()
	if err := Write(dir, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics.All() {
		text, err := os.ReadFile(filepath.Join(dir, "ftl-"+topic.Name+".7"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"7" "Nov 2026" "ftl 1.2.3"`, ".SH NAME\nftl-" + topic.Name + ` \- ` + topic.Short} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the page of %s has no %q", topic.Name, want)
			}
		}
	}
}

// TestTopicIsKept reads a topic as a person does, without a complaint of man.
func TestTopicIsKept(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	page := read(t, filepath.Join(dir, "ftl-environment.7"))
	for _, want := range []string{
		"\n       FTL_KEEP\n              how many of the newest revisions", "(ftl-hooks(7))", "ftl-environment - the variables",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

// TestHelpIsKept reads a page as a person does: what is markup for the
// generator must still be there, and tables must be tables.
func TestHelpIsKept(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	out := read(t, filepath.Join(dir, "ftl.1"))
	for _, want := range []string{
		"FTL_ROOT/<package>/revs", "FTL_BUCKET  name, s3://name[/prefix], or file:///dir\n", "  128+n  ended by signal n\n", "\nEXAMPLE\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the page of ftl has no %q:\n%s", want, out)
		}
	}
}

// read returns what man shows of a page.
func read(t *testing.T, page string) string {
	t.Helper()
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("NOT TESTED: man is not here")
	}
	man := exec.Command("man", "--warnings", "-l", page)
	man.Env = append(os.Environ(), "MANWIDTH=100", "LC_ALL=C", "MANPAGER=cat")
	var complaints strings.Builder
	man.Stderr = &complaints
	out, err := man.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("man: %v\n%s", err, complaints.String())
	}
	return string(out)
}

func TestMarkdown(t *testing.T) {
	tests := []struct{ text, want string }{
		{"a <b> _c_ *d* `e`", "a \\<b> \\_c\\_ \\*d\\* \\`e\\`"},
		{"a:\n  b  c\n  d  e\nf\n", "a:\n\n      b  c\n      d  e\n\nf\n"},
		{"a:\n\n\tb\n\nc\n", "a:\n\n\n    \tb\n\n\nc\n"},
	}
	for _, test := range tests {
		if got := markdown(test.text); got != test.want {
			t.Errorf("markdown(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}
