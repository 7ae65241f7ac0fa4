package test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/iys"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// TestAFileIsHeldAgainstThePackage: İYS names the package, the pull brings what is used of it; a file that may cross it is refused before
// anything is told to İYS, and goes in when the caller insists.
func TestAFileIsHeldAgainstThePackage(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	brand := s.Seeds.Brand
	s.IYS.AddProvider(iystest.Provider{IYSCode: brand, Title: "Örnek Giyim A.Ş.", TIN: "1234567890", Package: "İleti-5 (Seviye 1)",
		Brands: []iystest.Brand{{Code: brand, Name: "Örnek", Master: true}}})
	for i := range 20 {
		s.Consent(brand, gateway.RecipientIndividual, fmt.Sprintf("+90532100%04d", i), iys.StatusApproved)
	}
	for i := range 5 {
		s.Consent(brand, gateway.RecipientIndividual, fmt.Sprintf("+90532200%04d", i), iys.StatusRejected)
	}
	s.Run()
	list, err := s.Server.Admin.Packages(t.Context(), desk.Query{Account: s.Seeds.Account})
	if err != nil || len(list) != 1 {
		t.Fatalf("packages: %+v %v", list, err)
	}
	r := list[0]
	if r.Phones < 20 || r.Addresses != r.Phones || r.Package != "İleti-5 (Seviye 1)" || r.Limit != 5000 || r.From != "name" {
		t.Fatalf("report %+v, want the approvals alone held against İleti-5", r)
	}
	before := len(s.IYS.Movements())
	upload := func(rows int, query string) stage.Answer {
		var b strings.Builder
		b.WriteString("telefon;durum;izin tarihi;kaynak\n")
		at := time.Now().In(iys.Istanbul).Add(-time.Hour).Format(time.DateTime)
		for i := range rows {
			fmt.Fprintf(&b, "+90533%07d;ONAY;%s;HS_WEB\n", i, at)
		}
		q := url.Values{"brand": {brand}, "channel": {"sms"}, "mode": {"register"}}.Encode() + query
		ans, err := s.API.Try("POST", "/v1/consents/import?"+q, []byte(b.String()), http.Header{"Content-Type": {"text/csv"}})
		if err != nil {
			t.Fatal(err)
		}
		return ans
	}
	room := r.Limit - r.Phones
	if ans := upload(room+1, ""); ans.Status != 409 || !strings.Contains(string(ans.Body), `"field":"overQuota"`) || !strings.Contains(string(ans.Body), "H525") {
		t.Errorf("one row too many: %d %s", ans.Status, ans.Body)
	}
	var page gateway.Page[gateway.ImportView]
	s.API.Must(200, "GET", "/v1/imports", nil, &page)
	if len(page.Items) != 0 || len(s.IYS.Movements()) != before {
		t.Errorf("a refused file left %d imports and %d movements", len(page.Items), len(s.IYS.Movements())-before)
	}
	finished := func(why string, ans stage.Answer) {
		t.Helper()
		if ans.Status != 202 {
			t.Fatalf("%s: %d %s", why, ans.Status, ans.Body)
		}
		stage.Until(t, why, func() error {
			s.API.Must(200, "GET", "/v1/imports?limit=1", nil, &page)
			if v := page.Items[0]; v.State != gateway.ImportDone {
				return fmt.Errorf("%s after %d rows", v.State, v.Rows)
			}
			return nil
		})
	}
	finished("a rehearsal of the same file", upload(room+1, "&dryRun=true"))
	finished("a file that fits", upload(room, "")) // as many as there is room for
	if ans := upload(1, ""); ans.Status != 409 {
		t.Errorf("the next one: %d %s, want the rows of the one before counted", ans.Status, ans.Body)
	}
	finished("one insisted upon", upload(1, "&overQuota=true"))
}
