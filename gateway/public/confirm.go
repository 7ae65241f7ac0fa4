package public

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/unsubscribe"
)

// confirmPath is where confirmation links lead; the code follows it.
const confirmPath = "/c/"

// optIn finds the request behind a confirmation link; false: it has been answered.
func (s *Server) optIn(w http.ResponseWriter, r *http.Request) (gateway.OptIn, *gateway.Form, bool) {
	code := strings.ToLower(r.PathValue("code"))
	o, ok, err := gateway.OptIn{}, false, error(nil)
	if len(code) == 16 {
		o, ok, err = s.deps.OptIns.OptIn(r.Context(), code)
	}
	f := s.deps.Directory().Forms[o.Form]
	switch {
	case err != nil:
		s.log.Error("opt-in not read", "err", err)
		s.errorPage(w, r, http.StatusServiceUnavailable, "failed")
	case !ok && !s.badCodes.allow(network(s.client(r)), s.cfg.Now()):
		s.errorPage(w, r, http.StatusTooManyRequests, "busy")
	case !ok || o.Confirmed.At.IsZero() && s.cfg.Now().After(o.Expires):
		s.errorPage(w, r, http.StatusNotFound, "expired")
	case o.Registered.IsZero() && (f == nil || !s.open(f)):
		s.errorPage(w, r, http.StatusGone, "formgone")
	default:
		return o, f, true
	}
	return o, nil, false
}

// confirmPage shows once more what would be consented to. It changes nothing.
func (s *Server) confirmPage(w http.ResponseWriter, r *http.Request) {
	o, f, ok := s.optIn(w, r)
	if !ok {
		return
	}
	if !o.Registered.IsZero() {
		s.confirmed(w, r, &o, f)
		return
	}
	l := s.optInLang(r, &o)
	s.show(w, r, http.StatusOK, &page{Lang: l, Brand: f.TradeName, Title: l.t("confirm.title." + channelKey(f.Channel)),
		Lead: []string{l.t("confirm.lead", f.TradeName)}, Facts: optInFacts(l, &o), Text: f.Text(string(l)),
		Button: &button{Action: here(r, l), Label: l.t("confirm.button"), Hidden: []fact{{"confirm", "1"}}},
		Notes:  []string{l.t("confirm.note")}})
}

// optInLang is the language asked for, else that of the form when it was filled in.
func (s *Server) optInLang(r *http.Request, o *gateway.OptIn) lang {
	if r.URL.Query().Get("lang") == "" && (o.Lang == "tr" || o.Lang == "en") {
		return lang(o.Lang)
	}
	return language(r)
}

func optInFacts(l lang, o *gateway.OptIn) []fact {
	key := "out.number"
	if mail(o.Channel) {
		key = "out.address"
	}
	return []fact{{l.t("form.name"), o.Name}, {l.t(key), address.Mask(o.Address)}}
}

// confirm is the consent: the evidence is written first, then the desk gets the consent; the answer comes after both are synced. A
// repeat, also after a crash in between, goes on with the first confirmation.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request) {
	o, f, ok := s.optIn(w, r)
	if !ok {
		return
	}
	if !o.Registered.IsZero() {
		s.confirmed(w, r, &o, f)
		return
	}
	if !s.subject.allow("optin\x00"+o.Code, s.cfg.Now()) {
		s.errorPage(w, r, http.StatusTooManyRequests, "busy")
		return
	}
	ctx := context.WithoutCancel(r.Context())
	by := s.trace(r)
	o, err := s.deps.OptIns.ConfirmOptIn(ctx, o.Code, by, evidence(f, &o, by, s.optInLang(r, &o)))
	if err == nil {
		err = s.register(ctx, f, &o)
	}
	if err != nil {
		s.log.Error("consent not registered", "form", f.ID, "account", f.Account, "brand", f.Brand, "to", address.Mask(o.Address), "err", err)
		s.errorPage(w, r, http.StatusServiceUnavailable, "failed")
		return
	}
	s.log.Info("consent given", "form", f.ID, "account", f.Account, "brand", f.Brand, "to", address.Mask(o.Address))
	s.notice(ctx, f, &o)
	s.confirmed(w, r, &o, f)
}

