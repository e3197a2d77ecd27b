package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rhettg/ftl/cmd"
	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/hooks"
	"github.com/rhettg/ftl/store/s3test"
)

// reference is all that is written for people who use ftl: the README and the
// topics of ftl help.
func reference(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range pages(t) {
		all.WriteString(page(t, name))
	}
	return all.String()
}

// pages are the files of the reference, below the top.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := fs.Glob(os.DirFS(repository), "cmd/topics/*.md")
	if err != nil || len(found) == 0 {
		t.Fatalf("found the topics %v, %v", found, err)
	}
	return append([]string{"README.md"}, found...)
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestREADMELength keeps the README an introduction. The reference has its own
// pages.
func TestREADMELength(t *testing.T) {
	if lines := strings.Count(page(t, "README.md"), "\n"); lines > 250 {
		t.Errorf("the README has %d lines, want at most 250", lines)
	}
}

// TestREADMETopics compares the README's table of topics with their pages.
func TestREADMETopics(t *testing.T) {
	for _, name := range pages(t)[1:] {
		topic := strings.TrimSuffix(path.Base(name), ".md")
		if row := fmt.Sprintf("\n| [%s](%s) | ", topic, name); !strings.Contains(page(t, "README.md"), row) {
			t.Errorf("the README has no row that begins with %q", row)
		}
	}
}

// TestLinks follows each link between the files of the checkout.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	for _, name := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(page(t, name), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			if anchor != "" {
				t.Errorf("%s: %s: anchors are not followed by this test, nor by ftl help", name, match[1])
			}
			if _, err := os.Stat(filepath.Join(repository, path.Dir(name), target)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

var fence = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

// blocks returns the fenced blocks of the reference whose info string is one of
// these, in their order.
func blocks(t *testing.T, infos ...string) []string {
	t.Helper()
	var found []string
	for _, match := range fence.FindAllStringSubmatch(reference(t), -1) {
		if slices.Contains(infos, match[1]) {
			found = append(found, match[2])
		}
	}
	return found
}

// TestREADMEFirstDeploy runs the first deploy of the README as it stands there,
// on both kinds of bucket.
func TestREADMEFirstDeploy(t *testing.T) {
	t.Run("directory", func(t *testing.T) {
		firstDeploy(t, "directory", nil)
	})
	t.Run("s3", func(t *testing.T) {
		server := s3test.Start(t)
		if err := server.MakeBucket(t.Context(), "my-releases"); err != nil {
			t.Fatal(err)
		}
		firstDeploy(t, "s3", server.Env())
	})
}

// Its chapter on fleets goes on where the first deploy ends.
func firstDeploy(t *testing.T, kind string, env []string) {
	parts := blocks(t, "sh deploy", "sh deploy "+kind, "sh fleet")
	if len(parts) < 10 {
		t.Fatalf("the README has %d blocks of a first deploy", len(parts))
	}
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", checked(strings.Join(parts, "")))
	cmd.Dir = home
	cmd.Env = append(userEnv(home), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// userEnv is the environment of somebody who has just installed ftl.
func userEnv(home string) []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "FTL_") || strings.HasPrefix(variable, "AWS_")
	})
	return append(env, "HOME="+home, "FTL_ENV_FILE=none")
}

var expectation = regexp.MustCompile(`(?m)^(.*\S) +# ->(.*)$`)

// checked makes of "command # -> text" a check that the command succeeds and
// prints the text, in which … stands for anything.
func checked(script string) string {
	script = expectation.ReplaceAllStringFunc(script, func(line string) string {
		match := expectation.FindStringSubmatch(line)
		words := strings.Split(strings.TrimSpace(match[2]), "…")
		for i, word := range words {
			words[i] = "'" + word + "'"
		}
		return fmt.Sprintf("out=$(%s); [[ $out == %s ]] || { printf 'got %%s\\n' \"$out\"; exit 1; }", match[1], strings.Join(words, "*"))
	})
	return "set -x\n" + script
}

