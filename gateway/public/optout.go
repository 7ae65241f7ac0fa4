package public

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/unsubscribe"
)

// Routes of an opt-out, as the record keeps them; the İYS source follows from them (HS_EPOSTA, HS_WEB).
const (
	routeOneClick = "one_click" // RFC 8058, by a mail program
	routePage     = "page"      // the button of our page
)

// maxOptOutBody bounds the body of an opt-out, in octets: it says one word.
const maxOptOutBody = 8 << 10

var istanbul = time.FixedZone("+03", 3*3600)

// errBadLink is a link that is not ours.
var errBadLink = errors.New("public: not a link of ours")

// link finds out what the address of the request stands for. false: it has been answered.
func (s *Server) link(w http.ResponseWriter, r *http.Request) (unsubscribe.Subject, bool) {
	subject, err := s.readLink(r)
	switch {
	case err == nil:
		return subject, true
	case errors.Is(err, errBadLink) && s.badLinks.allow(network(s.client(r)), s.cfg.Now()):
		s.errorPage(w, r, http.StatusNotFound, "badlink", "badlink.else")
	case errors.Is(err, errBadLink):
		s.errorPage(w, r, http.StatusTooManyRequests, "busy")
	default:
		s.log.Error("short link not read", "err", err)
		s.errorPage(w, r, http.StatusServiceUnavailable, "failed")
	}
	return subject, false
}

// readLink looks every link up, whoever asks: behind one address there may be a proxy or a whole mobile network, and what strangers
// there ask for must keep nobody from refusing (P5). Only the answer to a miss is limited.
func (s *Server) readLink(r *http.Request) (unsubscribe.Subject, error) {
	if token := r.PathValue("token"); token != "" {
		subject, err := s.deps.Tokens.Parse(token)
		if err != nil {
			return subject, errBadLink
		}
		return subject, nil
	}
	code, ok := unsubscribe.NormalCode(r.PathValue("code"))
	if !ok || s.deps.Links == nil {
		return unsubscribe.Subject{}, errBadLink
	}
	l, ok, err := s.deps.Links.ShortLink(r.Context(), code)
	if err != nil || !ok {
		return unsubscribe.Subject{}, errors.Join(err, errIf(!ok && err == nil))
	}
	return unsubscribe.Subject{Account: l.Account, Brand: l.Brand, Channel: l.Channel, Address: l.Address}, nil
}

func errIf(bad bool) error {
	if bad {
		return errBadLink
	}
	return nil
}

// brandOf is the brand a link speaks of; nil when it is gone.
func (s *Server) brandOf(a gateway.AccountID, code string) *gateway.Brand {
	return s.deps.Directory().BrandOf(a, code)
}

// mail reports whether the subject is about e-mail; everything else reads as text messages.
func mail(channel string) bool { return channel == gateway.ChannelEmail || channel == "EPOSTA" }

func channelKey(channel string) string {
	if mail(channel) {
		return gateway.ChannelEmail
	}
	return gateway.ChannelSMS
}

// optOutPage shows what the link would do. It changes nothing.
func (s *Server) optOutPage(w http.ResponseWriter, r *http.Request) {
	sub, ok := s.link(w, r)
	if !ok {
		return
	}
	b := s.brandOf(sub.Account, sub.Brand)
	if b == nil {
		s.errorPage(w, r, http.StatusGone, "gone")
		return
	}
	l, ch := language(r), channelKey(sub.Channel)
	if since, blocked := s.blocked(r.Context(), &sub); blocked {
		p := s.stopped(l, b, &sub, "out.already.title")
		p.Lead = append(p.Lead, l.t("out.already.since", since.In(istanbul).Format("02.01.2006 15:04")))
		s.show(w, r, http.StatusOK, p)
		return
	}
	s.show(w, r, http.StatusOK, &page{Lang: l, Brand: b.Name, Title: l.t("out.title." + ch), Lead: []string{l.t("out.lead."+ch, b.Name)},
		Facts:  facts(l, &sub, b),
		Button: &button{Action: here(r, l), Label: l.t("out.button"), Hidden: []fact{{"confirm", "1"}}},
		Notes:  []string{l.t("out.note"), l.t("out.other")}})
}

