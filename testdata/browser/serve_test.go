// Package browser looks at ftl serve with a real browser, Debian's chromium. It is a module of its
// own, so that nothing of what drives the browser is in the product's go.mod.
//
//	go test -C testdata/browser                         # everything
//	go test -C testdata/browser -run Screenshots -shots DIRECTORY
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	shots = flag.String("shots", "", "the directory for the screenshots")
	only  = flag.String("only", "", "make only the screenshots of these names, with commas between them")
)

// program is ftl, made of this checkout.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ftl-browser-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "ftl")
	build := exec.Command("go", "build", "-o", program, "./cmd/ftl")
	build.Dir, build.Stderr = filepath.Join("..", ".."), os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	return m.Run()
}

// A server is a running ftl.
type server struct {
	command *exec.Cmd
	address string
	token   string
}

// start runs ftl until the test ends, and reads where it serves, and by which token one can act.
func start(t *testing.T, environ []string, args ...string) *server {
	t.Helper()
	s := &server{command: exec.CommandContext(t.Context(), program, args...)}
	s.command.Env = append(os.Environ(), append(environ, "FTL_ENV_FILE=none")...)
	s.command.Cancel = func() error { return s.command.Process.Signal(syscall.SIGTERM) }
	s.command.WaitDelay = 10 * time.Second
	stderr, err := s.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(syscall.SIGTERM) })
	lines := bufio.NewScanner(stderr)
	for s.address == "" && lines.Scan() {
		if _, token, ok := strings.Cut(lines.Text(), "log in with "); ok {
			s.token = token
		}
		if _, address, ok := strings.Cut(lines.Text(), "serving the fleet at "); ok {
			s.address = address
		}
	}
	if s.address == "" {
		t.Fatalf("%v did not begin to serve", args)
	}
	go io.Copy(io.Discard, stderr)
	return s
}

func (s *server) end(signal syscall.Signal) {
	_ = s.command.Process.Signal(signal)
	_ = s.command.Wait()
}

// demo is a simulated fleet whose rollout has halted.
func demo(t *testing.T) *server {
	t.Helper()
	s := start(t, nil, "demo", "--serve=127.0.0.1:0")
	for began := time.Now(); !strings.Contains(s.get(t, "/"), "is halted"); time.Sleep(time.Second) {
		if time.Since(began) > 2*time.Minute {
			t.Fatal("the rollout did not halt")
		}
	}
	return s
}

