package browser

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// All calls of the browser's library are in this file, as it changes often.

// A tab is a page in a browser.
type tab struct {
	t   *testing.T
	ctx context.Context

	mutex    sync.Mutex
	messages []string // what the console was told: errors, and violations of the policy
}

// patience is how long anything may take. The machine may be busy.
const patience = 60 * time.Second

// open starts a browser of its own.
func open(t *testing.T) *tab {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Fatal("chromium is not here: apt-get install chromium")
	}
	allocated, end := chromedp.NewExecAllocator(t.Context(), chromedp.DefaultExecAllocatorOptions[:]...)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(func() { cancel(); end() })
	b := &tab{t: t, ctx: ctx}
	b.must(chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
				b.note(e.Entry.Text + " " + e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			b.note(e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			b.note(fmt.Sprintf("console.%s", e.Type))
		}
	}))
	b.size(1280, 900)
	return b
}

func (b *tab) note(text string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.messages = append(b.messages, text)
}

// complaints returns what the console was told since it was asked last.
func (b *tab) complaints() []string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	told := b.messages
	b.messages = nil
	return told
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// do runs actions, within some time.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	b.must(chromedp.Do(ctx, actions...))
}

func (b *tab) visit(address string) { b.t.Helper(); b.do(chromedp.Navigate(address)) }

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.SetValue(chromedp.CSS(selector), text))
}

func (b *tab) press(keys string) { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }

func (b *tab) size(width, height int64) { b.t.Helper(); b.do(chromedp.EmulateViewport(width, height)) }

// scheme sets whether the page is to be dark or light.
func (b *tab) scheme(name string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	b.must(err)
}

// scripts says whether pages may run JavaScript.
func (b *tab) scripts(allowed bool) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !allowed})
	b.must(err)
}

func (b *tab) location() string {
	b.t.Helper()
	address, err := chromedp.Run(b.ctx, chromedp.Location())
	b.must(err)
	return address
}

// arrives waits for the page with a path.
func (b *tab) arrives(path string) {
	b.t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		at, err := url.Parse(b.location())
		b.must(err)
		if at.Path == path {
			return
		}
		if time.Since(began) > patience {
			b.t.Fatalf("it is at %s, and not at %s", at, path)
		}
	}
}

// text returns what an element says.
func (b *tab) text(selector string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS(selector)))
	b.must(err)
	return strings.Join(strings.Fields(text), " ")
}

// eval returns the value of an expression.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	b.must(err)
	return value
}

// until waits for an expression to be true. A page that is loaded anew meanwhile is asked again.
func (b *tab) until(expression string) {
	b.t.Helper()
	began := time.Now()
	for {
		good, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && good {
			return
		}
		if time.Since(began) > patience {
			b.t.Fatalf("it never came: %s (%v)\n%s", expression, err, b.text("body"))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (b *tab) picture() []byte {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	b.must(err)
	return png
}
