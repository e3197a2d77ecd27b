package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// skipCall makes the kernel pass over the call that a thread is about to make.
func skipCall(thread int) error {
	var registers unix.PtraceRegs
	if err := unix.PtraceGetRegs(thread, &registers); err != nil {
		return err
	}
	registers.Orig_rax = ^uint64(0) // no call has this number
	return unix.PtraceSetRegs(thread, &registers)
}

// setResult makes the call that a thread has just made an error.
func setResult(thread int, errno syscall.Errno) error {
	var registers unix.PtraceRegs
	if err := unix.PtraceGetRegs(thread, &registers); err != nil {
		return err
	}
	registers.Rax = -uint64(errno)
	return unix.PtraceSetRegs(thread, &registers)
}