func (s *server) get(t *testing.T, path string) string {
	t.Helper()
	response, err := http.Get(s.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// api returns an answer of the API.
func (s *server) api(t *testing.T, path string) (answer struct {
	Serial   int64
	Blessed  string
	By       string
	Hosts    []struct{ Node string }
	Packages []struct{ Package string }
}) {
	t.Helper()
	text := s.get(t, "/api/v1"+path)
	_ = json.Unmarshal([]byte(text), &answer) // of some types only a part is asked for
	return answer
}

func (b *tab) login(s *server) {
	b.t.Helper()
	b.visit(s.address + "/login")
	b.fill("input[name=token]", s.token)
	b.click("main form button")
	b.until(`document.querySelector(".person")`)
}

// unreadable is a script that returns every text whose contrast is below 4.5.
const unreadable = `(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const over = (a, b) => a.slice(0, 3).map((v, i) => v * a[3] + b[i] * (1 - a[3]));
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { const stack = []; for (; e; e = e.parentElement) stack.push(parse(getComputedStyle(e).backgroundColor)); return stack.reverse().reduce((b, c) => over(c, b), [255, 255, 255]); };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.nodeValue.trim() || !e.checkVisibility({ visibilityProperty: true }) || e.closest(".vh, .skip, svg")) continue;
    const back = behind(e);
    const [a, b] = [light(over(parse(getComputedStyle(e).color), back)), light(back)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) bad.push(contrast.toFixed(2) + " " + walk.currentNode.nodeValue.trim().slice(0, 40) + " ." + e.className);
  }
  return bad;
})()`

// unnamed is a script that returns every control without a name, and every icon that is read aloud.
const unnamed = `(() => {
  const bad = [];
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea")) if (!e.labels.length) bad.push(e.outerHTML);
  for (const e of document.querySelectorAll("a, button, summary")) if (!e.textContent.trim() && !e.querySelector("img[alt]:not([alt=''])")) bad.push(e.outerHTML);
  for (const e of document.querySelectorAll(".icon")) if (e.getAttribute("aria-hidden") !== "true") bad.push(e.outerHTML);
  for (const e of document.querySelectorAll("img, svg")) if (!e.hasAttribute("alt") && !e.hasAttribute("aria-hidden") && !e.hasAttribute("aria-label")) bad.push(e.outerHTML);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  ids.forEach((id, i) => { if (ids.indexOf(id) !== i) bad.push("two elements are called " + id); });
  if (document.querySelectorAll("h1").length !== 1) bad.push(document.querySelectorAll("h1").length + " first headings");
  return bad;
})()`

// pages are those of the demo, by name.
func pages(t *testing.T, s *server) map[string]string {
	t.Helper()
	return map[string]string{
		"overview": "/", "package": "/p/my_site", "rollout": fmt.Sprintf("/p/my_site/%d", s.api(t, "/p/my_site").Serial), "hosts": "/h", "filtered": "/h?state=rejected&package=my_site",
		"host": "/h/" + s.api(t, "/h?state=rejected").Hosts[0].Node, "log": "/log", "confirm": "/p/my_site/do/resume", "bless": "/p/my_site/do/bless?now=1&revision=" + s.api(t, "/p/my_site").Blessed, "missing": "/none",
	}
}

// Every page, dark and light, large and small: all text can be read, nothing is cut off, everything
// has a name, and the browser complains of nothing.
func TestPages(t *testing.T) {
	s := demo(t)
	b := open(t)
	b.login(s)
	b.complaints()
	for name, path := range pages(t, s) {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 375} {
				where := fmt.Sprintf("%s, %s, %d", name, scheme, width)
				b.scheme(scheme)
				b.size(width, 900)
				b.visit(s.address + path)
				b.until(`document.querySelector("main h1")`)
				for _, bad := range eval[[]string](b, unreadable) {
					t.Errorf("%s: it can't be read: %s", where, bad)
				}
				for _, bad := range eval[[]string](b, unnamed) {
					t.Errorf("%s: it has no name: %s", where, bad)
				}
				if over := eval[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
					t.Errorf("%s: it is wider than the screen by %d: %v", where, over, eval[[]string](b,
						`[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80)).slice(0, 3)`))
				}
				for _, text := range b.complaints() {
					if name == "missing" && strings.Contains(text, "404") {
						continue
					}
					t.Errorf("%s: the browser says: %s", where, text)
				}
			}
		}
	}
}

// What the policy forbids is noticed here: otherwise the test above would prove nothing.
func TestComplaintsAreNoticed(t *testing.T) {
	s := start(t, []string{"FTL_BUCKET=file://" + t.TempDir()}, "serve", "--listen", "127.0.0.1:0")
	b := open(t)
	b.visit(s.address + "/log")
	b.complaints()
	b.until(`(document.querySelector("main").insertAdjacentHTML("beforeend", "<p style='color: red'>x</p>"), true)`)
	b.until(`(setTimeout(() => { throw new Error("x") }), true)`)
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		told := strings.Join(b.complaints(), " ")
		if strings.Contains(told, "style") {
			return
		}
	}
	t.Error("a violation of the policy was not noticed")
}

// A page follows the bucket without being loaded anew.
func TestLive(t *testing.T) {
	s := start(t, nil, "demo", "--serve=127.0.0.1:0")
	b := open(t)
	b.visit(s.address + "/")
	b.until(`document.getElementById("live").dataset.state === "live"`)
	b.until(`(window.same = true)`)
	b.until(`document.querySelector("#f-now h1").textContent.includes("Halted")`)
	b.until(`window.same`)
	if told := b.complaints(); len(told) > 0 {
		t.Errorf("the browser says: %v", told)
	}
}

// bucket is one with so many hosts.
func bucket(t *testing.T, hosts int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i := range hosts {
		report(t, dir, fmt.Sprintf("web-%05d", i), "ok")
	}
	return dir
}

