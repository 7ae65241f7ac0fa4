package iysapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

var brand = iysapi.Brand{IYSCode: iystest.SeedIYSCode, BrandCode: iystest.SeedIYSCode}

// memTokens keeps a token as a store would.
type memTokens struct {
	mu    sync.Mutex
	token iysapi.Token
	saves int
	fail  error
}

func (m *memTokens) LoadToken(context.Context, string) (iysapi.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.token, m.fail
}

func (m *memTokens) SaveToken(_ context.Context, _ string, t iysapi.Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.token = t
	m.saves++
	return nil
}

// inBubble runs f with a seeded simulator and a client on fake time, beginning
// on Friday 20 November 2026, noon in Istanbul.
func inBubble(t *testing.T, f func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, store *memTokens)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		offset := time.Until(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC))
		pass(offset) // the bubble's clock starts in 2000; this moves it, at once
		s := iystest.New(iystest.Config{})
		s.Seed()
		store := &memTokens{}
		f(t, s, func() *iysapi.Client {
			c, err := iysapi.New(iysapi.Config{
				URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: iystest.SeedPassword,
				HTTP: s.Transport(), Tokens: store,
			})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}, store)
	})
}

func sms(n int, status iys.Status) iys.Consent {
	return iys.Consent{
		Key:    iys.Key{Brand: brand.BrandCode, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: fmt.Sprintf("+90532%07d", n)},
		Status: status, Source: iys.SourceHSWeb, ConsentDate: time.Now().Add(-time.Minute),
	}
}

func wantCode(t *testing.T, err error, code string, r iysapi.Retry) {
	t.Helper()
	e, ok := errors.AsType[*iysapi.APIError](err)
	if !ok || e.Code != code || e.Retry != r {
		t.Fatalf("got %v (retry %v), want %s (%v)", err, iysapi.RetryOf(err), code, r)
	}
}

func TestConsentsRoundTrip(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		ctx, c := t.Context(), newClient()
		first := sms(1, iys.StatusApproved)
		got, err := c.Add(ctx, brand, first)
		if err != nil || len(got.TransactionID) != 64 || got.CreationDate.IsZero() {
			t.Fatalf("add: %+v %v", got, err)
		}
		again, err := c.Add(ctx, brand, first)
		if err != nil || again != got {
			t.Fatalf("repeat: got %+v %v, want %+v", again, err, got)
		}
		_, err = c.Add(ctx, brand, sms(2, iys.StatusRejected))
		wantCode(t, err, "H175", iysapi.RetryFinal)

		stored, ok, err := c.Status(ctx, brand, first.Key)
		if err != nil || !ok || stored.Status != iys.StatusApproved || stored.TransactionID != got.TransactionID ||
			!stored.ConsentDate.Equal(first.ConsentDate.Truncate(time.Second)) {
			t.Fatalf("status: %+v %v %v", stored, ok, err)
		}
		list, total, err := c.History(ctx, brand, first.Key, 10, 0)
		if err != nil || total != 1 || len(list) != 1 || list[0].TransactionID != got.TransactionID {
			t.Fatalf("history: %+v %d %v", list, total, err)
		}
		approved, err := c.StatusMany(ctx, brand, iys.RecipientPerson, iys.ChannelSMS, []string{sms(2, "").Recipient, first.Recipient})
		if err != nil || approved[0] || !approved[1] {
			t.Fatalf("status many: %v %v", approved, err)
		}
		s.Put(iystest.Movement{BrandCode: brand.BrandCode, Recipient: "ad@ornek.com", RecipientType: "BIREYSEL", Type: "EPOSTA", Status: "ONAY", Source: "HS_WEB"})
		approved, err = c.StatusMany(ctx, brand, iys.RecipientPerson, iys.ChannelEmail, []string{"Ad@Ornek.com"})
		if err != nil || !approved[0] {
			t.Fatalf("e-mail in capitals: %v %v", approved, err)
		}
	})
}

