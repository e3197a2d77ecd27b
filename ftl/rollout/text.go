package rollout

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A plan as a line of words, for an entry of a marker:
//
//	1 n=40 w=0417c0…/1/1/1/10m w=*/40/24/1/10m/2m verdict=31m patience=15m first=web-1,web-2 limited at-once=2 lease=52m back
//
// The first word is the version. Each w is a wave: its last place, up to how many hosts, need,
// halt, soak and, if there is one, over. A reader refuses what it does not know, as it would follow
// another plan than the one that is meant.

const textVersion = "1"

// String returns the plan in words, without the revision and the time it was opened, which the
// entry tells.
func (p *Plan) String() string {
	words := []string{textVersion, "n=" + strconv.Itoa(p.Size)}
	for _, w := range p.Waves {
		words = append(words, "w="+w.String())
	}
	words = append(words, "verdict="+duration(p.Verdict), "patience="+duration(p.Patience))
	if len(p.First) > 0 {
		words = append(words, "first="+strings.Join(p.First, ","))
	}
	for k, w := range p.Waves {
		if len(w.Hosts) > 0 {
			words = append(words, fmt.Sprintf("hosts=%d:%s", k, strings.Join(w.Hosts, ",")))
		}
	}
	if p.Limited {
		words = append(words, "limited")
	}
	if p.AtOnce > 0 {
		words = append(words, "at-once="+strconv.Itoa(p.AtOnce), "lease="+duration(p.Lease))
	}
	if p.Back {
		words = append(words, "back")
	}
	return strings.Join(words, " ")
}

// String returns the wave as a plan writes it.
func (w Wave) String() string {
	to := "*"
	if w.To != Last {
		to = w.To.String()
	}
	text := fmt.Sprintf("%s/%d/%d/%d/%s", to, w.Upto, w.Need, w.Halt, duration(w.Soak))
	if w.Over > 0 {
		text += "/" + duration(w.Over)
	}
	return text
}

// duration is time.Duration.String without the units that are zero.
func duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Parse reads what String gives. The revision and the time are for the caller to set.
func Parse(text string) (*Plan, error) {
	words := strings.Split(text, " ")
	if words[0] != textVersion {
		return nil, fmt.Errorf("the plan of the rollout has the version %q; this ftl knows %s", words[0], textVersion)
	}
	p := new(Plan)
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		if err := p.set(key, value); err != nil {
			return nil, fmt.Errorf("the plan of the rollout: %q: %w", word, err)
		}
	}
	return p, p.validate()
}

func (p *Plan) set(key, value string) (err error) {
	switch key {
	case "n":
		p.Size, err = number(value)
	case "w":
		var w Wave
		w, err = parseWave(value)
		p.Waves = append(p.Waves, w)
	case "verdict":
		p.Verdict, err = positive(value)
	case "patience":
		p.Patience, err = positive(value)
	case "first":
		p.First, err = names(value)
	case "hosts":
		err = p.setHosts(value)
	case "limited":
		p.Limited = true
	case "at-once":
		p.AtOnce, err = number(value)
	case "lease":
		p.Lease, err = positive(value)
	case "back":
		p.Back = true
	default:
		err = errors.New("this ftl does not know it")
	}
	return err
}

func (p *Plan) setHosts(value string) error {
	wave, hosts, _ := strings.Cut(value, ":")
	k, err := number(wave)
	if err != nil {
		return err
	}
	if k >= len(p.Waves) {
		return errors.New("there is no such wave")
	}
	p.Waves[k].Hosts, err = names(hosts)
	return err
}

// validate makes sure that the waves follow each other.
func (p *Plan) validate() error {
	if len(p.Waves) == 0 {
		return errors.New("the plan of the rollout has no waves")
	}
	for k, w := range p.Waves[1:] {
		before := p.Waves[k]
		if w.To < before.To || w.Upto <= before.Upto {
			return fmt.Errorf("the plan of the rollout: wave %d ends before wave %d", k+2, k+1)
		}
	}
	if p.Waves[p.last()].Upto > p.Size {
		return errors.New("the plan of the rollout: its waves have more hosts than it was made for")
	}
	if p.Verdict == 0 || p.Patience == 0 {
		return errors.New("the plan of the rollout does not say how long to wait")
	}
	return nil
}

func parseWave(text string) (Wave, error) {
	fields := strings.Split(text, "/")
	if len(fields) != 5 && len(fields) != 6 {
		return Wave{}, errors.New("want place/upto/need/halt/soak")
	}
	w := Wave{To: Last}
	var errs [6]error
	if fields[0] != "*" {
		w.To, errs[0] = parsePlace(fields[0])
	}
	w.Upto, errs[1] = number(fields[1])
	w.Need, errs[2] = number(fields[2])
	w.Halt, errs[3] = number(fields[3])
	w.Soak, errs[4] = atLeastZero(fields[4])
	if len(fields) == 6 {
		w.Over, errs[5] = positive(fields[5])
	}
	return w, errors.Join(errs[:]...)
}

func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return int(n), nil
}

func atLeastZero(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration", text)
	}
	return d, nil
}

func positive(text string) (time.Duration, error) {
	d, err := atLeastZero(text)
	if err == nil && d == 0 {
		err = errors.New("it must be longer than nothing")
	}
	return d, err
}

func names(text string) ([]string, error) {
	hosts := strings.Split(text, ",")
	for _, host := range hosts {
		if host == "" {
			return nil, errors.New("a host has no name")
		}
	}
	return hosts, nil
}
