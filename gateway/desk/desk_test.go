package desk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/store"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// office is an Admin over a real store in memory, with what it reported.
type office struct {
	*desk.Admin
	t     *testing.T
	store *store.Store

	mu      sync.Mutex
	entries []desk.Entry // guarded by mu
}

func open(t *testing.T, change ...func(*desk.Deps)) *office {
	t.Helper()
	st, err := store.Open(store.Options{InMemory: true, Memory: 1, Gather: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	o := &office{t: t, store: st}
	d := desk.Deps{
		Store: st, Now: func() time.Time { return now },
		Verify: func(ctx context.Context) (desk.Report, error) {
			r, err := st.Verify(ctx)
			if err != nil {
				return desk.Report{}, err
			}
			return desk.Report(*r), nil
		},
		Audit: func(_ context.Context, e desk.Entry) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.entries = append(o.entries, e)
		},
	}
	for _, f := range change {
		f(&d)
	}
	o.Admin = desk.New(d)
	return o
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var ctx = desk.WithActor(context.Background(), "test ayse")

// furnished has an account with a brand, a sender, an İYS link, an operator and a route.
func furnished(t *testing.T) *office {
	t.Helper()
	o := open(t)
	must[gateway.Account](t)(o.PutAccount(ctx, gateway.Account{Name: "Örnek A.Ş.", IYSCode: 675403}))
	must[gateway.Account](t)(o.PutAccount(ctx, gateway.Account{Name: "Başka Ltd."}))
	must[gateway.IYSLink](t)(o.PutIYSLink(ctx, desk.IYSLinkInput{Password: "gizli-iys", AHSPassword: "gizli-ahs", Link: gateway.IYSLink{
		Name: "main", BaseURL: "https://api.iys.org.tr", Username: "u", AHSURL: "https://ahs.example", AHSUser: "a"}}))
	must[gateway.Brand](t)(o.PutBrand(ctx, gateway.Brand{Code: "675403", Account: 1, Name: "Örnek", IYS: "main",
		SMS: gateway.BrandMode{Mode: "partner"}, Email: gateway.BrandMode{Mode: "ahs"}}))
	must[gateway.Brand](t)(o.PutBrand(ctx, gateway.Brand{Code: "700001", Account: 2, Name: "Başka"}))
	must[gateway.Sender](t)(o.PutSender(ctx, gateway.Sender{Name: "ORNEK", Account: 1, Channel: "sms", Brand: "675403", Approved: true}))
	must[gateway.Operator](t)(o.PutOperator(ctx, desk.OperatorInput{Password: "gizli-op", Operator: gateway.Operator{
		Name: "op1", Addr: "127.0.0.1:2775", SystemID: "izinli"}}))
	must[gateway.Route](t)(o.PutRoute(ctx, gateway.Route{ID: "default", Operators: []gateway.RouteStep{{Operator: "op1"}}}))
	return o
}

// refused checks that err is a refusal with the code and field, whose text contains part.
func refused(t *testing.T, err error, code gateway.Code, field, part string) {
	t.Helper()
	var e *gateway.Error
	if !errors.As(err, &e) {
		t.Errorf("got %v, want a refusal %s of %s", err, code, field)
		return
	}
	if e.Code != code || e.Field != field || !strings.Contains(e.Text, part) {
		t.Errorf("got %s, field %q, %q; want %s, field %q, text with %q", e.Code, e.Field, e.Text, code, field, part)
	}
}

// change makes a record with one thing wrong.
func with[T any](x T, f func(*T)) T { f(&x); return x }

func TestAccounts(t *testing.T) {
	o := open(t)
	good := gateway.Account{Name: " Örnek A.Ş. ", IYSCode: 675403, MERSIS: "0123456789012345", Suspended: true,
		Policy: gateway.AccountPolicy{QuietFrom: "20:00", Promotional: "hold", OnDoubt: "report", MaxSegments: 5}}
	a := must[gateway.Account](t)(o.PutAccount(ctx, good))
	if a.ID != 1 || a.Name != "Örnek A.Ş." || a.Suspended {
		t.Errorf("got %+v; a new account is numbered, trimmed and not suspended", a)
	}
	for _, c := range []struct {
		why, field, part string
		f                func(*gateway.Account)
	}{
		{"needs a name", "name", "missing", func(a *gateway.Account) { a.Name = " " }},
		{"name is short", "name", "120", func(a *gateway.Account) { a.Name = strings.Repeat("ö", 121) }},
		{"name is one line", "name", "control", func(a *gateway.Account) { a.Name = "a\nb" }},
		{"iysCode too long", "iysCode", "başvuru numarası", func(a *gateway.Account) { a.IYSCode = 20231234567 }},
		{"a VKN is no iysCode", "iysCode", "tax number (VKN)", func(a *gateway.Account) { a.IYSCode = 1234567890 }},
		{"MERSİS", "mersis", "16 digits", func(a *gateway.Account) { a.MERSIS = "675403" }},
		{"quietFrom", "policy.quietFrom", "21:00", func(a *gateway.Account) { a.Policy.QuietFrom = "9 PM" }},
		{"one digit hour", "policy.quietTo", "21:00", func(a *gateway.Account) { a.Policy.QuietTo = "8:00" }},
		{"no length", "policy.quietFrom", "quietOff", func(a *gateway.Account) { a.Policy.QuietFrom = "08:00" }},
		{"promotional", "policy.promotional", "off, warn, hold", func(a *gateway.Account) { a.Policy.Promotional = "drop" }},
		{"onDoubt", "policy.onDoubt", "resend, report", func(a *gateway.Account) { a.Policy.OnDoubt = "retry" }},
		{"segments", "policy.maxSegments", "255", func(a *gateway.Account) { a.Policy.MaxSegments = 256 }},
		{"rate", "policy.maxPerSecond", "between", func(a *gateway.Account) { a.Policy.MaxPerSecond = -1 }},
		{"warning", "policy.creditWarning", "between", func(a *gateway.Account) { a.Policy.CreditWarning = -1 }},
	} {
		_, err := o.PutAccount(ctx, with(good, c.f))
		t.Run(c.why, func(t *testing.T) { refused(t, err, gateway.CodeInvalid, c.field, c.part) })
	}
	_, err := o.PutAccount(ctx, gateway.Account{ID: 9, Name: "x"})
	refused(t, err, gateway.CodeNotFound, "account", "9")

	if got := must[gateway.Account](t)(o.SuspendAccount(ctx, desk.Suspension{Account: 1, Suspended: true})); !got.Suspended {
		t.Error("not suspended")
	}
	a.Name = "Yeni"
	if got := must[gateway.Account](t)(o.PutAccount(ctx, a)); !got.Suspended || !got.Created.Equal(a.Created) || got.Name != "Yeni" {
		t.Errorf("a change of name lifted the suspension or lost the date: %+v", got)
	}
	if list := must[[]gateway.Account](t)(o.ListAccounts(ctx, desk.Query{})); len(list) != 1 || list[0].Name != "Yeni" {
		t.Errorf("got %+v", list)
	}
	_, err = o.ListAccounts(ctx, desk.Query{Account: 5})
	refused(t, err, gateway.CodeNotFound, "account", "5")
}

func TestCredits(t *testing.T) {
	o := furnished(t)
	b := must[gateway.Balance](t)(o.AddCredits(ctx, desk.CreditEntry{Account: 1, Credits: 500, Note: "invoice 7"}))
	b = must[gateway.Balance](t)(o.AddCredits(ctx, desk.CreditEntry{Account: 1, Credits: -100, Note: "slip"}))
	if got := must[gateway.Balance](t)(o.Balance(ctx, desk.Query{Account: 1})); got.Credits != 400 || b.Credits != 400 {
		t.Errorf("got %d and %d, want 400", got.Credits, b.Credits)
	}
	_, err := o.AddCredits(ctx, desk.CreditEntry{Account: 1, Note: "x"})
	refused(t, err, gateway.CodeInvalid, "credits", "No credits")
	_, err = o.AddCredits(ctx, desk.CreditEntry{Account: 1, Credits: 5})
	refused(t, err, gateway.CodeInvalid, "note", "missing")
	_, err = o.AddCredits(ctx, desk.CreditEntry{Account: 1, Credits: 1 << 41, Note: "x"})
	refused(t, err, gateway.CodeInvalid, "credits", "between")
	_, err = o.AddCredits(ctx, desk.CreditEntry{Credits: 5, Note: "x"})
	refused(t, err, gateway.CodeInvalid, "account", "account list")
	_, err = o.Balance(ctx, desk.Query{Account: 8})
	refused(t, err, gateway.CodeNotFound, "account", "8")
}

func TestIYSCodeAsTyped(t *testing.T) {
	if n, err := desk.ParseIYSCode(" 675403 "); n != 675403 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	for typed, part := range map[string]string{
		"":                           "missing",
		"İYS-2023-004512":            "başvuru numarası", // an application number
		"2023004512345":              "başvuru numarası",
		"0123456789012345":           "MERSİS",
		"12345678901":                "TCKN",
		"1234567890":                 "VKN",
		"58954386":                   "bayi",
		"067540":                     "6 or 7 digits", // leading zero
		"12345":                      "6 or 7 digits",
		"99999999999999999999999999": "6 or 7 digits",
	} {
		_, err := desk.ParseIYSCode(typed)
		refused(t, err, gateway.CodeInvalid, "iysCode", part)
	}
}

func TestBrands(t *testing.T) {
	o := furnished(t)
	selfManaged := gateway.BrandMode{Mode: "self_managed", Text: "Biz yönetiriz.\nİmza", Version: "1", User: "ali@example.com", IP: "192.0.2.1"}
	exempt := gateway.BrandMode{Mode: "exempt", Text: "Vakıf", Document: "2026/17", User: "ayse", Expires: now.AddDate(1, 0, 0)}
	good := gateway.Brand{Code: "675404", Account: 1, Name: "Alt", SMS: selfManaged, Email: exempt}
	got := must[gateway.Brand](t)(o.PutBrand(ctx, good))
	if !got.SMS.At.Equal(now) || !got.Email.At.Equal(now) || !got.Created.Equal(now) {
		t.Errorf("the time of the declaration is missing: %+v", got)
	}
	partner := gateway.Brand{Code: "675405", Account: 1, Name: "P", IYS: "main", SMS: gateway.BrandMode{Mode: "partner", ReadOnly: true}}
	must[gateway.Brand](t)(o.PutBrand(ctx, partner))
	closed := gateway.Brand{Code: "675406", Account: 1, Name: "Kapalı"}
	must[gateway.Brand](t)(o.PutBrand(ctx, closed))
	for _, c := range []struct {
		why, field, part string
		code             gateway.Code
		brand            gateway.Brand
	}{
		{"code", "code", "Marka", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Code = "ORNEK" })},
		{"application number", "code", "başvuru", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Code = "2023-11-77" })},
		{"name", "name", "missing", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Name = "" })},
		{"short", "short", "20", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Short = strings.Repeat("x", 21) })},
		{"account", "account", "9", gateway.CodeNotFound, with(good, func(b *gateway.Brand) { b.Account = 9 })},
		{"another's brand", "code", "another account", gateway.CodeConflict, with(closed, func(b *gateway.Brand) { b.Code = "700001" })},
		{"unknown mode", "sms.mode", "self_managed", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.SMS = gateway.BrandMode{Mode: "free"} })},
		{"fields without mode", "email.mode", "missing", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Email.Mode = "" })},
		{"no declaration", "sms.text", "declaration", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.SMS.Text = "" })},
		{"no version", "sms.version", "declaration", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.SMS.Version = "" })},
		{"nobody declared", "sms.user", "declaration", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.SMS.User = "" })},
		{"from nowhere", "sms.ip", "declaration", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.SMS.IP = "" })},
		{"ip", "sms.ip", "IP address", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.SMS.IP = "here" })},
		{"future", "sms.at", "future", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.SMS.At = now.Add(time.Hour) })},
		{"mixed proof", "sms.mode", "exempt alone", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.SMS.Document = "x" })},
		{"no basis", "email.text", "Mode exempt", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Email.Text = "" })},
		{"no document", "email.document", "Mode exempt", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Email.Document = "" })},
		{"no approver", "email.user", "Mode exempt", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Email.User = "" })},
		{"no end", "email.expires", "for ever", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Email.Expires = time.Time{} })},
		{"ended", "email.expires", "for ever", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Email.Expires = now })},
		{"exempt with version", "email.mode", "self_managed alone", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.Email.Version = "1" })},
		{"readOnly elsewhere", "sms.readOnly", "partner", gateway.CodeInvalid, with(good, func(b *gateway.Brand) { b.SMS.ReadOnly = true })},
		{"partner without link", "iys", "iys-link", gateway.CodeInvalid, with(partner, func(b *gateway.Brand) { b.IYS = "" })},
		{"link unknown", "iys", "other", gateway.CodeNotFound, with(partner, func(b *gateway.Brand) { b.IYS = "other" })},
		{"partner with declaration", "sms.mode", "İYS itself", gateway.CodeInvalid, with(partner, func(b *gateway.Brand) { b.SMS.Text = "x" })},
		{"partner without iysCode", "iysCode", "every İYS path", gateway.CodeInvalid,
			with(partner, func(b *gateway.Brand) { b.Account, b.Code = 2, "700002" })},
	} {
		_, err := o.PutBrand(ctx, c.brand)
		t.Run(c.why, func(t *testing.T) { refused(t, err, c.code, c.field, c.part) })
	}
	must[gateway.IYSLink](t)(o.PutIYSLink(ctx, desk.IYSLinkInput{Password: "p", Link: gateway.IYSLink{Name: "api", BaseURL: "http://127.0.0.1:9", Username: "u"}}))
	_, err := o.PutBrand(ctx, with(partner, func(b *gateway.Brand) { b.IYS, b.SMS = "api", gateway.BrandMode{Mode: "ahs"} }))
	refused(t, err, gateway.CodeInvalid, "iys", "AHS user")
	if list := must[[]gateway.Brand](t)(o.ListBrands(ctx, desk.Query{Account: 2})); len(list) != 1 || list[0].Code != "700001" {
		t.Errorf("account 2 sees %+v", list)
	}
}

