package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/rhettg/ftl/ftl"
)

func TestFinishNamesTheSignal(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(signalError{syscall.SIGTERM})
	failed := &ftl.Error{Kind: ftl.HookFailed, Err: errors.New("it failed")}
	tests := []struct {
		name string
		err  error
		want string
		code int
	}{
		{"in the chain", fmt.Errorf("sync: %w", context.Cause(ctx)), "ftl: sync: ended by signal terminated\n", 143},
		{"not in the chain", fmt.Errorf("get: %w", ctx.Err()), "ftl: get: context canceled: ended by signal terminated\n", 143},
		{"beside another failure", ftl.Join(failed, context.Cause(ctx)), "ftl: it failed\nftl: ended by signal terminated\n", 143},
		{"another failure", failed, "ftl: it failed\n", 3},
		{"one that speaks of it", errors.New("the server said: context canceled"), "ftl: the server said: context canceled\n", 1},
	}
	for _, test := range tests {
		var stderr strings.Builder
		p := Program{Stderr: &stderr}
		if code := p.finish(ctx, test.err); code != test.code || stderr.String() != test.want {
			t.Errorf("%s: got %d, %q; want %d, %q", test.name, code, stderr.String(), test.code, test.want)
		}
	}
}
