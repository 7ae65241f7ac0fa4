package test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
	"izinli/iys/reconcile"
)

var divergence = flag.Int("divergence", 5_000, "consents of TestDivergenceConverges; the full story has 100000")

// registry is İYS and what we know of it, on fake time and with İYS's own limits.
type registry struct {
	t      *testing.T
	sim    *iystest.Sim
	store  *store.Store
	mirror *mirror.Mirror
	x      *exchange.Exchange
	r      *reconcile.Reconciler
	b      exchange.Brand
}

func (g *registry) Brand(_ context.Context, code string) (exchange.Brand, bool, error) {
	return g.b, code == g.b.BrandCode, nil
}
func (g *registry) Brands(context.Context) ([]exchange.Brand, error) {
	return []exchange.Brand{g.b}, nil
}

func (g *registry) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	const code = iystest.SeedIYSCode
	g := &registry{t: t, sim: iystest.New(iystest.Config{}), mirror: mirror.New()}
	g.sim.Seed()
	var err error
	g.store, err = store.Open(store.Options{InMemory: true})
	g.must(err)
	ctx := t.Context()
	acct := &gateway.Account{Name: "Örnek"}
	g.must(g.store.PutAccount(ctx, acct))
	mode := gateway.BrandMode{Mode: string(iys.ModePartner)}
	g.must(g.store.PutBrand(ctx, &gateway.Brand{Code: code, Account: acct.ID, SMS: mode, Email: mode}))
	api, err := iysapi.New(iysapi.Config{URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: iystest.SeedPassword, HTTP: g.sim.Transport()})
	g.must(err)
	g.b = exchange.Brand{Brand: iysapi.Brand{IYSCode: code, BrandCode: code}, API: api,
		Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner, iys.ChannelEmail: iys.ModePartner}}
	g.x, err = exchange.New(exchange.Config{Store: g.store, Mirror: g.mirror, Directory: g})
	g.must(err)
	g.r = reconcile.New(reconcile.Config{Store: g.store, Exchange: g.x, Directory: g})
	return g
}

// divergent is one consent of the story.
type divergent struct {
	key   iys.Key
	ours  iys.Consent // empty: unknown to us
	moved bool        // within the week İYS lists
}

// people fills İYS and our copy so that they tell different things about a third of the addresses.
func (g *registry) people(n int, r *rand.Rand, now time.Time) []divergent {
	list := make([]divergent, n)
	var records []iys.Consent
	for i := range list {
		p := &list[i]
		p.key = iys.Key{Brand: g.b.BrandCode, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: fmt.Sprintf("+90532%07d", i)}
		if r.IntN(10) < 3 {
			p.key.Channel, p.key.Recipient = iys.ChannelEmail, fmt.Sprintf("kisi%d@example.com", i)
		}
		if r.IntN(10) == 0 {
			p.key.RecipientType = iys.RecipientMerchant
		}
		long := now.Add(-time.Duration(20+r.IntN(200)) * 24 * time.Hour).Add(-time.Duration(r.IntN(86400)) * time.Second)
		status := iys.StatusApproved
		if r.IntN(10) < 4 {
			status = iys.StatusRejected
		}
		p.ours = g.put(p.key, status, long, iys.SourceHSWeb)
		switch k := r.IntN(100); {
		case k < 12: // changed while we were away, beyond what İYS lists
			g.put(p.key, other(status), now.Add(-time.Duration(8*24+r.IntN(90))*time.Hour), iys.SourceIYSWeb)
		case k < 20: // changed within the week
			p.moved = true
			g.put(p.key, other(status), now.Add(-time.Duration(30+r.IntN(100))*time.Hour-time.Duration(r.IntN(3600))*time.Second), iys.SourceIYSMobile)
		case k < 25: // we believe what İYS never heard of
			p.key.Recipient = "x" + p.key.Recipient
			if p.key.Channel == iys.ChannelSMS {
				p.key.Recipient = fmt.Sprintf("+90533%07d", i)
			}
			p.ours.Key = p.key
		case k < 30:
			p.ours = iys.Consent{} // we never heard of it
		}
		if p.ours.Status != "" {
			records = append(records, p.ours)
		}
	}
	for len(records) > 0 {
		k := min(1000, len(records))
		g.must(g.store.PutConsents(g.t.Context(), records[:k], "import"))
		records = records[k:]
	}
	g.must(g.mirror.Load(g.t.Context(), g.store))
	return list
}

func other(s iys.Status) iys.Status {
	if s == iys.StatusApproved {
		return iys.StatusRejected
	}
	return iys.StatusApproved
}

// put stores a movement at İYS and returns it as we would know it.
func (g *registry) put(k iys.Key, s iys.Status, at time.Time, src iys.Source) iys.Consent {
	m := g.sim.Put(iystest.Movement{BrandCode: k.Brand, Recipient: k.Recipient, RecipientType: string(k.RecipientType), Type: string(k.Channel),
		Status: string(s), Source: string(src), ConsentDate: at.Truncate(time.Second), CreationDate: at})
	return iys.Consent{Key: k, Status: s, Source: src, ConsentDate: m.ConsentDate, CreationDate: m.CreationDate, TransactionID: m.TransactionID,
		Origin: iys.OriginPull, ReadAt: at}
}