// TestReferencePolicies lets each role do its work, and checks that its policy
// allows what was asked of the bucket, and what it does not.
func TestReferencePolicies(t *testing.T) {
	server := s3test.Start(t)
	if err := server.MakeBucket(t.Context(), "roles"); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	var revision string
	as := func(role string, args ...string) {
		t.Helper()
		proxy := s3test.NewProxy(t, server.Endpoint)
		proxied := server
		proxied.Endpoint = proxy.URL
		cmd := exec.CommandContext(t.Context(), "ftl", args...)
		cmd.Dir = home
		cmd.Env = append(append(userEnv(home), proxied.Env()...), "FTL_BUCKET=roles", "FTL_ROOT="+home, "FTL_KEEP=0", "FTL_HOST_ID=web-1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: ftl %v: %v\n%s", role, args, err, stderr.String())
		}
		if args[0] == "spool" {
			revision = strings.TrimSpace(string(out))
		}
		requests := proxy.Requests()
		if len(requests) == 0 {
			t.Errorf("ftl %v asked the bucket nothing", args)
		}
		for _, request := range requests {
			if args[0] == "list" && strings.HasPrefix(request.Key, "_ftl/hosts/") {
				continue // it warns that it can't tell what hosts have confirmed
			}
			creates := request.Header.Get("If-None-Match") == "*"
			if !policy(t, role).allows(request.Method, request.Key, creates) {
				t.Errorf("the policy of the %s forbids what ftl %v does: %s %q", role, args, request.Method, request.Key)
			}
		}
	}

	for _, dir := range []string{"my_site", "package/my_site"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "package/my_site/page"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	var revisions []string
	for range 4 {
		as("build-box", "spool", "package/my_site")
		revisions = append(revisions, revision)
		as("operator", "jump", "--master", revision)
		as("host", "sync", "my_site")
		as("host", "status", "my_site")
	}
	as("operator", "jump-back", "--master", "my_site")
	as("host", "sync", "my_site")
	as("host", "jump", revisions[0]) // which it has to fetch
	as("operator", "purge", "--master", revisions[1])
	as("operator", "clean", "--master", "--keep", "0", "my_site")
	as("host", "sync", "my_site")
	as("host", "sync") // which reports
	as("host", "list", "--master", "my_site")
	as("host", "why", "my_site")
	as("host", "log", "--master", "my_site")

	for role, forbidden := range map[string][]string{
		"host": {
			"PUT my_site.rev", "PUT my_site.1.tgz", "PUT _ftl/conditions", "PUT _ftl/epoch", "DELETE my_site.rev",
			"GET _ftl/hosts/web-1", "PUT _ftl/hosts/web-2", "PUT _ftl/votes/my_site/7/bad/0/web-2", "PUT _ftl/votes/my_site/7/bad/0/~operator",
		},
		"build-box": {
			"PUT my_site.rev", "DELETE my_site.rev", "PUT _ftl/hosts/web-1", "PUT _ftl/votes/my_site/7/bad/0/web-1", "PUT _ftl/slots/my_site/1",
			"DELETE _ftl/epoch",
		},
	} {
		for _, request := range forbidden {
			method, key, _ := strings.Cut(request, " ")
			if policy(t, role).allows(method, key, true) {
				t.Errorf("the policy of the %s allows %s", role, request)
			}
		}
	}
	if policy(t, "build-box").allows("PUT", "my_site.1.tgz", false) {
		t.Error("the policy of the build box lets it replace a revision")
	}
}

// TestReferencePoliciesAreThoseOfIAM compares the policies of the reference with what ftl iam
// prints.
func TestReferencePoliciesAreThoseOfIAM(t *testing.T) {
	for _, role := range catalog.Roles() {
		cmd := exec.CommandContext(t.Context(), "ftl", "iam", string(role), "--bucket", "my-releases")
		cmd.Env = userEnv(t.TempDir())
		out, err := cmd.Output()
		if found := blocks(t, "json "+string(role)); err != nil || len(found) != 1 || found[0] != string(out) {
			t.Errorf("the reference has other policies of the %s than this one: %v\n%s", role, err, out)
		}
	}
}

// statements are a policy of the reference.
type statements []struct {
	Effect    string
	Action    words
	Resource  words
	Condition map[string]map[string]string
}

// words are one string, or a list.
type words []string

func (w *words) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte("[")) {
		return json.Unmarshal(text, (*[]string)(w))
	}
	*w = make(words, 1)
	return json.Unmarshal(text, &(*w)[0])
}

func policy(t *testing.T, role string) statements {
	t.Helper()
	found := blocks(t, "json "+role)
	if len(found) != 1 {
		t.Fatalf("the reference has %d policies of the %s", len(found), role)
	}
	var document struct{ Statement statements }
	text := strings.ReplaceAll(found[0], "${aws:userid}", "web-1")
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%s: %v", role, err)
	}
	return document.Statement
}

// allows says what S3 would, of a request for a key or, with "", for a listing. One that creates
// must not replace.
func (s statements) allows(method, key string, creates bool) bool {
	action := map[string]string{
		http.MethodGet: "s3:GetObject", http.MethodHead: "s3:GetObject",
		http.MethodPut: "s3:PutObject", http.MethodDelete: "s3:DeleteObject",
	}[method]
	resource := "arn:aws:s3:::my-releases"
	if key == "" {
		action = map[string]string{http.MethodGet: "s3:ListBucket"}[method]
	} else {
		resource += "/" + key
	}
	allowed := false
	for _, statement := range s {
		matches := slices.ContainsFunc(statement.Resource, func(pattern string) bool {
			return matchResource(pattern, resource)
		})
		if len(statement.Condition) > 0 && (!creates || statement.Condition["Null"]["s3:if-none-match"] != "false") {
			continue // the other condition is for parts of a large upload
		}
		if matches && slices.Contains(statement.Action, action) {
			if statement.Effect == "Deny" {
				return false
			}
			allowed = true
		}
	}
	return allowed
}

