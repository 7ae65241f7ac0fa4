package iysapi_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

// receiver takes pushes the way a gateway must: Basic authentication, an
// answer within five seconds.
type receiver struct {
	mu     sync.Mutex
	bodies [][]byte
	open   bool          // does not authenticate
	slow   time.Duration // before it answers
	refuse int           // so many calls are answered 503
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	answer := func(status int) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if r.slow > 0 {
		select {
		case <-time.After(r.slow):
		case <-req.Context().Done():
			return nil, context.DeadlineExceeded
		}
	}
	user, password, _ := req.BasicAuth()
	if !r.open && (user != "u" || password != "p") {
		return answer(401)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse > 0 {
		r.refuse--
		return answer(503)
	}
	r.bodies = append(r.bodies, body)
	return answer(200)
}

func pushWorld(t *testing.T, r *receiver, f func(t *testing.T, s *iystest.Sim, c *iysapi.Client)) {
	t.Helper()
	inBubble(t, func(t *testing.T, _ *iystest.Sim, _ func() *iysapi.Client, _ *memTokens) {
		s := iystest.New(iystest.Config{Push: iystest.PushConfig{Transport: r}})
		s.Seed()
		c, err := iysapi.New(iysapi.Config{URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: iystest.SeedPassword, HTTP: s.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		f(t, s, c)
	})
}

func TestPushRegistration(t *testing.T) {
	good := iysapi.PushConnection{URL: "https://push.example/iys", Channel: iys.ChannelSMS, Username: "u", Password: "p"}
	for name, c := range map[string]struct {
		r    *receiver
		edit func(*iysapi.PushConnection)
		code string // "local": refused before İYS is asked
	}{
		"good":                 {},
		"plain http":           {edit: func(p *iysapi.PushConnection) { p.URL = "http://push.example/iys" }, code: "local"},
		"no password":          {edit: func(p *iysapi.PushConnection) { p.Password = "" }, code: "local"},
		"unknown channel":      {edit: func(p *iysapi.PushConnection) { p.Channel = "FAX" }, code: "local"},
		"open to everybody":    {r: &receiver{open: true}, code: "H530"},
		"another password":     {edit: func(p *iysapi.PushConnection) { p.Password = "q" }, code: "H530"},
		"slower than 5 s":      {r: &receiver{slow: 6 * time.Second}, code: "H191"},
		"refuses the test":     {r: &receiver{refuse: 1}, code: "H530"},
		"slow, but not by far": {r: &receiver{slow: 4 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			pushWorld(t, cmp.Or(c.r, &receiver{}), func(t *testing.T, s *iystest.Sim, client *iysapi.Client) {
				p := good
				if c.edit != nil {
					c.edit(&p)
				}
				err := client.RegisterPush(t.Context(), brand, p)
				if c.code == "local" {
					if !errors.Is(err, iysapi.ErrInvalid) || s.Counters().Requests > 0 {
						t.Errorf("got %v after %d requests, want a refusal of our own", err, s.Counters().Requests)
					}
					return
				}
				if c.code != "" {
					wantCode(t, err, c.code, iysapi.RetryFinal)
					return
				}
				list, err2 := client.PushRegistrations(t.Context(), brand)
				if err != nil || err2 != nil || len(list) != 1 || !list[0].Connected || list[0].URL != p.URL || list[0].Registered.IsZero() {
					t.Errorf("got %v, %+v %v", err, list, err2)
				}
				if err := client.UnregisterPush(t.Context(), brand, p); err != nil {
					t.Error(err)
				}
				if list, err = client.PushRegistrations(t.Context(), brand); err != nil || len(list) != 0 {
					t.Errorf("after unregistration: %+v %v", list, err)
				}
			})
		})
	}
}

// What the simulator pushes is what DecodePush reads; failures are tried again,
// a third connection of a channel is refused.
func TestPushDelivery(t *testing.T) {
	r := &receiver{}
	pushWorld(t, r, func(t *testing.T, s *iystest.Sim, c *iysapi.Client) {
		for i, want := range []string{"", "", "H530"} {
			err := c.RegisterPush(t.Context(), brand, iysapi.PushConnection{
				URL: fmt.Sprintf("https://push.example/%d", i), Channel: iys.ChannelSMS, Username: "u", Password: "p"})
			if want == "" && err != nil {
				t.Fatal(err)
			} else if want != "" {
				wantCode(t, err, want, iysapi.RetryFinal)
			}
		}
		r.bodies, r.refuse = nil, 2
		m := s.Citizen(brand.BrandCode, "MESAJ", "BIREYSEL", sms(1, "").Recipient, "ONAY", "")
		s.Citizen(brand.BrandCode, "EPOSTA", "BIREYSEL", "a@bb.cc", "ONAY", "") // nobody listens
		s.Put(iystest.Movement{BrandCode: brand.BrandCode, Type: "MESAJ", RecipientType: "BIREYSEL", Recipient: sms(2, "").Recipient, Status: "ONAY", Source: "HS_WEB", ConsentDate: time.Now()})
		if n := s.Push(t.Context()); n != 2 || len(r.bodies) != 2 {
			t.Fatalf("pushed %d movements in %d calls, want one to each connection", n, len(r.bodies))
		}
		got, err := iysapi.DecodePush(r.bodies[0])
		if err != nil || len(got) != 1 || got[0].TransactionID != m.TransactionID || got[0].CitizenName == "" || got[0].Brand != brand.BrandCode {
			t.Errorf("got %+v %v", got, err)
		}
	})
}

func TestRetailers(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		c, ctx := newClient(), t.Context()
		r := iysapi.Retailer{Title: "XYZ Ticaret", Name: "Adım Soyadım", TCKN: "10000000146", TIN: "1234567890",
			City: iysapi.Place{Code: 34, Name: "İstanbul"}, Town: iysapi.Place{Code: 3, Name: "Kadıköy"}, Mobile: "+905325001111"}
		code, err := c.AddRetailer(ctx, brand, r)
		if err != nil || code < 10_000_000 || code > 99_999_999 {
			t.Fatalf("got %d %v, want 8 digits", code, err)
		}
		_, err = c.AddRetailer(ctx, brand, r)
		wantCode(t, err, "H231", iysapi.RetryFinal)
		if _, err = c.AddRetailer(ctx, brand, iysapi.Retailer{Title: "x"}); !errors.Is(err, iysapi.ErrInvalid) {
			t.Errorf("without fields: %v", err)
		}
		bad := r
		bad.TCKN = "123"
		_, err = c.AddRetailer(ctx, brand, bad)
		wantCode(t, err, "H226", iysapi.RetryFinal)
		list, err := c.Retailers(ctx, brand)
		if err != nil || len(list) != 2 {
			t.Errorf("list: %+v %v", list, err)
		}
		one, ok, err := c.Retailer(ctx, brand, code)
		if err != nil || !ok || one.Title != r.Title || one.City != r.City || one.Status != "active" {
			t.Errorf("one: %+v %t %v", one, ok, err)
		}
		if _, ok, err = c.Retailer(ctx, brand, 11111111); ok || err != nil {
			t.Errorf("unknown: %t %v, want none", ok, err)
		}

		// Access to a consent.
		s.Citizen(brand.BrandCode, "MESAJ", "BIREYSEL", sms(1, "").Recipient, "ONAY", "")
		k := sms(1, "").Key
		if err := c.GrantAccess(ctx, brand, k, []int{code, iystest.SeedRetailer}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, c.GrantAccess(ctx, brand, sms(9, "").Key, []int{code}), "H401", iysapi.RetryFinal)
		wantCode(t, c.GrantAccess(ctx, brand, k, []int{99999999}), "H180", iysapi.RetryFinal)
		access := func(want int) {
			t.Helper()
			if got, err := c.AccessList(ctx, brand, k); err != nil || len(got) != want {
				t.Errorf("access: %+v %v, want %d", got, err, want)
			}
		}
		access(2)
		err = c.DeleteRetailer(ctx, brand, code)
		wantCode(t, err, "H061", iysapi.RetryAgain)
		a := iysapi.Access{Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipients: []string{k.Recipient}, Retailers: []int{code}}
		if err := c.RemoveAccess(ctx, brand, a); err != nil {
			t.Fatal(err)
		}
		access(1)
		if err := c.ReplaceAccess(ctx, brand, a); err != nil {
			t.Fatal(err)
		}
		access(1)
		if err := c.RemoveAllAccess(ctx, brand, a); err != nil {
			t.Fatal(err)
		}
		access(0)
		a.Recipients = make([]string, 101)
		if err := c.RemoveAccess(ctx, brand, a); !errors.Is(err, iysapi.ErrInvalid) {
			t.Errorf("101 addresses: %v", err)
		}
		if err := c.DeleteRetailer(ctx, brand, code); err != nil {
			t.Error(err)
		}
		wantCode(t, c.DeleteRetailer(ctx, brand, code), "H058", iysapi.RetryOperator)
	})
}

func TestInfo(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		c, ctx := newClient(), t.Context()
		cities, err := c.Cities(ctx)
		towns, err2 := c.Towns(ctx)
		if err != nil || err2 != nil || len(cities) == 0 || len(towns) == 0 {
			t.Fatalf("%v %v %v %v", cities, err, towns, err2)
		}
		if p, ok, err := c.Town(ctx, 3); err != nil || !ok || p != (iysapi.Place{Code: 3, Name: "Kadıköy", City: 34}) {
			t.Errorf("town 3: %+v %t %v, want Kadıköy in 34", p, ok, err)
		}
		if p, ok, err := c.City(ctx, 34); err != nil || !ok || p.Name != "İstanbul" {
			t.Errorf("city 34: %+v %t %v", p, ok, err)
		}
		if _, ok, err := c.Town(ctx, 99999); err != nil || ok {
			t.Errorf("unknown town: %t %v", ok, err)
		}
	})
}

