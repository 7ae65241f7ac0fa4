package iyslink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// BrandRights is what a company lets us do for a brand as its partner, as İYS said last (iys-api.md §9.2).
type BrandRights struct {
	Brand     string                 `json:"brand"`
	IYSCode   string                 `json:"iysCode"`
	Read      time.Time              `json:"read"`               // when İYS said so
	Channels  map[iys.Channel]string `json:"channels,omitempty"` // RightWrite or RightRead; a channel that is not ours is absent
	Agreement bool                   `json:"agreement"`          // may reconcile (mutabakat)
	Via       bool                   `json:"via"`
	Gone      []GoneRight            `json:"gone,omitempty"` // what is needed and is not there, by name
}

// The rights on a channel.
const (
	RightWrite = "write"
	RightRead  = "read"
)

// GoneRight is a right the gateway needs and lacks: "read MESAJ", "write MESAJ", "agreement", "via".
type GoneRight struct {
	Right string    `json:"right"`
	Since time.Time `json:"since"` // when it was first missed
}

// LinkRights are the rights of all brands behind one link.
type LinkRights struct {
	Integrator int       `json:"integrator"`
	Read       time.Time `json:"read,omitzero"`  // when İYS last told all of them
	Tried      time.Time `json:"tried,omitzero"` // last reading
	Problem    string    `json:"problem,omitempty"`
	Brands     map[string]BrandRights
}

func rightsName(link string) string { return "iys-rights/" + link }

// rightsBook is what is known of rights, by link. The values are not changed once they are in it.
type rightsBook struct {
	mu    sync.Mutex
	links map[string]*LinkRights // guarded by mu
}

// linkRights returns what was read over a link; nil when nothing was, or when we are another partner since.
func (d *Directory) linkRights(l *gateway.IYSLink) (*LinkRights, error) {
	if l == nil || l.IntegratorCode == 0 {
		return nil, nil
	}
	d.rights.mu.Lock()
	defer d.rights.mu.Unlock()
	r, known := d.rights.links[l.Name]
	if !known {
		v, ok, err := d.store.Named(rightsName(l.Name))
		if err == nil && ok {
			r = &LinkRights{}
			err = json.Unmarshal(v, r)
		}
		if err != nil {
			return nil, fmt.Errorf("iyslink: rights over %s: %w", l.Name, err)
		}
		d.rights.links[l.Name] = r
	}
	if r == nil || r.Integrator != l.IntegratorCode {
		return nil, nil
	}
	return r, nil
}

func (d *Directory) saveRights(link string, r *LinkRights) error {
	v, err := json.Marshal(r)
	if err == nil {
		err = d.store.PutNamed(rightsName(link), v)
	}
	if err != nil {
		return fmt.Errorf("iyslink: rights over %s: %w", link, err)
	}
	d.rights.mu.Lock()
	d.rights.links[link] = r
	d.rights.mu.Unlock()
	return nil
}

// RightsOf returns what İYS last said of a brand; false when it was never asked, or nobody has to grant us anything.
func (d *Directory) RightsOf(code string) (BrandRights, bool, error) {
	dir := d.store.Directory()
	b := dir.Brands[code]
	if b == nil {
		return BrandRights{}, false, nil
	}
	return d.rightsOf(dir, b)
}

func (d *Directory) rightsOf(dir *gateway.Directory, b *gateway.Brand) (BrandRights, bool, error) {
	l, err := d.linkRights(dir.IYSLinks[b.IYS])
	if err != nil || l == nil {
		return BrandRights{}, false, err
	}
	r, ok := l.Brands[b.Code]
	return r, ok && r.IYSCode == iysCodeOf(dir, b), nil
}

// iysCodeOf is the company a brand belongs to; its own code is needed only where it differs from its account's.
func iysCodeOf(dir *gateway.Directory, b *gateway.Brand) string {
	code := b.IYSCode
	if acct := dir.Accounts[b.Account]; code == 0 && acct != nil {
		code = acct.IYSCode
	}
	return strconv.Itoa(code)
}

// partnerChannels are the channels on which a brand has made us its partner, as we were told.
func partnerChannels(b *gateway.Brand) (out []iys.Channel) {
	if b.SMS.Mode == string(iys.ModePartner) {
		out = append(out, iys.ChannelSMS)
	}
	if b.Email.Mode == string(iys.ModePartner) {
		out = append(out, iys.ChannelEmail)
	}
	return out
}

// RightsConfig says how often rights are read.
type RightsConfig struct {
	// Every is the wait between two readings of one link beside those around pulls; default 30 min, at least 1 min.
	Every time.Duration
	Log   *slog.Logger
}