func TestSendersAndNumbers(t *testing.T) {
	o := furnished(t)
	sender := gateway.Sender{Name: "BULTEN.Example.com", Account: 1, Channel: "email", Brand: "675403"}
	if got := must[gateway.Sender](t)(o.PutSender(ctx, sender)); got.Name != "bulten.example.com" {
		t.Errorf("a domain is matched in lower case, got %q", got.Name)
	}
	if got := must[gateway.Sender](t)(o.PutSender(ctx, with(sender, func(s *gateway.Sender) { s.Channel, s.Name = "sms", "0850 123 45 67" }))); got.Name != "908501234567" {
		t.Errorf("a number is matched by its digits, got %q", got.Name)
	}
	for _, c := range []struct {
		why, field, part string
		code             gateway.Code
		f                func(*gateway.Sender)
	}{
		{"Turkish letters", "name", "no Turkish letters", gateway.CodeInvalid, func(s *gateway.Sender) { s.Channel, s.Name = "sms", "ÖRNEK" }},
		{"12 characters", "name", "11", gateway.CodeInvalid, func(s *gateway.Sender) { s.Channel, s.Name = "sms", "ABCDEFGHIJKL" }},
		{"an address", "name", "after the @", gateway.CodeInvalid, func(s *gateway.Sender) { s.Name = "a@example.com" }},
		{"no domain", "name", "not a domain", gateway.CodeInvalid, func(s *gateway.Sender) { s.Name = "example" }},
		{"no channel", "channel", "missing", gateway.CodeInvalid, func(s *gateway.Sender) { s.Channel = "" }},
		{"channel", "channel", "sms, email", gateway.CodeInvalid, func(s *gateway.Sender) { s.Channel = "fax" }},
		{"no brand", "brand", "missing", gateway.CodeInvalid, func(s *gateway.Sender) { s.Brand = "" }},
		{"another's brand", "brand", "700001", gateway.CodeBrand, func(s *gateway.Sender) { s.Brand = "700001" }},
		{"account", "account", "7", gateway.CodeNotFound, func(s *gateway.Sender) { s.Account = 7 }},
	} {
		_, err := o.PutSender(ctx, with(sender, c.f))
		t.Run(c.why, func(t *testing.T) { refused(t, err, c.code, c.field, c.part) })
	}
	if list := must[[]gateway.Sender](t)(o.ListSenders(ctx, desk.Query{Account: 1})); fmt.Sprint(list[0].Name, list[1].Name, list[2].Name) != "bulten.example.com908501234567ORNEK" {
		t.Errorf("got %+v", list)
	}
	must[desk.Nothing](t)(o.DeleteSender(ctx, gateway.SenderKey{Account: 1, Channel: "email", Name: "Bulten.example.com"}))
	_, err := o.DeleteSender(ctx, gateway.SenderKey{Account: 1, Channel: "email", Name: "bulten.example.com"})
	refused(t, err, gateway.CodeNotFound, "name", "bulten")

	must[desk.Issued](t)(o.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{Kind: "smpp", ID: "ornek", Account: 1}}))
	number := gateway.Number{Number: "3338", Keyword: "Örnek", Account: 1, Brand: "675403", System: "ornek"}
	if got := must[gateway.Number](t)(o.PutNumber(ctx, number)); got.Keyword != "ORNEK" || got.Number != "3338" {
		t.Errorf("got %+v", got)
	}
	for _, c := range []struct {
		why, field, part string
		code             gateway.Code
		f                func(*gateway.Number)
	}{
		{"a title", "number", "short number", gateway.CodeInvalid, func(n *gateway.Number) { n.Number = "ORNEK" }},
		{"two words", "keyword", "one word", gateway.CodeInvalid, func(n *gateway.Number) { n.Keyword = "iki söz" }},
		{"a stop word", "keyword", "opt-out", gateway.CodeInvalid, func(n *gateway.Number) { n.Keyword = "iptal" }},
		{"a weak stop word", "keyword", "opt-out", gateway.CodeInvalid, func(n *gateway.Number) { n.Keyword = "dur" }},
		{"long", "keyword", "20", gateway.CodeInvalid, func(n *gateway.Number) { n.Keyword = strings.Repeat("A", 21) }},
		{"another's keyword", "number", "another account", gateway.CodeConflict, func(n *gateway.Number) { n.Account, n.Brand, n.System = 2, "", "" }},
		{"another's brand", "brand", "700001", gateway.CodeBrand, func(n *gateway.Number) { n.Brand = "700001" }},
		{"no such system", "system", "nobody", gateway.CodeNotFound, func(n *gateway.Number) { n.System = "nobody" }},
		{"another's system", "system", "ornek", gateway.CodeNotFound, func(n *gateway.Number) { n.Account, n.Brand, n.Keyword = 2, "", "baska" }},
	} {
		_, err := o.PutNumber(ctx, with(number, c.f))
		t.Run("number: "+c.why, func(t *testing.T) { refused(t, err, c.code, c.field, c.part) })
	}
	_, err = o.DeleteNumber(ctx, gateway.Number{Number: "3338", Keyword: "ORNEK", Account: 2})
	refused(t, err, gateway.CodeNotFound, "number", "3338")
	must[desk.Nothing](t)(o.DeleteNumber(ctx, gateway.Number{Number: "3338", Keyword: "örnek", Account: 1}))
	if list := must[[]gateway.Number](t)(o.ListNumbers(ctx, desk.Query{})); len(list) != 0 {
		t.Errorf("got %+v", list)
	}
}

