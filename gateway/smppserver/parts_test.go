package smppserver

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
	"izinli/gateway/sms"
)

// How a client ties parts together.
type tie int

const (
	tieRef8 tie = iota
	tieRef16
	tieSAR
)

// partOf is one part of a long message as clients send it.
func partOf(how tie, ref uint16, total, seq int, text string, change ...func(*smpp.SubmitSM)) *smpp.SubmitSM {
	return newSubmit("", append([]func(*smpp.SubmitSM){func(m *smpp.SubmitSM) {
		switch how {
		case tieRef8:
			m.ESMClass |= smpp.ESMUDHI
			m.ShortMessage = append([]byte{5, 0, 3, byte(ref), byte(total), byte(seq)}, text...)
		case tieRef16:
			m.ESMClass |= smpp.ESMUDHI
			m.ShortMessage = append([]byte{6, 8, 4, byte(ref >> 8), byte(ref), byte(total), byte(seq)}, text...)
		case tieSAR:
			m.ShortMessage = []byte(text)
			m.TLVs = m.TLVs.AppendUint16(smpp.TagSarMsgRefNum, ref).AppendUint8(smpp.TagSarTotalSegments, uint8(total)).
				AppendUint8(smpp.TagSarSegmentSeqnum, uint8(seq))
		}
	}}, change...)...)
}

func TestPartsBecomeOneMessage(t *testing.T) {
	for how, name := range []string{"8 bit", "16 bit", "SAR"} {
		w := newWorld()
		c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
		var ids []string
		for seq := 1; seq <= 3; seq++ {
			st, id := c.submit(partOf(tie(how), 0x1234, 3, seq, fmt.Sprintf("parca%d", seq)))
			if st != smpp.StatusOK || id == "" || slices.Contains(ids, id) {
				t.Fatalf("%s: part %d: got %v %q", name, seq, st, id)
			}
			ids = append(ids, id)
		}
		<-w.changed
		s := w.submissions()[0]
		first, err := gateway.ParseMessageID(ids[0])
		if err != nil || s.ID != first.Batch || first.Index != 0 {
			t.Errorf("%s: batch id %v, want that of %s", name, s.ID, ids[0])
		}
		if s.Text != "parca1parca2parca3" || s.Parts == nil || len(s.Raw.Parts) != 3 || s.Receipt != gateway.ReceiptAll {
			t.Errorf("%s: got %+v", name, s)
		}
		for i, p := range s.Raw.Parts {
			wantID := ids[i]
			if i == 0 {
				wantID = ""
			}
			u, _, err := sms.ParseUDH(p.UDH)
			if err != nil || p.ID != wantID || u.Concat.Total != 3 || int(u.Concat.Seq) != i+1 || string(p.Body) != fmt.Sprintf("parca%d", i+1) {
				t.Errorf("%s: part %d: got %+v %+v %v, want id %q", name, i, p, u.Concat, err, wantID)
			}
		}
		if len(w.parts) != 0 {
			t.Errorf("%s: %d parts left in the store", name, len(w.parts))
		}
	}
}

// SAR parts as clients cut them leave no room for a 16-bit reference.
func TestFullSARParts(t *testing.T) {
	w := newWorld()
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	for seq := 1; seq <= 2; seq++ {
		c.submit(partOf(tieSAR, 0x0102, 2, seq, strings.Repeat("x", 153)))
	}
	<-w.changed
	for _, p := range w.submissions()[0].Raw.Parts {
		if !fitsIn(sms.GSM7, len(p.UDH), len(p.Body)) || p.UDH[1] != 0 {
			t.Errorf("got header % x and %d septets", p.UDH, len(p.Body))
		}
	}
}

// Characters that are cut in two are whole again in the text.
func TestPartsCutInsideCharacters(t *testing.T) {
	w := newWorld()
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	c.submit(partOf(tieRef8, 1, 2, 1, "fiyat \x1B"))
	c.submit(partOf(tieRef8, 1, 2, 2, "\x655"))
	<-w.changed
	if s := w.submissions()[0]; s.Text != "fiyat €5" {
		t.Errorf("got %q", s.Text)
	}
}

