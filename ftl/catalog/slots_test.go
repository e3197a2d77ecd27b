package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rhettg/ftl/store"
)

// The environment by which a process knows that it races for a slot: in which bucket, as which
// host, and the directory in which it says that it holds the slot.
const (
	raceBucket = "FTL_TEST_SLOT_BUCKET"
	raceNode   = "FTL_TEST_SLOT_NODE"
	raceDir    = "FTL_TEST_SLOT_DIR"
)

// Fifty processes race for one slot, each a host. Each gets it at last, and never do two of them
// hold it.
func TestSlotRace(t *testing.T) {
	const racers = 50
	bucket, dir := "file://"+t.TempDir(), t.TempDir()
	type racer struct {
		*exec.Cmd
		said bytes.Buffer
	}
	racing := make([]*racer, racers)
	for i := range racing {
		r := &racer{Cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRaceForSlot$")}
		r.Env = append(os.Environ(), raceBucket+"="+bucket, raceNode+"="+fmt.Sprintf("web-%d", i), raceDir+"="+dir)
		r.Stdout, r.Stderr = &r.said, &r.said
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		racing[i] = r
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for i, r := range racing {
		if err := r.Wait(); err != nil {
			t.Errorf("host %d: %v\n%s", i, err, &r.said)
		}
	}
	turns, err := filepath.Glob(filepath.Join(dir, "had.*"))
	if err != nil || len(turns) != racers {
		t.Errorf("%d hosts have had the slot, want %d; %v", len(turns), racers, err)
	}
}

// TestRaceForSlot is one of the processes of TestSlotRace.
func TestRaceForSlot(t *testing.T) {
	url, node, dir := os.Getenv(raceBucket), NodeOf(os.Getenv(raceNode)), os.Getenv(raceDir)
	if url == "" {
		t.Skip("it is no test by itself")
	}
	bucket, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, pkg, held := &Catalog{Bucket: bucket}, parsePackage(t, "my_site"), filepath.Join(dir, "held")
	for {
		if _, err := os.Stat(filepath.Join(dir, "go")); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	for {
		slot, _, err := c.Slot(t.Context(), pkg, 1)
		if err != nil {
			t.Fatal(err)
		}
		if slot.Host == (Node{}) {
			slot, err = c.Take(t.Context(), pkg, slot, node, 7, time.Now().Add(time.Hour))
		}
		if errors.Is(err, ErrSlotTaken) || slot.Host != node {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(held, 0o755); err != nil {
			t.Fatalf("two hosts hold the slot: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "had."+node.String()), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(held); err != nil {
			t.Fatal(err)
		}
		if err := c.Give(t.Context(), pkg, slot); err != nil {
			t.Fatal(err)
		}
		return
	}
}
