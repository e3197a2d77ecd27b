package host

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// Each case names revisions by one letter, in the order of their age. In the
// lists an upper-case letter is one that has a tree but is not ready.
func TestDecide(t *testing.T) {
	tests := []struct {
		name             string
		bucket, local    string
		active, previous string
		current, before  string
		keep             int
		fetch, remove    string
		jump, exceed     string
		removable        int // 0 is all
	}{
		{name: "nothing at all", keep: 5},
		{name: "never blessed: the newest, newest first", bucket: "abcdef", keep: 3, fetch: "fed"},
		{name: "never blessed, fewer than keep", bucket: "ab", keep: 5, fetch: "ba"},
		{name: "never blessed, keep 0", bucket: "abc", keep: 0},
		{name: "the active first, then the previous, then those after the active", bucket: "abcdef", active: "c", previous: "b", keep: 2, fetch: "cbfe"},
		{name: "of the newest, only those after the active", bucket: "abcd", active: "c", previous: "b", keep: 4, fetch: "cbd"},
		{name: "keep 0: what is blessed", bucket: "abcd", active: "c", previous: "b", fetch: "cb"},
		{name: "a blessing back to an old one", bucket: "abcdef", active: "a", previous: "f", keep: 2, fetch: "afe"},
		{name: "what is ready is not fetched again", bucket: "abc", local: "abc", active: "b", previous: "a", current: "b", keep: 5},
		{name: "a tree that is not ready is fetched anew", bucket: "abc", local: "aBC", active: "b", previous: "a", keep: 5, fetch: "bc"},
		{name: "the active is not in the bucket", bucket: "ac", local: "ac", active: "b", previous: "a", keep: 0},

		{name: "purged", bucket: "bc", local: "abc", keep: 5, remove: "a"},
		{name: "purged, though it is the marker's previous", bucket: "bc", local: "abc", active: "b", previous: "a", keep: 5, remove: "a"},
		{name: "beyond keep, oldest first", bucket: "abcd", local: "abcd", keep: 2, remove: "ab"},
		{name: "not ready and not wanted", bucket: "abcd", local: "Abcd", keep: 3, remove: "a"},
		{name: "the newest of the bucket stay, also before the active", bucket: "abcd", local: "abcd", active: "d", keep: 3, remove: "a"},
		{name: "the blessed ones stay", bucket: "abcdef", local: "abcdef", active: "b", previous: "a", keep: 1, remove: "cde"},
		{name: "what a link points to stays", bucket: "abcdef", local: "abcdef", current: "a", before: "c", keep: 1, remove: "bde"},
		{name: "purged, but a link points to it", bucket: "c", local: "abc", current: "a", before: "b", keep: 5},

		{name: "an empty listing", local: "abcdef", current: "f", keep: 1},
		{name: "a listing without the active", bucket: "def", local: "abcdef", active: "a", current: "f", keep: 1},
		{name: "a jump is about them", bucket: "def", local: "abcdef", keep: 1, jump: "ad", remove: "bce"},
		{name: "more than may go", bucket: "h", local: "abcdefgh", keep: 1, removable: 5, remove: "abcde", exceed: "fg"},
		{name: "none may go", bucket: "h", local: "fgh", keep: 1, removable: -1, exceed: "fg"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := decide(view{
				bucket: letters(t, test.bucket), local: letters(t, test.local),
				ready:  letters(t, strings.Map(onlyLower, test.local)),
				active: letter(t, test.active), activePrevious: letter(t, test.previous),
				links: tree.Links{Current: letter(t, test.current), Previous: letter(t, test.before)},
				keep:  test.keep, jump: letters(t, test.jump),
				removable: cmp.Or(test.removable, len(test.local)),
			})
			if want := letters(t, test.fetch); !slices.Equal(got.fetch, want) {
				t.Errorf("fetch %v, want %v", got.fetch, want)
			}
			if want := letters(t, test.remove); !slices.Equal(got.remove, want) {
				t.Errorf("remove %v, want %v", got.remove, want)
			}
			if want := letters(t, test.exceed); !slices.Equal(got.exceed, want) {
				t.Errorf("exceed %v, want %v", got.exceed, want)
			}
		})
	}
}

func onlyLower(r rune) rune {
	if r < 'a' {
		return -1
	}
	return r
}

func letters(t *testing.T, names string) []revision.Revision {
	t.Helper()
	var revisions []revision.Revision
	for _, name := range strings.ToLower(names) {
		revisions = append(revisions, letter(t, string(name)))
	}
	return revisions
}
