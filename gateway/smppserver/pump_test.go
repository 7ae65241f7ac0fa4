package smppserver

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
)

func receiptOf(i int) gateway.ReceiptDue {
	return gateway.ReceiptDue{Account: testAccount, Message: gateway.MessageID{Account: testAccount, Batch: gateway.BatchID(i + 1)},
		State: gateway.StateDelivered, From: "ORNEK", To: "+905321234567", SourceTON: 5, DestTON: 1, DestNPI: 1}
}

func (w *world) settled(t *testing.T, left int) {
	t.Helper()
	for w.left() != left {
		select {
		case <-w.changed:
		case <-time.After(20 * time.Second):
			t.Fatalf("%d still owed, want %d", w.left(), left)
		}
	}
}

func TestReceiptForm(t *testing.T) {
	w := newWorld()
	r := serve(t, w, Config{}, nil)
	c := r.bound(smpp.BindRX)
	at := time.Date(2026, 3, 20, 11, 30, 0, 0, time.UTC)
	id := gateway.MessageID{Account: testAccount, Batch: 5}
	for _, tc := range []struct {
		why       string
		due       gateway.ReceiptDue
		id        string
		stat, err string
	}{
		{"delivered", gateway.ReceiptDue{State: gateway.StateDelivered}, "", "DELIVRD", "000"},
		{"policy", gateway.ReceiptDue{State: gateway.StateDropped, Code: gateway.CodeNoConsent, Err: "901"}, "", "REJECTD", "901"},
		{"policy without err", gateway.ReceiptDue{State: gateway.StateDropped, Code: gateway.CodeBlocked}, "", "REJECTD", "902"},
		{"operator's own number", gateway.ReceiptDue{State: gateway.StateUndelivered, Err: "11"}, "", "UNDELIV", "011"},
		{"operator's own word", gateway.ReceiptDue{State: gateway.StateRejected, Code: gateway.CodeOperatorRejected, Err: "0x45"}, "", "REJECTD", "909"},
		{"operator's number beats the code", gateway.ReceiptDue{State: gateway.StateRejected, Code: gateway.CodeOperatorRejected, Err: "69"}, "", "REJECTD", "069"},
		{"expired", gateway.ReceiptDue{State: gateway.StateExpired, Code: gateway.CodeExpired}, "", "EXPIRED", "000"},
		{"cancelled", gateway.ReceiptDue{State: gateway.StateCancelled, Code: gateway.CodeCancelled}, "", "DELETED", "000"},
		{"no route", gateway.ReceiptDue{State: gateway.StateFailed, Code: gateway.CodeNoRoute}, "", "UNDELIV", "908"},
		{"unknown", gateway.ReceiptDue{State: gateway.StateUnknown}, "", "UNKNOWN", "000"},
		{"sent where no receipts come", gateway.ReceiptDue{State: gateway.StateSent}, "", "ACCEPTD", "000"},
		{"of a part", gateway.ReceiptDue{State: gateway.StateDelivered, Part: "parca"}, "parca", "DELIVRD", "000"},
	} {
		d := tc.due
		d.Account, d.Message, d.From, d.To, d.Submitted, d.Done = testAccount, id, "ORNEK", "+905321234567", at, at.Add(time.Minute)
		d.SourceTON, d.DestTON, d.DestNPI = 5, 1, 1
		w.owe(d)
		m := <-c.got
		want := tc.id
		if want == "" {
			want = id.String()
		}
		dlvrd := "000"
		if tc.stat == "DELIVRD" {
			dlvrd = "001"
		}
		text := "id:" + want + " sub:001 dlvrd:" + dlvrd + " submit date:2603201430 done date:2603201431 stat:" + tc.stat + " err:" + tc.err + " text:"
		if string(m.ShortMessage) != text || m.ESMClass != smpp.ESMReceipt || m.DataCoding != 0 {
			t.Errorf("%s: got %q, want %q", tc.why, m.ShortMessage, text)
		}
		rec, ok := smpp.ParseReceipt(m, time.UTC)
		st, _ := m.TLVs.Uint8(smpp.TagMessageState)
		tlvID, _ := m.TLVs.CString(smpp.TagReceiptedMessageID)
		if !ok || smpp.MessageState(st) != rec.State || string(tlvID) != want || fmt.Sprintf("%03d", rec.NetworkError) != tc.err || rec.NetworkType != 3 {
			t.Errorf("%s: parameters say %v %q %d", tc.why, st, tlvID, rec.NetworkError)
		}
		if string(m.Source.Addr) != "905321234567" || m.Source.TON != 1 || m.Source.NPI != 1 || string(m.Dest.Addr) != "ORNEK" || m.Dest.TON != 5 {
			t.Errorf("%s: addresses %+v %+v", tc.why, m.Source, m.Dest)
		}
	}
	w.settled(t, 0)
	// A destination of a submit_multi is known by the id of the whole.
	d := receiptOf(0)
	d.Message = id.Ref().Message(3)
	w.owe(d)
	if m := <-c.got; !strings.HasPrefix(string(m.ShortMessage), "id:"+id.String()+" ") {
		t.Errorf("submit_multi: got %q", m.ShortMessage)
	}
}

