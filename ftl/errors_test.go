package ftl

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"
)

func TestJoinAndSplit(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), Errorf(Busy, "wait", "c: %w", fs.ErrExist)
	several := fmt.Errorf("both: %w, %w", a, b) // one failure with two causes
	tests := []struct {
		name string
		join []error
		want []error
		text string
	}{
		{"none", nil, nil, ""},
		{"only nil", []error{nil, nil}, nil, ""},
		{"one", []error{nil, a}, []error{a}, "a"},
		{"two", []error{a, nil, b}, []error{a, b}, "a\nb"},
		{"joined again", []error{Join(a, b), Join(nil, c)}, []error{a, b, c}, "a\nb\nc: file already exists"},
		{"several causes", []error{several, c}, []error{several, c}, "both: a, b\nc: file already exists"},
		{"another join", []error{errors.Join(a, b)}, []error{errors.Join(a, b)}, "a\nb"},
	}
	for _, test := range tests {
		err := Join(test.join...)
		got := Split(err)
		same := slices.EqualFunc(got, test.want, func(a, b error) bool { return a.Error() == b.Error() })
		if !same || err != nil && err.Error() != test.text {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	if failure, ok := errors.AsType[*Error](Join(a, c)); !ok || failure.Kind != Busy || !errors.Is(failure, fs.ErrExist) {
		t.Errorf("got %v, want to find each error", failure)
	}
}
