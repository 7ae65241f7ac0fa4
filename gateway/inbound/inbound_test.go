package inbound_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/inbound"
	"izinli/gateway/sms"
	"izinli/gateway/store"
)

const (
	ayse   = "905321234567"
	plus   = "+905321234567"
	own    = "08503330001" // whole number of brand 100001
	shared = "3333"        // by keyword: MAVI of account 1, YESIL of account 2
	house  = "08503330002" // whole number of account 1, no brand
)

// desk notes opt-outs.
type desk struct {
	gateway.ConsentDesk
	got []gateway.OptOut
	err error
}

func (d *desk) OptOut(_ context.Context, o gateway.OptOut) error {
	if d.err != nil {
		return d.err
	}
	d.got = append(d.got, o)
	return nil
}

func (d *desk) brands() (out []string) {
	for _, o := range d.got {
		out = append(out, o.Brand)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// submitter counts confirmations as the intake would: one for each key.
type submitter struct {
	gateway.Submitter
	keys map[string]int
	last *gateway.Submission
}

func (s *submitter) Submit(_ context.Context, sub *gateway.Submission) (gateway.Result, error) {
	s.keys[sub.Idempotency.Key]++
	s.last = sub
	return gateway.Result{}, nil
}

type bench struct {
	t    *testing.T
	st   *store.Store
	desk *desk
	sub  *submitter
	in   *inbound.Desk
	now  time.Time
	a, b gateway.AccountID
	ids  *gateway.BatchIDs
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, desk: &desk{}, sub: &submitter{keys: map[string]int{}}, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC), ids: gateway.NewBatchIDs(0)}
	clock := func() time.Time { return b.now }
	var err error
	if b.st, err = store.Open(store.Options{InMemory: true, Now: clock, Gather: -1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.st.Close() })
	ctx := t.Context()
	first, second := &gateway.Account{Name: "Bir"}, &gateway.Account{Name: "İki"}
	b.must(b.st.PutAccount(ctx, first))
	b.must(b.st.PutAccount(ctx, second))
	b.a, b.b = first.ID, second.ID
	for code, x := range map[string]gateway.Brand{"100001": {Account: b.a, Short: "MAVI"}, "100002": {Account: b.a, Short: "KIRMIZI"},
		"200001": {Account: b.b, Short: "YESIL"}} {
		x.Code, x.Name = code, x.Short
		b.must(b.st.PutBrand(ctx, &x))
		b.must(b.st.PutSender(ctx, &gateway.Sender{Name: x.Short, Account: x.Account, Channel: "sms", Brand: code, Approved: true}))
	}
	for _, n := range []gateway.Number{{Number: own, Account: b.a, Brand: "100001"}, {Number: house, Account: b.a},
		{Number: shared, Keyword: "MAVI", Account: b.a}, {Number: shared, Keyword: "YESIL", Account: b.b}} {
		b.must(b.st.PutNumber(ctx, &n))
	}
	b.in = inbound.New(inbound.Config{Confirm: inbound.DefaultConfirm, Now: clock}, b.st, b.desk, b.sub)
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) receive(to, text string) {
	b.t.Helper()
	b.must(b.in.Receive(b.t.Context(), inbound.MO{Operator: "op1", From: ayse, To: to, Body: []byte(text)}))
}

func (b *bench) stored(a gateway.AccountID) []gateway.Inbound {
	b.t.Helper()
	page, err := b.st.Inbound(b.t.Context(), a, "", 100)
	b.must(err)
	return page.Items
}

// sent makes the store know that a commercial message of the brand went to the person.
func (b *bench) sent(a gateway.AccountID, brand string) {
	b.t.Helper()
	b.handOff(b.accepted(a, brand, gateway.ClassCommercial, 0), gateway.Change{State: gateway.StateSent})
}

// accepted puts a message of the brand to the person into the store, to leave after some time.
func (b *bench) accepted(a gateway.AccountID, brand, class string, after time.Duration) *gateway.Batch {
	b.t.Helper()
	batch := gateway.Batch{Account: a, ID: b.ids.Next(b.now), Channel: "sms", Class: class, Brand: brand, Count: 1, SendAt: b.now.Add(after),
		ValidUntil: b.now.Add(after + time.Hour)}
	b.must(b.st.Accept(b.t.Context(), &gateway.Acceptance{Batch: batch, Recipients: recipients(), Decisions: make([]gateway.Decision, 1)}))
	return &batch
}

func recipients() []gateway.Recipient {
	return []gateway.Recipient{{Address: plus, State: gateway.StateQueued}}
}

// handOff hands a message off; the changes tell what came of it.
func (b *bench) handOff(batch *gateway.Batch, became ...gateway.Change) {
	b.t.Helper()
	id := batch.Ref().Message(0)
	ok, err := b.st.OpenIntents(b.t.Context(), []gateway.Intent{{Message: id, Operator: "op1", Segments: 1}})
	if err != nil || !ok[0] {
		b.t.Fatalf("intent = %v, %v", ok, err)
	}
	for _, c := range became {
		c.Message, c.Batch, c.Recipient, c.Operator, c.Close = id, batch, &recipients()[0], "op1", true
		b.must(b.st.ApplyWait([]gateway.Change{c}))
	}
}

// Which brands an opt-out stops (sms.md §10): the one named, the number's, those that wrote lately, all that can be meant.
func TestTargets(t *testing.T) {
	for _, c := range []struct {
		name   string
		sent   []string
		to     string
		text   string
		want   []string
		review bool
	}{
		{name: "named by code", to: house, text: "RET 100002", want: []string{"100002"}},
		{name: "named by name", to: house, text: "KIRMIZI IPTAL", want: []string{"100002"}},
		{name: "another account's brand is not named", to: house, text: "RET 200001", want: []string{"100001", "100002"}, review: true},
		{name: "the number's", to: own, text: "IPTAL", want: []string{"100001"}},
		{name: "the number with country code", to: "908503330001", text: "IPTAL", want: []string{"100001"}},
		{name: "wrote lately", sent: []string{"100002"}, to: house, text: "IPTAL", want: []string{"100002"}},
		{name: "several wrote lately", sent: []string{"100001", "100002"}, to: house, text: "IPTAL", want: []string{"100001", "100002"}, review: true},
		{name: "nobody wrote", to: house, text: "IPTAL", want: []string{"100001", "100002"}, review: true},
		{name: "shared, keyword", to: shared, text: "YESIL IPTAL", want: []string{"200001"}},
		{name: "shared, keyword, another account wrote", sent: []string{"100001"}, to: shared, text: "YESIL IPTAL", want: []string{"200001"}},
		{name: "shared, no keyword, one wrote", sent: []string{"200001"}, to: shared, text: "IPTAL", want: []string{"200001"}},
		{name: "shared, no keyword, nobody wrote", to: shared, text: "IPTAL", want: []string{"100001", "100002", "200001"}, review: true},
		{name: "shared, several keywords", sent: []string{"100001"}, to: shared, text: "MAVI YESIL IPTAL", want: []string{"100001", "200001"}, review: true},
		{name: "a code that is nobody's to a brand's number", to: own, text: "RET 1234567", want: []string{"100001"}, review: true},
		{name: "the same, and another brand wrote", sent: []string{"100002"}, to: own, text: "RET 1234567", want: []string{"100001", "100002"}, review: true},
		{name: "a code that is nobody's", sent: []string{"100002"}, to: house, text: "RET 1234567", want: []string{"100002"}, review: true},
		{name: "no opt-out", to: own, text: "Merhaba, adres nedir?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			for _, s := range c.sent {
				a := b.a
				if strings.HasPrefix(s, "2") {
					a = b.b
				}
				b.sent(a, s)
			}
			b.receive(c.to, c.text)
			if got := b.desk.brands(); !slices.Equal(got, c.want) {
				t.Fatalf("brands = %v, want %v", got, c.want)
			}
			for _, o := range b.desk.got {
				if o.Address != plus || o.Route != "sms" || o.Review != c.review || !strings.HasPrefix(o.Brand, string('0'+rune(o.Account))) {
					t.Errorf("opt-out = %+v, want address %s, review %t, its own account", o, plus, c.review)
				}
			}
			if len(c.want) == 0 {
				if got := b.stored(b.a); len(got) != 1 || got[0].Kind != "message" || got[0].From != plus {
					t.Errorf("stored = %+v, want the message", got)
				}
				return
			}
			for _, a := range []gateway.AccountID{b.a, b.b} {
				var want []string
				for _, code := range c.want {
					if strings.HasPrefix(code, string('0'+rune(a))) {
						want = append(want, code)
					}
				}
				got := b.stored(a)
				if len(want) == 0 && len(got) == 0 {
					continue
				}
				if len(got) != 1 || got[0].Kind != "optout" || got[0].From != plus || !slices.Equal(got[0].Brands, want) {
					t.Errorf("account %d has %+v, want the opt-out once, with brands %v", a, got, want)
				}
			}
		})
	}
}

// What a person adds to an opt-out is read where it is clear whose it is, and nowhere else.
func TestOptOutOfSeveralAccounts(t *testing.T) {
	const text = "IPTAL Ahmet Yilmaz, siparisim 12"
	for _, c := range []struct {
		sent, text    string
		want, keyword [2]string // of both accounts
	}{
		{text: text, want: [2]string{"IPTAL", "IPTAL"}},
		{text: "IPTAL Ahmet", want: [2]string{"IPTAL", "IPTAL"}},
		{sent: "200001", text: text, want: [2]string{"", text}},
		{text: "MAVI " + text, want: [2]string{"MAVI " + text, ""}, keyword: [2]string{"MAVI", ""}},
	} {
		b := newBench(t)
		if c.sent != "" {
			b.sent(b.b, c.sent)
		}
		b.receive(shared, c.text)
		for i, a := range []gateway.AccountID{b.a, b.b} {
			var got, word string
			for _, m := range b.stored(a) {
				got, word = got+m.Text, word+m.Keyword
			}
			if got != c.want[i] || word != c.keyword[i] {
				t.Errorf("%q after %q: account %d reads %q (keyword %q), want %q (%q)", c.text, c.sent, a, got, word, c.want[i], c.keyword[i])
			}
		}
	}
}

// Whatever can have reached the person counts: a message nobody knows the end of, one that is between two attempts, one that was
// accepted long ago for later. What never left does not.
func TestRecentBrands(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(b *bench)
		want  []string
	}{
		{"ended unknown", func(b *bench) {
			b.handOff(b.accepted(b.a, "100001", gateway.ClassCommercial, 0), gateway.Change{State: gateway.StateUnknown, Code: gateway.CodeDoubt})
		}, []string{"100001", "100002"}},
		{"under an intent", func(b *bench) { b.handOff(b.accepted(b.a, "100001", gateway.ClassCommercial, 0)) }, []string{"100001", "100002"}},
		{"in doubt, waits for the next attempt", func(b *bench) {
			b.handOff(b.accepted(b.a, "100001", gateway.ClassCommercial, 0), gateway.Change{State: gateway.StateQueued, Code: gateway.CodeDoubt, NextAt: b.now.Add(time.Minute)})
		}, []string{"100001", "100002"}},
		{"accepted long before it left", func(b *bench) {
			m := b.accepted(b.a, "100001", gateway.ClassCommercial, 299*24*time.Hour)
			b.now = b.now.Add(299 * 24 * time.Hour)
			b.handOff(m, gateway.Change{State: gateway.StateSent})
			b.now = b.now.Add(24 * time.Hour)
		}, []string{"100001", "100002"}},
		{"never left", func(b *bench) { b.accepted(b.a, "100001", gateway.ClassCommercial, 0) }, []string{"100002"}},
		{"no advertisement", func(b *bench) {
			b.handOff(b.accepted(b.a, "100001", gateway.ClassTransactional, 0), gateway.Change{State: gateway.StateSent})
		}, []string{"100002"}},
		{"left before the look back", func(b *bench) {
			b.sent(b.a, "100001")
			b.now = b.now.Add(31 * 24 * time.Hour)
		}, []string{"100002"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			c.write(b)
			b.sent(b.a, "100002")
			b.receive(house, "RET")
			if got := b.desk.brands(); !slices.Equal(got, c.want) {
				t.Errorf("brands = %v, want %v", got, c.want)
			}
		})
	}
}

// blind is a store that cannot tell who wrote to a person.
type blind struct{ *store.Store }

func (blind) LastBrands(gateway.AccountID, string, time.Time) ([]string, bool, error) {
	return nil, false, errors.New("disk")
}

func (blind) LastWrote(gateway.AccountID, string, time.Time) (time.Time, bool, error) {
	return time.Time{}, false, errors.New("disk")
}

// Where the store cannot tell who wrote, an opt-out stops all that can be meant, and a text is nobody's.
func TestBlindStore(t *testing.T) {
	b := newBench(t)
	b.sent(b.a, "100001")
	d := inbound.New(inbound.Config{Now: func() time.Time { return b.now }}, blind{b.st}, b.desk, b.sub)
	for _, text := range []string{"IPTAL", "merhaba"} {
		b.must(d.Receive(t.Context(), inbound.MO{Operator: "op1", From: ayse, To: shared, Body: []byte(text)}))
	}
	if got := b.desk.brands(); !slices.Equal(got, []string{"100001", "100002", "200001"}) {
		t.Errorf("brands = %v, want all", got)
	}
	if got := b.stored(0); len(got) != 1 || got[0].Text != "merhaba" {
		t.Errorf("the administrator has %+v, want the text", got)
	}
}

// crowded is a store that has more messages of an account to the person than it looks at.
type crowded struct {
	*store.Store
	of gateway.AccountID
}

func (c crowded) LastWrote(a gateway.AccountID, addr string, since time.Time) (time.Time, bool, error) {
	at, whole, err := c.Store.LastWrote(a, addr, since)
	return at, whole && a != c.of, err
}

// Where an account wrote more than can be looked at, a guess does not decide who reads.
func TestCrowdedStore(t *testing.T) {
	b := newBench(t)
	b.sent(b.a, "100001")
	b.now = b.now.Add(time.Minute)
	b.sent(b.b, "200001")
	for _, of := range []gateway.AccountID{0, b.a} {
		d := inbound.New(inbound.Config{Now: func() time.Time { return b.now }}, crowded{b.st, of}, b.desk, b.sub)
		b.must(d.Receive(t.Context(), inbound.MO{Operator: "op1", From: ayse, To: shared, Body: []byte("merhaba")}))
	}
	for _, a := range []gateway.AccountID{0, b.b} { // who wrote last, and nobody
		if got := b.stored(a); len(got) != 1 || got[0].Text != "merhaba" {
			t.Errorf("account %d has %+v, want the text once", a, got)
		}
	}
}

// A message to a shared number is the keyword's owner's, and nobody else sees it. Without a keyword it is that account's which
// wrote last; where that is not clear, only the administrator sees it.
func TestOwner(t *testing.T) {
	b := newBench(t)
	b.receive(shared, "yesil randevu istiyorum")
	b.receive(shared, "bilgi mavi")
	b.receive("9999", "kimse")
	b.receive(shared, "kimim ben")
	b.receive(shared, "ne mavi ne yesil")
	b.handOff(b.accepted(b.b, "200001", gateway.ClassTransactional, 0), gateway.Change{State: gateway.StateSent})
	b.receive(shared, "siparisim nerede")
	b.receive(shared, "ne yesil ne mavi") // either keyword: the one who wrote
	b.now = b.now.Add(time.Minute)
	b.sent(b.a, "100002")
	b.receive(shared, "adres lutfen")
	b.now = b.now.Add(31 * 24 * time.Hour)
	b.receive(shared, "unuttum sizi")
	for _, c := range []struct {
		who  gateway.AccountID
		want []string
	}{
		{b.a, []string{"bilgi mavi", "adres lutfen"}},
		{b.b, []string{"yesil randevu istiyorum", "siparisim nerede", "ne yesil ne mavi"}},
		{0, []string{"kimse", "kimim ben", "ne mavi ne yesil", "unuttum sizi"}},
	} {
		var got []string
		for _, m := range b.stored(c.who) {
			got = append(got, m.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("account %d has %q, want %q", c.who, got, c.want)
		}
	}
}

// The client of the number that a message is for gets it, and no other account's.
func TestOwnersClient(t *testing.T) {
	b := newBench(t)
	for _, n := range []gateway.Number{{Number: shared, Keyword: "MAVI", Account: b.a, System: "esmea"}, {Number: shared, Keyword: "YESIL", Account: b.b, System: "esmeb"}} {
		b.must(b.st.PutNumber(t.Context(), &n))
	}
	b.sent(b.b, "200001")
	b.receive(shared, "IPTAL")
	b.receive(shared, "tesekkurler")
	for system, want := range map[string]int{"esmea": 0, "esmeb": 2} {
		if due, err := b.st.Owed(t.Context(), system, 0, 10); err != nil || len(due) != want {
			t.Errorf("%s is owed %d, %v, want %d", system, len(due), err, want)
		}
	}
}

// parts cuts a text into the parts of a long message.
func parts(t *testing.T, text string, ref uint16) (out []inbound.MO) {
	t.Helper()
	segs, err := sms.Split(text, sms.Policy{MaxSegments: 10}, ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segs {
		out = append(out, inbound.MO{Operator: "op1", From: ayse, To: own, UDH: s.UDH, Body: s.Body, DataCoding: s.DataCoding})
	}
	return out
}

// A long message is one message in whatever order its parts come, and however often.
func TestLongMessage(t *testing.T) {
	text := strings.Repeat("uzun bir mesaj ", 25)
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 1, 0, 2}} {
		b := newBench(t)
		ps := parts(t, text, 7)
		if len(ps) != 3 {
			t.Fatalf("%d parts, want 3", len(ps))
		}
		for _, i := range order {
			if got := b.stored(b.a); len(got) != 0 {
				t.Fatalf("order %v: stored before all parts came", order)
			}
			b.must(b.in.Receive(t.Context(), ps[i]))
		}
		if got := b.stored(b.a); len(got) != 1 || got[0].Text != text || got[0].Partial {
			t.Errorf("order %v: stored %+v, want the whole text once", order, got)
		}
		b.now = b.now.Add(time.Hour)
		b.must(b.in.Expire(t.Context()))
		if got := b.stored(b.a); len(got) != 1 {
			t.Errorf("order %v: %d messages after the wait, want 1", order, len(got))
		}
	}
}

// What never becomes whole is handed out after the wait, marked; and a stop word in the first part counts at once.
func TestIncompleteMessage(t *testing.T) {
	b := newBench(t)
	ps := parts(t, "IPTAL. "+strings.Repeat("yeter artik ", 20), 9)
	b.must(b.in.Receive(t.Context(), ps[0]))
	if got := b.desk.brands(); !slices.Equal(got, []string{"100001"}) {
		t.Errorf("after the first part alone %v is blocked, want 100001", got)
	}
	b.must(b.in.Expire(t.Context()))
	if got := b.stored(b.a); len(got) != 0 {
		t.Fatalf("handed out before the wait was over: %+v", got)
	}
	b.now = b.now.Add(5*time.Minute + time.Second)
	b.must(b.in.Expire(t.Context()))
	if got := b.stored(b.a); len(got) != 1 || !got[0].Partial || got[0].Kind != "optout" {
		t.Errorf("stored %+v, want one partial opt-out", got)
	}
}

// A handset that uses a reference again begins a new message, also before the old one is complete; the old one is handed out as it is.
func TestReferenceTakenOver(t *testing.T) {
	b := newBench(t)
	first, second := parts(t, strings.Repeat("eski mesaj ", 20), 7), parts(t, strings.Repeat("yeni mesaj ", 20), 7)
	b.must(b.in.Receive(t.Context(), first[0]))
	b.must(b.in.Receive(t.Context(), second[0]))
	b.must(b.in.Receive(t.Context(), second[1]))
	if got := b.stored(b.a); len(got) != 1 || got[0].Partial || got[0].Text != strings.Repeat("yeni mesaj ", 20) {
		t.Fatalf("stored %+v, want the new message", got)
	}
	b.must(b.in.Expire(t.Context()))
	got := b.stored(b.a)
	if len(got) != 2 || !got[1].Partial || !strings.HasPrefix(got[1].Text, "eski mesaj ") || strings.Contains(got[1].Text, "yeni") {
		t.Fatalf("stored %+v, want the part of the old message as well", got)
	}
	b.must(b.in.Expire(t.Context()))
	if got := b.stored(b.a); len(got) != 2 {
		t.Errorf("%d messages, want 2", len(got))
	}
}

// late delivers a part in the middle of what Expire does.
type late struct {
	*store.Store
	at   string // open: after the overdue sets were read; receive: while one is joined
	part func()
}

func (l *late) run(at string) {
	if l.at == at {
		l.at = ""
		l.part()
	}
}

func (l *late) OpenMO(ctx context.Context, before time.Time) ([][]gateway.Part, error) {
	sets, err := l.Store.OpenMO(ctx, before)
	l.run("open")
	return sets, err
}

func (l *late) Receive(ctx context.Context, in *gateway.Inbound, system string) error {
	err := l.Store.Receive(ctx, in, system)
	l.run("receive")
	return err
}

