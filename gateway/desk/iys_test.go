package desk_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/iyslink"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/reconcile"
)

// iysFake answers for the traffic with İYS; what a test does not set panics.
type iysFake struct {
	desk.IYSOffice
	rights *iysapi.PartnerBrand
	err    error
	aged   exchange.Aged
	asked  int
	by     string

	read    iyslink.BrandRights // what İYS says when it is asked
	readErr error
	back    []iys.Channel // reclaimed
	backErr error

	readOnly func(iys.Channel) bool // the brand as it is stored; nil: any
}

func (f *iysFake) RightsOf(string) (iyslink.BrandRights, bool, error) {
	return f.read, f.read.Brand != "", nil
}
func (f *iysFake) ReadRights(context.Context, string) (iyslink.BrandRights, error) {
	return f.read, f.readErr
}
func (f *iysFake) Reclaim(_ context.Context, _ string, ch iys.Channel) (int, error) {
	if f.readOnly != nil && f.readOnly(ch) {
		return 0, errors.New("taken back before the brand counts as writable: what comes in meanwhile stays owed")
	}
	if f.backErr == nil {
		f.back = append(f.back, ch)
	}
	return 1, f.backErr
}

func (f *iysFake) Rights(_ context.Context, link string, iysCode int, brand string) (*iysapi.PartnerBrand, error) {
	f.asked++
	return f.rights, f.err
}
func (f *iysFake) Aged(context.Context, time.Time, int) (exchange.Aged, error) { return f.aged, f.err }
func (f *iysFake) States(context.Context) ([]exchange.BrandState, error) {
	return []exchange.BrandState{{Brand: "675403", Stale: true}, {Brand: "999999"}}, nil
}
func (f *iysFake) Records(gateway.AccountID) ([]iyslink.PushRecord, error) {
	return []iyslink.PushRecord{{Brand: "675403", Channel: iys.ChannelSMS}}, nil
}
func (f *iysFake) Apply(_ context.Context, id uint64, _ []int, by string) (reconcile.Plan, reconcile.Day, error) {
	f.by = by
	if id != 7 {
		return reconcile.Plan{}, reconcile.Day{}, reconcile.ErrNoPlan
	}
	return reconcile.Plan{ID: id, State: reconcile.Applied}, reconcile.Day{Result: reconcile.Agreed}, nil
}

func codeOf(err error) gateway.Code {
	var e *gateway.Error
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Code
}

// What İYS lets us do as a brand's partner is read when the brand is entered: nothing is promised that İYS would refuse.
func TestPartnerRights(t *testing.T) {
	grant := func(sms, email string) *iysapi.PartnerBrand {
		return &iysapi.PartnerBrand{Granted: map[iys.Channel]bool{iys.ChannelSMS: sms != "", iys.ChannelEmail: email != ""},
			Writable: map[iys.Channel]bool{iys.ChannelSMS: sms == "write", iys.ChannelEmail: email == "write"}}
	}
	for name, c := range map[string]struct {
		integrator int
		rights     *iysapi.PartnerBrand
		err        error
		code       gateway.Code
		text       string
		readOnly   bool
	}{
		"write":                  {integrator: 700001, rights: grant("write", "write")},
		"read":                   {integrator: 700001, rights: grant("read", ""), readOnly: true},
		"not this channel":       {integrator: 700001, rights: grant("", "write"), code: gateway.CodeInvalid, text: "Marka Yönetimi"},
		"not this brand":         {integrator: 700001, code: gateway.CodeInvalid, text: "675403"},
		"refused by İYS":         {integrator: 700001, err: &iysapi.APIError{Detail: iysapi.Detail{Code: "H031", Index: -1}, Retry: iysapi.RetryOperator}, code: gateway.CodeInvalid, text: "H031"},
		"İYS does not answer":    {integrator: 700001, err: errors.New("connection refused")},
		"an API user of its own": {},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			fake := &iysFake{rights: c.rights, err: c.err}
			admin := desk.New(desk.Deps{Store: d.store, IYS: fake})
			acc, err := admin.PutAccount(ctx, gateway.Account{Name: "a", IYSCode: 675403})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := admin.PutIYSLink(ctx, desk.IYSLinkInput{Password: "p", Link: gateway.IYSLink{Name: "main", BaseURL: "http://127.0.0.1:1", Username: "u", IntegratorCode: c.integrator}}); err != nil {
				t.Fatal(err)
			}
			b, err := admin.PutBrand(ctx, gateway.Brand{Code: "675403", Account: acc.ID, Name: "b", IYS: "main", SMS: gateway.BrandMode{Mode: "partner"}})
			if codeOf(err) != c.code || c.code != "" && !strings.Contains(err.Error()+textOf(err), c.text) {
				t.Fatalf("got %v, want %q with %q", err, c.code, c.text)
			}
			if c.code == "" && b.SMS.ReadOnly != c.readOnly {
				t.Errorf("read only %t, want %t", b.SMS.ReadOnly, c.readOnly)
			}
			if (fake.asked > 0) != (c.integrator != 0) {
				t.Errorf("asked %d times", fake.asked)
			}
		})
	}
}

