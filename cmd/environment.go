package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/store"
)

// host returns the host that a command acts on. It opens the bucket only when it needs it.
func (p *Program) host(s settings) (*host.Host, error) {
	if s.root == "" {
		return nil, settingRoot.missing()
	}
	root, err := filepath.Abs(s.root)
	if err != nil {
		return nil, err
	}
	h := &host.Host{
		Root: root, Node: s.node, Version: version(),
		Command: withoutUser(commandLine(p.args)), User: p.person(),
		Keep: s.keep, HookTimeout: s.hookTimeout, HookEnv: s.hookEnv, CheckTimeout: s.checkTimeout, LockWait: s.lockWait, Delay: s.delay,
		Membership: s.membership, Trust: s.hostTrust(),
		DryRun: s.dryRun,
		Report: p.reporter(), Warn: p.warn, HookOutput: p.hookOutput(),
	}
	h.Progress = p.progress()
	if h.Membership.ID == autoID {
		h.Membership.ID = ""
		h.Identify = func(ctx context.Context) (string, error) { return p.identify(ctx, s) }
	}
	if s.bucket != "" && s.checkBucket {
		h.Reach = func(ctx context.Context) error { return p.reach(ctx, s) }
	}
	if s.bucket != "" {
		h.Open = func(ctx context.Context) (*catalog.Catalog, error) { return p.bucket(ctx, s) }
	}
	return h, nil
}

// autoID stands for what the credentials call a host.
const autoID = "auto"

func (p *Program) identify(ctx context.Context, s settings) (string, error) {
	bucket, err := p.bucket(ctx, s)
	if err != nil {
		return "", err
	}
	identity, err := store.Identify(ctx, bucket.Bucket)
	return identity.ID, err
}

// reach asks whether a bucket answers, as somebody who has not talked to it before.
func (p *Program) reach(ctx context.Context, s settings) error {
	bucket, err := p.bucket(ctx, s)
	if err != nil {
		return err
	}
	_, _, err = bucket.Epoch(ctx, "")
	return err
}

// commandLine is a command as it could be typed again.
func commandLine(args []string) string {
	words := []string{"ftl"}
	for _, arg := range args {
		words = append(words, ftl.Quoted(arg))
	}
	return strings.Join(words, " ")
}

func (p *Program) bucket(ctx context.Context, s settings) (*catalog.Catalog, error) {
	if s.bucket == "" {
		return nil, settingBucket.missing()
	}
	bucket, err := store.Open(ctx, s.bucket, store.Options{Version: version(), Warn: p.warn})
	if _, ok := errors.AsType[*store.LocationError](err); ok {
		return nil, usage(fmt.Errorf("%s: %w", settingBucket.variable, err), "")
	}
	if faulty, ok := errors.AsType[*store.SettingError](err); ok {
		return nil, usage(err, exampleOf(faulty.Variable, faulty.Example))
	}
	if err != nil {
		return nil, err
	}
	return p.trusting(s, bucket)
}

func (p *Program) master(ctx context.Context, s settings) (*master.Master, error) {
	bucket, err := p.bucket(ctx, s)
	if err != nil {
		return nil, err
	}
	m := &master.Master{
		Bucket: bucket, By: account() + "@" + nodeName(s.node), Caller: caller(bucket), DryRun: s.dryRun, Report: p.reporter(),
		Warn: p.warn, Progress: p.progress(),
	}
	return m, p.addSigning(m, s)
}

// caller tells who the credentials of a bucket belong to, "" where nobody knows: a blessing does
// not depend on it. That is asked once.
func caller(bucket *catalog.Catalog) func(context.Context) string {
	var asked sync.Once
	var arn string
	return func(ctx context.Context) string {
		asked.Do(func() {
			identity, _ := store.Identify(ctx, bucket.Bucket)
			arn = identity.ARN
		})
		return arn
	}
}

// LookupEnv returns the value of a variable, and whether it is set.
func (p *Program) LookupEnv(name string) (string, bool) {
	for _, line := range slices.Backward(p.Environ) { // the last one holds
		if key, value, _ := strings.Cut(line, "="); key == name {
			return value, true
		}
	}
	return "", false
}

// Getenv returns the value of a variable, "" where it is not set.
func (p *Program) Getenv(name string) string {
	value, _ := p.LookupEnv(name)
	return value
}

// account is the name of the user who runs this.
func account() string {
	if account, err := user.Current(); err == nil {
		return account.Username
	}
	return strconv.Itoa(os.Getuid())
}

// person names who runs this, for the host's records: a tree is changed as its owner, so whoever
// came by sudo is the one to ask.
func (p *Program) person() string {
	if name := p.Getenv("SUDO_USER"); name != "" {
		return name
	}
	return account()
}
