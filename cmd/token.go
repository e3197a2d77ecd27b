package cmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/serve/access"
)

const defaultServeState = "/var/lib/ftl-serve"

var settingServeState = setting{
	variable: "FTL_SERVE_STATE", usage: "the directory of ftl serve: tokens, secrets of webhooks, the key of sessions", fallback: defaultServeState,
	example: defaultServeState,
	set: func(s *settings, value string) error {
		if s.serveState = value; value == "" {
			s.serveState = defaultServeState
		}
		return nil
	},
}

func (p *Program) newToken() *cobra.Command {
	command := &cobra.Command{
		Use:   "token",
		Short: "Say who may do what with ftl serve",
		Long: `Token is about the rights that ftl serve goes by: tokens for people and programs, secrets
for webhooks, and the users that a proxy names. They are in the directory of serve, on
its machine, and are changed by its user alone. A change counts at once.`,
		Example: "  ftl token list",
		Args:    cobra.NoArgs,
		RunE:    showHelp,
	}
	command.AddCommand(p.newTokenAdd(), p.newTokenList(), p.newTokenRevoke())
	for _, child := range command.Commands() {
		child.ValidArgsFunction = cobra.NoFileCompletions
		completeFlags(child)
	}
	return command
}

// tokenOptions are the choices of token add.
type tokenOptions struct {
	user, webhook, role, expires string
	packages                     []string
}

