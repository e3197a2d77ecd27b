package hooks

import (
	"os"
	"path/filepath"
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
		if got := TailLog(path, test.from); got != test.want {
			t.Errorf("from %d: got %q, want %q", test.from, got, test.want)
		}
	}
	if got := TailLog(path+"x", 0); got != "" {
		t.Errorf("without a log: %q", got)
	}
}
