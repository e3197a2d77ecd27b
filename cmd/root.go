// Package cmd is the command line of ftl. It alone knows the environment, what is printed where,
// and the exit codes.
package cmd

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
)

// Program is one run of ftl, with all that it takes from its process.
type Program struct {
	Stdin   io.Reader // where a person answers a question; nil: nobody does
	Stdout  io.Writer // data
	Stderr  io.Writer // everything else
	Environ []string  // as of os.Environ
	// Setenv sets a variable of the process, for what reads the environment by itself; nil: nothing
	// does.
	Setenv func(name, value string) error

	output
	declared []setting       // those of all commands
	envFile  string          // the flag --env-file
	envPath  string          // of the file that was read, "" for none
	fromFile map[string]bool // the variables that it gave
	args     []string
	started  bool // a command has been chosen and its arguments were right
	atEnd    []func() error
	bars     *bars // where stderr is a terminal
	screen   bool  // stdout is a terminal
	colours  bool
	onHangup atomic.Pointer[chan struct{}] // what HUP does, nil where it ends the program
}

// Run runs the command line that args are, without the program's name, and returns the exit code.
func (p *Program) Run(ctx context.Context, args []string) int {
	p.args = args
	out := &dataWriter{Writer: p.Stdout}
	p.Stdout = out
	p.useTerminal(out)
	root := p.newRoot()
	root.SetArgs(args)
	p.json = wantsJSON(args) // also where the rest makes no sense
	flush := p.collectText(root, out)
	stop := context.AfterFunc(ctx, func() { p.sayEnding(ctx) })
	command, err := root.ExecuteContextC(ctx)
	stop()
	for _, end := range p.atEnd {
		err = errors.Join(err, end())
	}
	flush()
	if err == nil {
		err = p.afterOutput(command, out.failure())
	}
	if err != nil && !p.started {
		err = asUsage(err, command)
	}
	return p.finish(ctx, err)
}

// asUsage makes an error of usage of what was wrong before a command began.
func asUsage(err error, command *cobra.Command) error {
	if _, told := errors.AsType[*usageError](err); told {
		return err
	}
	return usage(err, example(command))
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

Every command takes what it needs from the environment, from /etc/ftl/env or from a
flag of the same name; "ftl help environment" has them all:
  FTL_BUCKET  name, s3://name[/prefix], or file:///dir
  FTL_ROOT    on a host: the directory that holds its packages
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
	var showVersion bool
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
		Args:          unknownCommand,
		RunE: func(command *cobra.Command, _ []string) error {
			if showVersion {
				return p.printVersion()
			}
			return command.Help()
		},
		PersistentPreRunE: func(command *cobra.Command, _ []string) error {
			if p.quiet && p.verbose {
				return errors.New("--quiet and --verbose contradict each other")
			}
			p.started = true
			return p.prepare(command)
		},
	}
	p.addOutputFlags(root)
	root.PersistentFlags().StringVar(&p.envFile, settingEnvFile.flag(), "", settingEnvFile.help())
	root.Flags().BoolVar(&showVersion, "version", false, "print the version, as ftl version does")
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	p.addCommands(root)
	p.addTopics(root)
	return root
}
