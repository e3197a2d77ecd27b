package serve

import (
	"strings"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// Act is what somebody may do with a package.
type Act string

// The acts.
const (
	Bless    Act = "bless"
	JumpBack Act = "jump-back"
	Halt     Act = "halt"
	Resume   Act = "resume"
	Advance  Act = "advance"
	Finish   Act = "finish"
)

// A button is an act that makes sense now, and the command that does the same.
type button struct {
	Act     Act
	Word    string
	Link    string // "" where the viewer can't do it here
	Why     string // not
	Command string
}

var actWords = map[Act]string{Bless: "Bless", JumpBack: "Go back", Halt: "Halt", Resume: "Resume", Advance: "Advance", Finish: "Finish"}

// may returns why the viewer can't do something with a package here, "" where nothing keeps him from it.
func (v view) may(act Act, pkg revision.Package) string {
	switch {
	case v.readOnly != "" && act != Halt:
		return v.readOnly
	case v.person.may(act, pkg):
		return ""
	case v.person.Name == "":
		return "log in to do it here"
	}
	return v.person.Name + " may not do that"
}

// buttons returns what can be done with a package now.
func (v view) buttons(pkg *Package) []button {
	var acts []Act
	if r := pkg.Current(); r != nil && r.Count.Settled.IsZero() {
		if r.Count.Halt == nil {
			acts = append(acts, Halt, Advance)
		} else {
			acts = append(acts, Resume)
		}
		acts = append(acts, Finish)
	}
	if _, ok := pkg.Marker.Previous(); ok {
		acts = append(acts, JumpBack)
	}
	var buttons []button
	for _, act := range acts {
		b := button{Act: act, Word: actWords[act], Why: v.may(act, pkg.Package), Command: commandOf(act, pkg.Package)}
		if b.Why == "" {
			b.Link = "/p/" + pkg.Package.String() + "/do/" + string(act)
		}
		buttons = append(buttons, b)
	}
	return buttons
}

// commandOf returns the command that does the same as an act on a package.
func commandOf(act Act, pkg revision.Package) string {
	if act == JumpBack {
		return command("jump-back", "--master", pkg.String())
	}
	return command("rollout", string(act), pkg.String())
}

// command makes a line to type of words. No word of it can be taken for a flag that it is not, as names of packages and
// revisions begin with a letter or a digit.
func command(words ...string) string {
	quoted := []string{"ftl"}
	for _, word := range words {
		quoted = append(quoted, ftl.Quoted(word))
	}
	return strings.Join(quoted, " ")
}
