package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The trees are made of real ones. App is like an application on Node.js: many small files from
// several modules, and one large binary. It comes as two real consecutive versions, of which two
// small steps are made:
//
//	base      the application
//	changed   base with changedFiles files of the newer release of one module
//	upgraded  base with all files of that release, and the next version of the binary
//
// Service is one binary. Every tree is copied anew, so that the times of its files differ between
// versions, as they do between two builds.

// modules are in every version of the application.
var modules = []string{
	"github.com/Azure/azure-sdk-for-go@v68.0.0+incompatible",
	"github.com/elastic/beats/v7@v7.17.0",
	"github.com/hashicorp/consul@v1.20.0",
	"github.com/hashicorp/vault@v1.15.0",
}

// The module that is upgraded, and the program that is.
const (
	upgradedModule = "k8s.io/kubernetes"
	upgradedFrom   = "v1.34.1"
	upgradedTo     = "v1.34.2"

	program       = "github.com/prometheus/prometheus"
	programFolder = "cmd/prometheus"
	programFrom   = "v0.307.2"
	programTo     = "v0.307.3"
)

const (
	// largestFile of the modules is taken: what is larger is mostly generated code, which a node
	// application has less of.
	largestFile  = 28 << 10
	changedFiles = 60
	// treesVersion changes with whatever is said above.
	treesVersion = "trees-1"
)

// trees are the paths of the trees and of the tarballs of them. The last name of each is that of
// its package, app or service.
type trees struct {
	base, changed, upgraded string
	service                 string
	baseTarball             string
	serviceTarball          string
}

// makeTrees makes them, unless an earlier run has.
func makeTrees(ctx context.Context, cache string) (trees, error) {
	dir := filepath.Join(cache, treesVersion)
	t := trees{
		base:           filepath.Join(dir, "base", "app"),
		changed:        filepath.Join(dir, "changed", "app"),
		upgraded:       filepath.Join(dir, "upgraded", "app"),
		service:        filepath.Join(dir, "service", "service"),
		baseTarball:    filepath.Join(dir, "app.tgz"),
		serviceTarball: filepath.Join(dir, "service.tgz"),
	}
	if _, err := os.Stat(dir); err == nil {
		return t, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return t, err
	}
	work, err := os.MkdirTemp(cache, "making-")
	if err != nil {
		return t, err
	}
	if err := makeTreesIn(ctx, work); err != nil {
		return t, errors.Join(err, os.RemoveAll(work))
	}
	return t, os.Rename(work, dir)
}

func makeTreesIn(ctx context.Context, work string) error {
	from, err := download(ctx, append([]string{upgradedModule + "@" + upgradedFrom}, modules...)...)
	if err != nil {
		return err
	}
	to, err := download(ctx, upgradedModule+"@"+upgradedTo)
	if err != nil {
		return err
	}
	older, newer := filepath.Join(work, "older"), filepath.Join(work, "newer")
	if err := buildProgram(ctx, program, programFrom, programFolder, older); err != nil {
		return err
	}
	if err := buildProgram(ctx, program, programTo, programFolder, newer); err != nil {
		return err
	}
	for _, version := range []string{"base", "changed", "upgraded"} {
		app := filepath.Join(work, version, "app")
		for _, m := range from {
			if err := copySmall(m.Dir, filepath.Join(app, "modules", m.Path)); err != nil {
				return err
			}
		}
		binary := older
		switch version {
		case "changed":
			err = change(to[0].Dir, filepath.Join(app, "modules", upgradedModule))
		case "upgraded":
			binary = newer
			err = errors.Join(os.RemoveAll(filepath.Join(app, "modules", upgradedModule)), copySmall(to[0].Dir, filepath.Join(app, "modules", upgradedModule)))
		}
		if err := errors.Join(err, copyFile(binary, filepath.Join(app, "bin", "program"), 0o755)); err != nil {
			return err
		}
	}
	if err := copyFile(older, filepath.Join(work, "service", "service", "program"), 0o755); err != nil {
		return err
	}
	if err := tarball(ctx, filepath.Join(work, "base", "app"), filepath.Join(work, "app.tgz")); err != nil {
		return err
	}
	if err := tarball(ctx, filepath.Join(work, "service", "service"), filepath.Join(work, "service.tgz")); err != nil {
		return err
	}
	return errors.Join(os.Remove(older), os.Remove(newer))
}

type module struct {
	Path string
	Dir  string
}

// download gets modules and returns where they are.
func download(ctx context.Context, modules ...string) ([]module, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"mod", "download", "-json"}, modules...)...)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download %s: %w", strings.Join(modules, " "), err)
	}
	var found []module
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m module
		if err := d.Decode(&m); err == io.EOF {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		found = append(found, m)
	}
}

// buildProgram builds a program of a module at a version. It is required by a module of its own,
// since the versions of what it needs are then its own, too. It comes without debug information, as
// services mostly do.
func buildProgram(ctx context.Context, path, version, folder, output string) error {
	dir, err := os.MkdirTemp("", "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	text := fmt.Sprintf("module build\n\ngo 1.26\n\nrequire %s %s\n", path, version)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644); err != nil {
		return err
	}
	progress("building " + path + "@" + version)
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-w", "-o", output, strings.TrimSuffix(path+"/"+folder, "/"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", path, err, out)
	}
	return nil
}

// small lists the files of a module that are taken, in order.
func small(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() > largestFile {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, name)
		return err
	})
	return names, err
}

// copySmall copies those files. What comes from the module cache is read-only there, also the
// directories.
func copySmall(from, to string) error {
	names, err := small(from)
	for _, name := range names {
		if err := copyFile(filepath.Join(from, name), filepath.Join(to, name), 0o644); err != nil {
			return err
		}
	}
	return err
}

// change replaces the first files of a tree that another version has changed.
func change(newer, tree string) error {
	names, err := small(newer)
	if err != nil {
		return err
	}
	changed := 0
	for _, name := range names {
		before, err := os.ReadFile(filepath.Join(tree, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		after, aerr := os.ReadFile(filepath.Join(newer, name))
		if err := errors.Join(err, aerr); err != nil {
			return err
		}
		if slices.Equal(before, after) {
			continue
		}
		if err := os.WriteFile(filepath.Join(tree, name), after, 0o644); err != nil {
			return err
		}
		if changed++; changed == changedFiles {
			return nil
		}
	}
	return fmt.Errorf("only %d files have changed", changed)
}

func copyFile(from, to string, perm fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// tarball packs a directory the way people do.
func tarball(ctx context.Context, dir, to string) error {
	cmd := exec.CommandContext(ctx, "tar", "-czf", to, "-C", dir, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pack %s: %w\n%s", dir, err, out)
	}
	return nil
}

// shape counts what is in a tree.
func shape(dir string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	return files, bytes, err
}
