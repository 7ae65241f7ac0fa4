package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"izinli/iys"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, iys.Istanbul)

func record(n int, s iys.Status) iys.Consent {
	return iys.Consent{
		Key:    iys.Key{Brand: "100001", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: phone(n)},
		Status: s, Source: iys.SourceHSWeb, Origin: iys.OriginPull, ConsentDate: noon.Add(-time.Duration(n) * time.Second), ReadAt: noon,
	}
}

func phone(n int) string { return fmt.Sprintf("+905%09d", n) }

func lookup(m *Mirror, c iys.Consent) (Entry, bool) {
	return m.Lookup(c.Brand, c.Channel, c.RecipientType, c.Recipient)
}

// fixed is a durable copy in memory.
type fixed struct {
	pulls    []Pull
	blocks   []iys.Block
	black    [][2]string
	consents []iys.Consent
	err      error
}

func each[T any](list []T, err error, yield func(T) error) error {
	for _, x := range list {
		if err := yield(x); err != nil {
			return err
		}
	}
	return err
}

func (f *fixed) EachPull(_ context.Context, y func(Pull) error) error { return each(f.pulls, nil, y) }
func (f *fixed) EachBlock(_ context.Context, y func(iys.Block) error) error {
	return each(f.blocks, nil, y)
}
func (f *fixed) EachBlacklisted(_ context.Context, y func(a, b string) error) error {
	return each(f.black, nil, func(x [2]string) error { return y(x[0], x[1]) })
}
func (f *fixed) EachConsent(_ context.Context, loader func() *Loader) error {
	l := loader()
	defer l.Close()
	return each(f.consents, f.err, func(c iys.Consent) error { l.Add(&c); return nil })
}

