// Package examples installs ftl as the README says, and deploys the examples of
// testdata/examples as their READMEs say, from a bucket that is a directory. What
// this machine lacks is played by testdata/stubs.
package examples

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rhettg/ftl/cmd"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ftl": ftl})
}

// ftl is the program, as cmd/ftl has it.
func ftl() {
	program := cmd.Program{Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Setenv: os.Setenv}
	program.PrepareProcess()
	ctx, stop := program.WithSignals(context.Background())
	code := program.Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// repository is the top of the checkout, from where this test runs.
var repository = filepath.Join("..", "..")

func TestREADMENamesThem(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadDir(filepath.Join(repository, "testdata/examples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range examples {
		if !strings.Contains(string(readme), "](testdata/examples/"+example.Name()+")") {
			t.Errorf("the README doesn't name the example %s", example.Name())
		}
		if _, err := os.Stat(filepath.Join(repository, "testdata/examples", example.Name(), "README.md")); err != nil {
			t.Error(err)
		}
	}
}

func TestExampleStaticSite(t *testing.T) {
	t.Parallel()
	t.Run("stub", func(t *testing.T) {
		s := newStage(t, "static_site")
		// The test is the web server, and looks pages up through "current".
		port := s.serve(func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.Join(s.root, "static_site/current/html", filepath.Clean(r.URL.Path)))
		})
		s.setenv("SITE_PORT="+port, "SITE_NGINX="+s.stub("nginx"))
		s.deployStaticSite(port)
		if calls := s.calls("nginx"); slices.Index(calls, "-t") != 0 || calls[1] != "-s reload" {
			t.Errorf("nginx was called with %q, want -t before -s reload", calls)
		}
	})
	t.Run("nginx", func(t *testing.T) {
		nginx, err := exec.LookPath("nginx")
		if err != nil {
			t.Skip("NOT TESTED: nginx is not here")
		}
		s := newStage(t, "static_site")
		account, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		conf := s.write("nginx.conf", fmt.Sprintf(nginxConf, account.Username, s.dir, s.root))
		command := []string{nginx, "-p", s.dir, "-c", conf}
		port := freePort(t)
		s.setenv("SITE_PORT="+port, "SITE_NGINX="+strings.Join(command, " "))
		s.must(exec.CommandContext(t.Context(), command[0], command[1:]...))
		t.Cleanup(func() {
			if out, err := exec.Command(command[0], append(command[1:], "-s", "stop")...).CombinedOutput(); err != nil {
				t.Errorf("stop nginx: %v\n%s", err, out)
			}
		})
		s.deployStaticSite(port)
	})
	t.Run("cron", func(t *testing.T) {
		s := newStage(t, "static_site")
		port := s.serve(func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.Join(s.root, "static_site/current/html", filepath.Clean(r.URL.Path)))
		})
		s.stub("nginx")
		revision := s.spool()
		s.ftl(0, "jump", "--master", revision)
		s.cron("SITE_PORT="+port, "STUBS="+s.dir)
		s.active(revision)
		if calls := s.calls("nginx"); !slices.Contains(calls, "-s reload") {
			t.Errorf("nginx was called with %q, want a reload", calls)
		}
	})
}

// cron runs the README's crontab line with the environment that cron gives and a
// file for what that lacks, where the stage's programs are in /usr/local/sbin.
// The variables stand in the crontab above it.
func (s *stage) cron(variables ...string) {
	s.t.Helper()
	if out, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
		s.t.Skipf("NOT TESTED: a mount namespace takes root: %v: %s", err, out)
	}
	ftl, err := exec.LookPath("ftl")
	if err == nil {
		err = os.Symlink(ftl, filepath.Join(s.dir, "bin", "ftl"))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	crontab, err := os.ReadFile(filepath.Join(repository, "testdata/package/crontab"))
	if err != nil {
		s.t.Fatal(err)
	}
	line := strings.NewReplacer(
		"* * * * * ", "", "FTL_SPLAY=50s", "", "/usr/bin/ftl", ftl,
	).Replace(strings.TrimSpace(string(crontab)))
	env := s.write("ftl.env", "FTL_BUCKET=file://"+filepath.Join(s.dir, "bucket")+"\nFTL_ROOT="+s.root+"\n")
	const inNamespace = `mount --bind "$1" /usr/local/sbin && shift && exec "$@"`
	command := []string{"--mount", "sh", "-c", inNamespace, "sh", filepath.Join(s.dir, "bin"),
		"env", "-i", "HOME=" + s.dir, "LOGNAME=root", "SHELL=/bin/sh", "PATH=/usr/bin:/bin", "FTL_ENV_FILE=" + env}
	command = append(command, variables...)
	s.must(exec.CommandContext(s.t.Context(), "unshare", append(command, "/bin/sh", "-c", line)...))
}