func facts(l lang, sub *unsubscribe.Subject, b *gateway.Brand) []fact {
	key := "out.number"
	if mail(sub.Channel) {
		key = "out.address"
	}
	return []fact{{l.t("out.brand"), b.Name}, {l.t(key), address.Mask(sub.Address)}}
}

// blocked tells whether the person has refused before; where that cannot be read, the page offers to refuse.
func (s *Server) blocked(ctx context.Context, sub *unsubscribe.Subject) (time.Time, bool) {
	v, err := s.deps.Consents.Lookup(ctx, &gateway.Principal{Account: sub.Account}, sub.Brand, sub.Channel, "", sub.Address)
	if err != nil || !v.Blocked || v.Block == nil {
		return time.Time{}, false
	}
	return v.Block.At, true
}

// stopped is the page after an opt-out.
func (s *Server) stopped(l lang, b *gateway.Brand, sub *unsubscribe.Subject, title string) *page {
	return &page{Lang: l, Brand: b.Name, Title: l.t(title), Tone: "ok", Lead: []string{l.t("out.done."+channelKey(sub.Channel), b.Name)},
		Facts: facts(l, sub, b), Notes: []string{l.t("out.done.again"), l.t("out.other")}}
}

// optOut blocks. Any POST to a good link is a refusal; its body only tells whether a mail program or a person at the page sent it,
// and a body nobody can read stops nobody from refusing.
func (s *Server) optOut(w http.ResponseWriter, r *http.Request) {
	sub, ok := s.link(w, r)
	if !ok {
		return
	}
	route := routePage
	if mail(sub.Channel) && oneClick(w, r) {
		route = routeOneClick
	}
	plain := route == routeOneClick
	if !s.subject.allow(string(sub.Channel)+"\x00"+sub.Brand+"\x00"+sub.Address, s.cfg.Now()) {
		// The opt-outs before this one were carried out.
		s.answer(w, r, plain, http.StatusTooManyRequests, "busy")
		return
	}
	b := s.brandOf(sub.Account, sub.Brand)
	if b == nil {
		s.answer(w, r, plain, http.StatusGone, "gone")
		return
	}
	// A person who leaves while we write has refused all the same.
	ctx := context.WithoutCancel(r.Context())
	err := s.deps.Consents.OptOut(ctx, gateway.OptOut{Account: sub.Account, Brand: sub.Brand, Channel: sub.Channel, Address: sub.Address, Route: route})
	if err != nil {
		msg := "opt-out not written; the block is in force until the next start"
		if refused, ok := errors.AsType[*gateway.Error](err); ok && refused.Code.Wire().HTTP < http.StatusInternalServerError {
			msg = "opt-out cannot be applied; nothing is blocked" // refused before anything was done
		}
		s.log.Error(msg, "account", sub.Account, "brand", sub.Brand, "to", address.Mask(sub.Address), "route", route, "err", err)
		s.answer(w, r, plain, http.StatusServiceUnavailable, "failed")
		return
	}
	s.log.Info("opt-out", "account", sub.Account, "brand", sub.Brand, "channel", sub.Channel, "to", address.Mask(sub.Address), "route", route,
		"msg_id", messageID(&sub))
	if plain {
		w.WriteHeader(http.StatusOK) // RFC 8058 §3.1: no redirect, nothing to show
		return
	}
	l := language(r)
	p := s.stopped(l, b, &sub, "out.done.title")
	p.Lead = append(p.Lead, l.t("out.done.iys"))
	s.show(w, r, http.StatusOK, p)
}

func messageID(sub *unsubscribe.Subject) string {
	if sub.Message.IsZero() {
		return ""
	}
	return sub.Message.String()
}

// answer refuses in the form the caller can use: a line of text for a program, a page for a person.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, plain bool, status int, key string) {
	if !plain {
		s.errorPage(w, r, status, key)
		return
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "60")
	}
	http.Error(w, english.t(key+".title"), status)
}

// oneClick reports whether the body is that of RFC 8058 §3.1: List-Unsubscribe=One-Click, form-urlencoded or multipart.
func oneClick(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxOptOutBody)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	if kind == "multipart/form-data" {
		err = r.ParseMultipartForm(maxOptOutBody)
	} else {
		err = r.ParseForm()
	}
	return err == nil && strings.EqualFold(r.PostForm.Get("List-Unsubscribe"), "One-Click")
}
