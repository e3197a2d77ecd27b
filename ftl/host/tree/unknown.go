package tree

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// A newer ftl may have written fields into a state that this one does not know.
// They are kept at a write, as long as what they belong to is still there.

// identity are the fields that tell one object from its successor: a jump that
// took the place of another has nothing of that one.
var identity = []string{"since", "at", "started", "serial", "revision", "hook"}

// dropped is a field of older ftls, which held what hooks printed.
const dropped = "output"

// keepUnknown returns the text of a state to write: next, with what read has
// and this ftl does not know, which is what a state that was parsed from it
// lacks.
func keepUnknown(read, parsed, next []byte) ([]byte, error) {
	var r, p, n any
	for value, text := range map[*any][]byte{&r: read, &p: parsed, &n: next} {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber() // a serial has more digits than a float
		if err := decoder.Decode(value); err != nil {
			return nil, err
		}
	}
	if !addUnknown(r, p, n) {
		return next, nil
	}
	return json.Marshal(n)
}

// addUnknown adds to next what read has and parsed has not, and reports whether
// that is anything.
func addUnknown(read, parsed, next any) (added bool) {
	switch r := read.(type) {
	case map[string]any:
		p, _ := parsed.(map[string]any)
		n, ok := next.(map[string]any)
		if !ok || !same(r, n) {
			return false
		}
		for key, value := range r {
			_, known := p[key]
			kept, written := n[key]
			switch {
			case written:
				added = addUnknown(value, p[key], kept) || added
			case !known && key != dropped:
				n[key] = value
				added = true
			}
		}
	case []any:
		p, _ := parsed.([]any)
		n, _ := next.([]any)
		for i, element := range r {
			for _, other := range n {
				if i < len(p) && same(element, other) {
					added = addUnknown(element, p[i], other) || added
				}
			}
		}
	}
	return added
}

// same reports whether b, which this ftl writes, is about the same thing as a.
func same(a, b any) bool {
	x, ok := a.(map[string]any)
	y, also := b.(map[string]any)
	if !ok || !also {
		return false
	}
	for _, key := range identity {
		if value, ok := y[key]; ok && !reflect.DeepEqual(value, x[key]) {
			return false
		}
	}
	return true
}
