package test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smpp"
	"izinli/gateway/smpptest"
	"izinli/gateway/webhook"
	"izinli/test/stage"
)

// The campaign of these stories: ten people, five of whom will opt out, and five messages for each. The operator has one bind
// with a window of ten, of which a campaign may hold eight.
const (
	rounds      = 5
	window      = 10
	campaignMay = window * 80 / 100
)

type campaign struct {
	*stage.Stage
	leave, stay []string
	batches     []gateway.BatchRef
}

// startCampaign brings the campaign to the point where each of those who will leave has one message unanswered in the
// operator's window and four waiting behind it: the operator holds every answer back.
func startCampaign(t *testing.T, brand func(*stage.Stage) (code, sender string)) *campaign {
	t.Helper()
	c := &campaign{Stage: stage.New(t, stage.WithOperator(smpptest.Config{Receipts: smpptest.Receipts{Off: true}}))}
	code, sender := brand(c.Stage)
	_, err := c.Server.Admin.PutOperator(t.Context(), desk.OperatorInput{Operator: gateway.Operator{Name: c.Seeds.OperatorName,
		Addr: c.Operator.Addr(), SystemID: "izinli", Binds: 1, Window: window, NoReceipts: true}, Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		c.leave = append(c.leave, fmt.Sprintf("+90533100000%d", i))
		c.stay = append(c.stay, fmt.Sprintf("+90533200000%d", i))
	}
	everyone := slices.Concat(c.leave, c.stay)
	for _, n := range everyone {
		c.Consent(code, "BIREYSEL", n, "ONAY")
	}
	c.Run()
	stage.Until(t, "the one bind with its window", func() error {
		for _, st := range c.Server.Dispatch.Carriers() {
			if st.Name == c.Seeds.OperatorName && st.Window == window {
				return nil
			}
		}
		return fmt.Errorf("carriers %+v", c.Server.Dispatch.Carriers())
	})
	c.Operator.Hold()
	for i := range rounds {
		res := c.API.Send(stage.Body{"from": sender, "text": fmt.Sprintf("Kampanya %d", i), "to": everyone})
		if res.Accepted != len(everyone) {
			t.Fatalf("round %d: %d accepted, want %d", i, res.Accepted, len(everyone))
		}
		c.batches = append(c.batches, res.Batch)
		if i == 0 {
			if err := c.Operator.WaitCount(t.Context(), campaignMay); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The next eight are decided already and wait for a place in the window: only the last look can stop them.
	stage.Until(t, "messages under an intent behind the window", func() error {
		if st := c.Server.Dispatch.Carriers()[0]; st.Open[gateway.LaneCommercial] < 2*campaignMay {
			return fmt.Errorf("carrier %+v", st)
		}
		return nil
	})
	for _, n := range c.leave {
		if got := len(c.sent(n)); got != 1 {
			t.Fatalf("%s has %d messages in the window before its opt-out, want 1", n, got)
		}
	}
	return c
}

// sent are the campaign's messages the operator has for the number.
func (c *campaign) sent(number string) []smpptest.Record {
	return slices.DeleteFunc(c.Reached(number), func(r smpptest.Record) bool { return !strings.HasPrefix(string(r.Submit.ShortMessage), "Kampanya") })
}

// finish lets the operator answer and waits until every message of the campaign has come to rest.
func (c *campaign) finish(t *testing.T) {
	t.Helper()
	c.Operator.Release()
	for _, b := range c.batches {
		c.API.AwaitBatch(b, gateway.StateSent, gateway.StateDropped)
	}
	for _, n := range c.leave {
		if got := len(c.sent(n)); got != 1 {
			t.Errorf("%s opted out with one message under way and got %d", n, got)
		}
	}
	for _, n := range c.stay {
		if got := len(c.sent(n)); got != rounds {
			t.Errorf("%s stayed and got %d messages, want %d", n, got, rounds)
		}
	}
	dropped := 0
	for _, b := range c.batches {
		v := c.API.Batch(b)
		dropped += v.States[gateway.StateDropped.String()]
		if v.States[gateway.StateDropped.String()] != v.Reasons[string(gateway.CodeBlocked)] {
			t.Errorf("batch %s: states %v for reasons %v, want every drop to be a block", b, v.States, v.Reasons)
		}
	}
	if want := len(c.leave) * (rounds - 1); dropped != want {
		t.Errorf("%d messages dropped, want %d: four for each who left", dropped, want)
	}
}

// silent demands that nothing of the campaign has come for those who left since they were answered.
func (c *campaign) silent(t *testing.T, since string) {
	t.Helper()
	for _, n := range c.leave {
		if got := len(c.sent(n)); got != 1 {
			t.Errorf("%s: %d messages %s, want the one that was under way", n, got, since)
		}
	}
}

func partnerBrand(s *stage.Stage) (string, string) { return s.Seeds.Brand, s.Seeds.Sender }

// TestOptOutBySMS: people answer RET in the middle of a campaign. Once our deliver_sm_resp is out, nothing more of it leaves
// for them; İYS gets their RET; each gets one confirmation.
func TestOptOutBySMS(t *testing.T) {
	t.Parallel()
	c := startCampaign(t, partnerBrand)
	for i, n := range c.leave {
		c.Operator.SendMO(strings.TrimPrefix(n, "+"), strings.TrimPrefix(c.Seeds.ReplyNumber, "+"), []string{"RET", "ret", "Ret.", "İPTAL", "red"}[i])
	}
	err := c.Operator.WaitFor(t.Context(), func(st smpptest.Stats) bool { return st.Acked >= len(c.leave) })
	if err != nil {
		t.Fatal(err)
	}
	c.silent(t, "when its RET was acknowledged")
	c.finish(t)

	for _, n := range c.leave {
		stage.Until(t, "the RET of "+n+" at İYS", func() error {
			m, ok := c.IYS.Stored(c.Seeds.Brand, "MESAJ", "BIREYSEL", n)
			if !ok || m.Status != "RET" || m.Source != "HS_MESAJ" {
				return fmt.Errorf("İYS holds %+v", m)
			}
			return nil
		})
		stage.Until(t, "the confirmation to "+n, func() error {
			if got := len(c.Reached(n)) - len(c.sent(n)); got != 1 {
				return fmt.Errorf("%d messages besides the campaign", got)
			}
			return nil
		})
		if v := c.lookup(n, c.Seeds.Brand); !v.Blocked || v.Block == nil || v.Block.Route != "sms" {
			t.Errorf("%s: %+v, want a block by sms", n, v)
		}
	}
	var inbound gateway.Page[gateway.Inbound]
	c.API.Must(200, "GET", "/v1/inbound", nil, &inbound)
	optouts := 0
	for _, m := range inbound.Items {
		if m.Kind == "optout" && slices.Equal(m.Brands, []string{c.Seeds.Brand}) {
			optouts++
		}
	}
	if optouts != len(c.leave) {
		t.Errorf("the customer reads %d opt-outs of its brand, want %d", optouts, len(c.leave))
	}
}

// TestOptOutAgainIsConfirmedOnce: who writes RET twice a day is answered once, and stays out.
func TestOptOutAgainIsConfirmedOnce(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	s.Run()
	const n = "+905331000099"
	for i := range 3 {
		s.Operator.SendMO(strings.TrimPrefix(n, "+"), strings.TrimPrefix(s.Seeds.ReplyNumber, "+"), "RET")
		stage.Until(t, "the acknowledgement", func() error {
			var inbound gateway.Page[gateway.Inbound]
			s.API.Must(200, "GET", "/v1/inbound", nil, &inbound)
			if len(inbound.Items) != i+1 {
				return fmt.Errorf("%d inbound messages", len(inbound.Items))
			}
			return nil
		})
	}
	mark := s.Bind().MustSubmit(otp(s, n)) // what was to be confirmed has been submitted before
	s.Await(mark, gateway.StateDelivered)
	stage.Until(t, "everything to come to rest", func() error {
		if r := stage.VerifyStore(t, s.Store); r.Waiting != 0 {
			return fmt.Errorf("%d wait", r.Waiting)
		}
		return nil
	})
	if got := len(s.Reached(n)); got != 2 {
		t.Errorf("%d messages reached %s, want one confirmation and the password", got, n)
	}
}

func (c *campaign) lookup(number, brand string) gateway.ConsentView {
	var v gateway.ConsentView
	c.API.Must(200, "GET", "/v1/consents/MESAJ/"+number+"?brand="+brand, nil, &v)
	return v
}

// optOutByAPI opts out everybody who leaves; each answer is a promise.
func (c *campaign) optOutByAPI(brand string) {
	for _, n := range c.leave {
		c.API.Must(200, "POST", "/v1/optouts", stage.Body{"brand": brand, "channel": "sms", "address": n}, nil)
	}
}

// TestOptOutByAPI: the same by the customer's own program.
func TestOptOutByAPI(t *testing.T) {
	t.Parallel()
	c := startCampaign(t, partnerBrand)
	c.optOutByAPI(c.Seeds.Brand)
	c.silent(t, "when its opt-out was answered")
	c.finish(t)
	for _, n := range c.leave {
		stage.Until(t, "the RET of "+n+" at İYS", func() error {
			if m, ok := c.IYS.Stored(c.Seeds.Brand, "MESAJ", "BIREYSEL", n); !ok || m.Status != "RET" {
				return fmt.Errorf("İYS holds %+v", m)
			}
			return nil
		})
	}
}

// TestOptOutOwedByCustomer: where we may not write to İYS, an opt-out stops the campaign all the same, is marked as owed by the
// customer and told to its webhook; İYS hears nothing from us.
func TestOptOutOwedByCustomer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{ahs, selfManaged} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			hook := newHook(t)
			var code string
			c := startCampaign(t, func(s *stage.Stage) (string, string) {
				code = s.Seeds.OtherBrand
				if mode == ahs {
					return code, s.Seeds.OtherSender
				}
				code = "610001"
				s.Brand(code, "KENDI", gateway.BrandMode{Mode: selfManaged, Text: "Beyan", Version: "1", User: "Ayşe", IP: "192.0.2.7"})
				return code, "KENDI"
			})
			hook.subscribe(c.API, "optout.owed")
			before := len(c.IYS.Movements())
			c.optOutByAPI(code)
			c.silent(t, "when its opt-out was answered")
			c.finish(t)
			for _, n := range c.leave {
				if v := c.lookup(n, code); !v.Blocked || v.Sync != "owed_by_customer" {
					t.Errorf("%s: blocked %v, sync %q, want a block owed by the customer", n, v.Blocked, v.Sync)
				}
				stage.Until(t, "the webhook to tell of "+n, func() error { return hook.told("optout.owed", n) })
			}
			if got := len(c.IYS.Movements()); got != before {
				t.Errorf("İYS took %d movements, want none: we have no right to write", got-before)
			}
		})
	}
}