// The hash İYS names is that of the file it hands out, and agreeing brings a
// time stamp.
func TestReconciliationCalls(t *testing.T) {
	for _, spelled := range []bool{false, true} {
		inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
			s.SetOddities(iystest.Oddities{AgreementSpelled: spelled})
			c, ctx, day := newClient(), t.Context(), time.Now()
			_, _, err := c.Agreement(ctx, brand, day)
			wantCode(t, err, "H502", iysapi.RetryFinal) // today
			s.Citizen(brand.BrandCode, "MESAJ", "BIREYSEL", sms(1, "").Recipient, "ONAY", "")
			pass(time.Second)
			s.Citizen(brand.BrandCode, "MESAJ", "BIREYSEL", sms(1, "").Recipient, "RET", "")
			pass(24 * time.Hour)
			ag, ok, err := c.Agreement(ctx, brand, day)
			if err != nil || !ok || ag.Process != iysapi.AgreementCompleted || len(ag.Hash) != 96 || ag.Agreed {
				t.Fatalf("agreement: %+v %t %v", ag, ok, err)
			}
			var file, proof bytes.Buffer
			if ok, err := c.DayFile(ctx, brand, day, &file); err != nil || !ok {
				t.Fatal(ok, err)
			}
			sum := sha512.Sum384(file.Bytes())
			if hex.EncodeToString(sum[:]) != ag.Hash || strings.Count(file.String(), "\n") != 3 {
				t.Errorf("file %q does not have the hash %s", file.String(), ag.Hash)
			}
			stats, err := c.DaySummary(ctx, brand, day, iys.RecipientPerson)
			if err != nil || len(stats) != 1 || stats[0] != (iysapi.Summary{Channel: iys.ChannelSMS, Source: iysapi.ChangesByPerson, Approved: 1, Rejected: 1, Total: 2}) {
				t.Errorf("summary: %+v %v", stats, err)
			}
			if ok, err := c.Timestamp(ctx, brand, day, &proof); err != nil || ok || proof.Len() > 0 {
				t.Errorf("time stamp before agreement: %t %v", ok, err)
			}
			if ok, err := c.Agree(ctx, brand, day); err != nil || !ok || !s.Agreed(brand.BrandCode, day) {
				t.Fatal(ok, err)
			}
			if ok, err := c.Timestamp(ctx, brand, day, &proof); err != nil || !ok || proof.Len() == 0 {
				t.Errorf("time stamp: %t %v", ok, err)
			}
			empty := day.AddDate(0, 0, -3)
			if _, ok, err := c.Agreement(ctx, brand, empty); ok || err != nil {
				t.Errorf("a day without movements: %t %v", ok, err)
			}
			if ok, err := c.Agree(ctx, brand, empty); ok || err != nil {
				t.Errorf("agreeing to nothing: %t %v", ok, err)
			}
			if ok, err := c.DayFile(ctx, brand, empty, &file); ok || err != nil {
				t.Errorf("file of nothing: %t %v", ok, err)
			}
			_, err = c.DayFile(ctx, brand, day.AddDate(0, 0, -8), &file)
			wantCode(t, err, "H502", iysapi.RetryFinal)
		})
	}
}