func ready(t testing.TB, src *fixed) *Mirror {
	t.Helper()
	m := New()
	if err := m.Load(context.Background(), src); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEntriesKeepWhatIsPacked(t *testing.T) {
	m := New()
	for _, s := range []iys.Status{iys.StatusApproved, iys.StatusRejected, iys.StatusNotApproved} {
		for _, o := range origins[1:] {
			for _, src := range append([]iys.Source{""}, sources[1:]...) {
				c := record(1, s)
				c.Origin, c.Source = o, src
				m.Put(c)
				got, ok := lookup(m, c)
				want := Entry{Status: s, Origin: o, Source: src, ConsentDate: c.ConsentDate}
				if o == iys.OriginLive {
					want.ConsentDate, want.ReadAt = time.Time{}, c.ReadAt
				}
				if !ok || got.Status != want.Status || got.Origin != o || got.Source != src ||
					!got.ConsentDate.Equal(want.ConsentDate) || !got.ReadAt.Equal(want.ReadAt) {
					t.Fatalf("got %+v, want %+v", got, want)
				}
			}
		}
	}
}

func TestUnknownWordsAreNotHeld(t *testing.T) {
	m := New()
	c := record(1, iys.StatusApproved)
	m.Put(c)
	c.Status = "BEKLIYOR"
	if m.Put(c) {
		t.Error("a status of tomorrow was stored")
	}
	if _, ok := lookup(m, c); ok {
		t.Error("the approval before it still holds; İYS must be asked")
	}
	c = record(1, iys.StatusApproved)
	c.Channel = "SMS"
	if m.Put(c) {
		t.Error("an unknown channel was stored")
	}
	c = record(1, iys.StatusApproved)
	c.Source = "HS_YENI"
	m.Put(c)
	if e, ok := lookup(m, c); !ok || e.Source != "" {
		t.Errorf("unknown source: got %+v %v, want a record without source", e, ok)
	}
}

func TestKeysAreApart(t *testing.T) {
	m := New()
	c := record(1, iys.StatusApproved)
	m.Put(c)
	for name, edit := range map[string]func(*iys.Consent){
		"brand":   func(c *iys.Consent) { c.Brand = "100002" },
		"channel": func(c *iys.Consent) { c.Channel = iys.ChannelCall },
		"type":    func(c *iys.Consent) { c.RecipientType = iys.RecipientMerchant },
		"address": func(c *iys.Consent) { c.Recipient = phone(2) },
	} {
		o := c
		edit(&o)
		if _, ok := lookup(m, o); ok {
			t.Errorf("another %s finds the record", name)
		}
		o.Status = iys.StatusRejected
		m.Put(o)
	}
	if e, _ := lookup(m, c); e.Status != iys.StatusApproved {
		t.Errorf("got %s, want ONAY", e.Status)
	}
}

func TestBlocksAndBlacklist(t *testing.T) {
	m := New()
	b := iys.Block{Brand: "1", Channel: iys.ChannelEmail, Recipient: "ad@ornek.com", Since: noon}
	m.Block(b)
	if since, ok := m.Blocked("1", iys.ChannelEmail, "AD@ornek.COM"); !ok || !since.Equal(noon) {
		t.Errorf("capitals slip past the block: %v %v", since, ok)
	}
	b.Since = noon.Add(-time.Hour)
	m.Block(b)
	if since, _ := m.Blocked("1", iys.ChannelEmail, b.Recipient); !since.Equal(noon) {
		t.Errorf("an older block replaced a newer one: %v", since)
	}
	b.Since = noon.Add(time.Hour)
	m.Block(b)
	if since, _ := m.Blocked("1", iys.ChannelEmail, b.Recipient); !since.Equal(b.Since) {
		t.Errorf("got %v, want the later refusal", since)
	}
	for _, other := range [][2]string{{"2", "EPOSTA"}, {"1", "MESAJ"}} {
		if _, ok := m.Blocked(other[0], iys.Channel(other[1]), b.Recipient); ok {
			t.Errorf("%v is blocked too", other)
		}
	}
	m.Unblock("1", iys.ChannelEmail, "ad@ORNEK.com")
	if _, ok := m.Blocked("1", iys.ChannelEmail, b.Recipient); ok {
		t.Error("still blocked")
	}
	m.Blacklist("acc", phone(1))
	if !m.Blacklisted("acc", phone(1)) || m.Blacklisted("other", phone(1)) {
		t.Error("a blacklist belongs to its account")
	}
	m.Unblacklist("acc", phone(1))
	if m.Blacklisted("acc", phone(1)) {
		t.Error("still listed")
	}
}

func TestFacts(t *testing.T) {
	q := Question{Account: "a", Brand: "100001", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Address: phone(1)}
	law := iys.Query{Class: "commercial", Channel: q.Channel, RecipientType: q.RecipientType, Mode: iys.ModePartner, BrandKnown: true, BrandActive: true}
	rule := func(m *Mirror) iys.Rule { return iys.Decide(law, m.Facts(q), noon).Rule }

	m := New()
	m.Put(record(1, iys.StatusApproved))
	m.Pulled("100001", iys.ChannelSMS, noon)
	if got := rule(m); got != iys.RuleUnchecked {
		t.Errorf("before load: got %s, want unchecked", got)
	}
	m = ready(t, &fixed{})
	if got := rule(m); got != iys.RuleConsentAbsent {
		t.Errorf("empty: got %s", got)
	}
	m.Put(record(1, iys.StatusApproved))
	if got := rule(m); got != iys.RuleConsentStale {
		t.Errorf("never pulled: got %s", got)
	}
	m.Pulled("100001", iys.ChannelSMS, noon.Add(-time.Hour))
	m.Pulled("100001", iys.ChannelSMS, noon.Add(-9*time.Hour)) // a late report of an old pull
	if got := rule(m); got != iys.RuleConsentApproved {
		t.Errorf("pulled: got %s", got)
	}
	m.Block(iys.Block{Brand: "100001", Channel: iys.ChannelSMS, Recipient: phone(1), Since: noon})
	if got := rule(m); got != iys.RuleBlocked {
		t.Errorf("blocked: got %s", got)
	}
	m.Unblock("100001", iys.ChannelSMS, phone(1))
	m.Blacklist("a", phone(1))
	if got := rule(m); got != iys.RuleBlacklisted {
		t.Errorf("blacklisted: got %s", got)
	}
	m.Unblacklist("a", phone(1))
	m.Distrust("100001", iys.ChannelSMS, noon)
	m.Pulled("100001", iys.ChannelSMS, noon)
	if got := rule(m); got != iys.RuleConsentAbsent {
		t.Errorf("distrusted: got %s", got)
	}
	old := record(1, iys.StatusApproved)
	old.ReadAt = noon.Add(-time.Second)
	if m.Put(old); rule(m) != iys.RuleConsentAbsent {
		t.Errorf("an approval read before the gap counts: %s", rule(m))
	}
	if m.Put(record(1, iys.StatusApproved)); rule(m) != iys.RuleConsentApproved {
		t.Errorf("an approval read after the gap: got %s", rule(m))
	}
}

func TestDistrustKeepsRefusals(t *testing.T) {
	m := New()
	m.Put(record(1, iys.StatusRejected))
	m.Put(record(2, iys.StatusApproved))
	m.Distrust("100001", iys.ChannelSMS, noon.Add(time.Hour))
	if e, ok := lookup(m, record(1, "")); !ok || e.Status != iys.StatusRejected {
		t.Errorf("RET: got %+v %v", e, ok)
	}
	if _, ok := lookup(m, record(2, "")); ok {
		t.Error("ONAY survived")
	}
	if m.Put(record(3, iys.StatusApproved)) {
		t.Error("an approval read before the gap was taken")
	}
	if !m.Put(record(3, iys.StatusRejected)) {
		t.Error("a refusal read before the gap was not taken")
	}
	if !m.PulledAt("100001", iys.ChannelSMS).IsZero() {
		t.Error("freshness survived")
	}
}

// A brand that cannot be pulled for weeks is distrusted every hour, and answers are read in between. What was known before the
// first of these times does not count again at any later one.
func TestDistrustNeverComesRound(t *testing.T) {
	for name, answers := range map[string]bool{"nothing in between": false, "answers in between": true} {
		m := New()
		m.Put(record(1, iys.StatusApproved))
		m.Pulled("100001", iys.ChannelSMS, noon)
		at := noon
		for i := range 3000 {
			at = at.Add(time.Hour)
			m.Distrust("100001", iys.ChannelSMS, at)
			if _, ok := lookup(m, record(1, "")); ok {
				t.Fatalf("%s: after %d times the approval from before counts again", name, i+1)
			}
			if answers {
				c := record(2, iys.StatusApproved)
				c.ReadAt = at
				if _, ok := lookup(m, c); ok {
					t.Fatalf("%s: after %d times the answer from before counts", name, i+1)
				}
				if m.Put(c); !held(m, c) {
					t.Fatalf("%s: an answer read since is not held", name)
				}
			}
			m.Put(record(3, iys.StatusRejected))
		}
		want := uint32(1)
		if answers {
			want = 3000
		}
		if got := m.brands.get("100001").trustGen[0].Load(); got != want {
			t.Errorf("%s: the count is %d, want %d", name, got, want)
		}
	}
}

func held(m *Mirror, c iys.Consent) bool { _, ok := lookup(m, c); return ok }

// Every bit of a slot is its field's own.
func TestPackKeepsFieldsApart(t *testing.T) {
	for _, gen := range []uint32{0, 1, 255, 256, maxGen, maxGen + 1, 1<<32 - 1} {
		for _, sec := range []int64{0, 1, noon.Unix(), maxTime, maxTime + 1} {
			c := record(1, iys.StatusNotApproved)
			c.Origin, c.Source, c.ConsentDate = origins[len(origins)-1], sources[len(sources)-1], time.Unix(sec, 0)
			v, ok := pack(&c, gen)
			e := unpack(v)
			want := time.Unix(sec, 0)
			if sec == 0 || sec > maxTime {
				want = time.Time{}
			}
			if !ok || generation(v) != gen&maxGen || e.Status != c.Status || e.Origin != c.Origin || e.Source != c.Source || !e.ConsentDate.Equal(want) {
				t.Errorf("generation %d, second %d: got %d %+v %t", gen, sec, generation(v), e, ok)
			}
		}
	}
}

// Who puts answers while trust is lost either has them voided or has read them since.
func TestDistrustMeetsPut(t *testing.T) {
	m := New()
	for round := range 300 {
		var wg sync.WaitGroup
		var putting atomic.Int32
		for w := range 2 {
			putting.Add(1)
			wg.Go(func() {
				defer putting.Add(-1)
				for n := range 100 {
					c := record(n%4+4*w, iys.StatusApproved)
					c.ReadAt = noon.Add(time.Duration(round*100+n) * time.Second)
					m.Put(c)
				}
			})
		}
		for n := 0; putting.Load() > 0; n = min(n+1, 100) { // the last of them may meet the last answers
			m.Distrust("100001", iys.ChannelSMS, noon.Add(time.Duration(round*100+n)*time.Second))
		}
		wg.Wait()
		m.Distrust("100001", iys.ChannelSMS, noon.Add(time.Duration(round*100+200)*time.Second))
		for n := range 8 {
			if held(m, record(n, "")) {
				t.Fatalf("round %d: an answer from before the last loss of trust counts", round)
			}
		}
	}
}

func TestLoad(t *testing.T) {
	src := &fixed{
		pulls:    []Pull{{Brand: "100001", Channel: iys.ChannelSMS, Start: noon, Trust: noon.Add(-time.Hour)}},
		blocks:   []iys.Block{{Brand: "100001", Channel: iys.ChannelSMS, Recipient: phone(2), Since: noon}},
		black:    [][2]string{{"a", phone(3)}},
		consents: []iys.Consent{record(1, iys.StatusApproved)},
	}
	old := record(4, iys.StatusApproved)
	old.ReadAt = noon.Add(-2 * time.Hour)
	src.consents = append(src.consents, old)
	m := ready(t, src)
	if _, ok := lookup(m, record(1, "")); !ok {
		t.Error("consent missing")
	}
	if _, ok := lookup(m, old); ok {
		t.Error("a consent from before the gap counts after a restart")
	}
	if _, ok := m.Blocked("100001", iys.ChannelSMS, phone(2)); !ok || !m.Blacklisted("a", phone(3)) {
		t.Error("suppressions missing")
	}
	if !m.PulledAt("100001", iys.ChannelSMS).Equal(noon) {
		t.Error("freshness missing")
	}
	early := New() // a refusal arrives before the copy of the approval is read
	early.Put(record(1, iys.StatusRejected))
	early.Block(iys.Block{Brand: "100001", Channel: iys.ChannelSMS, Recipient: phone(2), Since: noon.Add(time.Hour)})
	if err := early.Load(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	if e, _ := lookup(early, record(1, "")); e.Status != iys.StatusRejected {
		t.Errorf("loading brought an older %s back", e.Status)
	}
	if since, _ := early.Blocked("100001", iys.ChannelSMS, phone(2)); !since.Equal(noon.Add(time.Hour)) {
		t.Errorf("loading brought an older block back: %v", since)
	}
	src.err = errors.New("disk")
	broken := New()
	if err := broken.Load(t.Context(), src); !errors.Is(err, src.err) || broken.Ready() {
		t.Errorf("got %v ready=%v, want the error and not ready", err, broken.Ready())
	}
}

// The table against a map, through growth, overwriting and deletion.
func TestTableIsAMap(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var tab table
		want := map[uint64]uint64{}
		var keys []uint64
		for range 6_000 {
			// Few shards and a crowded end make long runs.
			h := r.Uint64()&^uint64(shardMask) | r.Uint64N(3)
			if r.IntN(4) == 0 {
				h |= 0xf << 60
			}
			if len(keys) > 0 && r.IntN(3) == 0 {
				h = keys[r.IntN(len(keys))]
			}
			if tab.empty() != (len(want) == 0) {
				t.Fatalf("empty is %v with %d records", tab.empty(), len(want))
			}
			if r.IntN(4) == 0 {
				_, had := want[h]
				if got := tab.del(h); got != had {
					t.Fatalf("del %x: got %v, want %v", h, got, had)
				}
				delete(want, h)
				continue
			}
			v := r.Uint64() | 1
			_, had := want[h]
			if got := tab.put(h, v, true); got == had {
				t.Fatalf("put %x: new=%v, want %v", h, got, !had)
			}
			want[h] = v
			keys = append(keys, h)
		}
		if got := tab.len(); got != len(want) || int(tab.held.Load()) != got {
			t.Fatalf("got %d records, want %d", got, len(want))
		}
		for _, h := range keys {
			v, had := want[h]
			if got, ok := tab.get(h); ok != had || got != v {
				t.Fatalf("get %x: got %d %v, want %d %v", h, got, ok, v, had)
			}
			if _, ok := tab.get(h ^ 1<<40); ok != (want[h^1<<40] != 0) {
				t.Fatalf("a hash that was never stored is found")
			}
		}
	}
}

func TestMemoryPerRecord(t *testing.T) {
	m := New()
	for n := range 1_000_000 {
		m.Put(record(n, iys.StatusApproved))
		if n >= 200_000 && n%50_000 == 0 {
			if per := float64(m.Size().Bytes-2*m.blocks.bytes()) / float64(n+1); per > 25 {
				t.Fatalf("at %d: got %.1f B a record, want at most 24 and the shards' tails", n, per)
			}
		}
	}
	s := m.Size()
	if s.Consents != 1_000_000 {
		t.Fatalf("got %d records", s.Consents)
	}
	if per := float64(s.Bytes) / 1e6; per > 24 {
		t.Errorf("got %.1f B a record, want at most 24", per)
	}
}

func TestReserveIsOnlyRoom(t *testing.T) {
	m := New()
	m.consents.reserve(100_000)
	before := m.Size().Bytes
	for n := range 100_000 {
		m.Put(record(n, iys.StatusApproved))
	}
	if s := m.Size(); s.Consents != 100_000 || float64(s.Bytes) > float64(before)*1.1 {
		t.Errorf("got %+v, began with %d B", s, before)
	}
	m.consents.reserve(10_000_000)
	if _, ok := lookup(m, record(7, "")); !ok {
		t.Error("reserving a filled table lost a record")
	}
}

func TestConcurrentUse(t *testing.T) {
	m := ready(t, &fixed{})
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				f := m.Facts(Question{"a", "100001", iys.ChannelSMS, iys.RecipientPerson, phone(n % 5000)})
				if f.Consent.Status == iys.StatusRejected {
					t.Error("a status nobody wrote")
					return
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for n := w; n < 20_000; n += 2 {
				m.Put(record(n, iys.StatusApproved))
				m.Block(iys.Block{Brand: "100001", Channel: iys.ChannelSMS, Recipient: phone(n), Since: noon})
				m.Blacklist(fmt.Sprint("acc", n%50), phone(n))
				m.Pulled("100001", iys.ChannelSMS, noon.Add(time.Duration(n)))
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if s := m.Size(); s.Consents != 20_000 || s.Blocks != 20_000 || s.Blacklisted != 20_000 {
		t.Errorf("got %+v", s)
	}
}

func TestFactsAllocatesNothing(t *testing.T) {
	m := ready(t, &fixed{})
	m.Put(record(1, iys.StatusApproved))
	q := Question{"a", "100001", iys.ChannelSMS, iys.RecipientPerson, phone(1)}
	m.Blacklist("a", phone(9))
	if n := testing.AllocsPerRun(100, func() { _ = m.Facts(q) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