// nginxConf is of an nginx that keeps to a directory of its own.
const nginxConf = `user %s;
worker_processes 1;
pid %s/nginx.pid;
error_log %[2]s/error.log;
events {}
http {
	access_log off;
	client_body_temp_path %[2]s/tmp;
	proxy_temp_path %[2]s/tmp;
	fastcgi_temp_path %[2]s/tmp;
	uwsgi_temp_path %[2]s/tmp;
	scgi_temp_path %[2]s/tmp;
	include %[3]s/static_site/current/nginx/*.conf;
}
`

func (s *stage) deployStaticSite(port string) {
	s.deployAsREADME(".")
	s.serves("http://127.0.0.1:"+port+"/index.html", "first revision")

	s.edit("html/index.html", "first", "second")
	second := s.deploy()
	s.serves("http://127.0.0.1:"+port+"/index.html", "second revision")

	// A configuration that nginx refuses never reaches it.
	s.edit("nginx/site.conf.in", "root ", "nonsense ")
	s.rolledBack(second)
	s.serves("http://127.0.0.1:"+port+"/index.html", "second revision")
}

func TestExampleGoService(t *testing.T) {
	t.Parallel()
	s := newStage(t, "go_service")
	s.tree = filepath.Join(s.tree, "go_service")
	port := s.underSystemctl("go_service")
	url := "http://127.0.0.1:" + port + "/health"

	first := s.deployAsREADME("go_service")
	s.serves(url, "ok "+first)
	second := s.deploy()
	s.serves(url, "ok "+second)

	// One that does not start.
	if err := os.Remove(filepath.Join(s.tree, "go_service")); err != nil {
		t.Fatal(err)
	}
	s.write("work/go_service/go_service/go_service", "#!/bin/sh\necho 'no database' >&2\nexit 1\n")
	s.rolledBack(second)
	s.serves(url, "ok "+second)

	s.ftl(0, "jump-back", "go_service")
	s.serves(url, "ok "+first)
	s.ftl(0, "remove", "--yes", "go_service")
	s.refuses(port)
}

func TestExamplePythonService(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("python3", "-c", "import venv, pip").CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: python3 with venv and pip is not here: %v\n%s", err, out)
	}
	s := newStage(t, "python_service")
	s.tree = filepath.Join(s.tree, "python_service")
	port := s.underSystemctl("python_service")
	url := "http://127.0.0.1:" + port + "/health"

	first := s.deployAsREADME("python_service")
	s.serves(url, "ok "+first)

	// A wheel is missing: not ready, and what runs is not touched.
	s.edit("requirements.txt", "greeting==1.0", "greeting==2.0")
	broken := s.spool()
	s.ftl(0, "jump", "--master", broken)
	s.ftl(3, "sync")
	s.serves(url, "ok "+first)
	if list := s.ftl(0, "list", "python_service"); strings.Contains(list, broken) {
		t.Errorf("%s is ready:\n%s", broken, list)
	}

	// It is complete, and does not work.
	s.edit("requirements.txt", "greeting==2.0", "greeting==1.0")
	s.edit("server.py", "import greeting", "import greetings")
	s.rolledBack(first)
	s.serves(url, "ok "+first)
	s.ftl(0, "remove", "--yes", "python_service")
	s.refuses(port)
}

