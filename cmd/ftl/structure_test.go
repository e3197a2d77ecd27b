package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rhettg/ftl"

// repository is the top of the checkout, from where this test runs.
var repository = filepath.Join("..", "..")

// arrows says which rooms of the code may import which others of ours. A room is a folder with all
// packages in it. Only the program, and each package below ftl, is a room of its own; one in
// ftl/internal counts as if it stood in ftl. A room that is not here may not be there. Some are
// here before they are there, so that they have their place.
var arrows = map[string][]string{
	"cmd/ftl": {"cmd"},
	"cmd": {
		"ftl", "ftl/serve", "ftl/serve/access", "ftl/serve/notify", "ftl/serve/webhook", "ftl/master", "ftl/host", "ftl/fleet", "ftl/catalog", "ftl/rollout", "ftl/trust",
		"ftl/probe", "ftl/metrics", "ftl/durable", "ftl/strictmodes", "revision", "store", "hooks",
	},

	// Whoever acts. None of them knows another, but for serve, which does what the commands do.
	"ftl/serve":  {"ftl", "ftl/serve/access", "ftl/serve/notify", "ftl/master", "ftl/fleet", "ftl/catalog", "ftl/rollout", "ftl/trust", "ftl/durable", "revision", "store"},
	"ftl/master": {"ftl", "ftl/catalog", "ftl/rollout", "ftl/trust", "ftl/archive", "ftl/counting", "ftl/spill", "revision", "store", "hooks"},
	"ftl/host": {
		"ftl", "ftl/host/tree", "ftl/catalog", "ftl/rollout", "ftl/trust", "ftl/archive", "ftl/durable", "ftl/strictmodes",
		"ftl/directory", "ftl/counting", "ftl/spill", "revision", "store", "hooks",
	},
	"ftl/host/tree": {"ftl", "ftl/catalog", "ftl/rollout", "ftl/durable", "ftl/strictmodes", "ftl/directory", "revision", "hooks"},
	"ftl/fleet":     {"ftl", "ftl/catalog", "ftl/rollout", "ftl/trust", "revision", "store"},

	// The parts of serve that do not know its pages.
	"ftl/serve/access": {"ftl", "ftl/durable", "ftl/strictmodes", "revision"},
	"ftl/serve/notify": {"ftl", "ftl/fleet", "ftl/catalog", "ftl/rollout", "revision", "store"},
	"ftl/serve/webhook": {
		"ftl", "ftl/serve/access", "ftl/master", "ftl/fleet", "ftl/catalog", "ftl/rollout", "ftl/probe", "revision", "store",
	},

	// What they share.
	"ftl/catalog":     {"ftl", "ftl/rollout", "ftl/trust", "ftl/archive", "ftl/spill", "revision", "store"},
	"ftl/metrics":     {"ftl/directory", "ftl", "ftl/durable", "revision"},
	"ftl/rollout":     {"revision"},
	"ftl/trust":       {},
	"ftl/archive":     {"ftl/counting", "ftl/spill"},
	"ftl/counting":    {},
	"ftl/spill":       {},
	"ftl/durable":     {},
	"ftl/strictmodes": {},
	"ftl/directory":   {"ftl/durable", "ftl/strictmodes"},
	"ftl/probe":       {},
	"ftl":             {"revision"},

	"revision": {},
	"store":    {},
	"hooks":    {},
}

// owners says which rooms alone may use a package, or a function of one.
var owners = map[string][]string{
	"golang.org/x/crypto/ssh": {"ftl/trust"},
	"net.Listen":              {"ftl/serve"},
	"net/http.ListenAndServe": {"ftl/serve"},
	"github.com/spf13/cobra":  {"cmd"},
	"github.com/spf13/pflag":  {"cmd"},
	"github.com/aws":          {"store"},
	"os.Getenv":               {"cmd", "cmd/ftl"},
	"os.LookupEnv":            {"cmd", "cmd/ftl"},
	"os.ExpandEnv":            {"cmd", "cmd/ftl"},
	"os.Environ":              {"cmd", "cmd/ftl", "hooks"}, // hooks inherit it
	"os.Exit":                 {"cmd/ftl"},
	"log.Fatal":               {},
	"log.Fatalf":              {},
	"log.Fatalln":             {},
	"os.Chdir":                {},
}

