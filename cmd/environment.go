package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/store"
)

// A setting is an environment variable and the flag of the same name, which
// wins.
type setting struct {
	variable string
	usage    string
	example  string
	positive bool // zero makes no sense
}

var (
	settingBucket       = setting{variable: "FTL_BUCKET", usage: "the bucket: name, s3://name[/prefix] or file:///dir", example: "s3://my-releases"}
	settingRoot         = setting{variable: "FTL_ROOT", usage: "the host's tree", example: "/srv/ftl"}
	settingNode         = setting{variable: "FTL_NODE", usage: "this host's name (the host name)", example: "web1"}
	settingKeep         = setting{variable: "FTL_KEEP", usage: "how many of the newest revisions to keep (5)", example: "5"}
	settingSplay        = setting{variable: "FTL_SPLAY", usage: "wait up to this long first, always the same on a node (0)", example: "50s"}
	settingDelay        = setting{variable: "FTL_DELAY", usage: "act on a blessing only when it is this old, by the bucket's clock (0)", example: "2h"}
	settingMetrics      = setting{variable: "FTL_METRICS", usage: "a file for Prometheus, written at the end (none)", example: "/var/lib/prometheus/node-exporter/ftl.prom"}
	settingHookTimeout  = setting{variable: "FTL_HOOK_TIMEOUT", usage: "how long a hook may take (10m)", example: "10m", positive: true}
	settingCheckTimeout = setting{variable: "FTL_CHECK_TIMEOUT", usage: "how long a revision has to pass its check (60s)", example: "60s", positive: true}
	settingLockWait     = setting{variable: "FTL_LOCK_WAIT", usage: "how long to wait for another ftl (30s)", example: "30s"}
)

func (s setting) flag() string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.variable, "FTL_")), "_", "-")
}

// addFlags gives a command the flags of its settings.
func addFlags(command *cobra.Command, settings ...setting) {
	for _, s := range settings {
		command.Flags().String(s.flag(), "", s.usage+"; default $"+s.variable)
	}
}

// value returns the flag's value, else the variable's, else "".
func (p *Program) value(command *cobra.Command, s setting) string {
	if flag := command.Flags().Lookup(s.flag()); flag != nil && flag.Changed {
		return flag.Value.String()
	}
	return p.Getenv(s.variable)
}

func (s setting) missing() error {
	return usage(fmt.Errorf("%s is not set", s.variable), fmt.Sprintf("for example: export %s=%s", s.variable, s.example))
}

// malformed names the flag or the variable, whichever has the value.
func (s setting) malformed(command *cobra.Command, err error) error {
	if flag := command.Flags().Lookup(s.flag()); flag != nil && flag.Changed {
		return usage(fmt.Errorf("--%s: %w", s.flag(), err), fmt.Sprintf("for example: --%s %s", s.flag(), s.example))
	}
	return usage(fmt.Errorf("%s: %w", s.variable, err), fmt.Sprintf("for example: export %s=%s", s.variable, s.example))
}

func (p *Program) duration(command *cobra.Command, s setting, fallback time.Duration) (time.Duration, error) {
	value := p.value(command, s)
	if value == "" || command.Flags().Lookup(s.flag()) == nil { // the command does not use it
		return fallback, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, s.malformed(command, fmt.Errorf("%q is not a duration", value))
	}
	if d == 0 && s.positive {
		return 0, s.malformed(command, errors.New("it is 0, which leaves no time for anything"))
	}
	return d, nil
}

func (p *Program) keep(command *cobra.Command) (int, error) {
	value := p.value(command, settingKeep)
	if value == "" {
		return host.DefaultKeep, nil
	}
	keep, err := strconv.Atoi(value)
	if err != nil || keep < 0 {
		return 0, settingKeep.malformed(command, fmt.Errorf("%q is not a number of revisions", value))
	}
	return keep, nil
}

// hostSettings are those of every command that acts on the host.
var hostSettings = []setting{settingRoot, settingNode, settingHookTimeout, settingCheckTimeout, settingLockWait}

// host returns the host that a command acts on. Of the bucket it asks nothing
// before it is needed.
func (p *Program) host(command *cobra.Command) (*host.Host, error) {
	root := p.value(command, settingRoot)
	if root == "" {
		return nil, settingRoot.missing()
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	h := &host.Host{
		Root: root, Node: p.node(command), Version: version(),
		Command: strings.Join(append([]string{"ftl"}, p.args...), " "), User: p.person(),
		DryRun: isSet(command, flagDryRun),
		Report: p.reporter(command), Warn: p.warn, HookOutput: p.hookOutput(command),
	}
	if p.bars != nil && !isSet(command, flagQuiet) && !isSet(command, flagJSON) {
		h.Progress = p.bars.update
	}
	if h.HookTimeout, err = p.duration(command, settingHookTimeout, host.DefaultHookTimeout); err != nil {
		return nil, err
	}
	if h.CheckTimeout, err = p.duration(command, settingCheckTimeout, host.DefaultCheckTimeout); err != nil {
		return nil, err
	}
	if h.LockWait, err = p.duration(command, settingLockWait, host.DefaultLockWait); err != nil {
		return nil, err
	}
	if h.LockWait == 0 {
		h.LockWait = 1 // of a Host, zero is the default; here it is not to wait
	}
	if h.Delay, err = p.duration(command, settingDelay, 0); err != nil {
		return nil, err
	}
	if p.value(command, settingBucket) != "" {
		h.Open = func(ctx context.Context) (store.Bucket, error) { return p.bucket(ctx, command) }
	}
	return h, nil
}

func (p *Program) bucket(ctx context.Context, command *cobra.Command) (store.Bucket, error) {
	location := p.value(command, settingBucket)
	if location == "" {
		return nil, settingBucket.missing()
	}
	bucket, err := store.Open(ctx, location, store.Options{Version: version(), Warn: p.warn})
	if _, ok := errors.AsType[*store.LocationError](err); ok {
		return nil, usage(fmt.Errorf("%s: %w", settingBucket.variable, err), "")
	}
	return bucket, err
}

func (p *Program) master(ctx context.Context, command *cobra.Command) (*master.Master, error) {
	bucket, err := p.bucket(ctx, command)
	if err != nil {
		return nil, err
	}
	return &master.Master{
		Bucket: bucket, By: p.by(command), DryRun: isSet(command, flagDryRun), Report: p.reporter(command), Warn: p.warn,
	}, nil
}

func (p *Program) node(command *cobra.Command) string {
	if node := p.value(command, settingNode); node != "" {
		return node
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// by names the person and the machine, for the bucket's records.
func (p *Program) by(command *cobra.Command) string { return account() + "@" + p.node(command) }

// account is the name of the user who runs this.
func account() string {
	if account, err := user.Current(); err == nil {
		return account.Username
	}
	return strconv.Itoa(os.Getuid())
}

// person names who runs this, for the host's records: a tree is changed as its
// owner, so whoever came by sudo is the one to ask.
func (p *Program) person() string {
	if name := p.Getenv("SUDO_USER"); name != "" {
		return name
	}
	return account()
}

// lineWriter lets several hooks write whole lines at once.
type lineWriter struct {
	mu  sync.Mutex
	out interface{ Write([]byte) (int, error) }
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(data)
}
