package host

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/revision"
)

// A jump that waits to fetch a revision must look again: it would throw away
// the tree that somebody has made ready, or even active, meanwhile.
func TestJumpDoesNotFetchWhatBecameReadyMeanwhile(t *testing.T) {
	p, r := newPackage(t), letter(t, "a")
	p.host.Open = func(context.Context) (*catalog.Catalog, error) { return nil, errors.New("the bucket was asked") }
	syncing, err := p.lock(t.Context(), tree.SyncLock, tree.Patience{})
	if err != nil {
		t.Fatal(err)
	}
	jumped := make(chan error)
	go func() { jumped <- p.host.Jump(t.Context(), r, JumpOptions{}) }()
	for { // until the jump knows that it has to fetch
		if last, ok := p.ReadHolder(tree.ChangeLock); ok && last.Released {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := os.Mkdir(p.RevisionDir(r), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := p.update(t.Context(), p.host.lockWait(), func(st *tree.State) { st.Ready = map[revision.Revision]tree.Ready{r: {}} }); err != nil {
		t.Fatal(err)
	}
	if err := syncing.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-jumped; err != nil {
		t.Error(err)
	}
	if links, err := p.Links(); err != nil || links.Current != r {
		t.Errorf("current is %v, %v", links.Current, err)
	}
}