func TestExampleComposeService(t *testing.T) {
	t.Parallel()
	t.Log("NOT TESTED: a docker engine; a stub stands for it")
	s := newStage(t, "compose_service")
	s.stub("docker")
	// The test is the service: it answers while the stub has it running, but
	// for the tag that does not work.
	running := func() string {
		tag, err := os.ReadFile(filepath.Join(s.dir, "running"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		return strings.TrimSpace(string(tag))
	}
	s.setenv("PORT=" + s.serve(func(w http.ResponseWriter, _ *http.Request) {
		if tag := running(); tag == "" || tag == "broken" {
			http.Error(w, "not well", http.StatusServiceUnavailable)
		}
	}))

	first := s.deployAsREADME(".")
	if tag := running(); tag != "1.28" {
		t.Errorf("tag %q runs, want 1.28", tag)
	}

	// The registry is down: the service that runs is not even stopped.
	s.edit(".env", "TAG=1.28", "TAG=2")
	fails := s.write("pull.fails", "")
	second := s.spool()
	s.ftl(0, "jump", "--master", second)
	before := len(s.calls("docker"))
	s.ftl(3, "sync")
	if calls := s.calls("docker")[before:]; !slices.Equal(calls, []string{"2 compose pull web"}) || running() != "1.28" {
		t.Errorf("after a pull that failed tag %q runs, and docker was called with %q", running(), calls)
	}
	if err := os.Remove(fails); err != nil {
		t.Fatal(err)
	}
	s.ftl(0, "jump", second)
	want := []string{"2 compose pull web", "1.28 compose stop web", "2 compose up --detach --no-deps --pull never web"}
	if calls := s.calls("docker")[before+1:]; !slices.Equal(calls, want) || running() != "2" {
		t.Errorf("tag %q runs, and docker was called with %q, want %q", running(), calls, want)
	}

	s.edit(".env", "TAG=2", "TAG=broken")
	s.rolledBack(second)
	if running() != "2" {
		t.Errorf("after the way back %q runs", running())
	}
	s.ftl(0, "jump", first)
	if running() != "1.28" {
		t.Errorf("after a jump to the first %q runs", running())
	}
}

// TestExampleFTL deploys ftl by the ftl that it replaces.
func TestExampleFTL(t *testing.T) {
	t.Parallel()
	s := newStage(t, "ftl")
	bin := filepath.Join(s.dir, "bin")
	s.write("root/ftl/shared/install-dir", bin+"\n")
	program, err := exec.LookPath("ftl")
	if err != nil {
		t.Fatal(err)
	}
	s.must(exec.CommandContext(t.Context(), "cp", program, filepath.Join(bin, "ftl"))) // by hand, the first time
	s.program = filepath.Join(bin, "ftl")

	first := s.deployAsREADME(".")
	s.leadsTo(first)
	second := s.deploy() // by the first
	s.leadsTo(second)

	if err := os.Remove(filepath.Join(s.tree, "bin/ftl")); err != nil {
		t.Fatal(err)
	}
	// It does not start at all.
	s.write("work/ftl/bin/ftl", "#!/bin/sh\nexit 1\n")
	s.ftl(0, "jump", "--master", s.spool())
	s.ftl(3, "sync")
	s.leadsTo(second)
	// It starts, and can't read this host.
	s.write("work/ftl/bin/ftl", "#!/bin/sh\n[ \"$1\" = version ]\n")
	s.rolledBack(second)
	s.leadsTo(second)

	s.ftl(0, "jump-back", "ftl")
	s.leadsTo(first)
	s.ftl(0, "remove", "--yes", "ftl")
	if info, err := os.Lstat(s.program); err != nil || !info.Mode().IsRegular() {
		t.Errorf("after the removal of the package: %v, %v, want a file of its own", info, err)
	}
	s.ftl(0, "version")
}

// leadsTo checks that the installed ftl is the one of a revision, and runs.
func (s *stage) leadsTo(revision string) {
	s.t.Helper()
	_, id, _ := strings.Cut(revision, ".")
	path, err := filepath.EvalSymlinks(s.program)
	if want := filepath.Join(s.root, "ftl/revs", id, "bin/ftl"); err != nil || path != want {
		s.t.Errorf("ftl is %s, %v, want %s", path, err, want)
	}
	s.ftl(0, "version")
}

// stage is a build box with a copy of an example, a bucket and a host.
type stage struct {
	t       *testing.T
	dir     string // the stubs keep their notes here
	tree    string // what is spooled
	pkg     string
	root    string
	program string
	env     []string
}

func newStage(t *testing.T, example string) *stage {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, dir: dir, pkg: example, tree: filepath.Join(dir, "work", example), root: filepath.Join(dir, "root"), program: "ftl"}
	for _, dir := range []string{"bin", "bucket", "root/" + example + "/shared", "work"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	from := filepath.Join(repository, "testdata/examples", example)
	s.must(exec.CommandContext(t.Context(), "cp", "-R", from, s.tree))
	s.env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "FTL_") || strings.HasPrefix(variable, "AWS_")
	})
	s.setenv("HOME="+dir, "FTL_ENV_FILE=none", "FTL_BUCKET=file://"+filepath.Join(dir, "bucket"), "FTL_ROOT="+s.root, "FTL_CHECK_TIMEOUT=20s",
		"STUBS="+dir, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"),
		"GOCACHE="+goEnv(t, "GOCACHE"), "PIP_INDEX_URL=http://127.0.0.1:9/there-is-no-index")
	return s
}

func (s *stage) setenv(variables ...string) { s.env = append(s.env, variables...) }

