package smpptest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gosmpp "github.com/fiorix/go-smpp/smpp"
	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"

	"izinli/gateway/smpp"
	"izinli/gateway/smpptest"
)

// esme is a hand-driven client: one PDU at a time.
type esme struct {
	t    *testing.T
	conn net.Conn
	seq  uint32
}

func start(t *testing.T, cfg smpptest.Config) *smpptest.Server {
	t.Helper()
	s, err := smpptest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func dial(t *testing.T, s *smpptest.Server) *esme {
	t.Helper()
	return over(t, func() (net.Conn, error) { return net.Dial("tcp", s.Addr()) })
}

func over(t *testing.T, dial func() (net.Conn, error)) *esme {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &esme{t: t, conn: conn}
}

func bound(t *testing.T, s *smpptest.Server, mode smpp.BindMode, id string) *esme {
	t.Helper()
	e := dial(t, s)
	e.bind(mode, id)
	return e
}

func (e *esme) bind(mode smpp.BindMode, id string) {
	e.t.Helper()
	if h := e.ask(&smpp.Bind{Mode: mode, SystemID: []byte(id), Password: []byte("secret")}); h.Status != smpp.StatusOK {
		e.t.Fatalf("bind: %s", h.Status)
	}
}

func (e *esme) send(p smpp.PDU) uint32 {
	e.t.Helper()
	e.seq++
	if _, err := e.conn.Write(p.AppendTo(nil, e.seq)); err != nil {
		e.t.Fatal(err)
	}
	return e.seq
}

func (e *esme) read() (smpp.Header, smpp.PDU) {
	e.t.Helper()
	head := make([]byte, smpp.HeaderLen)
	if _, err := io.ReadFull(e.conn, head); err != nil {
		e.t.Fatalf("read: %v", err)
	}
	h, err := smpp.ParseHeader(head, smpp.MaxPDU)
	if err != nil {
		e.t.Fatal(err)
	}
	body := make([]byte, h.Length-smpp.HeaderLen)
	if _, err := io.ReadFull(e.conn, body); err != nil {
		e.t.Fatal(err)
	}
	p, err := smpp.Decode(h, body)
	if err != nil {
		e.t.Fatal(err)
	}
	return h, p
}

func (e *esme) ask(p smpp.PDU) smpp.Header {
	e.t.Helper()
	seq := e.send(p)
	h, _ := e.read()
	if h.Sequence != seq || h.ID != p.CommandID().Response() {
		e.t.Fatalf("asked %s %d, got %s %d", p.CommandID(), seq, h.ID, h.Sequence)
	}
	return h
}

func submit(to, text string) *smpp.SubmitSM {
	return &smpp.SubmitSM{Source: smpp.Address{TON: 5, Addr: []byte("ORNEK")}, Dest: smpp.Address{TON: 1, NPI: 1, Addr: []byte(to)},
		RegisteredDelivery: smpp.ReceiptAlways, ShortMessage: []byte(text)}
}

func TestBinds(t *testing.T) {
	s := start(t, smpptest.Config{Accounts: map[string]string{"acme": "secret"}})
	for _, c := range []struct {
		why, id, password string
		want              smpp.CommandStatus
	}{
		{"right", "acme", "secret", smpp.StatusOK},
		{"wrong password", "acme", "guess", smpp.StatusInvPassword},
		{"unknown", "nobody", "secret", smpp.StatusInvSystemID},
	} {
		e := dial(t, s)
		if h := e.ask(&smpp.Bind{SystemID: []byte(c.id), Password: []byte(c.password)}); h.Status != c.want {
			t.Errorf("%s: got %s, want %s", c.why, h.Status, c.want)
		}
		if c.want != smpp.StatusOK {
			if _, err := e.conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%s: connection stays open: %v", c.why, err)
			}
		}
	}
	s.RefuseBinds(smpp.StatusBindFail)
	if h := dial(t, s).ask(&smpp.Bind{SystemID: []byte("acme"), Password: []byte("secret")}); h.Status != smpp.StatusBindFail {
		t.Errorf("refusing: got %s", h.Status)
	}
}

