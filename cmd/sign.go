package cmd

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newSign() *cobra.Command {
	var (
		s    settings
		opts master.SignOptions
		yes  bool
	)
	command := &cobra.Command{
		Use:   "sign REVISION",
		Short: "Sign a revision that is in the bucket",
		Long: `Sign says with your key that a revision is what it should be, so that hosts with
FTL_ALLOWED_SIGNERS take it. It is for what was spooled without a key, or by somebody
whose key counts no more: ftl spool signs by itself where FTL_SIGN_KEY is set.

It reads the whole archive and compares it with the manifest, shows what it is and asks.
With --file it has to be what a local file or directory was spooled as. Signatures by
other keys stay.`,
		Example: `  ftl sign my_site.2026112145296Wq
  ftl sign my_site.2026112145296Wq --file build/my_site.tgz --yes`,
		Args: one("REVISION"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.sign(command.Context(), s, args[0], opts, yes)
		},
	}
	p.addSettings(command, &s, append(signing, settingBucket, settingNode)...)
	addDryRun(command, &s)
	command.Flags().StringVar(&opts.File, "file", "", "what the revision has to have been spooled of")
	command.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return command
}

func (p *Program) sign(ctx context.Context, s settings, arg string, opts master.SignOptions, yes bool) error {
	r, err := parseRevision(arg)
	if err != nil {
		return err
	}
	if err := p.requireKey(s); err != nil {
		return err
	}
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	opts.Confirm = p.confirmSigning(yes || s.dryRun)
	return m.Sign(ctx, r, opts)
}

func (p *Program) newRenew() *cobra.Command {
	var (
		s     settings
		lasts string
	)
	command := &cobra.Command{
		Use:   "renew --master [PACKAGE...]",
		Short: "Sign again what is blessed",
		Long: `Renew signs what is blessed again, with today's date: so it does not expire, and hosts
with FTL_MAX_AGE see that they are not kept from news. Nothing else changes: a host that
has followed the blessing, has rejected it or was jumped elsewhere by hand does nothing.
Without a PACKAGE it renews all packages of the bucket.`,
		Example: `  ftl renew --master my_site --expires 30d`,
		RunE: func(command *cobra.Command, args []string) error {
			return p.renew(command.Context(), s, args, lasts)
		},
	}
	p.addSettings(command, &s, append(signing, settingBucket, settingNode)...)
	addMaster(command, &s, "act on the bucket, for all hosts (required)")
	addDryRun(command, &s)
	command.Flags().StringVar(&lasts, "expires", "", "how long hosts follow it, such as 30d; as long as before where it is not given")
	return command
}

func (p *Program) renew(ctx context.Context, s settings, args []string, lasts string) error {
	packages, err := parsePackages(args)
	if err != nil {
		return err
	}
	if !s.onMaster {
		return usage(errors.New("renew signs what is blessed in the bucket, so it needs --master"), "for example: ftl renew --master my_site")
	}
	life, err := parseExpires(lasts)
	if err != nil {
		return err
	}
	if err := p.requireKey(s); err != nil {
		return err
	}
	m, err := p.master(ctx, s)
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		if packages, err = p.renewable(ctx, m); err != nil {
			return err
		}
	}
	var errs []error
	for _, pkg := range packages {
		if err := context.Cause(ctx); err != nil {
			return ftl.Join(append(errs, err)...)
		}
		errs = append(errs, m.Renew(ctx, pkg, life))
	}
	return ftl.Join(errs...)
}

// renewable returns the packages of which something is blessed.
func (p *Program) renewable(ctx context.Context, m *master.Master) ([]revision.Package, error) {
	all, err := m.Bucket.Packages(ctx)
	if err != nil {
		return nil, err
	}
	var packages []revision.Package
	for _, pkg := range all {
		marker, err := m.Bucket.Marker(ctx, pkg)
		if err != nil {
			return nil, err
		}
		if _, blessed := marker.Active(); blessed {
			packages = append(packages, pkg)
		}
	}
	return packages, nil
}

// parseExpires reads how long a blessing lasts; 0 is for ever.
func parseExpires(text string) (time.Duration, error) {
	lasts, err := parseDays(text)
	if err == nil && text != "" && lasts < time.Minute {
		err = errors.New("it is less than a minute")
	}
	if err != nil {
		return 0, usage(errors.New("--expires: "+err.Error()), "for example: --expires 30d")
	}
	return lasts, nil
}