func TestOperatorsAndRoutes(t *testing.T) {
	o := furnished(t)
	good := desk.OperatorInput{Password: "pw", Operator: gateway.Operator{Name: "op2", Addr: "smsc.example.com:2775", SystemID: "s", Window: 50,
		IDForm: "hex->dec, trim-zeros", BindType: "tx+rx", Alphabet: "packed", TLS: true, ResponseTimeout: time.Minute}}
	got := must[gateway.Operator](t)(o.PutOperator(ctx, good))
	if strings.Contains(string(got.Password), "pw") || got.IDForm != "trim-zeros,hex->dec" {
		t.Errorf("got %+v", got)
	}
	good.Password, good.Operator.Binds = "", 3
	must[gateway.Operator](t)(o.PutOperator(ctx, good))
	if pw, err := o.store.Unseal(o.store.Directory().Operators["op2"].Password); err != nil || pw != "pw" {
		t.Errorf("a change without password lost it: %q, %v", pw, err)
	}
	for _, c := range []struct {
		why, field, part string
		f                func(*desk.OperatorInput)
	}{
		{"name", "name", "32", func(x *desk.OperatorInput) { x.Operator.Name = "op 2" }},
		{"addr", "addr", "host:port", func(x *desk.OperatorInput) { x.Operator.Addr = "smsc.example.com" }},
		{"port", "addr", "host:port", func(x *desk.OperatorInput) { x.Operator.Addr = "smsc.example.com:0" }},
		{"url", "addr", "host:port", func(x *desk.OperatorInput) { x.Operator.Addr = "smpp://h:1" }},
		{"idForm", "idForm", "trim-zeros", func(x *desk.OperatorInput) { x.Operator.IDForm = "octal" }},
		{"both ways", "idForm", "one of", func(x *desk.OperatorInput) { x.Operator.IDForm = "hex->dec,dec->hex" }},
		{"systemId", "systemId", "1 to 64", func(x *desk.OperatorInput) { x.Operator.SystemID = "" }},
		{"password", "password", "64", func(x *desk.OperatorInput) { x.Password = "şifre" }},
		{"systemType", "systemType", "12", func(x *desk.OperatorInput) { x.Operator.SystemType = "thirteen chars" }},
		{"window", "window", "at least 10", func(x *desk.OperatorInput) { x.Operator.Window = 9 }},
		{"insecure", "tlsInsecure", "without tls", func(x *desk.OperatorInput) { x.Operator.TLS, x.Operator.TLSInsecure = false, true }},
		{"bindType", "bindType", "tx+rx", func(x *desk.OperatorInput) { x.Operator.BindType = "rx" }},
		{"alphabet", "alphabet", "packed", func(x *desk.OperatorInput) { x.Operator.Alphabet = "ucs2" }},
		{"latin1", "alphabet", "cannot be served", func(x *desk.OperatorInput) { x.Operator.Alphabet = "latin1" }},
		{"binds", "binds", "64", func(x *desk.OperatorInput) { x.Operator.Binds = 65 }},
		{"rate", "perSecond", "between", func(x *desk.OperatorInput) { x.Operator.PerSecond = -1 }},
		{"suffix", "suffix", "70", func(x *desk.OperatorInput) { x.Operator.Suffix = 71 }},
		{"timeout", "responseTimeout", "between", func(x *desk.OperatorInput) { x.Operator.ResponseTimeout = 60 }},
		{"enquire", "enquireLink", "between", func(x *desk.OperatorInput) { x.Operator.EnquireLink = time.Hour }},
	} {
		_, err := o.PutOperator(ctx, with(good, c.f))
		t.Run(c.why, func(t *testing.T) { refused(t, err, gateway.CodeInvalid, c.field, c.part) })
	}
	route := gateway.Route{ID: "turkcell", Account: 1, Class: "otp", Prefix: "+90532",
		Operators: []gateway.RouteStep{{Operator: "op1", Rank: 1}, {Operator: "op2", Weight: 3}}}
	must[gateway.Route](t)(o.PutRoute(ctx, route))
	for _, c := range []struct {
		why, field, part string
		code             gateway.Code
		f                func(*gateway.Route)
	}{
		{"id", "id", "32", gateway.CodeInvalid, func(r *gateway.Route) { r.ID = "" }},
		{"class", "class", "otp", gateway.CodeInvalid, func(r *gateway.Route) { r.Class = "bulk" }},
		{"prefix", "prefix", "plus", gateway.CodeInvalid, func(r *gateway.Route) { r.Prefix = "0532" }},
		{"nobody", "operators", "at least one", gateway.CodeInvalid, func(r *gateway.Route) { r.Operators = nil }},
		{"twice", "operators", "twice", gateway.CodeInvalid, func(r *gateway.Route) { r.Operators = append(r.Operators[:1:1], r.Operators[0]) }},
		{"unknown operator", "operators", "op9", gateway.CodeNotFound, func(r *gateway.Route) { r.Operators = []gateway.RouteStep{{Operator: "op9"}} }},
		{"weight", "weight", "1000", gateway.CodeInvalid, func(r *gateway.Route) { r.Operators = []gateway.RouteStep{{Operator: "op1", Weight: -1}} }},
		{"account", "account", "6", gateway.CodeNotFound, func(r *gateway.Route) { r.Account = 6 }},
		{"same messages", "id", "turkcell", gateway.CodeConflict, func(r *gateway.Route) { r.ID = "other" }},
	} {
		_, err := o.PutRoute(ctx, with(route, c.f))
		t.Run("route: "+c.why, func(t *testing.T) { refused(t, err, c.code, c.field, c.part) })
	}
	_, err := o.DeleteOperator(ctx, desk.Name{Name: "op2"})
	refused(t, err, gateway.CodeConflict, "operator", "turkcell")
	must[desk.Nothing](t)(o.DeleteRoute(ctx, desk.Name{Name: "turkcell"}))
	must[desk.Nothing](t)(o.DeleteOperator(ctx, desk.Name{Name: "op2"}))
	_, err = o.DeleteRoute(ctx, desk.Name{Name: "turkcell"})
	refused(t, err, gateway.CodeNotFound, "id", "turkcell")
	_, err = o.DeleteOperator(ctx, desk.Name{Name: "op2"})
	refused(t, err, gateway.CodeNotFound, "name", "op2")
}