func TestStates(t *testing.T) {
	s := start(t, smpptest.Config{})
	if h := dial(t, s).ask(submit("905", "x")); h.Status != smpp.StatusInvBindStatus {
		t.Errorf("submit before bind: %s", h.Status)
	}
	if h := bound(t, s, smpp.BindRX, "a").ask(submit("905", "x")); h.Status != smpp.StatusInvBindStatus {
		t.Errorf("submit by a receiver: %s", h.Status)
	}
	e := bound(t, s, smpp.BindTX, "a")
	if h := e.ask(&smpp.Bind{SystemID: []byte("a")}); h.Status != smpp.StatusAlreadyBound {
		t.Errorf("second bind: %s", h.Status)
	}
	if h := e.ask(submit("905", "x")); h.Status != smpp.StatusOK {
		t.Errorf("submit: %s", h.Status)
	}
	if h := e.ask(&smpp.QuerySM{}); h.Status != smpp.StatusQueryFail {
		t.Errorf("query: %s", h.Status)
	}
	if h := e.ask(&smpp.Unbind{}); h.Status != smpp.StatusOK {
		t.Errorf("unbind: %s", h.Status)
	}
}

func TestRulesAndRecords(t *testing.T) {
	s := start(t, smpptest.Config{Record: true, Dedupe: true, Receipts: smpptest.Receipts{Off: true}, Rules: []smpptest.Rule{
		{Suffix: "01", Status: smpp.StatusInvDstAddr},
		{Prefix: "49", Status: smpp.StatusSubmitFail},
		{Suffix: "02", Silent: true},
	}})
	e := bound(t, s, smpp.BindTX, "acme")
	for to, want := range map[string]smpp.CommandStatus{"90501": smpp.StatusInvDstAddr, "49505": smpp.StatusSubmitFail, "90505": smpp.StatusOK} {
		if h := e.ask(submit(to, "x")); h.Status != want {
			t.Errorf("%s: got %s, want %s", to, h.Status, want)
		}
	}
	e.send(submit("90502", "silent"))
	if h := e.ask(submit("90505", "x")); h.Status != smpp.StatusOK {
		t.Errorf("after the silent one: %s", h.Status)
	}
	var texts []string
	for _, r := range s.Submits() {
		texts = append(texts, string(r.Submit.Dest.Addr)+":"+string(r.Submit.ShortMessage)+"@"+r.SystemID)
	}
	if want := []string{"90505:x@acme", "90502:silent@acme", "90505:x@acme"}; !slices.Equal(texts, want) {
		t.Errorf("recorded %q, want %q", texts, want)
	}
	if n := len(s.Received()); n != 6 {
		t.Errorf("%d PDUs recorded, want bind and 5 submits", n)
	}
	if st := s.Stats(); st.Submits != 5 || st.Accepted != 3 || st.Refused != 2 || st.Unique != 2 || st.Duplicates != 1 {
		t.Errorf("%+v", st)
	}
}

func TestThroughputLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // seconds pass when the test says so
		s := start(t, smpptest.Config{NoListen: true, TPS: 3, Receipts: smpptest.Receipts{Off: true}})
		var binds [2]*esme
		for i := range binds {
			binds[i] = over(t, func() (net.Conn, error) { return s.Dial(t.Context(), s.Addr()) })
			binds[i].bind(smpp.BindTX, "acme")
		}
		refused := 0
		for second := range 2 {
			for i := range 20 { // all binds of an account together
				if h := binds[i%2].ask(submit("905", "x")); h.Status == smpp.StatusThrottled {
					refused++
				}
			}
			if want := (second + 1) * (20 - 3); refused != want || s.Stats().Throttled != refused {
				t.Errorf("second %d: %d of 20 each were throttled, counted %d, want %d", second, refused, s.Stats().Throttled, want)
			}
			time.Sleep(time.Second)
		}
		for range 3 {
			binds[0].ask(submit("905", "x"))
		}
		s.SetTPS(0)
		if h := binds[0].ask(submit("905", "x")); h.Status != smpp.StatusOK {
			t.Errorf("without bound: %s", h.Status)
		}
	})
}

