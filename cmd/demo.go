package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhettg/ftl/ftl/serve"
)

func (p *Program) newDemo() *cobra.Command {
	var (
		keep   bool
		serves string
	)
	command := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole life of a package in a temporary directory",
		Long: `Demo makes a package with hooks, a bucket that is a directory, and two hosts, all in a
temporary directory, and takes the package through its life: a deploy, a revision that
does not pass its check on one host, how that is found out, and the way back. Each
command is shown as you would type it, with what it really prints. It needs nothing but
this program.

With --serve it shows "ftl serve" instead, with 30 simulated hosts and a rollout that
some of them halt, until you end it.`,
		Example: `  ftl demo
  ftl demo --serve     # then open http://127.0.0.1:8300
  ftl demo --keep      # and leave the directory to play with`,
		Args:        none,
		Annotations: map[string]string{needsNoEnvironment: "", printsText: ""},
		RunE: func(command *cobra.Command, _ []string) error {
			if command.Flags().Changed("serve") {
				return p.serveDemo(command.Context(), serves)
			}
			return p.demo(command.Context(), keep)
		},
	}
	command.Flags().BoolVar(&keep, "keep", false, "leave the directory behind")
	command.Flags().StringVar(&serves, "serve", "", "show a simulated fleet in a browser, at this address (127.0.0.1:8300)")
	command.Flags().Lookup("serve").NoOptDefVal = serve.DefaultAddress
	return command
}

const firstDeployURL = "https://github.com/rhettg/ftl#the-first-deploy"

// demo is the stage of a demonstration: a directory with a bucket, two hosts
// and the package to deploy.
type demo struct {
	*Program
	ctx       context.Context
	dir       string
	revisions []string // those that were spooled
}