// matchResource is path.Match, but * matches slashes too.
func matchResource(pattern, resource string) bool {
	flat := strings.NewReplacer("/", "\x00")
	matched, err := path.Match(flat.Replace(pattern), flat.Replace(resource))
	return err == nil && matched
}

// rows are the lines of the reference's tables, by what their first cell shows as
// code or as a number.
func rows(t *testing.T) map[string]bool {
	t.Helper()
	first := regexp.MustCompile(`(?m)^\| ((?:\\\||[^|])*) \|`)
	code := regexp.MustCompile("`([^`]*)`")
	found := make(map[string]bool)
	for _, row := range first.FindAllStringSubmatch(reference(t), -1) {
		found[row[1]] = true
		for _, name := range code.FindAllStringSubmatch(row[1], -1) {
			found[name[1]] = true
		}
	}
	return found
}

func TestReferenceCommands(t *testing.T) {
	documented := make(map[string]bool)
	for row := range rows(t) {
		if words := strings.Fields(row); len(words) > 1 && words[0] == "ftl" {
			documented[words[1]] = true
		}
	}
	help, err := exec.Command("ftl", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := commandLines(string(help))
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		if !documented[name] {
			t.Errorf("the reference has no row for ftl %s", name)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("the reference has the command ftl %s, which does not exist", name)
	}

	flags := append(allHelp(t, list), help...)
	flag := regexp.MustCompile("`(?:ftl [^`\n]*?)?(--[a-z][a-z-]*)")
	for _, match := range flag.FindAllStringSubmatch(reference(t), -1) {
		if !bytes.Contains(flags, []byte(match[1]+" ")) {
			t.Errorf("the reference has the flag %s, which does not exist", match[1])
		}
	}
}

// commandLines are the lines of the help that begin with a command.
func commandLines(help string) string {
	_, list, _ := strings.Cut(help, "\nEveryday:\n")
	list, _, _ = strings.Cut(list, "\nFlags:\n")
	return strings.Join(regexp.MustCompile(`(?m)^  [a-z].*\n`).FindAllString(list, -1), "")
}

// allHelp is the help of every command of a list, and of those below it.
func allHelp(t *testing.T, list string) []byte {
	t.Helper()
	var all []byte
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		lines := [][]string{{name}}
		if command, _, err := new(cmd.Program).Commands().Find([]string{name}); err == nil && name != "completion" {
			for _, child := range command.Commands() {
				lines = append(lines, []string{name, child.Name()})
			}
		}
		for _, words := range lines {
			help, err := exec.Command("ftl", append(words, "--help")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, help...)
		}
	}
	return all
}

func TestReferenceHooks(t *testing.T) {
	documented := rows(t)
	for _, name := range hooks.Names() {
		if !documented[string(name)] {
			t.Errorf("the reference has no row for the hook %s", name)
		}
	}
}

// literals returns the string literals of the program that match.
func literals(t *testing.T, pattern string) map[string]bool {
	t.Helper()
	re := regexp.MustCompile(pattern)
	found := make(map[string]bool)
	for name, source := range sources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				for _, match := range re.FindAllString(literal.Value, -1) {
					found[match] = true
				}
			}
			return true
		})
	}
	return found
}

func TestReferenceVariables(t *testing.T) {
	documented := rows(t)
	used := literals(t, `\bFTL_[A-Z_]+\b`)
	if len(used) < 15 {
		t.Fatalf("found only %v in the code", used)
	}
	for name := range used {
		if !documented[name] {
			t.Errorf("the reference has no row for %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`\bFTL_[A-Z_]+\b`).FindAllString(reference(t), -1) {
		if !used[name] {
			t.Errorf("the reference has %s, which the program doesn't know", name)
		}
	}
}

func TestReferenceExitCodes(t *testing.T) {
	documented := rows(t)
	file, err := parser.ParseFile(token.NewFileSet(), "exit.go", sources(t)["cmd/exit.go"], 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "exit") || len(spec.Values) != 1 {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		found++
		code, err := strconv.Atoi(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		row := literal.Value
		if code == 128 {
			row += "+n"
		}
		if !documented[row] {
			t.Errorf("the reference has no row for the exit code %s", row)
		}
		return true
	})
	if found < 8 {
		t.Errorf("found only %d exit codes in the code", found)
	}
}
