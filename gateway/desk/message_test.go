package desk_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// accept stores a batch of messages as intake does.
func accept(t *testing.T, o *office, to ...string) gateway.BatchRef {
	t.Helper()
	b := &gateway.Batch{Account: 1, ID: gateway.BatchIDAt(now), Channel: "sms", Class: "commercial", Brand: "675403", From: "ORNEK", Text: "x",
		Count: len(to), SendAt: now, ValidUntil: now.Add(gateway.DefaultValidity)}
	a := &gateway.Acceptance{Batch: *b, Credits: int64(len(to)), Segments: int64(len(to))}
	for i, n := range to {
		a.Recipients = append(a.Recipients, gateway.Recipient{Address: n, Segments: 1, State: gateway.StateQueued})
		a.Decisions = append(a.Decisions, gateway.Decision{Message: b.Ref().Message(uint32(i)), Kind: gateway.DecisionAccept, Verdict: "send", Rule: "consent_onay", At: now})
	}
	if _, err := o.AddCredits(ctx, desk.CreditEntry{Account: 1, Credits: 100, Note: "n"}); err != nil {
		t.Fatal(err)
	}
	if err := o.store.Accept(ctx, a); err != nil {
		t.Fatal(err)
	}
	return b.Ref()
}

func TestMessagesAndBatches(t *testing.T) {
	o := furnished(t)
	ref := accept(t, o, "+905321234567", "+905321234568", "+905321234569")
	id := ref.Message(1).String()
	if d := must[desk.MessageDetail](t)(o.Message(ctx, desk.Name{Name: id})); d.Message.To != "+905321234568" || len(d.Decisions) != 1 {
		t.Errorf("got %+v", d)
	}
	page := must[gateway.Page[gateway.MessageView]](t)(o.ListMessages(ctx, desk.MessageQuery{Account: 1, To: "0532 123 45 69"}))
	if len(page.Items) != 1 || page.Items[0].ID != ref.Message(2) {
		t.Errorf("got %+v", page.Items)
	}
	must[desk.Nothing](t)(o.CancelMessage(ctx, desk.Name{Name: id}))
	_, err := o.CancelMessage(ctx, desk.Name{Name: id})
	refused(t, err, gateway.CodeTooLate, "id", id)
	if v := must[gateway.BatchView](t)(o.PauseBatch(ctx, desk.Name{Name: ref.String()})); !v.Paused || v.States["cancelled"] != 1 {
		t.Errorf("got %+v", v)
	}
	if v := must[gateway.BatchView](t)(o.ResumeBatch(ctx, desk.Name{Name: ref.String()})); v.Paused {
		t.Errorf("got %+v", v)
	}
	if c := must[desk.Cancelled](t)(o.CancelBatch(ctx, desk.Name{Name: ref.String()})); c.Cancelled != 2 {
		t.Errorf("got %d, want the two that were left", c.Cancelled)
	}
	if v := must[gateway.BatchView](t)(o.Batch(ctx, desk.Name{Name: ref.String()})); !v.Cancelled || v.States["cancelled"] != 3 {
		t.Errorf("got %+v", v)
	}
	if r := must[desk.Report](t)(o.Verify(ctx, desk.Nothing{})); r.Messages != 3 || len(r.Problems) != 0 {
		t.Errorf("got %+v", r)
	}
	for _, what := range []string{"CancelMessage", "PauseBatch", "ResumeBatch", "CancelBatch"} {
		found := false
		for _, e := range o.entries {
			found = found || e.What == what
		}
		if !found {
			t.Errorf("%s was not reported", what)
		}
	}
}

func TestMessageRefusals(t *testing.T) {
	o := furnished(t)
	ref := accept(t, o, "+905321234567")
	_, err := o.Message(ctx, desk.Name{Name: "abc"})
	refused(t, err, gateway.CodeInvalid, "id", "26")
	_, err = o.Batch(ctx, desk.Name{Name: "abc"})
	refused(t, err, gateway.CodeInvalid, "id", "20")
	_, err = o.PauseBatch(ctx, desk.Name{Name: "abc"})
	refused(t, err, gateway.CodeInvalid, "id", "20")
	_, err = o.Message(ctx, desk.Name{Name: ref.Message(5).String()})
	refused(t, err, gateway.CodeNotFound, "message", "")
	_, err = o.ListMessages(ctx, desk.MessageQuery{Account: 1, State: "lost"})
	refused(t, err, gateway.CodeInvalid, "state", "delivered")
	_, err = o.ListMessages(ctx, desk.MessageQuery{Account: 2, Batch: ref})
	refused(t, err, gateway.CodeNotFound, "batch", ref.String())
	_, err = o.ListMessages(ctx, desk.MessageQuery{Account: 1, To: "nobody"})
	refused(t, err, gateway.CodeBadNumber, "to", "nobody")
	_, err = o.ListMessages(ctx, desk.MessageQuery{Account: 1, To: "a@b"})
	refused(t, err, gateway.CodeBadAddress, "to", "a@b")
	_, err = o.ListMessages(ctx, desk.MessageQuery{})
	refused(t, err, gateway.CodeInvalid, "account", "account list")
	_, err = open(t, func(d *desk.Deps) { d.Verify = nil }).Verify(ctx, desk.Nothing{})
	refused(t, err, gateway.CodeUnavailable, "", "verify")
}

