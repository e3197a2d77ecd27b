package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/internal/directory"
	"github.com/rhettg/ftl/revision"
)

// ErrState says that the state file is there and can't be used.
var ErrState = errors.New("the state can't be read")

// StatePath is where the state lies.
func (t *Tree) StatePath() string { return filepath.Join(t.Meta(), "state.json") }

// ReadState reads the state. Where there is none, what the links say is adopted.
func (t *Tree) ReadState() (*State, error) {
	data, err := t.Files.ReadFile(t.StatePath(), maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return t.Adopt()
	}
	if _, notOurs := errors.AsType[*directory.FileError](err); notOurs {
		return nil, t.unusable(err)
	}
	if err != nil {
		return nil, err
	}
	st := new(State)
	if err := st.parse(data, t.Name); err != nil {
		return nil, t.unusable(fmt.Errorf("%s: %w", t.StatePath(), err))
	}
	if st.Format != StateFormat {
		return nil, ftl.Errorf(ftl.Refused, "install the newer ftl; "+t.asideHint(),
			"%w: %s has the format %d; this ftl knows %d", ErrState, t.StatePath(), st.Format, StateFormat)
	}
	if st.Ready == nil {
		st.Ready = make(map[revision.Revision]Ready)
	}
	return st, nil
}

// unusable is the error of a state that ftl has not written.
func (t *Tree) unusable(err error) error {
	return &ftl.Error{Hint: t.asideHint(), Err: fmt.Errorf("%w: %w", ErrState, err)}
}

// asideHint says which command sets a state aside that can't be used.
func (t *Tree) asideHint() string {
	cur, err := t.Links()
	if err != nil || cur.Current == (revision.Revision{}) {
		return "to set it aside and go on: ftl jump REVISION"
	}
	hint := "to set it aside and go on with what is active: ftl jump " + cur.Current.String()
	if cur.Previous != (revision.Revision{}) {
		hint += "; with the one before: ftl jump-back " + t.Name.String()
	}
	return hint
}

// parse reads the text of a state, and refuses one that ftl would not have
// written.
func (s *State) parse(data []byte, name revision.Package) error {
	if err := json.Unmarshal(data, s); err != nil {
		return err
	}
	s.read = data
	s.HasOutput = bytes.Contains(data, []byte(`"output":`))
	if s.Format < 1 {
		return errors.New("it has no format")
	}
	if s.Format > StateFormat {
		return nil
	}
	return s.Jump.check(name)
}

// encode returns the text of a state, with what it held of a newer ftl.
func (s *State) encode() ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if s.read != nil {
		var known State
		if err := json.Unmarshal(s.read, &known); err != nil {
			return nil, err
		}
		parsed, err := json.Marshal(known)
		if err != nil {
			return nil, err
		}
		if text, err = keepUnknown(s.read, parsed, text); err != nil {
			return nil, err
		}
	}
	var indented bytes.Buffer
	err = json.Indent(&indented, append(text, '\n'), "", "  ")
	return indented.Bytes(), err
}

// ChangedAt is when the state was written last. Where that can't be told, it is now.
func (t *Tree) ChangedAt() time.Time {
	info, err := t.Files.Lstat(t.StatePath())
	if err != nil {
		return time.Now()
	}
	return info.ModTime()
}

// IsRemoved reports whether the package was removed, and only what it shares
// between revisions was kept. A state that can't be read is no answer: sync
// says what is wrong with it.
func (t *Tree) IsRemoved() bool {
	st, err := t.ReadState()
	return err == nil && st.Removed
}