func TestOldClientsGetNoParameters(t *testing.T) {
	w := newWorld()
	r := serve(t, w, Config{}, nil)
	c := r.connect()
	if h, _ := c.call(bindAs(testSystem, testSecret, 0x33)); h.Status != 0 {
		t.Fatal(h.Status)
	}
	w.owe(receiptOf(1))
	if m := <-c.got; len(m.TLVs) != 0 || len(m.ShortMessage) == 0 {
		t.Errorf("got % x", m.TLVs)
	}
}

func TestInboundForm(t *testing.T) {
	w := newWorld()
	r := serve(t, w, Config{}, nil)
	c := r.bound(smpp.BindRX)
	mo := func(text string) gateway.ReceiptDue {
		return gateway.ReceiptDue{Account: testAccount, MO: &gateway.Inbound{From: "+905321234567", To: "3340", Text: text}}
	}
	w.owe(mo("IPTAL"))
	m := <-c.got
	if string(m.ShortMessage) != "IPTAL" || m.ESMClass != 0 || m.DataCoding != 0 || string(m.Source.Addr) != "905321234567" || m.Source.TON != 1 ||
		string(m.Dest.Addr) != "3340" || m.Dest.TON != 3 {
		t.Errorf("got %+v", m)
	}
	w.owe(mo("İptal edin şunu"))
	if m = <-c.got; m.DataCoding != 8 || string(m.ShortMessage[:4]) != "\x01\x30\x00p" {
		t.Errorf("Turkish: got %v % x", m.DataCoding, m.ShortMessage)
	}
	w.owe(mo(""))
	if m = <-c.got; len(m.ShortMessage) != 0 {
		t.Errorf("empty: got % x", m.ShortMessage)
	}
	w.owe(mo("bozuk \xff"))
	if m = <-c.got; m.DataCoding != 8 {
		t.Errorf("broken UTF-8: got %+v", m)
	}
	long := strings.Repeat("uzun mesaj ", 40)
	w.owe(mo(long))
	got := ""
	for i := 1; i <= 3; i++ {
		m = <-c.got
		if m.ESMClass != smpp.ESMUDHI || m.ShortMessage[4] != 3 || int(m.ShortMessage[5]) != i {
			t.Fatalf("part %d: got %v % x", i, m.ESMClass, m.ShortMessage[:6])
		}
		got += string(m.ShortMessage[6:])
	}
	if got != long {
		t.Errorf("got %q", got)
	}
	w.settled(t, 0)
}

// What a client answers decides: taken, never again, again.
func TestDeliveryOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := serve(t, w, Config{}, newPipes())
		var mu sync.Mutex
		tries := map[string][]time.Time{}
		start := time.Now()
		answers := map[string][]smpp.CommandStatus{ // then ESME_ROK
			"1": {smpp.StatusOK},
			"2": {smpp.StatusTempAppErr, smpp.StatusTempAppErr, smpp.StatusTempAppErr},
			"3": {smpp.StatusPermAppErr},
			"4": {smpp.StatusRejectAppErr},
			"5": {smpp.StatusSysErr},
			"6": {smpp.StatusThrottled},
		}
		c := r.bound(smpp.BindTRX, func(c *client) {
			c.deliver = func(m *smpp.DeliverSM) smpp.CommandStatus {
				mu.Lock()
				defer mu.Unlock()
				id := string(m.ShortMessage)
				id = id[3:strings.IndexByte(id, ' ')]
				tries[id] = append(tries[id], time.Now())
				if n := len(tries[id]); n <= len(answers[id]) {
					return answers[id][n-1]
				}
				return smpp.StatusOK
			}
		})
		for _, id := range []string{"1", "2", "3", "4", "5", "6"} {
			d := receiptOf(0)
			d.Part = id
			w.owe(d)
		}
		<-time.After(10 * time.Second) // of the bubble's clock
		synctest.Wait()
		mu.Lock()
		for id, want := range map[string]int{"1": 1, "2": 4, "3": 1, "4": 1, "5": 2, "6": 2} {
			if got := len(tries[id]); got != want {
				t.Errorf("%s: %d tries, want %d", id, got, want)
			}
		}
		for i, want := range []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second} { // it doubles
			if got := tries["2"][i].Sub(start); got < want || got > want+100*time.Millisecond {
				t.Errorf("try %d after %v, want %v", i, got, want)
			}
		}
		mu.Unlock()
		if n := w.left(); n != 0 {
			t.Errorf("%d still owed", n)
		}
		if m := r.srv.Metrics(); m.Delivered != 4 || m.Undeliverable != 2 || m.Owed[testSystem].Waiting != 0 {
			t.Errorf("got %+v", m)
		}
		c.link.Close(nil)
		r.stop()
	})
}

