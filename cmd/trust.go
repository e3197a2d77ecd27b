package cmd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/strictmodes"
	"github.com/rhettg/ftl/ftl/trust"
	"github.com/rhettg/ftl/store"
)

// trustSettings are what a command takes from its flags and the environment about signatures.
type trustSettings struct {
	list     string // as it was given: a path, lines, or none
	given    bool   // also where it is empty
	bucketID string
	key      string // the path of the one to sign with; "" is none
	age      time.Duration
	prefetch bool

	// What comes of the list.
	signers *trust.Signers // nil where signatures are not looked at
	ended   bool
	sum     string
}

// noSigners in the place of a list says that signatures are not to be looked at any more.
const noSigners = "none"

var (
	settingAllowedSigners = setting{
		variable: "FTL_ALLOWED_SIGNERS", usage: "whose signatures count: a file as ssh-keygen has it, its lines, or none", fallback: "signatures are not looked at",
		example: "/etc/ftl/allowed_signers",
		set:     text(func(s *settings) *string { return &s.trust.list }),
	}
	settingBucketID = setting{
		variable: "FTL_BUCKET_ID", usage: "what the bucket is called in signatures", fallback: "NAME/PREFIX on AWS", example: "my-releases/production",
		set: func(s *settings, value string) error {
			s.trust.bucketID = value
			if value == "" {
				return nil
			}
			_, err := catalog.ParseIdentity(value)
			return err
		},
	}
	settingSignKey = setting{
		variable: "FTL_SIGN_KEY", usage: "the SSH key to sign with, or a .pub whose key an agent has", fallback: "none", example: "~/.ssh/id_ed25519",
		set: text(func(s *settings) *string { return &s.trust.key }),
	}
	settingMaxAge = setting{
		variable: "FTL_MAX_AGE", usage: "say so when nothing new was signed for this long", fallback: "never", example: "30d", side: onHost,
		set: func(s *settings, value string) (err error) { s.trust.age, err = parseDays(value); return err },
	}
	settingPrefetch = setting{
		variable: "FTL_PREFETCH", usage: "signed: fetch also what is signed and not blessed yet, and run its post-sync", fallback: "none", example: "signed", side: onHost,
		set: func(s *settings, value string) error {
			s.trust.prefetch = value == "signed"
			if value != "" && value != "signed" && value != noSigners {
				return fmt.Errorf("%q is neither signed nor none", value)
			}
			return nil
		},
	}
)

// verifying are the settings of commands that look at signatures, and signing those of commands
// that make some.
var (
	verifying = []setting{settingAllowedSigners, settingBucketID}
	signing   = append(verifying[:2:2], settingSignKey)
)

// parseDays reads a duration that may also be of days, such as 30d. "" is 0.
func parseDays(value string) (time.Duration, error) {
	days, inDays := strings.CutSuffix(value, "d")
	if !inDays {
		return parseDuration(value, 0)
	}
	d, err := time.ParseDuration(days + "h")
	if err != nil || d < 0 || d > 100*365*time.Hour {
		return 0, fmt.Errorf("%q is not a duration", value)
	}
	return d * 24, nil
}

// readTrust reads the list of signers. Nothing that is wrong with it is passed over: whoever has
// set it wants it.
func (p *Program) readTrust(s *settings) error {
	t := &s.trust
	switch {
	case !t.given && t.key != "" && s.usesKey():
		return usage(fmt.Errorf("%s is set, and %s is not: whoever signs looks first at what others have signed", settingSignKey.variable, settingAllowedSigners.variable),
			exampleOf(settingAllowedSigners.variable, settingAllowedSigners.example))
	case !t.given:
		return nil
	case t.list == noSigners:
		t.ended = true
		return nil
	}
	text := t.list
	if !strings.ContainsAny(t.list, " \t\n") {
		var err error
		if text, err = p.readSigners(t.list, s.root); err != nil {
			return err
		}
	}
	signers, err := trust.ParseSigners([]byte(text))
	if err != nil {
		return usage(fmt.Errorf("%s: %w", settingAllowedSigners.variable, err), "its lines are those of ALLOWED SIGNERS in ssh-keygen(1): ftl help trust")
	}
	t.signers, t.sum = &signers, fmt.Sprintf("%x %s", sha256.Sum256([]byte(text)), t.bucketID)
	return nil
}

