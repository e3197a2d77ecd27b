package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/revision"
)

// errState says that the state file is there and can't be used.
var errState = errors.New("the state can't be read")

func (p *pkg) statePath() string { return filepath.Join(p.meta(), "state.json") }

// readState reads the state. Where there is none, the targets of the links are
// taken as ready, so that an upgraded or restored host keeps running.
func (p *pkg) readState() (*state, error) {
	data, err := os.ReadFile(p.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		return p.adopt()
	}
	if err != nil {
		return nil, err
	}
	st := new(state)
	if err := st.parse(data, p.name); err != nil {
		return nil, &ftl.Error{
			Hint: "jump and jump-back set it aside and go on with what current and previous point to",
			Err:  fmt.Errorf("%w: %s: %w", errState, p.statePath(), err),
		}
	}
	if st.Format != stateFormat {
		return nil, ftl.Errorf(ftl.Refused, "install the newer ftl", "%s has the format %d; this ftl knows %d", p.statePath(), st.Format, stateFormat)
	}
	if st.Ready == nil {
		st.Ready = make(map[revision.Revision]ready)
	}
	return st, nil
}

// parse reads the text of a state, and refuses one that ftl would not have
// written.
func (s *state) parse(data []byte, name revision.Package) error {
	if err := json.Unmarshal(data, s); err != nil {
		return err
	}
	if s.Format < 1 {
		return errors.New("it has no format")
	}
	if s.Format > stateFormat || s.Jump == nil {
		return nil
	}
	if !s.Jump.Phase.known() {
		return fmt.Errorf("its jump is in the phase %q, which there is not", s.Jump.Phase)
	}
	if s.Jump.To.Package() != name {
		return fmt.Errorf("its jump goes to %q, which is not a revision of %s", s.Jump.To, name)
	}
	return nil
}

func (p *pkg) adopt() (*state, error) {
	st := &state{Format: stateFormat, Ready: make(map[revision.Revision]ready)}
	links, err := p.links()
	if err != nil {
		return nil, err
	}
	for _, r := range []revision.Revision{links.current, links.previous} {
		info, err := os.Stat(p.revisionDir(r))
		if r != (revision.Revision{}) && err == nil && info.IsDir() {
			st.Ready[r] = ready{Since: info.ModTime()}
		}
	}
	return st, nil
}

// readOrAdoptState is readState for the commands that must work on a damaged
// host: a state that can't be read is set aside.
func (p *pkg) readOrAdoptState() (*state, error) {
	st, err := p.readState()
	if !errors.Is(err, errState) {
		return st, err
	}
	aside := p.statePath() + ".unreadable"
	p.host.warn("%s: %v; it is now %s", p.name, err, aside)
	if err := os.Rename(p.statePath(), aside); err != nil {
		return nil, err
	}
	return p.adopt()
}

// writeState replaces the state. The caller holds the package's lock. On a full
// disk it gives up the reserve, so that a jump-back still works.
func (p *pkg) writeState(st *state) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	err = p.withReserve(func() error { return durable.WriteFile(p.statePath(), append(data, '\n'), 0o644) })
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return nil
}

// isRemoved reports whether the package was removed, and only what it shares
// between revisions was kept. A state that can't be read is no answer: sync
// says what is wrong with it.
func (p *pkg) isRemoved() bool {
	st, err := p.readState()
	return err == nil && st.Removed
}
