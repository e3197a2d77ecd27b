// Package notify tells others what happens to a fleet, by an HTTP request that is signed as
// Standard Webhooks says.
//
// What holds at a moment follows from the bucket alone, so every server comes to the same events.
// Before one is sent, a conditional write claims it for some time, and after that it is noted as
// sent: so each is sent once, also by two servers, or again where it is not known whether it has
// arrived. What holds when a bucket is looked at for the first time is not news.
//
// Nothing depends on it. What can't be sent is tried again, with ever more time between, and then
// given up.
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/store"
)

// The objects of ours in the bucket.
const (
	prefix      = "_ftl/serve/notify/"
	baselineKey = prefix + "begun"
)

const (
	sendTime   = 15 * time.Second
	lease      = 2 * time.Minute // of a claim
	keptFor    = 7 * 24 * time.Hour
	sweepEvery = time.Hour
	maxNote    = 1 << 20 // bytes of an object of ours
)

// waits are those after each try that has failed, with about a day in all. Then an event is given
// up.
var waits = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

// Config is what a Notifier is made of. Bucket, URL and Secret are required.
type Config struct {
	Bucket *catalog.Catalog
	URL    string // to which events are sent; it may hold a secret
	Secret string // by which they are signed: "whsec_" and base64, or any other text
	Link   string // where the pages are, for people; "" for none
	Log    *slog.Logger
	Client *http.Client // nil: one that follows no redirects
}

// Notifier tells of events. It is for one goroutine.
type Notifier struct {
	Config
	host    string // of the URL, for the log
	key     []byte
	name    string               // of this server, among others
	begun   bool                 // the baseline is known
	settled map[string]bool      // events that need no look: sent, given up, or no news
	due     map[string]time.Time // when to look at an event again, by the bucket's clock
	swept   time.Time
}

// New returns a notifier.
func New(config Config) (*Notifier, error) {
	target, err := url.Parse(config.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return nil, errors.New("the URL for notifications is no http or https URL with a host") // which may be secret
	}
	if config.Secret == "" {
		return nil, errors.New("there is no secret to sign notifications with")
	}
	n := &Notifier{Config: config, host: target.Host, name: rand.Text(), settled: make(map[string]bool), due: make(map[string]time.Time)}
	n.key = []byte(config.Secret)
	if encoded, ok := strings.CutPrefix(config.Secret, "whsec_"); ok {
		if n.key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, errors.New("the secret for notifications begins with whsec_ and is not base64 after it")
		}
	}
	if n.Log == nil {
		n.Log = slog.New(slog.DiscardHandler)
	}
	if n.Client == nil {
		n.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return n, nil
}

// Tell sends what has happened and was not told yet, and returns after one try of each. An error
// says that the bucket could not be used; that a receiver does not answer is none.
func (n *Notifier) Tell(ctx context.Context, l Look) error {
	events := l.events()
	if !n.begun {
		if err := n.begin(ctx, l, events); err != nil {
			return fmt.Errorf("begin to notify: %w", err)
		}
	}
	news := slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return n.settled[e.ID()] })
	for _, e := range merged(news) {
		if n.settled[e.ID()] || l.Date.Before(n.due[e.ID()]) {
			continue
		}
		if err := n.tell(ctx, e, l.Date); err != nil {
			return fmt.Errorf("notify of %s: %w", e.Type, err)
		}
	}
	return n.sweep(ctx, l, events)
}

// A baseline is what held when a bucket was looked at first.
type baseline struct {
	At    time.Time `json:"at"`
	Known []string  `json:"known"` // IDs of events
}

// begin reads what is no news any more, and notes what holds where nobody has looked before.
func (n *Notifier) begin(ctx context.Context, l Look, events []Event) error {
	first := baseline{At: l.Date, Known: []string{}}
	for _, e := range events {
		first.Known = append(first.Known, e.ID())
	}
	_, err := n.put(ctx, baselineKey, first, store.PutOptions{IfAbsent: true})
	if errors.Is(err, store.ErrPrecondition) {
		_, err = n.get(ctx, baselineKey, &first)
	}
	if err != nil {
		return err
	}
	for _, id := range first.Known {
		n.settled[id] = true
	}
	if err := n.recall(ctx); err != nil {
		return err
	}
	n.begun = true
	return nil
}

// recall reads what was told before this server began.
func (n *Notifier) recall(ctx context.Context) error {
	listing, err := n.Bucket.List(ctx, store.ListOptions{Prefix: prefix})
	if err != nil {
		return err
	}
	for _, object := range listing.Objects {
		if object.Key == baselineKey {
			continue
		}
		var c claim
		if _, err := n.get(ctx, object.Key, &c); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if c.State != claimed {
			n.settle(strings.TrimPrefix(object.Key, prefix), c.Members)
		}
	}
	return nil
}

// settle notes that an event needs no look any more, nor those that it stands for.
func (n *Notifier) settle(id string, members []string) {
	n.settled[id] = true
	for _, member := range members {
		n.settled[member] = true
	}
}

// A claim is the note of an event.
type claim struct {
	By    string    `json:"by"`    // the server that has it
	Until time.Time `json:"until"` // then anybody may take it, by the bucket's clock
	Tries int       `json:"tries"`
	State string    `json:"state"` // claimed, sent or given up
	Event Event     `json:"event"`
	// Members are the IDs of the events that this one stands for.
	Members []string `json:"members,omitempty"`
}

const (
	claimed = "claimed"
	sent    = "sent"
	givenUp = "given up"
)

