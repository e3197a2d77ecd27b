package cmd

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/ftl/serve"
	"github.com/rhettg/ftl/ftl/serve/access"
	notifications "github.com/rhettg/ftl/ftl/serve/notify"
	"github.com/rhettg/ftl/ftl/serve/webhook"
)

// calling is what others may call of a server, and what calls others.
type calling struct {
	allowFrom  string
	probeHosts []string
}

func (c *calling) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&c.allowFrom, "allow-from", "", "who may call the webhook: addresses, networks, and unix for the socket (everybody)")
	flags.StringSliceVar(&c.probeHosts, "probe-host", nil, "a host and port, such as app.example.org:443, that a webhook may name to be asked whether it is well")
}

// settingNotify has a value that may be a secret, as chat tools put one into the URL.
var settingNotify = setting{
	variable: "FTL_NOTIFY", usage: "the URL that is told what happens to the fleet, or a file that has it; FTL_NOTIFY_SECRET signs", fallback: "none",
	example: "https://chat.example.org/hook",
	set:     text(func(s *settings) *string { return &s.notify }),
}

// variableNotifySecret is no setting: a flag could be seen by others.
const variableNotifySecret = "FTL_NOTIFY_SECRET"

// hang hangs the webhook and the notifications into what a server is made of.
func (c calling) hang(p *Program, s settings, config *serve.Config) error {
	hook := webhook.Config{
		Bucket: config.Bucket, Guard: config.Guard, Master: config.Master, ReadOnly: cmp.Or(config.ReadOnly, config.NoKey), Log: config.Log,
		ProbeHosts: c.probeHosts,
	}
	if config.URL != nil {
		hook.Base = strings.TrimRight(config.URL.EscapedPath(), "/")
	}
	if len(s.waves) > 0 {
		hook.Rollout = &rollout.Options{Waves: s.waves}
	}
	for _, host := range c.probeHosts {
		if _, port, err := net.SplitHostPort(host); err != nil || port == "" {
			return usage(fmt.Errorf("--probe-host: %q is not a host with a port", host), "for example: --probe-host app.example.org:443")
		}
	}
	if c.allowFrom != "" {
		var err error
		if hook.AllowFrom, err = access.ParsePeers(c.allowFrom); err != nil {
			return usage(fmt.Errorf("--allow-from: %w", err), "for example: --allow-from 192.0.2.0/24")
		}
	}
	config.Machines = map[string]http.Handler{
		"/deployment/{$}": webhook.New(hook), "GET /health": http.HandlerFunc(webhook.Health),
	}
	return c.hangNotifier(p, s, config)
}

func (c calling) hangNotifier(p *Program, s settings, config *serve.Config) error {
	if s.notify == "" {
		return nil
	}
	target, err := valueOrFile(s.notify)
	if err != nil {
		return usage(fmt.Errorf("%s: %w", settingNotify.variable, err), exampleOf(settingNotify.variable, settingNotify.example))
	}
	secret, err := valueOrFile(p.Getenv(variableNotifySecret))
	if err == nil {
		err = access.CheckSecret(secret)
	}
	if err != nil {
		return usage(fmt.Errorf("%s: %w", variableNotifySecret, err), "for example: export "+variableNotifySecret+"=/etc/ftl/notify-secret, a file with 32 characters or more")
	}
	config.Notifier, err = notifications.New(notifications.Config{Bucket: config.Bucket, URL: target, Secret: secret, Link: linkOf(config), Log: config.Log})
	if err != nil {
		return usage(err, exampleOf(settingNotify.variable, settingNotify.example))
	}
	return nil
}

func linkOf(config *serve.Config) string {
	if config.URL == nil {
		return ""
	}
	return strings.TrimRight(config.URL.String(), "/")
}

// maxSecretFile is how long a file with a URL or a secret may be.
const maxSecretFile = 8 << 10

// valueOrFile returns a value, or the content of the file that it names by an absolute path.
func valueOrFile(value string) (string, error) {
	if !strings.HasPrefix(value, "/") {
		return value, nil
	}
	file, err := os.Open(value)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile))
	return strings.TrimSpace(string(content)), err
}