// usesKey reports whether the command signs something.
func (s *settings) usesKey() bool { return s.signs && (s.onMaster || !s.hasSides) }

// readSigners reads a list that nobody else could have written.
func (p *Program) readSigners(path, root string) (string, error) {
	fail := func(err error, hint string) (string, error) {
		return "", usage(fmt.Errorf("%s: read %q: %w", settingAllowedSigners.variable, path, err), hint)
	}
	hint := "for example: export " + settingAllowedSigners.variable + "=" + settingAllowedSigners.example
	if path == "" {
		return "", usage(errors.New(settingAllowedSigners.variable+" is set to nothing; to look at no signatures it has to be "+noSigners), hint)
	}
	if inside(path, root) {
		return fail(errors.New("it lies below FTL_ROOT, where revisions could change it"), hint)
	}
	if err := strictmodes.Check(path); err != nil {
		if unsafe, ok := errors.AsType[*strictmodes.Error](err); ok {
			hint = unsafe.Remedy + " " + ftl.Quoted(unsafe.Path)
		}
		return fail(err, hint)
	}
	file, err := os.Open(path)
	if err != nil {
		return fail(err, hint)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err == nil {
		err = strictmodes.CheckInfo(path, info, false)
	}
	text, readErr := io.ReadAll(io.LimitReader(file, maxEnvFile+1))
	if err = errors.Join(err, readErr); err == nil && len(text) > maxEnvFile {
		err = fmt.Errorf("it is larger than %d KiB", maxEnvFile>>10)
	}
	if err != nil {
		return fail(err, hint)
	}
	return string(text), nil
}

// inside reports whether a path is below a directory, which may be "".
func inside(path, dir string) bool {
	if dir == "" {
		return false
	}
	real := func(path string) string {
		if path, err := filepath.EvalSymlinks(path); err == nil {
			return path
		}
		path, _ = filepath.Abs(path)
		return path
	}
	below, err := filepath.Rel(real(dir), real(path))
	return err == nil && filepath.IsLocal(below)
}

// trusting adds to a bucket whose signatures count in it.
func (p *Program) trusting(s settings, bucket store.Bucket) (*catalog.Catalog, error) {
	c := &catalog.Catalog{Bucket: bucket}
	if s.trust.signers == nil {
		return c, nil
	}
	identity, err := p.identity(s, bucket)
	if err != nil {
		return nil, err
	}
	if endpoint := store.Endpoint(bucket); isPlain(endpoint) && p.hasPerson() { // and not in the mails of cron
		p.warn("%s is not encrypted: whoever is on the way can keep news back, and tell a wrong time", endpoint)
	}
	c.Trust = &catalog.Trust{Signers: *s.trust.signers, Bucket: identity}
	return c, nil
}

// identity is what the bucket is called in signatures. A name alone says which bucket is meant only
// where all names are Amazon's.
func (p *Program) identity(s settings, bucket store.Bucket) (catalog.Identity, error) {
	name := s.trust.bucketID
	if name == "" {
		if store.Endpoint(bucket) != "" || strings.HasPrefix(s.bucket, "file:") {
			return catalog.Identity{}, usage(fmt.Errorf("%s is not set: signatures name the bucket, and no two may be called the same", settingBucketID.variable),
				exampleOf(settingBucketID.variable, settingBucketID.example))
		}
		name = strings.Trim(strings.TrimPrefix(s.bucket, "s3://"), "/")
	}
	identity, err := catalog.ParseIdentity(name)
	if err != nil {
		return catalog.Identity{}, settingBucketID.malformed(settingBucketID.variable, err)
	}
	return identity, nil
}

// isPlain reports whether what is sent to an endpoint can be changed on its way.
func isPlain(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// hostTrust is whom a host trusts.
func (s settings) hostTrust() host.Trust {
	t := host.Trust{Ended: s.trust.ended, Sum: s.trust.sum, Age: s.trust.age, Prefetch: s.trust.prefetch}
	if s.trust.signers != nil {
		t.List = &catalog.Trust{Signers: *s.trust.signers}
	}
	return t
}

// addSigning lets an operator's command read only what is signed, and sign what it writes.
func (p *Program) addSigning(m *master.Master, s settings) error {
	if m.Bucket.Trust == nil {
		return nil
	}
	told := make(map[string]bool)
	m.Bucket.Trust.Dropped = func(err error) {
		if !told[err.Error()] {
			told[err.Error()] = true
			p.warn("%v; it is left out", err)
		}
	}
	if s.trust.key == "" || !s.usesKey() {
		return nil
	}
	key, err := trust.OpenKey(trust.KeySource{Path: home(p, s.trust.key), Agent: p.Getenv("SSH_AUTH_SOCK"), Passphrase: p.passphrase()})
	if errors.Is(err, trust.ErrPassphrase) {
		return usage(fmt.Errorf("%s: %w", settingSignKey.variable, err), "load it into an agent with ssh-add, and name the .pub file")
	}
	if err != nil {
		return usage(fmt.Errorf("%s: %w", settingSignKey.variable, err), "")
	}
	p.atEnd = append(p.atEnd, key.Close)
	m.Signing = &catalog.Signing{Signer: announced{key, p}, Bucket: m.Bucket.Trust.Bucket}
	return nil
}

// home replaces the ~ with which a path may begin, as no shell has where it stands in a file.
func home(p *Program, path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && p.Getenv("HOME") != "" {
		return filepath.Join(p.Getenv("HOME"), rest)
	}
	return path
}

// announced says when a person has to do something for a signature.
type announced struct {
	*trust.Key
	p *Program
}

func (a announced) Sign(namespace string, message []byte) ([]byte, error) {
	if a.NeedsTouch() {
		a.p.say("touch your key, to sign for %s", namespace)
	}
	return a.Key.Sign(namespace, message)
}

// passphrase returns how a person is asked for one, nil where there is nobody.
func (p *Program) passphrase() func(path string) ([]byte, error) {
	if !p.hasPerson() {
		return nil
	}
	terminal, ok := p.Stdin.(*os.File)
	if !ok {
		return nil
	}
	return func(path string) ([]byte, error) {
		p.prompt("Passphrase of %s: ", path)
		defer p.endPrompt()
		return term.ReadPassword(int(terminal.Fd()))
	}
}

// requireTrust is for commands that make no sense without.
func (p *Program) requireTrust(s settings) error {
	if s.trust.signers == nil {
		return settingAllowedSigners.missing()
	}
	return nil
}

// requireKey is requireTrust, for commands that sign.
func (p *Program) requireKey(s settings) error {
	if s.trust.key == "" {
		return settingSignKey.missing()
	}
	return p.requireTrust(s)
}

// confirmSigning shows what would be signed, and asks.
func (p *Program) confirmSigning(yes bool) func(context.Context, catalog.Manifest) error {
	return func(ctx context.Context, manifest catalog.Manifest) error {
		p.say("%s: SHA-256 %x, %d bytes, spooled by %s at %s", manifest.Revision, manifest.SHA256, manifest.Size, orDash(manifest.By), ftl.Clock(manifest.At))
		if yes {
			return nil
		}
		if !p.hasPerson() {
			return usage(errors.New("there is nobody to ask whether that is to be signed"), "to sign it: ftl sign --yes "+manifest.Revision.String())
		}
		agreed, err := p.confirm(ctx, "Sign it?")
		if err == nil && !agreed {
			err = &ftl.Error{Kind: ftl.Refused, Err: errors.New("it was not signed")}
		}
		return err
	}
}
