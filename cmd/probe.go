package cmd

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/probe"
)

// probeOptions are the flags of probe. What is secret is in a variable: a command
// line can be read by everybody on the machine.
type probeOptions struct {
	probe.Probe
	passwordFrom string
	bearerFrom   string
	headerFrom   []string
}

func (p *Program) newProbe() *cobra.Command {
	var opts probeOptions
	command := &cobra.Command{
		Use:   "probe URL",
		Short: "Wait until a service answers as it should, for check hooks",
		Long: `Probe asks a URL again and again until the answer is the wanted one, and exits 0 then.
When its time is over it exits 1 and says what was wrong with the last answer; so it
does when it is ended. TLS certificates are verified, and a redirect is an answer of
its own. Whatever is secret comes from variables, and is never shown: nor is the part
of a URL that may be.

In a check it gives up by itself before the time of the check is over: without
--timeout it tries for five sixths of FTL_CHECK_TIMEOUT, at most 50 s.`,
		Example: `  ftl probe http://localhost:8080/health --timeout 30s
  ftl probe https://localhost/ --contains "Welcome" --no-mixed-content
  PASSWORD=… ftl probe https://localhost/admin --user ops --password-from PASSWORD
  KEY='X-Api-Key: …' ftl probe https://localhost/api --header-from KEY`,
		Args: one("URL"),
		RunE: func(command *cobra.Command, args []string) error {
			opts.URL = args[0]
			if err := p.completeProbe(command, &opts); err != nil {
				return err
			}
			return opts.Run(command.Context())
		},
	}
	flags := command.Flags()
	flags.IntVar(&opts.Status, "status", 200, "the status that is wanted")
	flags.DurationVar(&opts.Timeout, "timeout", probe.DefaultTimeout, "how long to try")
	flags.DurationVar(&opts.Interval, "interval", probe.DefaultInterval, "how long to wait between two tries")
	flags.DurationVar(&opts.RequestTimeout, "request-timeout", probe.DefaultRequestTimeout, "how long one try may take")
	flags.StringVar(&opts.Contains, "contains", "", "a text that the answer must contain")
	flags.BoolVar(&opts.NoMixedContent, "no-mixed-content", false, "whatever an https page loads must be https")
	flags.StringVar(&opts.User, "user", "", "a user name to log in with")
	flags.StringVar(&opts.passwordFrom, "password-from", "", "the environment variable that has the user's password")
	flags.StringVar(&opts.bearerFrom, "bearer-from", "", "the environment variable that has a bearer token")
	flags.StringArrayVar(&opts.headerFrom, "header-from", nil, "an environment variable that has a header, as in NAME: VALUE; may be repeated")
	return command
}

// completeProbe takes from the environment what the flags name, and checks that
// the probe can be made.
func (p *Program) completeProbe(command *cobra.Command, opts *probeOptions) error {
	hint := "for example: ftl probe http://localhost:8080/health --timeout 30s"
	for _, flag := range []string{"timeout", "interval", "request-timeout"} {
		if d, err := command.Flags().GetDuration(flag); err != nil || d <= 0 {
			return usage(fmt.Errorf("--%s: it has to be more than 0", flag), hint)
		}
	}
	if !command.Flags().Changed("timeout") {
		opts.Timeout = p.withinCheck(opts.Timeout)
	}
	if err := p.authorize(opts); err != nil {
		return err
	}
	if err := opts.Validate(); err != nil {
		return usage(err, hint)
	}
	return nil
}

// withinCheck returns how long to try, if that is not said: so long that the
// check that this may run in has time left to be told why.
func (p *Program) withinCheck(timeout time.Duration) time.Duration {
	if check, err := time.ParseDuration(p.Getenv(settingCheckTimeout.variable)); err == nil && check > 0 {
		return min(timeout, check*5/6)
	}
	return timeout
}

// authorize adds the password, the token and the headers.
func (p *Program) authorize(opts *probeOptions) error {
	if (opts.User != "") != (opts.passwordFrom != "") {
		return usage(errors.New("--user and --password-from go together"), "ftl probe URL --user ops --password-from PASSWORD")
	}
	if opts.User != "" && opts.bearerFrom != "" {
		return usage(errors.New("--user and --bearer-from contradict each other"), "ftl probe URL --bearer-from TOKEN")
	}
	if opts.passwordFrom != "" {
		password, err := p.secret(opts.passwordFrom, "the password")
		if err != nil {
			return err
		}
		opts.Password = password
	}
	opts.Header = make(http.Header)
	for _, variable := range opts.headerFrom {
		header, err := p.secret(variable, "a header")
		if err != nil {
			return err
		}
		name, value, found := strings.Cut(strings.TrimSpace(header), ":")
		if !found {
			return usage(fmt.Errorf("%s has no header: a name, a colon and a value", variable), "for example: export "+variable+"='X-Api-Key: …'")
		}
		opts.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if opts.bearerFrom != "" {
		token, err := p.secret(opts.bearerFrom, "the token")
		if err != nil {
			return err
		}
		opts.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	}
	return nil
}

// secret returns the value of a variable that has to be set.
func (p *Program) secret(variable, what string) (string, error) {
	value := p.Getenv(variable)
	if value == "" {
		return "", usage(fmt.Errorf("%s, which should have %s, is not set", variable, what), "export "+variable+"=… first; in a hook, FTL_HOOK_ENV lets it through")
	}
	return value, nil
}
