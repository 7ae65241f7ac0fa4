package consent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/mirror"
)

const (
	ayse = "+905321234567"
	veli = "+905321234568"

	partner  = "100001"
	readOnly = "100002"
	ahs      = "100003"
	selfMan  = "100004"
	exempt   = "100005"
	closed   = "100006"
	foreign  = "200001" // of the second account
)

type bench struct {
	t      *testing.T
	st     *store.Store
	mirror *mirror.Mirror
	office *consent.Office
	desk   *consent.Desk
	now    time.Time
	a, b   gateway.AccountID
	woken  atomic.Int64
	asker  *asker
}

func (b *bench) Wake() { b.woken.Add(1) }

// asker answers for İYS.
type asker struct {
	m       *mirror.Mirror
	answers map[string]iys.Status
	err     error
}

func (a *asker) Ask(_ context.Context, brand string, ch iys.Channel, rt iys.RecipientType, addresses []string) ([]exchange.Answer, error) {
	if a.err != nil {
		return nil, a.err
	}
	out := make([]exchange.Answer, len(addresses))
	for i, x := range addresses {
		out[i] = exchange.Answer{Status: a.answers[x], ReadAt: time.Now()}
		a.m.Put(iys.Consent{Key: iys.Key{Brand: brand, Channel: ch, RecipientType: rt, Recipient: x}, Status: out[i].Status, Origin: iys.OriginLive,
			ReadAt: out[i].ReadAt})
	}
	return out, nil
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Now().Truncate(time.Second), mirror: mirror.New()}
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
	for code, m := range map[string]gateway.BrandMode{
		partner: {Mode: "partner"}, readOnly: {Mode: "partner", ReadOnly: true}, ahs: {Mode: "ahs"},
		selfMan: {Mode: "self_managed", Text: "biz yönetiyoruz", At: b.now}, exempt: {Mode: "exempt", Expires: b.now.Add(time.Hour)}, closed: {},
	} {
		b.must(b.st.PutBrand(ctx, &gateway.Brand{Code: code, Account: b.a, SMS: m}))
	}
	b.must(b.st.PutBrand(ctx, &gateway.Brand{Code: foreign, Account: b.b, SMS: gateway.BrandMode{Mode: "self_managed", Text: "x", At: b.now}}))
	b.must(b.mirror.Load(ctx, b.st))
	b.asker = &asker{m: b.mirror, answers: map[string]iys.Status{}}
	b.office = consent.New(consent.Config{Now: clock}, b.st, b.mirror, b.asker)
	b.desk = consent.NewDesk(b.office, b.st, b)
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) principal() *gateway.Principal { return &gateway.Principal{Account: b.a} }

func (b *bench) batch(brand string) *gateway.Batch {
	return &gateway.Batch{Account: b.a, Brand: brand, Channel: "sms", Class: gateway.ClassCommercial, RecipientType: "BIREYSEL"}
}

func (b *bench) decide(brand, address string) iys.Verdict {
	return b.office.Decide(b.batch(brand), address, b.now)
}

func (b *bench) optOut(brand, address string) {
	b.t.Helper()
	b.must(b.desk.OptOut(b.t.Context(), gateway.OptOut{Account: b.a, Brand: brand, Channel: "sms", Address: address, Route: "sms", At: b.now}))
}

