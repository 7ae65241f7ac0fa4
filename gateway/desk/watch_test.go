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

// fakeLanes remembers what was paused.
type fakeLanes struct {
	paused map[gateway.Lane]bool
	fail   error
}

func (f *fakeLanes) Lanes() (out []desk.LaneView) {
	for l := range gateway.Lane(gateway.Lanes) {
		out = append(out, desk.LaneView{Lane: l.String(), Paused: f.paused[l]})
	}
	return out
}

func (f *fakeLanes) PauseLane(_ context.Context, l gateway.Lane, paused bool) error {
	if f.fail == nil {
		f.paused[l] = paused
	}
	return f.fail
}

func TestPauseLane(t *testing.T) {
	f := &fakeLanes{paused: map[gateway.Lane]bool{}}
	o := open(t, func(d *desk.Deps) { d.Lanes = f })
	list, err := o.PauseLane(ctx, desk.LanePause{Lane: "commercial", Paused: true})
	if err != nil || !list[gateway.LaneCommercial].Paused || list[gateway.LaneOTP].Paused {
		t.Errorf("got %+v, %v; want the commercial lane paused alone", list, err)
	}
	if n := len(o.entries); n != 1 || o.entries[0].What != "PauseLane" || o.entries[0].Target != "lane commercial" {
		t.Errorf("trail %+v", o.entries)
	}
	for _, name := range []string{"", "Commercial", "sms"} {
		_, err := o.PauseLane(ctx, desk.LanePause{Lane: name})
		refused(t, err, gateway.CodeInvalid, "lane", "choose otp, transactional or commercial")
	}
	f.fail = errors.New("disk")
	if _, err := o.PauseLane(ctx, desk.LanePause{Lane: "commercial"}); err == nil || !f.paused[gateway.LaneCommercial] || len(o.entries) != 1 {
		t.Errorf("a pause that could not be kept = %v, trail %d", err, len(o.entries))
	}
	_, err = open(t).ListLanes(ctx, desk.Nothing{})
	refused(t, err, gateway.CodeUnavailable, "", "server must be running")
}

func TestReplayEvents(t *testing.T) {
	var told []gateway.AccountID
	o := open(t, func(d *desk.Deps) {
		d.Replayed = func(a gateway.AccountID) { told = append(told, a) }
	})
	must[gateway.Account](t)(o.PutAccount(ctx, gateway.Account{Name: "Örnek A.Ş."}))
	_, err := o.ReplayEvents(ctx, desk.Replay{Account: 1})
	refused(t, err, gateway.CodeConflict, "account", "no webhook")
	must[gateway.WebhookView](t)(o.PutWebhook(ctx, desk.WebhookInput{Account: 1, URL: "https://example.com/hook"}))
	if err := o.store.OweEvent(ctx, 1, "inbound", map[string]string{"from": "+905321234567"}); err != nil {
		t.Fatal(err)
	}
	page := must[gateway.Page[gateway.Event]](t)(o.ListEvents(ctx, desk.EventQuery{Account: 1}))
	if len(page.Items) != 1 || page.Items[0].Type != "inbound" {
		t.Fatalf("events %+v", page.Items)
	}
	done := must[desk.Replayed](t)(o.ReplayEvents(ctx, desk.Replay{Account: 1, IDs: []string{page.Items[0].ID}}))
	if last := o.entries[len(o.entries)-1]; done.Events != 1 || len(told) != 1 || last.What != "ReplayEvents" {
		t.Errorf("%+v, told %v, trail %+v", done, told, last)
	}
	must[gateway.WebhookView](t)(o.PutWebhook(ctx, desk.WebhookInput{Account: 1, URL: "https://example.com/hook", Paused: true}))
	_, err = o.ReplayEvents(ctx, desk.Replay{Account: 1})
	refused(t, err, gateway.CodeConflict, "account", "paused")
	_, err = o.ListEvents(ctx, desk.EventQuery{Account: 9})
	refused(t, err, gateway.CodeNotFound, "account", "does not exist")
}

// door is a Submitter that remembers.
type door struct {
	gateway.Submitter
	got *gateway.Submission
	err error
}

func (d *door) Submit(_ context.Context, s *gateway.Submission) (gateway.Result, error) {
	d.got = s
	return gateway.Result{Messages: []gateway.Verdict{{To: s.To[0].Address, State: gateway.StateQueued}}}, d.err
}

func TestSendTest(t *testing.T) {
	d := &door{}
	o := open(t, func(deps *desk.Deps) { deps.Submitter = d })
	must[gateway.Account](t)(o.PutAccount(ctx, gateway.Account{Name: "Örnek A.Ş."}))
	in := desk.TestMessage{Account: 1, From: "ORNEK", Address: "05321234567", Text: "Deneme"}
	v := must[gateway.Verdict](t)(o.SendTest(ctx, in))
	s := d.got
	if v.State != gateway.StateQueued || s.Channel != "sms" || s.Class != "transactional" || s.Reason == "" || s.Door != gateway.DoorPanel || s.Principal.Account != 1 || s.ValidFor != 15*time.Minute {
		t.Errorf("submitted %+v", s)
	}
	if last := o.entries[len(o.entries)-1]; last.What != "SendTest" || strings.Contains(string(last.After), "5321234567") {
		t.Errorf("trail %+v; it must tell and hold no address", last)
	}
	must[gateway.Verdict](t)(o.SendTest(ctx, with(in, func(m *desk.TestMessage) { m.Class = "otp" })))
	if d.got.ValidFor != gateway.OTPValidity || d.got.Reason != "" {
		t.Errorf("otp submitted with %v, %q", d.got.ValidFor, d.got.Reason)
	}
	_, err := o.SendTest(ctx, with(in, func(m *desk.TestMessage) { m.Class = "bulk" }))
	refused(t, err, gateway.CodeInvalid, "class", "")
	_, err = o.SendTest(ctx, with(in, func(m *desk.TestMessage) { m.Address = " " }))
	refused(t, err, gateway.CodeBadNumber, "address", "missing")
	_, err = o.SendTest(ctx, with(in, func(m *desk.TestMessage) { m.Account = 7 }))
	refused(t, err, gateway.CodeNotFound, "account", "")
	d.err = gateway.Refuse(gateway.CodeNoCredit, "", "")
	_, err = o.SendTest(ctx, in)
	refused(t, err, gateway.CodeNoCredit, "", "")
}

func TestCountBrandBelongsToTheAccount(t *testing.T) {
	o := open(t, func(d *desk.Deps) {
		d.Totals = func(_ context.Context, brand string) (desk.BrandTotals, error) {
			return desk.BrandTotals{Here: []desk.ChannelTotals{{Channel: "MESAJ", ConsentTotals: desk.ConsentTotals{Approved: len(brand)}}}}, nil
		}
	})
	must[gateway.Account](t)(o.PutAccount(ctx, gateway.Account{Name: "Örnek A.Ş."}))
	must[gateway.Account](t)(o.PutAccount(ctx, gateway.Account{Name: "Başka"}))
	must[gateway.Brand](t)(o.PutBrand(ctx, gateway.Brand{Code: "675403", Account: 1, Name: "Örnek"}))
	if got := must[desk.BrandTotals](t)(o.CountBrand(ctx, desk.BrandQuery{Account: 1, Brand: "675403"})); got.Here[0].Approved != 6 {
		t.Errorf("got %+v", got)
	}
	if _, err := o.CountBrand(ctx, desk.BrandQuery{Account: 2, Brand: "675403"}); err == nil {
		t.Error("another account's brand is counted")
	}
}
