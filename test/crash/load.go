package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/test/stage"
)

// chunk is how many people a customer takes on at once.
const chunk = 100

// number is the i-th person.
func number(i uint32) string { return fmt.Sprintf("+90535%07d", i) }

// load is the customers: three over HTTP, whose requests are repeated under their Idempotency-Key until they are answered, and
// one over SMPP, who does not repeat what was not answered, since that would be another message.
type load struct {
	line
	key    string
	sender string

	mu      sync.Mutex
	total   int // messages of the run
	allowed int // that may be handed in by now
	// Chunks handed out so far, by door.
	issuedHTTP, issuedSMPP int
	acked                  int // acknowledged: HTTP 202, submit_sm_resp ESME_ROK
	open                   int // handed to the SMPP client, not answered
	unsure                 int // SMPP, the answer was lost
	batches                []gateway.BatchRef
	ids                    []gateway.MessageID
	receipts               map[string]bool
}

// to tells the customers where the gateway is from now on.
func (l *load) to(ctx context.Context, addrs map[string]string) { l.moved(ctx, addrs, l) }

// allow lets the customers go on up to n messages.
func (l *load) allow(n int) {
	l.mu.Lock()
	l.allowed = min(max(l.allowed, n), l.total)
	l.mu.Unlock()
}

func (l *load) ackedNow() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// smppShare is which chunks go over SMPP: every fourth, so that a bind that takes its time to come back still has its part.
const smppShare = 4

// next hands out the people of the door's next chunk; false when all have been.
func (l *load) next(ctx context.Context, overSMPP bool) (first int, ok bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if first, state := l.take(overSMPP); state != wait {
			return first, state == taken
		}
		select {
		case <-ctx.Done():
			return 0, false
		case <-tick.C:
		}
	}
}

type taking uint8

const (
	wait taking = iota
	taken
	ended
)

func (l *load) take(overSMPP bool) (int, taking) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := &l.issuedHTTP
	if overSMPP {
		at = &l.issuedSMPP
	}
	n := *at
	for (n%smppShare == smppShare-1) != overSMPP {
		n++
	}
	switch end := (n + 1) * chunk; {
	case end > l.total:
		return 0, ended
	case end > l.allowed:
		return 0, wait
	}
	*at = n + 1
	return n * chunk, taken
}

// run starts the customers; they end with the run or with ctx.
func (l *load) run(ctx context.Context) {
	for range 3 {
		l.wg.Go(func() {
			for {
				first, ok := l.next(ctx, false)
				if !ok || !l.overHTTP(ctx, first) {
					return
				}
			}
		})
	}
	l.wg.Go(func() { l.overSMPP(ctx) })
}

// overHTTP submits one chunk and repeats it until it is taken.
func (l *load) overHTTP(ctx context.Context, first int) bool {
	to := make([]string, chunk)
	for i := range to {
		to[i] = number(uint32(first + i))
	}
	body, err := json.Marshal(stage.Body{"from": l.sender, "text": "Kampanya", "to": to})
	if err != nil {
		l.tb.Error(err)
		return false
	}
	header := http.Header{"Idempotency-Key": {fmt.Sprintf("chunk-%d", first)}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	api := stage.NewAPI(l.tb, "", l.key)
	for {
		api.URL = "http://" + l.address("api")
		ans, err := api.Try("POST", "/v1/messages", body, header)
		var res gateway.Result
		switch {
		case err != nil || ans.Status == http.StatusServiceUnavailable || ans.Status == http.StatusConflict:
		case ans.Status != http.StatusAccepted || json.Unmarshal(ans.Body, &res) != nil || res.Accepted != chunk:
			l.tb.Errorf("chunk %d: answer %d %s", first, ans.Status, ans.Body)
			return false
		default:
			api.Client.CloseIdleConnections()
			l.mu.Lock()
			l.acked += chunk
			l.batches = append(l.batches, res.Batch)
			l.mu.Unlock()
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// overSMPP submits single messages over whatever bind there is at present.
func (l *load) overSMPP(ctx context.Context) {
	for {
		first, ok := l.next(ctx, true)
		if !ok {
			return
		}
		for i := first; i < first+chunk; {
			if l.submit(ctx, i) {
				i++
			} else if ctx.Err() != nil {
				return
			}
		}
	}
}

// submit hands one message to the client; false says that nothing was sent.
func (l *load) submit(ctx context.Context, i int) bool {
	c := l.bound()
	room, ok := c.TryReserve(1, smppclient.OTP)
	if !ok {
		pause := time.NewTimer(5 * time.Millisecond)
		defer pause.Stop()
		select {
		case <-ctx.Done():
		case <-pause.C:
		case <-c.Binds()[0].Ready():
		}
		return false
	}
	l.mu.Lock()
	l.open++
	l.mu.Unlock()
	err := room.Commit([]smpp.SubmitSM{stage.Text(l.sender, number(uint32(i)), "Kampanya")}, func(_ int, o smppclient.Outcome) { l.answered(i, o) })
	if err != nil {
		l.mu.Lock()
		l.open--
		l.mu.Unlock()
	}
	return err == nil
}

func (l *load) answered(i int, o smppclient.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if o.Err != nil { // the gateway was killed: it may have the message or not
		l.unsure++
		return
	}
	if o.Status != smpp.StatusOK {
		l.tb.Errorf("person %d: submit_sm_resp %s, want ESME_ROK", i, o.Status)
		l.unsure++
		return
	}
	id, err := gateway.ParseMessageID(o.MessageID)
	if err != nil {
		l.tb.Errorf("person %d: message_id %q: %v", i, o.MessageID, err)
		return
	}
	l.acked++
	l.ids = append(l.ids, id)
}

// Deliver implements smppclient.Handler.
func (l *load) Deliver(_ context.Context, d smppclient.Delivery, ack func(smpp.CommandStatus)) {
	l.mu.Lock()
	l.receipts[d.ReceiptID] = true
	l.mu.Unlock()
	ack(smpp.StatusOK)
}

// done reports, as an error, what the customers still wait for.
func (l *load) done() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked+l.unsure < l.total || l.open > 0 {
		return fmt.Errorf("%d of %d acknowledged, %d unsure, %d open", l.acked, l.total, l.unsure, l.open)
	}
	return nil
}

// receipted reports, as an error, the acknowledged SMPP messages without a receipt.
func (l *load) receipted() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := 0
	for _, id := range l.ids {
		if !l.receipts[id.String()] {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d have none", missing, len(l.ids))
	}
	return nil
}
