package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func readStat(pid int) (processStat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, syscall.ESRCH) { // it ended between open and read
		return processStat{}, fs.ErrNotExist
	}
	if err != nil {
		return processStat{}, err
	}
	return parseStat(text)
}

// parseStat reads the line described in proc_pid_stat(5). Its second field is
// the command's name in parentheses, which may hold spaces and parentheses
// itself: count from the last one, behind which field 3 is.
func parseStat(text []byte) (processStat, error) {
	const state, parent, start = 3, 4, 22
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) <= start-3 {
		return processStat{}, fmt.Errorf("parse stat %q: too few fields", text)
	}
	ticks, err := strconv.ParseUint(string(fields[start-3]), 10, 64)
	if err != nil {
		return processStat{}, fmt.Errorf("parse stat %q: %w", text, err)
	}
	ppid, err := strconv.Atoi(string(fields[parent-3]))
	if err != nil {
		return processStat{}, fmt.Errorf("parse stat %q: %w", text, err)
	}
	stat := processStat{start: ticks, parent: ppid}
	switch string(fields[state-3]) {
	case "Z", "X", "x":
		stat.ended = true
	}
	return stat, nil
}

// sinceBoot counts the time in which the machine was suspended, as the start of
// a process does.
func sinceBoot() (time.Duration, error) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return time.Duration(now.Nano()), err
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}