func textOf(err error) string {
	var e *gateway.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return ""
}

// The administration of İYS needs a server, masks addresses, and keeps to the account asked for.
func TestIYSAdministration(t *testing.T) {
	d := open(t)
	bare := desk.New(desk.Deps{Store: d.store})
	if _, err := bare.IYSStatus(ctx, desk.Query{}); codeOf(err) != gateway.CodeUnavailable {
		t.Errorf("without a server: %v", err)
	}
	fake := &iysFake{}
	admin := desk.New(desk.Deps{Store: d.store, IYS: fake})
	acc, err := admin.PutAccount(ctx, gateway.Account{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutBrand(ctx, gateway.Brand{Code: "675403", Account: acc.ID, Name: "b"}); err != nil {
		t.Fatal(err)
	}
	e := func(id uint64, brand string) exchange.Entry {
		return exchange.Entry{ID: id, Key: iys.Key{Brand: brand, Recipient: "+905321234567"}, State: exchange.StateOwed}
	}
	fake.aged = exchange.Aged{Late: []exchange.Entry{e(1, "675403"), e(2, "999999")}, Warning: []exchange.Entry{e(3, "675403")}}
	list, err := admin.ListOutbox(ctx, desk.OutboxQuery{})
	if err != nil || len(list) != 2 || !list[0].Late || list[1].Late || strings.Contains(list[0].Address, "1234") {
		t.Errorf("outbox %+v %v", list, err)
	}
	if list, err = admin.ListOutbox(ctx, desk.OutboxQuery{Late: true}); err != nil || len(list) != 1 {
		t.Errorf("late %+v %v", list, err)
	}
	if list, err = admin.ListOutbox(ctx, desk.OutboxQuery{Account: acc.ID + 1}); err != nil || len(list) != 0 {
		t.Errorf("another account's %+v %v", list, err)
	}
	if st, err := admin.IYSStatus(ctx, desk.Query{Account: acc.ID}); err != nil || len(st) != 1 || !st[0].Stale || len(st[0].Push) != 1 {
		t.Errorf("status %+v %v", st, err)
	}
	who := desk.WithActor(ctx, "cli ayse")
	if out, err := admin.ChangePlan(who, desk.PlanAct{ID: 7, Act: "apply"}); err != nil || out.Plan.State != reconcile.Applied || fake.by != "cli ayse" {
		t.Errorf("apply: %+v %v by %q", out, err, fake.by)
	}
	for want, act := range map[gateway.Code]desk.PlanAct{gateway.CodeNotFound: {ID: 8, Act: "apply"}, gateway.CodeInvalid: {ID: 7, Act: "burn"}} {
		if _, err := admin.ChangePlan(who, act); codeOf(err) != want {
			t.Errorf("%+v: %v, want %s", act, err, want)
		}
	}
	if _, err := admin.ReconcileDay(ctx, desk.DayQuery{Brand: "675403", Date: "20.11.2026"}); codeOf(err) != gateway.CodeConflict {
		t.Errorf("a day that is none: %v", err)
	}
	if _, err := admin.ReconcileDay(ctx, desk.DayQuery{Brand: "1", Date: "2026-11-20"}); codeOf(err) != gateway.CodeNotFound {
		t.Errorf("a brand that is none: %v", err)
	}
	if _, err := admin.PutPush(ctx, desk.PushInput{Brand: "675403", Channel: "fax", URL: "https://x"}); codeOf(err) != gateway.CodeInvalid {
		t.Errorf("a channel that is none: %v", err)
	}
}
