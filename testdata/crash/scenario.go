package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// scenario is a command on a host, to be crashed at every point.
type scenario struct {
	name string
	// host brings bucket and host to where the command begins.
	host func(*stage) error
	// command is the one that is crashed, and again the one that recovers.
	command func(*stage) []string
	// opposite is the command of somebody who wants the opposite, where it is not
	// the way back. It depends on what list shows.
	opposite func(*host, facts) []string
	fails    string // the hook that fails
	gone     bool   // the command removes the package
	again    []int  // exit codes of the recovery, beside the undisturbed command's
	// stays is the revision, by its number, of which a file can't be deleted, 0 is none.
	stays int
	// passes is the revision, by its number, that is active for a while although
	// it is neither where the command begins nor where it ends.
	passes int
}

var scenarios = []scenario{
	{name: "first sync", host: (*stage).one, command: syncNow},
	{name: "first sync, blessed", host: steps((*stage).one, bless(1)), command: syncNow},
	{name: "first sync, whole archive", host: steps((*stage).whole, bless(1)), command: syncNow},
	{name: "upgrade", host: steps((*stage).running, (*stage).spool), command: syncNow},
	{name: "sync and blessing", host: steps((*stage).running, (*stage).spool, bless(2)), command: syncNow},
	{name: "signed blessing", host: steps((*stage).signed, (*stage).running, (*stage).spool, bless(2)), command: syncNow},
	{name: "nothing to sync", host: (*stage).running, command: syncNow},
	{name: "jump", host: steps((*stage).runningTwo, (*stage).spool, onHost("sync")), command: command("jump", 3)},
	{name: "jump that fetches", host: steps((*stage).running, (*stage).spool), command: command("jump", 2)},
	{name: "jump-back", host: (*stage).runningTwo, command: jumpBack, opposite: stay},
	{name: "remove", host: (*stage).runningThree, command: command("remove", 1), opposite: jumpToFirst, again: []int{notFound}},
	{name: "remove package", host: (*stage).runningTwo, command: removePackage, opposite: subscribe, gone: true, again: []int{notFound}},
	{name: "clean", host: (*stage).runningThree, command: clean, opposite: jumpToFirst},
	{name: "first sync, large file", host: steps((*stage).withLarge, (*stage).one, bless(1)), command: syncNow},
	{name: "recycle", host: steps((*stage).withLarge, (*stage).runningThree, purge(1), (*stage).spool), command: syncNow},
	{name: "purge and sync", host: steps((*stage).runningThree, purge(1)), command: syncNow, opposite: jumpToFirst},
	{name: "purge, sync and blessing", host: steps((*stage).runningThree, purge(1), (*stage).spool, bless(4)), command: syncNow},
	{name: "a file stays", host: steps((*stage).runningThree, purge(1), (*stage).spool, bless(4)), command: syncNow, stays: 1},
	{name: "a file stays at a removal", host: (*stage).runningThree, command: command("remove", 1), opposite: jumpToFirst, stays: 1, again: []int{0, notFound}},
	{name: "post-sync fails", host: steps((*stage).running, (*stage).spool, bless(2)), command: syncNow, fails: "post-sync"},
	{name: "pre-jump fails", host: steps((*stage).running, (*stage).spool, bless(2)), command: syncNow, fails: "pre-jump"},
	{name: "un-jump fails", host: steps((*stage).running, (*stage).spool, bless(2)), command: syncNow, fails: "un-jump", again: []int{0}},
	{name: "post-jump fails", host: steps((*stage).running, (*stage).spool, bless(2)), command: syncNow, fails: "post-jump"},
	{name: "check fails", host: steps((*stage).checked, (*stage).running, (*stage).spool, bless(2)), command: syncNow, fails: "check", passes: 2, again: []int{0, 3}},
	{name: "pre-remove fails", host: steps((*stage).runningThree, purge(1)), command: syncNow, fails: "pre-remove"},
}