// TryRoute must say what dispatch will do: the directory's own choice, with reasons.
func TestTryRoute(t *testing.T) {
	o := furnished(t)
	must[gateway.Operator](t)(o.PutOperator(ctx, desk.OperatorInput{Operator: gateway.Operator{Name: "op2", Addr: "h:1", SystemID: "s", Disabled: true}}))
	for _, r := range []gateway.Route{
		{ID: "mine", Account: 1, Prefix: "+90532", Operators: []gateway.RouteStep{{Operator: "op1", Weight: 3}, {Operator: "op2", Rank: 1}}},
		{ID: "theirs", Account: 2, Operators: []gateway.RouteStep{{Operator: "op2"}}},
		{ID: "otp", Class: "otp", Operators: []gateway.RouteStep{{Operator: "op1"}, {Operator: "op2", Weight: 3}}},
	} {
		must[gateway.Route](t)(o.PutRoute(ctx, r))
	}
	for _, c := range []struct {
		in            desk.Trial
		route, passed string
		steps         string
	}{
		{desk.Trial{Account: 1, Address: "0532 123 45 67"}, "mine", "", "op1/0/100 op2/1/100/off"},
		{desk.Trial{Account: 1, Class: "otp", Address: "05551234567"}, "otp", "mine is for numbers that begin with +90532; theirs is for account 2", "op2/0/75/off op1/0/25"},
		{desk.Trial{Account: 1, Class: "commercial", Address: "05551234567"}, "default", "mine is for numbers that begin with +90532; theirs is for account 2; otp is for class otp", "op1/0/100"},
	} {
		p := must[desk.Path](t)(o.TryRoute(ctx, c.in))
		var passed, steps []string
		for _, x := range p.Passed {
			passed = append(passed, x.ID+" "+x.Why)
		}
		for _, x := range p.Steps {
			s := fmt.Sprintf("%s/%d/%d", x.Operator, x.Rank, x.Share)
			if x.Disabled {
				s += "/off"
			}
			steps = append(steps, s)
		}
		if p.Route == nil || p.Route.ID != c.route || strings.Join(passed, "; ") != c.passed || strings.Join(steps, " ") != c.steps {
			t.Errorf("%+v: got %+v, passed %q, steps %q", c.in, p.Route, passed, steps)
		}
	}
	must[desk.Nothing](t)(o.DeleteRoute(ctx, desk.Name{Name: "default"}))
	if p := must[desk.Path](t)(o.TryRoute(ctx, desk.Trial{Account: 1, Address: "05551234567"})); p.Route != nil || len(p.Passed) != 3 {
		t.Errorf("no route is left, got %+v", p)
	}
	_, err := o.TryRoute(ctx, desk.Trial{Account: 1, Address: "02121234567"})
	refused(t, err, gateway.CodeBadNumber, "address", "mobile")
	_, err = o.TryRoute(ctx, desk.Trial{Account: 1, Class: "x", Address: "05551234567"})
	refused(t, err, gateway.CodeInvalid, "class", "otp")
}

