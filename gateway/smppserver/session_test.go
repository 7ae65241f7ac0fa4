package smppserver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

func bindAs(system, secret string, version uint8) *smpp.Bind {
	return &smpp.Bind{Mode: smpp.BindTRX, SystemID: []byte(system), Password: []byte(secret), InterfaceVersion: version}
}

func TestBind(t *testing.T) {
	w := newWorld()
	r := serve(t, w, Config{SystemID: "kapi"}, nil)
	for _, tc := range []struct {
		why     string
		bind    *smpp.Bind
		want    smpp.CommandStatus
		version int // in sc_interface_version; -1: none
	}{
		{"3.4", bindAs(testSystem, testSecret, 0x34), smpp.StatusOK, 0x34},
		{"5.0", bindAs(testSystem, testSecret, 0x50), smpp.StatusOK, 0x50},
		{"3.3 knows no TLVs", bindAs(testSystem, testSecret, 0x33), smpp.StatusOK, -1},
		{"unknown name", bindAs("nobody", testSecret, 0x34), smpp.StatusBindFail, -1},
		{"wrong password looks the same", bindAs(testSystem, "guess", 0x34), smpp.StatusBindFail, -1},
		{"no name", bindAs("", "", 0x34), smpp.StatusBindFail, -1},
	} {
		c := r.connect()
		h, body := c.call(tc.bind)
		var resp smpp.BindResp
		if err := resp.Decode(h, body); err != nil {
			t.Fatal(err)
		}
		v, ok := resp.TLVs.Uint8(smpp.TagSCInterfaceVersion)
		if h.Status != tc.want || ok != (tc.version >= 0) || ok && int(v) != tc.version {
			t.Errorf("%s: got %v, version %#x %v", tc.why, h.Status, v, ok)
		}
		if tc.want != smpp.StatusOK {
			if err := <-c.ended; err != smpplink.ErrPeerClosed {
				t.Errorf("%s: connection ended with %v, want closed by the server", tc.why, err)
			}
			continue
		}
		if string(resp.SystemID) != "kapi" {
			t.Errorf("%s: system_id %q", tc.why, resp.SystemID)
		}
		if st, _ := c.submit(newSubmit("x")); st != smpp.StatusOK {
			t.Errorf("%s: submit got %v", tc.why, st)
		}
	}
	if m := r.srv.Metrics(); m.BindFailures != 3 {
		t.Errorf("bind failures %d, want 3", m.BindFailures)
	}
}