func TestPartsAreChecked(t *testing.T) {
	w := newWorld()
	w.judge = func(s *gateway.Submission, d gateway.Destination) gateway.Verdict {
		switch d.Address {
		case "+905320000000":
			return gateway.Verdict{State: gateway.StateDropped, Code: gateway.CodeNoConsent}
		case "+902121234567":
			return gateway.Verdict{Code: gateway.CodeNotMobile}
		}
		return gateway.Verdict{State: gateway.StateQueued}
	}
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	for _, tc := range []struct {
		why    string
		change func(*smpp.SubmitSM)
		want   smpp.CommandStatus
		stored int
	}{
		{"bad number", func(m *smpp.SubmitSM) { m.Dest.Addr = []byte("902121234567") }, smpp.StatusInvDstAddr, 0},
		{"no sender", func(m *smpp.SubmitSM) { m.Source.Addr = nil }, smpp.StatusInvSrcAddr, 0},
		{"unknown class", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendCString(smpp.TagMessageClass, "x") }, smpp.StatusInvTLVValue, 0},
		{"no consent, nobody to tell later", func(m *smpp.SubmitSM) { numbered(0)(m); m.RegisteredDelivery = 0 }, smpp.StatusPolicyRefused, 0},
		{"no consent, told by receipt", numbered(0), smpp.StatusOK, 1},
		{"permitted", numbered(1), smpp.StatusOK, 2},
	} {
		if st, _ := c.submit(partOf(tieRef8, 9, 2, 1, "x", tc.change)); st != tc.want || len(w.parts) != tc.stored {
			t.Errorf("%s: got %v and %d stored, want %v and %d", tc.why, st, len(w.parts), tc.want, tc.stored)
		}
	}
	if h, _ := c.call(&smpp.SubmitMulti{Source: ornek, ESMClass: 0x40, ShortMessage: []byte{5, 0, 3, 1, 2, 1, 'x'},
		Dests: []smpp.Dest{{Address: newSubmit("").Dest}}}); h.Status != smpp.StatusInvESMClass {
		t.Errorf("in a submit_multi: got %v", h.Status)
	}
}

// A whole that is refused is told to the parts that asked; the one that is
// still to be answered and did not ask is answered with it.
func TestRefusedWhole(t *testing.T) {
	w := newWorld()
	w.submit = func(*gateway.Submission) error { return gateway.Refuse(gateway.CodeNoCredit, "", "") }
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	quiet := func(m *smpp.SubmitSM) { m.RegisteredDelivery = 0 }

	_, id1 := c.submit(partOf(tieRef8, 1, 3, 1, "a"))
	c.submit(partOf(tieRef8, 1, 3, 2, "b", quiet))
	st, id3 := c.submit(partOf(tieRef8, 1, 3, 3, "c"))
	if st != smpp.StatusOK {
		t.Errorf("last part: got %v", st)
	}
	got := []string{string((<-c.got).ShortMessage), string((<-c.got).ShortMessage)}
	for i, id := range []string{id1, id3} {
		if !strings.HasPrefix(got[i], "id:"+id+" ") || !strings.Contains(got[i], "stat:REJECTD") {
			t.Errorf("receipt %d: %s, want one for %s", i, got[i], id)
		}
	}

	c.submit(partOf(tieRef8, 2, 2, 1, "a", quiet))
	if st, _ := c.submit(partOf(tieRef8, 2, 2, 2, "b", quiet)); st != smpp.StatusInsufficientFunds {
		t.Errorf("nobody to tell: got %v", st)
	}
	w.submit = nil
	c.submit(partOf(tieRef8, 3, 2, 1, "a", quiet))
	if st, _ := c.submit(partOf(tieRef8, 3, 2, 2, "b", quiet)); st != smpp.StatusOK || len(w.submissions()) != 1 {
		t.Errorf("with credit: got %v", st)
	}
}

// clock is a test's own, for message times; tickers run on the bubble's.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

func TestIncompleteParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &clock{now: time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)}
		w := newWorld()
		r := serve(t, w, Config{Now: k.Now}, newPipes())
		c := r.bound(smpp.BindTRX)
		_, asked := c.submit(partOf(tieRef8, 5, 3, 2, "x"))
		c.submit(partOf(tieRef8, 5, 3, 3, "y", func(m *smpp.SubmitSM) { m.RegisteredDelivery = smpp.ReceiptSuccess }))
		synctest.Wait() // a part lets go of its set after its answer, and the first sweep is over
		k.add(4 * time.Minute)
		r.srv.sweep(context.Background())
		if len(w.failed) != 0 {
			t.Fatal("given up too early")
		}
		k.add(61 * time.Second)
		r.srv.sweep(context.Background())
		if len(w.failed) != 1 || len(w.parts) != 0 || len(w.submissions()) != 0 {
			t.Fatalf("failed %v, parts %v", w.failed, w.parts)
		}
		m := <-c.got
		rec, ok := smpp.ParseReceipt(m, time.UTC)
		if !ok || string(rec.MessageID) != asked || rec.State != smpp.StateRejected || string(rec.Err) != "906" || rec.NetworkError != 906 {
			t.Errorf("got %q", m.ShortMessage)
		}
		if string(m.Source.Addr) != "905321234567" || m.Source.TON != 1 || string(m.Dest.Addr) != "ORNEK" || m.Dest.TON != 5 {
			t.Errorf("addresses %+v %+v", m.Source, m.Dest)
		}
		r.stop()
	})
}

