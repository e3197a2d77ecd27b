package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ftl": main})
}

// TestScripts runs every script of testdata/scripts on both kinds of bucket:
// what a user sees must not depend on where the bucket is.
func TestScripts(t *testing.T) {
	t.Run("directory", func(t *testing.T) {
		runScripts(t, "directory", func(env *testscript.Env) error {
			dir := filepath.Join(env.WorkDir, "bucket")
			env.Setenv("FTL_BUCKET", "file://"+dir)
			env.Values[bucketDir] = dir
			return os.Mkdir(dir, 0o755)
		})
	})
}

func runScripts(t *testing.T, kind string, makeBucket func(*testscript.Env) error) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "scripts"),
		RequireExplicitExec: true,
		Condition: func(condition string) (bool, error) {
			return condition == kind || condition == "root" && os.Geteuid() == 0, nil
		},
		Setup: func(env *testscript.Env) error {
			root := filepath.Join(env.WorkDir, "root")
			env.Setenv("FTL_ROOT", root)
			env.Setenv("FTL_NODE", "web1")
			env.Setenv("FTL_LOCK_WAIT", "30s")
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("TZ", "UTC")
			if err := os.Mkdir(root, 0o755); err != nil {
				return err
			}
			return makeBucket(env)
		},
		Cmds: scriptCommands,
	})
}