func TestUnknownAddressInEveryForm(t *testing.T) {
	for _, form := range []int{204, 200, 404, 422} {
		inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
			s.SetOddities(iystest.Oddities{UnknownStatus: form})
			c := newClient()
			_, ok, err := c.Status(t.Context(), brand, sms(9, "").Key)
			if ok || err != nil {
				t.Errorf("%d: got %v %v, want no record", form, ok, err)
			}
			bad := sms(9, "").Key
			bad.Recipient = "+90532"
			_, _, err = c.Status(t.Context(), brand, bad)
			wantCode(t, err, "H121", iysapi.RetryFinal) // a refusal stays one
		})
	}
}

func TestBatch(t *testing.T) {
	for name, odd := range map[string]iystest.Oddities{
		"documented":    {},
		"odd spellings": {SubrequestLower: true, StringBooleans: true, Batch200: true, SubRequestsMixed: true, CodeColon: true},
		"204":           {EmptyRequest: "204"},
		"no body":       {EmptyRequest: "body"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
				s.SetOddities(odd)
				ctx, c := t.Context(), newClient()
				list := []iys.Consent{sms(1, iys.StatusApproved), sms(2, iys.StatusRejected), sms(3, iys.StatusApproved)}
				r, err := c.AddBatch(ctx, brand, list)
				if err != nil || len(r.SubRequests) != 3 || r.SubRequests[0] == "" {
					t.Fatalf("add batch: %+v %v", r, err)
				}
				if got, err := c.Request(ctx, brand, r.RequestID); err != nil || len(got) != 0 {
					t.Fatalf("at once: %v %v, want nothing", got, err)
				}
				pass(3 * time.Minute)
				got, err := c.Request(ctx, brand, r.RequestID)
				if err != nil || len(got) != 3 || got[0].State != iysapi.ItemEnqueued || got[0].SubRequestID != r.SubRequests[0] {
					t.Fatalf("half way: %+v %v", got, err)
				}
				pass(3 * time.Minute)
				got, err = c.Request(ctx, brand, r.RequestID)
				if err != nil || len(got) != 3 {
					t.Fatalf("done: %+v %v", got, err)
				}
				if got[0].State != iysapi.ItemSuccess || got[0].Receipt.TransactionID == "" || got[0].SubRequestID != r.SubRequests[0] {
					t.Errorf("item 0: %+v", got[0])
				}
				if got[1].State != iysapi.ItemFailure || got[1].Err.Code != "H175" || got[1].SubRequestID != r.SubRequests[1] {
					t.Errorf("item 1: %+v", got[1])
				}
			})
		})
	}
}

func TestBatchErrorsNameTheItems(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		ctx, c := t.Context(), newClient()
		bad := sms(2, iys.StatusApproved)
		bad.ConsentDate = time.Now().AddDate(0, 0, -30)
		future := sms(3, iys.StatusApproved)
		future.ConsentDate = time.Now().Add(time.Hour)
		_, err := c.AddBatch(ctx, brand, []iys.Consent{sms(1, iys.StatusApproved), bad, future})
		e, ok := errors.AsType[*iysapi.APIError](err)
		if !ok || e.HTTP != 422 || len(e.Details) != 2 || e.Details[0].Code != "H467" || e.Details[0].Index != 1 ||
			e.Details[1].Code != "H162" || e.Details[1].Index != 2 || e.Details[1].Location != "consentDate" {
			t.Fatalf("got %+v %v", e, err)
		}
		before := s.Counters().Requests
		for name, list := range map[string][]iys.Consent{
			"none": {}, "twice": {sms(1, iys.StatusApproved), sms(1, iys.StatusApproved)}, "too many": make([]iys.Consent, 1001),
		} {
			if _, err := c.AddBatch(ctx, brand, list); !errors.Is(err, iysapi.ErrInvalid) {
				t.Errorf("%s: got %v, want ErrInvalid", name, err)
			}
		}
		if got := s.Counters().Requests; got != before {
			t.Errorf("lists known to be wrong were sent: %d calls", got-before)
		}
	})
}

