package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTailLogIsWhatFollowsAnOffset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(path, []byte("before\nafter \x1b\nlast\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		from int64
		want string
	}{
		{7, "after \\x1b\nlast"},
		{0, "before\nafter \\x1b\nlast"},
		{20, ""},                               // the end
		{1 << 20, "before\nafter \\x1b\nlast"}, // it was cut meanwhile
	}
	for _, test := range tests {
		if got := TailLog(nil, path, test.from); got != test.want {
			t.Errorf("from %d: got %q, want %q", test.from, got, test.want)
		}
	}
	if got := TailLog(nil, path+"x", 0); got != "" {
		t.Errorf("without a log: %q", got)
	}
}

// A last line that is longer than what is shown is shown by its end.
func TestTailOfOneLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	for _, end := range []string{"", "\n", "\n\n"} {
		if err := os.WriteFile(path, []byte("before\n"+strings.Repeat("x", 5<<10)+" the end"+end), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := TailLog(nil, path, 0); !strings.HasSuffix(got, "x the end") || len(got) < 4000 {
			t.Errorf("got %d bytes, %.20q, want the end of the line", len(got), got)
		}
	}
}