func TestLinksAndWebhooks(t *testing.T) {
	o := furnished(t)
	good := desk.IYSLinkInput{Password: "p", Link: gateway.IYSLink{Name: "l2", BaseURL: "https://api.iys.org.tr", Username: "u"}}
	must[gateway.IYSLink](t)(o.PutIYSLink(ctx, good))
	good.Password = ""
	must[gateway.IYSLink](t)(o.PutIYSLink(ctx, good)) // keeps the password
	if pw, _ := o.store.Unseal(o.store.Directory().IYSLinks["l2"].Password); pw != "p" {
		t.Errorf("the password became %q", pw)
	}
	for _, c := range []struct {
		why, field, part string
		f                func(*desk.IYSLinkInput)
	}{
		{"name", "name", "name", func(x *desk.IYSLinkInput) { x.Link.Name = "" }},
		{"nobody", "username", "API user", func(x *desk.IYSLinkInput) { x.Link.Username = "" }},
		{"no password", "password", "missing", func(x *desk.IYSLinkInput) { x.Link.Name = "l3" }},
		{"plain http", "baseUrl", "https", func(x *desk.IYSLinkInput) { x.Link.BaseURL = "http://api.iys.org.tr" }},
		{"no url", "baseUrl", "absolute", func(x *desk.IYSLinkInput) { x.Link.BaseURL = "" }},
		{"no AHS password", "ahsPassword", "missing", func(x *desk.IYSLinkInput) { x.Link.AHSUser = "a" }},
		{"no AHS address", "ahsUrl", "missing", func(x *desk.IYSLinkInput) { x.Link.AHSUser, x.AHSPassword = "a", "p" }},
		{"AHS address", "ahsUrl", "absolute", func(x *desk.IYSLinkInput) { x.Link.AHSUser, x.AHSPassword, x.Link.AHSURL = "a", "p", "ahs" }},
		{"integrator", "integratorCode", "positive", func(x *desk.IYSLinkInput) { x.Link.IntegratorCode = -1 }},
	} {
		_, err := o.PutIYSLink(ctx, with(good, c.f))
		t.Run(c.why, func(t *testing.T) { refused(t, err, gateway.CodeInvalid, c.field, c.part) })
	}

	hook := desk.WebhookInput{Account: 1, URL: "https://example.com/h", Events: []string{"inbound"}}
	first := must[gateway.WebhookView](t)(o.PutWebhook(ctx, hook))
	second := must[gateway.WebhookView](t)(o.PutWebhook(ctx, hook))
	hook.Rotate = true
	third := must[gateway.WebhookView](t)(o.PutWebhook(ctx, hook))
	if first.Secret == "" || second.Secret != "" || third.Secret == "" || third.Secret == first.Secret {
		t.Errorf("the secret is shown when made: %q, %q, %q", first.Secret, second.Secret, third.Secret)
	}
	if s, _ := o.store.Unseal(o.store.Directory().Webhooks[1].Secret); s != third.Secret {
		t.Errorf("stored %q, shown %q", s, third.Secret)
	}
	for _, c := range []struct {
		field, part string
		f           func(*desk.WebhookInput)
	}{
		{"url", "absolute", func(w *desk.WebhookInput) { w.URL = "example.com" }},
		{"url", "user", func(w *desk.WebhookInput) { w.URL = "https://u:p@example.com" }},
		{"url", "#", func(w *desk.WebhookInput) { w.URL = "https://example.com/#x" }},
		{"events", "message.final", func(w *desk.WebhookInput) { w.Events = []string{"all"} }},
		{"secret", "16", func(w *desk.WebhookInput) { w.Secret = "short" }},
	} {
		_, err := o.PutWebhook(ctx, with(hook, c.f))
		refused(t, err, gateway.CodeInvalid, c.field, c.part)
	}
	if list := must[[]gateway.Webhook](t)(o.ListWebhooks(ctx, desk.Query{})); len(list) != 1 || string(list[0].Secret) != gateway.Sealed("").String() {
		t.Errorf("got %+v", list)
	}
	must[gateway.WebhookView](t)(o.PutWebhook(ctx, desk.WebhookInput{Account: 1}))
	if list := must[[]gateway.Webhook](t)(o.ListWebhooks(ctx, desk.Query{})); len(list) != 0 {
		t.Errorf("an empty URL removes: %+v", list)
	}
}

