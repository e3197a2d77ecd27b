package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
)

func (p *Program) newList() *cobra.Command {
	var onMaster bool
	command := &cobra.Command{
		Use:   "list [PACKAGE]",
		Short: "List packages, or the revisions of one",
		Long: `List prints the packages of this host or, with --master, of the bucket. With a package
it prints the revisions, oldest first; after a tab it marks the (active) and the
(previous) one. On a host these are the revisions that can be jumped to.`,
		Example: `  ftl list
  ftl list --master my_site | tail -5`,
		Args: atMostOne("PACKAGE"),
		RunE: func(command *cobra.Command, args []string) error {
			switch {
			case onMaster && len(args) == 0:
				return p.listMasterPackages(command)
			case onMaster:
				return p.listMaster(command, args[0])
			case len(args) == 0:
				return p.listPackages(command)
			}
			return p.listHost(command, args[0])
		},
	}
	addFlags(command, settingRoot, settingBucket)
	addJSON(command)
	command.Flags().BoolVar(&onMaster, "master", false, "list what is in the bucket")
	return command
}

func (p *Program) listPackages(command *cobra.Command) error {
	h, err := p.host(command)
	if err != nil {
		return err
	}
	packages, err := h.Packages()
	if err != nil {
		return err
	}
	return p.printPackages(command, packages)
}

func (p *Program) listHost(command *cobra.Command, arg string) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	h, err := p.host(command)
	if err != nil {
		return err
	}
	revisions, err := h.Revisions(pkg)
	if err != nil {
		return err
	}
	for _, r := range revisions {
		if err := p.printListed(command, r); err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) listMasterPackages(command *cobra.Command) error {
	bucket, err := p.bucket(command.Context(), command)
	if err != nil {
		return err
	}
	packages, err := master.Packages(command.Context(), bucket)
	if err != nil {
		return err
	}
	return p.printPackages(command, packages)
}

func (p *Program) listMaster(command *cobra.Command, arg string) error {
	pkg, err := parsePackage(arg)
	if err != nil {
		return err
	}
	m, err := p.master(command.Context(), command)
	if err != nil {
		return err
	}
	revisions, marker, err := m.Revisions(command.Context(), pkg)
	if err != nil {
		return err
	}
	active, _ := marker.Active()
	previous, _ := marker.Previous()
	for _, r := range revisions {
		listed := host.Listed{Revision: r, Active: r == active.Revision, Previous: r == previous.Revision}
		if err := p.printListed(command, listed); err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) printPackages(command *cobra.Command, packages []revision.Package) error {
	for _, pkg := range packages {
		if !isSet(command, flagJSON) {
			fmt.Fprintln(p.Stdout, pkg)
		} else if err := p.writeJSON(packageJSON{pkg}); err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) printListed(command *cobra.Command, r host.Listed) error {
	if isSet(command, flagJSON) {
		return p.writeJSON(revisionJSON{r.Revision.Package(), r.Revision, r.Active, r.Previous})
	}
	line := r.Revision.String()
	switch {
	case r.Active:
		line += "\t(active)"
	case r.Previous:
		line += "\t(previous)"
	}
	fmt.Fprintln(p.Stdout, line)
	return nil
}
