package hooks

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// checkStart returns why the script can't be started, as far as can be told
// beforehand. The shell at the gate would tell as well, but with the exit codes
// 126 and 127, which a hook may also give, and it would run a program for
// another processor as if it were a shell script.
func (s Script) checkStart() error {
	if err := unix.Faccessat(int(s.dir.Fd()), s.Path, unix.X_OK, 0); err != nil {
		return fmt.Errorf("access %s: %w (is the file system mounted noexec?)", s.Path, err)
	}
	f, err := s.open()
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 256) // as much of the first line as Linux reads
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	switch {
	case bytes.HasPrefix(line, []byte("#!")):
		return s.checkInterpreter(string(line[2:]))
	case bytes.HasPrefix(line, []byte(elf.ELFMAG)):
		return checkProgram(f)
	case bytes.IndexByte(line, 0) >= 0:
		return errors.New("it is neither a script nor a program for this system")
	}
	return nil // the shell runs it
}

// checkInterpreter checks the program that a first line "#!rest" names.
func (s Script) checkInterpreter(rest string) error {
	words := strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 {
		return errors.New("its first line names no interpreter")
	}
	path := words[0]
	if strings.HasSuffix(rest, "\r") {
		return fmt.Errorf("its lines end in CR LF, and there is no interpreter %q: save it with Unix line ends", path)
	}
	// A relative path begins where the hook will be started.
	if err := unix.Faccessat(int(s.dir.Fd()), path, unix.X_OK, 0); err != nil {
		return fmt.Errorf("its interpreter %s: %w", words[0], err)
	}
	return nil
}

// Check returns why Run could not start the script, as far as can be told without starting it.
// Where env looks for the interpreter, that is in the PATH that hooks have if the process has this
// one.
func (s Script) Check(processPath string) error {
	if err := s.checkStart(); err != nil {
		return err
	}
	f, err := s.open()
	if err != nil {
		return err
	}
	defer f.Close()
	line, _ := bufio.NewReader(io.LimitReader(f, 256)).ReadString('\n')
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if !strings.HasPrefix(line, "#!") || len(words) < 2 || path.Base(words[0]) != "env" || strings.HasPrefix(words[1], "-") || strings.Contains(words[1], "=") {
		return nil
	}
	searched := withSystemPrograms(processPath, ownDirectory())
	for _, dir := range filepath.SplitList(searched) {
		if unix.Faccessat(int(s.dir.Fd()), filepath.Join(dir, words[1]), unix.X_OK, 0) == nil {
			return nil
		}
	}
	return fmt.Errorf("its interpreter %s is not in PATH, which is %s", words[1], searched)
}

// checkProgram refuses programs for another processor, where it is known which
// ones this processor runs.
func checkProgram(r io.ReaderAt) error {
	f, err := elf.NewFile(r)
	if err != nil {
		return fmt.Errorf("read program: %w", err)
	}
	defer f.Close()
	runs := map[string][2]elf.Machine{
		"amd64": {elf.EM_X86_64, elf.EM_386},
		"arm64": {elf.EM_AARCH64, elf.EM_ARM},
	}
	machines, known := runs[runtime.GOARCH]
	if known && f.Machine != machines[0] && f.Machine != machines[1] {
		return fmt.Errorf("it is a program for another processor (%v)", f.Machine)
	}
	return nil
}