// consents notes what reaches those who know consents.
type consents struct {
	gateway.ConsentDesk
	asked  string
	optOut gateway.OptOut
	fail   error
}

func (c *consents) Add(_ context.Context, p *gateway.Principal, list []gateway.Consent) ([]gateway.ConsentResult, error) {
	c.asked = p.Credential.ID
	for _, x := range list {
		c.asked += " " + x.Channel
	}
	return make([]gateway.ConsentResult, len(list)), c.fail
}

func (c *consents) Lookup(_ context.Context, p *gateway.Principal, brand, channel, recipientType, address string) (gateway.ConsentView, error) {
	c.asked = brand + " " + channel + " " + recipientType + " " + address
	if p.Account != 1 || !p.Credential.Has(gateway.ScopeConsents) || p.Credential.Has(gateway.ScopeSend) {
		return gateway.ConsentView{}, errors.New("wrong principal")
	}
	return gateway.ConsentView{Known: true}, c.fail
}

func (c *consents) OptOut(_ context.Context, o gateway.OptOut) error { c.optOut = o; return c.fail }

// blacklist is one in memory.
type blacklist map[string]desk.BlacklistEntry

func (b blacklist) Blacklist(_ context.Context, a gateway.AccountID, _ string, _ int) (p gateway.Page[desk.BlacklistEntry], err error) {
	for _, e := range b {
		if e.Account == a {
			p.Items = append(p.Items, e)
		}
	}
	return p, nil
}
func (b blacklist) Blacklisted(_ context.Context, _ gateway.AccountID, address string) (*desk.BlacklistEntry, error) {
	if e, ok := b[address]; ok {
		return &e, nil
	}
	return nil, nil
}
func (b blacklist) PutBlacklist(_ context.Context, e desk.BlacklistEntry) error {
	b[e.Address] = e
	return nil
}
func (b blacklist) DeleteBlacklist(_ context.Context, _ gateway.AccountID, address string) error {
	delete(b, address)
	return nil
}

func TestConsentsArePassedOn(t *testing.T) {
	c, list := &consents{}, blacklist{}
	o := furnished(t)
	deps := desk.Deps{Store: o.store, Consents: c, Blacklist: list}
	admin := desk.New(deps)
	q := desk.ConsentQuery{Account: 1, Brand: "675403", Channel: "sms", Address: "+905321234567"}
	if v := must[gateway.ConsentView](t)(admin.LookupConsent(ctx, q)); !v.Known || c.asked != "675403 MESAJ BIREYSEL +905321234567" {
		t.Errorf("got %+v, asked %q", v, c.asked)
	}
	two := []gateway.Consent{{Channel: "sms"}, {Channel: "EPOSTA"}}
	if r := must[[]gateway.ConsentResult](t)(admin.AddConsents(ctx, desk.ConsentInput{Account: 1, Consents: two})); len(r) != 2 || c.asked != "test ayse MESAJ EPOSTA" {
		t.Errorf("got %v, asked by %q", r, c.asked)
	}
	must[desk.Nothing](t)(admin.OptOut(ctx, gateway.OptOut{Account: 1, Brand: "675403", Channel: "email", Address: "a@example.com", Route: "panel"}))
	if c.optOut.Channel != "EPOSTA" || c.optOut.Route != "panel" {
		t.Errorf("got %+v", c.optOut)
	}
	for _, x := range []struct {
		f     func(*desk.ConsentQuery)
		code  gateway.Code
		field string
	}{
		{func(q *desk.ConsentQuery) { q.Brand = "700001" }, gateway.CodeBrand, "brand"},
		{func(q *desk.ConsentQuery) { q.Channel = "post" }, gateway.CodeInvalid, "channel"},
		{func(q *desk.ConsentQuery) { q.RecipientType = "KISI" }, gateway.CodeInvalid, "recipientType"},
		{func(q *desk.ConsentQuery) { q.Account = 9 }, gateway.CodeNotFound, "account"},
	} {
		_, err := admin.LookupConsent(ctx, with(q, x.f))
		refused(t, err, x.code, x.field, "")
	}
	must[desk.Nothing](t)(admin.PutBlacklist(ctx, desk.BlacklistEntry{Account: 1, Address: "0532 123 45 67", Note: "n"}))
	if p := must[gateway.Page[desk.BlacklistEntry]](t)(admin.ListBlacklist(ctx, desk.BlacklistQuery{Account: 1})); len(p.Items) != 1 || p.Items[0].Address != "+905321234567" || p.Items[0].At.IsZero() {
		t.Errorf("got %+v", p)
	}
	blacklistTrail(t, deps)
	must[desk.Nothing](t)(admin.DeleteBlacklist(ctx, desk.BlacklistEntry{Account: 1, Address: "05321234567"}))
	if len(list) != 0 {
		t.Errorf("got %v", list)
	}
	_, err := admin.PutBlacklist(ctx, desk.BlacklistEntry{Account: 1, Address: "444"})
	refused(t, err, gateway.CodeBadNumber, "to", "444")
}

