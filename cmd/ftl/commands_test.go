package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/store"
	"github.com/rhettg/ftl/store/s3test"
)

// scriptCommands are what the scripts need beside testscript's own commands.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits":         exits,
	"as":            as,
	"capture":       capture,
	"bucket-put":    bucketPut,
	"bucket-fill":   bucketFill,
	"bucket-delete": bucketDelete,
	"bucket-get":    bucketGet,
	"bucket-list":   bucketList,
	"bucket-age":    bucketAge,
	"archive":       archiveFile,
	"compress":      compress,
	"wait-for":      waitFor,
	"wait-gone":     waitGone,
	"wait-text":     waitText,
	"mount-small":   mountSmall,
	"hinted":        hinted,
	"typed":         typed,
}

// The keys of what a script knows of its bucket.
type bucketValue int

const (
	bucketDir   bucketValue = iota // the directory in which the bucket's objects are files
	bucketProxy                    // makes a proxy before the server that has the bucket
)

// bucketServer is the variable that names the server itself, also for a script whose ftl has a
// proxy before it.
const bucketServer = "S3_SERVER"

// exits CODE COMMAND [ARG...] runs a command that must end with that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// as USER CODE COMMAND [ARG...] runs a command as another user, which takes root. It must end with
// that exit code.
func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: as USER CODE COMMAND [ARG...]")
	}
	account, err := user.Lookup(args[0])
	ts.Check(err)
	binary, err := exec.LookPath("ftl")
	ts.Check(err)
	for _, dir := range []string{ts.Getenv("WORK"), filepath.Dir(binary)} { // in directories of root's alone
		for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			info, err := os.Stat(dir)
			ts.Check(err)
			ts.Check(os.Chmod(dir, info.Mode()|0o111))
		}
	}
	exits(ts, false, append([]string{args[1], "setpriv", "--reuid", account.Uid, "--regid", account.Gid, "--clear-groups"}, args[2:]...))
}

// capture VARIABLE COMMAND [ARG...] runs a command that must succeed, and puts what it prints into
// a variable.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: capture VARIABLE COMMAND [ARG...]")
	}
	ts.Check(ts.Exec(args[1], args[2:]...))
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// bucket opens the script's bucket.
func bucket(ts *testscript.TestScript) store.Bucket {
	// The same for every script, so that they may run side by side.
	for name, from := range map[string]string{
		"AWS_ENDPOINT_URL": bucketServer, "AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
		"AWS_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY", "AWS_REGION": "AWS_REGION",
	} {
		if value := ts.Getenv(from); value != "" && os.Getenv(name) != value {
			ts.Check(os.Setenv(name, value))
		}
	}
	b, err := store.Open(context.Background(), ts.Getenv("FTL_BUCKET"), store.Options{})
	ts.Check(err)
	return b
}

// bucketPut KEY FILE puts an object that ftl did not make.
func bucketPut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bucket-put KEY FILE")
	}
	data := []byte(ts.ReadFile(args[1]))
	_, err := bucket(ts).Put(context.Background(), args[0], bytes.NewReader(data), store.PutOptions{SHA256: sha256.Sum256(data)})
	ts.Check(err)
}

// bucketFill KEY NUMBER puts that many empty objects; %d in the key is counted.
func bucketFill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bucket-fill KEY NUMBER")
	}
	number, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := bucket(ts)
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(32)
	for i := range number {
		group.Go(func() error {
			_, err := b.Put(ctx, fmt.Sprintf(args[0], i), bytes.NewReader(nil), store.PutOptions{SHA256: sha256.Sum256(nil), IfAbsent: true})
			return err
		})
	}
	ts.Check(group.Wait())
}

// bucketDelete KEY... deletes objects.
func bucketDelete(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: bucket-delete KEY...")
	}
	for _, key := range args {
		ts.Check(bucket(ts).Delete(context.Background(), key))
	}
}

// bucketGet KEY FILE copies an object to a file.
func bucketGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bucket-get KEY FILE")
	}
	body, _, err := bucket(ts).Get(context.Background(), args[0], store.GetOptions{})
	ts.Check(err)
	defer body.Close()
	var data bytes.Buffer
	_, err = data.ReadFrom(body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data.Bytes(), 0o644))
}