// topLevel is all there is at the top, beside names that begin with a dot.
var topLevel = []string{
	"cmd", "ftl", "store", "revision", "hooks", "testdata", "go.mod", "go.sum", "LICENSE", "README.md",
}

func TestArrows(t *testing.T) {
	for name, source := range sources(t) {
		for _, violation := range violations(t, name, source) {
			t.Error(violation)
		}
	}
}

func TestArrowsAreSeenToBeBroken(t *testing.T) {
	tests := []struct{ name, source, want string }{
		{"revision/x.go", `package revision; import "github.com/rhettg/ftl/store"`, "revision must not import ours of store"},
		{"hooks/in/x.go", `package in; import _ "github.com/rhettg/ftl/ftl"`, "hooks must not import ours of ftl"},
		{"ftl/host/x.go", `package host; import "github.com/rhettg/ftl/cmd"`, "ftl/host must not import ours of cmd"},
		{"ftl/host/x.go", `package host; import "github.com/rhettg/ftl/ftl/master"`, "ftl/host must not import ours of ftl/master"},
		{"ftl/master/x.go", `package master; import "github.com/rhettg/ftl/ftl/host"`, "ftl/master must not import ours of ftl/host"},
		{"ftl/host/tree/x.go", `package tree; import "github.com/rhettg/ftl/ftl/host"`, "ftl/host/tree must not import ours of ftl/host"},
		{"ftl/catalog/x.go", `package catalog; import "github.com/rhettg/ftl/ftl/master"`, "ftl/catalog must not import ours of ftl/master"},
		{"ftl/internal/archive/x.go", `package archive; import "github.com/rhettg/ftl/ftl"`, "ftl/archive must not import ours of ftl"},
		{"ftl/x.go", `package ftl; import "github.com/rhettg/ftl/ftl/internal/archive"`, "ftl must not import ours of ftl/archive"},
		{"ftl/rollout/x.go", `package rollout; import "github.com/rhettg/ftl/store"`, "ftl/rollout must not import ours of store"},
		{"ftl/host/x.go", `package host; import "golang.org/x/crypto/ssh/agent"`, "ftl/host must not use golang.org/x/crypto/ssh"},
		{"ftl/fleet/x.go", `package fleet; import "net"; var x = net.Listen`, "ftl/fleet must not use net.Listen"},
		{"cmd/ftl/x.go", `package main; import "github.com/rhettg/ftl/ftl/host"`, "cmd/ftl must not import ours of ftl"},
		{"ftl/x.go", `package ftl; import "github.com/spf13/cobra"`, "ftl must not use github.com/spf13/cobra"},
		{"cmd/x.go", `package cmd; import "github.com/aws/aws-sdk-go-v2/aws"`, "cmd must not use github.com/aws"},
		{"store/x.go", `package store; import env "os"; var x = env.Getenv("HOME")`, "store must not use os.Getenv"},
		{"ftl/host/x.go", `package host; import "os"; func f() { os.Exit(1) }`, "ftl/host must not use os.Exit"},
		{"new/x.go", `package new`, "new is not a room of the code"},
		{"ftl/new/x.go", `package new`, "ftl/new is not a room of the code"},
	}
	for _, test := range tests {
		got := violations(t, test.name, []byte(test.source))
		if len(got) != 1 || !strings.Contains(got[0], test.want) {
			t.Errorf("%s: %s: got %q, want one that says %q", test.name, test.source, got, test.want)
		}
	}
}