// A client that does not answer, or goes away, gets it again, on another bind
// if there is one; what nobody takes stays owed.
func TestAtLeastOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := serve(t, w, Config{}, newPipes())
		deaf := r.bound(smpp.BindRX)
		deaf.mute.Store(true)
		w.owe(receiptOf(1))
		<-deaf.got
		<-time.After(10 * time.Second)
		if w.left() != 1 {
			t.Fatal("forgotten without an answer")
		}
		good := r.bound(smpp.BindTRX)
		start := time.Now()
		<-good.got // once the response timeout of the deaf one is over
		if d := time.Since(start); d < 20*time.Second || d > 25*time.Second {
			t.Errorf("again after %v", d)
		}
		synctest.Wait()
		if w.left() != 0 {
			t.Error("still owed")
		}
		good.link.Close(nil)
		<-good.ended

		// The link ends with an answer outstanding: nobody knows.
		w.owe(receiptOf(2))
		<-deaf.got
		deaf.link.Close(nil)
		<-deaf.ended
		synctest.Wait()
		w.owe(receiptOf(3)) // nobody is there
		<-time.After(time.Hour)
		if w.left() != 2 {
			t.Errorf("%d owed, want 2", w.left())
		}
		back := r.bound(smpp.BindRX)
		for want := range 2 {
			m := <-back.got
			if !strings.HasPrefix(string(m.ShortMessage), "id:"+receiptID(ptr(receiptOf(want+2)))) {
				t.Errorf("got %q", m.ShortMessage)
			}
		}
		synctest.Wait()
		if w.left() != 0 {
			t.Error("still owed after the client came back")
		}
		back.link.Close(nil)
		r.stop()
	})
}

func ptr[T any](v T) *T { return &v }

// A restart delivers everything that is owed; a stop leaves nothing behind
// that was acknowledged.
func TestRestart(t *testing.T) {
	w := newWorld()
	first := serve(t, w, Config{DeliverWindow: 10}, nil)
	c := first.bound(smpp.BindTRX, func(c *client) {
		n := 0
		c.deliver = func(*smpp.DeliverSM) smpp.CommandStatus {
			if n++; n > 300 {
				c.mute.Store(true)
			}
			return smpp.StatusOK
		}
	})
	var all []gateway.ReceiptDue
	for i := range 1000 {
		all = append(all, receiptOf(i))
	}
	w.owe(all...)
	for range 301 {
		<-c.got
	}
	c.link.Close(nil)
	<-c.ended
	first.stop()
	if n := w.left(); n != 700 {
		t.Errorf("%d owed after the stop, want 700", n)
	}

	second := serve(t, w, Config{}, nil)
	c = second.bound(smpp.BindTRX)
	seen := map[string]int{}
	for range 700 {
		m := <-c.got
		seen[string(m.ShortMessage)]++
	}
	w.settled(t, 0)
	if len(seen) != 700 || len(c.got) != 0 {
		t.Errorf("%d different ones and %d more", len(seen), len(c.got))
	}
}

// The binds of a client take turns as long as they have room; a transmitter
// gets nothing.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := serve(t, w, Config{DeliverWindow: 5}, newPipes())
		silent := func(c *client) { c.mute.Store(true) }
		tx, a, b := r.bound(smpp.BindTX), r.bound(smpp.BindRX, silent), r.bound(smpp.BindTRX, silent)
		synctest.Wait()
		owe := func(n int) {
			var all []gateway.ReceiptDue
			for i := range n {
				all = append(all, receiptOf(i))
			}
			w.owe(all...)
			synctest.Wait()
		}
		owe(8)
		if x, y := len(a.got), len(b.got); len(tx.got) != 0 || x != 4 || y != 4 {
			t.Errorf("transmitter %d, receivers %d and %d; want 0, 4, 4", len(tx.got), x, y)
		}
		owe(20) // more than the windows hold
		if x, y := len(a.got), len(b.got); x != 5 || y != 5 {
			t.Errorf("receivers %d and %d; want 5 each", x, y)
		}
		for _, c := range []*client{tx, a, b} {
			c.link.Close(nil)
		}
		r.stop()
	})
}

