package iyslink

import (
	"testing"

	"izinli/gateway"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// A brand is reached under its own iysCode, or its account's where it has none, through the link it names.
func TestBrand(t *testing.T) {
	st, err := store.Open(store.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ctx := t.Context()
	acct := &gateway.Account{Name: "a", IYSCode: 111111}
	for _, step := range []error{
		st.PutAccount(ctx, acct),
		st.PutIYSLink(ctx, &gateway.IYSLink{Name: "main", BaseURL: "http://127.0.0.1:1", Username: "u", Password: st.Seal("p")}),
		st.PutBrand(ctx, &gateway.Brand{Code: "675403", Account: acct.ID, IYS: "main", SMS: gateway.BrandMode{Mode: "partner", ReadOnly: true}}),
		st.PutBrand(ctx, &gateway.Brand{Code: "675404", Account: acct.ID, IYSCode: 222222, IYS: "main", SMS: gateway.BrandMode{Mode: "partner"}}),
		st.PutBrand(ctx, &gateway.Brand{Code: "675405", Account: acct.ID, IYS: "gone"}),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	d := New(st, iysapi.Limits{}, nil)
	for _, c := range []struct{ code, want string }{{"675403", "111111"}, {"675404", "222222"}} {
		b, ok, err := d.Brand(ctx, c.code)
		if err != nil || !ok || b.IYSCode != c.want || b.API == nil {
			t.Errorf("Brand(%s) = %+v, %t, %v; want iysCode %s with a client", c.code, b, ok, err, c.want)
		}
	}
	if b, _, _ := d.Brand(ctx, "675403"); !b.ReadOnly[iys.ChannelSMS] || b.Modes[iys.ChannelSMS] != iys.ModePartner {
		t.Errorf("brand 675403: modes %v, read only %v", b.Modes, b.ReadOnly)
	}
	if _, ok, err := d.Brand(ctx, "675405"); ok || err == nil {
		t.Error("a brand whose link does not exist was answered")
	}
	if _, ok, err := d.Brand(ctx, "999999"); ok || err != nil {
		t.Errorf("an unknown brand: %t, %v; want false without an error", ok, err)
	}
	if list, err := d.Brands(ctx); err != nil || len(list) != 2 {
		t.Errorf("Brands = %d, %v; want the two that can be reached", len(list), err)
	}
}
