package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A tracer runs a program as its debugger does, and is asked what to do before
// each system call that changes something. Unlike with a debugger from outside,
// the calls of all threads are counted in one row, so that a number names a
// moment of the whole process, and a call that is not a change has no number.
//
// The hooks that the program starts are let go at their birth: they are not
// under test, and outlive their ftl as they would in life.
//
// All methods have to be called on one thread of the system, which the caller
// has locked: the kernel takes that thread for the debugger.
type tracer struct {
	visit  func(call) verdict
	leader int
	known  map[int]bool          // threads that have been seen
	failed map[int]syscall.Errno // calls that were skipped, by thread
	hooks  []int                 // processes that the program has started
}

// verdict is what is to become of a call. The zero value lets it happen.
type verdict struct {
	kill  bool          // the program does not live to see it happen
	errno syscall.Errno // it fails with this instead of happening
}

// ended is how a program's run ended.
type ended struct {
	code   int // the exit code, -1 where a signal ended it
	killed bool
	output string
	hooks  []int // processes that it started, which may live on
}

// patience is how long a run may take that takes a tenth of a second.
const patience = 60 * time.Second

// trace runs a program, and calls visit before each of its changes.
func trace(argv, env []string, visit func(call) verdict) (ended, error) {
	output, err := os.CreateTemp("", "ftl-crash-output-")
	if err != nil {
		return ended{}, err
	}
	defer output.Close()
	if err := os.Remove(output.Name()); err != nil {
		return ended{}, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return ended{}, err
	}
	defer null.Close()
	process, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Dir: "/", Env: env, Files: []*os.File{null, output, output},
		Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return ended{}, err
	}
	defer process.Release()
	hung := time.AfterFunc(patience, func() { unix.Kill(process.Pid, unix.SIGKILL) })
	t := &tracer{visit: visit, leader: process.Pid, known: map[int]bool{process.Pid: true}, failed: map[int]syscall.Errno{}}
	result, err := t.follow()
	if !hung.Stop() && err == nil {
		err = fmt.Errorf("it did not end within %v", patience)
	}
	result.output = readBack(output)
	if err != nil {
		unix.Kill(process.Pid, unix.SIGKILL)
		err = fmt.Errorf("trace %q: %w\n%s", argv, err, result.output)
	}
	return result, err
}

func readBack(f *os.File) string {
	text := make([]byte, 16<<10)
	n, _ := f.ReadAt(text, 0)
	return string(text[:n])
}

// follow lets the program run until its end.
func (t *tracer) follow() (ended, error) {
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
		unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_EXITKILL
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.leader, &status, 0, nil); err != nil {
		return ended{}, err
	}
	if err := unix.PtraceSetOptions(t.leader, options); err != nil {
		return ended{}, err
	}
	if err := unix.PtraceSyscall(t.leader, 0); err != nil {
		return ended{}, err
	}
	for {
		thread, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return ended{}, fmt.Errorf("wait: %w", err)
		}
		switch {
		case thread == t.leader && status.Exited():
			return ended{code: status.ExitStatus(), hooks: t.hooks}, nil
		case thread == t.leader && status.Signaled():
			return ended{code: -1, killed: status.Signal() == unix.SIGKILL, hooks: t.hooks}, nil
		case status.Stopped():
			if err := t.stopped(thread, status); err != nil && !errors.Is(err, unix.ESRCH) {
				return ended{}, err
			}
		}
	}
}

// stopped looks at a thread that the kernel has stopped, and lets it go on. One
// that is gone meanwhile is ESRCH, and no matter.
func (t *tracer) stopped(thread int, status unix.WaitStatus) error {
	isNew := !t.known[thread]
	t.known[thread] = true
	switch signal := status.StopSignal(); {
	case isNew && !t.ownThread(thread):
		t.hooks = append(t.hooks, thread)
		delete(t.known, thread)
		return unix.PtraceDetach(thread)
	case isNew && signal == unix.SIGSTOP:
		return unix.PtraceSyscall(thread, 0)
	case signal == unix.SIGTRAP|0x80:
		return t.atCall(thread)
	case signal == unix.SIGTRAP: // an event, such as a thread's birth
		return unix.PtraceSyscall(thread, 0)
	default:
		return unix.PtraceSyscall(thread, int(signal))
	}
}

func (t *tracer) ownThread(thread int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", t.leader, thread))
	return err == nil
}

// atCall is called before and after each system call.
func (t *tracer) atCall(thread int) error {
	info, err := syscallInfo(thread)
	if err != nil {
		return err
	}
	if errno, skipped := t.failed[thread]; skipped && info.op == opExit {
		delete(t.failed, thread)
		if err := setResult(thread, errno); err != nil {
			return err
		}
	}
	if info.op == opEntry {
		if c, ok := decode(thread, info); ok {
			verdict := t.visit(c)
			if verdict.kill {
				return unix.Kill(t.leader, unix.SIGKILL)
			}
			if verdict.errno != 0 {
				t.failed[thread] = verdict.errno
				if err := skipCall(thread); err != nil {
					return err
				}
			}
		}
	}
	return unix.PtraceSyscall(thread, 0)
}

const (
	ptraceGetSyscallInfo = 0x420e
	opEntry              = 1
	opExit               = 2
)

// callInfo is struct ptrace_syscall_info of the kernel, at the entry.
type callInfo struct {
	op     uint8
	_      [3]uint8
	arch   uint32
	ip, sp uint64
	number uint64
	args   [6]uint64
	_      [2]uint64
}

func syscallInfo(thread int) (info callInfo, err error) {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(thread),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return info, errno
	}
	return info, nil
}

// text reads a string out of a program's memory.
func text(thread int, address uint64) string {
	buf := make([]byte, unix.PathMax)
	s, _, _ := bytes.Cut(buf[:read(thread, address, buf)], []byte{0})
	return string(s)
}

// read reads as much of a program's memory as there is at an address.
func read(thread int, address uint64, buf []byte) int {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", thread))
	if err != nil {
		return 0
	}
	defer memory.Close()
	n, _ := memory.ReadAt(buf, int64(address)) // a page that ends there is no error
	return n
}

// opened returns what a program's descriptor is of.
func opened(thread int, fd uint64) string {
	name, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(thread), "fd", strconv.Itoa(int(int32(fd)))))
	if err != nil {
		return ""
	}
	return name
}

// at returns the path that a name means in the directory of a descriptor.
func at(thread int, fd uint64, name string) string {
	if filepath.IsAbs(name) || int32(fd) == unix.AT_FDCWD {
		return name
	}
	return filepath.Join(opened(thread, fd), name)
}