func TestTokenLife(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, store *memTokens) {
		ctx, c := t.Context(), newClient()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := s.Counters().ByOperation["token"]; got != 1 {
			t.Errorf("twenty callers: got %d token calls, want 1", got)
		}
		changes := func(c *iysapi.Client) {
			t.Helper()
			if _, err := c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10); err != nil {
				t.Fatal(err)
			}
		}
		changes(newClient()) // a restart finds the token in the store
		if got := s.Counters().ByOperation["token"]; got != 1 {
			t.Errorf("after a restart: got %d token calls, want 1", got)
		}
		refresh := store.token.Refresh
		pass(116 * time.Minute)
		changes(c)
		if got := s.Counters().ByOperation["token"]; got != 2 || store.token.Refresh == refresh {
			t.Errorf("near the end: got %d token calls, rotated %v", got, store.token.Refresh != refresh)
		}
		pass(5 * time.Hour) // both tokens are dead
		changes(c)
		s.RevokeTokens() // İYS forgot us before the time
		changes(c)
		if got := s.Counters().ByOperation["token"]; got != 4 {
			t.Errorf("got %d token calls, want 4", got)
		}
	})
}

func TestSpentRefreshFallsBackToThePassword(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, store *memTokens) {
		ctx, c := t.Context(), newClient()
		c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10)
		s.Fail(iystest.Fault{Operation: "token", DropAfter: true}) // the refresh is spent, its answer lost
		pass(2 * time.Hour)
		if _, err := c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10); iysapi.RetryOf(err) != iysapi.RetryAgain {
			t.Fatalf("lost answer: got %v", err)
		}
		if _, err := c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10); err != nil {
			t.Fatalf("second try: %v", err)
		}
	})
}

func TestH084IsASilentHour(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, store *memTokens) {
		ctx, c := t.Context(), newClient()
		s.Fail(iystest.Fault{Operation: "token", Status: 429, Code: "H084"})
		_, err := c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10)
		wantCode(t, err, "H084", iysapi.RetryWaitHour)
		for range 6 {
			pass(10 * time.Minute)
			for _, cl := range []*iysapi.Client{c, newClient()} { // a restart does not forget it
				if _, err := cl.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10); err == nil {
					t.Fatal("asked within the hour")
				}
			}
		}
		if got := s.Counters().ByOperation["token"]; got != 1 {
			t.Fatalf("got %d token calls in the silent hour, want 1", got)
		}
		pass(2 * time.Minute)
		if _, err := c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10); err != nil {
			t.Fatalf("after the hour: %v", err)
		}
	})
}

func TestWrongCredentialsAreNotHammered(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, _ func() *iysapi.Client, _ *memTokens) {
		c, err := iysapi.New(iysapi.Config{URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: "yanlış", HTTP: s.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			_, err := c.Changes(t.Context(), brand, iysapi.ChangesByPerson, "", 10)
			wantCode(t, err, "invalid_request", iysapi.RetryOperator)
		}
		if got := s.Counters().ByOperation["token"]; got != 1 {
			t.Errorf("got %d token calls, want 1", got)
		}
	})
}

func TestTokenStoreFailureAsksNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, store *memTokens) {
		store.fail = errors.New("disk")
		if _, err := newClient().Changes(t.Context(), brand, iysapi.ChangesByPerson, "", 10); !errors.Is(err, store.fail) {
			t.Errorf("got %v, want the store's error", err)
		}
		if got := s.Counters().Requests; got != 0 {
			t.Errorf("got %d calls, want 0", got)
		}
	})
}

func TestRateStaysUnderTheLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		ctx, c := t.Context(), newClient()
		var wg sync.WaitGroup
		began := time.Now()
		for range 100 {
			wg.Go(func() {
				if _, err := c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := s.Counters().Throttled; got != 0 {
			t.Errorf("got %d answers 429, want 0", got)
		}
		if took := time.Since(began); took < 9*time.Second || took > 12*time.Second {
			t.Errorf("101 calls at 10/s took %v", took)
		}
	})
}

func TestRejectionsGoFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		ctx, c := t.Context(), newClient()
		for n := range 5 {
			s.Put(iystest.Movement{BrandCode: brand.BrandCode, Recipient: sms(n, "").Recipient, RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY", Source: "HS_WEB", ConsentDate: time.Now().AddDate(0, 0, -1)})
		}
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() { c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10) })
		}
		synctest.Wait()
		began := time.Now()
		for n := range 5 {
			wg.Go(func() {
				if _, err := c.Add(ctx, brand, sms(n, iys.StatusRejected)); err != nil {
					t.Error(err)
				}
				if waited := time.Since(began); waited > 2*time.Second {
					t.Errorf("a RET waited %v behind queries", waited)
				}
			})
		}
		wg.Wait()
	})
}

// Approvals go before questions and behind refusals, however long the line.
func TestApprovalsGoBeforeQuestions(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		ctx, c := t.Context(), newClient()
		for n := range 5 {
			s.Put(iystest.Movement{BrandCode: brand.BrandCode, Recipient: sms(n, "").Recipient, RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY", Source: "HS_WEB", ConsentDate: time.Now().AddDate(0, 0, -1)})
		}
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		ask := func(what string, times int, f func(n int) error) {
			for n := range times {
				wg.Go(func() {
					if err := f(n); err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					order = append(order, what)
				})
			}
			synctest.Wait() // they stand in the line
		}
		ask("query", 60, func(int) error { _, err := c.Changes(ctx, brand, iysapi.ChangesByPerson, "", 10); return err })
		ask("ONAY", 30, func(n int) error { _, err := c.Add(ctx, brand, sms(100+n, iys.StatusApproved)); return err })
		ask("RET", 5, func(n int) error { _, err := c.Add(ctx, brand, sms(n, iys.StatusRejected)); return err })
		wg.Wait()
		last := func(what string) (at int) {
			for i, o := range order {
				if o == what {
					at = i
				}
			}
			return at
		}
		// What was under way when the others came may end first: ten calls a second.
		if ret, onay, query := last("RET"), last("ONAY"), last("query"); ret > 20 || onay > 50 || onay < ret || query < 90 {
			t.Errorf("the last RET ended as number %d, the last ONAY as %d, the last query as %d of 95", ret, onay, query)
		}
	})
}

func TestHourlyStatusBudget(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		ctx, c := t.Context(), newClient()
		s.Fail(iystest.Fault{Operation: "status", Status: 429, Code: "H086"})
		_, _, err := c.Status(ctx, brand, sms(1, "").Key)
		wantCode(t, err, "H086", iysapi.RetryWaitHour)
		_, _, err = c.Status(ctx, brand, sms(1, "").Key)
		wantCode(t, err, "H086", iysapi.RetryWaitHour)
		if got := s.Counters().ByOperation["status"]; got != 1 {
			t.Errorf("got %d calls, want 1", got)
		}
		pass(time.Hour)
		if _, _, err = c.Status(ctx, brand, sms(1, "").Key); err != nil {
			t.Errorf("an hour later: %v", err)
		}
		for n := range 101 {
			_, _, err := c.History(ctx, brand, sms(1, "").Key, 1, 0)
			if (err != nil) != (n == 100) {
				t.Fatalf("history call %d: %v", n, err)
			}
		}
	})
}