// hook is the customer's webhook endpoint. It believes nothing that is not signed.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	events []string // type and body
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = webhook.Verify(h.secret, r.Header.Get(webhook.HeaderSignature), b, time.Now(), 5*time.Minute)
		}
		if err != nil {
			t.Errorf("webhook: %v", err)
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		h.events = append(h.events, r.Header.Get(webhook.HeaderEventType)+" "+string(b))
	}))
	t.Cleanup(h.Close)
	return h
}

// subscribe points the account's webhook here and keeps the secret, which is shown this once.
func (h *hook) subscribe(api *stage.API, events ...string) {
	h.mu.Lock() // an event may come before the answer
	defer h.mu.Unlock()
	var v gateway.WebhookView
	api.Must(200, "PUT", "/v1/webhooks", stage.Body{"url": h.URL, "events": events}, &v)
	h.secret = v.Secret
}

// told reports, as an error, that no event of the kind about the number has come.
func (h *hook) told(kind, number string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if strings.HasPrefix(e, kind+" ") && strings.Contains(e, number) {
			return nil
		}
	}
	return fmt.Errorf("the events so far are %q", h.events)
}

// TestOptOutInFullRun: no held answers this time, once the first has opted out. The campaign runs at full speed over one bind, on which what is written first
// arrives first, so that after the acknowledgement of a RET has come to the operator nothing more may come for its number.
func TestOptOutInFullRun(t *testing.T) {
	t.Parallel()
	s := stage.New(t, stage.WithOperator(smpptest.Config{Latency: 5 * time.Millisecond, Receipts: smpptest.Receipts{Off: true}}))
	_, err := s.Server.Admin.PutOperator(t.Context(), desk.OperatorInput{Operator: gateway.Operator{Name: s.Seeds.OperatorName,
		Addr: s.Operator.Addr(), SystemID: "izinli", Binds: 1, Window: window, NoReceipts: true}, Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	const people, each = 60, 12
	var numbers []string
	for i := range people {
		numbers = append(numbers, fmt.Sprintf("+9053340000%02d", i))
		s.Consent(s.Seeds.Brand, "BIREYSEL", numbers[i], "ONAY")
	}
	s.Run()
	s.Operator.Hold() // until all of it is handed in: the first RET must come while there is something to stop
	var batches []gateway.BatchRef
	for i := range each {
		batches = append(batches, s.API.Send(stage.Body{"from": s.Seeds.Sender, "text": fmt.Sprintf("Kampanya %d", i), "to": numbers}).Batch)
	}
	atAck := map[string]int{}
	for i := range people / 2 {
		n := numbers[2*i]
		s.Operator.SendMO(strings.TrimPrefix(n, "+"), strings.TrimPrefix(s.Seeds.ReplyNumber, "+"), "RET")
		if i == 0 {
			s.Operator.Release()
		}
		if err := s.Operator.WaitFor(t.Context(), func(st smpptest.Stats) bool { return st.Acked > i }); err != nil {
			t.Fatal(err)
		}
		atAck[n] = campaignTexts(s, n)
	}
	for _, b := range batches {
		s.API.AwaitBatch(b, gateway.StateSent, gateway.StateDropped)
	}
	stopped := 0
	for n, before := range atAck {
		after := campaignTexts(s, n)
		if after != before {
			t.Errorf("%s: %d messages came after its RET was acknowledged", n, after-before)
		}
		stopped += each - after
	}
	if stopped == 0 {
		t.Error("the campaign had ended before the first RET: nothing was proved")
	}
	for i := 1; i < people; i += 2 {
		if got := campaignTexts(s, numbers[i]); got != each {
			t.Errorf("%s stayed and got %d messages, want %d", numbers[i], got, each)
		}
	}
	t.Logf("%d messages were stopped", stopped)
}

func campaignTexts(s *stage.Stage, number string) int {
	n := 0
	for _, r := range s.Reached(number) {
		if r.Submit != nil && r.Status == smpp.StatusOK && strings.HasPrefix(string(r.Submit.ShortMessage), "Kampanya") {
			n++
		}
	}
	return n
}
