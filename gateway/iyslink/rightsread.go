package iyslink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// ErrNoRights says that nobody grants us anything for the brand: it goes by an API user of the company's own, or by no mode that
// needs İYS's partner.
var ErrNoRights = errors.New("iyslink: the brand is not served as a partner")

// Read reads the rights of a brand's company now and returns those of the brand.
func (r *Rights) Read(ctx context.Context, code string) (BrandRights, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	dir := r.dir.store.Directory()
	b := dir.Brands[code]
	if b == nil || dir.IYSLinks[b.IYS] == nil || dir.IYSLinks[b.IYS].IntegratorCode == 0 || len(partnerChannels(b)) == 0 {
		return BrandRights{}, ErrNoRights
	}
	if err := r.readCompany(ctx, dir, dir.IYSLinks[b.IYS], iysCodeOf(dir, b)); err != nil {
		return BrandRights{}, err
	}
	is, _, err := r.dir.rightsOf(dir, b)
	return is, err
}

// ReadFor reads what a company lets us do over a link, for a brand that may not be entered yet; nil when the link is not a partner's, or
// the company has not made us the brand's partner. What is known of the company's brands is brought up to date, so that whoever goes
// by it does not take away what a person was just told.
func (r *Rights) ReadFor(ctx context.Context, link, iysCode, brand string) (*iysapi.PartnerBrand, error) {
	now := time.Now()
	api, integrator, err := r.dir.Partner(link)
	if err != nil || api == nil {
		return nil, err
	}
	list, err := api.PartnerProvider(ctx, strconv.Itoa(integrator), iysCode)
	if err != nil {
		return nil, err
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	dir := r.dir.store.Directory()
	if l := dir.IYSLinks[link]; l != nil && l.IntegratorCode == integrator {
		err = r.noteCompany(ctx, dir, l, iysCode, list, now)
	}
	r.Want(brand) // a brand entered anew is read once it is stored
	return find(list, brand), err
}

// Renew implements exchange.Rights. Many companies behind a link are read by its list, a page of a hundred brands a call, few by
// themselves. What İYS refuses to tell for a reason that time does not mend is not asked again before the next reading in its turn.
func (r *Rights) Renew(ctx context.Context, brands []string, since time.Time) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	dir := r.dir.store.Directory()
	var errs []error
	old := map[string]map[string]bool{} // companies by link
	for _, code := range brands {
		b := dir.Brands[code]
		if b == nil || len(partnerChannels(b)) == 0 {
			continue
		}
		l := dir.IYSLinks[b.IYS]
		if l == nil || l.IntegratorCode == 0 || l.Username == "" {
			continue
		}
		is, known, err := r.dir.rightsOf(dir, b)
		if err != nil || known && !is.Read.Before(since) {
			errs = append(errs, err)
			continue
		}
		if old[b.IYS] == nil {
			old[b.IYS] = map[string]bool{}
		}
		old[b.IYS][iysCodeOf(dir, b)] = true
	}
	for link, companies := range old {
		errs = append(errs, r.renewLink(ctx, dir, dir.IYSLinks[link], companies))
	}
	return errors.Join(errs...)
}

func (r *Rights) renewLink(ctx context.Context, dir *gateway.Directory, l *gateway.IYSLink, companies map[string]bool) error {
	if pages := (len(brandsOver(dir, l.Name)) + 99) / 100; len(companies) >= pages {
		return r.unlessRefused(l, "", func() (told, all error) {
			now := time.Now()
			list, err := r.list(ctx, l)
			return err, r.noteLink(ctx, dir, l, list, err, now)
		})
	}
	var errs []error
	for code := range companies {
		errs = append(errs, r.unlessRefused(l, code, func() (told, all error) {
			now := time.Now()
			list, err := r.provider(ctx, l, code)
			if err != nil {
				return err, err
			}
			return nil, r.noteCompany(ctx, dir, l, code, list, now)
		}))
	}
	return errors.Join(errs...)
}

// company is one behind a link, and without a code all of them.
type company struct{ link, code string }

// refusal is what İYS said when it would not tell rights.
type refusal struct {
	err  error
	at   time.Time
	link gateway.IYSLink // as it was
}

// unlessRefused reads rights, save where İYS has refused to tell them of late, to the same user: each such answer counts against our
// address. Of the errors of read the first is that İYS did not tell them, the second whatever went wrong.
func (r *Rights) unlessRefused(l *gateway.IYSLink, code string, read func() (told, all error)) error {
	whom := company{l.Name, code}
	r.mu.Lock()
	was, ok := r.refused[whom]
	r.mu.Unlock()
	if ok && was.link == *l && time.Since(was.at) < r.every {
		return was.err
	}
	told, all := read()
	if told != nil && iysapi.RetryOf(told) != iysapi.RetryAgain {
		r.mu.Lock()
		r.refused[whom] = refusal{told, time.Now(), *l}
		r.mu.Unlock()
	}
	return all
}

// told notes that İYS does tell rights again.
func (r *Rights) told(l *gateway.IYSLink, code string) {
	r.mu.Lock()
	delete(r.refused, company{l.Name, code})
	r.mu.Unlock()
}

// checkWanted reads the companies İYS has answered 403 for, each once in a while, and returns how soon the next may be read.
func (r *Rights) checkWanted(ctx context.Context, dir *gateway.Directory) time.Duration {
	due, wait := map[company]bool{}, r.every
	r.mu.Lock()
	for _, b := range dir.Brands {
		code := iysCodeOf(dir, b)
		l := dir.IYSLinks[b.IYS]
		if l == nil || l.IntegratorCode == 0 || len(partnerChannels(b)) == 0 || !r.wanted[b.Code] && !r.wanted[code] {
			continue
		}
		if left := rightsGap - time.Since(r.since[code]); left > 0 {
			wait = min(wait, left)
			continue
		}
		due[company{b.IYS, code}] = true
	}
	if wait == r.every { // nobody waits: what else was named is nobody of ours
		clear(r.wanted)
	}
	r.mu.Unlock()
	for c := range due {
		if err := r.readCompany(ctx, dir, dir.IYSLinks[c.link], c.code); err != nil && ctx.Err() == nil {
			r.log.Warn("rights not read from İYS after it refused a call", "iysCode", c.code, "err", err)
		}
	}
	return wait
}

// readCompany reads the rights of all brands of one company.
func (r *Rights) readCompany(ctx context.Context, dir *gateway.Directory, l *gateway.IYSLink, iysCode string) error {
	now := time.Now()
	r.mu.Lock()
	r.since[iysCode] = now
	delete(r.wanted, iysCode)
	for _, b := range dir.Brands {
		if iysCodeOf(dir, b) == iysCode {
			delete(r.wanted, b.Code)
		}
	}
	r.mu.Unlock()
	list, err := r.provider(ctx, l, iysCode)
	if err != nil {
		return err
	}
	return r.noteCompany(ctx, dir, l, iysCode, list, now)
}

// noteCompany brings what İYS said of a company at a moment into force; what was read later of a brand stands.
func (r *Rights) noteCompany(ctx context.Context, dir *gateway.Directory, l *gateway.IYSLink, iysCode string, list []iysapi.PartnerBrand, now time.Time) error {
	r.told(l, iysCode)
	old, err := r.dir.linkRights(l)
	if err != nil {
		return err
	}
	next := LinkRights{Integrator: l.IntegratorCode, Brands: map[string]BrandRights{}}
	if old != nil {
		next = *old
		next.Brands = maps.Clone(old.Brands)
	}
	var told []BrandRights
	for _, b := range brandsOver(dir, l.Name) {
		if iysCodeOf(dir, b) != iysCode {
			continue
		}
		was := next.Brands[b.Code]
		if was.IYSCode == iysCode && was.Read.After(now) {
			continue
		}
		is := recordOf(dir, b, find(list, b.Code), now)
		is.Gone = gone(b, was, is, now)
		r.alarm(was, is)
		next.Brands[b.Code], told = is, append(told, is)
	}
	if err := r.dir.saveRights(l.Name, &next); err != nil {
		return err
	}
	for _, is := range told {
		r.tell(ctx, is)
	}
	return nil
}

