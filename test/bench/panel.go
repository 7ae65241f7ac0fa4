package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
)

// listLooks is how often each page is asked for; the median of so many is its figure.
const listLooks = 21

// listPages fills a store with messages, half of them in batches of their own, signs in to the panel as a person would, and asks
// for every page that lists something. The value is the slowest page's median, seen from the client: the server's time and a
// little more.
func listPages(ctx context.Context, b *bench, r *result) (err error) {
	n := b.size(1_000_000, 20_000)
	s, err := b.newStand(ctx, r, standOptions{deaf: true, consents: pool, panel: true})
	if err != nil {
		return err
	}
	defer s.remove(&err)
	told, err := s.fillWaiting(ctx, r, n)
	if err != nil {
		return err
	}
	big := campaign{n: bulkSize, size: bulkSize, vars: true, number: s.audience().number, sendAt: time.Now().Add(24 * time.Hour)}
	h := bulk{addr: s.gw.API, key: s.gw.APIKey, conns: 1, requests: big.build(s.gw.API, s.gw.APIKey)}
	last, _, err := h.run(ctx)
	if err != nil {
		return err
	}
	told += last
	v, err := signIn(ctx, s.gw.Panel)
	if err != nil {
		return fmt.Errorf("panel: %w", err)
	}
	pages, err := v.lists(ctx)
	if err != nil {
		return fmt.Errorf("panel: %w", err)
	}
	measured, err := s.meter("panel")
	if err != nil {
		return err
	}
	for _, p := range pages {
		took := make([]time.Duration, listLooks)
		for i := range took {
			began := time.Now()
			if err := v.open(ctx, p.path); err != nil {
				return fmt.Errorf("panel: %w", err)
			}
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		median := ms(took[listLooks/2])
		r.set(p.name, median)
		r.Value = max(r.Value, median)
	}
	r.Unit, r.Messages = "ms", told
	r.Settings["looks"], r.Settings["rowsPerPage"] = listLooks, 50
	if _, err := measured(); err != nil {
		return err
	}
	return s.verify(r, told)
}

// listPage is a page that lists something.
type listPage struct{ name, path string }

var (
	formToken = regexp.MustCompile(`name="_csrf" value="([^"]+)"`)
	shownCode = regexp.MustCompile(`<pre[^>]*>([^<]+)</pre>`)
	nextPage  = regexp.MustCompile(`href="([^"]+)" rel="next"`)
	batchLink = regexp.MustCompile(`href="/batches/([0-9a-z]+)"`)
)

// lists finds the addresses of the pages: those of the navigation, and those that need something found on another.
func (v *panelVisitor) lists(ctx context.Context) ([]listPage, error) {
	out := []listPage{{"dashboard", "/"}, {"messages", "/messages"}, {"messagesScheduled", "/messages?state=scheduled"}, {"messagesRareState", "/messages?state=delivered"},
		{"batches", "/batches"}, {"inbox", "/inbox"}, {"accounts", "/accounts"}, {"account", "/accounts/1"}, {"blacklist", "/blacklist"}, {"audit", "/audit"},
		{"users", "/users"}, {"operators", "/operators"}, {"routes", "/routes"}}
	if err := v.send(ctx, "/messages/find", "account", "1", "what", numberOf(1)); err != nil {
		return nil, err
	}
	out = append(out, listPage{"messagesOfAddress", v.at})
	for _, p := range []string{"/messages", "/batches", "/messages?state=delivered"} {
		if err := v.open(ctx, p); err != nil {
			return nil, err
		}
		m := nextPage.FindStringSubmatch(v.page)
		if m == nil {
			return nil, fmt.Errorf("%s has no next page", p)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "?")
		if strings.Contains(p, "state") {
			name += "Rare"
		}
		out = append(out, listPage{name + "Next", strings.ReplaceAll(m[1], "&amp;", "&")})
	}
	if err := v.open(ctx, "/batches"); err != nil {
		return nil, err
	}
	newest := batchLink.FindStringSubmatch(v.page)
	if newest == nil {
		return nil, errors.New("/batches lists no batch")
	}
	return append(out, listPage{"batchOf10000", "/batches/" + newest[1]}, listPage{"messagesOfBatch", "/messages?account=1&batch=" + newest[1]}), nil
}

// panelVisitor is a person's browser, as far as forms and cookies go.
type panelVisitor struct {
	http     *http.Client
	base     string
	page, at string
}

// signIn makes the first administrator through the set-up link and signs in.
func signIn(ctx context.Context, link string) (*panelVisitor, error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	v := &panelVisitor{http: &http.Client{Jar: jar, Timeout: time.Minute}, base: u.Scheme + "://" + u.Host}
	if err := v.open(ctx, u.Path); err != nil {
		return nil, err
	}
	m := shownCode.FindStringSubmatch(v.page)
	if m == nil {
		return nil, errors.New("the set-up page shows no key")
	}
	secret, now := strings.Join(strings.Fields(m[1]), ""), time.Now()
	first, err1 := totp.GenerateCode(secret, now)
	second, err2 := totp.GenerateCode(secret, now.Add(30*time.Second)) // a code works once
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	const pass = "ölçüm günü uzun bir cümle"
	err = v.send(ctx, u.Path, "name", "olcum", "password", pass, "again", pass, "code", first)
	if err == nil {
		err = v.open(ctx, "/login")
	}
	if err == nil {
		err = v.send(ctx, "/login", "name", "olcum", "password", pass)
	}
	if err == nil {
		err = v.send(ctx, "/login/code", "code", second)
	}
	return v, err
}

func (v *panelVisitor) open(ctx context.Context, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	if err != nil {
		return err
	}
	return v.do(req)
}

func (v *panelVisitor) send(ctx context.Context, path string, pairs ...string) error {
	m := formToken.FindStringSubmatch(v.page)
	if m == nil {
		return fmt.Errorf("%s: no token on the page before", path)
	}
	form := url.Values{"_csrf": {m[1]}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(req)
}

func (v *panelVisitor) do(req *http.Request) error {
	resp, err := v.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	v.page, v.at = string(b), resp.Request.URL.RequestURI()
	if resp.StatusCode != http.StatusOK || strings.HasPrefix(v.at, "/login") && req.Method == http.MethodGet && req.URL.Path != "/login" {
		return fmt.Errorf("%s %s: %s at %s", req.Method, req.URL.Path, resp.Status, v.at)
	}
	return nil
}
