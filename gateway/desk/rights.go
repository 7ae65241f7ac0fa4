package desk

import (
	"context"
	"errors"

	"izinli/gateway"
	"izinli/gateway/iyslink"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// ReadRights is Service.ReadRights.
func (a *Admin) ReadRights(ctx context.Context, n Name) (iyslink.BrandRights, error) {
	if _, err := a.iysOf(n.Name); err != nil {
		return iyslink.BrandRights{}, err
	}
	r, err := a.deps.IYS.ReadRights(ctx, n.Name)
	if errors.Is(err, iyslink.ErrNoRights) {
		return r, gateway.Refuse(gateway.CodeInvalid, "brand", "Nobody grants us anything for brand %s: it is in mode partner on no channel, or goes by "+
			"the company's own API user.", n.Name)
	}
	if err != nil {
		return r, iysError(err)
	}
	b, err := a.noteRights(ctx, r)
	if err == nil && b == nil {
		b = a.store.Directory().Brands[n.Name] // nothing is new; who asks by hand may know of something that was not taken back
	}
	if err != nil || b == nil {
		return r, err
	}
	return r, a.reclaim(ctx, b)
}

// NoteRights brings into force what İYS said of a brand's rights: a channel we may not write becomes read-only, one we may write
// again is so no longer, and what only the customer could tell İYS meanwhile is ours to tell again. It changes nothing twice.
func (a *Admin) NoteRights(ctx context.Context, r iyslink.BrandRights) error {
	if a.deps.IYS == nil {
		return unavailable("İYS and its records")
	}
	b, err := a.noteRights(ctx, r)
	if err != nil || b == nil {
		return err
	}
	return a.reclaim(ctx, b)
}

// noteRights stores which channels are read-only and returns the brand; nil when nothing is new, or it was deleted meanwhile.
func (a *Admin) noteRights(ctx context.Context, r iyslink.BrandRights) (*gateway.Brand, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().Brands[r.Brand]
	if before == nil {
		return nil, nil
	}
	after := *before
	for _, c := range partnerModes(&after) {
		c.m.ReadOnly = r.Channels[c.ch] != iyslink.RightWrite
	}
	if after == *before {
		return nil, nil
	}
	return &after, commit(ctx, a, "ReadRights", "brand "+r.Brand, before, &after, a.store.PutBrand)
}

// reclaim takes back what customers owe İYS on the channels we may write for. It comes after the brand is stored as writable, since
// what people say before that is still put down as owed. What comes in while it takes back, or behind a crash, is found by the
// exchange, which looks at start and once an hour.
func (a *Admin) reclaim(ctx context.Context, b *gateway.Brand) error {
	var errs []error
	for _, c := range partnerModes(b) {
		if !c.m.ReadOnly {
			_, err := a.deps.IYS.Reclaim(ctx, b.Code, c.ch)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

type partnerMode struct {
	field string
	ch    iys.Channel
	m     *gateway.BrandMode
}

// partnerModes are the channels a brand is served on as a partner.
func partnerModes(b *gateway.Brand) (out []partnerMode) {
	for _, c := range []partnerMode{{"sms.mode", iys.ChannelSMS, &b.SMS}, {"email.mode", iys.ChannelEmail, &b.Email}} {
		if iys.Mode(c.m.Mode) == iys.ModePartner {
			out = append(out, c)
		}
	}
	return out
}

// applyRights holds a brand's modes against what İYS lets us do: a channel that was not granted is refused, one granted for
// reading alone becomes read-only. Without an office, for links that are no partner's, and while İYS does not answer, what was
// entered stands; ReadRights asks again.
func (a *Admin) applyRights(ctx context.Context, b *gateway.Brand) error {
	link := a.store.Directory().IYSLinks[b.IYS]
	partner := iys.Mode(b.SMS.Mode) == iys.ModePartner || iys.Mode(b.Email.Mode) == iys.ModePartner
	if a.deps.IYS == nil || link == nil || link.IntegratorCode == 0 || !partner {
		return nil
	}
	iysCode := b.IYSCode
	if acc := a.store.Directory().Accounts[b.Account]; iysCode == 0 && acc != nil {
		iysCode = acc.IYSCode
	}
	rights, err := a.deps.IYS.Rights(ctx, b.IYS, iysCode, b.Code)
	if err != nil {
		if iysapi.RetryOf(err) != iysapi.RetryOperator {
			return nil
		}
		return gateway.Refuse(gateway.CodeInvalid, "code", "İYS does not know us as the partner of brand %s under iysCode %d (%v). The company grants it at "+
			"hs.iys.org.tr, Marka Yönetimi; the iysCode is its İYS number, not the number of an application.", b.Code, iysCode, err)
	}
	if rights == nil {
		return gateway.Refuse(gateway.CodeInvalid, "code", "Brand %s is not among the brands of iysCode %d that made us their partner.", b.Code, iysCode)
	}
	for _, c := range partnerModes(b) {
		if !rights.Granted[c.ch] {
			return gateway.Refuse(gateway.CodeInvalid, c.field, "The company has not made us the partner of brand %s for %s; it does so at hs.iys.org.tr, Marka Yönetimi.", b.Code, c.ch)
		}
		c.m.ReadOnly = !rights.Writable[c.ch]
	}
	return nil
}