// A passing failure keeps the set; a crash leaves it; both are found.
func TestPartsLeftBehind(t *testing.T) {
	w := newWorld()
	fail := gateway.Refuse(gateway.CodeUnavailable, "", "")
	w.submit = func(*gateway.Submission) error { return fail }
	first := serve(t, w, Config{}, nil)
	c := first.bound(smpp.BindTRX)
	for seq := 1; seq <= 2; seq++ {
		if st, _ := c.submit(partOf(tieRef16, 5, 2, seq, "x")); st != smpp.StatusOK {
			t.Fatalf("got %v", st)
		}
	}
	<-w.changed
	if len(w.failed) != 0 || len(w.parts) != 2 {
		t.Fatalf("set was given up for a passing failure")
	}
	first.stop()

	w.submit = nil
	for len(w.changed) > 0 {
		<-w.changed
	}
	second := serve(t, w, Config{PartsSweep: time.Hour}, nil) // looks at its start, and then the test does
	<-w.changed
	second.srv.sweep(context.Background())
	if subs := w.submissions(); len(subs) != 1 || subs[0].Text != "xx" || subs[0].Principal.Credential.ID != testSystem {
		t.Errorf("got %d submissions", len(subs))
	}

	// Without its credential a set cannot be judged, only given up.
	w.parts = append(w.parts, gateway.Part{Set: gateway.PartSet{Account: testAccount, Total: 1}, Seq: 1, System: "gone", At: time.Now().Add(-time.Second),
		PDU: newSubmit("x").AppendTo(nil, 0)[smpp.HeaderLen:]})
	second.srv.unfinished.Store(true)
	second.srv.sweep(context.Background())
	if len(w.failed) != 1 || len(w.submissions()) != 1 {
		t.Errorf("failed %v", w.failed)
	}
}

// A client that uses one reference for all its messages: what is incomplete
// of a message when the next one begins is given up, and told.
func TestReferenceTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := serve(t, w, Config{}, newPipes())
		c := r.bound(smpp.BindTRX)
		_, old := c.submit(partOf(tieRef8, 1, 2, 1, "eski1")) // its second part never came
		_, id1 := c.submit(partOf(tieRef8, 1, 2, 1, "yeni1"))
		_, again := c.submit(partOf(tieRef8, 1, 2, 1, "yeni1")) // the answer was lost
		c.submit(partOf(tieRef8, 1, 2, 2, "yeni2"))
		synctest.Wait() // the last part is answered before the whole is submitted, and the name let go after it
		if subs := w.submissions(); len(subs) != 1 || subs[0].Text != "yeni1yeni2" {
			t.Fatalf("got %+v", subs)
		}
		if old == id1 || again != id1 {
			t.Errorf("ids %s, %s and %s for its repetition", old, id1, again)
		}
		r.srv.sweep(context.Background())
		synctest.Wait()
		m := <-c.got
		if rec, ok := smpp.ParseReceipt(m, time.UTC); !ok || string(rec.MessageID) != old || rec.State != smpp.StateRejected || string(rec.Err) != "906" {
			t.Errorf("got %q, want the part that was given up", m.ShortMessage)
		}
		if len(w.parts) != 0 || len(r.srv.sets.m) != 0 {
			t.Errorf("%d parts and %d locks left", len(w.parts), len(r.srv.sets.m))
		}
		// The next one begins while the sweep would settle the one before.
		c.submit(partOf(tieRef8, 1, 2, 1, "a"))
		c.submit(partOf(tieRef8, 1, 2, 1, "b"))
		synctest.Wait()
		r.srv.unfinished.Store(true) // looks at all sets
		r.srv.sweep(context.Background())
		c.submit(partOf(tieRef8, 1, 2, 2, "c"))
		synctest.Wait()
		if subs := w.submissions(); len(subs) != 2 || subs[1].Text != "bc" {
			t.Errorf("the new message was given up with the old: %+v", subs)
		}
		c.link.Close(nil)
		r.stop()
	})
}

