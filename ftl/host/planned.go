package host

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"sync"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
)

// What a jump will go through is not known before it, as hooks tell of their own steps only when
// they get there. What the last one went through is the best guess, and what the package says the
// next best.

// A recorder notes which steps a jump goes through, in the order in which they begin.
type recorder struct {
	mu    sync.Mutex
	on    bool
	steps []ftl.Step
}

// maxRecorded bounds how many steps are noted: a hook may print any number.
const maxRecorded = 200

func (r *recorder) add(event ftl.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on && len(r.steps) < maxRecorded && event.Step != ftl.Jump && !slices.Contains(r.steps, event.Step) {
		r.steps = append(r.steps, event.Step)
	}
}

// start begins anew.
func (r *recorder) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.steps = true, nil
}

// stop returns the steps since the start.
func (r *recorder) stop() []ftl.Step {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return r.steps
}

// stepsPath is where the steps of the last jump that went well are kept. They lie among the logs: a
// hook has printed the names of its own.
func (p *teller) stepsPath() string { return filepath.Join(p.LogDir(), "steps.json") }

// keepSteps is best effort: the next jump knows less without it.
func (l *locked) keepSteps(steps []ftl.Step) {
	if slices.Equal(steps, l.lastSteps()) {
		return
	}
	if data, err := json.Marshal(steps); err == nil {
		l.Files.ReplaceFile(l.stepsPath(), data, 0o600)
	}
}

func (p *teller) lastSteps() []ftl.Step {
	data, err := p.Files.ReadFile(p.stepsPath(), maxSteps)
	var steps []ftl.Step
	if err != nil || json.Unmarshal(data, &steps) != nil {
		return nil
	}
	return steps
}

// maxSteps is more than a list of steps takes, in bytes.
const maxSteps = 256 << 10

// plannedSteps returns what a jump will go through: what the last one did that went well, else what
// the package lists, else nothing.
func (p *teller) plannedSteps(about catalog.About) []ftl.Step {
	if steps := p.lastSteps(); len(steps) > 0 {
		return steps
	}
	var listed []ftl.Step
	for _, step := range about.Steps {
		listed = append(listed, ftl.Step(step))
	}
	return listed
}
