package cmd

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/hooks"
)

// settings are what a command takes from its flags and the environment. They are parsed once,
// before the command runs, and hold defaults where nothing is set.
type settings struct {
	bucket  string // "" where none is set
	root    string // "" where none is set
	node    string
	keep    int
	splay   time.Duration
	delay   time.Duration
	metrics string

	hookTimeout  time.Duration
	hookEnv      hooks.Inheritance
	checkTimeout time.Duration
	lockWait     time.Duration

	membership  host.Membership
	checkBucket bool

	waves []rollout.Step // of FTL_ROLLOUT

	serveState string // the directory of ftl serve
	notify     string // whom it tells what happens

	trust    trustSettings
	signs    bool     // the command can sign
	hasSides bool     // the command has the flag --master
	serveURL *url.URL // nil for none

	every    time.Duration // --every; 0 is once
	onMaster bool          // --master
	dryRun   bool          // --dry-run
}

// A setting is an environment variable and the flag of the same name, which wins.
type setting struct {
	variable string
	usage    string
	fallback string        // the default, for people
	initial  func() string // the default as it is here, where it differs from machine to machine
	example  string
	side     side // where a command uses it, "" for both

	// set parses a value. "" stands for the default.
	set func(*settings, string) error
}

var (
	settingBucket = setting{
		variable: "FTL_BUCKET", usage: "the bucket: name, s3://name[/prefix] or file:///dir", example: "s3://my-releases",
		set: text(func(s *settings) *string { return &s.bucket }),
	}
	settingRoot = setting{
		variable: "FTL_ROOT", usage: "the host's tree", example: "/srv/ftl", side: onHost,
		set: parseRoot,
	}
	settingNode = setting{
		variable: "FTL_NODE", usage: "this host's name", fallback: "the host name", example: "web1",
		initial: func() string { return nodeName("") },
		set:     func(s *settings, value string) error { s.node = nodeName(value); return nil },
	}
	settingKeep = setting{
		variable: "FTL_KEEP", usage: "how many of the newest revisions to keep", fallback: "5", example: "5",
		set: func(s *settings, value string) (err error) { s.keep, err = parseKeep(value); return err },
	}
	settingSplay = setting{
		variable: "FTL_SPLAY", usage: "wait up to this long first, always the same on a node", fallback: "0", example: "50s", side: onHost,
		set: duration(func(s *settings) *time.Duration { return &s.splay }, 0),
	}
	settingDelay = setting{
		variable: "FTL_DELAY", usage: "act on a blessing only when it is this old, by the bucket's clock", fallback: "0", example: "2h", side: onHost,
		set: duration(func(s *settings) *time.Duration { return &s.delay }, 0),
	}
	settingMetrics = setting{
		variable: "FTL_METRICS", usage: "a file for Prometheus, written at the end", fallback: "none", side: onHost,
		example: "/var/lib/prometheus/node-exporter/ftl.prom",
		set:     text(func(s *settings) *string { return &s.metrics }),
	}
	settingHookTimeout = setting{
		variable: "FTL_HOOK_TIMEOUT", usage: "how long a hook may take", fallback: "10m", example: "10m", side: onHost,
		set: positive(func(s *settings) *time.Duration { return &s.hookTimeout }, host.DefaultHookTimeout),
	}
	settingCheckTimeout = setting{
		variable: "FTL_CHECK_TIMEOUT", usage: "how long a revision has to pass its check", fallback: "60s", example: "60s", side: onHost,
		set: positive(func(s *settings) *time.Duration { return &s.checkTimeout }, host.DefaultCheckTimeout),
	}
	settingCheckBucket = setting{
		variable: "FTL_CHECK_BUCKET", usage: "yes: a jump after which the bucket answers no more is a failed check", fallback: "no", example: "yes", side: onHost,
		set: func(s *settings, value string) (err error) { s.checkBucket, err = parseYesNo(value); return err },
	}
	settingHookEnv = setting{
		variable: "FTL_HOOK_ENV", usage: "secret variables that hooks get all the same: NAME,NAME; with only:NAME,NAME they get no others",
		fallback: "none", example: "AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY", side: onHost,
		set: func(s *settings, value string) (err error) {
			s.hookEnv, err = hooks.ParseInheritance(value)
			return err
		},
	}
	settingLockWait = setting{
		variable: "FTL_LOCK_WAIT", usage: "how long to wait for another ftl", fallback: "30s", example: "30s", side: onHost,
		set: func(s *settings, value string) (err error) { s.lockWait, err = parseLockWait(value); return err },
	}
)

