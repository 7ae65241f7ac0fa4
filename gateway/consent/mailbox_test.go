package consent_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/iys"
	"izinli/iys/mirror"
)

// mailboxes are addresses that mail is accepted for and that İYS cannot hold, and the form they are kept in.
var mailboxes = map[string]string{
	"O'Brien@example.com":              "o'brien@example.com",
	"a&b@example.com":                  "a&b@example.com",
	"ad/soyad=1@example.com":           "ad/soyad=1@example.com",
	"ayse..yilmaz@example.com":         "ayse..yilmaz@example.com",
	"!#$%&'*+-/=?^_`{|}~@example.com ": "!#$%&'*+-/=?^_`{|}~@example.com",
}

// mailBrands lets every brand of the bench send mail in the mode it sends SMS in.
func (b *bench) mailBrands() {
	b.t.Helper()
	for _, old := range b.st.Directory().Brands {
		brand := *old
		brand.Email = brand.SMS
		b.must(b.st.PutBrand(b.t.Context(), &brand))
	}
}

func (b *bench) mail(brand, address string) iys.Verdict {
	q := b.batch(brand)
	q.Channel = gateway.ChannelEmail
	return b.office.Decide(q, address, b.now)
}

// Whoever can be written to can refuse: an opt-out is taken for every address that mail is accepted for, on every route and in every
// mode, and where İYS cannot hold the address nobody owes İYS anything.
func TestOptOutOfEveryMailbox(t *testing.T) {
	routes := []string{"one_click", "mailto", "complaint", "page", "panel"}
	for brand := range map[string]bool{partner: true, readOnly: true, ahs: true, selfMan: true, exempt: true, closed: true} {
		b := newBench(t)
		b.mailBrands()
		i := 0
		for typed, addr := range mailboxes {
			if sends := brand == selfMan || brand == exempt; sends && !b.mail(brand, addr).Send() {
				t.Fatalf("%s %s: not sent to before the opt-out", brand, addr)
			}
			b.must(b.desk.OptOut(t.Context(), gateway.OptOut{Account: b.a, Brand: brand, Channel: "email", Address: typed, Route: routes[i%len(routes)], At: b.now}))
			i++
			if v := b.mail(brand, addr); v.Outcome != iys.OutcomeRefuse || brand != closed && v.Rule != iys.RuleBlocked {
				t.Errorf("%s %s: %s by %s, want a refusal by the block", brand, addr, v.Outcome, v.Rule)
			}
			v, err := b.desk.Lookup(t.Context(), b.principal(), brand, "email", "", typed)
			b.must(err)
			if v.Address != addr || !v.Blocked || v.Block == nil || v.Sync != "" || len(v.History) != 1 || v.History[0].Sync != "not_applicable" {
				t.Errorf("%s %s: look-up %+v, want a block and nothing open", brand, addr, v)
			}
		}
		fresh := mirror.New()
		b.must(fresh.Load(t.Context(), b.st))
		for _, addr := range mailboxes {
			if _, blocked := fresh.Blocked(brand, iys.ChannelEmail, addr); !blocked {
				t.Errorf("%s %s: the block is gone after a restart", brand, addr)
			}
		}
		if open, owed := b.st.OutboxCounts(); open != 0 || owed != 0 {
			t.Errorf("%s: %d entries for İYS, %d owed by the customer, want none: İYS cannot hold the addresses", brand, open, owed)
		}
	}
}

// An address İYS can hold although no approval is taken for it goes to İYS as every other.
func TestOptOutOfInternationalDomain(t *testing.T) {
	b := newBench(t)
	b.mailBrands()
	b.must(b.desk.OptOut(t.Context(), gateway.OptOut{Account: b.a, Brand: partner, Channel: "email", Address: "ayse@example.xn--p1ai", At: b.now}))
	if due, err := b.st.DueEntries(t.Context(), iys.StatusRejected, b.now, 10); err != nil || len(due) != 2 {
		t.Errorf("%d entries for İYS, %v, want both recipient types", len(due), err)
	}
	if v := b.mail(partner, "ayse@example.xn--p1ai"); v.Rule != iys.RuleBlocked {
		t.Errorf("%s by %s, want the block", v.Outcome, v.Rule)
	}
}

