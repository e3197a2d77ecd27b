package cmd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A process that is stuck in open(2) never gets to know that its context has ended.
func TestFirstSignalEndsWhatIsStuck(t *testing.T) {
	if fifo := os.Getenv("FTL_TEST_STUCK"); fifo != "" {
		_, stop := (&Program{}).WithSignals(context.Background())
		defer stop()
		fmt.Println("ready")
		os.OpenFile(fifo, os.O_RDONLY, 0)
		return
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	stuck := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	stuck.Env = append(os.Environ(), "FTL_TEST_STUCK="+fifo)
	output, err := stuck.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stuck.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := output.Read(make([]byte, len("ready"))); err != nil {
		t.Fatal(err)
	}
	if err := stuck.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stuck.Wait() }()
	select {
	case <-ended:
		if status, ok := stuck.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
			t.Errorf("got %v, want that TERM has ended it", stuck.ProcessState)
		}
	case <-time.After(time.Minute):
		stuck.Process.Kill()
		t.Error("it is still there")
	}
}
