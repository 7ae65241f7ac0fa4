package desk

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"izinli/gateway"
	"izinli/iys"
)

// ListBrands lists brands by code.
func (a *Admin) ListBrands(_ context.Context, q Query) ([]gateway.Brand, error) {
	return values(a.store.Directory().Brands, func(x *gateway.Brand) bool { return q.Account == 0 || x.Account == q.Account }), nil
}

// PutBrand creates or changes a brand. What its customers owe İYS on channels we may write for becomes ours to tell.
func (a *Admin) PutBrand(ctx context.Context, in gateway.Brand) (gateway.Brand, error) {
	in, err := a.putBrand(ctx, in)
	if err != nil || a.deps.IYS == nil {
		return in, err
	}
	if err := a.reclaim(ctx, &in); err != nil {
		return in, &gateway.Error{Code: gateway.CodeUnavailable, Err: err, Text: "The brand is saved, but what its customers owe İYS and we may tell it " +
			"ourselves could not be taken back; this is tried again by itself."}
	}
	return in, nil
}

func (a *Admin) putBrand(ctx context.Context, in gateway.Brand) (gateway.Brand, error) {
	code, err := parseCode("code", in.Code)
	if err != nil {
		return in, err
	}
	in.Code = strconv.Itoa(code)
	if in.Name, err = text("name", in.Name, true, 120); err != nil {
		return in, err
	}
	if in.Short, err = text("short", in.Short, false, 20); err != nil {
		return in, err
	}
	if in.Title, err = text("title", in.Title, false, 200); err != nil {
		return in, err
	}
	if in.Contact, err = text("contact", in.Contact, false, 200); err != nil {
		return in, err
	}
	if err := first(optionalCode(in.IYSCode), checkMERSIS(in.MERSIS)); err != nil {
		return in, err
	}
	if err := a.applyRights(ctx, &in); err != nil {
		return in, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	acc, err := a.account(in.Account)
	if err != nil {
		return in, err
	}
	now := a.deps.Now()
	if err := first(a.checkMode(&in, acc, "sms", &in.SMS, now), a.checkMode(&in, acc, "email", &in.Email, now)); err != nil {
		return in, err
	}
	before := a.store.Directory().Brands[in.Code]
	if in.Created = now; before != nil {
		in.Created = before.Created
	}
	return in, commit(ctx, a, "PutBrand", "brand "+in.Code, before, &in, a.store.PutBrand)
}

// checkMode checks that a mode has the proof it rests on, and nothing that belongs to another mode.
func (a *Admin) checkMode(b *gateway.Brand, acc *gateway.Account, field string, m *gateway.BrandMode, now time.Time) error {
	if m.ReadOnly && iys.Mode(m.Mode) != iys.ModePartner {
		return invalid(field+".readOnly", "readOnly belongs to mode partner alone.")
	}
	switch iys.Mode(m.Mode) {
	case "":
		if *m != (gateway.BrandMode{}) {
			return invalid(field+".mode", "%s.mode is missing; choose one of partner, ahs, self_managed, exempt, or leave all of %s "+
				"empty to keep the channel closed.", field, field)
		}
		return nil
	case iys.ModePartner, iys.ModeAHS:
		return a.checkLinked(b, acc, field, m)
	case iys.ModeSelfManaged:
		return checkDeclaration(field, m, now)
	case iys.ModeExempt:
		return checkExemption(field, m, now)
	}
	return oneOf(field+".mode", m.Mode, "partner", "ahs", "self_managed", "exempt")
}

// checkLinked checks that a mode in which we ask İYS ourselves has a way to it.
func (a *Admin) checkLinked(b *gateway.Brand, acc *gateway.Account, field string, m *gateway.BrandMode) error {
	bare := gateway.BrandMode{Mode: m.Mode, ReadOnly: m.ReadOnly}
	if *m != bare {
		return invalid(field+".mode", "Mode %s rests on İYS itself; declaration and exemption fields must be empty.", m.Mode)
	}
	if b.IYS == "" {
		return invalid("iys", "Mode %s needs iys, the name of the İYS link that serves the brand (see \"izinli iys-link list\").", m.Mode)
	}
	link := a.store.Directory().IYSLinks[b.IYS]
	switch {
	case link == nil:
		return gateway.Refuse(gateway.CodeNotFound, "iys", "İYS link %s does not exist; make it first with \"izinli iys-link add\".", b.IYS)
	case iys.Mode(m.Mode) == iys.ModePartner && link.Username == "":
		return invalid("iys", "İYS link %s has no API user, which mode partner needs.", b.IYS)
	case iys.Mode(m.Mode) == iys.ModeAHS && link.AHSUser == "":
		return invalid("iys", "İYS link %s has no AHS user, which mode ahs needs.", b.IYS)
	case iys.Mode(m.Mode) == iys.ModePartner && b.IYSCode == 0 && acc.IYSCode == 0:
		return invalid("iysCode", "Mode partner needs the iysCode, on the brand or on its account: every İYS path contains it.")
	}
	return nil
}

// checkDeclaration checks the customer's word that it manages İYS itself: text, version, who gave it, from where and when.
func checkDeclaration(field string, m *gateway.BrandMode, now time.Time) error {
	err := proof(field, "Mode self_managed rests on the customer's declaration (text, version, user, ip)",
		part{"text", &m.Text, 4000}, part{"version", &m.Version, 40}, part{"user", &m.User, 120}, part{"ip", &m.IP, 60})
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(m.IP); err != nil {
		return invalid(field+".ip", "%q is not the IP address the declaration came from.", m.IP)
	}
	if m.At.IsZero() {
		m.At = now
	}
	switch {
	case m.At.After(now.Add(time.Minute)):
		return invalid(field+".at", "The declaration cannot have been given in the future.")
	case m.Document != "" || !m.Expires.IsZero():
		return invalid(field+".mode", "document and expires belong to mode exempt alone.")
	}
	return nil
}

// checkExemption checks what an exemption (muafiyet) rests on: its basis, the document, who approved it, until when.
func checkExemption(field string, m *gateway.BrandMode, now time.Time) error {
	err := proof(field, "Mode exempt rests on a document (text: the basis, document: its reference, user: who approved it, expires)",
		part{"text", &m.Text, 4000}, part{"document", &m.Document, 200}, part{"user", &m.User, 120})
	if err != nil {
		return err
	}
	if m.At.IsZero() {
		m.At = now
	}
	switch {
	case !m.Expires.After(now):
		return invalid(field+".expires", "An exemption needs the day it ends, in the future: nothing is exempt for ever.")
	case m.Version != "" || m.IP != "":
		return invalid(field+".mode", "version and ip belong to mode self_managed alone.")
	}
	return nil
}