// bucketList [PREFIX] prints the keys of the bucket, reserved ones left out. Negated, it wants
// none.
func bucketList(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) > 1 {
		ts.Fatalf("usage: bucket-list [PREFIX]")
	}
	listing, err := bucket(ts).List(context.Background(), store.ListOptions{Prefix: strings.Join(args, "")})
	ts.Check(err)
	for _, object := range listing.Objects {
		if strings.HasPrefix(object.Key, "_ftl/") {
			continue
		}
		if neg {
			ts.Fatalf("the bucket has %s", object.Key)
		}
		fmt.Fprintln(ts.Stdout(), object.Key)
	}
}

// bucketAge KEY DURATION makes an object that much older.
func bucketAge(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bucket-age KEY DURATION")
	}
	age, err := time.ParseDuration(args[1])
	ts.Check(err)
	key, then := args[0], time.Now().Add(-age)
	was, err := bucket(ts).Stat(context.Background(), key)
	ts.Check(err)
	dir, isDir := ts.Value(bucketDir).(string)
	if !isDir {
		ageBehindProxy(ts, was, then)
		return
	}
	ts.Check(os.Chtimes(filepath.Join(dir, key), then, then))
	now, err := bucket(ts).Stat(context.Background(), key)
	ts.Check(err)
	if now.Metadata == nil && was.Metadata != nil {
		// A directory keeps the metadata under the ETag, which has changed with the time.
		meta := filepath.Join(dir, ".meta", key+".")
		ts.Check(os.Rename(meta+was.ETag, meta+now.ETag))
	}
}

// ageBehindProxy lets ftl, from now on, meet the bucket through a proxy that says when an object
// was written.
func ageBehindProxy(ts *testscript.TestScript, object store.Object, then time.Time) {
	proxy := ts.Value(bucketProxy).(func() *s3test.Proxy)()
	_, prefix, _ := strings.Cut(strings.TrimPrefix(ts.Getenv("FTL_BUCKET"), "s3://"), "/")
	proxy.SetModified(prefix+"/"+object.Key, object.ETag, then)
	ts.Setenv("AWS_ENDPOINT_URL", proxy.URL)
	ts.Setenv("AWS_ENDPOINT_URL_S3", proxy.URL)
}

// Scripts wait for files that a process in the background makes or deletes.
const waitLimit = 30 * time.Second

func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	awaitFiles(ts, neg, args, func(err error) bool { return err == nil })
}

func waitGone(ts *testscript.TestScript, neg bool, args []string) {
	awaitFiles(ts, neg, args, func(err error) bool { return err != nil })
}

// waitText FILE TEXT waits until a file, which may not be there yet, holds a text.
func waitText(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: wait-text FILE TEXT")
	}
	for deadline := time.Now().Add(waitLimit); ; time.Sleep(5 * time.Millisecond) {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(data), args[1]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s has no %q after %v: %q, %v", args[0], args[1], waitLimit, data, err)
		}
	}
}

func awaitFiles(ts *testscript.TestScript, neg bool, args []string, reached func(error) bool) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: wait-for|wait-gone FILE...")
	}
	for _, file := range args {
		deadline := time.Now().Add(waitLimit)
		for {
			_, err := os.Lstat(ts.MkAbs(file))
			if reached(err) {
				break
			}
			if time.Now().After(deadline) {
				ts.Fatalf("%s: not so after %v", file, waitLimit)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// hinted VARIABLE PATTERN puts into a variable what the last command has hinted at: the part of its
// output that the pattern's group matches.
func hinted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: hinted VARIABLE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	match := pattern.FindStringSubmatch(ts.ReadFile("stderr"))
	if match == nil {
		match = pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	}
	if len(match) != 2 {
		ts.Fatalf("nothing was hinted at like %s", args[1])
	}
	ts.Setenv(args[0], match[1])
}

// typed PATTERN types into a shell what the last command has hinted at. It must succeed.
func typed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: typed PATTERN")
	}
	hinted(ts, false, []string{"HINT", args[0]})
	ts.Logf("typed: %s", ts.Getenv("HINT"))
	ts.Check(ts.Exec("sh", "-c", ts.Getenv("HINT")))
}

// mountSmall DIRECTORY SIZE makes a directory a file system of its own, until the script ends.
func mountSmall(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mount-small DIRECTORY SIZE")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(exec.Command("mount", "-t", "tmpfs", "-o", "mode=755,size="+args[1], "tmpfs", dir).Run())
	ts.Defer(func() { exec.Command("umount", dir).Run() })
}

// canMount reports whether this process may mount file systems.
func canMount(t testing.TB) bool {
	dir := t.TempDir()
	if exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).Run() != nil {
		return false
	}
	return exec.Command("umount", dir).Run() == nil
}
