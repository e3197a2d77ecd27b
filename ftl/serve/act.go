package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/ftl/rollout"
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

// Acts returns all of them.
func Acts() []Act { return []Act{Bless, JumpBack, Halt, Resume, Advance, Finish} }

var actWords = map[Act]string{Bless: "Bless", JumpBack: "Go back", Halt: "Halt", Resume: "Resume", Advance: "Advance", Finish: "Finish"}

// A button is an act that makes sense now, and the command that does the same.
type button struct {
	Act     Act
	Word    string
	Link    string // "" where the viewer can't do it here
	Why     string // not
	Command string
}

// may returns why the viewer can't do something with a package here, "" where nothing keeps him
// from it.
func (v view) may(act Act, pkg revision.Package) string {
	switch {
	case v.readOnly != "":
		return v.readOnly
	case v.noKey != "" && act != Halt: // which writes no entry
		return v.noKey
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
		b := button{Act: act, Word: actWords[act], Why: v.may(act, pkg.Package), Command: order{Act: act, Package: pkg.Package}.command()}
		if b.Why == "" {
			b.Link = "/p/" + pkg.Package.String() + "/do/" + string(act)
		}
		buttons = append(buttons, b)
	}
	slices.SortStableFunc(buttons, func(a, b button) int { return strings.Compare(linked(a), linked(b)) })
	return buttons
}

// linked orders those that the viewer can press before the others.
func linked(b button) string {
	if b.Link != "" {
		return "a"
	}
	return "b"
}

// An order is what somebody wants to be done. As JSON it is the body of a request to the API.
type order struct {
	Act      Act               `json:"-"`
	Package  revision.Package  `json:"-"`
	Revision revision.Revision `json:"revision,omitzero"` // to bless
	Note     string            `json:"note,omitempty"`
	Waves    string            `json:"waves,omitempty"` // as --rollout has them
	Now      bool              `json:"now,omitempty"`   // also where a rollout is not over
	Again    bool              `json:"again,omitempty"`

	// What was confirmed: the serial of the marker's newest entry, the manifest that will be
	// blessed, and the rest of the entry by its digest.
	Serial   int64          `json:"serial"`
	Manifest catalog.Digest `json:"manifest,omitzero"`
	Confirm  string         `json:"confirm"`
}

// command returns the command that does the same.
func (o order) command() string {
	var words []string
	switch o.Act {
	case Bless:
		words = []string{"jump", "--master", o.Revision.String()}
	case JumpBack:
		words = []string{"jump-back", "--master", o.Package.String()}
	default:
		words = []string{"rollout", string(o.Act), o.Package.String()}
	}
	for _, flag := range []struct {
		name  string
		given bool
	}{{"--again", o.Again}, {"--now", o.Now}} {
		if flag.given {
			words = append(words, flag.name)
		}
	}
	if o.Waves != "" && o.Act == Bless {
		words = append(words, "--rollout", o.Waves)
	}
	if o.Note != "" && o.Act != Halt {
		words = append(words, "--note="+o.Note) // one word, so that a note is never taken for a flag
	}
	return command(words...)
}

// command makes a line to type of words. Names of packages and revisions begin with a letter or a
// digit, so none is taken for a flag.
func command(words ...string) string {
	quoted := []string{"ftl"}
	for _, word := range words {
		quoted = append(quoted, ftl.Quoted(word))
	}
	return strings.Join(quoted, " ")
}

// A proposal is what an order would write.
type proposal struct {
	order
	Entry  catalog.Entry
	Newest catalog.Entry // of the marker, "" where it has none
	Fresh  bool          // something would be written
}

// errMoved says that what would be written is not what was confirmed.
var errMoved = errors.New("somebody was faster, so that something else would be written than what was confirmed")

// propose finds out what an order would write, and writes nothing.
func (s *Server) propose(ctx context.Context, by string, o order) (proposal, error) {
	p := proposal{order: o}
	m := s.config.Master(by)
	m.DryRun = true
	m.Confirm = func(marker catalog.Marker, entry catalog.Entry) error {
		p.Entry, p.Fresh = entry, true
		p.Newest, _ = marker.Newest()
		return nil
	}
	if err := s.do(ctx, m, o); err != nil {
		return p, err
	}
	p.Serial, p.Manifest, p.Confirm = p.Newest.Serial, p.Entry.Manifest, p.digest()
	return p, nil
}

