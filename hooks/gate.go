package hooks

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// gate is what the child runs first. It waits for a line on descriptor 3 and
// then becomes the hook, with the same pid and process group. At the end of
// file, which is what the kernel makes of a dead ftl, it gives up. The hook
// doesn't inherit the descriptor.
//
// The parent-death signal of Linux can't do this: it fires when the thread that
// made the child ends, and a Go program's threads come and go.
//
// A file without a "#!" line is run by this same shell. Only a shell can set
// the umask for one child: ftl's own belongs to all of its goroutines.
// The hook is named by a path relative to the directory that the child was
// started in, which is a handle and not a path.
const gate = `umask 022; IFS= read -r _ <&3 || exit 125; exec 3<&- "$0"`

// A child is a hook's process, ftl's own child, from the gate to its end.
type child struct {
	cmd  *exec.Cmd
	gate *os.File      // written to once to let the hook run
	done chan struct{} // closed when the process has ended and been waited for
	err  error         // what waiting for it gave; read it after done
}

// start starts a child that stands at the gate. Either admit or refuse must
// follow.
func (s Script) start(env []string, output *os.File) (*child, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", gate, "./"+s.Path)
	cmd.Dir = workingDirectory(s.dir)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, err
	}
	return &child{cmd: cmd, gate: w, done: make(chan struct{})}, nil
}

// admit lets the hook run once it has been recorded. If that fails, or ctx is
// done by then, the hook doesn't run and the child is gone.
func (c *child) admit(ctx context.Context, record func(Process) error) error {
	err := c.record(record)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		// An error would mean that the child has ended already, and waiting
		// for it tells how.
		_, _ = c.gate.WriteString("\n")
	}
	c.gate.Close()
	go func() {
		defer close(c.done)
		c.err = c.cmd.Wait()
	}()
	if err != nil {
		<-c.done
	}
	return err
}

func (c *child) record(record func(Process) error) error {
	if record == nil {
		return nil
	}
	p, err := Of(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if err := record(p); err != nil {
		return fmt.Errorf("record process %d: %w", p.PID, err)
	}
	return nil
}