// The parts of two messages under one reference come in one go: the second
// begins while the first is being submitted.
func TestPipelinedReference(t *testing.T) {
	w := newWorld()
	hold := make(chan struct{})
	w.submit = func(s *gateway.Submission) error {
		if s.Text == "a1a2" {
			<-hold
		}
		return nil
	}
	r := serve(t, w, Config{}, nil)
	c := r.bound(smpp.BindTRX)
	c.submit(partOf(tieRef8, 1, 2, 1, "a1"))
	c.submit(partOf(tieRef8, 1, 2, 2, "a2")) // answered at once
	c.submit(partOf(tieRef8, 1, 2, 1, "b1"))
	r.srv.unfinished.Store(true)
	r.srv.sweep(context.Background()) // keeps away
	c.submit(partOf(tieRef8, 1, 2, 2, "b2"))
	<-w.changed
	close(hold)
	<-w.changed
	var got []string
	for _, s := range w.submissions() {
		got = append(got, s.Text)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"a1a2", "b1b2"}) || len(w.parts) != 0 || len(w.failed) != 0 {
		t.Errorf("submitted %v, %d parts left, %d sets given up", got, len(w.parts), len(w.failed))
	}
}

// The sweep keeps away from sets whose parts are under way.
func TestSetLocks(t *testing.T) {
	l := newSetLocks()
	set := gateway.PartSet{Dest: "a"}
	a, b := l.share(set), l.share(set)
	if _, ok := l.alone(set); ok {
		t.Error("alone beside parts")
	}
	a()
	b()
	free, ok := l.alone(set)
	if !ok {
		t.Fatal("nobody has it")
	}
	got := make(chan struct{})
	go func() { l.share(set)(); close(got) }()
	free()
	<-got
	if len(l.m) != 0 {
		t.Errorf("%d locks left", len(l.m))
	}
}

