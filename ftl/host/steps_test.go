package host

import (
	"reflect"
	"strings"
	"testing"

	"github.com/rhettg/ftl/ftl"
)

func TestParseOwnStep(t *testing.T) {
	long := strings.Repeat("é", 3<<10)
	for line, want := range map[string]ftl.Event{
		`{"name":"migrate","state":"running","message":"12 tables"}`: {Step: "post-jump/migrate", State: ftl.Running, Message: "12 tables"},
		`{"name":"a","state":"failure","more":[1]}`:                  {Step: "post-jump/a", State: ftl.Failure},
		// Spelled by letters, and as they are.
		`{"name":"a\u001b[2J\nftl: b","state":"success","message":"\u001b]0;x\u0007\nftl: my_site is active\u202e"}`: {
			Step: `post-jump/a\x1b[2J; ftl: b`, State: ftl.Success, Message: `\x1b]0;x\x07; ftl: my_site is active\u202e`,
		},
		"{\"name\":\"a\",\"state\":\"success\",\"message\":\"\u009b\"}": {Step: "post-jump/a", State: ftl.Success, Message: `\u009b`},
		`{"name":"a","state":"running","message":"` + long + `"}`:       {Step: "post-jump/a", State: ftl.Running, Message: long[:4<<10] + "…"},
		`{"name":"` + long + `","state":"running"}`:                     {Step: "post-jump/" + ftl.Step(long[:64]) + "…", State: ftl.Running},
		`{"name":"sync","state":"running"}`:                             {Step: "post-jump/sync", State: ftl.Running},
		`{"name":"a/b","state":"running"}`:                              {Step: "post-jump/a/b", State: ftl.Running},
		`{"not":"a step"}`:                                              {},
		`{"name":"a"}`:                                                  {},
		`{"name":"a","state":"planned"}`:                                {},
		`{"state":"running"}`:                                           {},
		`{"name":"\u0000","state":"running"}`:                           {},
		`{"name":"a","state":"running"`:                                 {},
		`{"name":7,"state":"running"}`:                                  {},
		`{"name":"a","state":"running"} and so`:                         {},
	} {
		is := want.State != ""
		if got, ok := parseOwnStep(ftl.PostJump, []byte(line)); ok != is || ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%.60s: got %+v, %v; want %+v", line, got, ok, want)
		}
	}
}