func code(err error) gateway.Code {
	var e *gateway.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// approveIn makes the mirror and the store know an approval of İYS.
func (b *bench) approved(brand, address string, at time.Time) {
	b.t.Helper()
	rec := iys.Consent{Key: iys.Key{Brand: brand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: address},
		Status: iys.StatusApproved, Source: iys.SourceHSWeb, Origin: iys.OriginPull, ConsentDate: at, CreationDate: at, ReadAt: b.now}
	b.must(b.st.PutConsents(b.t.Context(), []iys.Consent{rec}, "pull"))
	b.mirror.Put(rec)
	b.mirror.Pulled(brand, iys.ChannelSMS, b.now)
}

// An opt-out blocks in every mode, at once and over a restart, for both recipient types; who tells İYS depends on the mode.
func TestOptOutInEveryMode(t *testing.T) {
	for brand, want := range map[string]struct {
		sync    string
		pending int
	}{partner: {"pending", 2}, readOnly: {"owed_by_customer", 0}, ahs: {"owed_by_customer", 0}, selfMan: {"owed_by_customer", 0},
		exempt: {"not_applicable", 0}, closed: {"owed_by_customer", 0}} {
		b := newBench(t)
		b.approved(brand, ayse, b.now.Add(-time.Hour))
		if v := b.decide(brand, ayse); brand == partner && v.Outcome != iys.OutcomeSend {
			t.Fatalf("before: %+v, want send", v)
		}
		b.optOut(brand, "0532 123 45 67")
		for _, rt := range []string{"BIREYSEL", "TACIR"} {
			q := b.batch(brand)
			q.RecipientType = rt
			if v := b.office.Decide(q, ayse, b.now); v.Outcome != iys.OutcomeRefuse || brand != closed && v.Rule != iys.RuleBlocked {
				t.Errorf("%s %s: %s by %s, want a refusal by the block", brand, rt, v.Outcome, v.Rule)
			}
		}
		due, err := b.st.DueEntries(t.Context(), iys.StatusRejected, b.now, 10)
		b.must(err)
		if len(due) != want.pending {
			t.Errorf("%s: %d entries for İYS, want %d", brand, len(due), want.pending)
		}
		h, err := b.st.History(t.Context(), brand, iys.ChannelSMS, ayse)
		b.must(err)
		if len(h) == 0 || h[len(h)-1].Sync != want.sync {
			t.Errorf("%s: history %+v, want sync %s last", brand, h, want.sync)
		}
		fresh := mirror.New()
		b.must(fresh.Load(t.Context(), b.st))
		if _, blocked := fresh.Blocked(brand, iys.ChannelSMS, ayse); !blocked {
			t.Errorf("%s: the block is gone after a restart", brand)
		}
		// Other brands, other classes and other addresses are not touched.
		if brand != exempt {
			if v := b.decide(exempt, ayse); v.Outcome != iys.OutcomeSend {
				t.Errorf("another brand: %s by %s, want send", v.Outcome, v.Rule)
			}
		}
		q := b.batch(brand)
		q.Class = gateway.ClassTransactional
		if v := b.office.Decide(q, ayse, b.now); v.Outcome != iys.OutcomeSend {
			t.Errorf("transactional: %s by %s, want send", v.Outcome, v.Rule)
		}
	}
}

// A refusal of calls is one of calls.
func TestOptOutOfCalls(t *testing.T) {
	b := newBench(t)
	b.approved(partner, ayse, b.now.Add(-time.Hour))
	res, err := b.desk.Add(t.Context(), b.principal(), []gateway.Consent{{Brand: partner, Channel: "ARAMA", Address: ayse, RecipientType: "BIREYSEL",
		Status: "RET", Source: "HS_WEB", ConsentDate: b.now}})
	b.must(err)
	if res[0].Code != "" || res[0].Sync != "owed_by_customer" {
		t.Errorf("result = %+v, want taken, owed by the customer", res[0])
	}
	if v := b.decide(partner, ayse); v.Outcome != iys.OutcomeSend {
		t.Errorf("a message after a refusal of calls: %s by %s, want send", v.Outcome, v.Rule)
	}
	err = b.desk.OptOut(t.Context(), gateway.OptOut{Account: b.a, Brand: partner, Channel: "fax", Address: ayse})
	if code(err) != gateway.CodeInvalid {
		t.Errorf("opt-out of an unknown channel = %v, want invalid", err)
	}
}

// blacklist puts an address on the account's blacklist, or takes it off.
func blacklist(ctx context.Context, d *consent.Desk, a gateway.AccountID, addr string, on bool) error {
	if on {
		return d.Blacklist(ctx, a, addr, "asked for by phone")
	}
	return d.Unblacklist(ctx, a, addr)
}

func TestBlacklistStopsEveryClass(t *testing.T) {
	b := newBench(t)
	for _, on := range []bool{true, false} {
		b.must(blacklist(t.Context(), b.desk, b.a, ayse, on))
		for _, class := range []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP} {
			q := b.batch(exempt)
			q.Class = class
			v := b.office.Decide(q, ayse, b.now)
			if on && v.Rule != iys.RuleBlacklisted || !on && v.Outcome != iys.OutcomeSend {
				t.Errorf("blacklisted %t: %s is %s by %s", on, class, v.Outcome, v.Rule)
			}
			q.Account, q.Brand = b.b, foreign
			if v := b.office.Decide(q, ayse, b.now); v.Outcome != iys.OutcomeSend {
				t.Errorf("another account's %s is %s by %s, want send", class, v.Outcome, v.Rule)
			}
		}
	}
}

