package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Params are the parameters of a deploy: what hooks are told by whoever blesses a revision.
// Everybody who can read the bucket can read them. Nil is none.
type Params map[string]string

// Limits of parameters, so that a line of a marker stays short.
const (
	maxParams     = 32
	maxParamName  = 64
	maxParamsText = 2 << 10 // bytes of all, as a marker has them
)

var paramName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// paramWord begins the words of a marker's entry that are parameters. They are critical: without
// them hooks would do something else.
const paramWord = "!param."

// ParseParams reads parameters of the form NAME=VALUE. A name that stands there twice is an error.
func ParseParams(words []string) (Params, error) {
	if len(words) == 0 {
		return nil, nil
	}
	params := make(Params)
	for _, text := range words {
		name, value, found := strings.Cut(text, "=")
		if !found {
			return nil, fmt.Errorf("%q is not of the form NAME=VALUE", text)
		}
		if _, twice := params[name]; twice {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		params[name] = value
	}
	return params, params.check()
}

// check refuses what a marker or an environment has no room for.
func (p Params) check() error {
	for name, value := range p {
		switch {
		case !isParamName(name):
			return fmt.Errorf("the name %q is not capital letters, digits and _, beginning with a letter, at most %d", name, maxParamName)
		case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
			return fmt.Errorf("the value of %s has control characters, or is not UTF-8", name)
		}
	}
	if len(p) > maxParams || len(p.String()) > maxParamsText {
		return fmt.Errorf("they are more than %d, or longer than %d bytes", maxParams, maxParamsText)
	}
	return nil
}

func isParamName(name string) bool { return len(name) <= maxParamName && paramName.MatchString(name) }

// MarshalJSON has an empty object where there are none.
func (p Params) MarshalJSON() ([]byte, error) {
	if p == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]string(p))
}

// String returns the parameters by name, as NAME=value words. Values are quoted where they need to
// be.
func (p Params) String() string { return strings.Join(p.words(""), " ") }

// words returns a word for each parameter, by name.
func (p Params) words(prefix string) []string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		words = append(words, prefix+name+"="+word(p[name]))
	}
	return words
}

// Environ returns what hooks are told: FTL_PARAM_NAME=value.
func (p Params) Environ() []string {
	var environ []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		environ = append(environ, "FTL_PARAM_"+name+"="+p[name])
	}
	return environ
}
