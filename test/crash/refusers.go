package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"izinli/gateway/public"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// People refuse over the API, by SMS, by the one-click link of a mail, and at İYS, which pushes what they did there.

// refuser is somebody who agreed and has not refused; at most a third of the people ever do. Half of them have just been written to,
// and the message has not come: those are the ones it is hard to stop for.
func (w *witness) refuser(rng *rand.Rand) (uint32, bool) {
	p := w.someone(rng)
	if rng.IntN(2) == 0 {
		p = w.awaiting(rng, p)
	}
	return p, w.refuses(p)
}

// awaiting is somebody a commercial message is on its way to, or else the one given.
func (w *witness) awaiting(rng *rand.Rand, otherwise uint32) uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	const latest = 300
	for range 50 {
		i := len(w.refs) - 1 - rng.IntN(latest)
		if i < 0 {
			continue
		}
		if f := &w.refs[i]; f.class == commercial && f.seen == 0 && f.said != saidNo && w.people.agreed(f.person) && !w.asked[f.person] {
			return f.person
		}
	}
	return otherwise
}

// refuses notes that p is about to refuse, once.
func (w *witness) refuses(p uint32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.people.agreed(p) || w.asked[p] || len(w.asked) > w.people.n/3 {
		return false
	}
	w.asked[p] = true
	return true
}

// optOut is somebody who refuses, through the API.
func (t *traffic) optOut(ctx context.Context, rng *rand.Rand, w *witness) {
	p, ok := w.refuser(rng)
	if !ok {
		return
	}
	body, err := json.Marshal(stage.Body{"brand": t.brand, "channel": w.people.door, "address": w.people.address(p)})
	if err != nil {
		t.tb.Error(err)
		return
	}
	ans := t.insist(ctx, "POST", "/v1/optouts", body, nil)
	if ans == nil {
		return
	}
	if ans.Status != http.StatusOK {
		t.tb.Errorf("opt-out of person %d: answer %d %s", p, ans.Status, ans.Body)
		return
	}
	w.optedOut(p)
}

// answer is somebody who refuses by SMS; it is acknowledged when the gateway's deliver_sm_resp comes to the operator.
func (t *traffic) answer(_ context.Context, rng *rand.Rand) {
	if p, ok := t.w.refuser(rng); ok {
		t.handset(number(p), t.reply, "RET", func() { t.w.optedOut(p) })
	}
}

// click is somebody whose mail program posts the one-click link of a mail he got (RFC 8058), until it is answered.
func (t *traffic) click(ctx context.Context, _ *rand.Rand) {
	var c click
	select {
	case c = <-t.mail.clicks:
	default:
		return
	}
	u, err := url.Parse(c.link)
	if err != nil {
		t.tb.Errorf("the link of a mail: %v", err)
		return
	}
	if !t.mail.w.refuses(c.person) {
		return
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	ans := t.insistAt(ctx, "public", "POST", u.RequestURI(), []byte("List-Unsubscribe=One-Click"), header)
	switch {
	case ans == nil:
	case ans.Status != http.StatusOK:
		t.tb.Errorf("the one-click link of person %d: answer %d %s", c.person, ans.Status, ans.Body)
	default:
		t.mail.w.optedOut(c.person)
	}
}

// atIYS is a citizen who refuses at İYS. One in four wavers: refuses, agrees, and refuses again.
func (t *traffic) atIYS(rng *rand.Rand, w *witness) {
	p, ok := w.refuser(rng)
	if !ok {
		return
	}
	acts := []string{"RET"}
	if rng.IntN(4) == 0 {
		acts = []string{"RET", "ONAY", "RET"}
	}
	t.pushed.citizen(w, p, acts)
}

// pushes is İYS telling the gateway of what citizens did, over a proxy that speaks TLS and stays where it is. The proxy sees which
// pushes were acknowledged.
type pushes struct {
	iys     *iystest.Sim
	brand   string
	witness map[string]*witness // by channel
	proxy   *httptest.Server

	mu     sync.Mutex
	inside *url.URL           // public pages of the gateway at present; guarded by mu
	last   map[pushKey]string // transaction of a citizen's last act; guarded by mu
	taken  map[pushKey]bool   // whose last act was in an acknowledged push; guarded by mu
	calls  int                // acknowledged; guarded by mu
	failed int                // not acknowledged; guarded by mu
}

type pushKey struct {
	channel string
	person  uint32
}

// newPushes starts the proxy; the simulator calls it over transport.
func newPushes() *pushes {
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	p := &pushes{witness: map[string]*witness{}, last: map[pushKey]string{}, taken: map[pushKey]bool{}}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			p.mu.Lock()
			defer p.mu.Unlock()
			r.SetURL(p.inside)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ErrorLog:     quiet,
	}
	p.proxy = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := &statusWriter{ResponseWriter: w}
		forward.ServeHTTP(rec, r)
		if r.URL.Path == public.PushPath {
			p.answered(rec.status, body)
		}
	}))
	p.proxy.Config.ErrorLog = quiet
	p.proxy.StartTLS()
	return p
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// to tells the proxy where the gateway is.
func (p *pushes) to(addr string) {
	p.mu.Lock()
	p.inside = &url.URL{Scheme: "http", Host: addr}
	p.mu.Unlock()
}

// citizen acts at İYS; what he did last counts.
func (p *pushes) citizen(w *witness, person uint32, acts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, status := range acts {
		m := p.iys.Citizen(p.brand, w.people.channel, "BIREYSEL", w.people.address(person), status, "IYS_MOBIL")
		p.last[pushKey{w.people.channel, person}] = m.TransactionID
	}
}

// answered notes what an acknowledged push held: from now on it is in force.
func (p *pushes) answered(status int, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if status != http.StatusOK {
		p.failed++
		return
	}
	p.calls++
	var in struct {
		List []struct{ Recipient, Type, TransactionID string } `json:"list"`
	}
	if json.Unmarshal(body, &in) != nil {
		return
	}
	for _, m := range in.List {
		w := p.witness[m.Type]
		if w == nil {
			continue
		}
		person, ok := w.people.person(m.Recipient)
		k := pushKey{m.Type, person}
		if ok && p.last[k] == m.TransactionID && !p.taken[k] {
			p.taken[k] = true
			w.optedOut(person)
		}
	}
}

// pushEvery is the time between two pushes.
const pushEvery = 300 * time.Millisecond