func TestBindFromForeignAddress(t *testing.T) {
	w := newWorld()
	w.credential(gateway.Credential{CIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	r := serve(t, w, Config{}, nil)
	if h, _ := r.connect().call(bindAs(testSystem, testSecret, 0x34)); h.Status != smpp.StatusBindFail {
		t.Errorf("got %v", h.Status)
	}
	w.credential(gateway.Credential{CIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if h, _ := r.connect().call(bindAs(testSystem, testSecret, 0x34)); h.Status != smpp.StatusOK {
		t.Errorf("from an allowed one: got %v", h.Status)
	}
}

func TestBindLimit(t *testing.T) {
	w := newWorld()
	w.credential(gateway.Credential{MaxBinds: 2})
	r := serve(t, w, Config{}, nil)
	a, _ := r.bound(smpp.BindTX), r.bound(smpp.BindRX)
	if h, _ := r.connect().call(bindAs(testSystem, testSecret, 0x34)); h.Status != smpp.StatusBindFail {
		t.Errorf("third bind: got %v", h.Status)
	}
	if m := r.srv.Metrics(); m.Binds[testSystem] != 2 {
		t.Errorf("binds %v", m.Binds)
	}
	a.link.Unbind(context.Background())
	if err := <-a.ended; err != nil && err != smpplink.ErrPeerClosed { // the server closes right after its unbind_resp
		t.Errorf("unbind: %v", err)
	}
	// The place is free once the server has seen the end of the connection,
	// which it may do a moment after the client has.
	for {
		c := r.connect()
		if h, _ := c.call(bindAs(testSystem, testSecret, 0x34)); h.Status == smpp.StatusOK {
			break
		}
		<-c.ended
	}
}

func TestStates(t *testing.T) {
	w := newWorld()
	r := serve(t, w, Config{}, nil)
	requests := []smpp.PDU{newSubmit("x"), &smpp.DataSM{}, &smpp.QuerySM{MessageID: []byte("1")}, &smpp.CancelSM{}, &smpp.ReplaceSM{},
		&smpp.SubmitMulti{Dests: []smpp.Dest{{Address: smpp.Address{Addr: []byte("905321234567")}}}, ShortMessage: []byte("x")}}
	for _, p := range requests {
		if h, _ := r.connect().call(p); h.Status != smpp.StatusInvBindStatus || h.ID != p.CommandID().Response() {
			t.Errorf("unbound %v: got %v %v", p.CommandID(), h.ID, h.Status)
		}
	}
	rx := r.bound(smpp.BindRX)
	for _, p := range requests {
		if h, _ := rx.call(p); h.Status != smpp.StatusInvBindStatus {
			t.Errorf("receiver %v: got %v", p.CommandID(), h.Status)
		}
	}
	trx := r.bound(smpp.BindTRX)
	if h, _ := trx.call(bindAs(testSystem, testSecret, 0x34)); h.Status != smpp.StatusAlreadyBound {
		t.Errorf("second bind: got %v", h.Status)
	}
	if h, _ := trx.call(&smpp.DeliverSM{Source: smpp.Address{Addr: []byte("1")}, ShortMessage: []byte("x")}); h.Status != smpp.StatusInvBindStatus {
		t.Errorf("deliver_sm from a client: got %v", h.Status)
	}
	if st, _ := trx.submit(newSubmit("x")); st != smpp.StatusOK {
		t.Errorf("after all that: got %v", st)
	}
}

// Bad octets get the standard's answer and, unless framing is lost, the
// session goes on.
func TestBadPDUs(t *testing.T) {
	w := newWorld()
	// One connection after the other, but the server may see the end of the
	// last one after the beginning of the next: all of them have a place.
	r := serve(t, w, Config{MaxBinds: 64}, nil)
	good := newSubmit("Merhaba").AppendTo(nil, 900)
	body := good[smpp.HeaderLen:]
	pdu := func(id smpp.CommandID, body []byte) []byte {
		b := smpp.AppendHeader(nil, smpp.Header{ID: id, Sequence: 77}, len(body))
		return append(b, body...)
	}
	lying := append([]byte(nil), body...)
	lying[len(lying)-8] = 200 // sm_length before the seven letters
	cases := []struct {
		why    string
		pdu    []byte
		id     smpp.CommandID
		status smpp.CommandStatus
		closes bool
	}{
		{"unknown command", pdu(0x00000111, nil), smpp.GenericNackID, smpp.StatusInvCmdID, false},
		{"unknown vendor command", pdu(0x00010200, []byte("xyz")), smpp.GenericNackID, smpp.StatusInvCmdID, false},
		{"empty submit_sm", pdu(smpp.SubmitSMID, nil), smpp.SubmitSMRespID, smpp.StatusInvCmdLen, false},
		{"submit_sm cut in the source", pdu(smpp.SubmitSMID, body[:6]), smpp.SubmitSMRespID, smpp.StatusInvCmdLen, false},
		{"sm_length counts too many", pdu(smpp.SubmitSMID, lying), smpp.SubmitSMRespID, smpp.StatusInvMsgLen, false},
		{"octets after the text that are no TLV", pdu(smpp.SubmitSMID, append(body[:len(body):len(body)], 1, 2, 3)),
			smpp.SubmitSMRespID, smpp.StatusInvTLVStream, false},
		{"TLV past the end", pdu(smpp.SubmitSMID, append(body[:len(body):len(body)], 4, 0x24, 0, 9, 'x')),
			smpp.SubmitSMRespID, smpp.StatusInvTLVStream, false},
		{"endless service_type", pdu(smpp.SubmitSMID, []byte("ABCDEFGHIJ\x00")), smpp.SubmitSMRespID, smpp.StatusInvServiceType, false},
		{"destination list without end", pdu(smpp.SubmitMultiID, []byte{0, 0, 0, 0, 200, 1}), smpp.SubmitMultiRespID, smpp.StatusInvCmdLen, false},
		{"no destinations", pdu(smpp.SubmitMultiID, []byte{0, 0, 0, 0, 0}), smpp.SubmitMultiRespID, smpp.StatusInvNumDests, false},
		{"a good enquire_link", pdu(smpp.EnquireLinkID, nil), smpp.EnquireLinkRespID, smpp.StatusOK, false},
		{"empty query_sm", pdu(smpp.QuerySMID, nil), smpp.QuerySMRespID, smpp.StatusInvCmdLen, false},
		{"command_length 15", []byte{0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 77}, smpp.GenericNackID, smpp.StatusInvCmdLen, true},
		{"command_length of a gigabyte", []byte{0x40, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 77}, smpp.GenericNackID, smpp.StatusInvCmdLen, true},
	}
	for _, tc := range cases {
		conn := r.dial()
		bind := bindAs(testSystem, testSecret, 0x34).AppendTo(nil, 1)
		if _, err := conn.Write(bind); err != nil {
			t.Fatal(err)
		}
		if h, _ := readPDU(t, conn); h.Status != smpp.StatusOK {
			t.Fatalf("bind: %v", h.Status)
		}
		if _, err := conn.Write(tc.pdu); err != nil {
			t.Fatal(err)
		}
		if h, _ := readPDU(t, conn); h.ID != tc.id || h.Status != tc.status || h.Sequence != 77 {
			t.Errorf("%s: got %v %v seq %d, want %v %v", tc.why, h.ID, h.Status, h.Sequence, tc.id, tc.status)
		}
		if tc.closes {
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("%s: connection still open", tc.why)
			}
			conn.Close()
			continue
		}
		if _, err := conn.Write(good); err != nil {
			t.Fatal(err)
		}
		if h, _ := readPDU(t, conn); h.ID != smpp.SubmitSMRespID || h.Status != smpp.StatusOK || h.Sequence != 900 {
			t.Errorf("after %s: got %v %v", tc.why, h.ID, h.Status)
		}
		conn.Close()
	}
}

// Over the window the answer is at once, and a free place is a place.
func TestWindow(t *testing.T) {
	w := newWorld()
	w.credential(gateway.Credential{Window: 3})
	entered, leave := make(chan struct{}), make(chan struct{})
	w.submit = func(*gateway.Submission) error {
		entered <- struct{}{}
		<-leave
		return nil
	}
	r := serve(t, w, Config{}, nil)
	c := r.bound(smpp.BindTX)
	status := make(chan smpp.CommandStatus, 10)
	send := func() {
		if err := c.link.Send(newSubmit("x"), func(r smpplink.Result) { status <- r.Header.Status }); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		send()
		<-entered
	}
	if m := r.srv.Metrics(); m.InFlight != 3 {
		t.Errorf("in flight %d, want 3", m.InFlight)
	}
	send()
	if got := <-status; got != smpp.StatusThrottled {
		t.Errorf("fourth: got %v, want throttled", got)
	}
	leave <- struct{}{}
	if got := <-status; got != smpp.StatusOK {
		t.Errorf("first: got %v", got)
	}
	send() // answered, so its place is free
	<-entered
	for range 3 {
		leave <- struct{}{}
		if got := <-status; got != smpp.StatusOK {
			t.Errorf("rest: got %v", got)
		}
	}
	if m := r.srv.Metrics(); m.Throttled != 1 {
		t.Errorf("throttled %d, want 1", m.Throttled)
	}
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // all within one instant: no token comes back
		w := newWorld()
		r := serve(t, w, Config{BindPerSecond: 2}, newPipes())
		c := r.bound(smpp.BindTX)
		var got [4]smpp.CommandStatus
		for i := range got {
			got[i], _ = c.submit(newSubmit("x"))
		}
		if want := [4]smpp.CommandStatus{0, 0, smpp.StatusThrottled, smpp.StatusThrottled}; got != want {
			t.Errorf("bind rate: got %v", got)
		}
		w.allow.Store(false)
		other := r.bound(smpp.BindTX)
		if st, _ := other.submit(newSubmit("x")); st != smpp.StatusThrottled {
			t.Errorf("account rate: got %v", st)
		}
		w.allow.Store(true)
		if st, _ := other.submit(newSubmit("x")); st != smpp.StatusOK {
			t.Errorf("below it: got %v", st)
		}
		r.stop()
	})
}

func TestMeter(t *testing.T) {
	var b meter
	now := time.Unix(1000, 0)
	take := func(n int, at time.Duration, want bool) {
		t.Helper()
		if got := b.allow(n, 10, now.Add(at)); got != want {
			t.Errorf("%d at %v: got %v", n, at, got)
		}
	}
	take(10, 0, true)
	take(1, 0, false)
	take(1, 100*time.Millisecond, true)
	take(50, 2*time.Second, true) // into debt: or it would never pass
	take(1, 5*time.Second, false)
	take(1, 7*time.Second, true)
}

// A credential that is withdrawn ends its sessions, submitting or not.
func TestWithdrawn(t *testing.T) {
	w := newWorld()
	r := serve(t, w, Config{PartsSweep: time.Hour}, nil) // it is the test that sweeps
	tx, rx := r.bound(smpp.BindTX), r.bound(smpp.BindRX)
	w.credential(gateway.Credential{Window: 50}) // changed, not withdrawn
	if st, _ := tx.submit(newSubmit("x")); st != smpp.StatusOK {
		t.Fatalf("after a change: got %v", st)
	}
	w.credential(gateway.Credential{Revoked: true})
	if st, _ := tx.submit(newSubmit("x")); st != smpp.StatusInvBindStatus {
		t.Errorf("got %v", st)
	}
	if err := <-tx.ended; err != smpplink.ErrPeerClosed {
		t.Errorf("submitting session: %v", err)
	}
	r.srv.expel()
	if err := <-rx.ended; err != smpplink.ErrPeerClosed {
		t.Errorf("receiving session: %v", err)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	w := newWorld()
	w.submit = func(s *gateway.Submission) error {
		if s.Text == "bum" {
			panic("bum")
		}
		return nil
	}
	r := serve(t, w, Config{}, nil)
	c := r.bound(smpp.BindTX)
	if st, _ := c.submit(newSubmit("bum")); st != smpp.StatusSysErr {
		t.Errorf("got %v", st)
	}
	if st, _ := c.submit(newSubmit("x")); st != smpp.StatusOK {
		t.Errorf("after it: got %v", st)
	}
	if m := r.srv.Metrics(); m.Panics != 1 || m.InFlight != 0 {
		t.Errorf("got %+v", m)
	}
}

func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, newWorld(), Config{}, newPipes())
		start := time.Now()
		idle := r.connect()
		if err := <-idle.ended; err != smpplink.ErrPeerClosed {
			t.Errorf("unbound: %v", err)
		}
		if d := time.Since(start); d < 30*time.Second || d > 32*time.Second {
			t.Errorf("unbound connection lasted %v, want 30 s", d)
		}
		// A bound client that answers probes stays; one that does not, goes.
		alive := r.bound(smpp.BindTRX)
		conn := r.dial()
		go conn.Write(bindAs(testSystem, testSecret, 0x34).AppendTo(nil, 1))
		start = time.Now()
		probes := 0
		for {
			var head [smpp.HeaderLen]byte
			if _, err := conn.Read(head[:]); err != nil {
				break
			}
			if smpp.CommandID(binary.BigEndian.Uint32(head[4:])) == smpp.EnquireLinkID {
				probes++
			}
			// the rest of a bind response is read as further heads, none of which is a probe
		}
		if d := time.Since(start); probes != 2 || d < 89*time.Second || d > 95*time.Second {
			t.Errorf("silent client: %d probes, ended after %v; want 2 and 90 s", probes, d)
		}
		<-time.After(20 * time.Minute) // of the bubble's clock
		if st, _ := alive.submit(newSubmit("x")); st != smpp.StatusOK {
			t.Errorf("live client: got %v", st)
		}
		r.stop()
	})
}

