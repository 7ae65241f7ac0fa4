package public

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"izinli/gateway"
	"izinli/gateway/address"
)

// OptIns keeps requests made at forms until they are confirmed.
type OptIns interface {
	PutOptIn(ctx context.Context, o *gateway.OptIn) error
	OptIn(ctx context.Context, code string) (gateway.OptIn, bool, error)
	// ConfirmOptIn notes the confirmation with its evidence; the first one stands and is returned.
	ConfirmOptIn(ctx context.Context, code string, by gateway.Trace, evidence string) (gateway.OptIn, error)
	DoneOptIn(ctx context.Context, code string, at time.Time) error
}

// Bounds of a form's fields and of its use.
const (
	maxFormBody  = 16 << 10 // octets
	maxName      = 100      // characters
	maxUserAgent = 250      // octets kept as evidence
	csrfLife     = 12 * time.Hour
	cookieName   = "izf"
)

// formView is a form with what was typed into it.
type formView struct {
	Action, CSRF  string
	Mail          bool
	Text          string // what the person agrees to
	Privacy       string
	Name, Address string
	Agreed        bool
	Faults        []fault // in the order of the fields
}

type fault struct{ Field, Text string }

// Fault is what is wrong with a field, empty when nothing.
func (v *formView) Fault(field string) string {
	for _, f := range v.Faults {
		if f.Field == field {
			return f.Text
		}
	}
	return ""
}

// form finds the form of the request; false: it has been answered.
func (s *Server) form(w http.ResponseWriter, r *http.Request) (*gateway.Form, bool) {
	f := s.deps.Directory().Forms[r.PathValue("form")]
	switch {
	case f == nil && !s.badForms.allow(network(s.client(r)), s.cfg.Now()):
		s.errorPage(w, r, http.StatusTooManyRequests, "busy")
	case f == nil:
		s.errorPage(w, r, http.StatusNotFound, "notfound")
	case !s.open(f):
		s.errorPage(w, r, http.StatusGone, "formgone")
	default:
		return f, true
	}
	return nil, false
}

// open reports whether a form still takes consents.
func (s *Server) open(f *gateway.Form) bool {
	a := s.deps.Directory().Accounts[f.Account]
	return f.Revoked.IsZero() && a != nil && !a.Suspended && s.brandOf(f.Account, f.Brand) != nil
}

// formPage shows an empty form.
func (s *Server) formPage(w http.ResponseWriter, r *http.Request) {
	if f, ok := s.form(w, r); ok {
		s.showForm(w, r, http.StatusOK, f, &formView{})
	}
}

func (s *Server) showForm(w http.ResponseWriter, r *http.Request, status int, f *gateway.Form, v *formView) {
	l := language(r)
	v.Action, v.Mail, v.Text, v.Privacy = here(r, l), mail(f.Channel), f.Text(string(l)), f.PrivacyURL
	v.CSRF = s.csrf(f.ID, s.cookie(w, r), s.cfg.Now())
	s.show(w, r, status, &page{Lang: l, Brand: f.TradeName, Title: l.t("form.title." + channelKey(f.Channel)),
		Lead: []string{l.t("form.lead."+channelKey(f.Channel), f.TradeName)}, Form: v,
		Notes: []string{l.t("form.next." + channelKey(f.Channel)), l.t("form.free"), l.t("form.kept")}})
}

// cookie is the visitor's nonce, to which the form is bound; without one it sets one.
func (s *Server) cookie(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(cookieName); err == nil && len(c.Value) == 26 {
		return c.Value
	}
	v := rand.Text()
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: v, Path: gateway.FormPath, HttpOnly: true, Secure: s.secure(),
		SameSite: http.SameSiteStrictMode, MaxAge: int(csrfLife / time.Second)})
	return v
}

