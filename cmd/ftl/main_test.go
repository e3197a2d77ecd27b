package main

import (
	"context"
	"crypto/rand"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rhettg/ftl/store/s3test"
)

// TestMain lets more scripts run at the same time than there are processors, as many of them wait:
// for a lock, a time-out, a second that has to pass.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"ftl": main})
}

// TestScripts runs every script of testdata/scripts on both kinds of bucket: what a user sees must
// not depend on where the bucket is.
func TestScripts(t *testing.T) {
	t.Run("directory", func(t *testing.T) {
		runScripts(t, "directory", func(env *testscript.Env) error {
			dir := filepath.Join(env.WorkDir, "bucket")
			env.Setenv("FTL_BUCKET", "file://"+dir)
			env.Values[bucketDir] = dir
			return os.Mkdir(dir, 0o755)
		})
	})
	t.Run("s3", func(t *testing.T) {
		server := s3test.Start(t)
		runScripts(t, "s3", func(env *testscript.Env) error {
			name := "ftl-" + strings.ToLower(rand.Text())
			for _, variable := range server.Env() {
				name, value, _ := strings.Cut(variable, "=")
				env.Setenv(name, value)
			}
			env.Setenv("FTL_BUCKET", "s3://"+name+"/some/prefix")
			env.Setenv(bucketServer, server.Endpoint)
			env.Values[bucketProxy] = sync.OnceValue(func() *s3test.Proxy { return s3test.NewProxy(t, server.Endpoint) })
			return server.MakeBucket(context.Background(), name)
		})
	})
}

// canPin reports whether a file can be made immutable, which takes root and a file system that
// knows of it.
func canPin(t *testing.T) bool {
	path := filepath.Join(t.TempDir(), "pinned")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	defer exec.Command("chattr", "-i", path).Run()
	return exec.Command("chattr", "+i", path).Run() == nil
}

func runScripts(t *testing.T, kind string, makeBucket func(*testscript.Env) error) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "scripts"),
		RequireExplicitExec: true,
		Condition: func(condition string) (bool, error) {
			switch condition {
			case "root":
				return os.Geteuid() == 0, nil
			case "immutable":
				return canPin(t), nil
			case "mounts":
				return canMount(t), nil
			}
			return condition == kind, nil
		},
		Setup: func(env *testscript.Env) error {
			root := filepath.Join(env.WorkDir, "root")
			env.Setenv("FTL_ENV_FILE", "none")
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