// differ counts what we hold otherwise than İYS, and what would be sent against its word.
func (g *registry) differ(list []divergent) (differ, dangerous int) {
	g.t.Helper()
	approved := map[iys.Key]bool{}
	for _, m := range g.sim.Consents() {
		if m.Status == "ONAY" {
			approved[iys.Key{Brand: m.BrandCode, Channel: iys.Channel(m.Type), RecipientType: iys.RecipientType(m.RecipientType), Recipient: m.Recipient}] = true
		}
	}
	keys := make([]iys.Key, len(list))
	for i := range list {
		keys[i] = list[i].key
	}
	held, err := g.store.Consents(g.t.Context(), keys)
	g.must(err)
	for _, c := range held {
		if c.Status != "" && (c.Status == iys.StatusApproved) != approved[c.Key] {
			differ++
		}
		if e, ok := g.mirror.Lookup(c.Brand, c.Channel, c.RecipientType, c.Recipient); ok && e.Status == iys.StatusApproved && !approved[c.Key] {
			dangerous++
		}
	}
	return differ, dangerous
}

// damage undoes some of what we learned of the week, as a store put back from an old copy would.
func (g *registry) damage(list []divergent, r *rand.Rand) int {
	var lost []iys.Consent
	for back := range 7 {
		g.must(g.store.EachMovement(g.t.Context(), g.b.BrandCode, time.Now().AddDate(0, 0, -back), func(m iys.Consent) error {
			if r.IntN(3) == 0 {
				lost = append(lost, m)
			}
			return nil
		}))
	}
	g.must(g.store.ReplaceMovements(g.t.Context(), lost, nil))
	was := map[iys.Key]iys.Consent{}
	for _, p := range list {
		if p.ours.Status != "" {
			was[p.key] = p.ours
		}
	}
	n := 0
	for _, m := range lost {
		if old, ok := was[m.Key]; ok {
			old.ReadAt = time.Now()
			g.must(g.store.PutConsents(g.t.Context(), []iys.Consent{old}, "restored"))
			g.mirror.Put(old)
			n++
		}
	}
	return n
}

// repair reconciles the week and carries out every plan, whatever waits for a person's word included.
func (g *registry) repair() (plans, items, reviewed int) {
	ctx := g.t.Context()
	for back := 7; back >= 1; back-- {
		day := time.Now().AddDate(0, 0, -back)
		d, err := g.r.Day(ctx, g.b.BrandCode, day)
		g.must(err)
		if d.Result != reconcile.Differs {
			continue
		}
		plans++
		var named []int
		for after := 0; ; {
			page, err := g.store.PlanItems(ctx, d.Plan, after, 1000)
			g.must(err)
			if len(page) == 0 {
				break
			}
			for _, it := range page {
				if items++; it.Action == reconcile.ActionReview {
					named = append(named, it.N)
				}
			}
			after = page[len(page)-1].N
		}
		reviewed += len(named)
		_, d, err = g.r.Apply(ctx, d.Plan, named, "test")
		g.must(err)
		if d.Result != reconcile.Agreed || !g.sim.Agreed(g.b.BrandCode, day) {
			g.t.Errorf("%s after the repair: %+v, want an agreed day", d.Date, d)
		}
	}
	return plans, items, reviewed
}

// TestDivergenceConverges: a gateway that was away for two weeks, whose copy and İYS disagree about a third of all addresses,
// never sends against İYS's word, and pull, re-query and repair bring the disagreement to zero.
func TestDivergenceConverges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)))
		g := newRegistry(t)
		defer g.store.Close()
		defer g.x.Close()
		now, r, ctx := time.Now(), rand.New(rand.NewPCG(4, 3)), t.Context()
		list := g.people(*divergence, r, now)
		away := now.AddDate(0, 0, -14)
		g.must(g.store.Commit(ctx, exchange.Changes{Cursors: []exchange.Cursor{
			{Brand: g.b.BrandCode, Source: iysapi.ChangesByPerson, After: "1_x", EndAt: away},
			{Brand: g.b.BrandCode, Source: iysapi.ChangesByProvider, After: "1_x", EndAt: away}}}))
		begin, _ := g.differ(list)
		g.must(g.x.PullAll(ctx))
		pulled, dangerous := g.differ(list)
		if dangerous > 0 {
			t.Errorf("after the pull %d addresses would be written to against İYS's word", dangerous)
		}
		g.must(g.x.RequeryAll(ctx))
		asked, dangerous := g.differ(list)
		plan, err := g.store.Requery(ctx, g.b.BrandCode)
		g.must(err)
		if plan.Open() || dangerous > 0 {
			t.Errorf("after the re-query %d dangerous, plan %+v", dangerous, plan)
		}
		restored := g.damage(list, r)
		damaged, _ := g.differ(list)
		plans, items, reviewed := g.repair()
		repaired, dangerous := g.differ(list)
		t.Logf("%d consents: %d differ at first, %d after the pull, %d after the re-query (%d asked, %d changed); %d put back from an old copy, "+
			"%d differ; %d after %d plans with %d items, %d of them on a person's word; İYS saw %d requests, quality %.4f", len(list), begin, pulled, asked,
			plan.Done, plan.Changed, restored, damaged, repaired, plans, items, reviewed, g.sim.Counters().Requests, g.sim.Counters().Quality())
		if begin < len(list)/10 || damaged == 0 || reviewed == 0 || pulled >= begin {
			t.Error("the story has nothing to repair")
		}
		if asked != 0 || repaired != 0 || dangerous != 0 {
			t.Errorf("%d after the re-query, %d after the repair, %d dangerous, want none", asked, repaired, dangerous)
		}
		if q := g.sim.Counters(); q.Failures > 0 || q.Throttled > 0 {
			t.Errorf("İYS refused %d and throttled %d requests", q.Failures, q.Throttled)
		}
	})
}