// tell claims an event, sends it, and notes what came of it.
func (n *Notifier) tell(ctx context.Context, e Event, now time.Time) error {
	c, etag, mine, err := n.claim(ctx, e, now)
	if err != nil || !mine {
		return err
	}
	e.Time, e.Data.Link = c.Event.Time, n.link(e)
	failed := n.send(ctx, e)
	switch {
	case failed == nil:
		c.State = sent
		n.Log.Info("notified", "type", string(e.Type), "id", e.ID())
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(failed, errGone) || c.Tries > len(waits):
		c.State = givenUp
		n.Log.Error("a notification is given up", "type", string(e.Type), "to", n.host, "error", failed.Error())
	default:
		c.Until = now.Add(waits[c.Tries-1])
		n.due[e.ID()] = c.Until
		n.Log.Warn("a notification can't be sent", "type", string(e.Type), "to", n.host, "error", failed.Error(), "tries", c.Tries)
	}
	if c.State != claimed {
		n.settle(e.ID(), c.Members)
	}
	_, err = n.put(ctx, keyOf(e.ID()), c, store.PutOptions{IfMatch: etag})
	if errors.Is(err, store.ErrPrecondition) { // our lease was over, and somebody else has it
		return nil
	}
	return err
}

func keyOf(id string) string { return prefix + id }

// claim takes an event for a time, and returns false where somebody else has it, or it is done
// with.
func (n *Notifier) claim(ctx context.Context, e Event, now time.Time) (c claim, etag string, mine bool, err error) {
	id := e.ID()
	c = claim{By: n.name, Until: now.Add(lease), Tries: 1, State: claimed, Event: e, Members: e.members}
	etag, err = n.put(ctx, keyOf(id), c, store.PutOptions{IfAbsent: true})
	if !errors.Is(err, store.ErrPrecondition) {
		return c, etag, err == nil, err
	}
	var theirs claim
	etag, err = n.get(ctx, keyOf(id), &theirs)
	switch {
	case errors.Is(err, fs.ErrNotExist): // it was swept away meanwhile; the next look sees
		return c, "", false, nil
	case err != nil:
		return c, "", false, err
	case theirs.State != claimed:
		n.settle(id, theirs.Members)
		return c, "", false, nil
	case now.Before(theirs.Until) && (theirs.By != n.name || theirs.Tries > 1 || !theirs.Until.Equal(c.Until)):
		n.due[id] = theirs.Until
		return c, "", false, nil
	case theirs.By == n.name && theirs.Tries == 1 && theirs.Until.Equal(c.Until): // the echo of our own write
		return c, etag, true, nil
	}
	c.Tries, c.Event = theirs.Tries+1, theirs.Event
	c.Event.key = e.key
	etag, err = n.put(ctx, keyOf(id), c, store.PutOptions{IfMatch: etag})
	if errors.Is(err, store.ErrPrecondition) {
		return c, "", false, nil
	}
	return c, etag, err == nil, err
}

func (n *Notifier) link(e Event) string {
	switch {
	case n.Link == "":
		return ""
	case e.Type == HostSilent && len(e.Data.Hosts) == 1:
		return n.Link + "/h/" + url.PathEscape(e.Data.Hosts[0])
	case e.Type == HostSilent:
		return n.Link + "/h?state=silent"
	}
	return n.Link + "/p/" + e.Data.Package.String() + "/" + strconv.FormatInt(e.Data.Serial, 10)
}

// errGone says that the receiver wants no more.
var errGone = errors.New("the receiver answers 410 Gone")

// send sends an event once. The error does not have the URL, which may be a secret.
func (n *Notifier) send(ctx context.Context, e Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the request can't be made")
	}
	n.sign(request.Header, e.ID(), time.Now(), body)
	response, err := n.Client.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	switch {
	case response.StatusCode == http.StatusGone:
		return errGone
	case response.StatusCode/100 != 2:
		return fmt.Errorf("the receiver answers %d", response.StatusCode)
	}
	return nil
}

// sign sets the headers of Standard Webhooks 1.0.0.
func (n *Notifier) sign(header http.Header, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, n.key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "ftl-serve")
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", stamp)
	header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// sweep removes the notes of events that hold no more and are a week old, once an hour.
func (n *Notifier) sweep(ctx context.Context, l Look, events []Event) error {
	if l.Date.Sub(n.swept) < sweepEvery {
		return nil
	}
	n.swept = l.Date
	holds := make(map[string]bool)
	for _, e := range events {
		holds[keyOf(e.ID())] = true
	}
	listing, err := n.Bucket.List(ctx, store.ListOptions{Prefix: prefix})
	if err != nil {
		return err
	}
	for _, object := range listing.Objects {
		if object.Key == baselineKey || holds[object.Key] || listing.Date.Sub(object.Modified) < keptFor {
			continue
		}
		if err := n.Bucket.Delete(ctx, object.Key); err != nil {
			return err
		}
		id := strings.TrimPrefix(object.Key, prefix)
		delete(n.settled, id)
		delete(n.due, id)
	}
	return nil
}

func (n *Notifier) put(ctx context.Context, key string, value any, opts store.PutOptions) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	opts.SHA256 = sha256.Sum256(text)
	object, err := n.Bucket.Put(ctx, key, bytes.NewReader(text), opts)
	return object.ETag, err
}

func (n *Notifier) get(ctx context.Context, key string, value any) (etag string, err error) {
	reader, object, err := n.Bucket.Get(ctx, key, store.GetOptions{})
	if err != nil {
		return "", err
	}
	defer reader.Close()
	text, err := io.ReadAll(io.LimitReader(reader, maxNote))
	if err == nil {
		err = json.Unmarshal(text, value)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return object.ETag, nil
}