// What lifts a block, and what does not.
func TestLift(t *testing.T) {
	add := func(c gateway.Consent) func(*bench) gateway.Code {
		return func(b *bench) gateway.Code {
			c.Brand, c.Channel, c.Address, c.RecipientType, c.Status, c.Source = partner, "MESAJ", ayse, "BIREYSEL", "ONAY", "HS_WEB"
			if c.ConsentDate.IsZero() {
				c.ConsentDate = b.now
			}
			res, err := b.desk.Add(b.t.Context(), b.principal(), []gateway.Consent{c})
			b.must(err)
			return res[0].Code
		}
	}
	moved := func(src iys.Source, origin iys.Origin, later time.Duration) func(*bench) gateway.Code {
		return func(b *bench) gateway.Code {
			b.must(b.desk.Moved(b.t.Context(), []iys.Consent{{Key: iys.Key{Brand: partner, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
				Recipient: ayse}, Status: iys.StatusApproved, Source: src, Origin: origin, ConsentDate: b.now.Add(later)}}))
			return ""
		}
	}
	for _, c := range []struct {
		name   string
		act    func(*bench) gateway.Code
		lifted bool
		code   gateway.Code
	}{
		{"api", add(gateway.Consent{}), false, gateway.CodeBlocked},
		{"api with evidence alone", add(gateway.Consent{Evidence: "form 3"}), false, gateway.CodeBlocked},
		{"api with override alone", add(gateway.Consent{OverrideBlock: true}), false, gateway.CodeBlocked},
		{"api with both", add(gateway.Consent{Evidence: "form 3", OverrideBlock: true}), true, ""},
		{"api with both, before the refusal", add(gateway.Consent{Evidence: "form 3", OverrideBlock: true, ConsentDate: time.Now().Add(-2 * time.Hour)}),
			false, gateway.CodeBlocked},
		{"pulled, the person's", moved(iys.SourceIYSWeb, iys.OriginPull, 0), true, ""},
		{"pushed, the person's", moved(iys.SourceIYSMobile, iys.OriginPush, 0), true, ""},
		{"pulled, the person's, earlier", moved(iys.SourceIYSWeb, iys.OriginPull, -2*time.Hour), false, ""},
		{"pulled, the provider's", moved(iys.SourceHSWeb, iys.OriginPull, 0), false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.optOut(partner, ayse)
			b.now = b.now.Add(time.Hour)
			if got := c.act(b); got != c.code {
				t.Errorf("code = %q, want %q", got, c.code)
			}
			_, blocked := b.mirror.Blocked(partner, iys.ChannelSMS, ayse)
			stored, err := b.st.BlockOf(t.Context(), partner, iys.ChannelSMS, ayse)
			b.must(err)
			if blocked == c.lifted || (stored != nil) == c.lifted {
				t.Errorf("blocked in memory %t, in the store %t, want %t", blocked, stored != nil, !c.lifted)
			}
			if c.lifted && c.name == "api with both" {
				v, err := b.desk.Lookup(t.Context(), b.principal(), partner, "sms", "", ayse)
				b.must(err)
				found := false
				for _, ev := range v.History {
					found = found || ev.Sync == "unblocked" && ev.Evidence == "form 3"
				}
				if !found {
					t.Errorf("history %+v lacks the evidence", v.History)
				}
			}
		})
	}
}

// A movement of the person read from İYS blocks; the provider's own does not need to.
func TestMovedRefusal(t *testing.T) {
	b := newBench(t)
	move := func(addr string, src iys.Source) {
		b.must(b.desk.Moved(t.Context(), []iys.Consent{{Key: iys.Key{Brand: partner, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
			Recipient: addr}, Status: iys.StatusRejected, Source: src, Origin: iys.OriginPull, ConsentDate: b.now}}))
	}
	for range 2 { // a repeat is taken in stride
		move(ayse, iys.SourceIYSWeb)
		move(veli, iys.SourceHSWeb)
	}
	if _, blocked := b.mirror.Blocked(partner, iys.ChannelSMS, ayse); !blocked {
		t.Error("the person's refusal does not block")
	}
	if _, blocked := b.mirror.Blocked(partner, iys.ChannelSMS, veli); blocked {
		t.Error("the provider's own refusal became a block")
	}
	due, err := b.st.DueEntries(t.Context(), iys.StatusRejected, b.now, 10)
	if err != nil || len(due) != 0 {
		t.Errorf("%d entries for İYS, %v: it knows already", len(due), err)
	}
}

// Each item of an Add stands alone; refusals of one call come before its approvals.
func TestAddPerItem(t *testing.T) {
	b := newBench(t)
	ok := gateway.Consent{Brand: partner, Channel: "MESAJ", Address: ayse, RecipientType: "BIREYSEL", Status: "ONAY", Source: "HS_WEB", ConsentDate: b.now}
	with := func(f func(c *gateway.Consent)) gateway.Consent { c := ok; f(&c); return c }
	list := []gateway.Consent{
		ok,
		with(func(c *gateway.Consent) { c.Brand = foreign }),
		with(func(c *gateway.Consent) { c.Channel = "FAX" }),
		with(func(c *gateway.Consent) { c.Address = "12" }),
		with(func(c *gateway.Consent) { c.Status = "onay" }),
		with(func(c *gateway.Consent) { c.Source = "IYS_WEB" }),
		with(func(c *gateway.Consent) { c.ConsentDate = b.now.Add(-30 * 24 * time.Hour) }),
		with(func(c *gateway.Consent) { c.ConsentDate = b.now.Add(time.Hour) }),
		with(func(c *gateway.Consent) { c.RecipientType = "X" }),
		with(func(c *gateway.Consent) { c.Brand = selfMan }),
		with(func(c *gateway.Consent) { c.Address = veli }),
		with(func(c *gateway.Consent) { c.Address, c.Status = veli, "RET" }),
		with(func(c *gateway.Consent) { c.Brand, c.Status = exempt, "RET" }),
		with(func(c *gateway.Consent) { c.Channel, c.Address = "EPOSTA", "kimse" }),
		with(func(c *gateway.Consent) { c.Address = "" }),
		with(func(c *gateway.Consent) { c.ConsentDate = time.Date(2015, 4, 30, 0, 0, 0, 0, iys.Istanbul) }),
		with(func(c *gateway.Consent) { c.Source = "HS_2015" }),
		with(func(c *gateway.Consent) { c.Source = "HS_KARAR" }),
		with(func(c *gateway.Consent) { c.Source = "" }),
		with(func(c *gateway.Consent) { c.ConsentDate = time.Time{} }),
		with(func(c *gateway.Consent) { c.Status = "" }),
		with(func(c *gateway.Consent) { c.RetailerAccess = make([]int, 3001) }),
	}
	want := []struct {
		code  gateway.Code
		iys   string
		field string
		sync  string
	}{{sync: "pending"}, {code: gateway.CodeBrand, field: "brand"}, {gateway.CodeInvalid, "H117", "channel", ""},
		{gateway.CodeBadNumber, "H121", "recipient", ""}, {gateway.CodeInvalid, "H115", "status", ""},
		{gateway.CodeInvalid, "H119", "source", ""}, {gateway.CodeInvalid, "H467", "consentDate", ""},
		{gateway.CodeInvalid, "H162", "consentDate", ""}, {gateway.CodeInvalid, "H116", "recipientType", ""},
		{sync: "owed_by_customer"}, {code: gateway.CodeBlocked, field: "recipient"}, {sync: "pending"}, {sync: "not_applicable"},
		{gateway.CodeBadAddress, "H120", "recipient", ""}, {gateway.CodeBadNumber, "H114", "recipient", ""},
		{gateway.CodeInvalid, "H156", "consentDate", ""}, {gateway.CodeInvalid, "H155", "consentDate", ""},
		{gateway.CodeInvalid, "H408", "source", ""}, {gateway.CodeInvalid, "H113", "source", ""},
		{gateway.CodeInvalid, "H112", "consentDate", ""}, {gateway.CodeInvalid, "H110", "status", ""},
		{gateway.CodeInvalid, "H126", "retailerAccess", ""}}
	res, err := b.desk.Add(t.Context(), b.principal(), list)
	b.must(err)
	for i, r := range res {
		if w := want[i]; r.Index != i || r.Code != w.code || r.IYS != w.iys || r.Field != w.field || r.Sync != w.sync {
			t.Errorf("item %d: %+v, want %+v", i, r, w)
		}
		if (r.Code != "") != (r.Text != "") || (r.Code != "") != (r.Turkish != "") {
			t.Errorf("item %d: %+v, want a sentence in both languages exactly where it is refused", i, r)
		}
	}
	if _, err := b.desk.Add(t.Context(), b.principal(), nil); code(err) != gateway.CodeInvalid {
		t.Errorf("no consents = %v, want invalid", err)
	}
	if _, err := b.desk.Add(t.Context(), b.principal(), make([]gateway.Consent, 5001)); code(err) != gateway.CodeInvalid {
		t.Errorf("5001 consents = %v, want invalid", err)
	}
	if b.woken.Load() == 0 {
		t.Error("the exchange was not woken")
	}
}

// Of an approval for an exempt brand nobody tells İYS anything: it is owed by nobody, its evidence is kept, and it can be repeated.
func TestApprovalForAnExemptBrand(t *testing.T) {
	b := newBench(t)
	give := func(brand string, change func(*gateway.Consent)) gateway.ConsentResult {
		t.Helper()
		c := gateway.Consent{Brand: brand, Channel: "MESAJ", Address: "05321234567", Status: "ONAY", Source: "HS_WEB", ConsentDate: b.now.Add(-time.Hour), Evidence: "form 12"}
		if change != nil {
			change(&c)
		}
		out, err := b.desk.Add(t.Context(), b.principal(), []gateway.Consent{c})
		b.must(err)
		return out[0]
	}
	history := func() []gateway.ConsentEvent {
		t.Helper()
		h, err := b.st.History(t.Context(), exempt, iys.ChannelSMS, ayse)
		b.must(err)
		return h
	}
	key := iys.Key{Brand: exempt, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: ayse}
	for again := range 2 {
		r := give(exempt, nil)
		if r.Code != "" || r.Sync != "not_applicable" || r.Known != (again == 1) {
			t.Errorf("call %d: %+v, want not_applicable, known only when repeated", again+1, r)
		}
		if h := history(); len(h) != 1 || h[0].Evidence != "form 12" || h[0].Sync != "not_applicable" {
			t.Errorf("call %d: history %+v", again+1, h)
		}
		open, err := b.st.OpenEntries(t.Context(), []iys.Key{key})
		if b.must(err); len(open) != 0 {
			t.Errorf("call %d: open entries %+v", again+1, open)
		}
	}
	if r := give(selfMan, nil); r.Sync != "owed_by_customer" {
		t.Errorf("self_managed: %+v, want it owed", r)
	}
	b.optOut(exempt, ayse)
	if r := give(exempt, nil); r.Code != gateway.CodeBlocked {
		t.Errorf("the old approval after a refusal: %+v, want it refused", r)
	}
	b.now = b.now.Add(30 * time.Minute)
	later := func(c *gateway.Consent) { c.OverrideBlock, c.ConsentDate = true, b.now.Add(-time.Minute) }
	if r := give(exempt, later); r.Code != "" || r.Known || r.Sync != "not_applicable" {
		t.Errorf("a later one that lifts the block: %+v", r)
	}
	if v := b.decide(exempt, ayse); v.Outcome != iys.OutcomeSend {
		t.Errorf("after it: %+v, want send", v)
	}
}

// Another account's brand does not exist: nothing of it can be read, blocked or written.
func TestTenants(t *testing.T) {
	b := newBench(t)
	if _, err := b.desk.Lookup(t.Context(), b.principal(), foreign, "sms", "", ayse); code(err) != gateway.CodeBrand {
		t.Errorf("lookup = %v, want unknown_brand", err)
	}
	err := b.desk.OptOut(t.Context(), gateway.OptOut{Account: b.a, Brand: foreign, Channel: "sms", Address: ayse})
	if code(err) != gateway.CodeBrand {
		t.Errorf("opt-out = %v, want unknown_brand", err)
	}
	if v := b.decide(foreign, ayse); v.Outcome != iys.OutcomeRefuse {
		t.Errorf("a message in another account's brand: %s by %s", v.Outcome, v.Rule)
	}
	q := b.batch(foreign)
	q.Account = b.b
	if v := b.office.Decide(q, ayse, b.now); v.Outcome != iys.OutcomeSend {
		t.Errorf("its owner's: %s by %s, want send", v.Outcome, v.Rule)
	}
}

