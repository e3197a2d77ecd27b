package cmd

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/trust"
)

func (p *Program) newVerify() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "verify PACKAGE|REVISION",
		Short: "Show who has signed what is in the bucket",
		Long: `Verify looks at the signatures in the bucket as a host with FTL_ALLOWED_SIGNERS does. Of
a package it shows each blessing in its marker, the newest first; of a revision each
signature of its manifest: by whom, with which key, and if it does not count, why not.

The exit code is 7 where a host would not take it: the newest blessing does not count, or
none of the revision's signatures does.`,
		Example: `  ftl verify my_site
  ftl verify my_site.2026112145296Wq`,
		Args: one("PACKAGE or REVISION"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.verify(command.Context(), s, args[0])
		},
	}
	p.addSettings(command, &s, append(verifying, settingBucket)...)
	return command
}

func (p *Program) verify(ctx context.Context, s settings, arg string) error {
	if err := p.requireTrust(s); err != nil {
		return err
	}
	all, enough, err := p.verifications(ctx, s, arg)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, v := range all {
		if p.json {
			if err := p.writeJSON(v); err != nil {
				return err
			}
			continue
		}
		line := "-"
		if v.Line > 0 {
			line = strconv.Itoa(v.Line)
		}
		rows = append(rows, []string{line, orDash(v.Revision.String()), ftl.Clock(v.At.Time), verdict(v)})
	}
	for _, line := range columns(rows) {
		p.print("%s", line)
	}
	if !enough {
		return silentError{&ftl.Error{Kind: ftl.Refused, Err: errors.New("a host would not take it")}}
	}
	return nil
}

// verifications looks at a package or a revision, and says whether a host would take it.
func (p *Program) verifications(ctx context.Context, s settings, arg string) (all []catalog.Verification, enough bool, err error) {
	bucket, err := p.bucket(ctx, s)
	if err != nil {
		return nil, false, err
	}
	if strings.Contains(arg, ".") {
		r, err := parseRevision(arg)
		if err != nil {
			return nil, false, err
		}
		all, err := bucket.VerifyRevision(ctx, r)
		if errors.Is(err, fs.ErrNotExist) {
			err = ftl.Errorf(ftl.NotFound, "what there is: ftl list --master "+r.Package().String(), "the bucket has no revision %s", r)
		}
		_, distrusted := bucket.Manifest(ctx, r)
		return all, distrusted == nil, err
	}
	pkg, err := parsePackage(arg)
	if err != nil {
		return nil, false, err
	}
	if all, err = bucket.VerifyMarker(ctx, pkg); err != nil {
		return nil, false, err
	}
	if len(all) == 0 {
		if _, _, err := (&catalog.Catalog{Bucket: bucket.Bucket}).Revisions(ctx, pkg); err != nil {
			return nil, false, err
		}
		return nil, false, ftl.Errorf(ftl.NotFound, "of a revision: ftl verify REVISION", "nothing was blessed of %s yet", pkg)
	}
	return all, all[0].Trusted, nil
}

// verdict says who has signed something, or why that does not count.
func verdict(v catalog.Verification) string {
	if !v.Trusted {
		return "not trusted: " + v.Message
	}
	text := v.Signer.String()
	if !v.Expires.IsZero() {
		text += ", until " + ftl.Clock(v.Expires.Time)
	}
	return text
}

// signedBy names a signer in a table.
func signedBy(signer trust.Signer) string {
	if signer == (trust.Signer{}) {
		return "nobody who is trusted"
	}
	return signer.String()
}