// The API takes refusals of such addresses, and says that İYS does not; approvals of them it refuses.
func TestAddRefusalOfMailbox(t *testing.T) {
	b := newBench(t)
	b.mailBrands()
	for _, brand := range []string{partner, selfMan} {
		list := []gateway.Consent{
			{Brand: brand, Channel: "EPOSTA", Address: "O'Brien@example.com", RecipientType: "BIREYSEL", Status: "RET", Source: "HS_WEB", ConsentDate: b.now},
			{Brand: brand, Channel: "EPOSTA", Address: "a&b@example.com", RecipientType: "BIREYSEL", Status: "ONAY", Source: "HS_WEB", ConsentDate: b.now},
		}
		res, err := b.desk.Add(t.Context(), b.principal(), list)
		b.must(err)
		if r := res[0]; r.Code != "" || r.Sync != "not_applicable" || r.IYS != "H120" || r.Text == "" {
			t.Errorf("%s: a refusal is %+v, want taken, with İYS's words", brand, r)
		}
		if v := b.mail(brand, "o'brien@example.com"); v.Rule != iys.RuleBlocked {
			t.Errorf("%s: %s by %s, want the block", brand, v.Outcome, v.Rule)
		}
		if r := res[1]; r.Code != gateway.CodeBadAddress || r.IYS != "H120" {
			t.Errorf("%s: an approval is %+v, want H120", brand, r)
		}
		if res, err = b.desk.Add(t.Context(), b.principal(), list[:1]); err != nil || !res[0].Known {
			t.Errorf("%s: repeated: %+v, %v, want known", brand, res, err)
		}
	}
}

func TestBlacklistOfMailbox(t *testing.T) {
	b := newBench(t)
	b.mailBrands()
	for typed, addr := range mailboxes {
		for _, on := range []bool{true, false} {
			b.must(blacklist(t.Context(), b.desk, b.a, typed, on))
			if v := b.mail(exempt, addr); on != (v.Rule == iys.RuleBlacklisted) || on == v.Send() {
				t.Errorf("%s blacklisted %t: %s by %s", addr, on, v.Outcome, v.Rule)
			}
		}
	}
	for _, bad := range []string{"", "kimse", "a b@example.com", "@example.com", "a@b@", "12"} {
		if err := b.desk.Blacklist(t.Context(), b.a, bad, ""); code(err) != gateway.CodeInvalid {
			t.Errorf("blacklist %q = %v, want invalid", bad, err)
		}
	}
}

// listRecords is a stored blacklist that lets something happen while it is written.
type listRecords struct {
	consent.Records
	listed         map[string]bool
	before, stored func(on bool)
}

func (r *listRecords) PutBlacklist(_ context.Context, _ gateway.AccountID, addr, _ string) error {
	return r.put(addr, true)
}

func (r *listRecords) DeleteBlacklist(_ context.Context, _ gateway.AccountID, addr string) error {
	return r.put(addr, false)
}

func (r *listRecords) put(addr string, on bool) error {
	r.before(on)
	r.listed[addr] = on
	r.stored(on)
	return nil
}

// Two who change one address of the blacklist at a time leave memory and store agreed, whoever comes last.
func TestBlacklistOnAndOffAtOnce(t *testing.T) {
	nothing := func(bool) {}
	for _, during := range []string{"off", "on"} {
		b := newBench(t)
		rec := &listRecords{Records: b.st, listed: map[string]bool{}, before: nothing, stored: nothing}
		desk := consent.NewDesk(b.office, rec, nil)
		b.must(blacklist(t.Context(), desk, b.a, ayse, during == "off"))
		var wg sync.WaitGroup
		var once sync.Once
		meanwhile := func(bool) {
			once.Do(func() {
				done := make(chan struct{})
				wg.Go(func() {
					defer close(done)
					if err := blacklist(context.Background(), desk, b.a, ayse, during == "off"); err != nil {
						t.Error(err)
					}
				})
				select { // the other one goes as far as he gets, which may be no further than a lock
				case <-done:
				case <-time.After(100 * time.Millisecond):
				}
			})
		}
		if during == "off" {
			rec.stored = meanwhile // off in the store, on in memory
		} else {
			rec.before = meanwhile // on in memory, off in the store
		}
		b.must(blacklist(t.Context(), desk, b.a, ayse, during == "on"))
		wg.Wait()
		inMemory := b.decide(exempt, ayse).Rule == iys.RuleBlacklisted
		if want := during == "off"; inMemory != want || rec.listed[ayse] != want {
			t.Errorf("during %s: listed in memory %t, in the store %t, want %t", during, inMemory, rec.listed[ayse], want)
		}
	}
}
