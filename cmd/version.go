package cmd

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p *Program) newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of ftl, its commit and its Go version",
		Example: "  ftl version",
		Args:    none,

		Annotations: map[string]string{needsNoEnvironment: ""},
		RunE: func(*cobra.Command, []string) error {
			return p.printVersion()
		},
	}
}

// build says what the program was made of.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

func (p *Program) printVersion() error {
	b := build{version(), commit(), runtime.Version()}
	if p.json {
		return p.writeJSON(b)
	}
	p.print("ftl %s, commit %s, %s", b.Version, b.Commit, b.Go)
	return nil
}

// version is that of the module, as "go install" and a build from a tagged checkout record it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// commit is that of the checkout that ftl was built from, where the build recorded it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	found, changed := "unknown", ""
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			found = setting.Value
		case "vcs.modified":
			if setting.Value == "true" {
				changed = " with changes"
			}
		}
	}
	return found + changed
}
