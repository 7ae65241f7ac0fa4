package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/test/stage"
)

// traffic is customers who never stop: campaigns, transactional batches and one-time passwords over HTTP, single messages over
// SMPP, and people who opt out. What is not answered over HTTP is repeated under its Idempotency-Key; over SMPP it is not.
type traffic struct {
	tb      testing.TB
	w       *witness
	api     *stage.API // without an address
	brand   string
	sender  string
	reply   string // number people answer to
	system  string
	secret  string
	handset func(from, to, text string)
	seed    uint64

	wg     sync.WaitGroup
	ending chan struct{} // closed: nothing new

	mu      sync.Mutex
	addrs   map[string]string
	client  *smppclient.Client
	hangUp  context.CancelFunc
	answers map[int]int // HTTP statuses that were not 202
}

// to tells the customers where the gateway is from now on.
func (t *traffic) to(ctx context.Context, addrs map[string]string) {
	c, err := smppclient.New(smppclient.Config{Name: "customer", Addr: addrs["smpp"], SystemID: t.system, Password: t.secret, Window: 50,
		Logger: slog.New(slog.DiscardHandler)}, quietHandler{})
	if err != nil {
		t.tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	t.mu.Lock()
	if t.hangUp != nil {
		t.hangUp()
	}
	t.addrs, t.client, t.hangUp = addrs, c, stop
	t.mu.Unlock()
	t.wg.Go(func() { c.Run(ctx) })
}

// quietHandler takes receipts and forgets them.
type quietHandler struct{}

func (quietHandler) Deliver(_ context.Context, _ smppclient.Delivery, ack func(smpp.CommandStatus)) {
	ack(smpp.StatusOK)
}

// run starts the customers; they end with ctx, or when ending is closed and what they handed in is answered.
func (t *traffic) run(ctx context.Context) {
	type customer struct {
		every time.Duration
		act   func(context.Context, *rand.Rand)
	}
	for i, c := range []customer{
		{60 * time.Millisecond, t.campaign},
		{80 * time.Millisecond, t.orders},
		{30 * time.Millisecond, t.password},
		{10 * time.Millisecond, t.single},
		{250 * time.Millisecond, t.optOut},
		{900 * time.Millisecond, t.answer},
	} {
		t.wg.Go(func() {
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

func (t *traffic) someone(rng *rand.Rand) uint32 { return uint32(rng.IntN(t.w.people.n)) }

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

// batch submits n messages in one request and repeats it until it is answered.
func (t *traffic) batch(ctx context.Context, rng *rand.Rand, class byte, n int, more stage.Body) {
	to := make([]uint32, n)
	for i := range to {
		to[i] = t.someone(rng)
	}
	first := t.w.issue(class, to...)
	list := make([]stage.Body, n)
	for i, p := range to {
		ref := strconv.Itoa(first + i)
		list[i] = stage.Body{"address": number(int(p)), "ref": ref, "vars": stage.Body{"r": ref}}
	}
	body, err := json.Marshal(stage.Body{"from": t.sender, "text": string(class) + " {{r}}", "to": list}.With(more))
	if err != nil {
		t.tb.Error(err)
		return
	}
	ans := t.insist(ctx, "POST", "/v1/messages", body, http.Header{"Idempotency-Key": {fmt.Sprintf("%c%d", class, first)}})
	if ans == nil {
		return
	}
	var res gateway.Result
	if ans.Status != http.StatusAccepted || json.Unmarshal(ans.Body, &res) != nil || len(res.Messages) != n {
		t.tb.Errorf("batch of message %d: answer %d %s", first, ans.Status, ans.Body)
		return
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
}

// insist repeats a request until it is answered with something that lasts; nil when the run was given up.
func (t *traffic) insist(ctx context.Context, method, path string, body []byte, header http.Header) *stage.Answer {
	api := *t.api
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		t.mu.Lock()
		api.URL = "http://" + t.addrs["api"]
		t.mu.Unlock()
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
	t.mu.Lock()
	c := t.client
	t.mu.Unlock()
	room, ok := c.TryReserve(1, smppclient.OTP)
	if !ok {
		return
	}
	p := t.someone(rng)
	ref := t.w.issue(commercial, p)
	err := room.Commit([]smpp.SubmitSM{stage.Text(t.sender, number(int(p)), text(commercial, ref))}, func(_ int, o smppclient.Outcome) {
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

// optOut is somebody who refuses, through the API.
func (t *traffic) optOut(ctx context.Context, rng *rand.Rand) {
	p, ok := t.refuser(rng)
	if !ok {
		return
	}
	body, err := json.Marshal(stage.Body{"brand": t.brand, "channel": "sms", "address": number(int(p))})
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
	t.w.optedOut(p)
}

// answer is somebody who refuses by SMS. When it was acknowledged is between the operator and the gateway; that it counts in the
// end is looked at then.
func (t *traffic) answer(_ context.Context, rng *rand.Rand) {
	if p, ok := t.refuser(rng); ok {
		t.handset(number(int(p)), t.reply, "RET")
	}
}

// refuser is somebody who agreed and has not refused; at most a third of the people ever do.
func (t *traffic) refuser(rng *rand.Rand) (uint32, bool) {
	p := t.someone(rng)
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if !t.w.people.agreed(p) || t.w.asked[p] || len(t.w.asked) > t.w.people.n/3 {
		return 0, false
	}
	t.w.asked[p] = true
	return p, true
}
