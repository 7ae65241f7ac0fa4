package assembly

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"

	"izinli/gateway"
	"izinli/gateway/iyslink"
	"izinli/gateway/public"
	"izinli/gateway/unsubscribe"
)

// makeLinks makes what writes opt-out links.
func (s *Server) makeLinks(o ServerOptions) (err error) {
	s.localLinks = o.LocalLinks
	s.Tokens, err = unsubscribe.NewTokens(s.Store.TokenKey())
	s.links = &unsubscribe.Links{Tokens: s.Tokens, Store: s.Store, Base: s.PublicURL}
	return err
}

// submitter is the road in for doors whose texts are templates.
func (s *Server) submitter() gateway.Submitter {
	return &unsubscribe.Writer{Next: s.Intake, Links: s.links, Directory: s.Store.Directory}
}

// openPublic makes the door for recipients and İYS; it is listened for like the other doors.
func (s *Server) openPublic(o ServerOptions) error {
	formKey, err := hkdf.Key(sha256.New, s.Store.TokenKey(), nil, "izinli public forms", 32)
	if err != nil {
		return err
	}
	var submit gateway.Submitter = s.Intake
	if o.FormTap != nil {
		submit = tap{s.Intake, o.FormTap}
	}
	s.Public = public.New(public.Config{TrustedProxies: proxies(s.cfg), Now: o.Now, Key: formKey},
		public.Deps{Consents: s.Desk, Tokens: s.Tokens, Links: s.Store, ShortLinks: s.links.Short, OptIns: s.Store, Submit: submit,
			Pushes: s.Pushes, BadPush: func(err error) bool { return errors.Is(err, iyslink.ErrPushBody) },
			Directory: s.Store.Directory, BaseURL: s.PublicURL, Log: s.log})
	return nil
}

// tap tells of the messages it passes on.
type tap struct {
	gateway.Submitter
	told func(to, text string)
}

func (t tap) Submit(ctx context.Context, s *gateway.Submission) (gateway.Result, error) {
	res, err := t.Submitter.Submit(ctx, s)
	if err == nil && len(s.To) == 1 && len(s.To[0].Vars) == 1 {
		t.told(s.To[0].Address, s.To[0].Vars[0].Value)
	}
	return res, err
}

// PublicURL is where recipients reach the public pages, without a slash at the end; empty when that is not configured.
func (s *Server) PublicURL() string {
	if s.cfg.PublicURL != "" || !s.localLinks || s.Addrs["public"] == "" {
		return s.cfg.PublicURL
	}
	return s.localURL("public")
}

// localURL is the address of an HTTP listener for somebody on this machine.
func (s *Server) localURL(listener string) string {
	scheme := "http://"
	if s.cfg.TLS.HTTP.Cert != "" {
		scheme = "https://"
	}
	host := s.Addrs[listener]
	if a, err := netip.ParseAddrPort(host); err == nil && a.Addr().IsUnspecified() {
		host = fmt.Sprintf("localhost:%d", a.Port())
	}
	return scheme + host
}
