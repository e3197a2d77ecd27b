package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
)

func (p *Program) newSpool() *cobra.Command {
	var (
		s      settings
		opts   master.SpoolOptions
		labels []string
	)
	command := &cobra.Command{
		Use:   "spool FILE|DIR|-",
		Short: "Upload a new revision",
		Long: `Spool uploads a file or a directory as a new revision and prints the revision's
name, and nothing else. Hosts fetch it when they next sync; nothing becomes active.

The package is the file's name up to the first dot. A .tar, .tar.gz, .tgz, .gz,
.tar.zst, .tzst or .zst is unpacked on the hosts, and checked here first. It is stored
as a .tar.zst, unless --as-is keeps its bytes. Anything else is kept under its own name. With "-" the file comes from stdin, and --name says
what it is called.

A directory is packed without its .git, and without what its .ftlignore and --exclude
name, in patterns as git has them in .gitignore. The last one that matches decides.

Spool says what is odd: a file that only looks like a hook, a setuid bit, which no host
keeps. A hook that no host could run is refused.`,
		Example: `  rev=$(ftl spool my_site.tgz) && ftl jump --master $rev
  ftl spool build/my_site --exclude '*.map' --label commit=3f2a9c
  git archive HEAD | ftl spool - --name my_site.tar`,
		Args: one("FILE or DIR"),
		RunE: func(command *cobra.Command, args []string) error {
			var err error
			if opts.Labels, err = catalog.ParseLabels(labels); err != nil {
				return usage(fmt.Errorf("--label: %w", err), "for example: ftl spool my_site.tgz --label commit=3f2a")
			}
			return p.spool(command.Context(), s, args[0], opts)
		},
	}
	p.addSettings(command, &s, append(signing, settingBucket, settingNode)...)
	command.Flags().BoolVar(&opts.AsIs, "as-is", false, "upload the file untouched; hosts then fetch it as a whole")
	command.Flags().StringVar(&opts.Name, "name", "", "call it so, as if the file or the directory had this name")
	command.Flags().StringArrayVar(&opts.Exclude, "exclude", nil, "a pattern of what of a directory is left out; may be given several times")
	command.Flags().StringVar(&opts.Note, "note", "", "a note to keep with the revision")
	command.Flags().StringArrayVar(&labels, "label", nil, "what to keep with the revision, as NAME=VALUE; may be given several times")
	return command
}

func (p *Program) spool(ctx context.Context, s settings, path string, opts master.SpoolOptions) error {
	if path == master.Stdin {
		if opts.Name == "" {
			return usage(errors.New("--name is missing: what comes from stdin has no name"), "for example: git archive HEAD | ftl spool - --name my_site.tar")
		}
		if opts.Stdin = p.Stdin; p.Stdin == nil || isTerminal(p.Stdin) {
			return usage(errors.New("stdin is a terminal, and not a file"), "for example: ftl spool - --name my_site.tgz <build/output.tgz")
		}
	}
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	r, err := m.Spool(ctx, path, opts)
	if err != nil {
		return err
	}
	if !p.json { // else the event has told it
		p.print("%s", r)
	}
	return nil
}
