package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smtptest"
	"izinli/test/stage"
)

// Of the smarthost the playground delivers to.
const (
	mailConns   = 20
	mailWorkers = 4
)

// MailStory is one run of relayed mails, most to one recipient, every tenth to up to fifty.
type MailStory struct{ Mails, Kills int }

// mailRun is such a story being told.
type mailRun struct {
	MailStory
	t  *testing.T
	s  *stage.Stage
	gw *process

	mu      sync.Mutex
	addr    string         // of the relay listener at present
	allowed int            // mails that may be handed in by now
	next    int            // the next mail
	acked   map[string]int // recipients of mails answered 250; guarded by mu
	mails   int            // answered 250
	unsure  int            // mails whose answer was lost
	got     map[string]int // deliveries by recipient
	total   int            // deliveries
}

// recipients of the i-th mail.
func recipients(i int) (out []string) {
	n := 1
	if i%10 == 0 {
		n = 1 + (i/10)%50
	}
	for j := range n {
		out = append(out, fmt.Sprintf("m%d.r%d@example.com", i, j))
	}
	return out
}

// RunMail tells the story: relayed mails, kill -9 while they come in and go out, and everything acknowledged reaches the smarthost.
func RunMail(t *testing.T, st MailStory) {
	t.Helper()
	r := &mailRun{MailStory: st, t: t, acked: map[string]int{}, got: map[string]int{}}
	r.setUp()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.start()
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait(); r.gw.kill() })
	for range mailWorkers {
		wg.Go(func() { r.relay(ctx) })
	}
	part := st.Mails / (st.Kills + 1)
	for k := range st.Kills {
		r.allow(part*(k+1) + part/2)
		r.await(fmt.Sprintf("%d mails to be acknowledged and some delivered", part*(k+1)), func() bool {
			// Where the workers were slow all that may be handed in has left already: then nothing more is pending, ever.
			answered := r.mails + r.unsure
			return answered >= part*(k+1) && r.total > 0 && (r.pendingLocked() > 0 || answered == r.allowed)
		})
		r.gw.kill()
		r.mu.Lock()
		t.Logf("kill %d: %d mails acknowledged, %d recipients not delivered", k+1, r.mails, r.pendingLocked())
		r.mu.Unlock()
		r.start()
	}
	r.allow(st.Mails)
	r.await("all mails to be answered", func() bool { return r.mails+r.unsure >= st.Mails })
	r.rest()
	cancel()
	wg.Wait()
	r.gw.stop(t)
	r.audit()
}

