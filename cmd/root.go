// Package cmd is the command line of ftl. It alone knows the environment, what
// is printed where, and the exit codes.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Program is one run of ftl, with all that it takes from its process.
type Program struct {
	Stdout io.Writer // data
	Stderr io.Writer // everything else
	Getenv func(string) string

	args    []string
	started bool  // a command has been chosen and its arguments were right
	bars    *bars // where stderr is a terminal
	colours bool
}

// Run runs the command line that args are, without the program's name, and
// returns the exit code.
func (p *Program) Run(ctx context.Context, args []string) int {
	p.args = args
	out := &dataWriter{Writer: p.Stdout}
	p.Stdout = out
	p.useTerminal(out)
	root := p.newRoot()
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = out.failure()
	}
	if err != nil && !p.started {
		err = usage(err, example(command))
	}
	return p.finish(ctx, err)
}

// example shows how a command is used.
func example(command *cobra.Command) string {
	if !command.HasParent() {
		return "ftl --help shows the commands"
	}
	first, _, _ := strings.Cut(strings.TrimSpace(command.Example), "\n")
	return "for example: " + first + "\n" + command.CommandPath() + " --help shows more"
}

const long = `FTL deploys software with nothing but a bucket.

A build box spools a file or a directory into the bucket as a new revision. Every
host runs "ftl sync" from cron: it pulls what is new into FTL_ROOT/<package>/revs.
"ftl jump" flips the symlink "current" on one host; "ftl jump --master" blesses a
revision in the bucket, and every host follows when it next syncs.

Environment (each has a flag of the same name on the commands that use it):
  FTL_BUCKET        name, s3://name[/prefix], or file:///dir
  FTL_ROOT          the host's tree
  FTL_NODE          this host's name (the host name)
  FTL_KEEP          how many of the newest revisions a host keeps (5)
  FTL_SPLAY         sync first waits up to this long, always the same on a node (0)
  FTL_DELAY         sync acts on a blessing only when it is this old (0)
  FTL_METRICS       a file for Prometheus' textfile collector, which sync writes (none)
  FTL_HOOK_TIMEOUT  how long a hook may take (10m)
  FTL_CHECK_TIMEOUT how long a revision has to pass its check (60s)
  FTL_LOCK_WAIT     how long to wait for another ftl on the same package (30s)
S3 is reached with the usual AWS_* variables, profiles and roles; with
AWS_ENDPOINT_URL any S3-compatible store is.

Exit codes:
  0  done                          5  another ftl is at work on the package
  1  failed                        6  no such package or revision
  2  wrong usage                   7  refused: it would break something
  3  a hook failed                 8  the bucket can't be reached, or denies it
  4  rolled back                   128+n  ended by signal n`

// Commands returns the tree of all commands, for what is made of their help.
func (p *Program) Commands() *cobra.Command { return p.newRoot() }

func (p *Program) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "ftl",
		Short: "Deploy software with nothing but a bucket",
		Long:  long,
		Example: `  ftl demo                                      # see it all happen in a temporary directory
  rev=$(ftl spool my_site.tgz)                  # on the build box
  mkdir $FTL_ROOT/my_site && ftl sync           # on a host
  ftl jump --master $rev                        # for all hosts`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          showHelp,
		PersistentPreRunE: func(command *cobra.Command, _ []string) error {
			if isSet(command, flagQuiet) && isSet(command, flagVerbose) {
				return errors.New("--quiet and --verbose contradict each other")
			}
			p.started = true
			return nil
		},
	}
	addOutputFlags(root)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.AddCommand(
		p.newSpool(), p.newSync(), p.newJump(), p.newJumpBack(), p.newHold(), p.newUnhold(), p.newStatus(), p.newWhy(), p.newLog(), p.newList(),
		p.newRemove(), p.newPurge(), p.newClean(), p.newProbe(), p.newDemo(), p.newVersion(),
	)
	for _, command := range root.Commands() {
		p.completeArguments(command)
		completeFlags(command)
	}
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, command := range root.Commands() {
		switch command.Name() {
		case "completion":
			command.Example = "  source <(ftl completion bash)"
			command.Args, command.RunE = cobra.NoArgs, showHelp
		case "help":
			command.Example = "  ftl help jump"
			command.Args = knownCommand
		}
	}
	return root
}

func showHelp(command *cobra.Command, _ []string) error { return command.Help() }

// knownCommand is a check that the arguments name a command to be explained.
func knownCommand(help *cobra.Command, args []string) error {
	_, rest, err := help.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("unknown command %q", strings.Join(args, " "))
	}
	return nil
}
