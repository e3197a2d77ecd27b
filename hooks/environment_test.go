package hooks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseInheritance(t *testing.T) {
	for text, want := range map[string]Inheritance{
		"":                          {},
		"A":                         {names: []string{"A"}},
		"AWS_PROFILE, _x9":          {names: []string{"AWS_PROFILE", "_x9"}},
		"only:":                     {only: true},
		"only:TZ,AWS_SESSION_TOKEN": {only: true, names: []string{"TZ", "AWS_SESSION_TOKEN"}},
	} {
		got, err := ParseInheritance(text)
		if err != nil || got.only != want.only || !slices.Equal(got.names, want.names) {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{",", "A,", "only:,", "9A", "A=b", "AWS_*", "A B", "only", "only:A,only:B"} {
		if got, err := ParseInheritance(text); err == nil && text != "only" { // which is a name
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

func TestInheritance(t *testing.T) {
	secret := []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY", "AWS_SECRET_KEY",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS",
		"FTL_SIGN_KEY", "FTL_SERVE_SECRET", "FTL_NOTIFY", "FTL_NOTIFY_TOKEN",
	}
	ofAnother := []string{"FTL_HOOK", "FTL_RECOVERY", "FTL_FAILED_HOOK", "FTL_EXIT_STATUS", "FTL_PARAM_DOMAIN"}
	needed := []string{"PATH", "HOME", "LANG", "FTL_BUCKET", "FTL_HOOK_ENV"}
	other := []string{"TZ", "AWS_REGION", "AWS_PROFILE", "LC_ALL", "MINE"}
	all := slices.Concat(secret, ofAnother, needed, other)
	tests := []struct {
		text string
		want []string
	}{
		{"", slices.Concat(needed, other)},
		{"AWS_SESSION_TOKEN,FTL_SIGN_KEY,TZ,NONE", slices.Concat([]string{"AWS_SESSION_TOKEN", "FTL_SIGN_KEY"}, needed, other)},
		{"only:", needed},
		{"only:TZ,SSH_AUTH_SOCK", slices.Concat(needed, []string{"TZ", "SSH_AUTH_SOCK"})},
		{"FTL_HOOK", slices.Concat(needed, other)},
	}
	for _, test := range tests {
		in, err := ParseInheritance(test.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range all {
			if got, want := in.passes(name), slices.Contains(test.want, name); got != want {
				t.Errorf("%q: %s passes: %v, want %v", test.text, name, got, want)
			}
		}
	}
}

func TestHookGetsItsEnvironment(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "geheim")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	t.Setenv("FTL_FAILED_HOOK", "outer")
	t.Setenv("FTL_EXIT_STATUS", "7")
	t.Setenv("PATH", "/usr/bin:/sbin:/bin")
	dir := newRevision(t, `echo "${AWS_SECRET_ACCESS_KEY-unset} $AWS_SESSION_TOKEN ${FTL_FAILED_HOOK-unset} $FTL_EXIT_STATUS $PATH"`)
	in, err := ParseInheritance("AWS_SESSION_TOKEN")
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t, dir, Options{Inherit: in, Env: []string{"FTL_EXIT_STATUS=3"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := readFile(t, logOf(dir)), "unset token unset 3 /usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:"+ownDirectory()+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSystemProgramsAreFound(t *testing.T) {
	const sbin = ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/srv/ftl/bin"
	for path, want := range map[string]string{
		"/usr/bin:/bin": "/usr/bin:/bin" + sbin, // cron's
		"":              "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/srv/ftl/bin",
		"/usr/local/sbin:/usr/local/bin:/srv/ftl/bin:/usr/sbin:/sbin": "/usr/local/sbin:/usr/local/bin:/srv/ftl/bin:/usr/sbin:/sbin",
		"/usr/sbin/:/x": "/usr/sbin/:/x" + sbin,
	} {
		if got := withSystemPrograms(path, "/srv/ftl/bin"); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

// A hook that is run from within another package's must not take for its own
// what that one was told: whatever host adds for one hook has to be in ofOneHook.
func TestWhatHostTellsAHookIsOfOneHook(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "ftl", "host", "hook.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, word := range strings.FieldsFunc(string(source), func(r rune) bool { return r == '"' || r == '=' || r == ' ' }) {
		if !strings.HasPrefix(word, "FTL_") || word == "FTL_ROOT" || word == "FTL_NODE" { // which are for everyone
			continue
		}
		found++
		if !ofOneHook.has(word) {
			t.Errorf("%s is for one hook, and another package's gets it too", word)
		}
	}
	if found < 10 {
		t.Errorf("found only %d variables", found)
	}
}
