package admin

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"izinli/gateway/desk"
	"izinli/gateway/iyslink"
	"izinli/iys"
)

// rightsOf are those of a company that took the right to write to mail addresses back.
func rightsOf(brand string) *iyslink.BrandRights {
	return &iyslink.BrandRights{Brand: brand, IYSCode: brand, Read: noon, Channels: map[iys.Channel]string{iys.ChannelSMS: "write", iys.ChannelEmail: "read"}, Agreement: true,
		Gone: []iyslink.GoneRight{{Right: "write EPOSTA", Since: noon.AddDate(0, 0, -1)}, {Right: "via", Since: noon}}}
}
func (o *office) ReadRights(ctx context.Context, n desk.Name) (iyslink.BrandRights, error) {
	r := *rightsOf(n.Name)
	if n.Name == "700001" {
		r.Gone = nil
	}
	return r, o.did(ctx, "ReadRights")
}

// What a company grants is told with the time of its reading; what is missing stands out, in the reader's words, and can be read anew.
func TestPartnerRightsAreShown(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	body := b.get("/iys").Body.String()
	for _, want := range []string{"İş ortağı yetkileri", "Okur ve yazar", "Yalnızca okur", "E-posta (EPOSTA) yazma", `action="/iys/rights"`, noon.UTC().Format("2006-01-02T15:04:05Z")} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if rec := b.post("/iys/rights", "account", "1", "brand", "675403"); rec.Code != http.StatusSeeOther || !strings.Contains(b.get("/iys").Body.String(), "eksik olanlar var") {
		t.Errorf("read now: %d", rec.Code)
	}
	if rec := b.post("/iys/rights", "account", "1", "brand", "700001"); rec.Code != http.StatusUnprocessableEntity {
		t.Errorf("another account's brand: %d", rec.Code)
	}
	if got := w.office.done(); len(got) != 1 || !strings.HasPrefix(got[0], "ReadRights by panel owner") {
		t.Errorf("acts %q", got)
	}
	if body := w.signedIn("auditor").get("/iys").Body.String(); strings.Contains(body, `action="/iys/rights"`) || !strings.Contains(body, "Eksik yetkiler") {
		t.Error("an auditor sees what is missing, and reads nothing")
	}
}