// Rights reads what companies let us do as their partner, which they change at hs.iys.org.tr at any time: all brands behind a
// link every half hour, a page of a hundred a call, those that are pulled before and after it (Renew), and one company at once when
// İYS has answered 403 for it. What comes of a reading is what the exchange goes by from then on: a channel we may not read is
// believed no longer, one we may not write is the customer's to tell İYS about. A right that is gone or came back is an alarm.
//
// İYS filters its listings by our rights of the moment without a word (iys-api.md §8.1): without reading them on both sides of a
// listing, the refusals of a channel taken away would be overlooked while its approvals look fresh.
type Rights struct {
	dir   *Directory
	every time.Duration
	log   *slog.Logger
	noted func(context.Context, BrandRights) error

	turn sync.Mutex // held over a reading: they go one at a time

	mu      sync.Mutex
	wanted  map[string]bool          // brands (or İYS codes) İYS has answered 403 for; guarded by mu
	failed  map[string]time.Duration // wait after the last reading of a link, where it failed; guarded by mu
	since   map[string]time.Time     // last reading of a brand by itself, or the attempt; guarded by mu
	wake    chan struct{}
	refused map[company]refusal // what İYS would not tell when it was asked around a pull; guarded by mu
}

const (
	// rightsEvery is the default wait between two readings of a link.
	rightsEvery = 30 * time.Minute
	// rightsAgain is the wait after a reading İYS did not answer: an outage ends without notice, and channels age meanwhile.
	rightsAgain = time.Minute
	// rightsGap is how long after a reading of one company 403 answers bring no further one.
	rightsGap = 10 * time.Minute
)

// NewRights returns the reader of a directory's rights. It hears of 403 answers from then on.
func NewRights(d *Directory, cfg RightsConfig) *Rights {
	if cfg.Every <= 0 {
		cfg.Every = rightsEvery
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Rights{dir: d, every: max(cfg.Every, time.Minute), log: cfg.Log, wanted: map[string]bool{}, failed: map[string]time.Duration{},
		since: map[string]time.Time{}, wake: make(chan struct{}, 1), refused: map[company]refusal{}}
	want := r.Want
	d.forbidden.Store(&want)
	return r
}

// Watch names what hears of every brand's rights after a reading. It is told again while it returns an error. Call it before Run.
func (r *Rights) Watch(f func(context.Context, BrandRights) error) { r.noted = f }

// Want has the rights of a company read soon, because İYS has answered 403 for a brand of it. It returns at once.
func (r *Rights) Want(brandOrCode string) {
	r.mu.Lock()
	r.wanted[brandOrCode] = true
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run reads rights until ctx ends.
func (r *Rights) Run(ctx context.Context) {
	for ctx.Err() == nil {
		t := time.NewTimer(max(r.Check(ctx), time.Second))
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-r.wake:
		}
		t.Stop()
	}
}

// Check reads what is due and returns after how long something is due again.
func (r *Rights) Check(ctx context.Context) time.Duration {
	r.turn.Lock()
	defer r.turn.Unlock()
	ctx = iysapi.WithPriority(ctx, iysapi.PriorityBackground)
	wait := r.every
	dir := r.dir.store.Directory()
	for _, name := range slices.Sorted(maps.Keys(dir.IYSLinks)) {
		if l := dir.IYSLinks[name]; l.IntegratorCode != 0 && l.Username != "" && len(brandsOver(dir, name)) > 0 && ctx.Err() == nil {
			wait = min(wait, r.checkLink(ctx, dir, l))
		}
	}
	return min(wait, r.checkWanted(ctx, dir))
}

// brandsOver are the brands in mode partner behind a link, by code.
func brandsOver(dir *gateway.Directory, link string) (out []*gateway.Brand) {
	for _, code := range sortedCodes(dir) {
		if b := dir.Brands[code]; b.IYS == link && len(partnerChannels(b)) > 0 {
			out = append(out, b)
		}
	}
	return out
}

// checkLink reads all rights behind a link when it is time, and returns how long that is off.
func (r *Rights) checkLink(ctx context.Context, dir *gateway.Directory, l *gateway.IYSLink) time.Duration {
	known, err := r.dir.linkRights(l)
	if err != nil {
		r.log.Error("rights of brands not read from the store", "link", l.Name, "err", err)
		return r.every
	}
	if known != nil {
		r.mu.Lock()
		failed := r.failed[l.Name]
		r.mu.Unlock()
		next := known.Read.Add(r.spread(l.Name))
		if failed > 0 {
			next = known.Tried.Add(failed)
		}
		if wait := time.Until(next); wait > 0 && !r.anyUnread(dir, l, known) {
			return wait
		}
	}
	now := time.Now()
	list, err := r.list(ctx, l)
	if err := r.noteLink(ctx, dir, l, list, err, now); err != nil && ctx.Err() == nil {
		again := r.every
		if iysapi.RetryOf(err) == iysapi.RetryAgain {
			again = min(again, rightsAgain)
		}
		r.mu.Lock()
		r.failed[l.Name] = again
		r.mu.Unlock()
		r.log.Warn("rights of brands not read from İYS, nothing new is believed of their channels until they are", "link", l.Name, "err", err)
		return again
	}
	r.mu.Lock()
	delete(r.failed, l.Name)
	r.mu.Unlock()
	return r.spread(l.Name)
}

// anyUnread reports whether a brand has come since the last reading. One that was missing then has a record as well.
func (r *Rights) anyUnread(dir *gateway.Directory, l *gateway.IYSLink, known *LinkRights) bool {
	r.mu.Lock()
	failed := r.failed[l.Name] > 0
	r.mu.Unlock()
	return !failed && slices.ContainsFunc(brandsOver(dir, l.Name), func(b *gateway.Brand) bool {
		x, ok := known.Brands[b.Code]
		return !ok || x.IYSCode != iysCodeOf(dir, b)
	})
}

// spread keeps links out of step: nine to eleven tenths of the wait, always the same for one link.
func (r *Rights) spread(link string) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(link))
	return r.every*9/10 + r.every/5*time.Duration(h.Sum32()%1000)/1000
}

