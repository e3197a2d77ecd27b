// Crash stops ftl at every system call that changes something, by SIGKILL and by
// cutting the power of the disk under it, and looks whether anything was lost.
// README.md in testdata says what is checked, and how to run it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	var opts options
	flag.Float64Var(&opts.scale, "scale", defaultScale(), "how much to try: 1 is for each change of the code, 16 tries every point in every mode; the default is FTL_TEST_SCALE")
	flag.StringVar(&opts.run, "run", "", "run only the scenarios that `regexp` matches")
	flag.StringVar(&opts.parts, "parts", "order|crashes|recoveries|again|errors|full|mutations", "run only the parts that `regexp` matches")
	flag.StringVar(&opts.dir, "dir", defaultDir(), "the `directory` to work in")
	flag.IntVar(&opts.workers, "workers", 2*runtime.NumCPU(), "how many cases run at once; each waits for disks half of its time")
	flag.Uint64Var(&opts.seed, "seed", uint64(time.Now().Unix()), "of what is chosen at random")
	flag.Parse()

	// Whatever ends it, also a pipe that it prints to, it unmounts first.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, opts)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

type options struct {
	scale   float64
	run     string
	parts   string
	dir     string
	workers int
	seed    uint64
}

// defaultScale is the variable that all tests have in common.
func defaultScale() float64 {
	scale, err := strconv.ParseFloat(os.Getenv("FTL_TEST_SCALE"), 64)
	if err != nil || scale <= 0 {
		return 1
	}
	return scale
}

// defaultDir is in memory, where there is such a place: what counts is what
// reaches the image, and not where that is.
func defaultDir() string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return os.TempDir()
}