func (p *Program) demo(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "ftl-demo-")
	if err != nil {
		return err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	d := &demo{Program: p, ctx: ctx, dir: dir}
	defer func() {
		if !keep {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	for _, scene := range []func() error{
		d.makeStage, d.firstDeploy, d.secondRevision, d.rolledBack, d.findOut, d.wayBack, d.finalTree,
	} {
		if err := scene(); err != nil {
			return err
		}
	}
	if keep {
		d.tell("The directory is yours to play with; set the two variables and go on:")
		d.show("export FTL_BUCKET=file://%s/bucket FTL_ROOT=%s/web1", dir, dir)
	}
	d.tell(`From here: "ftl help" lists commands and topics, "ftl help hooks" is the one to read
first, and a first deploy of your own is in ` + firstDeployURL)
	return nil
}

func (d *demo) makeStage() error {
	d.tell("A bucket (here a directory; s3://name works the same) and two hosts.\nA directory named like the package is a host's whole subscription.")
	d.show("cd %s && export FTL_BUCKET=file://%s/bucket", d.dir, d.dir)
	d.show("mkdir -p bucket web1/my_site web2/my_site")
	for _, dir := range []string{"bucket", "web1/my_site", "web2/my_site"} {
		if err := os.MkdirAll(filepath.Join(d.dir, dir), 0o755); err != nil {
			return err
		}
	}

	d.tell("The package: a page, and a hook, which runs when a revision has become active.")
	if err := d.write("my_site/index.html", "Hello from the first revision\n", 0o644); err != nil {
		return err
	}
	return d.write("my_site/ftl/post-jump", "#!/bin/sh\necho \"$FTL_NODE now serves: $(cat index.html)\"\n", 0o755)
}

func (d *demo) firstDeploy() error {
	d.tell("The build box spools it. The name it prints is the new revision.")
	if err := d.spool(); err != nil {
		return err
	}
	d.tell("Every host runs this from cron. It fetches what is new; nothing is active yet.")
	if err := d.syncAll(); err != nil {
		return err
	}
	d.tell("Bless it on the master: from now on it is what every host should run.")
	if err := d.ftl("", 0, "jump", "--master", d.revisions[0]); err != nil {
		return err
	}
	return d.syncAll()
}

func (d *demo) secondRevision() error {
	d.tell("A second revision. It brings a check, which fails on web2.")
	if err := d.write("my_site/index.html", "Hello from the second revision\n", 0o644); err != nil {
		return err
	}
	if err := d.write("my_site/ftl/check", "#!/bin/sh\n[ \"$FTL_NODE\" = web1 ] || { echo 'no answer from the page'; exit 1; }\n", 0o755); err != nil {
		return err
	}
	if err := d.spool(); err != nil {
		return err
	}
	return d.ftl("", 0, "jump", "--master", d.revisions[1])
}

func (d *demo) rolledBack() error {
	d.tell("web1 follows. On web2 the check fails until its time is over, and ftl goes back by itself.")
	if err := d.ftl("web1", 0, "sync"); err != nil {
		return err
	}
	return d.ftl("web2", exitRolledBack, "sync", "--check-timeout", "1s")
}

func (d *demo) findOut() error {
	d.tell("What is the matter with web2? Status is a line for each package, why says the rest.")
	if err := d.ftl("web2", exitFailed, "status"); err != nil {
		return err
	}
	return d.ftl("web2", 0, "why", "my_site")
}

func (d *demo) wayBack() error {
	d.tell("Back to the previous one, for all hosts; \"ftl jump-back my_site\" does it on one host at once.")
	if err := d.ftl("", 0, "jump-back", "--master", "my_site"); err != nil {
		return err
	}
	if err := d.syncAll(); err != nil {
		return err
	}
	d.tell("Every host keeps a log of what it did.")
	return d.ftl("web1", 0, "log", "my_site")
}

// finalTree shows a host's directories as find does.
func (d *demo) finalTree() error {
	d.tell("What a host looks like, but for ftl's own files, whose names begin with a dot:")
	d.show(`find web1 -maxdepth 3 ! -path '*/.*' -printf '%%p %%l\n' | sort`)
	return filepath.WalkDir(filepath.Join(d.dir, "web1"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(d.dir, path)
		if err != nil {
			return err
		}
		if strings.HasPrefix(entry.Name(), ".") {
			return skip(entry)
		}
		target := ""
		if entry.Type() == fs.ModeSymlink {
			if target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		fmt.Fprintln(d.Stdout, name, target)
		if strings.Count(name, "/") == 3 {
			return skip(entry)
		}
		return nil
	})
}

// skip leaves out what is below a directory.
func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// spool spools the package, and remembers the revision's name.
func (d *demo) spool() error {
	var name strings.Builder
	d.show("ftl spool my_site")
	if err := d.run(&name, "", 0, "spool", filepath.Join(d.dir, "my_site")); err != nil {
		return err
	}
	fmt.Fprint(d.Stdout, name.String())
	d.revisions = append(d.revisions, strings.TrimSpace(name.String()))
	return nil
}

func (d *demo) syncAll() error {
	for _, host := range []string{"web1", "web2"} {
		if err := d.ftl(host, 0, "sync"); err != nil {
			return err
		}
	}
	return nil
}

// ftl shows a command as it would be typed, and runs it. On a host it has that
// host's variables.
func (d *demo) ftl(host string, want int, args ...string) error {
	line := "ftl " + strings.Join(args, " ")
	if host != "" {
		line = fmt.Sprintf("FTL_ROOT=%s FTL_NODE=%[1]s %s", host, line)
	}
	d.show("%s", line)
	if err := d.run(d.Stdout, host, want, args...); err != nil {
		return err
	}
	if want != 0 {
		fmt.Fprintf(d.Stdout, "(exit code %d)\n", want)
	}
	return nil
}

// run runs a command of this program, with its messages among its data.
func (d *demo) run(stdout interface{ Write([]byte) (int, error) }, host string, want int, args ...string) error {
	program := &Program{Stdout: stdout, Stderr: d.Stdout, Environ: d.environ(host)}
	if code := program.Run(d.ctx, args); code != want {
		return fmt.Errorf("demo: ftl %s ended with exit code %d instead of %d", strings.Join(args, " "), code, want)
	}
	return nil
}

// environ is the user's environment without what ftl reads, so that everybody
// sees the same demonstration.
func (d *demo) environ(host string) []string {
	env := slices.DeleteFunc(slices.Clone(d.Environ), func(line string) bool { return strings.HasPrefix(line, "FTL_") })
	env = append(env, "FTL_ENV_FILE="+envFileNone, "FTL_BUCKET=file://"+filepath.Join(d.dir, "bucket"), "FTL_NODE="+host)
	if host != "" {
		env = append(env, "FTL_ROOT="+filepath.Join(d.dir, host))
	}
	return env
}

// write makes a file of the package, and shows how.
func (d *demo) write(name, content string, perm fs.FileMode) error {
	path := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	d.show("cat %s", name)
	fmt.Fprint(d.Stdout, content)
	return os.WriteFile(path, []byte(content), perm)
}

// tell says what comes next, show how it is typed.
func (d *demo) tell(text string) {
	fmt.Fprintln(d.Stdout)
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(d.Stdout, "# %s\n", line)
	}
}

func (d *demo) show(format string, args ...any) {
	fmt.Fprintf(d.Stdout, "$ "+format+"\n", args...)
}
