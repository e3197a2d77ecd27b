package hooks

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// daemon says who it is, waits to be woken up, says something on the stdout it
// got from the hook, answers, and goes on.
const daemon = `#!/bin/sh
read -r word < wake
echo "the daemon got $word"
echo $$ > answer
exec sleep 60
`

func TestDaemonLivesOn(t *testing.T) {
	for name, script := range map[string]string{
		"background":   "./daemon &",
		"nohup":        "nohup ./daemon &",
		"setsid":       "setsid ./daemon &",
		"double fork":  "( ( ./daemon & ) & )",
		"keeps stdout": "exec 5>&1; ./daemon 1>&5 2>&5 &",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newRevision(t, "#!/bin/sh\necho started\n"+script+"\nexit 0\n")
			writeFile(t, filepath.Join(dir, "daemon"), daemon, 0o755)
			makeFifo(t, filepath.Join(dir, "wake"))
			makeFifo(t, filepath.Join(dir, "answer"))

			if err := run(t, dir, Options{Timeout: 20 * time.Second}); err != nil {
				t.Fatal(err)
			}
			p := wakeDaemon(t, dir)
			wantAlive(t, p, true)
			if got, want := readFile(t, logOf(dir)), "started\nthe daemon got up\n"; !strings.HasSuffix(got, want) {
				t.Errorf("log %q, want %q", got, want)
			}
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
			wantGone(t, p)
		})
	}
}

// wakeDaemon returns the process of the daemon, which has written to its log by
// then.
func wakeDaemon(t *testing.T, dir string) Process {
	t.Helper()
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		// Each open waits for the daemon to open the other end.
		if err := os.WriteFile(filepath.Join(dir, "wake"), []byte("up\n"), 0); err != nil {
			answered <- answer{err: err}
			return
		}
		text, err := os.ReadFile(filepath.Join(dir, "answer"))
		answered <- answer{text, err}
	}()
	select {
	case a := <-answered:
		pid, err := strconv.Atoi(strings.TrimSpace(string(a.text)))
		if a.err != nil || err != nil {
			t.Fatalf("read answer: %v, %v", a.err, err)
		}
		p, err := Of(pid)
		if err != nil {
			t.Fatal(err)
		}
		return p
	case <-time.After(5 * time.Second):
		t.Fatal("the daemon doesn't answer")
	}
	panic("unreachable")
}