func (r *mailRun) setUp() {
	r.s = stage.New(r.t, stage.WithSink(smtptest.Config{Discard: true, Received: r.received, Script: &smtptest.Script{
		Data: func(*smtptest.Message) smtptest.Reply { return smtptest.Reply{Delay: 10 * time.Millisecond} }}}))
	r.s.Run()
	ctx := r.t.Context()
	_, err := r.s.Server.Admin.PutRelayPeer(ctx, gateway.RelayPeer{Name: "customer", Credential: r.s.Seeds.Mail.MixedUser, TrustHeaders: true,
		CIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	if err == nil {
		_, err = r.s.Server.Admin.PutSmarthost(ctx, desk.SmarthostInput{Smarthost: gateway.Smarthost{Name: r.s.Seeds.Mail.Smarthost,
			Addr: r.s.Sink.Addr(), TLS: "off", MaxConns: mailConns}})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.s.Leave()
}

func (r *mailRun) received(m *smtptest.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, to := range m.To {
		r.got[to.Addr]++
		r.total++
	}
}

func (r *mailRun) start() {
	r.t.Helper()
	r.gw = start(r.t, r.s.Config.Data, "")
	r.mu.Lock()
	r.addr = r.gw.addrs["relay"]
	r.mu.Unlock()
}

func (r *mailRun) allow(n int) {
	r.mu.Lock()
	r.allowed = min(n, r.Mails)
	r.mu.Unlock()
}

// pendingLocked is how many acknowledged recipients have no mail yet.
func (r *mailRun) pendingLocked() (n int) {
	for a := range r.acked {
		if r.got[a] == 0 {
			n++
		}
	}
	return n
}

func (r *mailRun) await(what string, cond func() bool) {
	r.t.Helper()
	stage.UntilWithin(r.t, patience, what, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if cond() {
			return nil
		}
		return fmt.Errorf("%d acknowledged, %d unsure, %d delivered, %d to come\n%s", r.mails, r.unsure, r.total, r.pendingLocked(), r.gw.log)
	})
}

// relay hands mails in, one connection after another; what was not answered is not repeated, since that would be another mail.
func (r *mailRun) relay(ctx context.Context) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		r.mu.Lock()
		i := r.next
		if i >= r.allowed {
			i = -1
		} else {
			r.next++
		}
		r.mu.Unlock()
		if i >= 0 {
			r.send(ctx, tick.C, i)
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// dial waits for the gateway to be there.
func (r *mailRun) dial(ctx context.Context, tick <-chan time.Time) *smtp.Client {
	for {
		r.mu.Lock()
		addr := r.addr
		r.mu.Unlock()
		if c, err := smtp.Dial(addr); err == nil {
			return c
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
	}
}

func (r *mailRun) send(ctx context.Context, tick <-chan time.Time, i int) {
	c := r.dial(ctx, tick)
	if c == nil {
		return
	}
	defer c.Close()
	to := recipients(i)
	err := c.SendMail("bulten@bulten.ornek.example", to, strings.NewReader("From: bulten@bulten.ornek.example\r\nX-Message-Class: transactional\r\n"+
		"Subject: siparis\r\n\r\nSiparisiniz yolda.\r\n"))
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.unsure++
		return
	}
	r.mails++
	for _, a := range to {
		r.acked[a]++
	}
}

// rest waits until everything acknowledged was delivered, or nothing moves any more: then the audit tells what is lost.
func (r *mailRun) rest() {
	last, moved := -1, time.Now()
	r.await("everything to be delivered", func() bool {
		if r.total != last {
			last, moved = r.total, time.Now()
		}
		return r.pendingLocked() == 0 || time.Since(moved) > stillness
	})
	api := stage.NewAPI(r.t, r.gw.addrs["api"], r.s.Seeds.APIKey)
	stage.UntilWithin(r.t, patience, "the gateway to have written that down", func() error {
		state, err := waiting(api)
		if err == nil && state != 0 {
			err = fmt.Errorf("mails are %s\n%s", state, r.gw.log)
		}
		return err
	})
}

// waiting is a state, neither final nor sent, in which some of the customer's messages are; zero: none is.
func waiting(api *stage.API) (gateway.State, error) {
	for _, state := range []gateway.State{gateway.StateQueued, gateway.StateHeld, gateway.StateScheduled, gateway.StateAccepted} {
		for cursor := ""; ; {
			page, err := list(api, state, cursor)
			if err != nil {
				return 0, err
			}
			if len(page.Items) > 0 {
				return state, nil
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
	}
	return 0, nil
}

// list reads one page of messages in a state, of which there may be none on a page that has a successor. A key may only read so many
// pages a second, and one look at many messages takes many: told to wait, it waits, ten times.
func list(api *stage.API, state gateway.State, cursor string) (page gateway.Page[gateway.MessageView], err error) {
	for range 10 {
		ans, err := api.Try(http.MethodGet, fmt.Sprintf("/v1/messages?limit=1&state=%s&cursor=%s", state, url.QueryEscape(cursor)), nil, nil)
		if err != nil {
			return page, err
		}
		switch after, _ := strconv.Atoi(ans.Header.Get("Retry-After")); {
		case ans.Status == http.StatusTooManyRequests && after > 0:
			<-time.After(time.Duration(after) * time.Second)
		case ans.Status != http.StatusOK:
			return page, fmt.Errorf("the list of messages: %d %s", ans.Status, ans.Body)
		default:
			return page, json.Unmarshal(ans.Body, &page)
		}
	}
	return page, errors.New("the list of messages: told to wait ten times")
}

func (r *mailRun) audit() {
	t := r.t
	st, err := openStore(r.s.Config.Data, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	report := stage.VerifyStore(t, st)
	r.mu.Lock()
	defer r.mu.Unlock()
	repeats := 0
	for _, n := range r.got {
		repeats += n - 1
	}
	lost := r.pendingLocked()
	bound := 2 * mailConns * r.Kills
	t.Logf("mails acknowledged %d, unsure %d; recipients acknowledged %d, delivered %d, lost %d; repeats %d in %d kills, bound %d; store %+v",
		r.mails, r.unsure, len(r.acked), len(r.got), lost, repeats, r.Kills, bound, report.States)
	if lost != 0 {
		t.Errorf("%d acknowledged recipients got no mail: lost\n%s", lost, r.gw.log)
	}
	if repeats > bound {
		t.Errorf("%d repeats, want at most %d: twice the connections for each kill", repeats, bound)
	}
	if report.Waiting != 0 {
		t.Errorf("%d messages still wait", report.Waiting)
	}
}
