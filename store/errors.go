package store

import (
	"fmt"
	"io/fs"
)

// noObject is the text of absence, which [fs.ErrNotExist] ("file does not
// exist") would not say well of a bucket.
type noObject struct{}

func (noObject) Error() string        { return "no such object" }
func (noObject) Is(target error) bool { return target == fs.ErrNotExist }

func absent(op, key string) error { return fmt.Errorf("%s %s: %w", op, key, noObject{}) }

func precondition(op, key string) error { return fmt.Errorf("%s %s: %w", op, key, ErrPrecondition) }

// plain says in a short text what an error of other software means, and keeps
// that error for errors.Is and errors.As.
type plain struct {
	text string
	err  error
}

func (p *plain) Error() string { return p.text }
func (p *plain) Unwrap() error { return p.err }
