package cmd

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host"
)

func (p *Program) newDoctor() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether this host has all that it needs",
		Long: `Doctor looks at what a host needs, and prints a line for each thing: ok, a note, or what
is wrong and what to do. It looks at the bucket, the identity by which it is asked, what
that may write and may not, the clock, the tree with its owners and modes, the disk, what
runs sync and whether it does, whether hooks could be started, and each package. It
takes no lock, and leaves nothing behind, neither here nor in the bucket. Run it as the
user who runs sync. The exit code is 1 if something is wrong.`,
		Example: `  ftl doctor
  ssh web1 sudo -u ftl ftl doctor`,
		Args: none,
		RunE: func(command *cobra.Command, _ []string) error {
			return p.doctor(command.Context(), s)
		},
	}
	p.addSettings(command, &s, append(slices.Concat(hostSettings, fleetSettings, placeSettings), settingBucket, settingDelay)...)
	return command
}

func (p *Program) doctor(ctx context.Context, s settings) error {
	found := []ftl.Finding{{
		About: "version", Verdict: ftl.Fine,
		Message: fmt.Sprintf("ftl %s, commit %s, %s, %s/%s", version(), commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH),
	}}
	for _, missing := range []struct {
		setting
		value string
	}{{settingRoot, s.root}, {settingBucket, s.bucket}} {
		if missing.value == "" {
			found = append(found, ftl.Finding{
				About: "settings", Verdict: ftl.Wrong, Message: missing.variable + " is not set",
				Hint: exampleOf(missing.variable, missing.example) + "; or a line of /etc/ftl/env",
			})
		}
	}
	if p.envPath != "" {
		found = append(found, ftl.Finding{About: "settings", Verdict: ftl.Fine, Message: "from " + p.envPath + ", where the environment has none"})
	}
	if s.root != "" {
		h, err := p.host(s)
		if err != nil {
			return err
		}
		found = append(found, h.Examine(ctx, host.Surroundings{Path: p.Getenv("PATH")})...)
		found = append(found, p.conditions(ctx, h)...)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return p.tellFindings(found)
}

// conditions are how the packages are, where that can be told.
func (p *Program) conditions(ctx context.Context, h *host.Host) (found []ftl.Finding) {
	all, err := h.Status(ctx, nil)
	if err != nil {
		return nil // which has been found already
	}
	for _, s := range all {
		f := ftl.Finding{About: "state", Verdict: ftl.Fine, Message: fmt.Sprintf("%s is %s", s.Package, s.Condition)}
		if first, held := s.First(); held {
			f.Message = s.Package.String() + " is " + conditionOf(s, first)
			f.Verdict, f.Hint = ftl.Note, "ftl why "+s.Package.String()+" tells more"
		}
		if s.Condition == ftl.Failed || s.Condition == ftl.Inconsistent {
			f.Verdict = ftl.Wrong
		}
		found = append(found, f)
	}
	return found
}

func (p *Program) tellFindings(found []ftl.Finding) error {
	wrong := 0
	for _, f := range found {
		if f.Verdict == ftl.Wrong {
			wrong++
		}
		if p.json {
			p.writeJSON(f)
			continue
		}
		p.print("%-5s  %-11s  %s", f.Verdict, f.About, f.Message)
		if f.Hint != "" {
			for line := range strings.SplitSeq(f.Hint, "\n") {
				p.print("                      %s", line)
			}
		}
	}
	if wrong == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d findings are wrong", wrong, len(found))
}
