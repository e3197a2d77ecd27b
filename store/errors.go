package store

import (
	"fmt"
	"io/fs"
)

// noObject is the text of absence, which [fs.ErrNotExist] ("file does not exist") would not say
// well of a bucket.
type noObject struct{}

func (noObject) Error() string        { return "no such object" }
func (noObject) Is(target error) bool { return target == fs.ErrNotExist }

func absent(op, key string) error { return fmt.Errorf("%s %s: %w", op, key, noObject{}) }

func precondition(op, key string) error { return fmt.Errorf("%s %s: %w", op, key, ErrPrecondition) }

func unchanged(op, key string) error { return fmt.Errorf("%s %s: %w", op, key, ErrUnchanged) }

// summary says in a short text what an error of other software means, and keeps that error for
// errors.Is and errors.As.
type summary struct {
	text string
	err  error
}

func (s *summary) Error() string { return s.text }
func (s *summary) Unwrap() error { return s.err }