func TestIDsAndReceipts(t *testing.T) {
	for _, c := range []struct {
		id, receipt  smpptest.IDFormat
		resp, dlr    string
		form         smpptest.ReceiptForm
		text, tagged bool
	}{
		{smpptest.IDDecimal, smpptest.IDDecimal, "268435466", "268435466", smpptest.TextAndTLVs, true, true},
		{smpptest.IDHex, smpptest.IDDecimal, "1000000a", "268435466", smpptest.TextOnly, true, false},
		{smpptest.IDHexUpper, smpptest.IDPadded, "1000000A", "0000000268435466", smpptest.TLVsOnly, false, true},
	} {
		s := start(t, smpptest.Config{ID: c.id, Receipts: smpptest.Receipts{ID: c.receipt, Form: c.form},
			Rules: []smpptest.Rule{{Suffix: "9", State: smpp.StateUndeliverable, Err: "00B"}}})
		e := bound(t, s, smpp.BindTRX, "acme")
		e.send(submit("90509", "x"))
		_, p := e.read()
		if got := string(p.(*smpp.SubmitSMResp).MessageID); got != c.resp {
			t.Errorf("response id %s, want %s", got, c.resp)
		}
		h, p := e.read()
		d := p.(*smpp.DeliverSM)
		r, ok := smpp.ParseReceipt(d, time.UTC)
		if !ok || string(r.MessageID) != c.dlr || r.State != smpp.StateUndeliverable || !d.ESMClass.IsReceipt() {
			t.Errorf("receipt %+v", r)
		}
		if (len(d.ShortMessage) > 0) != c.text || (len(d.TLVs) > 0) != c.tagged || (c.text && string(r.Err) != "00B") {
			t.Errorf("form: text %q, TLVs %x", d.ShortMessage, d.TLVs)
		}
		if string(d.Source.Addr) != "90509" || string(d.Dest.Addr) != "ORNEK" || d.Dest.TON != 5 {
			t.Errorf("addresses are not swapped: %+v → %+v", d.Source, d.Dest)
		}
		e.conn.Write((&smpp.DeliverSMResp{}).AppendTo(nil, h.Sequence))
		if err := s.WaitFor(t.Context(), func(st smpptest.Stats) bool { return st.Acked == 1 }); err != nil {
			t.Error(err)
		}
	}
}

func TestReceiptOnlyIfAsked(t *testing.T) {
	s := start(t, smpptest.Config{Rules: []smpptest.Rule{{Suffix: "9", State: smpp.StateExpired}}})
	e := bound(t, s, smpp.BindTRX, "acme")
	for _, c := range []struct {
		to   string
		want smpp.RegisteredDelivery
	}{{"9051", smpp.ReceiptNone}, {"9051", smpp.ReceiptFailure}, {"9059", smpp.ReceiptSuccess}} {
		m := submit(c.to, "x")
		m.RegisteredDelivery = c.want
		e.ask(m)
	}
	e.send(submit("9059", "x")) // the twin that asks
	e.read()
	if h, _ := e.read(); h.ID != smpp.DeliverSMID {
		t.Errorf("got %s", h.ID)
	}
	if n := s.Stats().Delivered; n != 1 {
		t.Errorf("%d receipts sent, want 1", n)
	}
}

func TestRefusedDeliveryComesAgain(t *testing.T) {
	s := start(t, smpptest.Config{Receipts: smpptest.Receipts{RetryDelay: time.Millisecond}})
	s.SendMO("905321234567", "3338", "RET 675403") // before anybody is bound
	e := bound(t, s, smpp.BindRX, "acme")
	for _, status := range []smpp.CommandStatus{smpp.StatusTempAppErr, smpp.StatusSysErr, smpp.StatusOK} {
		h, p := e.read()
		if got := string(p.(*smpp.DeliverSM).ShortMessage); got != "RET 675403" {
			t.Errorf("got %q", got)
		}
		e.conn.Write((&smpp.DeliverSMResp{Status: status}).AppendTo(nil, h.Sequence))
	}
	if err := s.WaitFor(t.Context(), func(st smpptest.Stats) bool { return st.Acked == 1 && st.Redelivered == 2 }); err != nil {
		t.Error(err)
	}
	s.SendMO("905321234567", "3338", "x")
	h, _ := e.read()
	e.conn.Write((&smpp.DeliverSMResp{Status: smpp.StatusPermAppErr}).AppendTo(nil, h.Sequence))
	if err := s.WaitFor(t.Context(), func(st smpptest.Stats) bool { return st.DeliveryRefused == 1 }); err != nil {
		t.Error(err)
	}
}

