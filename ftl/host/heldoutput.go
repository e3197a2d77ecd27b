package host

import (
	"io"
	"slices"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/hooks"
)

// heldOutput holds back what a pre-jump prints that has said "not now" to the same entry before:
// cron would mail it each minute. Where it says so again, the log alone has it; otherwise it is
// shown then.
type heldOutput struct {
	options hooks.Options // where it is shown
	held    []func()
	size    int
	open    bool
}

// maxHeld is how many bytes are held back. What prints more is shown at once.
const maxHeld = 64 << 10

// holdBack takes the place of where the output and the steps of a hook are shown.
func holdBack(options *hooks.Options) *heldOutput {
	if options.Output == nil {
		options.Output = io.Discard
	}
	h := &heldOutput{options: *options}
	options.Output, options.Step = h, h.step
	return h
}

func (h *heldOutput) Write(lines []byte) (int, error) {
	if h.open {
		return h.options.Output.Write(lines)
	}
	kept := slices.Clone(lines)
	h.keep(len(kept), func() { h.options.Output.Write(kept) })
	return len(lines), nil
}

// step takes no line for a step before it is shown: the log tells which it was.
func (h *heldOutput) step(line []byte) bool {
	if _, isStep := parseOwnStep(ftl.PreJump, line); h.open || !isStep {
		return h.open && h.options.Step(line)
	}
	kept := slices.Clone(line)
	h.keep(len(kept), func() { h.options.Step(kept) })
	return true
}

func (h *heldOutput) keep(size int, show func()) {
	h.held = append(h.held, show)
	if h.size += size; h.size > maxHeld {
		h.show()
	}
}

// show shows what was held back, and from now on all.
func (h *heldOutput) show() {
	h.open = true
	for _, show := range h.held {
		show()
	}
	h.held = nil
}

// end is called with what the hook came to.
func (h *heldOutput) end(err error) {
	if !notNow(err) {
		h.show()
	}
}
