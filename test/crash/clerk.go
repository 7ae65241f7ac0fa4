package crash

import (
	"context"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/pquerna/otp/totp"

	"izinli/gateway"
	"izinli/test/stage"
)

// clerk is an administrator at the panel: he books credits, enters sender IDs and approves them, looks at the dashboard, pauses and
// cancels campaigns. A restart signs him out; then he signs in again, with his authenticator where a fresh code is due, else with a
// recovery code, of which he draws new ones in time. What a page confirmed must be there at the end.
type clerk struct {
	t       *traffic
	http    *http.Client
	key     string // of the authenticator
	account gateway.AccountID
	second  gateway.AccountID // whose credits he books

	// Of the clerk's own goroutine.
	signedIn bool
	token    string // against foreign forms
	last     int    // status
	step     int64  // of the last code used
	codes    []string

	mu   sync.Mutex
	done clerkWork // guarded by mu
}

// clerkWork is what the panel confirmed.
type clerkWork struct {
	senders    map[string]bool // by name: approved
	booked     int             // credits, one at a time
	unsure     int             // bookings whose answer was lost
	cancelled  []gateway.BatchRef
	SignIns    int `json:"signIns"`
	Dashboards int `json:"dashboards"`
	Senders    int `json:"sendersEntered"`
	Approved   int `json:"approved"`
	Bookings   int `json:"bookings"`
	Paused     int `json:"campaignsPaused"`
	Cancelled  int `json:"campaignsCancelled"`
	Lost       int `json:"lost"` // confirmed and not there
}

const (
	clerkName     = "ayse"
	clerkPassword = "uzun ve firtinali bir parola cumlesi"
	totpPeriod    = 30 // s
)

var (
	formToken  = regexp.MustCompile(`name="_csrf" value="([^"]+)"`)
	secretText = regexp.MustCompile(`(?s)<pre[^>]*>([^<]+)</pre>`)
)

