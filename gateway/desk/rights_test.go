package desk_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/iyslink"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// rightsDesk is a desk with a brand in mode partner on both channels, over a link with an integrator code or without.
func rightsDesk(t *testing.T, integrator int) (admin *desk.Admin, fake *iysFake, brand func() *gateway.Brand, trail *[]desk.Entry) {
	t.Helper()
	d := open(t)
	fake, trail = &iysFake{}, &[]desk.Entry{}
	admin = desk.New(desk.Deps{Store: d.store, IYS: fake, Audit: func(_ context.Context, e desk.Entry) { *trail = append(*trail, e) }})
	acc, err := admin.PutAccount(ctx, gateway.Account{Name: "a", IYSCode: 675403})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutIYSLink(ctx, desk.IYSLinkInput{Password: "p", Link: gateway.IYSLink{Name: "main", BaseURL: "http://127.0.0.1:1", Username: "u", IntegratorCode: integrator}}); err != nil {
		t.Fatal(err)
	}
	both := map[iys.Channel]bool{iys.ChannelSMS: true, iys.ChannelEmail: true}
	fake.rights = &iysapi.PartnerBrand{Granted: both, Writable: both}
	partner := gateway.BrandMode{Mode: "partner"}
	if _, err := admin.PutBrand(ctx, gateway.Brand{Code: "675403", Account: acc.ID, Name: "b", IYS: "main", SMS: partner, Email: partner}); err != nil {
		t.Fatal(err)
	}
	brand = func() *gateway.Brand { return d.store.Directory().Brands["675403"] }
	fake.readOnly = func(ch iys.Channel) bool {
		return ch == iys.ChannelSMS && brand().SMS.ReadOnly || ch == iys.ChannelEmail && brand().Email.ReadOnly
	}
	*trail, fake.back = nil, nil
	return admin, fake, brand, trail
}

func rights(sms, email string) iyslink.BrandRights {
	return iyslink.BrandRights{Brand: "675403", Channels: map[iys.Channel]string{iys.ChannelSMS: sms, iys.ChannelEmail: email}}
}

// What İYS says of a brand's rights is in force once, with a line in the trail. What only the customer could write is taken back
// once the brand counts as writable, and with every reading by hand: what was overlooked or failed is made good.
func TestRightsComeIntoForce(t *testing.T) {
	admin, fake, brand, trail := rightsDesk(t, 0)
	iysCtx := desk.WithActor(ctx, "iys")
	for range 2 {
		if err := admin.NoteRights(iysCtx, rights("read", "write")); err != nil {
			t.Fatal(err)
		}
	}
	if b := brand(); !b.SMS.ReadOnly || b.Email.ReadOnly || len(*trail) != 1 || (*trail)[0].Who != "iys" || (*trail)[0].What != "ReadRights" {
		t.Errorf("the right to write is gone: %+v, trail %+v", brand(), *trail)
	}
	if !slices.Equal(fake.back, []iys.Channel{iys.ChannelEmail}) {
		t.Errorf("taken back on %v, want once where we may write", fake.back)
	}
	fake.back, fake.backErr = nil, errors.New("store is full")
	if err := admin.NoteRights(iysCtx, rights("write", "")); err == nil || brand().SMS.ReadOnly {
		t.Errorf("nothing was taken back, but: %v, %+v", err, brand())
	}
	fake.backErr = nil
	fake.read = rights("write", "")
	if _, err := admin.ReadRights(ctx, desk.Name{Name: "675403"}); err != nil {
		t.Fatal(err)
	}
	if b := brand(); b.SMS.ReadOnly || !b.Email.ReadOnly || !slices.Equal(fake.back, []iys.Channel{iys.ChannelSMS}) {
		t.Errorf("by hand: %+v, taken back on %v", b, fake.back)
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

// A brand saved between two readings takes the edge away from the next one: what its customers owed is taken back with the save,
// over links where nobody grants us anything as well.
func TestSavedBrandTakesBackWhatIsOwed(t *testing.T) {
	for name, integrator := range map[string]int{"as a partner": 700001, "by an API user of the company's own": 0} {
		t.Run(name, func(t *testing.T) {
			admin, fake, brand, _ := rightsDesk(t, integrator)
			b := *brand()
			if integrator != 0 {
				fake.rights.Writable = map[iys.Channel]bool{}
			}
			b.SMS.ReadOnly, b.Email.ReadOnly = true, true
			if _, err := admin.PutBrand(ctx, b); err != nil || !brand().SMS.ReadOnly || len(fake.back) != 0 {
				t.Fatalf("without the right to write: %v, %+v, taken back on %v", err, brand(), fake.back)
			}
			fake.rights.Writable = map[iys.Channel]bool{iys.ChannelSMS: true}
			b.SMS.ReadOnly = false
			if _, err := admin.PutBrand(ctx, b); err != nil || brand().SMS.ReadOnly || !slices.Equal(fake.back, []iys.Channel{iys.ChannelSMS}) {
				t.Errorf("saved with it: %v, %+v, taken back on %v, want %s", err, brand(), fake.back, iys.ChannelSMS)
			}
			fake.backErr = errors.New("store is full")
			b.Title = "Örnek"
			_, err := admin.PutBrand(ctx, b)
			if codeOf(err) != gateway.CodeUnavailable || brand().Title != "Örnek" {
				t.Errorf("nothing was taken back, and: %v, %+v", err, brand())
			}
			if e := new(gateway.Error); errors.As(err, &e) && (strings.Contains(e.Text, "store is full") || !errors.Is(err, fake.backErr)) {
				t.Errorf("the cause belongs to the log, not to the text: %q", e.Text)
			}
		})
	}
}
