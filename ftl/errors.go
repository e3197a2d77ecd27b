// Package ftl holds the words that the two points of view share.
//
// FTL deploys software with nothing but a bucket. The bucket's point of view is
// the master (package master): the revisions there are and which of them is
// blessed. One machine's point of view is the host (package host): the tree
// under FTL_ROOT, where "current" points to the active revision. What both say
// to their caller is defined here: the kinds of failure and the events.
//
// Beside them, archive turns trees into archives and back, and durable changes
// files so that a power cut leaves the old or the new.
package ftl

import (
	"fmt"
	"strings"
)

// Kind says what a failure means to whoever started the command; package cmd
// makes an exit code of it.
type Kind int

// The kinds of failure. An error without a kind is an ordinary failure.
const (
	HookFailed   Kind = iota + 1 // a hook failed, or said "not now"
	Busy                         // another ftl holds the lock
	NotFound                     // there is no such package or revision
	Refused                      // it would break something, or somebody else was faster
	RolledBack                   // a revision did not work, and the one before is active again
	NothingWorks                 // neither did the one before: a person is needed
)

// Error is a failure of a known kind.
type Error struct {
	Kind Kind
	Hint string // what to do next, "" where the message says it
	// Waiting is set where nothing was tried: an earlier failure is known and
	// its next try is not due. A sync from cron says nothing about it.
	Waiting bool
	Err     error
}

// Errorf returns an Error of this kind. The format is that of fmt.Errorf.
func Errorf(kind Kind, hint, format string, args ...any) *Error {
	return &Error{Kind: kind, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// Errors are failures that stand side by side, such as those of several
// packages: each is told, with its own hint. Join makes them.
type Errors []error

// Join returns the errors that are not nil, in their order, with Errors among
// them taken apart: nil where there are none, and the error itself where there
// is one.
func Join(errs ...error) error {
	var all Errors
	for _, err := range errs {
		all = append(all, Split(err)...)
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// Split returns the errors that Join has put together, and any other error as
// the only one. Of nil there are none.
func Split(err error) []error {
	if err == nil {
		return nil
	}
	if all, ok := err.(Errors); ok {
		return all
	}
	return []error{err}
}

// Error returns the texts, one a line.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap lets errors.Is and errors.As find each of them.
func (e Errors) Unwrap() []error { return e }

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }
