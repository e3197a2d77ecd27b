package access

import (
	"container/list"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// MaxLimited is how many addresses or tokens a Limiter remembers. Beyond it forgets the one that
// was not seen for the longest time.
const MaxLimited = 10_000

// The rates that are used.
const (
	FailuresPerMinute = 5  // of logins and proofs, for an address
	WebhooksPerMinute = 60 // for a token or a secret
)

// Limiter counts what happens for each of many keys, and says when it is too often. Its methods may
// be called from several goroutines at once.
type Limiter struct {
	perMinute int
	now       func() time.Time

	mu     sync.Mutex
	recent *list.List // of *limited, the latest first
	byKey  map[string]*list.Element
}

type limited struct {
	key string
	*rate.Limiter
}

// NewLimiter returns a limiter that allows so many a minute, all of them at once too.
func NewLimiter(perMinute int, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{perMinute: perMinute, now: now, recent: list.New(), byKey: make(map[string]*list.Element)}
}

// Allow counts one for a key. Where that is too many, it returns how long to wait, in whole
// seconds.
func (l *Limiter) Allow(key string) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	reservation := l.of(key).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return 0, true
	}
	reservation.CancelAt(now)
	return time.Duration(math.Ceil(wait.Seconds())) * time.Second, false
}

func (l *Limiter) of(key string) *rate.Limiter {
	if element, known := l.byKey[key]; known {
		l.recent.MoveToFront(element)
		return element.Value.(*limited).Limiter
	}
	if l.recent.Len() >= MaxLimited {
		oldest := l.recent.Remove(l.recent.Back()).(*limited)
		delete(l.byKey, oldest.key)
	}
	fresh := &limited{key, rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)}
	l.byKey[key] = l.recent.PushFront(fresh)
	return fresh.Limiter
}

// AddressKey is the key of an address. Of IPv6, the network counts that one customer has.
func AddressKey(address netip.Addr) string {
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}
