package catalog

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestMarkerRoundTrip(t *testing.T) {
	pkg := parsePackage(t, "tool")
	entry := Entry{
		Revision: parse(t, "tool.2026112145296Wq"), Op: "k3f9",
		At: time.Date(2026, 11, 21, 12, 34, 56, 0, time.UTC), Kind: KindJump,
	}
	for _, words := range []struct{ by, note string }{
		{"ops@build1", ""},
		{"ops@build1", "fix login"},
		{"", `he said "no" = \ and left`},
		{"ops team@build 1", "a line\nand\tanother \x00 \xff"},
		{`"quoted"`, `"`},
		{"key=value", " "},
		{"`back`", "'single'"},
	} {
		want := entry
		want.By, want.Note = words.by, words.note
		text, err := Marker{Package: pkg}.Add(&want)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(text), "\n"); lines != 1 {
			t.Errorf("%q has %d lines, want 1", text, lines)
		}
		got, err := parseMarker(pkg, string(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got[0].line = ""
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("%q is read as %+v, want %+v", text, got[0], want)
		}
	}
}

func TestMarkerLine(t *testing.T) {
	entry := Entry{
		Revision: parse(t, "tool.2026112145296Wq"), Serial: 1795221576, Op: "k3f9",
		At: time.Date(2026, 11, 21, 12, 34, 56, 0, time.UTC), By: "ops@build1", Kind: KindJump, Note: "fix login",
	}
	const want = `tool.2026112145296Wq serial=1795221576 op=k3f9 at=2026-11-21T12:34:56Z by=ops@build1 kind=jump note="fix login"`
	if got := entry.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseMarker(t *testing.T) {
	pkg := parsePackage(t, "tool")
	for text, want := range map[string]int{
		"tool.1\n":                               1,
		"tool.1":                                 1,
		"tool.2\ntool.1\n":                       2,
		"\n  tool.2\r\n\n\ntool.1\n\n":           2,
		"tool.2 serial=7 future=\"a b\" flag x=": 1,
		"tool.2  serial=7\ttool.1":               1,

		"":                               0,
		"\n \n":                          0,
		"other.1\n":                      0,
		"tool.2\nother.1\n":              0,
		"tool.rev\n":                     0,
		"tool\n":                         0,
		"<html>":                         0,
		"tool.1 serial=":                 0,
		"tool.1 serial=-1":               0,
		"tool.1 serial=1.5":              0,
		"tool.1 serial=9007199254740993": 0,
		"tool.1 at=yesterday":            0,
		"tool.1 note=\"open":             0,
	} {
		entries, err := parseMarker(pkg, text)
		if len(entries) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d entries, %v; want %d entries", text, len(entries), err, want)
		}
	}
}

// Whatever can be read is kept as it is when an entry is put on top of it.
func FuzzParseMarker(f *testing.F) {
	f.Add("tool.1\ntool.0\n")
	f.Add("# a comment\ntool.1 serial=7 !retired !param.A=b\n#\ntool.0\n")
	f.Add(`tool.1 serial=7 op=k3f9 at=2026-11-21T12:34:56Z by=ops@build1 kind=jump note="fix \"it\"" new=key` + "\n")
	f.Add("tool.1 serial=9007199254740992")
	f.Add("tool.1 note=\"a\u0085b\" \ttool.2\u00a0\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		pkg := parsePackage(t, "tool")
		old, err := parseMarker(pkg, text)
		if err != nil {
			t.Skip()
		}
		entry := Entry{Revision: parse(t, "tool.x"), At: time.Unix(1_800_000_000, 0).UTC(), By: "me", Kind: KindJump}
		added, err := Marker{Package: pkg, Entries: old}.Add(&entry)
		if err != nil {
			if old[0].Serial != MaxSerial {
				t.Fatalf("add: %v", err)
			}
			t.Skip()
		}
		if entry.Serial <= old[0].Serial {
			t.Errorf("the serial went from %d to %d", old[0].Serial, entry.Serial)
		}
		entries, err := parseMarker(pkg, string(added))
		if err != nil {
			t.Fatalf("%q: %v", added, err)
		}
		entries[0].line = ""
		if !reflect.DeepEqual(entries[0], entry) {
			t.Errorf("the new entry is read as %+v, want %+v", entries[0], entry)
		}
		if kept := old[:min(len(old), MaxEntries-1)]; !reflect.DeepEqual(entries[1:], kept) {
			t.Errorf("%q is read as %+v, want %+v", added, entries[1:], kept)
		}
	})
}

func TestSerialRises(t *testing.T) {
	const now = 1_800_000_000
	for _, test := range []struct {
		name  string
		last  string // line of the marker
		least int64  // that is asked for
		want  int64
	}{
		{"first", "", now, now},
		{"later", "tool.1 serial=1700000000", now, now},
		{"same second", "tool.1 serial=1800000000", now, now + 1},
		{"clock set back", "tool.1 serial=1800000000", now - 1_000_000, now + 1},
		{"clock before 1970", "tool.1 serial=5", -100, 6},
		{"older bucket", "tool.1", now, now},
		{"older bucket, no clock", "tool.1", 0, 1},
		{"absurd serial", "tool.1 serial=9007199254740991", now, 9007199254740992},
	} {
		t.Run(test.name, func(t *testing.T) {
			marker := Marker{Package: parsePackage(t, "tool")}
			if test.last != "" {
				entry, err := parseEntry(test.last)
				if err != nil {
					t.Fatal(err)
				}
				marker.Entries = []Entry{entry}
			}
			entry := Entry{Revision: parse(t, "tool.2"), Serial: test.least}
			if _, err := marker.Add(&entry); err != nil || entry.Serial != test.want {
				t.Errorf("serial %d, %v; want %d", entry.Serial, err, test.want)
			}
		})
	}
}

// Nobody could read a marker with a greater serial, so it must not be written.
func TestGreatestSerialDoesNotRise(t *testing.T) {
	marker := Marker{Package: parsePackage(t, "tool"), Entries: []Entry{{Revision: parse(t, "tool.1"), Serial: MaxSerial}}}
	if text, err := marker.Add(&Entry{Revision: parse(t, "tool.2"), At: time.Now()}); err == nil {
		t.Errorf("wrote %q", text)
	}
}