// stub puts a stub on the PATH, and returns the path of it.
func (s *stage) stub(name string) string {
	s.t.Helper()
	from, err := filepath.Abs(filepath.Join(repository, "testdata/stubs", name))
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.dir, "bin", name)
	if err := os.Symlink(from, path); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// calls are what a stub was called with.
func (s *stage) calls(name string) []string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name+".calls"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// underSystemctl gives a service a port of its own, and ends it with the test.
func (s *stage) underSystemctl(service string) (port string) {
	s.t.Helper()
	s.t.Log("NOT TESTED: systemd; a stub stands for it")
	systemctl := s.stub("systemctl")
	port = freePort(s.t)
	s.write("root/"+service+"/shared/env", "PORT="+port+"\n")
	s.t.Cleanup(func() {
		if said, err := os.ReadFile(filepath.Join(s.dir, service+".log")); err == nil && s.t.Failed() {
			s.t.Logf("the service said: %s", said)
		}
		if _, err := os.Stat(filepath.Join(s.dir, service+".pid")); err != nil {
			return // it is stopped
		}
		stop := exec.Command(systemctl, "disable", "--now", service)
		stop.Env = s.env
		if out, err := stop.CombinedOutput(); err != nil {
			s.t.Errorf("stop the service: %v\n%s", err, out)
		}
	})
	return port
}

// write writes a file below the stage's directory, for anybody to run.
func (s *stage) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// edit changes a file of what is spooled.
func (s *stage) edit(name, old, new string) {
	s.t.Helper()
	path := filepath.Join(s.tree, name)
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		s.t.Fatalf("%s has no %q", name, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) must(command *exec.Cmd) {
	s.t.Helper()
	if out, err := command.CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %v\n%s", command.Args, err, out)
	}
}

// ftl runs a command that must end with that exit code, and returns what it
// printed.
func (s *stage) ftl(code int, args ...string) string {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), s.program, args...)
	command.Env = s.env
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if command.ProcessState == nil || command.ProcessState.ExitCode() != code {
		s.t.Fatalf("ftl %v: %v, want exit code %d\n%s%s", args, err, code, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func (s *stage) spool() string {
	s.t.Helper()
	return s.ftl(0, "spool", s.tree)
}

// deployAsREADME deploys the first revision by the lines that the example's
// README has for the build box, in a directory below the one that the example
// was copied to.
func (s *stage) deployAsREADME(dir string) string {
	s.t.Helper()
	readme, err := os.ReadFile(filepath.Join(s.dir, "work", s.pkg, "README.md"))
	if err != nil {
		s.t.Fatal(err)
	}
	lines := block(s.t, string(readme), "sh build-box") + `echo $rev >"$STUBS/spooled"`
	build := exec.CommandContext(s.t.Context(), "sh", "-euc", lines)
	build.Dir, build.Env = filepath.Join(s.dir, "work", dir), s.env
	s.must(build)
	revision, err := os.ReadFile(filepath.Join(s.dir, "spooled"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.ftl(0, "sync")
	s.active(strings.TrimSpace(string(revision)))
	return strings.TrimSpace(string(revision))
}

// deploy takes a revision all the way: spool, sync, bless, sync.
func (s *stage) deploy() string {
	s.t.Helper()
	revision := s.spool()
	s.ftl(0, "sync")
	s.ftl(0, "jump", "--master", revision)
	s.ftl(0, "sync")
	s.active(revision)
	return revision
}

// rolledBack deploys a revision that must not pass its check, so that the one
// before stays.
func (s *stage) rolledBack(before string) {
	s.t.Helper()
	revision := s.spool()
	s.ftl(0, "jump", "--master", revision)
	s.ftl(4, "sync", "--check-timeout", "4s")
	s.active(before)
}

func (s *stage) active(revision string) {
	s.t.Helper()
	if list := s.ftl(0, "list", s.pkg); !strings.Contains(list+"\n", revision+"\t(active)\n") {
		s.t.Fatalf("%s is not active:\n%s", revision, list)
	}
}

// serve lets the test answer requests, and returns the port.
func (s *stage) serve(answer http.HandlerFunc) (port string) {
	s.t.Helper()
	server := httptest.NewServer(answer)
	s.t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	return port
}

// serves checks that a page has a text.
func (s *stage) serves(url, want string) {
	s.t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
		s.t.Errorf("%s: got %s, %q, %v, want %q", url, response.Status, body, err, want)
	}
}

// refuses checks that nobody listens any more.
func (s *stage) refuses(port string) {
	s.t.Helper()
	if connection, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
		connection.Close()
		s.t.Errorf("there is still somebody at port %s", port)
	}
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
