package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/durable"
)

// environmentID is the id of the token that the environment has.
const environmentID = "environment"

// Options are what a Guard goes by.
type Options struct {
	Dir   string // of the file of grants and the key of the cookies; "" for none, so that there are no grants
	Later bool   // the directory need not be there yet: until it is, there are no grants
	Token string // an admin's, for as long as serve runs; "" for none
	Proxy Proxy
	Base  string // the path below which serve is, such as "/ftl"; "" for none
	Now   func() time.Time
	Warn  func(format string, args ...any) // nil: nobody listens
}

// Guard says who a request is of. Its methods may be called from several goroutines at once.
type Guard struct {
	opts        Options
	file        *File // nil: no grants
	key         []byte
	environment digest // of the token of the environment

	mu     sync.Mutex
	stamp  stamp
	grants []kept
	broken error // why the file can't be read
	used   map[string]time.Time
}

// Open makes a guard. It refuses secrets that are none, and a file that can't be read.
func Open(opts Options) (*Guard, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if err := opts.Proxy.Validate(); err != nil {
		return nil, err
	}
	g := &Guard{opts: opts, used: make(map[string]time.Time)}
	if opts.Token != "" {
		if err := CheckSecret(opts.Token); err != nil {
			return nil, ftl.Errorf(ftl.Refused, "one that will do: ftl token add LABEL --role admin", "FTL_SERVE_TOKEN: %w", err)
		}
		g.environment = digestOf(opts.Token)
	}
	g.key = make([]byte, keyLength)
	rand.Read(g.key) // never fails
	if _, err := g.live(); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// open opens the directory, unless it may come later and is not there.
func (g *Guard) open() error {
	if g.file != nil || g.opts.Dir == "" {
		return nil
	}
	if _, err := os.Stat(g.opts.Dir); g.opts.Later && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	file, err := OpenFile(g.opts.Dir)
	if err != nil {
		return err
	}
	key, err := file.cookieKey()
	if err != nil {
		file.Close()
		return err
	}
	g.file, g.key = file, key
	return nil
}

// Close writes down which grants were used, and gives the directory back.
func (g *Guard) Close() error {
	if g.file == nil {
		return nil
	}
	return g.file.Close()
}

const keyLength = 32

// cookieKey returns the key that signs cookies, and makes it at first.
func (f *File) cookieKey() ([]byte, error) {
	key, _, err := f.readSecret(keyName)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keyLength)
		rand.Read(key) // never fails
		return key, durable.WriteFile(f.dir, keyName, key, 0o600)
	}
	if err == nil && len(key) != keyLength {
		return nil, ftl.Errorf(ftl.Refused, "rm "+ftl.Quoted(f.pathOf(keyName))+" ends all sessions, and makes a new one", "%s is no key: %d bytes, not %d", f.pathOf(keyName), len(key), keyLength)
	}
	return key, err
}

// live returns the grants that are good now. The file is read again where it has changed.
func (g *Guard) live() ([]kept, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.open(); err != nil {
		return nil, err
	}
	if g.file != nil {
		g.refresh()
	}
	if g.broken != nil {
		return nil, g.broken
	}
	now := g.opts.Now()
	var live []kept
	for _, k := range g.grants {
		if k.Live(now) {
			live = append(live, k)
		}
	}
	return live, nil
}

func (g *Guard) refresh() {
	now, err := g.file.stamp()
	if err != nil {
		g.broken = err
		return
	}
	if g.broken == nil && now == g.stamp {
		return
	}
	all, read, err := g.file.read()
	if err == nil {
		err = all.check()
	}
	g.grants, g.stamp, g.broken = all.Grants, read, err
}

// check refuses grants that could let in somebody who was not given one.
func (all contents) check() error {
	for _, k := range all.Grants {
		err := checkPackages(k.Role, k.Packages)
		switch {
		case err != nil:
		case k.ID == environmentID || k.ID == "":
			err = fmt.Errorf("%q is no id", k.ID)
		case k.Kind == Token && k.SHA256 == nil:
			err = errors.New("it has no SHA-256")
		case k.Kind == Webhook && k.Revoked.IsZero():
			err = CheckSecret(k.Secret)
		}
		if err != nil {
			return ftl.Errorf(ftl.Refused, "ftl token revoke "+ftl.Quoted(k.ID), "the %s %s: %w", k.Kind, k.Label, err)
		}
	}
	return nil
}

// HasGrants reports whether anybody can do more than nobody in particular.
func (g *Guard) HasGrants() (bool, error) {
	live, err := g.live()
	return len(live) > 0 || g.opts.Token != "", err
}

// Grants returns what was given to whom, without anything secret.
func (g *Guard) Grants() ([]Grant, error) {
	if _, err := g.live(); err != nil || g.file == nil {
		return nil, err
	}
	return g.file.Grants()
}

// Token returns whose token this is. The error is ErrUnknown where it is nobody's; any other says
// that it could not be told.
func (g *Guard) Token(text string) (Who, error) {
	live, err := g.live()
	if err != nil {
		return Who{}, err
	}
	sum := digestOf(text)
	if g.opts.Token != "" && g.environment.equal(sum) {
		return g.fromEnvironment(), nil
	}
	id, _ := tokenID(text)
	// One is always compared, so that how long this takes does not tell whether there is such an
	// id.
	grant := kept{SHA256: new(digest)}
	for _, k := range live {
		if k.Kind == Token && k.ID == id {
			grant = k
		}
	}
	if !grant.SHA256.equal(sum) || grant.ID == "" {
		return Who{}, ErrUnknown
	}
	g.Used(grant.ID)
	return grant.who(), nil
}

func (g *Guard) fromEnvironment() Who {
	return Who{Name: environmentID, Kind: Token, ID: environmentID, Role: Admin}
}

// Bearer returns who sends a request by its Authorization header, and false where it has none.
func (g *Guard) Bearer(r *http.Request) (Who, bool, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return Who{}, false, nil
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return Who{}, true, ErrUnknown
	}
	who, err := g.Token(strings.TrimSpace(text))
	return who, true, err
}

// A WebhookSecret is what a webhook may be signed with.
type WebhookSecret struct {
	Who
	Secret string // of the form "whsec_" and base64
}

// WebhookSecrets returns those that are good now.
func (g *Guard) WebhookSecrets() ([]WebhookSecret, error) {
	live, err := g.live()
	var secrets []WebhookSecret
	for _, k := range live {
		if k.Kind == Webhook {
			secrets = append(secrets, WebhookSecret{k.who(), k.Secret})
		}
	}
	return secrets, err
}

// usedEvery is how often it is written down that a grant was used.
const usedEvery = time.Hour

// Used notes that a grant was used. That it can't be written down keeps nobody out.
func (g *Guard) Used(id string) {
	now := g.opts.Now()
	g.mu.Lock()
	due := g.file != nil && now.Sub(g.used[id]) >= usedEvery
	if due {
		g.used[id] = now
	}
	g.mu.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := g.file.change(ctx, now, func(all *contents) error {
		for i, k := range all.Grants {
			if k.ID == id && now.Sub(k.Used.Time) >= usedEvery {
				all.Grants[i].Used = ftl.At(now)
			}
		}
		return nil
	})
	if err != nil && g.opts.Warn != nil {
		g.opts.Warn("note that %s was used: %v", id, err)
	}
}
