package iyslink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

// rightsBench is a simulated İYS with a partner, who is us, and two companies with a brand each.
type rightsBench struct {
	t     *testing.T
	sim   *iystest.Sim
	st    *store.Store
	d     *Directory
	r     *Rights
	told  map[string]BrandRights
	fail  error // of whoever is told
	lines *bytes.Buffer
}

func newRightsBench(t *testing.T) *rightsBench {
	t.Helper()
	b := &rightsBench{t: t, told: map[string]BrandRights{}, lines: &bytes.Buffer{}}
	b.sim = iystest.New(iystest.Config{Limits: iystest.Limits{PerSecond: -1, TokensPerHour: -1, StatusPerHour: -1, HistoryPerHour: -1}})
	b.sim.Seed()
	srv, err := iystest.Listen(b.sim, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	if b.st, err = store.Open(store.Options{InMemory: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.st.Close() })
	ctx := t.Context()
	acct := &gateway.Account{Name: "a", IYSCode: 100001}
	partner := gateway.BrandMode{Mode: "partner"}
	for _, step := range []error{
		b.st.PutAccount(ctx, acct),
		b.st.PutIYSLink(ctx, &gateway.IYSLink{Name: "main", BaseURL: srv.URL, Username: iystest.SeedPartner, Password: b.st.Seal(iystest.SeedPassword), IntegratorCode: 700001}),
		b.st.PutBrand(ctx, &gateway.Brand{Code: iystest.SeedIYSCode, Account: acct.ID, IYS: "main", SMS: partner, Email: partner}),
		b.st.PutBrand(ctx, &gateway.Brand{Code: iystest.SeedOtherIYS, IYSCode: 200001, Account: acct.ID, IYS: "main", SMS: partner}),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	b.grant(iystest.SeedOtherIYS, "MESAJ", "write")
	b.start()
	return b
}

func (b *rightsBench) grant(brand, channel, right string) {
	b.sim.Grant(iystest.SeedIntegrator, brand, channel, right)
}

// start is a new process over the same store.
func (b *rightsBench) start() {
	b.d = New(b.st, iysapi.Limits{PerSecond: 1000}, nil)
	b.r = NewRights(b.d, RightsConfig{Log: slog.New(slog.NewTextHandler(b.lines, nil))})
	b.r.Watch(func(_ context.Context, x BrandRights) error {
		b.told[x.Brand] = x
		return b.fail
	})
}

// due makes a reading of everything due, and reads.
func (b *rightsBench) due() {
	b.t.Helper()
	l := b.st.Directory().IYSLinks["main"]
	if known, err := b.d.linkRights(l); err != nil {
		b.t.Fatal(err)
	} else if known != nil {
		old := *known
		old.Read, old.Tried = old.Read.Add(-time.Hour), old.Tried.Add(-time.Hour)
		b.d.rights.links["main"] = &old
	}
	b.r.Check(b.t.Context())
}

func (b *rightsBench) brand(code string) exchange.Brand {
	b.t.Helper()
	x, ok, err := b.d.Brand(b.t.Context(), code)
	if err != nil || !ok {
		b.t.Fatal(ok, err)
	}
	return x
}

func (b *rightsBench) calls() int { return b.sim.Counters().ByOperation["partnerBrands"] }

func goneOf(x BrandRights) string { return strings.Join(names(x.Gone), ", ") }

// One call reads all brands of a partner; what a company takes away is in force, and an alarm, with the next reading, and so is
// what it gives back. A restart knows it.
func TestRightsAreReadAgain(t *testing.T) {
	b := newRightsBench(t)
	code := iystest.SeedIYSCode
	before := time.Now()
	if wait := b.r.Check(t.Context()); wait < rightsEvery*9/10 || wait > rightsEvery*11/10 {
		t.Errorf("the next reading in %v", wait)
	}
	if got := b.calls(); got != 1 {
		t.Errorf("%d calls for two companies, want 1", got)
	}
	x := b.brand(code)
	if x.Withheld[iys.ChannelSMS] || x.ReadOnly[iys.ChannelSMS] || x.Granted[iys.ChannelEmail].Before(before) || len(b.told) != 2 || goneOf(b.told[code]) != "" {
		t.Errorf("with all rights: %+v, told %+v", x, b.told)
	}
	if b.r.Check(t.Context()); b.calls() != 1 {
		t.Errorf("read again at once: %d calls", b.calls())
	}

	b.grant(code, "MESAJ", "read")
	b.grant(code, "EPOSTA", "")
	b.due()
	x = b.brand(code)
	if x.Withheld[iys.ChannelSMS] || !x.ReadOnly[iys.ChannelSMS] || !x.Withheld[iys.ChannelEmail] || !x.ReadOnly[iys.ChannelEmail] {
		t.Errorf("after it took rights away: %+v", x)
	}
	if got := goneOf(b.told[code]); got != "read EPOSTA, write EPOSTA, write MESAJ" {
		t.Errorf("gone: %q", got)
	}
	if got := b.calls(); got != 3 {
		t.Errorf("%d calls, want the list and the company once more to be sure", got)
	}
	if !strings.Contains(b.lines.String(), "level=ERROR") || !strings.Contains(b.lines.String(), "write MESAJ") {
		t.Errorf("no alarm:\n%s", b.lines)
	}
	since := b.told[code].Gone[0].Since
	alarms := strings.Count(b.lines.String(), "level=ERROR")
	b.due()
	if !b.told[code].Gone[0].Since.Equal(since) || strings.Count(b.lines.String(), "level=ERROR") != alarms || b.calls() != 4 {
		t.Errorf("nothing changed, but: %+v, %d calls\n%s", b.told[code].Gone, b.calls(), b.lines)
	}

	b.start()
	if x = b.brand(code); !x.Withheld[iys.ChannelEmail] {
		t.Errorf("a restart believes in the channel again: %+v", x)
	}
	b.grant(code, "EPOSTA", "write")
	b.due()
	if x = b.brand(code); x.Withheld[iys.ChannelEmail] || goneOf(b.told[code]) != "write MESAJ" || !strings.Contains(b.lines.String(), "rights=\"read EPOSTA, write EPOSTA\"") {
		t.Errorf("given back: %+v, gone %q\n%s", x, goneOf(b.told[code]), b.lines)
	}
	if _, known, err := b.d.RightsOf(iystest.SeedOtherIYS); !known || err != nil {
		t.Errorf("the other brand: %t %v", known, err)
	}
}

// A company that ended everything, İYS that does not answer, and a list that cannot be read: only the first takes rights away.
func TestRightsAreLostOnlyWhenIYSSaysSo(t *testing.T) {
	b := newRightsBench(t)
	code := iystest.SeedIYSCode
	b.r.Check(t.Context())
	read := b.brand(code).Granted[iys.ChannelSMS]

	b.sim.Fail(iystest.Fault{Operation: "partnerBrands", Status: 500, Code: "H015", Times: 100})
	b.due()
	if wait := b.r.Check(t.Context()); wait > rightsAgain {
		t.Errorf("tried again in %v; an outage ends without notice", wait)
	}
	if x := b.brand(code); x.Withheld[iys.ChannelSMS] || !x.Granted[iys.ChannelSMS].Equal(read) {
		t.Errorf("İYS failed: %+v, want what was read before, with its time", x)
	}
	if l, _ := b.d.linkRights(b.st.Directory().IYSLinks["main"]); l.Problem == "" {
		t.Error("the failure is not told")
	}
	b.sim.ClearFaults()
	for _, ch := range []string{"MESAJ", "EPOSTA", "ARAMA"} {
		b.grant(code, ch, "")
	}
	b.r.failed = map[string]time.Duration{}
	b.due()
	if x := b.brand(code); !x.Withheld[iys.ChannelSMS] || !x.Withheld[iys.ChannelEmail] {
		t.Errorf("after the end of the contract: %+v", x)
	}
	if x := b.brand(iystest.SeedOtherIYS); x.Withheld[iys.ChannelSMS] {
		t.Errorf("the other company is concerned: %+v", x)
	}
	// Under another partner's number nothing of this counts.
	l := *b.st.Directory().IYSLinks["main"]
	l.IntegratorCode = 700002
	if err := b.st.PutIYSLink(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	if x := b.brand(code); x.Withheld[iys.ChannelSMS] {
		t.Errorf("as another partner: %+v", x)
	}
}

// A 403 has the company's rights read at once, but not again with each further one.
func TestA403HasRightsRead(t *testing.T) {
	b := newRightsBench(t)
	code := iystest.SeedIYSCode
	b.r.Check(t.Context())
	b.grant(code, "MESAJ", "")
	if err := status(t, b.d, code); iysapi.RetryOf(err) != iysapi.RetryOperator {
		t.Fatalf("got %v, want H353", err)
	}
	select {
	case <-b.r.wake:
	default:
		t.Error("the reader was not woken")
	}
	b.r.Check(t.Context())
	if x := b.brand(code); !x.Withheld[iys.ChannelSMS] || x.Withheld[iys.ChannelEmail] || b.calls() != 2 {
		t.Errorf("after a 403: %+v, %d calls", x, b.calls())
	}
	b.r.Want(code)
	if wait := b.r.Check(t.Context()); wait > rightsGap || wait < rightsGap-time.Minute || b.calls() != 2 {
		t.Errorf("the next 403 at once: in %v, %d calls", wait, b.calls())
	}
	b.r.since["100001"] = time.Now().Add(-rightsGap)
	if b.r.Check(t.Context()); b.calls() != 3 {
		t.Errorf("after the gap: %d calls, want 3", b.calls())
	}
	b.r.Want("999999")
	if b.r.Check(t.Context()); b.calls() != 3 || len(b.r.wanted) != 0 {
		t.Errorf("a brand that is not ours: %d calls, wanted %v", b.calls(), b.r.wanted)
	}
}

// By hand the reading is at once; for a brand nobody has to grant us there is none. What is told and not taken is told again.
func TestRightsByHand(t *testing.T) {
	b := newRightsBench(t)
	code := iystest.SeedIYSCode
	b.fail = errors.New("store is full")
	b.r.Check(t.Context())
	b.told, b.fail = map[string]BrandRights{}, nil
	x, err := b.r.Read(t.Context(), code)
	if err != nil || x.Channels[iys.ChannelSMS] != RightWrite || b.told[code].Brand != code {
		t.Errorf("got %+v %v, told %v", x, err, b.told)
	}
	if _, err := b.r.Read(t.Context(), "999999"); !errors.Is(err, ErrNoRights) {
		t.Errorf("an unknown brand: %v", err)
	}
	b.sim.SetDown(true)
	if _, err := b.r.Read(t.Context(), code); err == nil {
		t.Error("İYS is down, and answers")
	}
}

// Around a pull rights are read by the page when there is but one, and not again where they were read since; nobody is asked about
// brands that nobody has to grant us. A company İYS will not tell of concerns itself alone and is not asked about at every pull.
func TestRightsAroundAPull(t *testing.T) {
	b := newRightsBench(t)
	code, other := iystest.SeedIYSCode, iystest.SeedOtherIYS
	both := []string{code, other, "999999"}
	renew := func(since time.Time, codes []string, calls int) error {
		t.Helper()
		before := b.calls()
		err := b.r.Renew(t.Context(), codes, since)
		if got := b.calls() - before; got != calls {
			t.Errorf("%v since %v: %d calls, want %d", codes, since, got, calls)
		}
		return err
	}
	began := time.Now()
	for _, calls := range []int{1, 0} {
		if err := renew(began, both, calls); err != nil {
			t.Fatal(err)
		}
	}
	b.grant(code, "MESAJ", "")
	again := time.Now()
	if err := renew(again, []string{other}, 2); err != nil { // what is missing is asked for once more
		t.Fatal(err)
	}
	if x := b.brand(code); !x.Withheld[iys.ChannelSMS] || x.Granted[iys.ChannelSMS].Before(again) {
		t.Errorf("a page tells of all brands: %+v", x)
	}
	if err := b.st.PutBrand(t.Context(), &gateway.Brand{Code: "555555", Account: 1, SMS: gateway.BrandMode{Mode: "self_managed"}}); err != nil {
		t.Fatal(err)
	}
	if err := renew(time.Now(), []string{"555555"}, 0); err != nil {
		t.Errorf("a brand nobody grants us: %v", err)
	}
	for i, f := range []iystest.Fault{{Operation: "partnerBrands", Status: 500, Code: "H015", Times: 100}, {Operation: "partnerBrands", Status: 403, Code: "H353", Times: 100}} {
		b.sim.Fail(f)
		was := b.brand(code).Granted[iys.ChannelEmail]
		before := b.calls()
		for range 2 {
			if err := b.r.Renew(t.Context(), both, time.Now()); err == nil {
				t.Errorf("%s: no error", f.Code)
			}
		}
		if got := b.calls() - before; i == 1 && got != 1 || i == 0 && got < 2 {
			t.Errorf("%s: %d calls for two pulls", f.Code, got)
		}
		if x := b.brand(code); !x.Granted[iys.ChannelEmail].Equal(was) || x.Withheld[iys.ChannelEmail] {
			t.Errorf("%s: %+v, want what was known", f.Code, x)
		}
		b.sim.ClearFaults()
	}
	b.r.refused = map[company]refusal{{"main", ""}: {errors.New("H353"), time.Now().Add(-rightsEvery), gateway.IYSLink{}}}
	if err := renew(time.Now(), both, 1); err != nil || len(b.r.refused) != 0 {
		t.Errorf("refused half an hour ago: %v, %v", err, b.r.refused)
	}
}

// A brand İYS was never asked about, or would not tell of, is granted nothing up to any moment, and one of a company's own API user
// everything. Another user is asked at once.
func TestRightsNeverTold(t *testing.T) {
	b := newRightsBench(t)
	code := iystest.SeedIYSCode
	b.sim.Fail(iystest.Fault{Operation: "partnerBrands", Status: 403, Code: "H353", Times: 100})
	for range 2 {
		if err := b.r.Renew(t.Context(), []string{code}, time.Now()); err == nil {
			t.Error("İYS refuses to tell, and nobody says so")
		}
		x := b.brand(code)
		for _, ch := range []iys.Channel{iys.ChannelSMS, iys.ChannelEmail} {
			if at, ok := x.Granted[ch]; !ok || !at.IsZero() || x.Withheld[ch] {
				t.Errorf("never told of %s: %+v", ch, x)
			}
		}
	}
	l := *b.st.Directory().IYSLinks["main"]
	b.sim.ClearFaults()
	if err := b.r.Renew(t.Context(), []string{code}, time.Now()); err == nil || b.calls() != 1 {
		t.Errorf("asked again at once: %v, %d calls", err, b.calls())
	}
	l.AHSUser, l.AHSPassword = "somebody", b.st.Seal("geheim")
	if err := b.st.PutIYSLink(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	if err := b.r.Renew(t.Context(), []string{code}, since); err != nil || b.brand(code).Granted[iys.ChannelSMS].Before(since) {
		t.Errorf("with another user: %v, %+v", err, b.brand(code))
	}
	l.IntegratorCode = 0
	if err := b.st.PutIYSLink(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	if x := b.brand(code); len(x.Granted) != 0 || len(x.Withheld) != 0 {
		t.Errorf("nobody has to grant us anything: %+v", x)
	}
}

// Of many brands behind a link few companies are read by themselves.
func TestFewCompaniesAroundAPull(t *testing.T) {
	b := newRightsBench(t)
	b.r.Check(t.Context())
	for n := range 120 {
		p := gateway.BrandMode{Mode: "partner"}
		if err := b.st.PutBrand(t.Context(), &gateway.Brand{Code: fmt.Sprint(800000 + n), IYSCode: 800000 + n, Account: 1, IYS: "main", SMS: p}); err != nil {
			t.Fatal(err)
		}
	}
	b.grant(iystest.SeedOtherIYS, "MESAJ", "read")
	before, since := b.calls(), time.Now()
	if err := b.r.Renew(t.Context(), []string{iystest.SeedOtherIYS}, since); err != nil || b.calls() != before+1 {
		t.Fatalf("%v, %d calls", err, b.calls()-before)
	}
	if x, y := b.brand(iystest.SeedOtherIYS), b.brand(iystest.SeedIYSCode); !x.ReadOnly[iys.ChannelSMS] || x.Granted[iys.ChannelSMS].Before(since) || y.Granted[iys.ChannelSMS].After(since) {
		t.Errorf("after it: %+v, the other company %+v", x, y)
	}
}

// What is read while somebody saves a brand is what we go by from then on: the exchange must not take away what he was just told.
// An answer that was overtaken by another reading changes nothing.
func TestRightsReadForASave(t *testing.T) {
	b := newRightsBench(t)
	code := iystest.SeedIYSCode
	b.grant(code, "MESAJ", "read")
	before := time.Now()
	b.r.Check(t.Context())
	b.grant(code, "MESAJ", "write")
	b.told = map[string]BrandRights{}
	calls := b.calls()
	p, err := b.r.ReadFor(t.Context(), "main", code, code)
	if err != nil || p == nil || !p.Writable[iys.ChannelSMS] || b.calls() != calls+1 {
		t.Fatalf("read: %+v %v, %d calls", p, err, b.calls()-calls)
	}
	if x := b.brand(code); x.ReadOnly[iys.ChannelSMS] || b.told[code].Channels[iys.ChannelSMS] != RightWrite || len(b.told) != 1 {
		t.Errorf("after the save: %+v, told %+v", x, b.told)
	}
	if p, err := b.r.ReadFor(t.Context(), "main", code, "999999"); err != nil || p != nil {
		t.Errorf("a brand that is none of the company's: %+v %v", p, err)
	}
	if p, err := b.r.ReadFor(t.Context(), "none", code, code); err != nil || p != nil {
		t.Errorf("over a link that is not a partner's: %+v %v", p, err)
	}
	dir := b.st.Directory()
	if err := b.r.noteCompany(t.Context(), dir, dir.IYSLinks["main"], code, nil, before); err != nil || b.brand(code).Withheld[iys.ChannelSMS] {
		t.Errorf("an answer from before the reading took the right away: %v, %+v", err, b.brand(code))
	}
}

// What counts as missing: reading always, of the rest what there was before; a brand's new mode forgets what it needs no more.
func TestMissingRights(t *testing.T) {
	now, before := time.Unix(2000, 0), time.Unix(1000, 0)
	both := &gateway.Brand{Code: "1", SMS: gateway.BrandMode{Mode: "partner"}, Email: gateway.BrandMode{Mode: "partner"}}
	sms := &gateway.Brand{Code: "1", SMS: gateway.BrandMode{Mode: "partner"}}
	ch := func(s, e string) map[iys.Channel]string {
		m := map[iys.Channel]string{}
		if s != "" {
			m[iys.ChannelSMS] = s
		}
		if e != "" {
			m[iys.ChannelEmail] = e
		}
		return m
	}
	for name, c := range map[string]struct {
		b       *gateway.Brand
		was, is BrandRights
		want    []string
	}{
		"first reading, for reading alone": {both, BrandRights{}, BrandRights{Channels: ch("read", "read")}, nil},
		"first reading, nothing":           {both, BrandRights{}, BrandRights{}, []string{"read EPOSTA", "read MESAJ"}},
		"all taken": {both, BrandRights{Channels: ch("write", "read"), Agreement: true, Via: true}, BrandRights{},
			[]string{"agreement", "read EPOSTA", "read MESAJ", "via", "write MESAJ"}},
		"still missing": {sms, BrandRights{Channels: ch("read", ""), Gone: []GoneRight{{"write MESAJ", before}}}, BrandRights{Channels: ch("read", "")}, []string{"write MESAJ"}},
		"there again":   {sms, BrandRights{Channels: ch("read", ""), Gone: []GoneRight{{"write MESAJ", before}}}, BrandRights{Channels: ch("write", "")}, nil},
		"not needed":    {sms, BrandRights{Gone: []GoneRight{{"read EPOSTA", before}, {"write EPOSTA", before}}}, BrandRights{Channels: ch("write", "")}, nil},
	} {
		got := gone(c.b, c.was, c.is, now)
		if !slices.Equal(names(got), c.want) {
			t.Errorf("%s: got %v, want %v", name, names(got), c.want)
		}
		if name == "still missing" && !got[0].Since.Equal(before) {
			t.Errorf("%s: since %v, want the first time", name, got[0].Since)
		}
	}
}
