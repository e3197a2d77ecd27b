package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/rhettg/ftl/revision"
)

// Place is where a host stands in the order of a rollout. It depends on the revision and the host
// alone: the same hosts come first when a revision is tried again, and others for the next one.
type Place uint64

// Last is the end of the order.
const Last Place = math.MaxUint64

// PlaceOf returns the place of a host in the rollouts of a revision: the first eight bytes, the
// most significant first, of the SHA-256 of "ftl rollout", the package, the id and the host, with a
// zero byte between them.
func PlaceOf(r revision.Revision, host string) Place {
	text := make([]byte, 0, 128)
	for i, word := range [...]string{"ftl rollout", r.Package().String(), r.String(), host} {
		if i > 0 {
			text = append(text, 0)
		}
		text = append(text, word...)
	}
	sum := sha256.Sum256(text)
	return Place(binary.BigEndian.Uint64(sum[:]))
}

// String returns the place as 16 hexadecimal digits.
func (p Place) String() string { return fmt.Sprintf("%016x", uint64(p)) }

// parsePlace returns the place that String gives.
func parsePlace(text string) (Place, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 {
		return 0, fmt.Errorf("%q is not a place: want 16 hexadecimal digits", text)
	}
	return Place(n), nil
}

// place returns where a host stands in this rollout.
func (p *Plan) place(host string) Place {
	if slices.Contains(p.First, host) {
		return 0
	}
	return PlaceOf(p.Revision, host)
}

// wave returns the wave that a place belongs to, and false where the waves end before it.
func (p *Plan) wave(place Place) (int, bool) {
	for k := range p.Waves {
		if place <= p.Waves[k].To {
			return k, true
		}
	}
	return p.last(), false
}

// WaveOf returns the wave that a host belongs to by its place, from 0, and false where the waves
// end before it.
func (p *Plan) WaveOf(host string) (int, bool) { return p.wave(p.place(host)) }

// turn returns when a host of this place may begin in a wave that opened at a time: the hosts of a
// wave are spread over it in the order of their places.
func (p *Plan) turn(wave int, place Place, opened time.Time) time.Time {
	lower, upper := p.lower(wave), p.Waves[wave].To
	if place <= lower || upper <= lower {
		return opened
	}
	part := float64(min(place, upper)-lower) / float64(upper-lower)
	return opened.Add(time.Duration(part * float64(p.Waves[wave].Over)))
}

// widened returns the last place that may join a wave at a time, when hosts of its own don't show
// up: the longer it waits, the more hosts may take their place. The last wave has nobody to be
// replaced by.
func (p *Plan) widened(wave int, opened, at time.Time) Place {
	w := p.Waves[wave]
	if wave == p.last() || opened.IsZero() || p.Patience <= 0 {
		return w.To
	}
	steps := at.Sub(opened.Add(w.Over)) / p.Patience
	if steps < 1 {
		return w.To
	}
	more := uint64(1)<<min(steps, 32) - 1
	more *= uint64(max(2, p.size(wave)/10))
	return w.To.plus(more, uint64(p.Size))
}

// plus returns the place that part/of of the whole order further on has.
func (p Place) plus(part, of uint64) Place {
	if part >= of {
		return Last
	}
	high, low := bits.Mul64(part, math.MaxUint64)
	step, _ := bits.Div64(high, low, of)
	sum, carry := bits.Add64(uint64(p), step, 0)
	if carry != 0 {
		return Last
	}
	return Place(sum)
}
