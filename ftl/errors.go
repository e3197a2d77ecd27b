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
	Inconsistent                 // neither did the one before: a person is needed
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

// Split takes joined errors apart, also those that were joined before they were
// joined again. An error that only wraps several causes is one.
func Split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	parts := joined.Unwrap()
	var texts []string
	for _, part := range parts {
		texts = append(texts, part.Error())
	}
	if err.Error() != strings.Join(texts, "\n") { // which is all that errors.Join says
		return []error{err}
	}
	var all []error
	for _, part := range parts {
		all = append(all, Split(part)...)
	}
	return all
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }
