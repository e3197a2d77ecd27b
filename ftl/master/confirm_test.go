package master

import (
	"errors"
	"testing"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
)

// Whoever has to confirm sees what will be written, and nothing else is.
func TestConfirm(t *testing.T) {
	refusal := errors.New("not that")
	for name, act := range map[string]func(stage) error{
		"jump": func(s stage) error {
			return s.Jump(t.Context(), s.revisions[2], JumpOptions{Note: "x", Rollout: &rollout.Options{}, Fleet: fleetOf(40)})
		},
		"jump-back": func(s stage) error { return s.JumpBack(t.Context(), s.revisions[0].Package(), "x") },
		"resume":    func(s stage) error { return s.Resume(t.Context(), s.revisions[0].Package(), ResumeOptions{Note: "x"}) },
		"halt":      func(s stage) error { return s.Halt(t.Context(), s.revisions[0].Package()) },
	} {
		s := newStage(t)
		before := readMarker(t, s.bucket, "tool")
		var shown []catalog.Entry
		s.Confirm = func(marker catalog.Marker, entry catalog.Entry) error {
			if marker.ETag != before.ETag {
				t.Errorf("%s: shows another marker", name)
			}
			shown = append(shown, entry)
			return refusal
		}
		if err := act(s); !errors.Is(err, refusal) {
			t.Errorf("%s: got %v", name, err)
		}
		votes, err := s.Bucket.Votes(t.Context(), s.revisions[0].Package(), s.active(t).Serial)
		if now := readMarker(t, s.bucket, "tool"); now.ETag != before.ETag || len(votes.Votes) > 0 || err != nil {
			t.Errorf("%s: it was written although it was not confirmed (%v)", name, err)
		}
		s.DryRun = true
		if err := act(s); !errors.Is(err, refusal) || len(shown) != 2 {
			t.Errorf("%s, dry: got %v, shown %d times", name, err, len(shown))
		}
		s.DryRun, s.Confirm = false, func(_ catalog.Marker, entry catalog.Entry) error { shown = append(shown, entry); return nil }
		if err := act(s); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
		last := shown[len(shown)-1]
		written := s.active(t)
		if last.Revision != written.Revision || last.Manifest != written.Manifest || last.Base != written.Base || last.Kind != written.Kind || last.Note != written.Note {
			t.Errorf("%s: shown %v, written %v", name, last, written)
		}
	}
}
