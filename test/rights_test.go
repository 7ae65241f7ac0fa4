package test

import (
	"fmt"
	"testing"
	"time"

	"izinli/gateway/desk"
	"izinli/iys"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// integratorCode is our number as a partner at the playground's İYS.
const integratorCode = "700001"

// TestIYSRightToWriteComesBack: a company takes the right to write away from its partner and gives it back, and before the rights are
// read in their turn somebody saves the brand in the panel. What its customers owed is ours to tell İYS again from then on, and
// so is what people say next.
func TestIYSRightToWriteComesBack(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	const during, after = "+905331000091", "+905331000092"
	for _, n := range []string{during, after} {
		s.Consent(s.Seeds.Brand, "BIREYSEL", n, iys.StatusApproved)
	}
	s.Run()
	admin, ctx, brand := s.Server.Admin, t.Context(), s.Seeds.Brand
	leave := func(n string) {
		t.Helper()
		s.API.Must(200, "POST", "/v1/optouts", stage.Body{"channel": "sms", "brand": brand, "address": n}, nil)
	}
	refused := func(n string) {
		t.Helper()
		stage.Until(t, "the RET of "+n+" at İYS", func() error {
			if m, ok := s.IYS.Stored(brand, "MESAJ", "BIREYSEL", n); !ok || m.Status != "RET" {
				return fmt.Errorf("İYS holds %+v, here it is %q", m, lookup(s, n).Sync)
			}
			return nil
		})
	}

	s.IYS.Grant(integratorCode, brand, "MESAJ", "read")
	if _, err := admin.ReadRights(ctx, desk.Name{Name: brand}); err != nil {
		t.Fatal(err)
	}
	leave(during)
	if v := lookup(s, during); v.Sync != "owed_by_customer" {
		t.Fatalf("without the right to write: %+v, want that the customer owes it", v)
	}
	s.IYS.Grant(integratorCode, brand, "MESAJ", "write")
	b := *s.Server.Store.Directory().Brands[brand]
	b.Title = "Örnek Giyim"
	if _, err := admin.PutBrand(ctx, b); err != nil {
		t.Fatal(err)
	}
	leave(after)
	refused(during)
	refused(after)
}

// TestIYSRightWithdrawnForOnePull: a company takes a channel away and gives it back, with nothing but pulls in between, whose listings
// İYS filters without a word. The refusal they went past is in force with the next pull.
func TestIYSRightWithdrawnForOnePull(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	const who, other, mail = "+905331000093", "+905331000094", "kisi@ornek.example"
	for _, n := range []string{who, other} {
		s.Consent(s.Seeds.Brand, "BIREYSEL", n, iys.StatusApproved)
	}
	s.Run()
	ctx, brand := t.Context(), s.Seeds.Brand
	known := func(ch iys.Channel, address string, want iys.Status) {
		t.Helper()
		stage.Until(t, fmt.Sprintf("%s of %s to be pulled", want, address), func() error {
			if err := s.Server.Exchange.PullAll(ctx); err != nil {
				return err
			}
			if e, ok := s.Server.Mirror.Lookup(brand, ch, iys.RecipientPerson, address); !ok || e.Status != want {
				return fmt.Errorf("we hold %+v", e)
			}
			return nil
		})
	}
	known(iys.ChannelSMS, who, iys.StatusApproved)
	s.IYS.Grant(integratorCode, brand, "MESAJ", "")
	at := time.Now()
	for i, m := range []iystest.Movement{{Recipient: who, Type: "MESAJ", Status: "RET"}, {Recipient: mail, Type: "EPOSTA", Status: "ONAY"}} {
		m.BrandCode, m.RecipientType, m.Source = brand, "BIREYSEL", "IYS_MOBIL"
		m.CreationDate = at.Add(time.Duration(i-10) * time.Second)
		m.ConsentDate = m.CreationDate
		s.IYS.Put(m)
	}
	known(iys.ChannelEmail, mail, iys.StatusApproved) // the cursor is past the refusal
	if e, _ := s.Server.Mirror.Lookup(brand, iys.ChannelSMS, iys.RecipientPerson, who); e.Status != iys.StatusApproved {
		t.Fatalf("the refusal was listed to a partner without the right: %+v", e)
	}
	s.IYS.Grant(integratorCode, brand, "MESAJ", "write")
	if err := s.Server.Exchange.PullAll(ctx); err != nil {
		t.Fatal(err)
	}
	if res := s.API.Send(stage.Body{"from": s.Seeds.Sender, "text": "Kampanya", "to": []string{who, other}, "dryRun": true}); res.Dropped != 1 || res.Accepted != 1 {
		t.Errorf("a campaign after the next pull: %+v, want who refused left out", res)
	}
}
