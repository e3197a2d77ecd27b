package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Labels are what its spooler says of a revision in words of his own, such as the commit that it
// was built from.
type Labels map[string]string

// Limits of labels, so that the rest of a header has room.
const (
	maxLabels     = 32
	maxLabelValue = 500     // bytes
	maxLabelsText = 4 << 10 // bytes of all, as a header has them
)

var labelName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]{0,62}$`)

// ParseLabels reads labels of the form NAME=VALUE. A name that stands there twice is an error.
func ParseLabels(words []string) (Labels, error) {
	if len(words) == 0 {
		return nil, nil
	}
	labels := make(Labels)
	for _, word := range words {
		name, value, found := strings.Cut(word, "=")
		if !found {
			return nil, fmt.Errorf("the label %q is not of the form NAME=VALUE", word)
		}
		if _, twice := labels[name]; twice {
			return nil, fmt.Errorf("the label %s is given twice", name)
		}
		labels[name] = value
	}
	return labels, labels.check()
}

// check refuses what a header has no room for, or what could not be read again.
func (l Labels) check() error {
	for name, value := range l {
		switch {
		case !labelName.MatchString(name):
			return fmt.Errorf("the label's name %q has other characters than letters, digits, . _ / and -, or is longer than 63", name)
		case len(value) > maxLabelValue || !utf8.ValidString(value):
			return fmt.Errorf("the label %s is longer than %d bytes, or not UTF-8", name, maxLabelValue)
		}
	}
	if len(l) > maxLabels || len(l.String()) > maxLabelsText {
		return fmt.Errorf("the labels are more than %d, or longer than %d bytes", maxLabels, maxLabelsText)
	}
	return nil
}

// MarshalJSON has an empty object where there are none.
func (l Labels) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]string(l))
}

// String returns the labels by name, as name=value words. Values are quoted where they need to be.
func (l Labels) String() string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		words = append(words, name+"="+word(l[name]))
	}
	return strings.Join(words, " ")
}

// readLabels reads what String wrote.
func readLabels(text string) (Labels, error) {
	var labels Labels
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return labels, nil
		}
		name, value, rest, err := nextWord(text)
		if err != nil {
			return nil, err
		}
		if labels == nil {
			labels = make(Labels)
		}
		labels[name], text = value, rest
	}
}