func TestReply(t *testing.T) {
	s := start(t, smpptest.Config{Receipts: smpptest.Receipts{Off: true}, Rules: []smpptest.Rule{{Suffix: "7", Reply: "İPTAL", ReplyTo: "3338"}}})
	e := bound(t, s, smpp.BindTRX, "acme")
	e.ask(submit("90507", "x"))
	_, p := e.read()
	d := p.(*smpp.DeliverSM)
	if string(d.Source.Addr) != "90507" || string(d.Dest.Addr) != "3338" || d.DataCoding != smpp.DCUCS2 || len(d.ShortMessage) != 10 {
		t.Errorf("%+v", d)
	}
}

func TestLongMO(t *testing.T) {
	s := start(t, smpptest.Config{})
	e := bound(t, s, smpp.BindRX, "acme")
	text := strings.Repeat("0123456789", 40)
	s.SendMO("905", "3338", text)
	got := make([]string, 3)
	for range got {
		_, p := e.read()
		d := p.(*smpp.DeliverSM)
		if d.ESMClass&smpp.ESMUDHI == 0 || d.ShortMessage[4] != 3 {
			t.Fatalf("header %x", d.ShortMessage[:6])
		}
		got[d.ShortMessage[5]-1] = string(d.ShortMessage[6:])
	}
	if strings.Join(got, "") != text {
		t.Errorf("got %q", got)
	}
}

