package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AboutFile is the file of a revision in which a package says what it is.
const AboutFile = "ftl/package.json"

// About is what a package says of itself, for people to read. Spool puts it into the manifest.
type About struct {
	Name        string   `json:"name"` // for people, such as "My Site"
	Description string   `json:"description"`
	URL         string   `json:"url"`
	Steps       []string `json:"steps"` // that its hooks tell of, in their order
}

// Limits of what a package says of itself, in bytes, so that the rest of a header has room.
const (
	MaxAboutFile  = 16 << 10
	maxAboutName  = 64
	maxAboutText  = 500
	maxAboutSteps = 30
	maxAbout      = 3 << 10 // of all, as a header has it
)

// ParseAbout reads the file. Fields that it does not know are left out.
func ParseAbout(text []byte) (About, error) {
	var about About
	if len(text) > MaxAboutFile {
		return About{}, fmt.Errorf("it is longer than %d bytes", MaxAboutFile)
	}
	if err := json.Unmarshal(text, &about); err != nil {
		return About{}, err
	}
	return about, about.check()
}

// check refuses what a header has no room for, or a terminal would not show as it is.
func (a About) check() error {
	if len(a.Steps) > maxAboutSteps {
		return fmt.Errorf("it lists %d steps, and %d are the most", len(a.Steps), maxAboutSteps)
	}
	for _, field := range []struct {
		name, value string
		most        int
	}{{"name", a.Name, maxAboutName}, {"description", a.Description, maxAboutText}, {"url", a.URL, maxAboutText}} {
		if err := checkText(field.name, field.value, field.most); err != nil {
			return err
		}
	}
	for _, step := range a.Steps {
		if err := checkText("step", step, maxAboutName); err != nil {
			return err
		}
		if step == "" {
			return errors.New("a step has no name")
		}
	}
	if link, err := url.Parse(a.URL); err != nil || a.URL != "" && !slices.Contains([]string{"http", "https"}, link.Scheme) {
		return fmt.Errorf("the url %q is none of http or https", a.URL)
	}
	if text := a.text(); len(text) > maxAbout {
		return fmt.Errorf("what it says takes %d bytes, and %d are the most", len(text), maxAbout)
	}
	return nil
}

func checkText(name, value string, most int) error {
	odd := func(r rune) bool { return !unicode.IsGraphic(r) }
	switch {
	case len(value) > most:
		return fmt.Errorf("its %s has %d bytes, and %d are the most", name, len(value), most)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, odd):
		return fmt.Errorf("its %s %q has characters that can't be shown", name, value)
	}
	return nil
}

// IsZero reports whether nothing is said.
func (a About) IsZero() bool {
	return a.Name == "" && a.Description == "" && a.URL == "" && len(a.Steps) == 0
}

// String is what a list shows: the name, the description and the URL, as far as they are there.
func (a About) String() string {
	words := a.Name
	if a.Description != "" {
		words = strings.TrimPrefix(words+": "+a.Description, ": ")
	}
	if a.URL != "" {
		words = strings.TrimSpace(words + " (" + a.URL + ")")
	}
	return words
}

// MarshalJSON has null where nothing is said, and a list of steps where something is.
func (a About) MarshalJSON() ([]byte, error) {
	if a.IsZero() {
		return []byte("null"), nil
	}
	type fields About
	if a.Steps == nil {
		a.Steps = []string{}
	}
	return json.Marshal(fields(a))
}

// text is a header's line.
func (a About) text() string {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings can be encoded
	}
	return string(text)
}

// readAbout reads what text wrote.
func readAbout(text string) (About, error) {
	var about About
	err := json.Unmarshal([]byte(text), &about)
	if len(about.Steps) == 0 {
		about.Steps = nil
	}
	return about, err
}