func (p *Program) newTokenAdd() *cobra.Command {
	var (
		s    settings
		opts tokenOptions
	)
	command := &cobra.Command{
		Use:   "add [LABEL]",
		Short: "Give somebody a right",
		Long: `Add prints a new token, once: what is kept of it is its SHA-256. With --webhook it prints
the secret with which a webhook is signed, of which there may be two at a time, so that
one can be replaced; with --user it gives a role to a user that a proxy names.

The roles are view, which sees all; stop, which may also halt rollouts; deploy, which
may bless, go back and go on with rollouts; admin, which may do that with all packages.
Stop and deploy need --packages.`,
		Example: `  ftl token add ann --role deploy --packages 'my_*,tools'
  ftl token add --webhook github --role deploy --packages my_site
  ftl token add --user bob@example.org --role stop --packages '*'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			request, err := opts.request(args)
			if err != nil {
				return err
			}
			return p.tokenAdd(command.Context(), s, request)
		},
	}
	p.addSettings(command, &s, settingServeState)
	flags := command.Flags()
	flags.StringVar(&opts.user, "user", "", "give the role to the user whom a proxy calls so")
	flags.StringVar(&opts.webhook, "webhook", "", "make a secret for a webhook of this label")
	flags.StringVar(&opts.role, "role", "", "view, stop, deploy or admin")
	flags.StringSliceVar(&opts.packages, "packages", nil, "patterns of the packages to act on, such as my_site or 'my_*'")
	flags.StringVar(&opts.expires, "expires", "", "how long it is good for, at most 366d (90d; of a user: for ever)")
	return command
}

// request is what is asked for.
func (o tokenOptions) request(args []string) (access.Request, error) {
	r := access.Request{Kind: access.Token, Packages: o.packages, By: account() + "@" + nodeName("")}
	named := 0
	if len(args) > 0 {
		r.Label = args[0]
		named++
	}
	if o.user != "" {
		r.Kind, r.Label = access.User, o.user
		named++
	}
	if o.webhook != "" {
		r.Kind, r.Label = access.Webhook, o.webhook
		named++
	}
	if named != 1 {
		return r, usage(errors.New("one of LABEL, --webhook LABEL and --user NAME is wanted"), "for example: ftl token add ann --role view")
	}
	var err error
	if r.Role, err = access.ParseRole(o.role); err != nil {
		return r, usage(fmt.Errorf("--role: %w", err), "for example: --role view")
	}
	if r.Life, err = parseLife(o.expires); err != nil {
		return r, usage(fmt.Errorf("--expires: %w", err), "for example: --expires 30d")
	}
	if err := r.Validate(); err != nil {
		return r, usage(err, "for example: ftl token add ann --role deploy --packages 'my_*'")
	}
	return r, nil
}

// parseLife reads days, or what a duration is elsewhere. Nothing is 0.
func parseLife(value string) (life time.Duration, err error) {
	days, ok := strings.CutSuffix(value, "d")
	if !ok {
		return parseDuration(value, 0)
	}
	n, err := strconv.Atoi(days)
	if err != nil || n <= 0 || n > int(access.MaxLife/day) {
		return 0, fmt.Errorf("%q is no number of days up to %d", value, access.MaxLife/day)
	}
	return time.Duration(n) * day, nil
}

const day = 24 * time.Hour

// tokenAdded is what was added, with what is used of it. As JSON it is the line of token add.
type tokenAdded struct {
	access.Grant
	Secret string `json:"secret"` // "" of a user
}

func (p *Program) tokenAdd(ctx context.Context, s settings, request access.Request) error {
	file, err := access.OpenFile(s.serveState)
	if err != nil {
		return err
	}
	defer file.Close()
	grant, secret, err := file.Add(ctx, request, time.Now())
	if err != nil {
		return err
	}
	if p.json {
		return p.writeJSON(tokenAdded{grant, secret})
	}
	if secret != "" {
		p.print("%s", secret)
	}
	if !p.quiet {
		p.say("the %s %s has the role %s until %s; its id is %s", grant.Kind, grant.Label, grant.Role, untilRevoked(grant.Expires), grant.ID)
	}
	return nil
}

func untilRevoked(t ftl.Time) string {
	if t.IsZero() {
		return "it is revoked"
	}
	return ftl.Clock(t.Time)
}

func (p *Program) newTokenList() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "list",
		Short: "List who may do what, and nothing secret",
		Long: `List prints each token, secret of a webhook and user, the newest first, with its role,
its packages, when it expires and when it was used last, to the hour. What has expired
or was revoked stays in the list for 30 days.`,
		Example: "  ftl token list",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			return p.tokenList(s)
		},
	}
	p.addSettings(command, &s, settingServeState)
	return command
}

func (p *Program) tokenList(s settings) error {
	file, err := access.OpenFile(s.serveState)
	if err != nil {
		return err
	}
	defer file.Close()
	grants, err := file.Grants()
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "KIND", "LABEL", "ROLE", "PACKAGES", "EXPIRES", "USED", "STATE"}}
	for _, g := range grants {
		if p.json {
			p.writeJSON(g)
		}
		rows = append(rows, []string{
			g.ID, string(g.Kind), g.Label, g.Role.String(), orDash(strings.Join(g.Packages, ",")), ftl.Clock(g.Expires.Time), ftl.Clock(g.Used.Time), g.State(time.Now()),
		})
	}
	if !p.json && len(grants) > 0 {
		p.printTable(rows)
	}
	return nil
}

func (p *Program) newTokenRevoke() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "revoke ID|LABEL",
		Short: "End a right at once",
		Long: `Revoke ends a token, a secret of a webhook or the role of a user, and with it the
sessions that were begun by it. A label does where it names one alone.`,
		Example: "  ftl token revoke ann",
		Args:    one("ID or LABEL"),
		RunE: func(command *cobra.Command, args []string) error {
			return p.tokenRevoke(command.Context(), s, args[0])
		},
	}
	p.addSettings(command, &s, settingServeState)
	return command
}

func (p *Program) tokenRevoke(ctx context.Context, s settings, name string) error {
	file, err := access.OpenFile(s.serveState)
	if err != nil {
		return err
	}
	defer file.Close()
	grant, err := file.Revoke(ctx, name, time.Now())
	if err != nil {
		return err
	}
	if p.json {
		return p.writeJSON(grant)
	}
	p.print("%s %s is revoked", grant.Kind, grant.Label)
	return nil
}
