package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/master"
)

// deployOptions are the choices of deploy: those of spool, jump --master and --wait.
type deployOptions struct {
	jumpOptions
	asIs   bool
	labels []string
}

func (p *Program) newDeploy() *cobra.Command {
	var (
		s    settings
		opts deployOptions
	)
	opts.wait.wanted = true
	command := &cobra.Command{
		Use:   "deploy FILE|DIR",
		Short: "Upload, bless and wait, in one",
		Long: `Deploy is ftl spool, ftl jump --master and --wait in one: it uploads a file or a
directory as a new revision, blesses it for all hosts, and ends when they run it, or when
it is clear that they will not. It prints the revision's name on stdout, and nothing else
there. Its flags and exit codes are those of the three.`,
		Example: `  ftl deploy my_site.tgz
  ftl deploy build/my_site --rollout 1,5%,25% --back --label commit=3f2a`,
		Args: one("FILE or DIR"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.deploy(command, s, args[0], opts)
		},
	}
	p.addSettings(command, &s, append(signing, settingBucket, settingNode, settingRollout)...)
	flags := command.Flags()
	flags.BoolVar(&opts.asIs, "as-is", false, "upload the file untouched; hosts then fetch it as a whole")
	flags.StringVar(&opts.note, "note", "", "a note to keep with the revision and in the marker")
	flags.StringArrayVar(&opts.labels, "label", nil, "what to keep with the revision, as NAME=VALUE; may be given several times")
	flags.StringArrayVar(&opts.words, "param", nil, "tell the revision's hooks NAME=VALUE, as FTL_PARAM_NAME; everybody can read it")
	opts.waves.add(command)
	opts.wait.addRest(command)
	return command
}

func (p *Program) deploy(command *cobra.Command, s settings, path string, opts deployOptions) error {
	ctx := command.Context()
	bless, err := opts.blessing(command, s)
	if err != nil {
		return err
	}
	labels, err := catalog.ParseLabels(opts.labels)
	if err != nil {
		return usage(fmt.Errorf("--label: %w", err), "for example: --label commit=3f2a")
	}
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	if !p.json {
		m.Report = p.sayChange
	}
	r, err := m.Spool(ctx, path, master.SpoolOptions{AsIs: opts.asIs, Note: opts.note, Labels: labels})
	if err != nil {
		return err
	}
	if !p.json { // else the event has told it
		p.print("%s", r)
	}
	return p.bless(ctx, s, m, r, bless, opts.wait)
}

// sayChange says a change to a person, where stdout is for something else.
func (p *Program) sayChange(event ftl.Event) {
	if what := describe(event); what != "" && !p.quiet && event.State == ftl.Success {
		p.say("%s %s", subject(event), what)
	}
}