// Whatever cmd prints goes through print.go, where it is made harmless. The demo
// prints its own words, and the help those of the program.
func TestPrintingIsInOnePlace(t *testing.T) {
	exempt := []string{"cmd/print.go", "cmd/demo.go", "cmd/help.go"}
	prints := regexp.MustCompile(`Fprint\w*\(\w+\.Std(out|err)|NewWriter\(\w+\.Std(out|err)|\.Std(out|err)\.Write`)
	for name, source := range sources(t) {
		if !strings.HasPrefix(name, "cmd/") || slices.Contains(exempt, name) {
			continue
		}
		if found := prints.Find(source); found != nil {
			t.Errorf("%s prints by itself: %s", name, found)
		}
	}
	for _, source := range []string{"fmt.Fprintf(p.Stdout, x)", "tabwriter.NewWriter(p.Stdout, 0)", "p.Stderr.Write(x)"} {
		if !prints.MatchString(source) {
			t.Errorf("%s would not be found", source)
		}
	}
}

// What ended a context is in the chain of the error: a signal, not merely that
// something was canceled.
func TestErrorsTellWhatEndedTheContext(t *testing.T) {
	asks := regexp.MustCompile(`\w*[cC]tx\.Err\(\)(?: [!=]= nil)?`)
	for name, source := range sources(t) {
		for _, found := range asks.FindAllString(string(source), -1) {
			if !strings.HasSuffix(found, " nil") {
				t.Errorf("%s: %s hides the cause: context.Cause tells it", name, found)
			}
		}
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(repository)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) && !isIgnored(t, name) {
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}

// isIgnored reports whether .gitignore names something at the top.
func isIgnored(t *testing.T, name string) bool {
	t.Helper()
	patterns, err := os.ReadFile(filepath.Join(repository, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	for pattern := range strings.Lines(string(patterns)) {
		if matched, err := path.Match(strings.Trim(pattern, "/\n"), name); err == nil && matched {
			return true
		}
	}
	return false
}

// sources returns the text of the Go files that are no tests, for every system,
// by their slash-separated path.
func sources(t *testing.T) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := fs.WalkDir(os.DirFS(repository), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"), strings.HasPrefix(filepath.ToSlash(name), "store/s3test/"): // which only tests import
			return nil
		}
		files[name], err = os.ReadFile(filepath.Join(repository, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// violations returns what a file uses without having the right to. A file that
// imports testing is a test's, wherever it is, and may.
func violations(t *testing.T, name string, source []byte) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	room := roomOf(path.Dir(name))
	allowed, known := arrows[room]
	if !known {
		return []string{fmt.Sprintf("%s: %s is not a room of the code", name, room)}
	}
	var found []string
	imports, functions := uses(t, file)
	if slices.Contains(imports, "testing") {
		return nil
	}
	for _, imported := range imports {
		if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
			if to := roomOf(ours); to != room && !slices.Contains(allowed, to) {
				found = append(found, fmt.Sprintf("%s: %s must not import ours of %s", name, room, to))
			}
		}
	}
	for _, use := range append(imports, functions...) {
		for owned, by := range owners {
			if (use == owned || strings.HasPrefix(use, owned+"/")) && !slices.Contains(by, room) {
				found = append(found, fmt.Sprintf("%s: %s must not use %s", name, room, owned))
			}
		}
	}
	return found
}

// roomOf returns the room that a folder belongs to.
func roomOf(dir string) string {
	top, below, _ := strings.Cut(dir, "/")
	switch {
	case dir == "cmd/ftl":
		return dir
	case top == "ftl" && below != "":
		return "ftl/" + strings.TrimPrefix(below, "internal/")
	}
	return top
}

// uses returns the packages that a file imports, and what it names of them, as
// "os.Exit".
func uses(t *testing.T, file *ast.File) (imports, names []string) {
	t.Helper()
	packages := make(map[string]string) // by the name they have in this file
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		imports = append(imports, imported)
		local := path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		packages[local] = imported
	}
	found := make(map[string]bool)
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && packages[x.Name] != "" {
				found[packages[x.Name]+"."+selector.Sel.Name] = true
			}
		}
		return true
	})
	return imports, slices.Sorted(maps.Keys(found))
}
