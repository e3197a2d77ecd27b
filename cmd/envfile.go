package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/strictmodes"
)

// envFile is where a machine keeps the variables that cron, an ssh command and a login shell don't
// have. It is absent on most.
const envFile = "/etc/ftl/env"

// envFileNone in the place of a path says that no file is read.
const envFileNone = "none"

// maxEnvFile is in bytes.
const maxEnvFile = 64 << 10

// settingEnvFile is read before all others, by every command but those that only print what the
// program itself knows.
var settingEnvFile = setting{
	variable: "FTL_ENV_FILE", usage: "a file of variables that the environment lacks, or none", fallback: envFile, example: "/srv/app/ftl.env",
}

// loadEnvFile adds to the environment what the file has and the environment lacks, for the process
// as a whole: the SDK of the bucket and hooks read it too.
func (p *Program) loadEnvFile() error {
	path, given := p.LookupEnv(settingEnvFile.variable)
	if p.envFile != "" {
		path = p.envFile
	}
	switch {
	case path == envFileNone:
		return nil
	case path == "" && given: // set, and to nothing
		return nil
	case path == "":
		path = envFile
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	text, err := readEnvFile(path)
	if err != nil {
		return envFileError(path, err)
	}
	assignments, err := parseEnv(text)
	if err != nil {
		return envFileError(path, err)
	}
	p.envPath, p.fromFile = path, make(map[string]bool)
	for _, a := range assignments {
		if isKey(a.name) {
			return envFileError(path, fmt.Errorf("it has %s: keys have no place where every command and its hooks are given them", a.name))
		}
		if _, set := p.LookupEnv(a.name); !set || p.fromFile[a.name] { // the last line of a name holds
			if err := p.setenv(a); err != nil {
				return envFileError(path, err)
			}
		}
	}
	return nil
}

// isKey reports whether a variable names a key, or is one, that only somebody at work should have.
func isKey(name string) bool {
	return name == settingSignKey.variable || strings.HasPrefix(name, "FTL_SERVE_") && name != settingServeState.variable
}

// setenv sets a variable of this run and, if there is one, of its process.
func (p *Program) setenv(a assignment) error {
	p.fromFile[a.name] = true
	p.Environ = append(p.Environ, a.name+"="+a.value)
	if p.Setenv == nil {
		return nil
	}
	return p.Setenv(a.name, a.value)
}

// readEnvFile reads a file that nobody else could have written: whoever writes it decides what runs
// here.
func readEnvFile(path string) (string, error) {
	if err := strictmodes.Check(path); err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a fifo must not block
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errors.New("it is not a regular file")
	case info.Size() > maxEnvFile:
		return "", fmt.Errorf("it is larger than %d KiB", maxEnvFile>>10)
	}
	if err := strictmodes.CheckInfo(path, info, false); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxEnvFile))
	return string(text), err
}

// envFileError is never passed over: a host that runs without its settings does other things than
// its owner thinks.
func envFileError(path string, err error) error {
	hint := "mend it, or go without: export " + settingEnvFile.variable + "=" + envFileNone
	unsafe, isUnsafe := errors.AsType[*strictmodes.Error](err)
	failure, isPath := errors.AsType[*fs.PathError](err)
	switch {
	case isUnsafe:
		hint = unsafe.Remedy + " " + ftl.Quoted(unsafe.Path) + "; or go without: export " + settingEnvFile.variable + "=" + envFileNone
	case isPath:
		err = failure.Err
		if failure.Path != path {
			err = fmt.Errorf("%s: %w", failure.Path, failure.Err)
		}
	}
	return usage(fmt.Errorf("%s: read %s: %w", settingEnvFile.variable, path, err), hint)
}

// needsNoEnvironment is the annotation of a command that takes nothing from the environment, so
// that it works whatever is wrong with that.
const needsNoEnvironment = "no environment"

// prepare does what comes before every command.
func (p *Program) prepare(command *cobra.Command) error {
	if !command.HasParent() { // "ftl" alone shows the help
		return nil
	}
	for c := command; c != nil; c = c.Parent() {
		if _, ok := c.Annotations[needsNoEnvironment]; ok {
			return nil
		}
	}
	return p.loadEnvFile()
}
