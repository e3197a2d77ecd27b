package cmd

import (
	"io"
	"os"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/revision"
)

// bars shows on a terminal how far the steps that move bytes are. What is printed meanwhile has to
// go through it, and stands above the bars.
type bars struct {
	out io.Writer // the terminal

	mu   sync.Mutex
	live *mpb.Progress // nil while there are no bars
	all  map[barKey]*mpb.Bar
}

type barKey struct {
	pkg      revision.Package
	revision revision.Revision // zero while it has no name yet
	step     ftl.Step
}

// String is what stands before the bar.
func (k barKey) String() string {
	if k.revision == (revision.Revision{}) {
		return k.pkg.String() + " " + string(k.step)
	}
	return k.revision.String() + " " + string(k.step)
}

// endsWith reports whether the step is over when an event says so. A fetch ends with its unpacking.
func (k barKey) endsWith(event ftl.Event) bool {
	sameStep := k.step == event.Step || k.step == ftl.Unpack && event.Step == ftl.Fetch
	return k.pkg == event.Package && sameStep && (k.revision == revision.Revision{} || k.revision == event.Revision)
}

// isTerminal reports whether a person is at the other end of a stream.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Write prints lines above the bars.
func (b *bars) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live == nil {
		return b.out.Write(data)
	}
	return b.live.Write(data)
}

// update moves a bar, and makes it first where it is new. A step that is done takes its bar away.
func (b *bars) update(now ftl.Progress) {
	if now.Total <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := barKey{now.Package, now.Revision, now.Step}
	bar := b.all[key]
	if bar == nil {
		if now.Done >= now.Total {
			return // over before anybody could look
		}
		bar = b.add(key, now.Total)
	}
	bar.SetTotal(now.Total, false)
	bar.SetCurrent(min(now.Done, now.Total))
}

func (b *bars) add(key barKey, total int64) *mpb.Bar {
	if b.live == nil {
		b.live = mpb.New(mpb.WithOutput(b.out), mpb.WithWidth(40), mpb.WithAutoRefresh())
		b.all = make(map[barKey]*mpb.Bar)
	}
	bar := b.live.AddBar(total,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(key.String(), decor.WCSyncSpaceR), decor.CountersKibiByte("% .1f / % .1f", decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f", decor.WCSyncSpace), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)),
	)
	b.all[key] = bar
	return bar
}

// end takes the bars of a step away when it has ended, well or not.
func (b *bars) end(event ftl.Event) {
	if event.State == ftl.Running {
		return
	}
	b.mu.Lock()
	live := b.live
	for key, bar := range b.all {
		if key.endsWith(event) {
			bar.Abort(true)
			delete(b.all, key)
		}
	}
	over := live != nil && len(b.all) == 0
	if over {
		b.live = nil
	}
	b.mu.Unlock()
	if over {
		live.Wait()
	}
}
