package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rhettg/ftl/store/s3test"
)

// accounts is a server that tells who a caller is, as STS does.
type accounts struct {
	*httptest.Server
	asked atomic.Int32
}

const (
	callerID  = "AROAEXAMPLE:i-0abc"
	callerARN = "arn:aws:sts::123456789012:assumed-role/deployer/i-0abc"
)

func newAccounts(t *testing.T, answer http.HandlerFunc) *accounts {
	t.Helper()
	a := new(accounts)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		answer(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func knowsCaller(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>%s</Arn><UserId>%s</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, callerARN, callerID)
}

// The marker says who blessed also as Amazon knows it, where it can be asked, and a host is called
// so in keys.
func TestIdentity(t *testing.T) {
	server := s3test.Start(t)
	knowing := newAccounts(t, knowsCaller)
	refusing := newAccounts(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	hanging := newAccounts(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // else it is not told that the client has gone
		<-r.Context().Done()
	})
	for _, test := range []struct {
		name     string
		accounts *accounts
		env      func(*accounts) string
		known    bool
		asked    bool
	}{
		{"known", knowing, stsAt, true, true},
		{"refused", refusing, stsAt, false, true},
		{"no answer", hanging, stsAt, false, true},
		{"a server of its own, which is asked nothing", newAccounts(t, knowsCaller), func(*accounts) string { return "FTL_TEST=" }, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			home, bucket := t.TempDir(), server.Bucket(t)
			ftl := func(args ...string) string {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), "ftl", args...)
				cmd.Dir = home
				cmd.Env = append(append(userEnv(home), server.Env()...), "FTL_BUCKET="+bucket, "FTL_ROOT="+home, "FTL_HOST_ID=auto", test.env(test.accounts))
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				if err != nil && args[0] != "status" { // nobody has reported
					t.Fatalf("ftl %v: %v\n%s", args, err, stderr.String())
				}
				return strings.TrimSpace(string(out))
			}
			if err := os.MkdirAll(filepath.Join(home, "tool"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(home, "tool.txt"), []byte("hello"), 0o644); err != nil {
				t.Fatal(err)
			}
			ftl("jump", "--master", ftl("spool", "tool.txt"))
			ftl("sync")
			if got := strings.Contains(ftl("log", "--master", "tool"), " ("+callerARN+")"); got != test.known {
				t.Errorf("the log tells the ARN: %v, want %v", got, test.known)
			}
			hosts := ftl("status", "--fleet", "--hosts", "--json")
			if got := strings.Contains(hosts, `"node":"`+callerID+`"`); got != test.known {
				t.Errorf("the host is called as its credentials are: %v, want %v: %s", got, test.known, hosts)
			}
			why := ftl("why", "tool")
			if got := !strings.Contains(why, "no name to report"); got != test.known {
				t.Errorf("why knows the name: %v, want %v: %s", got, test.known, why)
			}
			if got := test.accounts.asked.Load() > 0; got != test.asked {
				t.Errorf("asked: %v, want %v", got, test.asked)
			}
		})
	}
}

func stsAt(a *accounts) string { return "AWS_ENDPOINT_URL_STS=" + a.URL }
