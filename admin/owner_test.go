package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/store"
)

// atTheDesk puts the real desk behind the panel, over a store with account 1, its brand 675404, two approved senders and a credential.
func atTheDesk(t *testing.T) (*world, *store.Store) {
	t.Helper()
	w := newWorld(t)
	w.staff()
	st, err := store.Open(store.Options{InMemory: true, Memory: 1, Gather: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	office := desk.New(desk.Deps{Store: st, Now: w.clock, Submitter: shut{}})
	w.panel.deps.Desk = office
	ctx := t.Context()
	_, err = office.PutAccount(ctx, gateway.Account{Name: "Örnek A.Ş."})
	if err == nil {
		_, err = office.PutBrand(ctx, gateway.Brand{Code: "675404", Account: 1, Name: "Örnek", SMS: gateway.BrandMode{Mode: "self_managed", Text: "Biz yönetiriz.\nİmza", Version: "1", User: "ali", IP: "192.0.2.1"},
			Email: gateway.BrandMode{Mode: "exempt", Text: "Vakıf\nSenet", Document: "2026/17", User: "ayse", Expires: time.Date(2027, 6, 30, 15, 45, 0, 0, time.UTC)}})
	}
	for _, s := range []gateway.Sender{{Name: "ornek.com", Channel: "email"}, {Name: "908501234567", Channel: "sms"}} {
		s.Account, s.Brand, s.Approved = 1, "675404", true
		if err == nil {
			_, err = office.PutSender(ctx, s)
		}
	}
	if err == nil {
		_, err = office.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{Kind: gateway.KindSMPP, ID: "otp1", Account: 1, Classes: []string{"commercial", "otp"}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w, st
}

// shut is a door that takes nothing.
type shut struct{ gateway.Submitter }

func (shut) Submit(context.Context, *gateway.Submission) (gateway.Result, error) {
	return gateway.Result{}, gateway.Refuse(gateway.CodeNoCredit, "", "")
}

// A test message is no way round the class: an owner is offered, and sends, what his credentials may; an administrator any.
func TestTestMessagesOfAnOwner(t *testing.T) {
	w, _ := atTheDesk(t)
	w.hire("operator", gateway.RoleOperator, setAccounts(1))
	for _, c := range []struct {
		who, class string
		status     int // 402: it came as far as the door
	}{{"owner", "transactional", 403}, {"owner", "commercial", 402}, {"owner", "otp", 402}, {"operator", "transactional", 403}, {"admin", "transactional", 402}} {
		b := w.signedIn(c.who)
		may := c.status == 402
		if strings.Contains(b.get("/test?account=1").Body.String(), `value="`+c.class+`"`) != may {
			t.Errorf("%s: the form offers class %s: %t, want %t", c.who, c.class, !may, may)
		}
		rec := b.post("/test", "account", "1", "class", c.class, "from", "908501234567", "address", "05321234567", "text", "Büyük indirim")
		if rec.Code != c.status || strings.Contains(rec.Body.String(), "f-class-error") == may {
			t.Errorf("%s sends class %s: %d, want %d, the refusal beside the field", c.who, c.class, rec.Code, c.status)
		}
	}
}

// The class decides whether İYS is asked: an owner gives his own credentials none but commercial, and those they have been given.
func TestOwnerGivesNoClass(t *testing.T) {
	w, st := atTheDesk(t)
	owner, to := w.signedIn("owner"), "/accounts/1/credential"
	page := owner.get(to).Body.String()
	if strings.Contains(page, `value="otp"`) || strings.Contains(page, `value="transactional"`) || strings.Contains(page, `name="reason"`) || !strings.Contains(page, "yalnızca platform yöneticisi verir") {
		t.Error("the form offers an owner classes, or does not say who gives them")
	}
	for _, class := range []string{"otp", "transactional"} {
		rec := owner.post(to, "fresh", "yes", "kind", "smpp", "id", "yeni", "classes", "commercial", "classes", class)
		if rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "f-classes-error") {
			t.Errorf("a new credential with %s: %d, want 403 beside the field", class, rec.Code)
		}
	}
	if n := len(st.Directory().Credentials); n != 1 {
		t.Fatalf("%d credentials are stored", n)
	}
	if rec := owner.post(to, "fresh", "yes", "kind", "smpp", "id", "yeni", "classes", "commercial"); rec.Code != http.StatusOK {
		t.Errorf("a commercial one: %d", rec.Code)
	}
	classes := func(id string) []string {
		return st.Directory().Credentials[gateway.CredentialKey{Kind: gateway.KindSMPP, ID: id}].Classes
	}
	steps := []struct {
		who     string
		id      string
		classes []string
		status  int
		want    []string
	}{
		{"owner", "yeni", []string{"otp"}, 403, []string{"commercial"}},
		{"owner", "otp1", []string{"commercial", "otp"}, 303, []string{"commercial", "otp"}},
		{"owner", "otp1", []string{"commercial", "transactional"}, 403, []string{"commercial", "otp"}},
		{"owner", "otp1", []string{"commercial"}, 303, []string{"commercial"}},
		{"owner", "otp1", []string{"otp"}, 403, []string{"commercial"}},
		{"admin", "otp1", []string{"otp", "transactional"}, 303, []string{"otp", "transactional"}},
	}
	for i, s := range steps {
		form := []string{"kind", "smpp", "id", s.id}
		for _, c := range s.classes {
			form = append(form, "classes", c)
		}
		if rec := w.signedIn(s.who).post(to, form...); rec.Code != s.status || !reflect.DeepEqual(classes(s.id), s.want) {
			t.Errorf("step %d, %s gives %s %v: %d with %v, want %d with %v", i, s.who, s.id, s.classes, rec.Code, classes(s.id), s.status, s.want)
		}
	}
}

// What is there, approved perhaps, is not the owner's to change, however he writes it.
func TestOwnerWritesOverNoSender(t *testing.T) {
	w, st := atTheDesk(t)
	put := func(who, channel, name string) *httptest.ResponseRecorder {
		return w.signedIn(who).post("/accounts/1/sender", "channel", channel, "name", name, "brand", "675404", "approved", "1")
	}
	for _, c := range []struct{ channel, name string }{{"email", "ornek.com"}, {"email", " Ornek.COM"}, {"sms", "908501234567"}, {"sms", "0850 123 45 67"}} {
		if rec := put("owner", c.channel, c.name); rec.Code != http.StatusForbidden {
			t.Errorf("%q: %d, want 403", c.name, rec.Code)
		}
	}
	for k, s := range st.Directory().Senders {
		if !s.Approved {
			t.Errorf("%v was taken its approval", k)
		}
	}
	if rec := put("owner", "email", "Bulten.ornek.com"); rec.Code != http.StatusSeeOther {
		t.Errorf("a new one: %d", rec.Code)
	}
	fresh := st.Directory().Senders[gateway.SenderKey{Account: 1, Channel: "email", Name: "bulten.ornek.com"}]
	if fresh == nil || fresh.Approved {
		t.Errorf("what an owner asks for is %+v, want it unapproved", fresh)
	}
	if rec := put("admin", "email", "bulten.ornek.com"); rec.Code != http.StatusSeeOther {
		t.Errorf("an administrator: %d", rec.Code)
	}
}

// A brand is saved again as browsers send it, with CR LF and a day for a moment: its proofs stay what they were.
func TestBrandSavedAgainKeepsItsProofs(t *testing.T) {
	w, st := atTheDesk(t)
	before := *st.Directory().Brands["675404"]
	w.pass(48 * time.Hour)
	form := func(name, basis, expires string) []string {
		return []string{"code", "675404", "name", name,
			"sms.mode", "self_managed", "sms.text", "Biz yönetiriz.\r\nİmza", "sms.version", "1", "sms.user", "ali", "sms.ip", "192.0.2.1",
			"email.mode", "exempt", "email.text", basis, "email.document", "2026/17", "email.user", "ayse", "email.expires", expires}
	}
	admin := w.signedIn("admin")
	if page := admin.get("/accounts/1/brand?code=675404").Body.String(); !strings.Contains(page, `value="2027-06-30"`) {
		t.Fatal("the form does not show the day the exemption ends")
	}
	if rec := admin.post("/accounts/1/brand", form("Yeni ad", "Vakıf\r\nSenet", "2027-06-30")...); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	got := *st.Directory().Brands["675404"]
	if got.Name != "Yeni ad" || got.SMS.Text != before.SMS.Text || got.Email.Text != before.Email.Text {
		t.Errorf("saved as %+v", got)
	}
	if !got.SMS.At.Equal(before.SMS.At) || !got.Email.At.Equal(before.Email.At) {
		t.Errorf("the proofs are of %v and %v now, want %v and %v", got.SMS.At, got.Email.At, before.SMS.At, before.Email.At)
	}
	if !got.Email.Expires.Equal(before.Email.Expires) {
		t.Errorf("the exemption ends at %v, want %v", got.Email.Expires, before.Email.Expires)
	}
	// Another text or another day is another proof, from now on.
	for _, change := range [][]string{form("Yeni ad", "Vakıf\r\nYeni senet", "2027-06-30"), form("Yeni ad", "Vakıf\r\nYeni senet", "2027-07-01")} {
		w.pass(10 * time.Minute)
		if rec := admin.post("/accounts/1/brand", change...); rec.Code != http.StatusSeeOther {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		got = *st.Directory().Brands["675404"]
		if !got.Email.At.Equal(w.clock()) || !got.SMS.At.Equal(before.SMS.At) {
			t.Errorf("changed, the proofs are of %v and %v, want %v and %v", got.Email.At, got.SMS.At, w.clock(), before.SMS.At)
		}
	}
	if want := time.Date(2027, 7, 1, 0, 0, 0, 0, istanbul); !got.Email.Expires.Equal(want) {
		t.Errorf("the exemption ends at %v, want %v", got.Email.Expires, want)
	}
}
