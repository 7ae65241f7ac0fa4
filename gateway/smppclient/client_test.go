package smppclient_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gosmpptest "github.com/fiorix/go-smpp/smpp/smpptest"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"

	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/gateway/smpptest"
)

// inbox is a Handler that queues.
type inbox struct{ c chan arrival }

type arrival struct {
	smppclient.Delivery
	ack func(smpp.CommandStatus)
}

func newInbox() *inbox { return &inbox{make(chan arrival, 1000)} }

func (i *inbox) Deliver(_ context.Context, d smppclient.Delivery, ack func(smpp.CommandStatus)) {
	i.c <- arrival{d, ack}
}

func operator(t testing.TB, cfg smpptest.Config) *smpptest.Server {
	t.Helper()
	s, err := smpptest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// client runs until the test ends or stop is called.
func client(t testing.TB, addr string, change func(*smppclient.Config), h smppclient.Handler) (c *smppclient.Client, stop func()) {
	t.Helper()
	cfg := smppclient.Config{Name: "op1", Addr: addr, SystemID: "acme", Password: "secret", Window: 100,
		Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	c, err := smppclient.New(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return c, stop
}

// reserve waits for room on b.
func reserve(t testing.TB, b *smppclient.Bind, n int, lane smppclient.Lane) smppclient.Reservation {
	t.Helper()
	for {
		if r, ok := b.TryReserve(n, lane); ok {
			return r
		}
		select {
		case <-b.Ready():
		case <-t.Context().Done():
			t.Fatal("no room")
		}
	}
}

func segments(to string, texts ...string) []smpp.SubmitSM {
	p := smppclient.DefaultProfile()
	var out []smpp.SubmitSM
	for _, text := range texts {
		out = append(out, smpp.SubmitSM{Source: p.Source("ORNEK"), Dest: p.Dest(to), RegisteredDelivery: smpp.ReceiptAlways, ShortMessage: []byte(text)})
	}
	return out
}

// send commits and collects the outcomes.
func send(t testing.TB, b *smppclient.Bind, pdus []smpp.SubmitSM) []smppclient.Outcome {
	t.Helper()
	type end struct {
		seg int
		o   smppclient.Outcome
	}
	ends := make(chan end, len(pdus))
	if err := reserve(t, b, len(pdus), smppclient.Transactional).Commit(pdus, func(seg int, o smppclient.Outcome) { ends <- end{seg, o} }); err != nil {
		t.Fatal(err)
	}
	out := make([]smppclient.Outcome, len(pdus))
	for range pdus {
		e := <-ends
		out[e.seg] = e.o
	}
	return out
}

func TestSubmitAndReceipts(t *testing.T) {
	op := operator(t, smpptest.Config{ID: smpptest.IDHexUpper, Record: true,
		Receipts: smpptest.Receipts{ID: smpptest.IDPadded}, Rules: []smpptest.Rule{{Suffix: "9", State: smpp.StateUndeliverable}}})
	in := newInbox()
	c, _ := client(t, op.Addr(), func(c *smppclient.Config) { c.ResponseID, c.ReceiptID = smpp.IDHexToDec, smpp.IDTrim }, in)
	outcomes := send(t, c.Binds()[0], segments("+905321234569", "bir", "iki", "üç"))
	ids := map[string]bool{}
	for i, o := range outcomes {
		if o.Err != nil || o.Status != smpp.StatusOK || o.MessageID == "" {
			t.Errorf("segment %d: %+v", i, o)
		}
		ids[o.MessageID] = true
	}
	if len(ids) != 3 {
		t.Errorf("ids %v", ids)
	}
	for range 3 {
		d := <-in.c
		if d.Kind != smppclient.Receipt || !ids[d.ReceiptID] || d.Receipt.State != smpp.StateUndeliverable || d.Operator != "op1" {
			t.Errorf("receipt %+v for %v", d.Delivery, ids)
		}
		d.ack(smpp.StatusOK)
	}
	if err := op.WaitFor(t.Context(), func(s smpptest.Stats) bool { return s.Acked == 3 }); err != nil {
		t.Error(err)
	}
	var texts []string
	for _, r := range op.Submits() {
		texts = append(texts, string(r.Submit.ShortMessage))
		if string(r.Submit.Dest.Addr) != "905321234569" || r.Submit.Source.TON != smpp.TONAlphanumeric {
			t.Errorf("addresses %+v → %+v", r.Submit.Source, r.Submit.Dest)
		}
	}
	if want := []string{"bir", "iki", "üç"}; !slices.Equal(texts, want) {
		t.Errorf("operator got %q, want %q", texts, want)
	}
	s := c.Snapshot()[0]
	if s.State != smppclient.Bound || s.Submitted != 3 || s.Accepted != 3 || s.Deliveries != 3 || s.PeerVersion != smpp.Version34 {
		t.Errorf("snapshot %+v", s)
	}
}

func TestMOIsNoReceipt(t *testing.T) {
	op := operator(t, smpptest.Config{})
	in := newInbox()
	client(t, op.Addr(), nil, in)
	op.SendMO("905321234567", "3338", "id:1 stat:DELIVRD") // a handset can write this
	d := <-in.c
	if d.Kind != smppclient.MO || string(d.Message.Source.Addr) != "905321234567" {
		t.Errorf("%+v", d.Delivery)
	}
	d.ack(smpp.StatusOK)

	in2 := newInbox()
	op2 := operator(t, smpptest.Config{})
	client(t, op2.Addr(), func(c *smppclient.Config) { c.UnmarkedReceipts = true }, in2)
	op2.SendMO("905321234567", "3338", "id:1 stat:DELIVRD")
	if d = <-in2.c; d.Kind != smppclient.Receipt || d.ReceiptID != "1" {
		t.Errorf("where the operator is known for it: %+v", d.Delivery)
	}
	d.ack(smpp.StatusOK)
}

// TestAckWhenStored: acks come late and in any order; what is refused or over
// the limit comes again.
func TestAckWhenStored(t *testing.T) {
	op := operator(t, smpptest.Config{Receipts: smpptest.Receipts{RetryDelay: time.Millisecond}})
	in := newInbox()
	client(t, op.Addr(), func(c *smppclient.Config) { c.DeliverWindow = 3 }, in)
	for range 3 {
		op.SendMO("905", "3338", "x")
	}
	got := []arrival{<-in.c, <-in.c, <-in.c}
	op.SendMO("905", "3338", "fourth")
	if err := op.WaitFor(t.Context(), func(s smpptest.Stats) bool { return s.Redelivered >= 2 }); err != nil {
		t.Fatal(err)
	}
	if n := op.Stats().Acked; n != 0 {
		t.Errorf("%d were answered before they were stored", n)
	}
	var wg sync.WaitGroup
	for _, d := range slices.Backward(got) {
		wg.Go(func() {
			d.ack(smpp.StatusOK)
			d.ack(smpp.StatusPermAppErr) // once is enough
		})
	}
	wg.Wait()
	d := <-in.c
	d.ack(smpp.StatusTempAppErr)
	d = <-in.c
	if string(d.Message.ShortMessage) != "fourth" {
		t.Errorf("got %q", d.Message.ShortMessage)
	}
	d.ack(smpp.StatusOK)
	if err := op.WaitFor(t.Context(), func(s smpptest.Stats) bool { return s.Acked == 4 }); err != nil {
		t.Error(err)
	}
	if n := op.Stats().DeliveryRefused; n != 0 {
		t.Errorf("a second ack was sent %d times", n)
	}
}

func TestRefusals(t *testing.T) {
	op := operator(t, smpptest.Config{Record: true, Rules: []smpptest.Rule{{Suffix: "1", Status: smpp.StatusInvDstAddr}}})
	c, _ := client(t, op.Addr(), nil, nil)
	b := c.Binds()[0]
	if o := send(t, b, segments("9051", "x"))[0]; o.Status != smpp.StatusInvDstAddr || o.Err != nil {
		t.Errorf("%+v", o)
	}
	never := func(int, smppclient.Outcome) { t.Error("done was called") }
	bad := segments("905", "good", strings.Repeat("x", 255))
	var fe *smpp.FieldError
	if err := reserve(t, b, 2, smppclient.OTP).Commit(bad, never); !errors.As(err, &fe) || fe.Status != smpp.StatusInvMsgLen {
		t.Errorf("short_message of 255: %v", err)
	}
	if err := reserve(t, b, 1, smppclient.OTP).Commit(segments("905", "a", "b"), never); err == nil {
		t.Error("more segments than places")
	}
	if o := send(t, b, segments("9052", "x"))[0]; o.Status != smpp.StatusOK { // the twin
		t.Errorf("%+v", o)
	}
	if n := op.Stats().Submits; n != 2 {
		t.Errorf("operator got %d messages, want 2", n)
	}
	if s := b.Snapshot(); s.Link.InFlight != 0 || s.Link.Reserved != 0 {
		t.Errorf("places leak: %+v", s.Link)
	}
}

func TestLanes(t *testing.T) {
	op := operator(t, smpptest.Config{})
	c, _ := client(t, op.Addr(), func(c *smppclient.Config) { c.Window = 10 }, nil)
	b := c.Binds()[0]
	op.Hold()
	sink := make(chan smppclient.Outcome, 100)
	put := func(n int, lane smppclient.Lane) bool {
		r, ok := b.TryReserve(n, lane)
		if ok {
			if err := r.Commit(segments("905", slices.Repeat([]string{"x"}, n)...), func(_ int, o smppclient.Outcome) { sink <- o }); err != nil {
				t.Error(err)
			}
		}
		return ok
	}
	reserve(t, b, 1, smppclient.OTP).Cancel() // bound
	n := 0
	for put(1, smppclient.Commercial) {
		n++
	}
	if n != 8 {
		t.Errorf("commercial got %d of 10 places, want 8", n)
	}
	if b.InShare(1, smppclient.Commercial) || !b.InShare(1, smppclient.Transactional) {
		t.Error("want the share of the commercial lane used up, and no other's")
	}
	if put(3, smppclient.OTP) || !put(1, smppclient.OTP) || !put(1, smppclient.Transactional) || put(1, smppclient.OTP) {
		t.Error("the other lanes do not get exactly the rest")
	}
	op.Release()
	for range 10 {
		<-sink
	}
	if put(11, smppclient.OTP) {
		t.Error("more than the window")
	}
	if !c.InShare(9, smppclient.Commercial) {
		t.Error("the share of an empty lane is not free")
	}
	r := reserve(t, b, 9, smppclient.Commercial) // over the share, but alone
	if put(1, smppclient.Commercial) {
		t.Error("a second one beside it")
	}
	r.Cancel()
	if got := b.Snapshot().Commercial; got != 0 {
		t.Errorf("commercial holds %d places after all", got)
	}
}

func TestTXRX(t *testing.T) {
	op := operator(t, smpptest.Config{})
	in := newInbox()
	c, _ := client(t, op.Addr(), func(c *smppclient.Config) { c.BindType, c.Binds = smppclient.TXRX, 2 }, in)
	if n := len(c.Binds()); n != 4 {
		t.Fatalf("%d binds, want 4", n)
	}
	if err := op.WaitFor(t.Context(), func(s smpptest.Stats) bool { return s.Bound == 4 }); err != nil {
		t.Fatal(err)
	}
	for _, b := range c.Binds() {
		if b.Mode() == smpp.BindRX {
			if _, ok := b.TryReserve(1, smppclient.OTP); ok {
				t.Error("a receiver took a message")
			}
			continue
		}
		if o := send(t, b, segments("905", "x"))[0]; o.Status != smpp.StatusOK {
			t.Errorf("%+v", o)
		}
	}
	for range 2 {
		d := <-in.c
		if c.Binds()[d.Bind].Mode() != smpp.BindRX {
			t.Errorf("receipt on bind %d", d.Bind)
		}
		d.ack(smpp.StatusOK)
	}
}

func TestLinkLost(t *testing.T) {
	op := operator(t, smpptest.Config{})
	c, _ := client(t, op.Addr(), nil, nil)
	b := c.Binds()[0]
	op.Hold()
	outcomes := make(chan smppclient.Outcome, 10)
	held := reserve(t, b, 2, smppclient.OTP)
	if err := reserve(t, b, 3, smppclient.OTP).Commit(segments("905", "1", "2", "3"), func(_ int, o smppclient.Outcome) { outcomes <- o }); err != nil {
		t.Fatal(err)
	}
	if err := op.WaitCount(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	op.DropAll()
	for range 3 {
		if o := <-outcomes; !errors.Is(o.Err, smppclient.ErrLinkLost) {
			t.Errorf("%+v", o)
		}
	}
	if err := held.Commit(segments("905", "4", "5"), func(int, smppclient.Outcome) { t.Error("done was called") }); !errors.Is(err, smppclient.ErrLinkLost) {
		t.Errorf("commit on a lost link: %v", err)
	}
	op.Release()
	if o := send(t, b, segments("905", "6"))[0]; o.Status != smpp.StatusOK { // after rebinding
		t.Errorf("%+v", o)
	}
	if s := b.Snapshot(); s.Binds != 2 || s.Lost != 3 {
		t.Errorf("%+v", s)
	}
}

func TestStopDrains(t *testing.T) {
	op := operator(t, smpptest.Config{Latency: 30 * time.Millisecond})
	c, stop := client(t, op.Addr(), nil, nil)
	var mu sync.Mutex
	var got []smppclient.Outcome
	if err := reserve(t, c.Binds()[0], 2, smppclient.OTP).Commit(segments("905", "1", "2"), func(_ int, o smppclient.Outcome) {
		mu.Lock()
		got = append(got, o)
		mu.Unlock()
	}); err != nil {
		t.Fatal(err)
	}
	stop()
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 2 || got[0].Status != smpp.StatusOK || got[0].Err != nil {
		t.Errorf("outcomes %+v", got)
	}
	if _, ok := c.TryReserve(1, smppclient.OTP); ok {
		t.Error("reserved on a stopped client")
	}
	if s := c.Binds()[0].State(); s != smppclient.Down {
		t.Errorf("state %v", s)
	}
}

// TestStorm: links are cut at any moment; every segment handed off has one
// outcome, none has two, and what was not handed off has none.
func TestStorm(t *testing.T) {
	op := operator(t, smpptest.Config{Latency: time.Millisecond, Dedupe: true})
	c, stop := client(t, op.Addr(), func(c *smppclient.Config) { c.Binds, c.Window = 3, 20 }, nil)
	for _, b := range c.Binds() {
		reserve(t, b, 1, smppclient.OTP).Cancel() // bound
	}
	var mu sync.Mutex
	calls := map[[2]int]int{}
	committed := 0
	var senders sync.WaitGroup
	for s := range 4 {
		senders.Go(func() {
			for i := range 300 {
				n := 1 + i%3
				r, ok := c.TryReserve(n, smppclient.Lane(i%3))
				if !ok {
					select {
					case <-c.Binds()[i%3].Ready():
					case <-time.After(time.Millisecond):
					}
					continue
				}
				key := s*1000 + i
				err := r.Commit(segments("905", slices.Repeat([]string{"x"}, n)...), func(seg int, _ smppclient.Outcome) {
					mu.Lock()
					calls[[2]int{key, seg}]++
					mu.Unlock()
				})
				if err == nil {
					mu.Lock()
					committed += n
					mu.Unlock()
				}
				if s == 0 && i%60 == 59 {
					op.DropAll()
				}
			}
		})
	}
	senders.Wait()
	stop()
	mu.Lock()
	defer mu.Unlock()
	if len(calls) != committed || committed == 0 {
		t.Errorf("%d segments committed, %d had an outcome", committed, len(calls))
	}
	for k, n := range calls {
		if n != 1 {
			t.Errorf("segment %v had %d outcomes", k, n)
		}
	}
	for _, s := range c.Snapshot() {
		if s.Commercial != 0 || s.Accepted+s.Refused+s.Lost+s.TimedOut != s.Submitted {
			t.Errorf("counts: %+v", s)
		}
	}
}

func TestTLS(t *testing.T) {
	cert := httptest.NewTLSServer(nil) // for its certificate
	defer cert.Close()
	roots := x509.NewCertPool()
	roots.AddCert(cert.Certificate())
	op := operator(t, smpptest.Config{TLS: &tls.Config{Certificates: cert.TLS.Certificates}})
	c, _ := client(t, op.Addr(), func(c *smppclient.Config) { c.TLS = &tls.Config{RootCAs: roots} }, nil)
	if o := send(t, c.Binds()[0], segments("905", "x"))[0]; o.Status != smpp.StatusOK {
		t.Errorf("%+v", o)
	}
	stranger, _ := client(t, op.Addr(), func(c *smppclient.Config) { c.TLS = &tls.Config{RootCAs: x509.NewCertPool()} }, nil)
	for stranger.Binds()[0].Snapshot().LastErr == nil {
		<-stranger.Binds()[0].Ready()
	}
	if err := stranger.Binds()[0].Snapshot().LastErr; !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
}

// TestGoSMPPServer: a server others run, which does not copy the sequence
// number into bind_resp.
func TestGoSMPPServer(t *testing.T) {
	srv := gosmpptest.NewUnstartedServer()
	srv.User, srv.Passwd = "acme", "secret"
	srv.Handler = func(c gosmpptest.Conn, p pdu.Body) {
		switch p.Header().ID {
		case pdu.SubmitSMID:
			r := pdu.NewSubmitSMResp()
			r.Header().Seq = p.Header().Seq
			r.Fields().Set(pdufield.MessageID, "id-"+p.Fields()[pdufield.ShortMessage].String())
			c.Write(r)
		case pdu.UnbindID:
			r := pdu.NewUnbindResp()
			r.Header().Seq = p.Header().Seq
			c.Write(r)
		}
	}
	srv.Start()
	defer srv.Close()
	pdu.NewUnbind() // takes a number from go-smpp's counter, so that the bind's differs
	c, stop := client(t, srv.Addr(), nil, nil)
	for _, text := range []string{"bir", "iki"} {
		if o := send(t, c.Binds()[0], segments("905321234567", text))[0]; o.Status != smpp.StatusOK || o.MessageID != "id-"+text {
			t.Errorf("%+v", o)
		}
	}
	if n := c.Snapshot()[0].Link.InFlight; n != 0 {
		t.Errorf("%d requests seem open, the bind among them", n)
	}
	stop()
}

func TestNewRefuses(t *testing.T) {
	good := smppclient.Config{Name: "op", Addr: "x:1", SystemID: "acme"}
	if _, err := smppclient.New(good, nil); err != nil {
		t.Errorf("a good one: %v", err)
	}
	for why, spoil := range map[string]func(*smppclient.Config){
		"no name":         func(c *smppclient.Config) { c.Name = "" },
		"no address":      func(c *smppclient.Config) { c.Addr = "" },
		"no system_id":    func(c *smppclient.Config) { c.SystemID = "" },
		"negative window": func(c *smppclient.Config) { c.Window = -1 },
		"endless secret":  func(c *smppclient.Config) { c.Password = strings.Repeat("x", 65) },
	} {
		c := good
		spoil(&c)
		if _, err := smppclient.New(c, nil); err == nil {
			t.Errorf("%s was accepted", why)
		}
	}
}

func TestProfile(t *testing.T) {
	p := smppclient.DefaultProfile()
	for in, want := range map[string]smpp.Address{
		"ORNEK":         {TON: 5, NPI: 0, Addr: []byte("ORNEK")},
		"A1":            {TON: 5, NPI: 0, Addr: []byte("A1")},
		"3338":          {TON: 3, NPI: 0, Addr: []byte("3338")},
		"+908501234567": {TON: 1, NPI: 1, Addr: []byte("908501234567")},
		"908501234567":  {TON: 1, NPI: 1, Addr: []byte("908501234567")},
		"5+5":           {TON: 5, NPI: 0, Addr: []byte("5+5")},
	} {
		if got := p.Source(in); got.TON != want.TON || got.NPI != want.NPI || string(got.Addr) != string(want.Addr) {
			t.Errorf("%s: got %+v, want %+v", in, got, want)
		}
	}
}

// pipeDial makes a Dial that hands the other end to serve.
func pipeDial(serve func(conn net.Conn)) func(context.Context, string) (net.Conn, error) {
	return func(context.Context, string) (net.Conn, error) {
		a, b := net.Pipe()
		go serve(b)
		return a, nil
	}
}

func readPDU(c io.Reader) (smpp.Header, []byte, error) {
	head := make([]byte, smpp.HeaderLen)
	if _, err := io.ReadFull(c, head); err != nil {
		return smpp.Header{}, nil, err
	}
	h, err := smpp.ParseHeader(head, smpp.MaxPDU)
	if err != nil {
		return h, nil, err
	}
	body := make([]byte, h.Length-smpp.HeaderLen)
	_, err = io.ReadFull(c, body)
	return h, body, err
}
