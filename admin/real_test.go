package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"izinli/admin"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/store"
)

var (
	_ admin.Users = (*store.Store)(nil)

	csrf   = regexp.MustCompile(`name="_csrf" value="([^"]+)"`)
	secret = regexp.MustCompile(`<pre[^>]*>([^<]+)</pre>`)
)

// visitor is a browser on the real panel: it follows redirects and finds tokens in pages.
type visitor struct {
	t    *testing.T
	http *http.Client
	base string
	page string
}

func (v *visitor) take(resp *http.Response, err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.page = string(b)
}

func (v *visitor) open(path string) {
	v.t.Helper()
	v.take(v.http.Get(v.base + path))
}

func (v *visitor) send(path string, pairs ...string) {
	v.t.Helper()
	m := csrf.FindStringSubmatch(v.page)
	if m == nil {
		v.t.Fatalf("no token before %s", path)
	}
	form := url.Values{"_csrf": {m[1]}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	v.take(v.http.PostForm(v.base+path, form))
}

func (v *visitor) want(part string) {
	v.t.Helper()
	if !strings.Contains(v.page, part) {
		v.t.Fatalf("the page lacks %q:\n%s", part, v.page)
	}
}

// TestFromSetupToCredential goes the way of a first day over the real store and desk: set-up link, authenticator, sign-in,
// account, brand, sender, credential, and finds it all in the trail.
func TestFromSetupToCredential(t *testing.T) {
	st, err := store.Open(store.Options{InMemory: true, Memory: 1, Gather: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	audit := func(ctx context.Context, e desk.Entry) error {
		raw, err := json.Marshal(e)
		if err != nil {
			return err
		}
		return st.PutAudit(ctx, raw)
	}
	office := desk.New(desk.Deps{Store: st, Audit: func(ctx context.Context, e desk.Entry) {
		if err := audit(ctx, e); err != nil {
			t.Error(err)
		}
	}})
	p, err := admin.New(admin.Config{}, admin.Deps{Desk: office, Users: st, Audits: st.Audits, Audit: audit, Inbound: st.Inbound, Batches: st.Batches})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p.Handler())
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t, http: &http.Client{Jar: jar}, base: srv.URL}

	link, err := p.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.open(link)
	key := strings.ReplaceAll(secret.FindStringSubmatch(v.page)[1], " ", "")
	code := func(at time.Time) string {
		c, err := totp.GenerateCode(key, at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	now := time.Now()
	const pass = "ilk günün uzun cümlesi"
	v.send(link, "name", "ayse", "password", pass, "again", pass, "code", code(now))
	v.want("Kurtarma kodları")
	v.open("/login")
	v.send("/login", "name", "ayse", "password", pass)
	v.want("Doğrulama kodu")
	v.send("/login/code", "code", code(now.Add(30*time.Second))) // the next step: the one before is used up
	v.want("Pano")

	v.open("/accounts/edit")
	v.send("/accounts/edit", "name", "Örnek A.Ş.", "iysCode", "675403")
	v.want("Örnek A.Ş.")
	v.send("/accounts/1/brand", "code", "675404", "name", "Örnek", "sms.mode", "self_managed", "sms.text", "Biz yönetiriz.", "sms.version", "1", "sms.user", "ali", "sms.ip", "192.0.2.1")
	v.want("Müşteri kendi yönetiyor")
	v.send("/accounts/1/sender", "channel", "sms", "name", "ORNEK", "brand", "675404", "approved", "1")
	v.want("ORNEK")
	v.send("/accounts/1/credits", "credits", "1000", "note", "fatura 1")
	v.want("1.000")
	v.send("/accounts/1/credential", "fresh", "yes", "kind", "api", "classes", "commercial")
	made := secret.FindStringSubmatch(v.page)
	if made == nil || !strings.HasPrefix(made[1], "izk_") {
		t.Fatalf("no API key on the page:\n%s", v.page)
	}
	v.open("/accounts/1")
	if strings.Contains(v.page, made[1]) {
		t.Error("the key is shown a second time")
	}
	if n := len(st.Directory().Credentials); n != 1 {
		t.Errorf("%d credentials stored, want 1", n)
	}
	// What mail says of its sender is set here, and survives another save.
	v.open("/accounts/edit?account=1")
	v.want(`name="policy.content"`)
	v.send("/accounts/edit", "account", "1", "name", "Örnek A.Ş.", "iysCode", "675403", "policy.content", "refuse", "policy.complaintRet", "1", "policy.refusalReplies", "1")
	if p := st.Directory().Accounts[1].Policy; p.Content != "refuse" || !p.ComplaintRET || !p.RefusalReplies {
		t.Errorf("the account's policy is %+v", p)
	}
	v.open("/accounts/1/brand?code=675404")
	v.send("/accounts/1/brand", "code", "675404", "name", "Örnek", "title", "Örnek Giyim A.Ş.", "mersis", "0123 4567 8901 2345", "contact", "0850 000 00 00", "email.mode", "exempt",
		"email.text", "Vakıf", "email.document", "1", "email.user", "ali", "email.expires", "2099-01-01")
	if b := st.Directory().Brands["675404"]; b.Title != "Örnek Giyim A.Ş." || b.MERSIS != "0123456789012345" || b.Contact != "0850 000 00 00" {
		t.Errorf("the brand is %+v\n%s", b, v.page)
	}
	v.open("/accounts/1/brand?code=675404")
	v.want("0850 000 00 00")
	// What the form does not show, saving it does not take away.
	var cred gateway.Credential
	for _, c := range st.Directory().Credentials {
		cred = *c
	}
	cred.Retailer, cred.PerSecond = 12345678, 7
	if _, err := office.ChangeCredential(t.Context(), cred); err != nil {
		t.Fatal(err)
	}
	v.open("/accounts/1/credential?kind=api&cid=" + cred.ID)
	v.send("/accounts/1/credential", "kind", "api", "id", cred.ID, "classes", "commercial", "recipientType", "TACIR")
	for _, c := range st.Directory().Credentials {
		if c.Retailer != 12345678 || c.PerSecond != 7 || c.RecipientType != "TACIR" {
			t.Errorf("saved in the panel it is %+v", c)
		}
	}
	v.open("/audit")
	for _, part := range []string{"Kimlik oluşturuldu", "Marka kaydedildi", "Giriş yapıldı", "ayse, adres 127.0.0.1"} {
		v.want(part)
	}
	if strings.Contains(v.page, "secretHash") {
		t.Error("the trail shows a hash")
	}
	v.open("/batches")
	v.want("Henüz gönderim yok")
	v.open("/accounts/edit?account=1")
	v.send("/accounts/edit", "account", "1", "name", "", "iysCode", "675403")
	v.want("Girilen değer geçerli değil")

	u, err := st.PanelUser(t.Context(), "ayse")
	if err != nil || u.Role != gateway.RolePlatform || strings.Contains(string(u.TOTP), key) {
		t.Errorf("stored user %+v, %v; the authenticator's secret must be sealed", u, err)
	}
}
