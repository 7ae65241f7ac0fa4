package test

import (
	"fmt"
	"testing"

	"izinli/gateway/desk"
	"izinli/iys"
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