// perform does what was confirmed, or nothing.
func (s *Server) perform(ctx context.Context, by string, o order) error {
	m := s.config.Master(by)
	m.Confirm = func(marker catalog.Marker, entry catalog.Entry) error {
		p := proposal{order: o, Entry: entry}
		p.Newest, _ = marker.Newest()
		if p.Newest.Serial != o.Serial || entry.Manifest != o.Manifest || p.digest() != o.Confirm {
			return &ftl.Error{Kind: ftl.Refused, Err: errMoved}
		}
		return nil
	}
	return s.do(ctx, m, o)
}

// digest stands for all that is confirmed. When and by which command it is written is not known
// before.
func (p proposal) digest() string {
	e := p.Entry
	plan := ""
	if e.Rollout != nil {
		plan = e.Rollout.String()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %q %q %q %q %q %q %q %v",
		p.Act, p.Newest.Serial, e.Revision, e.Manifest, e.Kind, p.Note, e.Base, e.BaseManifest, plan, e.Params))
	return hex.EncodeToString(sum[:])
}

// do carries an order out, by the code of the commands.
func (s *Server) do(ctx context.Context, m *master.Master, o order) error {
	switch o.Act {
	case Bless:
		opts := master.JumpOptions{Note: o.Note, Again: o.Again, Now: o.Now, Fleet: s.knownFleet(o.Package)}
		if o.Waves != "" {
			steps, err := rollout.ParseSteps(o.Waves)
			if err != nil {
				return &ftl.Error{Kind: ftl.Refused, Hint: "for example 1,5%/30m,25%", Err: err}
			}
			opts.Rollout, opts.Usual = &rollout.Options{Waves: steps}, o.Waves == s.config.Waves
		}
		return m.Jump(ctx, o.Revision, opts)
	case JumpBack:
		return m.JumpBack(ctx, o.Package, o.Note)
	case Halt:
		return m.Halt(ctx, o.Package)
	}
	return m.Resume(ctx, o.Package, master.ResumeOptions{Change: changes[o.Act], Note: o.Note})
}

var changes = map[Act]master.Change{Resume: master.Resume, Advance: master.Advance, Finish: master.Finish}

// knownFleet is what is known of the hosts of a package.
func (s *Server) knownFleet(name revision.Package) master.Fleet {
	snapshot, _ := s.feed.get()
	if snapshot == nil {
		return master.Fleet{}
	}
	known := master.Fleet{Members: fleet.Roster(snapshot.Hosts, name)}
	if pkg, found := snapshot.Package(name); found {
		if active, ok := pkg.Marker.Active(); ok {
			known.OK, known.Bad = fleet.Outcomes(snapshot.Hosts, known.Members, active)
		}
	}
	return known
}

// ordered reads what somebody wants to be done from values by their names.
func (v view) ordered(pkg revision.Package, value func(name string) string) (order, error) {
	o := order{Act: Act(v.path("act")), Package: pkg, Note: strings.TrimSpace(value("note")), Waves: strings.ReplaceAll(value("waves"), " ", "")}
	if !slices.Contains(Acts(), o.Act) {
		return o, &missing{"There is no such act."}
	}
	o.Now, o.Again, o.Confirm = value("now") != "", value("again") != "", value("confirm")
	if o.Act == Bless {
		r, err := revision.Parse(value("revision"))
		if err != nil || r.Package() != pkg {
			return o, &missing{fmt.Sprintf("%q is no revision of %s.", value("revision"), pkg)}
		}
		o.Revision = r
	}
	if text := value("serial"); text != "" {
		var err error
		if o.Serial, err = strconv.ParseInt(text, 10, 64); err != nil {
			return o, &missing{"That is no serial."}
		}
	}
	if err := o.Manifest.UnmarshalText([]byte(value("manifest"))); err != nil {
		return o, &missing{"That is no digest of a manifest."}
	}
	return o, nil
}