// noteLink brings the rights of every brand behind a link into force, as İYS listed them at a moment; err is that it did not. What a
// list lacks is asked for by itself before it counts as taken away: a page may have moved while it was read.
func (r *Rights) noteLink(ctx context.Context, dir *gateway.Directory, l *gateway.IYSLink, list []iysapi.PartnerBrand, err error, now time.Time) error {
	next := LinkRights{Integrator: l.IntegratorCode, Read: now, Tried: now, Brands: map[string]BrandRights{}}
	old, oldErr := r.dir.linkRights(l)
	if err = errors.Join(err, oldErr); err != nil {
		if old != nil {
			next = *old
		} else {
			next.Read = time.Time{}
		}
		next.Tried, next.Problem = now, err.Error()
		return errors.Join(err, r.dir.saveRights(l.Name, &next))
	}
	r.told(l, "")
	var failed error
	for _, b := range brandsOver(dir, l.Name) {
		var was BrandRights
		if old != nil {
			was = old.Brands[b.Code]
		}
		is, err := r.judge(ctx, dir, l, b, was, list, now)
		if err != nil {
			failed, is = err, was // how it stands is not known: believed up to the last reading
			next.Problem = err.Error()
		}
		if is.Brand != "" {
			next.Brands[b.Code] = is
		}
	}
	if err := r.dir.saveRights(l.Name, &next); err != nil {
		return err
	}
	for _, is := range next.Brands {
		r.tell(ctx, is)
	}
	return failed
}

func (r *Rights) list(ctx context.Context, l *gateway.IYSLink) ([]iysapi.PartnerBrand, error) {
	api, integrator, err := r.dir.Partner(l.Name)
	if err != nil || api == nil {
		return nil, errors.Join(err, ErrNoRights)
	}
	return api.PartnerBrands(ctx, strconv.Itoa(integrator))
}

// judge makes the record of one brand.
func (r *Rights) judge(ctx context.Context, dir *gateway.Directory, l *gateway.IYSLink, b *gateway.Brand, was BrandRights, list []iysapi.PartnerBrand, now time.Time) (BrandRights, error) {
	is := recordOf(dir, b, find(list, b.Code), now)
	if is.Gone = gone(b, was, is, now); !fewer(is, was) {
		r.alarm(was, is)
		return is, nil
	}
	again, err := r.provider(ctx, l, is.IYSCode)
	if err != nil {
		return is, err
	}
	is = recordOf(dir, b, find(again, b.Code), time.Now())
	is.Gone = gone(b, was, is, now)
	r.alarm(was, is)
	return is, nil
}

// provider asks for one company. That it is no customer of ours at all is an answer.
func (r *Rights) provider(ctx context.Context, l *gateway.IYSLink, iysCode string) ([]iysapi.PartnerBrand, error) {
	api, integrator, err := r.dir.Partner(l.Name)
	if err != nil || api == nil {
		return nil, errors.Join(err, ErrNoRights)
	}
	list, err := api.PartnerProvider(ctx, strconv.Itoa(integrator), iysCode)
	if e, ok := errors.AsType[*iysapi.APIError](err); ok && slices.Contains([]string{"H031", "H129", "H245", "H268"}, e.Code) {
		return nil, nil // iys-api.md §9.2
	}
	return list, err
}