// fleetSettings are what a host tells the fleet of itself.
var fleetSettings = []setting{
	{
		variable: "FTL_LABELS", usage: "labels by which hosts are told apart: name=value,name=value", fallback: "none", example: "zone=a,role=web", side: onHost,
		set: func(s *settings, value string) (err error) { s.membership.Labels, err = parseLabels(value); return err },
	},
	{
		variable: "FTL_REPORT", usage: "what leaves the host of what a failed hook printed: line, full or none", fallback: "line", example: "none", side: onHost,
		set: func(s *settings, value string) (err error) { s.membership.Detail, err = parseDetail(value); return err },
	},
	{
		variable: "FTL_HEARTBEAT", usage: "how often this host reports at least; 0 is never", fallback: "1h", example: "15m", side: onHost,
		set: func(s *settings, value string) (err error) {
			s.membership.Heartbeat, err = parseHeartbeat(value)
			return err
		},
	},
}

// placeSettings are by which a host knows its place in rollouts.
var placeSettings = []setting{
	{
		variable: "FTL_HOST_ID", usage: "this host's name in the keys of the bucket; auto: as its credentials are called on AWS", fallback: "FTL_NODE", example: "auto", side: onHost,
		set: func(s *settings, value string) error { s.membership.ID = value; return nil },
	},
	{
		variable: "FTL_CANARY", usage: "this host's place in rollouts: always offers to come first, never comes last", fallback: "none", example: "never", side: onHost,
		set: func(s *settings, value string) (err error) { s.membership.Canary, err = parseCanary(value); return err },
	},
}

// hostSettings are those of every command that acts on the host.
var hostSettings = []setting{
	settingRoot, settingNode, settingHookTimeout, settingHookEnv, settingCheckTimeout, settingLockWait, settingAllowedSigners, settingBucketID,
}

func (s setting) flag() string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.variable, "FTL_")), "_", "-")
}

// addSettings gives a command the flags of its settings, and lets them be read before it runs.
func (p *Program) addSettings(command *cobra.Command, s *settings, declared ...setting) {
	for _, d := range declared {
		command.Flags().String(d.flag(), "", d.help())
		if !slices.ContainsFunc(p.declared, func(known setting) bool { return known.variable == d.variable }) {
			p.declared = append(p.declared, d)
		}
	}
	command.PreRunE = func(command *cobra.Command, _ []string) error {
		if err := checkSides(command, s.onMaster); err != nil {
			return err
		}
		return p.read(s, command.Flags(), declared...)
	}
}

// addMaster gives a command the flag --master, with what it means there.
func addMaster(command *cobra.Command, s *settings, usage string) {
	command.Flags().BoolVar(&s.onMaster, flagMaster, false, usage)
}

// addDryRun gives a command the flag --dry-run.
func addDryRun(command *cobra.Command, s *settings) {
	command.Flags().BoolVar(&s.dryRun, flagDryRun, false, "only print what would be done")
}

const (
	flagMaster = "master"
	flagDryRun = "dry-run"
)

// A side is where a command acts, if it has the flag --master.
type side string

const (
	onHost   side = "host"
	onMaster side = "master"
)

// sideOf is the annotation of a flag that means something on one side only.
const sideOf = "side"

// only says on which side some flags of a command mean something.
func only(command *cobra.Command, where side, flags ...string) {
	for _, name := range flags {
		command.Flags().Lookup(name).Annotations = map[string][]string{sideOf: {string(where)}}
	}
}

// checkSides refuses flags that mean nothing without --master, or with it.
func checkSides(command *cobra.Command, withMaster bool) (err error) {
	command.Flags().Visit(func(flag *pflag.Flag) {
		where, hint := flag.Annotations[sideOf], command.CommandPath()+" --help"
		switch {
		case len(where) == 0:
		case where[0] == string(onMaster) && !withMaster:
			err = usage(errors.New("--"+flag.Name+" needs --master"), hint)
		case where[0] == string(onHost) && withMaster:
			err = usage(errors.New("--"+flag.Name+" does not go with --master"), hint)
		}
	})
	return err
}

// read parses the settings that a command uses: of each the flag's value, else the variable's, else
// the default.
func (p *Program) read(s *settings, flags *pflag.FlagSet, declared ...setting) error {
	for _, d := range declared {
		if s.onMaster && d.side == onHost {
			continue
		}
		value, from := p.lookup(flags, d)
		if err := d.set(s, value); err != nil {
			return d.malformed(p.shown(d, from), err)
		}
		switch d.variable {
		case settingAllowedSigners.variable:
			_, set := p.LookupEnv(d.variable)
			s.trust.given = from == fromFlag || set
		case settingSignKey.variable:
			s.signs = true
		}
	}
	s.hasSides = flags.Lookup(flagMaster) != nil
	return p.readTrust(s)
}

// lookup returns the value of a setting as it was written, "" for the default.
func (p *Program) lookup(flags *pflag.FlagSet, d setting) (string, source) {
	if flag := flags.Lookup(d.flag()); flag != nil && flag.Changed {
		return flag.Value.String(), fromFlag
	}
	return p.Getenv(d.variable), p.sourceOf(d.variable)
}