func newClerk(t *traffic, account gateway.AccountID) (*clerk, error) {
	jar, err := cookiejar.New(nil)
	return &clerk{t: t, account: account, done: clerkWork{senders: map[string]bool{}}, http: &http.Client{Jar: jar, Timeout: stage.Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, err
}

// page is what the panel answered.
type page struct {
	status int
	to     string // of a redirection
	text   string
}

// main is what the page says beside its frame.
func (p *page) main() string {
	_, rest, _ := strings.Cut(p.text, "<main")
	return rest
}

// ask sends a request; form nil: GET. The token of the last page goes along.
func (c *clerk) ask(ctx context.Context, path string, form url.Values) (page, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		form.Set("_csrf", c.token)
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.t.address("panel")+path, body)
	if err != nil {
		return page{}, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return page{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return page{}, err
	}
	c.last = resp.StatusCode
	p := page{resp.StatusCode, resp.Header.Get("Location"), string(b)}
	if m := formToken.FindStringSubmatch(p.text); m != nil {
		c.token = html.UnescapeString(m[1])
	}
	if p.status == http.StatusSeeOther && strings.HasPrefix(p.to, "/login") || p.status == http.StatusForbidden {
		c.signedIn = false
	}
	return p, nil
}

// post sends a form and says whether the panel confirmed it with a redirection to the given place. sure is false when nobody knows.
func (c *clerk) post(ctx context.Context, path, to string, pairs ...string) (done, sure bool) {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	p, err := c.ask(ctx, path, form)
	switch {
	case err != nil:
		return false, false
	case p.status == http.StatusSeeOther:
		return strings.HasPrefix(p.to, to), true
	case p.status >= 500: // the store was short of space, or the gateway on its way out
		return false, false
	case p.status != http.StatusForbidden && p.status != http.StatusTooManyRequests && p.status != http.StatusConflict:
		c.t.tb.Errorf("the panel answered %d to POST %s %v: %.1500s", p.status, path, pairs, p.main())
	}
	return false, true
}

// enrol takes the set-up link of an empty panel and makes the second account.
func (c *clerk) enrol(ctx context.Context, link string) error {
	p, err := c.ask(ctx, link, nil)
	if err != nil {
		return err
	}
	m := secretText.FindStringSubmatch(p.text)
	if m == nil {
		return fmt.Errorf("no secret on the set-up page: %s", p.text)
	}
	c.key = strings.ReplaceAll(m[1], " ", "")
	code, err := totp.GenerateCode(c.key, time.Now())
	if err != nil {
		return err
	}
	c.step = time.Now().Unix() / totpPeriod
	p, err = c.ask(ctx, link, url.Values{"name": {clerkName}, "password": {clerkPassword}, "again": {clerkPassword}, "code": {code}})
	if err != nil {
		return err
	}
	if c.codes = recoveryCodes(p.text); len(c.codes) == 0 {
		return fmt.Errorf("no recovery codes: %d %s", p.status, p.text)
	}
	if !c.signIn(ctx) {
		return fmt.Errorf("the first sign-in failed")
	}
	p, err = c.ask(ctx, "/accounts/edit", url.Values{"name": {"İkinci A.Ş."}, "iysCode": {"606822"}})
	if err == nil {
		_, err = fmt.Sscanf(p.to, "/accounts/%d", &c.second)
	}
	return err
}

func recoveryCodes(text string) []string {
	if m := secretText.FindStringSubmatch(text); m != nil {
		return strings.Fields(m[1])
	}
	return nil
}

// signIn signs in with the next code there is; false when that must be tried again.
func (c *clerk) signIn(ctx context.Context) bool {
	if p, err := c.ask(ctx, "/login", nil); err != nil || p.status != http.StatusOK {
		return false
	}
	code, fresh := "", time.Now().Unix()/totpPeriod > c.step
	var err error
	switch {
	case fresh:
		code, err = totp.GenerateCode(c.key, time.Now())
	case len(c.codes) > 0:
		code = c.codes[0]
	default:
		return false // the next code of the authenticator is due within half a minute
	}
	if err != nil {
		c.t.tb.Error(err)
		return false
	}
	if done, _ := c.post(ctx, "/login", "/login/code", "name", clerkName, "password", clerkPassword); !done {
		return false
	}
	if p, err := c.ask(ctx, "/login/code", nil); err != nil || p.status != http.StatusOK {
		return false
	}
	if fresh {
		c.step = time.Now().Unix() / totpPeriod
	} else {
		c.codes = c.codes[1:]
	}
	// The page after it begins with a slash, as does that of a refusal.
	if done, _ := c.post(ctx, "/login/code", "/", "code", code); !done {
		return false
	}
	p, err := c.ask(ctx, "/", nil)
	if c.signedIn = err == nil && p.status == http.StatusOK; c.signedIn {
		c.note(func(d *clerkWork) { d.SignIns++ })
		c.renew(ctx)
	}
	return c.signedIn
}

// renew draws new recovery codes before the last are used. Until the answer is there nobody knows which are good.
func (c *clerk) renew(ctx context.Context) {
	if len(c.codes) > 3 {
		return
	}
	c.codes = nil
	p, err := c.ask(ctx, "/me/recovery", url.Values{"current2": {clerkPassword}})
	if err == nil && p.status == http.StatusOK {
		c.codes = recoveryCodes(p.text)
	}
}

func (c *clerk) note(f func(*clerkWork)) {
	c.mu.Lock()
	f(&c.done)
	c.mu.Unlock()
}

// work is one thing the clerk does.
func (c *clerk) work(ctx context.Context, rng *rand.Rand) {
	if !c.signedIn && !c.signIn(ctx) {
		return
	}
	switch rng.IntN(6) {
	case 0:
		c.look(ctx)
	case 1, 2:
		c.enter(ctx)
	case 3:
		c.book(ctx)
	case 4:
		c.pause(ctx, rng)
	case 5:
		c.cancel(ctx, rng)
	}
}

func (c *clerk) look(ctx context.Context) {
	p, err := c.ask(ctx, "/", nil)
	if err != nil || p.status != http.StatusOK {
		return
	}
	if !strings.Contains(p.text, "Pano") {
		c.t.tb.Errorf("the dashboard: %.1500s", p.main())
	}
	c.note(func(d *clerkWork) { d.Dashboards++ })
}

// enter makes a sender ID and, once that was confirmed, approves it.
func (c *clerk) enter(ctx context.Context) {
	c.mu.Lock()
	name := fmt.Sprintf("ST%05d", len(c.done.senders)+1)
	c.done.senders[name] = false
	c.mu.Unlock()
	account := fmt.Sprintf("/accounts/%d", c.account)
	fields := []string{"channel", "sms", "name", name, "brand", c.t.brand}
	made, _ := c.post(ctx, account+"/sender", account, fields...)
	if !made {
		c.note(func(d *clerkWork) { delete(d.senders, name) })
		return
	}
	c.note(func(d *clerkWork) { d.Senders++ })
	if approved, _ := c.post(ctx, account+"/sender", account, append(fields, "approved", "1")...); approved {
		c.note(func(d *clerkWork) { d.senders[name] = true; d.Approved++ })
	}
}

// book books one credit.
func (c *clerk) book(ctx context.Context) {
	path := fmt.Sprintf("/accounts/%d/credits", c.second)
	done, sure := c.post(ctx, path, path, "credits", "1", "note", "fırtına")
	c.note(func(d *clerkWork) {
		switch {
		case done:
			d.Bookings++
			d.booked++
		case !sure:
			d.unsure++
		}
	})
}

// begin hands a campaign in that leaves within seconds, and returns when it is about to, or just does.
func (c *clerk) begin(ctx context.Context, rng *rand.Rand) (run *campaign, path string, ref gateway.BatchRef) {
	at := time.Now().Add(c.t.clock() + time.Duration(1+rng.IntN(3))*time.Second).Truncate(time.Second)
	first, res := c.t.batch(ctx, rng, commercial, 100, stage.Body{"class": gateway.ClassCommercial, "sendAt": at.UTC().Format(time.RFC3339)})
	if res == nil {
		return nil, "", ref
	}
	run = &campaign{}
	c.t.w.steer(run, first, 100)
	left := max(time.Until(at.Add(-c.t.clock())), 0)
	timer := time.NewTimer(time.Duration(rng.Int64N(int64(left + 50*time.Millisecond))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return run, "/batches/" + res.Batch.String(), res.Batch
}

// insist posts a form until the panel confirms it. It gives up where the campaign is over, which the panel says with 409.
func (c *clerk) insist(ctx context.Context, path, to string) bool {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if c.signedIn || c.signIn(ctx) {
			done, sure := c.post(ctx, path, to, "confirm", "yes")
			if done || sure && c.last == http.StatusConflict {
				return done
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func (c *clerk) cancel(ctx context.Context, rng *rand.Rand) {
	run, path, ref := c.begin(ctx, rng)
	if run == nil {
		return
	}
	c.t.w.set(func() { run.doomed = true })
	if c.insist(ctx, path+"/cancel", path) {
		c.t.w.set(func() { run.stopped = time.Now() })
		c.note(func(d *clerkWork) { d.cancelled = append(d.cancelled, ref); d.Cancelled++ })
	}
}

// pause stops a campaign for a moment.
func (c *clerk) pause(ctx context.Context, rng *rand.Rand) {
	run, path, _ := c.begin(ctx, rng)
	if run == nil || !c.insist(ctx, path+"/pause", path) {
		return
	}
	c.t.w.set(func() { run.stopped = time.Now() })
	c.note(func(d *clerkWork) { d.Paused++ })
	timer := time.NewTimer(time.Duration(1500+rng.IntN(1500)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	c.t.w.set(func() { run.stopped = time.Time{} })
	c.insist(ctx, path+"/resume", path)
}
