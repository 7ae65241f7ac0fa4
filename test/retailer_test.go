package test

import (
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/iys"
	"izinli/iys/iysapi"
	"izinli/test/stage"
)

// TestDealers: a dealer is made at İYS, and its credential sends commercial messages only on consents that grant it access; what İYS
// and we hold of the grants is the same thing.
func TestDealers(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	const who, other = "+905331000081", "+905331000082"
	for _, n := range []string{who, other} {
		s.Consent(s.Seeds.Brand, "BIREYSEL", n, iys.StatusApproved)
	}
	s.Run()
	admin, ctx, brand := s.Server.Admin, t.Context(), s.Seeds.Brand

	cities, err := admin.ListPlaces(ctx, desk.PlaceQuery{Brand: brand})
	if err != nil || len(cities) == 0 {
		t.Fatal(cities, err)
	}
	towns, err := admin.ListPlaces(ctx, desk.PlaceQuery{Brand: brand, City: 34})
	if err != nil || len(towns) != 1 || towns[0].City != 34 {
		t.Fatalf("districts of 34: %+v, %v", towns, err)
	}
	if _, err := admin.ListPlaces(ctx, desk.PlaceQuery{Brand: brand, City: 99}); err == nil {
		t.Error("a province there is not has districts")
	}
	in := desk.RetailerInput{Brand: brand, Retailer: iysapi.Retailer{Title: "XYZ Ticaret", Name: "Adı Soyadı", TCKN: "10000000146", TIN: "1234567890",
		City: iysapi.Place{Code: 34, Name: "İstanbul"}, Town: iysapi.Place{Code: towns[0].Code, Name: towns[0].Name}}}
	dealer, err := admin.AddRetailer(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := admin.ListRetailers(ctx, desk.Name{Name: brand}); err != nil || len(list) != 1 || list[0].Code != dealer.Code {
		t.Errorf("dealers %+v, %v", list, err)
	}
	is, err := admin.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{Kind: gateway.KindAPI, Account: s.Seeds.Account, Retailer: dealer.Code,
		Classes: []string{gateway.ClassCommercial}, From: s.Seeds.Sender}})
	if err != nil {
		t.Fatal(err)
	}
	api := stage.NewAPI(t, s.Server.Addrs["api"], is.Secret)
	try := func(when string, accepted int) {
		t.Helper()
		res := api.Send(stage.Body{"from": s.Seeds.Sender, "text": "Kampanya", "to": []string{who, other}})
		if res.Accepted != accepted || res.Dropped != 2-accepted {
			t.Errorf("%s: %+v, want %d accepted", when, res, accepted)
		}
		for _, m := range res.Messages {
			if m.Code == "" {
				continue
			}
			if d := s.Decisions(m.ID); len(d) == 0 || d[0].Rule != "retailer_no_access" {
				t.Errorf("%s: %s was dropped by %+v", when, m.To, d)
			}
		}
	}
	access := func(act string, codes ...int) {
		t.Helper()
		if _, err := admin.ChangeAccess(ctx, desk.AccessInput{Brand: brand, Channel: "sms", Addresses: []string{who}, Retailers: codes, Act: act}); err != nil {
			t.Fatal(err)
		}
	}
	granted := func(want int) {
		t.Helper()
		list, err := admin.ListAccess(ctx, desk.AccessQuery{Brand: brand, Channel: "sms", Address: who})
		if err != nil || len(list) != want {
			t.Errorf("İYS grants access to %+v, %v, want %d", list, err, want)
		}
	}
	try("before any grant", 0)
	access("grant", dealer.Code)
	try("with one grant", 1)
	granted(1)
	if _, err := admin.DeleteRetailer(ctx, desk.RetailerInput{Brand: brand, Retailer: iysapi.Retailer{Code: dealer.Code}}); err == nil {
		t.Error("a dealer with a consent was deleted")
	}
	access("remove_all")
	granted(0)
	try("after the grant was taken back", 0)

	// A grant made at İYS by another hand counts once İYS was asked.
	other1 := iysapi.Access{Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipients: []string{who}, Retailers: []int{dealer.Code}}
	b, _, err := s.Server.Links.Brand(ctx, brand)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.API.(*iysapi.Client).ReplaceAccess(ctx, b.Brand, other1); err != nil {
		t.Fatal(err)
	}
	granted(1)
	try("granted elsewhere", 1)
	if _, err := admin.ListAccess(ctx, desk.AccessQuery{Brand: brand, Channel: "sms", Address: "12"}); err == nil {
		t.Error("no number was asked about")
	}
}