// blind is a blacklist whose entries cannot be read.
type blind struct{ blacklist }

func (blind) Blacklisted(context.Context, gateway.AccountID, string) (*desk.BlacklistEntry, error) {
	return nil, errors.New("the disk broke")
}

// Nothing holds up a blacklisting: no other change that is under way, and no old entry that cannot be read.
func TestBlacklistWaitsForNothing(t *testing.T) {
	o, list := furnished(t), blacklist{}
	in := desk.BlacklistEntry{Account: 1, Address: "+905321234567"}
	var admin *desk.Admin
	deps := desk.Deps{Store: o.store, Blacklist: blind{list}, Audit: func(_ context.Context, e desk.Entry) {
		if e.What != "PutAccount" {
			return
		}
		done := make(chan error, 1)
		go func() {
			_, err := admin.PutBlacklist(ctx, in)
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil || len(list) != 1 {
				t.Errorf("the list has %v, %v", list, err)
			}
		case <-time.After(time.Minute):
			t.Error("the blacklisting waits for a change of an account")
		}
	}}
	admin = desk.New(deps)
	must[gateway.Account](t)(admin.PutAccount(ctx, gateway.Account{Name: "Üçüncü"})) // under way until the trail has it
	must[desk.Nothing](t)(admin.DeleteBlacklist(ctx, in))
	if len(list) != 0 {
		t.Errorf("the list still has %v", list)
	}
}

// Without a server those who know consents are not there; the refusal says what to do.
func TestConsentsNeedAServer(t *testing.T) {
	o := furnished(t)
	_, lookup := o.LookupConsent(ctx, desk.ConsentQuery{Account: 1, Brand: "675403", Channel: "sms"})
	_, add := o.AddConsents(ctx, desk.ConsentInput{Account: 1})
	_, out := o.OptOut(ctx, gateway.OptOut{Account: 1})
	_, list := o.ListBlacklist(ctx, desk.BlacklistQuery{Account: 1})
	_, put := o.PutBlacklist(ctx, desk.BlacklistEntry{Account: 1})
	_, del := o.DeleteBlacklist(ctx, desk.BlacklistEntry{Account: 1})
	for _, err := range []error{lookup, add, out, list, put, del} {
		refused(t, err, gateway.CodeUnavailable, "", "The server must be running")
	}
}

// The trail tells why an address came onto the list, changed its note and went, and shows no whole address.
func blacklistTrail(t *testing.T, deps desk.Deps) {
	t.Helper()
	var trail []desk.Entry
	deps.Audit = func(_ context.Context, e desk.Entry) { trail = append(trail, e) }
	admin := desk.New(deps)
	e := desk.BlacklistEntry{Account: 1, Address: "0532 765 43 21", Note: "asked for by phone"}
	must[desk.Nothing](t)(admin.PutBlacklist(ctx, e))
	e.Note = "and in writing"
	must[desk.Nothing](t)(admin.PutBlacklist(ctx, e))
	e.Note = "wants it back"
	must[desk.Nothing](t)(admin.DeleteBlacklist(ctx, e))
	if len(trail) != 3 || string(trail[0].Before) != "null" || !strings.Contains(string(trail[0].After), `"note":"asked for by phone"`) ||
		!strings.Contains(string(trail[1].Before), "by phone") || !strings.Contains(string(trail[1].After), "in writing") ||
		!strings.Contains(string(trail[2].Before), "in writing") || string(trail[2].After) != "null" || !strings.HasSuffix(trail[2].Target, ": wants it back") {
		t.Errorf("the trail: %+v", trail)
	}
	for _, x := range trail {
		if all := string(x.Before) + string(x.After) + x.Target; strings.Contains(all, "7654321") || !strings.Contains(all, "+90532*****21") {
			t.Errorf("%s shows %s", x.What, all)
		}
	}
}
