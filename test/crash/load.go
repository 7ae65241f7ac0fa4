package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/test/stage"
)

// chunk is how many people a customer takes on at once.
const chunk = 100

// number is the i-th person.
func number(i int) string { return fmt.Sprintf("+90535%07d", i) }

// load is the customers: three over HTTP, whose requests are repeated under their Idempotency-Key until they are answered, and
// one over SMPP, who does not repeat what was not answered, since that would be another message.
type load struct {
	tb       testing.TB
	key      string
	system   string
	password string
	sender   string
	wg       sync.WaitGroup

	mu       sync.Mutex
	addrs    map[string]string // of the gateway at present
	total    int               // messages of the run
	allowed  int               // that may be handed in by now
	issued   int
	acked    int // acknowledged: HTTP 202, submit_sm_resp ESME_ROK
	open     int // handed to the SMPP client, not answered
	unsure   int // SMPP, the answer was lost
	batches  []gateway.BatchRef
	ids      []gateway.MessageID
	receipts map[string]bool
}

// to tells the customers where the gateway is.
func (l *load) to(addrs map[string]string) {
	l.mu.Lock()
	l.addrs = addrs
	l.mu.Unlock()
}

func (l *load) address(door string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addrs[door]
}

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

// next hands out the people of one chunk; false when all have been.
func (l *load) next(ctx context.Context) (first int, ok bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		l.mu.Lock()
		if l.issued+chunk <= l.allowed {
			first = l.issued
			l.issued += chunk
			l.mu.Unlock()
			return first, true
		}
		done := l.issued+chunk > l.total
		l.mu.Unlock()
		if done {
			return 0, false
		}
		select {
		case <-ctx.Done():
			return 0, false
		case <-tick.C:
		}
	}
}

// run starts the customers; they end with the run or with ctx.
func (l *load) run(ctx context.Context) {
	for range 3 {
		l.wg.Go(func() {
			for {
				first, ok := l.next(ctx)
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
		to[i] = number(first + i)
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

// overSMPP submits single messages over a bind that follows the gateway.
func (l *load) overSMPP(ctx context.Context) {
	c, err := smppclient.New(smppclient.Config{Name: "customer", Addr: "gateway", SystemID: l.system, Password: l.password, Window: 50,
		Logger: slog.New(slog.DiscardHandler), Dial: func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", l.address("smpp"))
		}}, l)
	if err != nil {
		l.tb.Error(err)
		return
	}
	l.wg.Go(func() { c.Run(ctx) })
	for {
		first, ok := l.next(ctx)
		if !ok {
			return
		}
		for i := first; i < first+chunk; {
			again := l.submit(ctx, c, i)
			if ctx.Err() != nil {
				return
			}
			if !again {
				i++
			}
		}
	}
}

// submit hands one message to the client; again says that nothing was sent.
func (l *load) submit(ctx context.Context, c *smppclient.Client, i int) (again bool) {
	room, ok := c.TryReserve(1, smppclient.OTP)
	for !ok {
		select {
		case <-ctx.Done():
			return true
		case <-c.Binds()[0].Ready():
		}
		room, ok = c.TryReserve(1, smppclient.OTP)
	}
	l.mu.Lock()
	l.open++
	l.mu.Unlock()
	err := room.Commit([]smpp.SubmitSM{stage.Text(l.sender, number(i), "Kampanya")}, func(_ int, o smppclient.Outcome) { l.answered(i, o) })
	if err != nil {
		l.mu.Lock()
		l.open--
		l.mu.Unlock()
	}
	return err != nil
}

func (l *load) answered(i int, o smppclient.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if o.Err != nil || o.Status != smpp.StatusOK { // a refusal in the middle of a crash is no promise either
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