func TestChangesToTheEnd(t *testing.T) {
	for name, odd := range map[string]iystest.Oddities{"documented": {}, "odd": {AfterMillis: true, EmptyChanges: true}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
				s.SetOddities(odd)
				for n := range 25 {
					s.Citizen(brand.BrandCode, "MESAJ", "BIREYSEL", sms(n, "").Recipient, "ONAY", "")
				}
				pass(2 * time.Hour)
				s.Citizen(brand.BrandCode, "MESAJ", "TACIR", sms(99, "").Recipient, "RET", "IYS_AHS_HAT_KAPATMA")
				pass(2 * time.Hour)
				c, after, seen := newClient(), "", 0
				for {
					p, err := c.Changes(t.Context(), brand, iysapi.ChangesByPerson, after, 10)
					if err != nil {
						t.Fatal(err)
					}
					seen += len(p.Changes)
					after = p.After
					for _, ch := range p.Changes {
						if ch.Source == iys.SourceIYSLineClosed && !ch.ConsentDate.IsZero() {
							t.Error("a closed line got a consent date")
						}
						if ch.Brand != brand.BrandCode || ch.CreationDate.IsZero() || ch.Origin != iys.OriginPull {
							t.Errorf("got %+v", ch)
						}
					}
					if p.End {
						break
					}
				}
				if seen != 26 || after == "" {
					t.Errorf("got %d movements, cursor %q; want 26", seen, after)
				}
			})
		})
	}
}

func TestOperatorErrors(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		ctx, c := t.Context(), newClient()
		for _, colon := range []bool{false, true} {
			s.SetOddities(iystest.Oddities{CodeColon: colon, ErrorsObject: colon})
			_, err := c.Changes(ctx, iysapi.Brand{IYSCode: "999999", BrandCode: "999999"}, iysapi.ChangesByPerson, "", 10)
			wantCode(t, err, "H353", iysapi.RetryOperator)
		}
		for _, bad := range []iysapi.Brand{{}, {IYSCode: "1", BrandCode: "../2"}, {IYSCode: "a", BrandCode: "1"}} {
			if _, err := c.Add(ctx, bad, sms(1, iys.StatusApproved)); !errors.Is(err, iysapi.ErrInvalid) {
				t.Errorf("%+v: got %v, want ErrInvalid", bad, err)
			}
		}
		q := c.Quality()
		if got := s.Counters(); q.Failures != got.Failures || q.Calls != got.Requests {
			t.Errorf("quality: got %+v, want %d of %d", q, got.Failures, got.Requests)
		}
	})
}

func TestAccounts(t *testing.T) {
	for _, text := range []bool{false, true} {
		inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
			s.SetOddities(iystest.Oddities{StringCodes: text})
			s.Grant(iystest.SeedIntegrator, iystest.SeedSubBrand, "EPOSTA", "read")
			ctx, c := t.Context(), newClient()
			list, err := c.PartnerBrands(ctx, iystest.SeedIntegrator)
			if err != nil || len(list) != 3 {
				t.Fatalf("partner brands: %+v %v", list, err)
			}
			sub := list[1]
			if sub.BrandCode != iystest.SeedSubBrand || sub.IYSCode != iystest.SeedIYSCode || !sub.Writable[iys.ChannelSMS] ||
				sub.Writable[iys.ChannelEmail] || !sub.Granted[iys.ChannelEmail] || sub.Granted[iys.ChannelCall] {
				t.Errorf("got %+v", sub)
			}
			if one, err := c.PartnerProvider(ctx, iystest.SeedIntegrator, iystest.SeedOtherIYS); err != nil || len(one) != 1 {
				t.Errorf("partner provider: %+v %v", one, err)
			}
			s.Put(iystest.Movement{BrandCode: iystest.SeedIYSCode, Recipient: "+905321234567", RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY"})
			brands, err := c.Brands(ctx, iystest.SeedIYSCode)
			if err != nil || len(brands) != 2 || !brands[0].Master || brands[0].Approved != 1 || brands[0].Total != 1 {
				t.Errorf("brands: %+v %v", brands, err)
			}
			sn, err := c.Subscription(ctx, iystest.SeedIYSCode)
			if err != nil || sn.Status != "ACTIVE" || sn.ID == "" || sn.End.IsZero() {
				t.Errorf("subscription: %+v %v", sn, err)
			}
			if sn, err = c.PartnerSubscription(ctx, iystest.SeedIntegrator); err != nil || sn.Status != "ACTIVE" {
				t.Errorf("partner subscription: %+v %v", sn, err)
			}
		})
	}
}

