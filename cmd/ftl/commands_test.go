package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"

	"github.com/rhettg/ftl/store"
)

// scriptCommands are what the scripts need beside testscript's own commands.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits":         exits,
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
}

// bucketDir is the key of the value that holds the directory in which the
// bucket's objects are files.
type bucketDirKey struct{}

var bucketDir bucketDirKey

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

// capture VARIABLE COMMAND [ARG...] runs a command that must succeed, and puts
// what it prints into a variable.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: capture VARIABLE COMMAND [ARG...]")
	}
	ts.Check(ts.Exec(args[1], args[2:]...))
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// bucket opens the script's bucket.
func bucket(ts *testscript.TestScript) store.Bucket {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"} {
		// The same for every script, so that they may run side by side.
		if value := ts.Getenv(name); value != "" && os.Getenv(name) != value {
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

// bucketList [PREFIX] prints the keys of the bucket, reserved ones left out.
// Negated, it wants none.
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
	dir, key, then := ts.Value(bucketDir).(string), args[0], time.Now().Add(-age)
	was, err := bucket(ts).Stat(context.Background(), key)
	ts.Check(err)
	ts.Check(os.Chtimes(filepath.Join(dir, key), then, then))
	now, err := bucket(ts).Stat(context.Background(), key)
	ts.Check(err)
	if now.Metadata == nil && was.Metadata != nil {
		// A directory keeps the metadata under the ETag, which has changed with the time.
		meta := filepath.Join(dir, ".meta", key+".")
		ts.Check(os.Rename(meta+was.ETag, meta+now.ETag))
	}
}

// Scripts wait for files that a process in the background makes or deletes.
const waitLimit = 30 * time.Second

func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	awaitFiles(ts, neg, args, func(err error) bool { return err == nil })
}

func waitGone(ts *testscript.TestScript, neg bool, args []string) {
	awaitFiles(ts, neg, args, func(err error) bool { return err != nil })
}

// waitText FILE TEXT waits until a file, which may not be there yet, holds a
// text.
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