// sourceOf tells where the value of a variable comes from.
func (p *Program) sourceOf(variable string) source {
	switch {
	case p.Getenv(variable) == "":
		return fromDefault
	case p.fromFile[variable]:
		return fromFile
	}
	return fromEnvironment
}

// shown is how a setting is called where its value comes from.
func (p *Program) shown(d setting, from source) string {
	switch from {
	case fromFlag:
		return "--" + d.flag()
	case fromFile:
		return d.variable + " in " + p.envPath
	}
	return d.variable
}

// malformed names the flag or the variable, whichever has the value.
func (s setting) malformed(shown string, err error) error {
	example := "export " + s.variable + "=" + s.example
	if strings.HasPrefix(shown, "-") {
		example = shown + " " + s.example
	}
	return usage(fmt.Errorf("%s: %w", shown, err), "for example: "+example)
}

// help is the usage of the flag.
func (s setting) help() string {
	text := s.usage
	if s.fallback != "" {
		text += " (" + s.fallback + ")"
	}
	return text + "; default $" + s.variable
}

func (s setting) missing() error {
	return usage(fmt.Errorf("%s is not set", s.variable), exampleOf(s.variable, s.example))
}

// exampleOf shows how a variable is set, if there is an example.
func exampleOf(variable, value string) string {
	if value == "" {
		return ""
	}
	return "for example: export " + variable + "=" + value
}

// text returns the parser of a setting that is taken as it is.
func text(field func(*settings) *string) func(*settings, string) error {
	return func(s *settings, value string) error {
		*field(s) = value
		return nil
	}
}

// parseRoot refuses the root of the file system, however it is called: each of its directories
// would be a package.
func parseRoot(s *settings, value string) error {
	s.root = value
	if real, err := filepath.EvalSymlinks(value); err == nil && real == "/" {
		return fmt.Errorf("%s is the root of the file system, of which every directory would be a package", value)
	}
	return nil
}

// duration returns the parser of a duration that is not negative.
func duration(field func(*settings) *time.Duration, fallback time.Duration) func(*settings, string) error {
	return func(s *settings, value string) (err error) {
		*field(s), err = parseDuration(value, fallback)
		return err
	}
}

// positive returns the parser of a duration of which zero makes no sense.
func positive(field func(*settings) *time.Duration, fallback time.Duration) func(*settings, string) error {
	return func(s *settings, value string) (err error) {
		*field(s), err = parseDuration(value, fallback)
		if err == nil && *field(s) == 0 {
			err = errors.New("it is 0, which leaves no time for anything")
		}
		return err
	}
}

func parseDuration(value string, fallback time.Duration) (time.Duration, error) {
	if value == "" {
		return fallback, nil
	}
	d, err := time.ParseDuration(value)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration", value)
	case d < 0:
		return 0, fmt.Errorf("%q is negative", value)
	}
	return d, nil
}

// parseLockWait returns the shortest of all waits for 0, as that is a Host's default.
func parseLockWait(value string) (time.Duration, error) {
	wait, err := parseDuration(value, host.DefaultLockWait)
	if wait == 0 {
		wait = 1
	}
	return wait, err
}

func parseKeep(value string) (int, error) {
	if value == "" {
		return host.DefaultKeep, nil
	}
	keep, err := strconv.Atoi(value)
	if err != nil || keep < 0 {
		return 0, fmt.Errorf("%q is not a number of revisions", value)
	}
	return keep, nil
}

// nodeName returns the name that is set, else the machine's.
func nodeName(value string) string {
	if value != "" {
		return value
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// parseLabels reads name=value,name=value.
func parseLabels(value string) (map[string]string, error) {
	if value == "" {
		return nil, nil
	}
	labels := make(map[string]string)
	for pair := range strings.SplitSeq(value, ",") {
		name, content, ok := strings.Cut(pair, "=")
		if _, twice := labels[name]; !ok || name == "" || twice {
			return nil, fmt.Errorf("%q is not a label, such as zone=a, or is there twice", pair)
		}
		labels[name] = content
	}
	return labels, nil
}

func parseDetail(value string) (host.Detail, error) {
	switch detail := host.Detail(value); detail {
	case "":
		return host.DetailLine, nil
	case host.DetailLine, host.DetailFull, host.DetailNone:
		return detail, nil
	}
	return "", fmt.Errorf("%q is none of line, full and none", value)
}

// parseHeartbeat returns a negative duration for 0, which is never.
func parseHeartbeat(value string) (time.Duration, error) {
	heartbeat, err := parseDuration(value, host.DefaultHeartbeat)
	if heartbeat == 0 {
		heartbeat = -1
	}
	return heartbeat, err
}

func parseYesNo(value string) (bool, error) {
	switch value {
	case "", "no":
		return false, nil
	case "yes":
		return true, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", value)
}

func parseCanary(value string) (string, error) {
	switch value {
	case "", "always", "never":
		return value, nil
	}
	return "", fmt.Errorf("%q is neither always nor never", value)
}
