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
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rhettg/ftl"

// repository is the top of the checkout, from where this test runs.
var repository = filepath.Join("..", "..")

// arrows says which folders of the code may import which others of ours. A
// folder stands for all packages in it, but for the program, which is in one of
// its own.
var arrows = map[string][]string{
	"cmd/ftl":  {"cmd"},
	"cmd":      {"ftl", "revision", "store", "hooks"},
	"ftl":      {"revision", "store", "hooks"},
	"revision": {},
	"store":    {},
	"hooks":    {},
}

// owners says which folders alone may use a package, or a function of one.
var owners = map[string][]string{
	"github.com/spf13/cobra": {"cmd"},
	"github.com/spf13/pflag": {"cmd"},
	"github.com/aws":         {"store"},
	"os.Getenv":              {"cmd", "cmd/ftl"},
	"os.LookupEnv":           {"cmd", "cmd/ftl"},
	"os.ExpandEnv":           {"cmd", "cmd/ftl"},
	"os.Environ":             {"cmd", "cmd/ftl", "hooks"}, // hooks inherit it
	"os.Exit":                {"cmd/ftl"},
	"log.Fatal":              {},
	"log.Fatalf":             {},
	"log.Fatalln":            {},
	"os.Chdir":               {},
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
		{"ftl/host/x.go", `package host; import "github.com/rhettg/ftl/cmd"`, "ftl must not import ours of cmd"},
		{"cmd/ftl/x.go", `package main; import "github.com/rhettg/ftl/ftl/host"`, "cmd/ftl must not import ours of ftl"},
		{"ftl/x.go", `package ftl; import "github.com/spf13/cobra"`, "ftl must not use github.com/spf13/cobra"},
		{"cmd/x.go", `package cmd; import "github.com/aws/aws-sdk-go-v2/aws"`, "cmd must not use github.com/aws"},
		{"store/x.go", `package store; import env "os"; var x = env.Getenv("HOME")`, "store must not use os.Getenv"},
		{"ftl/host/x.go", `package host; import "os"; func f() { os.Exit(1) }`, "ftl must not use os.Exit"},
		{"new/x.go", `package new`, "new is no folder of the code"},
	}
	for _, test := range tests {
		got := violations(t, test.name, []byte(test.source))
		if len(got) != 1 || !strings.Contains(got[0], test.want) {
			t.Errorf("%s: %s: got %q, want one that says %q", test.name, test.source, got, test.want)
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
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
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
	folder := folderOf(path.Dir(name))
	allowed, known := arrows[folder]
	if !known {
		return []string{fmt.Sprintf("%s: %s is no folder of the code", name, folder)}
	}
	var found []string
	imports, functions := uses(t, file)
	if slices.Contains(imports, "testing") {
		return nil
	}
	for _, imported := range imports {
		if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
			if to := folderOf(ours); to != folder && !slices.Contains(allowed, to) {
				found = append(found, fmt.Sprintf("%s: %s must not import ours of %s", name, folder, to))
			}
		}
	}
	for _, use := range append(imports, functions...) {
		for owned, by := range owners {
			if (use == owned || strings.HasPrefix(use, owned+"/")) && !slices.Contains(by, folder) {
				found = append(found, fmt.Sprintf("%s: %s must not use %s", name, folder, owned))
			}
		}
	}
	return found
}

func folderOf(dir string) string {
	if dir == "cmd/ftl" {
		return dir
	}
	top, _, _ := strings.Cut(dir, "/")
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