// Parts of many messages come over several binds, in any order, some of them
// twice: every message is submitted exactly once with its own text.
func TestPartsProperty(t *testing.T) {
	for round := range 5 {
		seed := uint64(time.Now().UnixNano())
		rnd := rand.New(rand.NewPCG(seed, uint64(round)))
		w := newWorld()
		r := serve(t, w, Config{}, nil)
		binds := []*client{r.bound(smpp.BindTRX), r.bound(smpp.BindTX), r.bound(smpp.BindTRX)}
		type job struct {
			m *smpp.SubmitSM
		}
		var jobs []job
		want := map[string]string{}
		for i := range 40 {
			total, how := 2+rnd.IntN(5), tie(rnd.IntN(3))
			text := ""
			var parts []job
			for seq := 1; seq <= total; seq++ {
				piece := fmt.Sprintf("<%d.%d>", i, seq)
				text += piece
				parts = append(parts, job{m: partOf(how, uint16(i/2), total, seq, piece, numbered(i))})
			}
			want[fmt.Sprintf("+90532%07d", i)] = text
			rnd.Shuffle(len(parts), func(a, b int) { parts[a], parts[b] = parts[b], parts[a] })
			// Repeats come before the last new part: a repeat after the end
			// begins a set of its own and is given up.
			for range rnd.IntN(3) {
				parts = slices.Insert(parts, 1+rnd.IntN(len(parts)-1), parts[0])
			}
			jobs = append(jobs, parts...)
		}
		// Messages interleave; the parts of one keep their shuffled order.
		byDest := map[string][]job{}
		for _, j := range jobs {
			byDest[string(j.m.Dest.Addr)] = append(byDest[string(j.m.Dest.Addr)], j)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids := map[string]map[string]bool{}
		for dest, list := range byDest {
			b := rnd.IntN(3)
			wg.Go(func() {
				for i, j := range list {
					h, body, err := binds[(b+i)%3].try(j.m)
					var resp smpp.SubmitSMResp
					if err != nil || resp.Decode(h, body) != nil || h.Status != 0 {
						t.Errorf("seed %d: %s: %v %v", seed, dest, h.Status, err)
						return
					}
					mu.Lock()
					if ids[dest] == nil {
						ids[dest] = map[string]bool{}
					}
					ids[dest][string(resp.MessageID)] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for range want {
			<-w.changed
		}
		got := map[string]string{}
		for _, s := range w.submissions() {
			to := s.To[0].Address
			if _, twice := got[to]; twice {
				t.Errorf("seed %d: %s submitted twice", seed, to)
			}
			got[to] = s.Text
			if n := len(ids[strings.TrimPrefix(to, "+")]); n != len(s.Raw.Parts) {
				t.Errorf("seed %d: %s: %d ids for %d parts", seed, to, n, len(s.Raw.Parts))
			}
		}
		for to, text := range want {
			if got[to] != text {
				t.Errorf("seed %d: %s: got %q, want %q", seed, to, got[to], text)
			}
		}
		r.stop()
		if len(w.parts) != 0 || len(r.srv.sets.m) != 0 {
			t.Errorf("seed %d: %d parts and %d locks left", seed, len(w.parts), len(r.srv.sets.m))
		}
	}
}

// What a client can put into a part is either refused or can be put together.
func FuzzParts(f *testing.F) {
	f.Add(byte(0x40), byte(0), []byte{5, 0, 3, 1, 2, 1, 'x'}, []byte(nil))
	f.Add(byte(0x40), byte(8), []byte{6, 8, 4, 0, 1, 2, 1, 0, 'x'}, []byte(nil))
	f.Add(byte(0), byte(0), []byte("x"), []byte{2, 12, 0, 2, 0, 1, 2, 14, 0, 1, 2, 2, 15, 0, 1, 1})
	f.Add(byte(0x40), byte(4), []byte{3, 0x24, 1, 1, 'x'}, []byte{2, 11, 0, 2, 11, 132})
	w := newWorld()
	srv := New(Config{}, w.deps())
	p := &gateway.Principal{Account: testAccount}
	c := &session{srv: srv, principal: p, system: testSystem, version: 0x34}
	f.Fuzz(func(t *testing.T, class, dcs byte, text, tlvs []byte) {
		if len(text) > 255 {
			return
		}
		var m smpp.SubmitSM
		body := newSubmit(string(text), func(m *smpp.SubmitSM) {
			m.ESMClass, m.DataCoding, m.TLVs = smpp.ESMClass(class), smpp.DataCoding(dcs), smpp.TLVs(tlvs)
		}).AppendTo(nil, 1)[smpp.HeaderLen:]
		if err := m.Decode(smpp.Header{}, body); err != nil {
			return
		}
		a, err := c.read(&m, nil)
		if err != nil {
			if st := statusOf(err); st == smpp.StatusOK || st == smpp.StatusSysErr {
				t.Fatalf("refused with %v: %v", st, err)
			}
			return
		}
		if a.sub.Raw == nil && a.sub.Text == "" {
			t.Fatal("neither text nor octets")
		}
		if a.part == nil {
			return
		}
		if a.part.Seq < 1 || a.part.Seq > a.part.Set.Total {
			t.Fatalf("part %d of %d", a.part.Seq, a.part.Set.Total)
		}
		a.part.Seq = 1
		a.part.ID = srv.deps.NewID(testAccount).String()
		sub, err := srv.assemble(p, []gateway.Part{*a.part})
		if err != nil {
			t.Fatalf("a part that was taken cannot be put together: %v", err)
		}
		if got, want := sub.Raw.Parts[0].Body, a.sub.Raw.Parts[0].Body; !bytes.Equal(got, want) {
			t.Fatalf("body % x became % x", want, got)
		}
	})
}

// answers of a client's submits, in the order in which they come.
func TestAnswersInOrderOfCompletion(t *testing.T) {
	w := newWorld()
	hold := make(chan struct{})
	w.submit = func(s *gateway.Submission) error {
		if s.Text == "yavas" {
			<-hold
		}
		return nil
	}
	c := serve(t, w, Config{}, nil).bound(smpp.BindTX)
	var mu sync.Mutex
	var order []string
	done := make(chan struct{}, 2)
	for _, text := range []string{"yavas", "hizli"} {
		if err := c.link.Send(newSubmit(text), func(smpplink.Result) {
			mu.Lock()
			order = append(order, text)
			mu.Unlock()
			done <- struct{}{}
		}); err != nil {
			t.Fatal(err)
		}
	}
	<-done
	close(hold)
	<-done
	if slices.CompareFunc(order, []string{"hizli", "yavas"}, cmp.Compare[string]) != 0 {
		t.Errorf("got %v", order)
	}
}