// csrf is a token for one form, one visitor and some hours.
func (s *Server) csrf(form, nonce string, at time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))
	m := hmac.New(sha256.New, s.csrfKey)
	m.Write(b)
	m.Write([]byte(form + "\x00" + nonce))
	return base64.RawURLEncoding.EncodeToString(m.Sum(b)[:8+24])
}

// genuine reports whether the form was sent by a visitor from our own page.
func (s *Server) genuine(r *http.Request, form string) bool {
	if s.cross.Check(r) != nil {
		return false
	}
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	got := r.PostForm.Get("csrf")
	raw, err := base64.RawURLEncoding.DecodeString(got)
	if err != nil || len(raw) < 8 {
		return false
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	now := s.cfg.Now()
	return hmac.Equal([]byte(got), []byte(s.csrf(form, c.Value, at))) && now.Sub(at) < csrfLife && at.Before(now.Add(time.Minute))
}

// formSent takes a filled-in form: it keeps the request and sends the link that confirms it. Nothing is consented to yet.
func (s *Server) formSent(w http.ResponseWriter, r *http.Request) {
	f, ok := s.form(w, r)
	if !ok {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBody)
	if err := r.ParseForm(); err != nil {
		s.showForm(w, r, http.StatusBadRequest, f, &formView{Faults: []fault{{"", language(r).t("form.fault.body")}}})
		return
	}
	l := language(r)
	v := &formView{Name: clean(r.PostForm.Get("name")), Address: strings.TrimSpace(r.PostForm.Get("address")), Agreed: r.PostForm.Get("agree") == "yes"}
	if !s.genuine(r, f.ID) {
		v.Agreed, v.Faults = false, []fault{{"", l.t("form.fault.csrf")}}
		s.showForm(w, r, http.StatusForbidden, f, v)
		return
	}
	addr := s.checkForm(l, f, v)
	if len(v.Faults) > 0 {
		s.showForm(w, r, http.StatusUnprocessableEntity, f, v)
		return
	}
	now := s.cfg.Now()
	if !s.senders.allow(network(s.client(r)), now) || !s.perForm.allow(f.ID, now) || !s.perAddress.allow(f.Brand+"\x00"+addr, now) {
		s.errorPage(w, r, http.StatusTooManyRequests, "formbusy")
		return
	}
	o := &gateway.OptIn{Code: strings.ToLower(rand.Text()[:16]), Form: f.ID, Account: f.Account, Brand: f.Brand, Channel: f.Channel, Address: addr,
		Name: v.Name, Lang: string(l), Asked: s.trace(r), Expires: now.Add(gateway.OptInLife)}
	if err := s.ask(context.WithoutCancel(r.Context()), f, o); err != nil {
		s.formRefused(w, r, f, o, err)
		return
	}
	s.log.Info("opt-in asked", "form", f.ID, "account", f.Account, "brand", f.Brand, "to", address.Mask(addr))
	p := &page{Lang: l, Brand: f.TradeName, Title: l.t("asked.title"), Tone: "ok",
		Lead: []string{l.t("asked.lead."+channelKey(f.Channel), addr), l.t("asked.button", int(gateway.OptInLife/time.Hour))}, Notes: []string{l.t("asked.none." + channelKey(f.Channel))}}
	s.show(w, r, http.StatusAccepted, p)
}

// clean makes one line of a name: no control characters, no runs of blanks.
func clean(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// checkForm says what is wrong with the fields and returns the address in its stored form.
func (s *Server) checkForm(l lang, f *gateway.Form, v *formView) (addr string) {
	wrong := func(field, key string) { v.Faults = append(v.Faults, fault{field, l.t(key)}) }
	letters := strings.IndexFunc(v.Name, unicode.IsLetter) >= 0
	switch n := utf8.RuneCountInString(v.Name); {
	case n == 0:
		wrong("name", "form.fault.name")
	case n > maxName:
		v.Name = string([]rune(v.Name)[:maxName])
		wrong("name", "form.fault.longname")
	case !letters || !strings.Contains(v.Name, " "):
		wrong("name", "form.fault.fullname") // the declaration carries name and surname (regulation.md §3)
	}
	if mail(f.Channel) {
		e, err := address.ParseEmail(v.Address)
		if err != nil {
			wrong("address", "form.fault.email")
		}
		addr = string(e)
	} else {
		n, err := address.Parse(v.Address, address.Options{DomesticOnly: true})
		if err != nil {
			wrong("address", "form.fault.number")
		}
		addr = n.String()
	}
	if len(v.Address) > 300 {
		v.Address = ""
	}
	if !v.Agreed {
		wrong("agree", "form.fault.agree")
	}
	return addr
}

func (s *Server) trace(r *http.Request) gateway.Trace {
	ua := clean(r.UserAgent())
	if len(ua) > maxUserAgent {
		ua = strings.ToValidUTF8(ua[:maxUserAgent], "")
	}
	t := gateway.Trace{At: s.cfg.Now().Truncate(time.Second), UserAgent: ua}
	if c := s.client(r); c.IsValid() {
		t.IP = c.String()
	}
	return t
}

// errNotSent says that the link could not be sent; its text is for the log.
var errNotSent = errors.New("public: the confirmation was not accepted")

// ask keeps the request, synced, and sends the link.
func (s *Server) ask(ctx context.Context, f *gateway.Form, o *gateway.OptIn) error {
	base := s.deps.BaseURL()
	if base == "" {
		return errors.New("public: publicUrl is not configured")
	}
	if err := s.deps.OptIns.PutOptIn(ctx, o); err != nil {
		return err
	}
	l := lang(o.Lang)
	link := base + confirmPath + o.Code
	return s.send(ctx, f, o, "ask", l.t("mail.ask.subject", f.TradeName), l.t("msg.ask."+channelKey(f.Channel), f.TradeName, link))
}

// send submits one message of the form to the person. what makes it unique per request, so that a repeat is sent once.
func (s *Server) send(ctx context.Context, f *gateway.Form, o *gateway.OptIn, what, subject, text string) error {
	key := "optin-" + what + "/" + o.Code
	sub := &gateway.Submission{
		Principal: &gateway.Principal{Account: f.Account, Credential: gateway.Credential{ID: "form:" + f.ID, Account: f.Account,
			Classes: []string{gateway.ClassTransactional}, Reason: "legal"}},
		Door: gateway.DoorPublic, Channel: f.Channel, Class: gateway.ClassTransactional, Brand: f.Brand, From: f.From,
		// The text stands in a variable: nothing in it is read as a template.
		Text: "{{metin}}", To: []gateway.Destination{{Address: o.Address, Vars: []gateway.Var{{Name: "metin", Value: text}}}},
		Idempotency: &gateway.IdempotencyKey{Key: key, Hash: sha256.Sum256([]byte(key))},
	}
	if mail(f.Channel) {
		sub.Subject, sub.From = subject, (&netmail.Address{Name: f.TradeName, Address: f.From}).String()
	}
	res, err := s.deps.Submit.Submit(ctx, sub)
	if err != nil {
		return err
	}
	if res.Accepted == 0 {
		code := gateway.Code("")
		if len(res.Messages) > 0 {
			code = res.Messages[0].Code
		}
		return fmt.Errorf("%w: %s", errNotSent, code)
	}
	return nil
}

// formRefused tells the person that no link could be sent. Why is our business, or the brand's.
func (s *Server) formRefused(w http.ResponseWriter, r *http.Request, f *gateway.Form, o *gateway.OptIn, err error) {
	s.log.Error("opt-in not asked", "form", f.ID, "account", f.Account, "brand", f.Brand, "to", address.Mask(o.Address), "err", err)
	if errors.Is(err, errNotSent) { // this address alone cannot be written to
		s.errorPage(w, r, http.StatusUnprocessableEntity, "unsendable")
		return
	}
	s.errorPage(w, r, http.StatusServiceUnavailable, "failed")
}

// textHash names a text beyond doubt.
func textHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