// A stop answers what is under way, refuses what is new, unbinds, ends.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		entered, leave := make(chan struct{}, 1), make(chan struct{})
		w.submit = func(*gateway.Submission) error {
			entered <- struct{}{}
			<-leave
			return nil
		}
		r := serve(t, w, Config{}, newPipes())
		c, unbound := r.bound(smpp.BindTRX), r.connect()
		status := make(chan smpp.CommandStatus, 1)
		if err := c.link.Send(newSubmit("x"), func(r smpplink.Result) { status <- r.Header.Status }); err != nil {
			t.Fatal(err)
		}
		<-entered
		go r.stop()
		synctest.Wait()
		if st, _ := c.submit(newSubmit("late")); st != smpp.StatusSysErr {
			t.Errorf("submit during the stop: got %v", st)
		}
		if err := <-unbound.ended; err != smpplink.ErrPeerClosed {
			t.Errorf("unbound connection: %v", err)
		}
		leave <- struct{}{}
		if st := <-status; st != smpp.StatusOK {
			t.Errorf("submit under way: got %v", st)
		}
		if err := <-c.ended; err != nil { // an orderly unbind
			t.Errorf("client ended with %v", err)
		}
		r.stop()
		if m := r.srv.Metrics(); m.Conns != 0 || len(m.Binds) != 0 {
			t.Errorf("left behind: %+v", m)
		}
	})
}

