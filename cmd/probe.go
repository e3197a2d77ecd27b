package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/probe"
)

func (p *Program) newProbe() *cobra.Command {
	var (
		ask      probe.Probe
		password string
	)
	command := &cobra.Command{
		Use:   "probe URL",
		Short: "Wait until a service answers as it should, for check hooks",
		Long: `Probe asks a URL again and again until the answer is the wanted one, and exits 0 then.
When its time is over it exits 1 and says what was wrong with the last answer. TLS
certificates are verified, and a redirect is an answer of its own.`,
		Example: `  ftl probe http://localhost:8080/health --timeout 30s
  ftl probe https://localhost/ --contains "Welcome" --no-mixed-content
  PASSWORD=… ftl probe https://localhost/admin --user ops --password-from PASSWORD`,
		Args: one("URL"),
		RunE: func(command *cobra.Command, args []string) error {
			ask.URL = args[0]
			if ask.User != "" || password != "" {
				if ask.User == "" || password == "" {
					return usage(errors.New("--user and --password-from go together"), "ftl probe URL --user ops --password-from PASSWORD")
				}
				if ask.Password = p.Getenv(password); ask.Password == "" {
					return usage(fmt.Errorf("%s, which should have the password, is not set", password), "")
				}
			}
			return ask.Run(command.Context())
		},
	}
	flags := command.Flags()
	flags.IntVar(&ask.Status, "status", 200, "the status that is wanted")
	flags.DurationVar(&ask.Timeout, "timeout", probe.DefaultTimeout, "how long to try")
	flags.DurationVar(&ask.Interval, "interval", probe.DefaultInterval, "how long to wait between two tries")
	flags.DurationVar(&ask.RequestTimeout, "request-timeout", probe.DefaultRequestTimeout, "how long one try may take")
	flags.StringVar(&ask.Contains, "contains", "", "a text that the answer must contain")
	flags.BoolVar(&ask.NoMixedContent, "no-mixed-content", false, "every link, script and image of an https page must be https")
	flags.StringVar(&ask.User, "user", "", "a user name to log in with")
	flags.StringVar(&password, "password-from", "", "the environment variable that has the user's password")
	return command
}