func syncNow(*stage) []string       { return []string{"sync"} }
func jumpBack(*stage) []string      { return []string{"jump-back", pkg} }
func removePackage(*stage) []string { return []string{"remove", "--yes", pkg} }
func clean(*stage) []string         { return []string{"clean", pkg, "--keep", "0"} }

// command is a command on the nth revision that was spooled.
func command(name string, n int) func(*stage) []string {
	return func(s *stage) []string { return []string{name, s.revisions[n-1].name} }
}

const (
	pkg      = "site"
	notFound = 6
)

// stage is where a scenario is set up: a bucket, and a directory that each case
// gets a copy of. The host in it is FTL_ROOT, and beside it lies what no ftl may
// touch.
type stage struct {
	ctx       context.Context
	ftl       string
	dir       string
	revisions []spooled
	checks    bool   // the revisions have a check
	large     bool   // and a file that is fetched in pieces
	signers   string // whose signatures count; "" where they are not looked at
}

// spooled is a revision, with what was spooled.
type spooled struct {
	name   string
	source string
}

func (r spooled) id() string { return id(r.name) }

// id returns that of a revision's name.
func id(name string) string { return strings.TrimPrefix(name, pkg+".") }

func (s *stage) template() string { return filepath.Join(s.dir, "template") }
func (s *stage) bucket() string   { return filepath.Join(s.dir, "bucket") }

// prepare brings the scenario to where its command begins.
func (s *stage) prepare(host func(*stage) error) error {
	for _, dir := range []string{s.dir, s.bucket(), s.template(), s.template() + "/root", s.template() + "/root/" + pkg, s.template() + "/outside"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	secret := s.template() + "/outside/secret"
	if err := os.WriteFile(secret, []byte("of somebody else\n"), 0o640); err != nil {
		return err
	}
	if err := os.Chtimes(secret, longAgo, longAgo); err != nil {
		return err
	}
	return host(s)
}

var longAgo = time.Date(2014, 3, 1, 12, 0, 0, 0, time.UTC)

// environment is what ftl and the hooks see.
func (s *stage) environment(root, log, fails string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TMPDIR=" + s.dir, "FTL_NODE=crash", "FTL_ENV_FILE=none",
		"FTL_BUCKET=file://" + s.bucket(), "FTL_ROOT=" + root,
		"FTL_LOCK_WAIT=20s", "FTL_HOOK_TIMEOUT=20s", "FTL_CHECK_TIMEOUT=1s", // long enough for one try, too short for two
		"CRASH_LOG=" + log, "CRASH_FAIL=" + fails,
		"GOMAXPROCS=1", // the fewer threads, the more alike the runs
	}
	if s.signers != "" {
		env = append(env, "FTL_ALLOWED_SIGNERS="+s.signers, "FTL_BUCKET_ID=crash", "FTL_SIGN_KEY="+s.key())
	}
	return env
}

func (s *stage) key() string { return filepath.Join(s.dir, "key") }

// signed makes it so that what comes is signed, and the host requires that.
func (s *stage) signed() error {
	if _, err := output(s.ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.key()); err != nil {
		return err
	}
	public, err := os.ReadFile(s.key() + ".pub")
	s.signers = `ops namespaces="ftl-*" ` + strings.TrimSpace(string(public))
	return err
}

