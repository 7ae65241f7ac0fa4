package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/test/stage"
)

// traffic is customers who never stop: campaigns, transactional batches and one-time passwords over HTTP, single messages over
// SMPP, mails over SMTP, and people who opt out. What is not answered over HTTP is repeated under its Idempotency-Key; over SMPP and
// SMTP it is not.
type traffic struct {
	line
	w       *witness // of short messages
	mail    *post
	clerk   *clerk
	api     *stage.API // without an address
	brand   string
	sender  string
	reply   string // number people answer to
	handset func(from, to, text string, taken func())
	pushed  *pushes
	seed    uint64

	receipts *receipts // of the customer over SMPP

	ending chan struct{} // closed: nothing new
	ahead  atomic.Int64  // of the gateway's clock
	busy   atomic.Int32  // customers who are not done

	mu      sync.Mutex
	answers map[int]int // HTTP statuses that were not 202; guarded by mu
}

// clock is how far the gateway's clock is ahead of the wall's.
func (t *traffic) clock() time.Duration { return time.Duration(t.ahead.Load()) }

// to tells the customers where the gateway is from now on.
func (t *traffic) to(ctx context.Context, addrs map[string]string) {
	t.moved(ctx, addrs, t.receipts)
}

// customer does one thing again and again.
type customer struct {
	every time.Duration
	act   func(context.Context, *rand.Rand)
}

// customers are all there are.
func (t *traffic) customers() []customer {
	return []customer{
		{60 * time.Millisecond, t.campaign},
		{80 * time.Millisecond, t.orders},
		{30 * time.Millisecond, t.password},
		{10 * time.Millisecond, t.single},
		{250 * time.Millisecond, func(ctx context.Context, rng *rand.Rand) { t.optOut(ctx, rng, t.w) }},
		{900 * time.Millisecond, t.answer},
		{500 * time.Millisecond, func(_ context.Context, rng *rand.Rand) { t.atIYS(rng, t.w) }},
		{60 * time.Millisecond, t.mail.shop},
		{90 * time.Millisecond, t.mail.newsletter},
		{500 * time.Millisecond, func(ctx context.Context, rng *rand.Rand) { t.optOut(ctx, rng, t.mail.w) }},
		{800 * time.Millisecond, func(_ context.Context, rng *rand.Rand) { t.atIYS(rng, t.mail.w) }},
		{100 * time.Millisecond, t.click},
		{300 * time.Millisecond, t.clerk.work},
	}
}

// run starts the customers; they end with ctx, or when ending is closed and what they handed in is answered.
func (t *traffic) run(ctx context.Context) {
	for i, c := range t.customers() {
		t.busy.Add(1)
		t.wg.Go(func() {
			defer t.busy.Add(-1)
			rng := rand.New(rand.NewPCG(t.seed, uint64(i)))
			tick := time.NewTicker(c.every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-t.ending:
					return
				case <-tick.C:
					c.act(ctx, rng)
				}
			}
		})
	}
}

func (w *witness) someone(rng *rand.Rand) uint32 { return uint32(rng.IntN(w.people.n)) }

func (t *traffic) campaign(ctx context.Context, rng *rand.Rand) {
	var sendAt any
	if rng.IntN(4) == 0 {
		sendAt = time.Now().Add(time.Duration(1+rng.IntN(20)) * time.Second).UTC().Format(time.RFC3339)
	}
	t.batch(ctx, rng, commercial, 20, stage.Body{"class": gateway.ClassCommercial, "sendAt": sendAt})
}

func (t *traffic) orders(ctx context.Context, rng *rand.Rand) {
	t.batch(ctx, rng, transactional, 8, stage.Body{"class": gateway.ClassTransactional, "reason": "order"})
}

// password is a one-time password. It is worth something for as long as the storms here last.
func (t *traffic) password(ctx context.Context, rng *rand.Rand) {
	t.batch(ctx, rng, oneTime, 1, stage.Body{"class": gateway.ClassOTP, "validFor": "24h"})
}

