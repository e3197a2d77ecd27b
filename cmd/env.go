package cmd

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rhettg/ftl/ftl"
)

func (p *Program) newEnv() *cobra.Command {
	command := &cobra.Command{
		Use:   "env",
		Short: "Show each setting, its value and where that comes from",
		Long: `Env prints the settings of ftl, and the variables of AWS that are set: the value, and
whether it comes from a flag, the environment, the file of FTL_ENV_FILE or is the
default. Secrets are masked. A value that makes no sense is an error, after all are
shown; what a command needs beside, only that command tells.`,
		Example: `  ftl env
  ssh web1 ftl env        # what a command there works with`,
		Args: none,
		RunE: func(command *cobra.Command, _ []string) error {
			return p.env(command.Flags())
		},
	}
	for _, d := range p.declared {
		command.Flags().String(d.flag(), "", d.help())
	}
	return command
}

// A variable is a line of env.
type variable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source source `json:"source"`
	Error  string `json:"error"` // why the value makes no sense
}

// A source is where a value comes from.
type source string

const (
	fromFlag        source = "flag"
	fromEnvironment source = "environment"
	fromFile        source = "file"
	fromDefault     source = "default"
)

// env prints what the settings are, however little sense they make.
func (p *Program) env(flags *pflag.FlagSet) error {
	var (
		all  []variable
		errs []error
	)
	for _, d := range p.declared {
		v, err := p.variable(flags, d)
		all, errs = append(all, v), append(errs, err)
	}
	all = append(all, p.envFileVariable(flags))
	all = append(all, p.otherVariables(all)...)
	slices.SortFunc(all, func(a, b variable) int { return cmp.Compare(a.Name, b.Name) })
	p.printVariables(all)
	return ftl.Join(errs...)
}

// variable tells of one setting, with the error of a command that uses it.
func (p *Program) variable(flags *pflag.FlagSet, d setting) (variable, error) {
	value, from := p.lookup(flags, d)
	v := variable{Name: d.variable, Value: masked(d.variable, value), Source: from}
	if from == fromDefault {
		v.Value = d.fallback
		if d.initial != nil {
			v.Value = d.initial()
		}
	}
	err := d.set(&settings{}, value)
	if err != nil {
		v.Error = err.Error()
		err = d.malformed(p.shown(d, from), err)
	}
	return v, err
}

// envFileVariable tells of the file that was read.
func (p *Program) envFileVariable(flags *pflag.FlagSet) variable {
	_, from := p.lookup(flags, settingEnvFile)
	return variable{Name: settingEnvFile.variable, Value: cmp.Or(p.envPath, envFileNone), Source: from}
}

// otherVariables are those of AWS that are set, and those that look like a setting and are none.
func (p *Program) otherVariables(known []variable) []variable {
	var others []variable
	_, inHook := p.LookupEnv("FTL_HOOK") // which has variables of its own
	for _, line := range p.Environ {
		name, value, _ := strings.Cut(line, "=")
		unknown := strings.HasPrefix(name, "FTL_") && !inHook
		if !unknown && !strings.HasPrefix(name, "AWS_") || slices.ContainsFunc(known, func(v variable) bool { return v.Name == name }) {
			continue
		}
		v := variable{Name: name, Value: masked(name, value), Source: p.sourceOf(name)}
		if unknown {
			v.Error = "not a setting of this ftl"
		}
		others = append(others, v)
	}
	return others
}

func (p *Program) printVariables(all []variable) {
	if p.json {
		for _, v := range all {
			p.writeJSON(v)
		}
		return
	}
	var rows [][]string
	for _, v := range all {
		from := string(v.Source)
		if v.Source == fromFile {
			from = p.envPath
		}
		if v.Error != "" {
			from += ": " + v.Error
		}
		rows = append(rows, []string{v.Name, orDash(v.Value), from})
	}
	for _, line := range columns(rows) {
		p.print("%s", line)
	}
}

// secretName is how variables are called whose value nobody should read over a shoulder, or in a
// ticket.
var secretName = regexp.MustCompile(`SECRET|PASSW|TOKEN$|_KEY$|^FTL_NOTIFY$`)

// keyID names a key and is no secret: its end tells which one it is.
const keyID = "AWS_ACCESS_KEY_ID"

const mask = "****"

// masked returns a value as it may be shown.
func masked(name, value string) string {
	switch {
	case value == "":
		return ""
	case name == keyID:
		return mask + value[max(0, len(value)-4):]
	case secretName.MatchString(name):
		return mask
	}
	return withoutUser(value)
}

// userInfo is a name and a password in a URL. A password may have slashes and further @ signs.
var userInfo = regexp.MustCompile(`\b(s3|https?|socks5)://\S*@`)

// withoutUser masks names and passwords in the URLs of a text.
func withoutUser(text string) string { return userInfo.ReplaceAllString(text, "$1://"+mask+"@") }