// A part that is acknowledged while its set expires is not lost, whenever it comes.
func TestLatePart(t *testing.T) {
	text := strings.Repeat("uzun bir mesaj ", 20)
	for _, at := range []string{"open", "receive"} {
		b := newBench(t)
		ps := parts(t, text, 7)
		done := make(chan error, 1)
		st := &late{Store: b.st, at: at}
		d := inbound.New(inbound.Config{Now: func() time.Time { return b.now }}, st, b.desk, b.sub)
		st.part = func() {
			if at == "open" {
				done <- d.Receive(t.Context(), ps[1])
				return
			}
			go func() { done <- d.Receive(t.Context(), ps[1]) }() // waits for the set
		}
		b.must(d.Receive(t.Context(), ps[0]))
		b.now = b.now.Add(6 * time.Minute)
		b.must(d.Expire(t.Context()))
		b.must(<-done)
		b.now = b.now.Add(6 * time.Minute)
		b.must(d.Expire(t.Context()))
		all := ""
		got := b.stored(b.a)
		for _, m := range got {
			all += m.Text
		}
		for _, p := range ps {
			if !strings.Contains(all, string(p.Body[:40])) {
				t.Errorf("late part at %s: part %q is lost of %+v", at, p.Body, got)
			}
		}
		if at == "open" && (len(got) != 1 || got[0].Partial || got[0].Text != text) {
			t.Errorf("completed while it expired: %+v, want it whole and once", got)
		}
	}
}

// failing takes no message for a while.
type failing struct {
	*store.Store
	err error
}

func (f *failing) Receive(ctx context.Context, in *gateway.Inbound, system string) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Receive(ctx, in, system)
}

// A whole set that could not be handed out is when its last part is delivered again, before that is acknowledged.
func TestJoinedOnRepetition(t *testing.T) {
	b := newBench(t)
	st := &failing{Store: b.st, err: errors.New("disk")}
	d := inbound.New(inbound.Config{Now: func() time.Time { return b.now }}, st, b.desk, b.sub)
	text := strings.Repeat("uzun bir mesaj ", 20)
	ps := parts(t, text, 7)
	b.must(d.Receive(t.Context(), ps[0]))
	for range 2 {
		if err := d.Receive(t.Context(), ps[1]); err == nil {
			t.Fatal("acknowledged, although the message could not be stored")
		}
	}
	st.err = nil
	b.must(d.Receive(t.Context(), ps[1]))
	if got := b.stored(b.a); len(got) != 1 || got[0].Text != text || got[0].Partial {
		t.Errorf("stored %+v, want the message once", got)
	}
}

// Delivered again, an opt-out is carried out again and confirmed once a day; the day is Istanbul's.
func TestConfirmation(t *testing.T) {
	b := newBench(t)
	b.now = time.Date(2026, 3, 4, 20, 30, 0, 0, time.UTC) // 23:30 there
	b.receive(own, "IPTAL")
	b.receive(own, "IPTAL")
	if len(b.sub.keys) != 1 {
		t.Errorf("confirmation keys = %v, want one for the day", b.sub.keys)
	}
	s := b.sub.last
	if s.Door != gateway.DoorSystem || s.Class != gateway.ClassTransactional || s.From != "MAVI" || s.To[0].Address != plus {
		t.Errorf("confirmation = %+v", s)
	}
	if strings.Contains(s.Text, "IYS") { // who tells İYS, and when, is not known yet
		t.Errorf("the confirmation promises what has not happened: %s", s.Text)
	}
	b.now = b.now.Add(time.Hour) // the next day there, the same in UTC
	b.receive(own, "IPTAL")
	if len(b.sub.keys) != 2 {
		t.Errorf("confirmation keys = %v, want one more on the next day", b.sub.keys)
	}
}

// A failure that passes is the operator's to repeat; a sender that is no number never becomes one and must not block the line.
func TestFailures(t *testing.T) {
	b := newBench(t)
	b.desk.err = errors.New("disk")
	if err := b.in.Receive(t.Context(), inbound.MO{From: ayse, To: own, Body: []byte("IPTAL")}); err == nil {
		t.Error("an opt-out that was not carried out was acknowledged")
	}
	if got := b.stored(b.a); len(got) != 0 {
		t.Errorf("stored %+v before it was carried out", got)
	}
	b.desk.err = gateway.Refuse(gateway.CodeBadNumber, "address", "")
	if err := b.in.Receive(t.Context(), inbound.MO{From: "SERVIS", To: own, Body: []byte("IPTAL")}); err != nil {
		t.Errorf("an opt-out from a service name = %v, want it taken", err)
	}
	if got := b.stored(b.a); len(got) != 1 {
		t.Errorf("stored %d messages, want 1", len(got))
	}
}