// evidence is what proves the consent (regulation.md §10): who declared what, which wording, when and from where, and that the
// link went to the address itself. Where the person read the confirmation in another language, that wording was declared last.
func evidence(f *gateway.Form, o *gateway.OptIn, by gateway.Trace, l lang) string {
	when := func(t time.Time) string { return t.In(istanbul).Format(time.RFC3339) }
	again := ""
	if text := f.Text(string(l)); text != f.Text(o.Lang) {
		again = fmt.Sprintf(", its wording in %s (SHA-256 %s)", l, textHash(text))
	}
	return fmt.Sprintf("form %s, text %s in %s (SHA-256 %s); asked %s by %q from %s (%s); confirmed %s over the link sent to the address%s, from %s (%s)",
		f.ID, f.Version, o.Lang, textHash(f.Text(o.Lang)), when(o.Asked.At), o.Name, o.Asked.IP, o.Asked.UserAgent, when(by.At), again, by.IP, by.UserAgent)
}

// register hands the consent to the desk. It comes from the person himself, so it may end a block of his.
func (s *Server) register(ctx context.Context, f *gateway.Form, o *gateway.OptIn) error {
	channel := "MESAJ"
	if mail(f.Channel) {
		channel = "EPOSTA"
	}
	p := &gateway.Principal{Account: f.Account, Credential: gateway.Credential{ID: "form:" + f.ID, Account: f.Account}}
	res, err := s.deps.Consents.Add(ctx, p, []gateway.Consent{{Brand: f.Brand, Channel: channel, Address: o.Address,
		RecipientType: gateway.RecipientIndividual, Status: "ONAY", Source: "HS_WEB", ConsentDate: o.Confirmed.At, Evidence: o.Evidence, OverrideBlock: true}})
	if err != nil {
		return err
	}
	if r := res[0]; r.Code != "" && r.IYS != "H178" { // H178: something later is stored, so the person has moved on
		return &gateway.Error{Code: r.Code, Text: r.Text}
	}
	o.Registered = s.cfg.Now()
	return s.deps.OptIns.DoneOptIn(ctx, o.Code, o.Registered)
}

// notice tells the address that its consent was recorded and how to refuse, as the Regulation asks for on the same day
// (regulation.md §3). The consent stands without it.
func (s *Server) notice(ctx context.Context, f *gateway.Form, o *gateway.OptIn) {
	l := lang(o.Lang)
	sub := unsubscribe.Subject{Account: o.Account, Brand: o.Brand, Channel: o.Channel, Address: o.Address}
	link := s.deps.Tokens.URL(s.deps.BaseURL(), sub)
	if !mail(o.Channel) && s.deps.ShortLinks != nil {
		short, err := s.deps.ShortLinks(ctx, o.Account, o.Brand, o.Channel, []string{o.Address})
		if err != nil {
			s.log.Warn("no short link for the notice of a consent", "form", f.ID, "err", err)
		} else {
			link = short[0]
		}
	}
	err := s.send(ctx, f, o, "notice", l.t("mail.notice.subject", f.TradeName), l.t("msg.notice."+channelKey(o.Channel), f.TradeName, link))
	if err != nil {
		s.log.Error("the notice of a consent was not sent; it is due today", "form", f.ID, "account", f.Account, "to", address.Mask(o.Address), "err", err)
	}
}

// confirmed is the page after the consent, then and whenever the link is opened again.
func (s *Server) confirmed(w http.ResponseWriter, r *http.Request, o *gateway.OptIn, f *gateway.Form) {
	l := s.optInLang(r, o)
	name := ""
	if f != nil {
		name = f.TradeName
	} else if b := s.brandOf(o.Account, o.Brand); b != nil {
		name = b.Name
	}
	s.show(w, r, http.StatusOK, &page{Lang: l, Brand: name, Title: l.t("confirmed.title"), Tone: "ok",
		Lead:  []string{l.t("confirmed.lead."+channelKey(o.Channel), name)},
		Facts: append(optInFacts(l, o), fact{l.t("confirmed.at"), o.Confirmed.At.In(istanbul).Format("02.01.2006 15:04")}),
		Notes: []string{l.t("confirmed.note")}})
}