func (s *stage) do(args ...string) (string, error) {
	command := exec.CommandContext(s.ctx, s.ftl, args...)
	command.Env = s.environment(s.template()+"/root", os.DevNull, "")
	text, err := command.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("ftl %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return strings.TrimSpace(string(text)), err
}

func steps(all ...func(*stage) error) func(*stage) error {
	return func(s *stage) error {
		for _, step := range all {
			if err := step(s); err != nil {
				return err
			}
		}
		return nil
	}
}

func onHost(args ...string) func(*stage) error {
	return func(s *stage) error {
		_, err := s.do(args...)
		return err
	}
}

func onMaster(name string, n int) func(*stage) error {
	return func(s *stage) error {
		_, err := s.do(name, "--master", s.revisions[n-1].name)
		return err
	}
}

func bless(n int) func(*stage) error { return onMaster("jump", n) }
func purge(n int) func(*stage) error { return onMaster("purge", n) }

func (s *stage) one() error { return s.spool() }

// checked makes it so that the revisions to come have a check.
func (s *stage) checked() error {
	s.checks = true
	return nil
}

// withLarge gives the revisions to come a file that is fetched in pieces.
func (s *stage) withLarge() error {
	s.large = true
	return nil
}

// running has the first revision active on the host.
func (s *stage) running() error { return steps((*stage).one, bless(1), onHost("sync"))(s) }

// runningTwo has the second revision active, and the first one previous.
func (s *stage) runningTwo() error {
	return steps((*stage).running, (*stage).spool, bless(2), onHost("sync"))(s)
}

// runningThree has a first revision that is neither active nor previous.
func (s *stage) runningThree() error {
	return steps((*stage).runningTwo, (*stage).spool, bless(3), onHost("sync"))(s)
}

// spool spools one more revision.
func (s *stage) spool() error { return s.spoolSource() }

// whole spools a revision that is fetched as a whole.
func (s *stage) whole() error {
	source, err := s.source()
	if err != nil {
		return err
	}
	archive := filepath.Join(s.dir, pkg+".tgz")
	if _, err := output(s.ctx, "tar", "-czf", archive, "-C", source, "."); err != nil {
		return err
	}
	return s.upload(source, archive, "--as-is")
}

func (s *stage) spoolSource() error {
	source, err := s.source()
	if err != nil {
		return err
	}
	return s.upload(source, source)
}

func (s *stage) upload(source string, args ...string) error {
	name, err := s.do(append([]string{"spool"}, args...)...)
	s.revisions = append(s.revisions, spooled{name, source})
	return err
}

// hook is each hook of each revision: it notes when it begins and how it ends.
// What post-sync makes is a part of the revision, which nobody else syncs. Only
// the first revision's check never fails.
const hook = `#!/bin/sh
echo "begin $FTL_HOOK $FTL_REVISION" >>"$CRASH_LOG"
case $FTL_HOOK in
post-sync)
	echo "made for $FTL_REVISION, as a part of it" >made
	mkdir -p venv
	echo "$FTL_REVISION" >"venv/$FTL_REVISION"
	echo "$FTL_REVISION" >"lib/of $FTL_REVISION" ;;
post-jump) [ "$FTL_CURRENT" -ef . ] || echo "astray $FTL_HOOK $FTL_REVISION" >>"$CRASH_LOG" ;;
esac
echo "end $FTL_HOOK $FTL_REVISION" >>"$CRASH_LOG"
read -r version <version
case $FTL_HOOK,$version in
check,"this is 1") ;;
"$CRASH_FAIL",*) exit 1 ;;
esac
`

// source makes the tree of the next revision: small, with all that a tree can
// have, and with most of it the same in each revision.
func (s *stage) source() (string, error) {
	n := len(s.revisions) + 1
	dir := filepath.Join(s.dir, fmt.Sprint(n), pkg)
	files := map[string]string{
		"version":       fmt.Sprintf("this is %d\n", n),
		"lib/same":      strings.Repeat("the same in each revision\n", 400),
		"lib/deep/mode": "readable by few\n",
		"empty":         "",
	}
	if s.checks {
		files["ftl/check"] = hook
	}
	if s.large {
		noise := make([]byte, 1300<<10)
		rand.NewChaCha8([32]byte{byte(n)}).Read(noise)
		files["lib/large"] = string(noise)
	}
	for _, name := range hookNames {
		files["ftl/"+name] = hook
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			return "", err
		}
		if err := os.Chtimes(path, longAgo, longAgo); err != nil {
			return "", err
		}
	}
	return dir, errors.Join(
		os.Chmod(dir+"/lib/deep/mode", 0o640),
		os.Chmod(dir+"/lib/deep", 0o750),
		os.Link(dir+"/lib/same", dir+"/lib/twice"),
		os.Symlink("version", dir+"/link"),
		os.Symlink("../../../../outside/secret", dir+"/out"),
	)
}

var hookNames = []string{"post-sync", "pre-jump", "un-jump", "post-jump", "pre-remove"}