// A stop is bounded even if nothing ends by itself.
func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		entered := make(chan struct{})
		ln := newPipes()
		srv := New(Config{StopTimeout: 5 * time.Second}, w.deps())
		srv.deps.Submit = stuck{w, entered}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- srv.Serve(ctx, ln) }()
		r := &running{t: t, srv: srv, world: w, ln: ln}
		c := r.bound(smpp.BindTRX)
		if err := c.link.Send(newSubmit("x"), func(smpplink.Result) {}); err != nil {
			t.Fatal(err)
		}
		<-entered
		start := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d < 5*time.Second || d > 12*time.Second {
			t.Errorf("stop took %v", d)
		}
		c.link.Close(nil)
	})
}

// stuck submits until its context ends.
type stuck struct {
	*world
	entered chan struct{}
}

func (s stuck) Submit(ctx context.Context, _ *gateway.Submission) (gateway.Result, error) {
	close(s.entered)
	<-ctx.Done()
	return gateway.Result{}, &gateway.Error{Code: gateway.CodeUnavailable, Err: ctx.Err()}
}

func TestTooManyConnections(t *testing.T) {
	refused := func(r *running) {
		t.Helper()
		conn := r.dial()
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection was kept: %v", err)
		}
	}
	r := serve(t, newWorld(), Config{MaxConns: 1}, nil)
	first := r.bound(smpp.BindTX)
	refused(r)
	if st, _ := first.submit(newSubmit("x")); st != smpp.StatusOK {
		t.Errorf("first: got %v", st)
	}

	r = serve(t, newWorld(), Config{MaxUnbound: 1}, nil)
	r.bound(smpp.BindTX) // bound ones do not count
	second := r.connect()
	refused(r)
	if h, _ := second.call(bindAs(testSystem, testSecret, 0x34)); h.Status != smpp.StatusOK {
		t.Errorf("second: got %v", h.Status)
	}
	r.bound(smpp.BindTX)
	r.stop()
	if len(r.srv.unbound) != 0 || len(r.srv.binds) != 0 || r.srv.conns != 0 {
		t.Errorf("left: %v %v %d", r.srv.unbound, r.srv.binds, r.srv.conns)
	}
}

// Two listeners share one server, as plain and TLS do.
func TestTwoListeners(t *testing.T) {
	w := newWorld()
	r := serve(t, w, Config{}, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.srv.Serve(ctx, ln) }()
	other := &running{t: t, srv: r.srv, world: w, ln: ln}
	a, b := r.bound(smpp.BindTRX), other.bound(smpp.BindTRX)
	for i, c := range []*client{a, b} {
		if st, _ := c.submit(newSubmit("x")); st != smpp.StatusOK {
			t.Errorf("listener %d: got %v", i, st)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-b.ended; err != nil {
		t.Errorf("client of the ended listener: %v", err)
	}
	if st, _ := a.submit(newSubmit("x")); st != smpp.StatusOK {
		t.Errorf("client of the other: got %v", st)
	}
	w.owe(gateway.ReceiptDue{Account: testAccount, Message: gateway.MessageID{Account: testAccount, Batch: 1}, State: gateway.StateDelivered,
		From: "ORNEK", To: "+905321234567"})
	if m := <-a.got; m.ESMClass != smpp.ESMReceipt {
		t.Errorf("got %s", fmt.Sprint(m.ESMClass))
	}
}