func TestAHS(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, _ func() *iysapi.Client, _ *memTokens) {
		c, err := iysapi.NewAHS(iysapi.Config{URL: "http://127.0.0.1:1", Username: iystest.SeedAHS, Password: iystest.SeedPassword, HTTP: s.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		codes, err := c.Brands(ctx, iystest.SeedTIN)
		if err != nil || len(codes) != 1 || codes[0] != iystest.SeedIYSCode {
			t.Errorf("brands: %v %v", codes, err)
		}
		s.Citizen(brand.BrandCode, "MESAJ", "BIREYSEL", sms(1, "").Recipient, "ONAY", "")
		s.Citizen(brand.BrandCode, "MESAJ", "BIREYSEL", sms(2, "").Recipient, "RET", "")
		ask := []string{sms(1, "").Recipient, sms(2, "").Recipient, sms(3, "").Recipient}
		got, err := c.Approved(ctx, brand.BrandCode, iys.RecipientPerson, iys.ChannelSMS, ask)
		if err != nil || fmt.Sprint(got) != "[true false false]" {
			t.Errorf("got %v %v, want [true false false]", got, err)
		}
		if _, err := c.Approved(ctx, iystest.SeedOtherIYS, iys.RecipientPerson, iys.ChannelSMS, ask); iysapi.RetryOf(err) != iysapi.RetryOperator {
			t.Errorf("foreign brand: got %v", err)
		}
	})
}

// An intermediary may ask and do nothing else: the type has no other method, so that no caller can try.
func TestAHSCannotWrite(t *testing.T) {
	var have []string
	for _, m := range reflect.VisibleFields(reflect.TypeFor[iysapi.AHSClient]()) {
		if m.Anonymous {
			t.Errorf("%s is embedded: its methods would be the intermediary's", m.Name)
		}
	}
	typ := reflect.TypeFor[*iysapi.AHSClient]()
	for i := range typ.NumMethod() {
		have = append(have, typ.Method(i).Name)
	}
	if want := []string{"Approved", "Brands", "Quality"}; !slices.Equal(have, want) {
		t.Errorf("methods %v, want %v alone", have, want)
	}
}

func TestConfigRefuses(t *testing.T) {
	good := iysapi.Config{Username: "u", Password: "p"}
	if _, err := iysapi.New(good); err != nil {
		t.Errorf("good: %v", err)
	}
	for _, u := range []string{"http://api.iys.org.tr", "ftp://x", "https://", "https://u:p@host", "://"} {
		c := good
		c.URL = u
		if _, err := iysapi.New(c); !errors.Is(err, iysapi.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", u, err)
		}
	}
	if _, err := iysapi.NewAHS(iysapi.Config{Username: "u"}); !errors.Is(err, iysapi.ErrInvalid) {
		t.Errorf("no password: got %v", err)
	}
}

func TestNoAddressInErrorsAndLogs(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, _ func() *iysapi.Client, _ *memTokens) {
		var log strings.Builder
		c, err := iysapi.New(iysapi.Config{
			URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: iystest.SeedPassword, HTTP: s.Transport(),
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			t.Fatal(err)
		}
		bad := sms(1, iys.StatusApproved)
		bad.Recipient = "+90532"
		_, err = c.Add(t.Context(), brand, bad)
		wantCode(t, err, "H121", iysapi.RetryFinal)
		_, err2 := c.StatusMany(t.Context(), brand, iys.RecipientPerson, iys.ChannelSMS, []string{"+90532"})
		all := err.Error() + err2.Error() + log.String()
		if strings.Contains(all, "90532") || strings.Contains(all, iystest.SeedPassword) || !strings.Contains(log.String(), "iys call") {
			t.Errorf("got %s", all)
		}
	})
}

// pass lets the bubble's time pass.
func pass(d time.Duration) { <-time.After(d) }
