package ftl

// Finding is one thing that was looked at on a host. As JSON it is a line of ftl doctor.
type Finding struct {
	About   string  `json:"name"` // a word
	Verdict Verdict `json:"state"`
	Message string  `json:"message"`
	Hint    string  `json:"hint"` // what to do
}

// Verdict says what to make of a finding.
type Verdict string

// The verdicts.
const (
	Fine  Verdict = "ok"
	Note  Verdict = "note"  // to know, and no reason to do anything
	Wrong Verdict = "wrong" // the hint says what to do
)