// The store failing for a while delays and loses nothing.
func TestStoreTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := serve(t, w, Config{}, newPipes())
		w.owedErr = errors.New("no disk")
		c := r.bound(smpp.BindRX)
		synctest.Wait()
		w.mu.Lock()
		w.doneErr = errors.New("no disk")
		w.mu.Unlock()
		w.owe(receiptOf(1))
		<-c.got
		<-time.After(5 * time.Second)
		if w.left() != 0 || len(c.got) != 0 {
			t.Errorf("%d owed, %d delivered again", w.left(), len(c.got))
		}
		c.link.Close(nil)
		r.stop()
	})
}

// What a client keeps refusing does not pile up in memory.
func TestOutstandingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := serve(t, w, Config{MaxOwed: 50}, newPipes())
		c := r.bound(smpp.BindRX, func(c *client) {
			c.deliver = func(*smpp.DeliverSM) smpp.CommandStatus { return smpp.StatusTempAppErr }
		})
		var all []gateway.ReceiptDue
		for i := range 500 {
			all = append(all, receiptOf(i))
		}
		w.owe(all...)
		<-time.After(30 * time.Second)
		synctest.Wait()
		o := r.srv.Metrics().Owed[testSystem]
		if n := o.Waiting + o.InFlight; n == 0 || n > 50 || !o.More || w.left() != 500 {
			t.Errorf("got %+v", o)
		}
		if n := len(c.got); n > 2000 { // a page a second, and what is repeated
			t.Errorf("%d deliveries in half a minute to a client that takes none", n)
		}
		c.link.Close(nil)
		r.stop()
	})
}

// idIn is the id in a receipt's text.
func idIn(m *smpp.DeliverSM) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(string(m.ShortMessage), "id:"), " ")
	return id
}

// More deliveries than fit into memory that a client refuses, for good or for
// now, keep no newer ones waiting, and are taken once it takes them.
func TestRefusedKeepNobodyWaiting(t *testing.T) {
	for _, st := range []smpp.CommandStatus{smpp.StatusTempAppErr, smpp.StatusInvDstAddr} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			r := serve(t, w, Config{MaxOwed: 50}, newPipes())
			var well atomic.Bool
			c := r.bound(smpp.BindRX, func(c *client) {
				c.deliver = func(m *smpp.DeliverSM) smpp.CommandStatus {
					if strings.HasPrefix(idIn(m), "bad") && !well.Load() {
						return st
					}
					return smpp.StatusOK
				}
			})
			var bad, good []gateway.ReceiptDue
			for i := range 300 {
				d := receiptOf(i)
				d.Part = fmt.Sprintf("bad%d", i)
				bad = append(bad, d)
				d.Part = fmt.Sprintf("good%d", i)
				good = append(good, d)
			}
			w.owe(bad...)
			<-time.After(20 * time.Second)
			w.owe(good...)
			<-time.After(20 * time.Second)
			synctest.Wait()
			if o := r.srv.Metrics().Owed[testSystem]; w.left() != 300 || o.Waiting+o.InFlight > 50 || !o.More {
				t.Errorf("%v: %d are owed, want those that are refused: %+v", st, w.left(), o)
			}
			well.Store(true)
			<-time.After(5 * time.Minute)
			synctest.Wait()
			if o := r.srv.Metrics().Owed[testSystem]; w.left() != 0 || o.Waiting+o.InFlight != 0 || o.More {
				t.Errorf("%v: %d are owed after the client takes all: %+v", st, w.left(), o)
			}
			if m := r.srv.Metrics(); m.Delivered != 600 || m.Undeliverable != 0 {
				t.Errorf("%v: %d delivered, %d undeliverable, want 600 and 0", st, m.Delivered, m.Undeliverable)
			}
			p := r.srv.pumps[testSystem]
			p.mu.Lock()
			if len(p.held) != 0 {
				t.Errorf("%v: %d are held", st, len(p.held))
			}
			p.mu.Unlock()
			c.link.Close(nil)
			r.stop()
		})
	}
}