func TestTrouble(t *testing.T) {
	s := start(t, smpptest.Config{Receipts: smpptest.Receipts{Off: true}})
	e := bound(t, s, smpp.BindTX, "acme")

	s.Hold()
	first := e.send(submit("905", "1"))
	e.send(submit("905", "2"))
	if err := s.WaitCount(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	s.Release()
	if h, _ := e.read(); h.Sequence != first {
		t.Errorf("held responses come in another order: %d", h.Sequence)
	}
	e.read()

	s.Stuck(true)
	e.send(submit("905", "3"))
	if err := s.WaitCount(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	s.Stuck(false)
	if h := e.ask(submit("905", "4")); h.Status != smpp.StatusOK { // 3 stays unanswered
		t.Errorf("got %s", h.Status)
	}

	s.DropAfter(2)
	e.ask(submit("905", "5"))
	e.send(submit("905", "6"))
	if _, err := e.conn.Read(make([]byte, 1)); err == nil {
		t.Error("the second one was answered")
	}
	if err := s.WaitFor(t.Context(), func(st smpptest.Stats) bool { return st.Bound == 0 && st.Submits == 6 }); err != nil {
		t.Error(err)
	}
}

// Whoever waited for a message may change what the operator does: it is too late for that message.
func TestCountedWhenSettled(t *testing.T) {
	var s *smpptest.Server
	early := make(chan int, 1)
	s = start(t, smpptest.Config{Receipts: smpptest.Receipts{Off: true}, Tap: func(*smpp.SubmitSM) { early <- s.Stats().Submits }})
	bound(t, s, smpp.BindTX, "acme").ask(submit("905", "x"))
	if n := <-early; n != 0 {
		t.Errorf("%d messages were counted while one was being decided about", n)
	}
	if n := s.Stats().Submits; n != 1 {
		t.Errorf("%d messages were counted when the first was answered", n)
	}
}

func TestLatency(t *testing.T) {
	s := start(t, smpptest.Config{Latency: 30 * time.Millisecond, Receipts: smpptest.Receipts{Off: true}})
	e := bound(t, s, smpp.BindTX, "acme")
	began := time.Now()
	e.ask(submit("905", "1"))
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
}

func TestWaitGivesUp(t *testing.T) {
	s := start(t, smpptest.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitCount(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestGoSMPPTransceiver lets a client that others run talk to us.
func TestGoSMPPTransceiver(t *testing.T) {
	s := start(t, smpptest.Config{Accounts: map[string]string{"acme": "secret"}, Record: true,
		Receipts: smpptest.Receipts{Delay: 20 * time.Millisecond, Form: smpptest.TextOnly}})
	delivered := make(chan string, 10)
	tr := &gosmpp.Transceiver{Addr: s.Addr(), User: "acme", Passwd: "secret", RespTimeout: 10 * time.Second,
		Handler: func(p pdu.Body) {
			if p.Header().ID == pdu.DeliverSMID {
				delivered <- p.Fields()[pdufield.ShortMessage].String()
			}
		}}
	if st := <-tr.Bind(); st.Status() != gosmpp.Connected {
		t.Fatalf("bind: %v", st)
	}
	defer tr.Close()
	sm, err := tr.Submit(&gosmpp.ShortMessage{Src: "ORNEK", Dst: "905321234567", Text: pdutext.Raw("Merhaba"), Register: pdufield.FinalDeliveryReceipt})
	if err != nil {
		t.Fatal(err)
	}
	if got := <-delivered; !strings.HasPrefix(got, "id:"+sm.RespID()+" ") || !strings.Contains(got, "stat:DELIVRD") {
		t.Errorf("id %s, receipt %q", sm.RespID(), got)
	}
	s.SendMO("905321234567", "3338", "RET")
	if got := <-delivered; got != "RET" {
		t.Errorf("got %q", got)
	}
	if err := s.WaitFor(t.Context(), func(st smpptest.Stats) bool { return st.Acked == 2 }); err != nil {
		t.Error(err)
	}
	got := s.Submits()
	if len(got) != 1 || string(got[0].Submit.ShortMessage) != "Merhaba" || string(got[0].Submit.Dest.Addr) != "905321234567" {
		t.Errorf("recorded %+v", got)
	}
}

// What an operator is watched for: refusals too, and which answers were written.
func TestWatch(t *testing.T) {
	type look struct {
		text     string
		status   smpp.CommandStatus
		answered bool
	}
	var mu sync.Mutex
	var looks []*look
	drops := 0
	told := make(chan struct{}, 5)
	s := start(t, smpptest.Config{Receipts: smpptest.Receipts{Off: true}, Rules: []smpptest.Rule{{Suffix: "9", Status: smpp.StatusThrottled}},
		Watch: func(m *smpp.SubmitSM, status smpp.CommandStatus) func() {
			mu.Lock()
			defer mu.Unlock()
			l := &look{text: string(m.ShortMessage), status: status}
			looks = append(looks, l)
			return func() {
				mu.Lock()
				l.answered = true
				mu.Unlock()
				told <- struct{}{}
			}
		},
		OnDrop: func() {
			mu.Lock()
			drops++
			mu.Unlock()
		}})
	e := bound(t, s, smpp.BindTX, "acme")
	e.ask(submit("90501", "at once"))
	<-told
	s.SetLatency(time.Millisecond)
	e.ask(submit("90509", "refused"))
	<-told
	e.ask(submit("90501", "late"))
	<-told
	s.SetLatency(0)
	s.Hold()
	e.send(submit("90501", "held"))
	if err := s.WaitCount(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	s.Release()
	e.read()
	<-told
	s.DropAfter(1)
	e.send(submit("90501", "cut"))
	if err := s.WaitFor(t.Context(), func(st smpptest.Stats) bool { return st.Bound == 0 }); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := []look{{"at once", smpp.StatusOK, true}, {"refused", smpp.StatusThrottled, true}, {"late", smpp.StatusOK, true},
		{"held", smpp.StatusOK, true}, {"cut", smpp.StatusOK, false}}
	if len(looks) != len(want) || drops == 0 {
		t.Fatalf("%d messages and %d drops were told, want %d and some", len(looks), drops, len(want))
	}
	for i, l := range looks {
		if *l != want[i] {
			t.Errorf("message %d: %+v, want %+v", i+1, *l, want[i])
		}
	}
}

// A handset's message is taken when the ESME has said so, not when it was asked for again.
func TestSendMOThen(t *testing.T) {
	s := start(t, smpptest.Config{Receipts: smpptest.Receipts{RetryDelay: time.Millisecond}})
	taken := make(chan struct{}, 2)
	e := bound(t, s, smpp.BindRX, "acme")
	s.SendMOThen("905321234567", "3338", "RET", func() { taken <- struct{}{} })
	for _, status := range []smpp.CommandStatus{smpp.StatusTempAppErr, smpp.StatusOK} {
		h, _ := e.read()
		if len(taken) > 0 {
			t.Error("taken before it was accepted")
		}
		e.conn.Write((&smpp.DeliverSMResp{Status: status}).AppendTo(nil, h.Sequence))
	}
	if err := s.WaitFor(t.Context(), func(st smpptest.Stats) bool { return st.Acked == 1 }); err != nil {
		t.Fatal(err)
	}
	<-taken
}
