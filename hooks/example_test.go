package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rhettg/ftl/hooks"
)

// revisionWith makes a revision that brings one hook.
func revisionWith(name hooks.Name, script string) (dir string, remove func()) {
	top, err := os.MkdirTemp("", "hooks-example-")
	if err != nil {
		panic(err)
	}
	dir = filepath.Join(top, "my_site.2026112145296Wq")
	if err := os.MkdirAll(filepath.Join(dir, "ftl"), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ftl", string(name)), []byte(script), 0o755); err != nil {
		panic(err)
	}
	return dir, func() { os.RemoveAll(top) }
}

func Example() {
	path, remove := revisionWith(hooks.PostJump, "#!/bin/sh\necho \"now serving, $FTL_REASON\"\nexit 3\n")
	defer remove()
	dir, err := hooks.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dir.Close()

	_, err = hooks.Find(dir, hooks.PreJump)
	fmt.Println("no pre-jump:", errors.Is(err, fs.ErrNotExist))

	script, err := hooks.Find(dir, hooks.PostJump)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = script.Run(context.Background(), hooks.Options{
		Env:     []string{"FTL_REASON=jump"},
		Log:     path + ".log",
		Output:  os.Stdout,
		Timeout: time.Minute,
	})
	if exit, ok := errors.AsType[*hooks.ExitError](err); ok {
		fmt.Println("exit code", exit.Code)
	}
	// Output:
	// no pre-jump: true
	// my_site.2026112145296Wq post-jump | now serving, jump
	// exit code 3
}

func ExampleCandidates() {
	for _, path := range hooks.Candidates(hooks.PostJump) {
		fmt.Println(path)
	}
	// Output:
	// ftl/post-jump
	// ftl/post-jump.sh
	// post-jump.sh
}
