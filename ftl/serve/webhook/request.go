package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/rollout"
	"github.com/rhettg/ftl/revision"
)

// A request is what a body asks for.
type request struct {
	older bool // it is of the older service
	pkg   revision.Package

	revision revision.Revision // of ours
	note     string
	waves    []rollout.Step
	at       time.Time // zero where it says none
	id       string    // under which it is the same request when it is sent again
	expect   *int64    // the serial of the newest entry, as the sender knows it

	commit, tag string // of the older service
	healthcheck string

	wait time.Duration // for the hosts; 0 is not at all
}

// The fields of a body, of ours and of the older service, with those that have to be there.
var (
	ourFields     = map[string]bool{"package": true, "revision": true, "note": false, "waves": false, "at": false, "id": false, "expect": false}
	olderFields   = map[string]bool{"service_name": true, "container_name": true, "image": true, "commit_sha": true, "healthcheck_url": false}
	markOfOlder   = "service_name"
	longestField  = 1000
	commitForm    = regexp.MustCompile(`^[0-9a-fA-F]{7,64}$`)
	errNotOneJSON = errors.New("the body is not one JSON object")
)

// parseRequest reads a body. What it says is not guessed: fields that nobody knows, or that stand
// there twice, are refused.
func parseRequest(body []byte) (*request, error) {
	fields, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	r := &request{}
	known := ourFields
	if _, r.older = fields[markOfOlder]; r.older {
		known = olderFields
		if _, both := fields["package"]; both {
			return nil, errors.New("service_name and package contradict each other")
		}
	}
	for name := range fields {
		if _, ok := known[name]; !ok {
			return nil, fmt.Errorf("the field %q is not known", name)
		}
	}
	for _, name := range requiredOf(known) {
		if _, ok := fields[name]; !ok {
			return nil, fmt.Errorf("the field %s is missing", name)
		}
	}
	if r.older {
		return r, r.parseOlder(fields)
	}
	return r, r.parseOurs(fields)
}

func requiredOf(known map[string]bool) (names []string) {
	for name, required := range known {
		if required {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// parseObject returns the fields of an object, each of which stands there once. Their names are
// taken as they are: Go's own decoder takes "Package" for "package".
func parseObject(body []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return nil, errNotOneJSON
	}
	fields := make(map[string]json.RawMessage)
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errNotOneJSON
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("the field %q is there twice", name)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errNotOneJSON
		}
		fields[name] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errNotOneJSON
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errNotOneJSON
	}
	return fields, nil
}

// text reads a field that is a text. One that need not be there may be null, which is "" then.
func text(fields map[string]json.RawMessage, name string, required bool) (string, error) {
	raw, ok := fields[name]
	if !required && (!ok || string(raw) == "null") {
		return "", nil
	}
	var value string
	switch {
	case len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &value) != nil:
		return "", fmt.Errorf("the field %s is not a text", name)
	case value == "" && required:
		return "", fmt.Errorf("the field %s is empty", name)
	case len(value) > longestField:
		return "", fmt.Errorf("the field %s is longer than %d bytes", name, longestField)
	}
	return value, nil
}

func (r *request) parseOlder(fields map[string]json.RawMessage) error {
	values := make(map[string]string)
	for name, required := range olderFields {
		value, err := text(fields, name, required)
		if err != nil {
			return err
		}
		values[name] = value
	}
	pkg, err := revision.ParsePackage(values[markOfOlder])
	if err != nil {
		return fmt.Errorf("service_name: %w", err)
	}
	if !commitForm.MatchString(values["commit_sha"]) {
		return errors.New("commit_sha is not the name of a commit: 7 to 64 hexadecimal digits")
	}
	r.pkg, r.commit, r.tag, r.healthcheck = pkg, strings.ToLower(values["commit_sha"]), tagOf(values["image"]), values["healthcheck_url"]
	r.note = "commit " + r.commit
	return nil
}

// tagOf returns the tag of a container's image, "" where it has none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndexByte(image, '/')+1:]
	_, tag, _ := strings.Cut(name, ":")
	return tag
}

func (r *request) parseOurs(fields map[string]json.RawMessage) (err error) {
	values := make(map[string]string)
	for _, name := range []string{"package", "revision", "note", "waves", "at", "id"} {
		if values[name], err = text(fields, name, ourFields[name]); err != nil {
			return err
		}
	}
	if r.pkg, err = revision.ParsePackage(values["package"]); err != nil {
		return fmt.Errorf("package: %w", err)
	}
	if !strings.Contains(values["revision"], ".") {
		r.revision, err = r.pkg.Revision(values["revision"])
	} else {
		r.revision, err = revision.Parse(values["revision"])
	}
	switch {
	case err != nil:
		return fmt.Errorf("revision: %w", err)
	case r.revision.Package() != r.pkg:
		return fmt.Errorf("revision: %s is not a revision of %s", r.revision, r.pkg)
	}
	if values["waves"] != "" {
		if r.waves, err = rollout.ParseSteps(values["waves"]); err != nil {
			return fmt.Errorf("waves: %w", err)
		}
	}
	if values["at"] != "" {
		if r.at, err = time.Parse(time.RFC3339, values["at"]); err != nil {
			return errors.New("at: it is not a time such as 2026-11-21T12:34:56Z")
		}
	}
	if r.note = values["note"]; len(r.note) > catalog.MaxNote {
		return fmt.Errorf("note: it is longer than %d bytes", catalog.MaxNote)
	}
	r.id = values["id"]
	if raw, ok := fields["expect"]; ok && string(raw) != "null" {
		var serial int64
		if json.Unmarshal(raw, &serial) != nil || serial < 0 {
			return errors.New("expect: it is not a serial")
		}
		r.expect = &serial
	}
	return nil
}
