package tree

import (
	"time"

	"github.com/rhettg/ftl/ftl"
)

// Hold is a person's wish that sync leaves alone what is active.
type Hold struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// String says who holds a package, since when, and why.
func (h Hold) String() string {
	text := "held"
	if h.By != "" {
		text += " by " + h.By
	}
	text += " since " + ftl.Clock(h.At)
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	return text
}
