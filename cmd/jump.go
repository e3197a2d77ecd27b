package cmd

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
)

// jumpOptions are the choices of jump and jump-back.
type jumpOptions struct {
	host  host.JumpOptions
	again bool
	above int64
	note  string
	words []string // of --param
	lasts string   // of --expires
	waves waveFlags
	wait  waitFlags
}

func (p *Program) newJump() *cobra.Command {
	var (
		s    settings
		opts jumpOptions
	)
	command := &cobra.Command{
		Use:   "jump REVISION",
		Short: "Activate a revision on this host, or with --master bless it for all",
		Long: `Jump makes a revision the active one of its package: pre-jump of the new one, un-jump
of the old one, the links flip, post-jump of the new one. A revision that is not here
is fetched first. The choice stands until the master changes.

With --master it blesses the revision in the bucket instead: every host jumps to it
when it next syncs, also the one that is down now.

With --param the hooks of the revision are told more, such as a name that differs from
one deploy to the next. What was told before is forgotten; without --param the active
revision keeps it. If only that differs, post-jump and check of the active revision
run again. It is no place for secrets.

With --rollout hosts follow in waves, each when enough of the one before are well. A
revision that fails halts its rollout by itself; ftl rollout show tells how far it is.

With --wait the command ends when the hosts run it, or when it is clear that they will
not: 0 they run it, 4 it was rolled back, 3 a hook failed, 7 somebody else has blessed
since, 1 the time is over. Ctrl-C ends the waiting, and nothing else.`,
		Example: `  ftl jump my_site.2026112145296Wq
  ftl jump --master my_site.2026112145296Wq --note "fix login"
  ftl jump --master my_site.2026112145296Wq --rollout 1,5%/30m,25% --wait --back`,
		Args: one("REVISION"),
		RunE: func(command *cobra.Command, args []string) error {
			if !s.onMaster {
				return p.jump(command.Context(), s, args[0], opts)
			}
			return p.jumpMaster(command, s, args[0], opts)
		},
	}
	p.addJumpFlags(command, &s, &opts, settingRollout)
	opts.waves.add(command)
	only(command, onMaster, append(opts.waves.names(), settingRollout.flag())...)
	command.Flags().BoolVar(&opts.again, "again", false, "with --master: bless the active revision once more, so that every host tries anew")
	command.Flags().Int64Var(&opts.above, "serial", 0, "with --master: bless it with a serial above this one, which hosts have seen")
	command.Flags().StringVar(&opts.lasts, "expires", "", "with --master: how long hosts that require signatures follow it, such as 30d")
	command.Flags().StringArrayVar(&opts.words, "param", nil, "tell the revision's hooks NAME=VALUE, as FTL_PARAM_NAME; everybody can read it")
	only(command, onMaster, "again", "serial", "expires")
	return command
}

func (p *Program) jump(ctx context.Context, s settings, arg string, opts jumpOptions) error {
	r, err := parseRevision(arg)
	if err != nil {
		return err
	}
	if opts.host.Params, err = parseParams(opts.words); err != nil {
		return err
	}
	h, err := p.host(s)
	if err != nil {
		return err
	}
	return h.Jump(ctx, r, opts.host)
}

func parseParams(words []string) (catalog.Params, error) {
	params, err := catalog.ParseParams(words)
	if err != nil {
		return nil, usage(fmt.Errorf("--param: %w", err), "for example: --param DOMAIN=example.org")
	}
	return params, nil
}

func (p *Program) jumpMaster(command *cobra.Command, s settings, arg string, opts jumpOptions) error {
	r, err := parseRevision(arg)
	if err != nil {
		return err
	}
	bless, err := opts.blessing(command, s)
	if err != nil {
		return err
	}
	m, err := p.master(command.Context(), s)
	if err != nil {
		return err
	}
	return p.bless(command.Context(), s, m, r, bless, opts.wait)
}

// blessing reads the flags that say how to bless.
func (o jumpOptions) blessing(command *cobra.Command, s settings) (bless master.JumpOptions, err error) {
	if o.above < 0 || o.above >= catalog.MaxSerial {
		return bless, usage(fmt.Errorf("--serial: %d is not a serial", o.above), "sync and why name the one that a host has seen")
	}
	if err := o.wait.check(command); err != nil {
		return bless, err
	}
	bless = master.JumpOptions{Again: o.again, Above: o.above, Note: o.note, Now: o.waves.now}
	if bless.Params, err = parseParams(o.words); err != nil {
		return bless, err
	}
	if bless.Lasts, err = parseExpires(o.lasts); err != nil {
		return bless, err
	}
	bless.Rollout, bless.Usual, err = o.waves.options(command, s.waves)
	return bless, err
}

// bless blesses a revision, and waits for it where that is wanted.
func (p *Program) bless(ctx context.Context, s settings, m *master.Master, r revision.Revision, opts master.JumpOptions, wait waitFlags) error {
	if err := p.plan(ctx, s, m, r, &opts); err != nil {
		return err
	}
	if err := wait.knows(opts.Fleet.Members, r.Package()); err != nil {
		return err
	}
	if err := m.Jump(ctx, r, opts); err != nil || !wait.wanted || m.DryRun {
		return err
	}
	return p.wait(ctx, s, m, r, opts.Fleet.Members, wait)
}

func (p *Program) newJumpBack() *cobra.Command {
	var (
		s    settings
		opts jumpOptions
	)
	command := &cobra.Command{
		Use:   "jump-back PACKAGE",
		Short: "Activate the previous revision again, on this host or with --master for all",
		Long: `Jump-back is a jump to the previous revision, with the same hooks. Twice is back where
one was. With --master it blesses the revision that was blessed before.`,
		Example: `  ftl jump-back my_site
  ftl jump-back --master my_site --note "login is broken"`,
		Args: one("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			if err := opts.wait.check(command); err != nil {
				return err
			}
			return p.jumpBack(command.Context(), s, args[0], opts)
		},
	}
	p.addJumpFlags(command, &s, &opts)
	command.Flags().BoolVar(&opts.host.Unverified, "unverified", false, "also to a revision that was not verified when it came here")
	only(command, onHost, "unverified")
	return command
}

func (p *Program) jumpBack(ctx context.Context, s settings, arg string, opts jumpOptions) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	if s.onMaster {
		m, err := p.master(ctx, s)
		if err != nil {
			return err
		}
		return p.blessBack(ctx, s, m, pkg, opts)
	}
	h, err := p.host(s)
	if err != nil {
		return err
	}
	return h.JumpBack(ctx, pkg, opts.host)
}

// blessBack blesses the previous revision, and waits for it where that is wanted.
func (p *Program) blessBack(ctx context.Context, s settings, m *master.Master, pkg revision.Package, opts jumpOptions) error {
	if !opts.wait.wanted {
		return m.JumpBack(ctx, pkg, opts.note)
	}
	hosts, _, err := p.reports(s, m.Bucket).read(ctx)
	if err != nil {
		return err
	}
	roster := fleet.Roster(hosts, pkg)
	if err := opts.wait.knows(roster, pkg); err != nil {
		return err
	}
	if err := m.JumpBack(ctx, pkg, opts.note); err != nil || m.DryRun {
		return err
	}
	marker, err := m.Bucket.Marker(ctx, pkg)
	if err != nil {
		return err
	}
	active, _ := marker.Active()
	return p.wait(ctx, s, m, active.Revision, roster, opts.wait)
}

func (p *Program) addJumpFlags(command *cobra.Command, s *settings, opts *jumpOptions, more ...setting) {
	p.addSettings(command, s, append(append(slices.Clone(hostSettings), settingBucket, settingSignKey), more...)...)
	addMaster(command, s, "act on the bucket, for all hosts")
	addDryRun(command, s)
	command.Flags().BoolVar(&opts.host.Interrupt, "interrupt", false, "end the hook that another ftl is stuck in, then go on")
	command.Flags().BoolVar(&opts.host.Force, "force", false, "go on although the pre-jump says \"not now\"")
	command.Flags().StringVar(&opts.note, "note", "", "with --master: a note to keep in the marker")
	only(command, onHost, "interrupt", "force")
	only(command, onMaster, "note")
	opts.wait.add(command)
	only(command, onMaster, opts.wait.names()...)
}
