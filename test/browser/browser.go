// Package browser drives Debian's Chromium over pages of ours and holds them to what a page owes its readers: nothing on the
// console, nothing the content security policy had to stop, no scrolling sideways, no rule of axe-core broken.
//
// A test opens one [Browser], a [Tab] for each reader, walks with Go, Fill and Press, and asks [Tab.Faults] of every page it sees.
// Without Chromium or axe-core ("make peers" installs both) the test is skipped, and fails where CI=true.
package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"izinli/test/peer"
)

// Patience bounds one step of a tab; a busy machine must not fail a test.
const Patience = 60 * time.Second

// Browser is one Chromium with a profile of its own.
type Browser struct {
	ctx context.Context
	axe string
}

// Open starts Chromium; it ends with the test.
func Open(tb testing.TB) *Browser {
	tb.Helper()
	path := peer.Find(tb, "chromium", "chromium-browser", "google-chrome")
	axe, err := os.ReadFile(filepath.Join(here(), "../peers/node_modules/axe-core/axe.min.js"))
	if err != nil {
		peer.Missing(tb, "npm axe-core: make peers installs it: "+err.Error())
	}
	alloc, stop := chromedp.NewExecAllocator(context.WithoutCancel(tb.Context()), chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox)
	tb.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc)
	tb.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		tb.Fatalf("chromium: %v", err)
	}
	return &Browser{ctx: ctx, axe: string(axe)}
}

// here is the folder of this file.
func here() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

// Shots is a folder for screenshots below test/screenshots, which git ignores; it is made anew.
func Shots(tb testing.TB, name string) string {
	tb.Helper()
	dir := filepath.Join(here(), "../screenshots", name)
	if err := os.RemoveAll(dir); err != nil {
		tb.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// Tab is one page open in the browser, with cookies of its own.
type Tab struct {
	tb    testing.TB
	ctx   context.Context
	axe   string
	heard *heard
}

// heard is what a page complained about.
type heard struct {
	mu   sync.Mutex
	list []string // guarded by mu
}

// watch notes what the content security policy stopped; it runs before anything of a page.
const watch = `window.__stopped = []; addEventListener("securitypolicyviolation", (e) => __stopped.push(e.violatedDirective + " " + e.blockedURI));`

// Tab opens a tab in a fresh profile: nobody is signed in there.
func (b *Browser) Tab(tb testing.TB) *Tab {
	tb.Helper()
	ctx, end := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t := &Tab{tb: tb, ctx: ctx, axe: b.axe, heard: &heard{}}
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch}); err != nil {
		tb.Fatalf("chromium: a new tab: %v", err)
	}
	messages := chromedp.Console(ctx)
	var listener sync.WaitGroup
	listener.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			t.heard.add(&m)
		}
	})
	tb.Cleanup(func() { end(); listener.Wait() })
	return t
}

// On is the tab for a subtest, which it fails instead.
func (t *Tab) On(tb testing.TB) *Tab {
	sub := *t
	sub.tb = tb
	return &sub
}

func (h *heard) add(m *chromedp.ConsoleMessage) {
	switch {
	case m.Type != chromedp.ConsoleError && m.Type != chromedp.ConsoleWarning && !m.IsException():
		return
	case m.Source == "network" && strings.Contains(m.Text, "status of 4") && !strings.Contains(m.URL, "/assets/"):
		return // a page that says 403 or 404 is what a test asked for; what it loads must be there
	}
	h.mu.Lock()
	h.list = append(h.list, fmt.Sprintf("console: %s (%s)", m, m.URL))
	h.mu.Unlock()
}

func (h *heard) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.list
	h.list = nil
	return out
}

// do runs an action within the tab's patience and fails the test when it does not succeed.
func do[T any](t *Tab, what string, a chromedp.Action[T]) T {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.tb.Fatalf("%s: %v\non %s", what, err, t.where())
	}
	return v
}