// batch submits n messages in one request and repeats it until it is answered. It returns the first of them, and nil when there was
// no answer to the end.
func (t *traffic) batch(ctx context.Context, rng *rand.Rand, class byte, n int, more stage.Body) (first int, res *gateway.Result) {
	to := make([]uint32, n)
	for i := range to {
		to[i] = t.w.someone(rng)
	}
	first = t.w.issue(class, to...)
	list := make([]stage.Body, n)
	for i, p := range to {
		ref := strconv.Itoa(first + i)
		list[i] = stage.Body{"address": number(p), "ref": ref, "vars": stage.Body{"r": ref}}
	}
	body, err := json.Marshal(stage.Body{"from": t.sender, "text": string(class) + " {{r}}", "to": list}.With(more))
	if err != nil {
		t.tb.Error(err)
		return first, nil
	}
	ans := t.insist(ctx, "POST", "/v1/messages", body, http.Header{"Idempotency-Key": {fmt.Sprintf("%c%d", class, first)}})
	if ans == nil {
		return first, nil
	}
	res = &gateway.Result{}
	if ans.Status != http.StatusAccepted || json.Unmarshal(ans.Body, res) != nil || len(res.Messages) != n {
		t.tb.Errorf("batch of message %d: answer %d %s", first, ans.Status, ans.Body)
		return first, nil
	}
	for _, v := range res.Messages {
		ref, err := strconv.Atoi(v.Ref)
		if err != nil {
			t.tb.Errorf("batch of message %d: answer names ref %q", first, v.Ref)
			continue
		}
		if v.State == gateway.StateDropped || v.Refused() {
			t.w.tell(ref, saidNo, v.ID)
		} else {
			t.w.tell(ref, saidYes, v.ID)
		}
	}
	return first, res
}

// insist is insistAt of the API.
func (t *traffic) insist(ctx context.Context, method, path string, body []byte, header http.Header) *stage.Answer {
	return t.insistAt(ctx, "api", method, path, body, header)
}

// insistAt repeats a request to a door until it is answered with something that lasts; nil when the run was given up.
func (t *traffic) insistAt(ctx context.Context, door, method, path string, body []byte, header http.Header) *stage.Answer {
	api := *t.api
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		api.URL = "http://" + t.address(door)
		ans, err := api.Try(method, path, body, header)
		if err == nil && ans.Status/100 != 2 {
			t.mu.Lock()
			t.answers[ans.Status]++
			t.mu.Unlock()
		}
		switch {
		case err != nil, ans.Status == http.StatusServiceUnavailable, ans.Status == http.StatusConflict,
			ans.Status == http.StatusTooManyRequests, ans.Status == http.StatusInternalServerError && ans.Code() == gateway.CodeInternal:
		default:
			return &ans
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// single submits one commercial message over SMPP if there is a bind with room.
func (t *traffic) single(_ context.Context, rng *rand.Rand) {
	room, ok := t.bound().TryReserve(1, smppclient.OTP)
	if !ok {
		return
	}
	p := t.w.someone(rng)
	ref := t.w.issue(commercial, p)
	t.w.set(func() { t.w.refs[ref-1].smpp = true })
	err := room.Commit([]smpp.SubmitSM{stage.Text(t.sender, number(p), text(commercial, ref))}, func(_ int, o smppclient.Outcome) {
		t.answered(ref, o)
	})
	if err != nil {
		t.w.tell(ref, saidNo, gateway.MessageID{})
	}
}

func (t *traffic) answered(ref int, o smppclient.Outcome) {
	switch {
	case o.Err != nil:
		t.w.tell(ref, saidLost, gateway.MessageID{})
	case o.Status != smpp.StatusOK: // full disk, or inline refusals
		t.w.tell(ref, saidNo, gateway.MessageID{})
	default:
		id, err := gateway.ParseMessageID(o.MessageID)
		if err != nil {
			t.tb.Errorf("message %d: message_id %q: %v", ref, o.MessageID, err)
		}
		t.w.tell(ref, saidYes, id)
	}
}