// The mirror's silence is a question, its answer a verdict, and no answer a hold.
func TestAsk(t *testing.T) {
	b := newBench(t)
	b.asker.answers = map[string]iys.Status{ayse: iys.StatusApproved, veli: iys.StatusNotApproved}
	if v := b.decide(partner, ayse); v.Outcome != iys.OutcomeAsk {
		t.Fatalf("unknown: %s by %s, want ask", v.Outcome, v.Rule)
	}
	b.office.Ask(t.Context(), b.batch(partner), []string{ayse, veli})
	if v := b.decide(partner, ayse); v.Outcome != iys.OutcomeSend {
		t.Errorf("approved: %s by %s, want send", v.Outcome, v.Rule)
	}
	if v := b.decide(partner, veli); v.Outcome != iys.OutcomeRefuse {
		t.Errorf("not approved: %s by %s, want refuse", v.Outcome, v.Rule)
	}
	b.asker.err = errors.New("down")
	b.office.Ask(t.Context(), b.batch(partner), []string{"+905321234569"})
	if v := b.decide(partner, "+905321234569"); v.Outcome != iys.OutcomeHold {
		t.Errorf("no answer: %s by %s, want hold", v.Outcome, v.Rule)
	}
	b.now = b.now.Add(6 * time.Second)
	if v := b.decide(partner, "+905321234569"); v.Outcome != iys.OutcomeAsk {
		t.Errorf("later: %s by %s, want ask again", v.Outcome, v.Rule)
	}
}

// slowRecords lets a lift be overtaken by an opt-out between memory and store.
type slowRecords struct {
	*store.Store
	onUnblock func()
}

func (s *slowRecords) Unblock(ctx context.Context, by *iys.Consent, how, evidence string) error {
	err := s.Store.Unblock(ctx, by, how, evidence)
	s.onUnblock()
	return err
}

// An opt-out that comes while an approval lifts an older block is not undone by it, in memory or in the store.
func TestOptOutDuringLift(t *testing.T) {
	b := newBench(t)
	rec := &slowRecords{Store: b.st}
	desk := consent.NewDesk(b.office, rec, nil)
	b.optOut(partner, ayse)
	b.now = b.now.Add(time.Hour)
	var wg sync.WaitGroup
	rec.onUnblock = func() {
		inForce := make(chan struct{})
		wg.Go(func() {
			close(inForce)
			if err := desk.OptOut(context.Background(), gateway.OptOut{Account: b.a, Brand: partner, Channel: "sms", Address: ayse, At: b.now}); err != nil {
				t.Error(err)
			}
		})
		<-inForce
	}
	b.must(desk.Moved(t.Context(), []iys.Consent{{Key: iys.Key{Brand: partner, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: ayse},
		Status: iys.StatusApproved, Source: iys.SourceIYSWeb, Origin: iys.OriginPull, ConsentDate: b.now.Add(-time.Minute)}}))
	wg.Wait()
	_, blocked := b.mirror.Blocked(partner, iys.ChannelSMS, ayse)
	stored, err := b.st.BlockOf(t.Context(), partner, iys.ChannelSMS, ayse)
	if err != nil || !blocked || stored == nil {
		t.Errorf("after an acknowledged opt-out: blocked in memory %t, in the store %t, %v", blocked, stored != nil, err)
	}
}

// An older refusal does not make a block younger approvals could lift.
func TestLaterRefusalStands(t *testing.T) {
	b := newBench(t)
	b.optOut(partner, ayse)
	first := b.now
	b.must(b.desk.OptOut(t.Context(), gateway.OptOut{Account: b.a, Brand: partner, Channel: "sms", Address: ayse, At: b.now.Add(-24 * time.Hour)}))
	stored, err := b.st.BlockOf(t.Context(), partner, iys.ChannelSMS, ayse)
	b.must(err)
	if stored == nil || !stored.At.Equal(first) {
		t.Errorf("stored block = %+v, want that of %s", stored, first)
	}
}

// Many refusals in one call are all in force and synced when it returns.
func TestManyRefusals(t *testing.T) {
	b := newBench(t)
	list := make([]gateway.Consent, 1500)
	for i := range list {
		list[i] = gateway.Consent{Brand: partner, Channel: "MESAJ", Address: fmt.Sprintf("+90533%07d", i), Status: "RET", Source: "HS_WEB", ConsentDate: b.now}
	}
	res, err := b.desk.Add(t.Context(), b.principal(), list)
	b.must(err)
	fresh := mirror.New()
	b.must(fresh.Load(t.Context(), b.st))
	for i := range res {
		if _, blocked := fresh.Blocked(partner, iys.ChannelSMS, list[i].Address); res[i].Code != "" || !blocked {
			t.Fatalf("item %d: %+v, blocked %t", i, res[i], blocked)
		}
	}
}