// Every change is reported with who did it, and no report holds a secret.
func TestAudit(t *testing.T) {
	o := furnished(t)
	issued := must[desk.Issued](t)(o.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{Kind: "smpp", ID: "k", Account: 1}}))
	hook := must[gateway.WebhookView](t)(o.PutWebhook(ctx, desk.WebhookInput{Account: 1, URL: "https://example.com"}))
	must[gateway.Balance](t)(o.AddCredits(ctx, desk.CreditEntry{Account: 1, Credits: 5, Note: "n"}))
	before := len(o.entries)
	if _, err := o.PutAccount(ctx, gateway.Account{}); err == nil || len(o.entries) != before {
		t.Error("a refused change was reported")
	}
	must[gateway.Account](t)(o.SuspendAccount(ctx, desk.Suspension{Account: 1, Suspended: true}))
	last := o.entries[len(o.entries)-1]
	var was, is gateway.Account
	if json.Unmarshal(last.Before, &was) != nil || json.Unmarshal(last.After, &is) != nil || was.Suspended || !is.Suspended ||
		last.Who != "test ayse" || last.What != "SuspendAccount" || last.Target != "account 1" || !last.At.Equal(now) {
		t.Errorf("got %+v", last)
	}
	if len(o.entries) != 12 || string(o.entries[0].Before) != "null" {
		t.Errorf("%d changes reported, want 12; the first: %s", len(o.entries), o.entries[0].Before)
	}
	all, err := json.Marshal(o.entries)
	if err != nil {
		t.Fatal(err)
	}
	d := o.store.Directory()
	for _, secret := range []string{"gizli-iys", "gizli-ahs", "gizli-op", issued.Secret, hook.Secret, "argon2id",
		string(d.Operators["op1"].Password), string(d.IYSLinks["main"].Password), string(d.Webhooks[1].Secret)} {
		if strings.Contains(string(all), secret) {
			t.Errorf("the audit trail holds %q", secret)
		}
	}
}