// report writes what a host says of itself.
func report(t *testing.T, dir, name, state string) {
	t.Helper()
	reports := filepath.Join(dir, "_ftl", "hosts")
	if err := os.MkdirAll(reports, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"format":1,"host":%q,"version":"1","labels":{"zone":"a"},"every":60,"heartbeat":3600,"packages":[{"package":"my_site","state":%q,"current":"my_site.2026112045100Ab","message":%q}]}`, name, state, "state "+state)
	temp := filepath.Join(dir, "_ftl", "."+name)
	if err := os.WriteFile(temp, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, filepath.Join(reports, name)); err != nil {
		t.Fatal(err)
	}
}

// A server that is gone is seen: the page is dimmed and says since when; and it recovers by itself,
// whatever a proxy says meanwhile.
func TestStaleAndBack(t *testing.T) {
	dir := bucket(t, 3)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	begin := func() *server {
		return start(t, []string{"FTL_BUCKET=file://" + dir}, "serve", "--listen", address, "--ping", "300ms")
	}
	s := begin()
	b := open(t)
	b.visit(s.address + "/h")
	b.until(`document.getElementById("live").dataset.state === "live"`)
	b.until(`(window.same = true)`)
	s.end(syscall.SIGKILL)
	b.until(`"stale" in document.getElementById("main").dataset && document.getElementById("live").textContent === "stale"`)
	if text := b.text("#stale"); !regexp.MustCompile(`not heard from since \d\d:\d\d:\d\d UTC`).MatchString(text) {
		t.Errorf("it says %q", text)
	}
	// A proxy that answers for the server: a browser gives a stream up for good then.
	listener, err = net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 100)
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "bad gateway", http.StatusBadGateway)
		asked <- struct{}{}
	})}
	go proxy.Serve(listener)
	<-asked
	if err := proxy.Shutdown(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	report(t, dir, "web-new", "failed")
	begin()
	b.until(`document.getElementById("live").dataset.state === "live" && !("stale" in document.getElementById("main").dataset) && document.getElementById("stale").hidden`)
	b.until(`document.querySelector("#f-hosts").textContent.includes("web-new")`)
	b.until(`window.same`)
}

// Whoever may act confirms each act, and it is done in his name.
func TestActs(t *testing.T) {
	s := demo(t)
	b := open(t)
	b.visit(s.address + "/p/my_site")
	if eval[int](b, `document.querySelectorAll("a[href*='/do/']").length`) != 0 || !strings.Contains(b.text("main"), "ftl rollout resume my_site") {
		t.Error("without a token there are buttons, or no commands")
	}
	b.login(s)
	for _, act := range []string{"resume", "halt", "resume", "advance", "finish", "jump-back"} {
		before := s.api(t, "/p/my_site")
		b.visit(s.address + "/p/my_site")
		b.click("a.button." + act)
		b.until(`document.querySelector("pre.written")`)
		b.click("main button.primary")
		b.until(`location.pathname === "/p/my_site"`)
		after := s.api(t, "/p/my_site")
		if changed := after.Serial != before.Serial; changed != (act != "halt") || changed && after.By != "serve:demo" {
			t.Errorf("%s: serial %d after %d, by %s", act, after.Serial, before.Serial, after.By)
		}
	}
	b.visit(s.address + "/p/my_site")
	b.click("td.do a.button")
	b.fill("input[name=note]", "by hand")
	b.click("form.filter button")
	b.until(`document.querySelector("pre.written")?.textContent.includes("by hand")`)
	b.click("main button.primary")
	b.until(`location.pathname === "/p/my_site" && document.querySelector("#f-history").textContent.includes("by hand")`)
	b.click("header form button")
	b.until(`!document.querySelector(".person")`)
	if told := b.complaints(); len(told) > 0 {
		t.Errorf("the browser says: %v", told)
	}
}

// Without JavaScript every page is there, and acts can be done.
func TestWithoutJavaScript(t *testing.T) {
	s := demo(t)
	all := pages(t, s)
	for name, want := range map[string]string{
		"overview": "is halted", "package": "Revisions", "rollout": "Votes", "hosts": "web-1", "host": "What it printed", "log": "weekly release", "filtered": "rejected",
	} {
		if body := s.get(t, all[name]); !strings.Contains(body, want) || !strings.Contains(body, `http-equiv="refresh"`) {
			t.Errorf("%s: %q is not there", name, want)
		}
	}
	b := open(t)
	b.scripts(false)
	b.visit(s.address + "/login")
	b.press(s.token + "\r") // into the field that has the focus
	b.arrives("/")
	b.visit(s.address + "/p/my_site/do/resume")
	b.press(strings.Repeat("\t", 10) + "\r") // past the head, the way back, the note and its button
	b.arrives("/p/my_site")
	if by := s.api(t, "/p/my_site").By; by != "serve:demo" {
		t.Errorf("blessed by %s", by)
	}
}

// With the keyboard alone one comes to the content, to every page and to what is wrong, and sees
// where one is.
func TestKeyboard(t *testing.T) {
	s := demo(t)
	b := open(t)
	b.visit(s.address + "/")
	b.until(`document.getElementById("live").dataset.state === "live"`)
	var seen []string
	for range 12 {
		b.press("\t")
		seen = append(seen, eval[string](b, `document.activeElement.textContent.trim().replace(/\s+/g, " ")`))
		if !eval[bool](b, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
			t.Errorf("one does not see that one is at %q", seen[len(seen)-1])
		}
	}
	if want := []string{"Skip to the content", "ftl", "Overview", "Hosts", "Log", "Log in", "Look at it"}; strings.Join(seen[:len(want)], "|") != strings.Join(want, "|") {
		t.Errorf("one comes to %q", seen)
	}
	b.visit(s.address + "/h")
	b.press("\t")
	b.press("\r")
	b.until(`document.activeElement.id === "main"`)
}

// Ten thousand hosts are a page as small as two hundred.
func TestManyHosts(t *testing.T) {
	s := start(t, []string{"FTL_BUCKET=file://" + bucket(t, 10_000)}, "serve", "--listen", "127.0.0.1:0")
	for began := time.Now(); !strings.Contains(s.get(t, "/h"), "of 10000"); time.Sleep(200 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			t.Fatal("they were not read")
		}
	}
	for _, path := range []string{"/", "/h", "/h?sort=name&after=5000", "/h?text=99", "/p/my_site"} {
		began := time.Now()
		body := s.get(t, path)
		t.Logf("%s: %d KiB in %v", path, len(body)>>10, time.Since(began).Round(time.Millisecond))
		if len(body) > 300<<10 || strings.Count(body, "<tr") > 201 {
			t.Errorf("%s: %d bytes, %d rows", path, len(body), strings.Count(body, "<tr"))
		}
	}
	b := open(t)
	b.visit(s.address + "/h")
	b.until(`document.querySelectorAll("tbody tr").length === 200`)
	b.click("a[rel=next]")
	b.until(`document.querySelector(".sum")?.textContent.startsWith("201 to 400")`)
}

// The screenshots of the README, and more to look at.
func TestScreenshots(t *testing.T) {
	if *shots == "" {
		t.Skip("made only with -shots DIRECTORY")
	}
	s := demo(t)
	time.Sleep(15 * time.Second) // so that the rest of the wave has said how it is
	b := open(t)
	shoot := func(name string) {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), name) {
			return
		}
		if err := os.WriteFile(filepath.Join(*shots, name+".png"), b.picture(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, path := range pages(t, s) {
		if name == "missing" || name == "confirm" || name == "bless" {
			continue
		}
		for _, view := range []struct {
			scheme        string
			width, height int64
		}{{"light", 1280, 860}, {"dark", 1280, 860}, {"light", 375, 1100}, {"dark", 375, 1100}} {
			b.scheme(view.scheme)
			b.size(view.width, view.height)
			b.visit(s.address + path)
			b.until(`document.getElementById("live").dataset.state === "live"`)
			shoot(fmt.Sprintf("%s-%s-%d", name, view.scheme, view.width))
		}
	}
	b.login(s)
	b.scheme("light")
	for name, path := range map[string]string{"acts": "/p/my_site", "confirm": "/p/my_site/do/resume", "login": "/login"} {
		b.size(1280, 1100)
		b.visit(s.address + path)
		shoot(name)
	}
}