// What a client refuses again and again is given up, by number where the
// status does not say that it passes, by age otherwise; and said so.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := serve(t, w, Config{MaxRefusals: 5}, newPipes())
		var mu sync.Mutex
		tries := map[string]int{}
		answer := map[string]smpp.CommandStatus{"inv": smpp.StatusInvDstAddr, "unknown": 0x4FF, "busy": smpp.StatusThrottled, "old": smpp.StatusTempAppErr}
		c := r.bound(smpp.BindRX, func(c *client) {
			c.deliver = func(m *smpp.DeliverSM) smpp.CommandStatus {
				mu.Lock()
				defer mu.Unlock()
				tries[idIn(m)]++
				return answer[idIn(m)]
			}
		})
		for id := range answer {
			d := receiptOf(1)
			if d.Part, d.Done = id, time.Now(); id == "old" {
				d.Done = d.Done.Add(-gateway.MaxValidity - time.Second)
			}
			w.owe(d)
		}
		<-time.After(30 * time.Minute)
		synctest.Wait()
		mu.Lock()
		if tries["inv"] != 5 || tries["unknown"] != 5 || tries["old"] != 1 || tries["busy"] < 30 {
			t.Errorf("tries %v, want 5 of what is invalid, 1 of what is old, and those of what passes to go on", tries)
		}
		mu.Unlock()
		if m := r.srv.Metrics(); m.Undeliverable != 3 || w.left() != 1 {
			t.Errorf("%d undeliverable, %d owed, want 3 and 1", m.Undeliverable, w.left())
		}
		<-time.After(gateway.MaxValidity)
		synctest.Wait()
		if m := r.srv.Metrics(); m.Undeliverable != 4 || w.left() != 0 {
			t.Errorf("after 72 h: %d undeliverable, %d owed, want 4 and 0", m.Undeliverable, w.left())
		}
		c.link.Close(nil)
		r.stop()
	})
}

// What only the store holds of what a client does not take ends by its age as well, and is counted.
func TestParkedGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := serve(t, w, Config{MaxOwed: 2}, newPipes())
		c := r.bound(smpp.BindRX, func(c *client) {
			c.deliver = func(*smpp.DeliverSM) smpp.CommandStatus { return smpp.StatusThrottled }
		})
		const n = 5
		for i := range n {
			d := receiptOf(i)
			d.Done = time.Now()
			w.owe(d)
		}
		<-time.After(gateway.MaxValidity + time.Hour)
		synctest.Wait()
		if m := r.srv.Metrics(); m.Undeliverable != n || w.left() != 0 {
			t.Errorf("%d undeliverable, %d owed, want %d and 0", m.Undeliverable, w.left(), n)
		}
		c.link.Close(nil)
		r.stop()
	})
}

// A lost wake-up is made good by looking again.
func TestLostWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := serve(t, w, Config{}, newPipes())
		c := r.bound(smpp.BindRX)
		synctest.Wait()
		w.mu.Lock()
		d := receiptOf(1)
		d.System = testSystem
		w.oweLocked(d)
		w.mu.Unlock()
		start := time.Now()
		<-c.got
		if d := time.Since(start); d > 2*rereadIdle {
			t.Errorf("noticed after %v", d)
		}
		synctest.Wait()
		c.link.Close(nil)
		r.stop()
	})
}

// A message in parts is taken when all parts are.
func TestPartlyTaken(t *testing.T) {
	w := newWorld()
	r := serve(t, w, Config{RetryFirst: time.Millisecond}, nil)
	n := 0
	c := r.bound(smpp.BindRX, func(c *client) {
		c.deliver = func(*smpp.DeliverSM) smpp.CommandStatus {
			if n++; n == 2 {
				return smpp.StatusTempAppErr
			}
			return smpp.StatusOK
		}
	})
	w.owe(gateway.ReceiptDue{Account: testAccount, MO: &gateway.Inbound{From: "+905321234567", To: "3340", Text: strings.Repeat("x", 400)}})
	w.settled(t, 0)
	if len(c.got) != 6 {
		t.Errorf("%d parts were sent, want 6", len(c.got))
	}
}

func TestDeliveryOutlivesItsLink(t *testing.T) {
	// SendBatch on a link that ends in between goes to another.
	w := newWorld()
	r := serve(t, w, Config{}, nil)
	a, b := r.bound(smpp.BindRX), r.bound(smpp.BindRX)
	a.link.Close(nil)
	<-a.ended
	var all []gateway.ReceiptDue
	for i := range 200 {
		all = append(all, receiptOf(i))
	}
	w.owe(all...)
	w.settled(t, 0)
	if len(b.got) < 100 {
		t.Errorf("got %d", len(b.got))
	}
}