// tell hands a brand's rights to whoever watches; what fails is told again with the next reading.
func (r *Rights) tell(ctx context.Context, is BrandRights) {
	if r.noted == nil {
		return
	}
	if err := r.noted(ctx, is); err != nil {
		r.log.Error("rights of a brand not brought into force", "brand", is.Brand, "err", err)
	}
}

// alarm says what was taken away, and what came back.
func (r *Rights) alarm(was, is BrandRights) {
	before, after := names(was.Gone), names(is.Gone)
	if lost := without(after, before); len(lost) > 0 {
		r.log.Error("the company took rights from its partner, or never gave them: see hs.iys.org.tr, Marka Yönetimi", "brand", is.Brand, "rights", strings.Join(lost, ", "))
	}
	if back := without(before, after); len(back) > 0 {
		r.log.Warn("rights that were missing are there", "brand", is.Brand, "rights", strings.Join(back, ", "))
	}
}

func names(list []GoneRight) (out []string) {
	for _, g := range list {
		out = append(out, g.Right)
	}
	return out
}

func without(list, less []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(less, s) })
}

func find(list []iysapi.PartnerBrand, code string) *iysapi.PartnerBrand {
	for i := range list {
		if list[i].BrandCode == code {
			return &list[i]
		}
	}
	return nil
}

// recordOf puts what İYS said of a brand into our words; p is nil when it said nothing.
func recordOf(dir *gateway.Directory, b *gateway.Brand, p *iysapi.PartnerBrand, now time.Time) BrandRights {
	is := BrandRights{Brand: b.Code, IYSCode: iysCodeOf(dir, b), Read: now, Channels: map[iys.Channel]string{}}
	if p == nil {
		return is
	}
	is.Agreement, is.Via = p.AgreementControl, p.ViaControl
	for ch, granted := range p.Granted {
		switch {
		case p.Writable[ch]:
			is.Channels[ch] = RightWrite
		case granted:
			is.Channels[ch] = RightRead
		}
	}
	return is
}

// has reports whether a right is among those of a brand.
func (is BrandRights) has(right string) bool {
	what, ch, _ := strings.Cut(right, " ")
	switch what {
	case RightRead:
		return is.Channels[iys.Channel(ch)] != ""
	case RightWrite:
		return is.Channels[iys.Channel(ch)] == RightWrite
	case "agreement":
		return is.Agreement
	}
	return is.Via
}

// gone lists what is needed and not there: reading on every channel we serve as a partner, and of the rest what there was before.
// A right that was missing stays so until it is there, whatever was read in between.
func gone(b *gateway.Brand, was, is BrandRights, now time.Time) (out []GoneRight) {
	need := []string{}
	for _, ch := range partnerChannels(b) {
		need = append(need, fmt.Sprintf("%s %s", RightRead, ch))
		if was.has(fmt.Sprintf("%s %s", RightWrite, ch)) {
			need = append(need, fmt.Sprintf("%s %s", RightWrite, ch))
		}
	}
	for _, right := range []string{"agreement", "via"} {
		if was.has(right) {
			need = append(need, right)
		}
	}
	since := map[string]time.Time{}
	for _, g := range was.Gone {
		what, ch, _ := strings.Cut(g.Right, " ")
		if ch != "" && !slices.Contains(partnerChannels(b), iys.Channel(ch)) {
			continue // nobody needs it any more
		}
		since[g.Right] = g.Since
		if what != RightRead {
			need = append(need, g.Right)
		}
	}
	slices.Sort(need)
	for _, right := range slices.Compact(need) {
		if is.has(right) {
			continue
		}
		g := GoneRight{right, now}
		if at, before := since[right]; before {
			g.Since = at
		}
		out = append(out, g)
	}
	return out
}

// fewer reports whether a list shows less than was known, or than is needed.
func fewer(is, was BrandRights) bool {
	before := names(was.Gone)
	return len(without(names(is.Gone), before)) > 0 || len(is.Channels) == 0 && len(was.Channels) > 0
}