func TestVia(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		c, ctx := newClient(), t.Context()
		v := iysapi.ViaStart{FormID: iystest.SeedForm, Recipient: sms(1, "").Recipient, Verification: iysapi.ViaSMSCode,
			BrandCodes: []string{brand.BrandCode}, Channels: []iys.Channel{iys.ChannelSMS, iys.ChannelCall}, RecipientType: iys.RecipientPerson}
		id, err := c.StartVia(ctx, brand.IYSCode, v)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := c.ViaState(ctx, brand.IYSCode, id); err != nil || st.Stage != "CONSENT_REQUESTED" {
			t.Errorf("state: %+v %v", st, err)
		}
		_, err = c.CompleteVia(ctx, brand.IYSCode, id, iysapi.ViaSMSCode, iysapi.ViaCodes{Messages: "1234567"})
		wantCode(t, err, "H1052", iysapi.RetryFinal)
		got, err := c.CompleteVia(ctx, brand.IYSCode, id, iysapi.ViaSMSCode, iysapi.ViaCodes{Messages: s.ViaCode(id)})
		if err != nil || len(got) != 2 || got[0].TransactionID == "" || got[0].Brand != brand.BrandCode {
			t.Fatalf("complete: %+v %v", got, err)
		}
		if st, err := c.ViaState(ctx, brand.IYSCode, id); err != nil || len(st.Consents) != 2 {
			t.Errorf("state: %+v %v", st, err)
		} else if done, stored := st.Done(); !done || !stored {
			t.Errorf("state: %+v, want done and stored", st)
		}
		var zip bytes.Buffer
		if err := c.ViaEvidence(ctx, brand.IYSCode, id, &zip); err != nil || zip.Len() == 0 {
			t.Errorf("evidence: %v", err)
		}

		id, err = c.StartVia(ctx, brand.IYSCode, v)
		if err != nil {
			t.Fatal(err)
		}
		pass(4 * time.Minute)
		_, err = c.CompleteVia(ctx, brand.IYSCode, id, iysapi.ViaSMSCode, iysapi.ViaCodes{Messages: "123456"})
		wantCode(t, err, "H1051", iysapi.RetryFinal)
		wantCode(t, c.ViaEvidence(ctx, brand.IYSCode, id, &zip), "H1072", iysapi.RetryFinal)

		v.Verification = iysapi.ViaSMSLink
		if id, err = c.StartVia(ctx, brand.IYSCode, v); err != nil || !s.ViaClick(id) {
			t.Fatal(err)
		}
		if st, err := c.ViaState(ctx, brand.IYSCode, id); err != nil || st.Status != "SUCCESS" {
			t.Errorf("after the click: %+v %v", st, err)
		}
		v.FormID = "77"
		_, err = c.StartVia(ctx, brand.IYSCode, v)
		wantCode(t, err, "H1000", iysapi.RetryOperator)
		v.Channels = []iys.Channel{iys.ChannelSMS, iys.ChannelEmail}
		if _, err = c.StartVia(ctx, brand.IYSCode, v); !errors.Is(err, iysapi.ErrInvalid) {
			t.Errorf("SMS and e-mail together: %v", err)
		}
	})
}

// Consent to messages and to the use of personal data are taken in one go, with a code each, and told apart afterwards.
func TestViaPrivacy(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		c, ctx := newClient(), t.Context()
		v := iysapi.ViaStart{FormID: iystest.SeedForm, Recipient: sms(1, "").Recipient, Verification: iysapi.ViaSMSCode, BrandCodes: []string{brand.BrandCode},
			Channels: []iys.Channel{iys.ChannelSMS}, RecipientType: iys.RecipientPerson, Privacy: &iysapi.ViaPrivacy{Types: []string{iysapi.ViaNotice, iysapi.ViaAbroad}, Name: "Ad Soyad"}}
		id, err := c.StartVia(ctx, brand.IYSCode, v)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := c.PrivacyRequest(ctx, brand.IYSCode, id); err != nil || len(p.Answers) != 2 || p.Answers[0].Given || p.Status != "PENDING" {
			t.Errorf("before the answer: %+v %v", p, err)
		}
		_, err = c.CompleteVia(ctx, brand.IYSCode, id, iysapi.ViaSMSCode, iysapi.ViaCodes{Messages: s.ViaCode(id)})
		wantCode(t, err, "H1052", iysapi.RetryFinal) // the other code is missing
		got, err := c.CompleteVia(ctx, brand.IYSCode, id, iysapi.ViaSMSCode, iysapi.ViaCodes{Messages: s.ViaCode(id), Privacy: s.ViaPrivacyCode(id)})
		if err != nil || len(got) != 1 {
			t.Fatalf("complete: %+v %v", got, err)
		}
		if p, err := c.PrivacyRequest(ctx, brand.IYSCode, id); err != nil || len(p.Answers) != 2 || !p.Answers[1].Given || p.Answers[1].At.IsZero() || p.Recipient != v.Recipient {
			t.Errorf("after the answer: %+v %v", p, err)
		}
		if st, err := c.ViaState(ctx, brand.IYSCode, id); err != nil || len(st.Consents) != 1 {
			t.Errorf("state: %+v %v", st, err)
		}
		pass(time.Second)
		v.Channels, v.BrandCodes, v.RecipientType = nil, nil, "" // KVK alone
		second, err := c.StartVia(ctx, brand.IYSCode, v)
		if err != nil {
			t.Fatal(err)
		}
		if ids, err := c.PrivacyRequests(ctx, brand.IYSCode, iysapi.ViaNotice, v.Recipient); err != nil || !slices.Equal(ids, []string{id, second}) {
			t.Errorf("requests: %v %v, want %s and %s", ids, err, id, second)
		}
		if ids, err := c.PrivacyRequests(ctx, brand.IYSCode, iysapi.ViaExplicit, v.Recipient); err != nil || len(ids) != 0 {
			t.Errorf("a text nobody was asked for: %v %v", ids, err)
		}
		if _, err := c.CompleteVia(ctx, brand.IYSCode, second, iysapi.ViaSMSCode, iysapi.ViaCodes{Privacy: s.ViaPrivacyCode(second)}); err != nil {
			t.Errorf("KVK alone: %v", err)
		}
		_, err = c.PrivacyRequest(ctx, brand.IYSCode, "00000000-0000-0000-0000-000000000000")
		wantCode(t, err, "H1030", iysapi.RetryFinal)
		if _, err := c.PrivacyRequests(ctx, brand.IYSCode, "ETK", v.Recipient); !errors.Is(err, iysapi.ErrInvalid) {
			t.Errorf("a text there is not: %v", err)
		}
		v.Privacy = &iysapi.ViaPrivacy{Types: []string{iysapi.ViaNotice}}
		if _, err := c.StartVia(ctx, brand.IYSCode, v); !errors.Is(err, iysapi.ErrInvalid) {
			t.Errorf("KVK without a name: %v", err)
		}
	})
}

func TestRejectLinks(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		c := newClient()
		s.Citizen(brand.BrandCode, "EPOSTA", "BIREYSEL", "ok@bb.cc", "ONAY", "")
		got, err := c.RejectLinks(t.Context(), brand, iys.RecipientPerson, []string{"ok@bb.cc", "no@bb.cc"})
		if err != nil || len(got) != 2 || !strings.Contains(got[0].URL, "/RET/") || got[1].Code != "H568" || got[1].URL != "" {
			t.Fatalf("got %+v %v", got, err)
		}
		req, _ := http.NewRequest("GET", got[0].URL, nil)
		if res, err := s.Transport().RoundTrip(req); err != nil || res.StatusCode != 200 {
			t.Fatal(err, res)
		}
		if m, _ := s.Stored(brand.BrandCode, "EPOSTA", "BIREYSEL", "ok@bb.cc"); m.Status != "RET" || m.Source != "IYS_EPOSTA" {
			t.Errorf("after the click: %+v", m)
		}
		if _, err := c.RejectLinks(t.Context(), brand, iys.RecipientPerson, make([]string, 101)); !errors.Is(err, iysapi.ErrInvalid) {
			t.Errorf("101 addresses: %v", err)
		}
	})
}