// where is the address and the text of the page, for a failure.
func (t *Tab) where() string {
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 2000)`))
	if err != nil {
		return err.Error()
	}
	return s
}

// Go opens an address.
func (t *Tab) Go(url string) {
	t.tb.Helper()
	do(t, "open "+url, chromedp.Navigate(url))
}

// View sets how the page is looked at: the width of the window in CSS pixels, and whether the reader's system is dark.
func (t *Tab) View(width int64, dark bool) {
	t.tb.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	do(t, "viewport", chromedp.EmulateViewport(width, 900))
	_, err := chromedp.Call(t.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	if err != nil {
		t.tb.Fatalf("emulate %s: %v", scheme, err)
	}
}

// Cookie sets a cookie for the origin of url.
func (t *Tab) Cookie(url, name, value string) {
	t.tb.Helper()
	if _, err := chromedp.Call(t.ctx, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: url}); err != nil {
		t.tb.Fatalf("cookie %s: %v", name, err)
	}
}

// Fill types into fields: pairs of selector and text. What stood there goes.
func (t *Tab) Fill(pairs ...string) {
	t.tb.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		field := chromedp.CSS(pairs[i])
		do(t, "fill "+pairs[i], chromedp.Steps(chromedp.WaitVisible(field), chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).select()", pairs[i])),
			chromedp.SendKeys(field, pairs[i+1])))
	}
}

// Choose sets a field without typing: an option, a date, a box to tick.
func (t *Tab) Choose(selector, value string) {
	t.tb.Helper()
	field := chromedp.CSS(selector)
	do(t, "choose "+selector, chromedp.Steps(chromedp.WaitVisible(field), chromedp.SetValue(field, value)))
}

// File puts a file into a form.
func (t *Tab) File(selector, path string) {
	t.tb.Helper()
	do(t, "file "+selector, chromedp.SetUploadFiles(chromedp.CSS(selector), []string{path}))
}

// Click presses something that stays on the page.
func (t *Tab) Click(selector string) {
	t.tb.Helper()
	do(t, "click "+selector, chromedp.Steps(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector))))
}

// Press presses a button or link that leads to another page, and waits until that has loaded.
func (t *Tab) Press(selector string) {
	t.tb.Helper()
	do(t, "find "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
	do(t, "press "+selector, chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.Click(chromedp.CSS(selector))))
}

// Await waits until an element shows the text.
func (t *Tab) Await(selector, text string) {
	t.tb.Helper()
	t.AwaitThat(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))`, selector, text))
}

// AwaitThat waits until a JavaScript expression is true, on whatever page is open then.
func (t *Tab) AwaitThat(js string) {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		// While a page is being left the answer is an error; the next page answers.
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](js))
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.tb.Fatalf("waited %s for %s (%v)\non %s", Patience, js, err, t.where())
		case <-tick.C:
		}
	}
}

// Text is what the first such element shows.
func (t *Tab) Text(selector string) string {
	t.tb.Helper()
	return do(t, "text of "+selector, chromedp.Text(chromedp.CSS(selector)))
}

// Eval is the value of a JavaScript expression, awaited when it is a promise.
func Eval[T any](t *Tab, js string) T {
	t.tb.Helper()
	return do(t, "evaluate", chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
}

// At is the address of the page.
func (t *Tab) At() string {
	t.tb.Helper()
	return do(t, "location", chromedp.Location())
}

// wide tells how wide the page and the window are, and who sticks out.
const wide = `(() => {
	const w = document.documentElement.clientWidth, p = document.documentElement.scrollWidth;
	if (p <= w) return "";
	const out = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > w + 1);
	return p + " px in " + w + ": " + out.slice(0, 3).map((e) => e.outerHTML.slice(0, 160)).join(" | ");
})()`

// Overflow tells who makes the page scroll sideways, empty when nobody does.
func (t *Tab) Overflow() string {
	t.tb.Helper()
	return Eval[string](t, wide)
}

// finding is one rule of axe-core that a page breaks.
type finding struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML           string `json:"html"`
		FailureSummary string `json:"failureSummary"`
	} `json:"nodes"`
}

// Faults is what is wrong with the page as it is seen now; what the page complained about is told once.
func (t *Tab) Faults() (out []string) {
	t.tb.Helper()
	if s := t.Overflow(); s != "" {
		out = append(out, "scrolls sideways: "+s)
	}
	for _, s := range Eval[[]string](t, `(() => { const s = window.__stopped || []; window.__stopped = []; return s; })()`) {
		out = append(out, "content security policy: "+s)
	}
	return append(append(out, t.audit()...), t.heard.take()...)
}

// audit asks axe-core. DevTools puts the script into the page past its policy.
func (t *Tab) audit() (out []string) {
	t.tb.Helper()
	if !Eval[bool](t, `!!window.axe`) {
		Eval[bool](t, t.axe+"\n;true")
	}
	for _, f := range Eval[[]finding](t, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations)`) {
		for _, n := range f.Nodes {
			out = append(out, fmt.Sprintf("axe %s (%s): %s: %s: %s", f.ID, f.Impact, f.Help, n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " ")))
		}
	}
	return out
}

// Shot writes the whole page as a PNG.
func (t *Tab) Shot(path string) {
	t.tb.Helper()
	if err := os.WriteFile(path, do(t, "screenshot", chromedp.FullScreenshot(100)), 0o644); err != nil {
		t.tb.Fatal(err)
	}
}
