package desk_test

import (
	"context"
	"errors"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/iyslink"
	"izinli/iys"
)

// What İYS says of a brand's rights is in force once, with a line in the trail; what only the customer could write is ours again
// before the brand counts as writable, so that a failure in between is made good by the next reading.
func TestRightsComeIntoForce(t *testing.T) {
	d := open(t)
	fake := &iysFake{}
	var trail []desk.Entry
	admin := desk.New(desk.Deps{Store: d.store, IYS: fake, Audit: func(_ context.Context, e desk.Entry) { trail = append(trail, e) }})
	acc, err := admin.PutAccount(ctx, gateway.Account{Name: "a", IYSCode: 675403})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutIYSLink(ctx, desk.IYSLinkInput{Password: "p", Link: gateway.IYSLink{Name: "main", BaseURL: "http://127.0.0.1:1", Username: "u"}}); err != nil {
		t.Fatal(err)
	}
	partner := gateway.BrandMode{Mode: "partner"}
	if _, err := admin.PutBrand(ctx, gateway.Brand{Code: "675403", Account: acc.ID, Name: "b", IYS: "main", SMS: partner, Email: partner}); err != nil {
		t.Fatal(err)
	}
	brand := func() *gateway.Brand { return d.store.Directory().Brands["675403"] }
	rights := func(sms, email string) iyslink.BrandRights {
		return iyslink.BrandRights{Brand: "675403", Channels: map[iys.Channel]string{iys.ChannelSMS: sms, iys.ChannelEmail: email}}
	}
	iysCtx := desk.WithActor(ctx, "iys")
	trail = nil
	for range 2 {
		if err := admin.NoteRights(iysCtx, rights("read", "write")); err != nil {
			t.Fatal(err)
		}
	}
	if b := brand(); !b.SMS.ReadOnly || b.Email.ReadOnly || len(trail) != 1 || trail[0].Who != "iys" || trail[0].What != "ReadRights" || len(fake.back) != 0 {
		t.Errorf("the right to write is gone: %+v, trail %+v, reclaimed %v", brand(), trail, fake.back)
	}
	fake.backErr = errors.New("store is full")
	if err := admin.NoteRights(iysCtx, rights("write", "write")); err == nil || !brand().SMS.ReadOnly {
		t.Errorf("nothing was reclaimed, but: %v, %+v", err, brand())
	}
	fake.backErr = nil
	fake.read = rights("write", "")
	if _, err := admin.ReadRights(ctx, desk.Name{Name: "675403"}); err != nil {
		t.Fatal(err)
	}
	if b := brand(); b.SMS.ReadOnly || !b.Email.ReadOnly || len(fake.back) != 1 || fake.back[0] != iys.ChannelSMS {
		t.Errorf("by hand: %+v, reclaimed %v", b, fake.back)
	}
	if st, err := admin.IYSStatus(ctx, desk.Query{}); err != nil || len(st) != 1 || st[0].Rights == nil || st[0].Rights.Brand != "675403" {
		t.Errorf("status %+v %v", st, err)
	}
	if err := admin.NoteRights(iysCtx, iyslink.BrandRights{Brand: "999999"}); err != nil {
		t.Errorf("a brand deleted meanwhile: %v", err)
	}
	for err, want := range map[error]gateway.Code{iyslink.ErrNoRights: gateway.CodeInvalid, errors.New("down"): gateway.CodeUnavailable} {
		fake.readErr = err
		if _, err := admin.ReadRights(ctx, desk.Name{Name: "675403"}); codeOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
