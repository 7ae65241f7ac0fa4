package iyslink

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

// PushRecord is a connection by which İYS pushes movements of one channel of a brand to us.
type PushRecord struct {
	Brand      string      `json:"brand"`
	Channel    iys.Channel `json:"channel"`
	URL        string      `json:"url"`
	Registered time.Time   `json:"registered"`
	Checked    time.Time   `json:"checked,omitzero"` // when İYS was last asked about it
	Connected  bool        `json:"connected"`        // what it said
	Status     string      `json:"status,omitempty"` // in its words
	Problem    string      `json:"problem,omitempty"`
	Received   time.Time   `json:"-"` // last push taken, of this process
	Movements  int         `json:"-"` // taken by this process
}

// pushSecret is a record with the credentials İYS was registered with.
type pushSecret struct {
	PushRecord
	Username string         `json:"username"`
	Password gateway.Sealed `json:"password"`
}

func (p *pushSecret) name() string { return pushName(p.Brand, p.Channel) }

func pushName(brand string, ch iys.Channel) string { return "iys-push/" + brand + "/" + string(ch) }

// pushAPI is what registering needs of İYS; *iysapi.Client has it.
type pushAPI interface {
	RegisterPush(ctx context.Context, b iysapi.Brand, p iysapi.PushConnection) error
	UnregisterPush(ctx context.Context, b iysapi.Brand, p iysapi.PushConnection) error
	PushRegistrations(ctx context.Context, b iysapi.Brand) ([]iysapi.PushState, error)
}

// Pushes keeps the registrations for push and takes what is pushed. Push only makes refusals arrive sooner: the pull brings
// everything as well.
type Pushes struct {
	dir *Directory
	x   *exchange.Exchange
	log *slog.Logger

	turn sync.Mutex // held over a registration or check: they go one at a time

	mu     sync.Mutex
	known  map[string]*pushSecret // by name; guarded by mu
	trying map[string]*pushSecret // a registration İYS is just trying; guarded by mu
	loaded bool                   // guarded by mu
}

// NewPushes returns the pushes of a directory's brands, applied by x.
func NewPushes(d *Directory, x *exchange.Exchange, log *slog.Logger) *Pushes {
	return &Pushes{dir: d, x: x, log: log, known: map[string]*pushSecret{}, trying: map[string]*pushSecret{}}
}

// checkEvery is the wait between two looks at the registrations.
const checkEvery = time.Hour

// Run looks after the registrations until ctx ends.
func (p *Pushes) Run(ctx context.Context) {
	t := time.NewTicker(checkEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			p.Check(ctx)
		}
	}
}

var channels = []iys.Channel{iys.ChannelSMS, iys.ChannelEmail, iys.ChannelCall}

// loadLocked reads the records once.
func (p *Pushes) loadLocked() error {
	if p.loaded {
		return nil
	}
	for code := range p.dir.store.Directory().Brands {
		for _, ch := range channels {
			v, ok, err := p.dir.store.Named(pushName(code, ch))
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			rec := &pushSecret{}
			if err := json.Unmarshal(v, rec); err != nil {
				return fmt.Errorf("iyslink: push registration of brand %s: %w", code, err)
			}
			p.known[rec.name()] = rec
		}
	}
	p.loaded = true
	return nil
}

func (p *Pushes) save(rec *pushSecret) error {
	v, err := json.Marshal(rec)
	if err == nil {
		err = p.dir.store.PutNamed(rec.name(), v)
	}
	return err
}

// Authorized says for which brand a caller of the push receiver may speak: the username and password are those İYS was
// registered with, and nobody else has them. While İYS tries a registration its credentials are good already.
func (p *Pushes) Authorized(username, password string) (brand string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.loadLocked(); err != nil {
		p.log.Error("push registrations not read", "err", err)
		return "", false
	}
	rest, ok := strings.CutPrefix(username, "izinli-")
	if !ok {
		return "", false
	}
	brand, ch, ok := strings.Cut(rest, "-")
	if !ok {
		return "", false
	}
	name := pushName(brand, iys.Channel(strings.ToUpper(ch)))
	for _, rec := range []*pushSecret{p.known[name], p.trying[name]} {
		if rec == nil {
			continue
		}
		plain, err := p.dir.store.Unseal(rec.Password)
		if err == nil && plain != "" && subtle.ConstantTimeCompare([]byte(plain), []byte(password)) == 1 {
			return brand, true
		}
	}
	return "", false
}

// Pushed applies the body of a push for the brand Authorized named; it returns when everything in it is in force and synced, and
// only then may the push be answered 2xx. Movements of other brands (İYS's test movement has made-up codes) and single ones that
// make no sense are left out. An error of ErrPushBody means that nothing in the body does; every other is passing, and İYS should
// try again.
func (p *Pushes) Pushed(ctx context.Context, brand string, body []byte) error {
	list, err := iysapi.DecodePush(body)
	if err != nil && len(list) == 0 {
		return fmt.Errorf("%w: %w", ErrPushBody, err)
	}
	if err != nil {
		p.log.Error("a part of an iys push was not understood and left out; the rest is applied", "brand", brand, "err", err)
	}
	ours := list[:0]
	for _, m := range list {
		if m.Brand == brand {
			ours = append(ours, m)
		}
	}
	if err := p.x.Push(ctx, ours); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range ours {
		if rec := p.known[pushName(brand, m.Channel)]; rec != nil {
			rec.Received = time.Now()
			rec.Movements++
		}
	}
	return nil
}

// ErrPushBody marks a push that could not be read.
var ErrPushBody = errors.New("iyslink: push not understood")

// api finds who speaks with İYS for a brand.
func (p *Pushes) api(ctx context.Context, code string) (pushAPI, iysapi.Brand, error) {
	b, ok, err := p.dir.Brand(ctx, code)
	if err != nil {
		return nil, iysapi.Brand{}, err
	}
	api, able := b.API.(pushAPI)
	if !ok || !able {
		return nil, iysapi.Brand{}, exchange.ErrNoPartner
	}
	return api, b.Brand, nil
}

// Register has İYS push the movements of a brand's channel to url (https, its path leading to our receiver). İYS tries the
// address before it answers. An earlier registration of the channel ends when the new one holds.
func (p *Pushes) Register(ctx context.Context, brand string, ch iys.Channel, url string) (PushRecord, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	api, b, err := p.api(ctx, brand)
	if err != nil {
		return PushRecord{}, err
	}
	password := rand.Text() + rand.Text()
	rec := &pushSecret{
		PushRecord: PushRecord{Brand: brand, Channel: ch, URL: url, Registered: time.Now(), Connected: true},
		Username:   "izinli-" + brand + "-" + strings.ToLower(string(ch)),
		Password:   p.dir.store.Seal(password),
	}
	p.mu.Lock()
	if err := p.loadLocked(); err != nil {
		p.mu.Unlock()
		return PushRecord{}, err
	}
	old := p.known[rec.name()]
	p.trying[rec.name()] = rec
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.trying, rec.name())
		p.mu.Unlock()
	}()
	if err := api.RegisterPush(ctx, b, iysapi.PushConnection{URL: url, Channel: ch, Username: rec.Username, Password: password}); err != nil {
		return PushRecord{}, err
	}
	if err := p.save(rec); err != nil {
		return PushRecord{}, err
	}
	p.mu.Lock()
	p.known[rec.name()] = rec
	p.mu.Unlock()
	if old != nil && old.URL != url {
		p.end(ctx, api, b, old)
	}
	return rec.PushRecord, nil
}

// end closes a connection at İYS; that it fails costs pushes nobody authorizes any more.
func (p *Pushes) end(ctx context.Context, api pushAPI, b iysapi.Brand, rec *pushSecret) {
	password, err := p.dir.store.Unseal(rec.Password)
	if err == nil {
		err = api.UnregisterPush(ctx, b, iysapi.PushConnection{URL: rec.URL, Channel: rec.Channel, Username: rec.Username, Password: password})
	}
	if err != nil {
		p.log.Warn("iys push connection not ended", "brand", rec.Brand, "channel", string(rec.Channel), "err", err)
	}
}

// Unregister ends the pushes of a brand's channel.
func (p *Pushes) Unregister(ctx context.Context, brand string, ch iys.Channel) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	err := p.loadLocked()
	rec := p.known[pushName(brand, ch)]
	p.mu.Unlock()
	if err != nil || rec == nil {
		return err
	}
	if api, b, err := p.api(ctx, brand); err == nil {
		p.end(ctx, api, b, rec)
	}
	if err := p.dir.store.PutNamed(rec.name(), nil); err != nil {
		return err
	}
	p.mu.Lock()
	delete(p.known, rec.name())
	p.mu.Unlock()
	return nil
}

// Check asks İYS about every registration, and registers anew what it has lost.
func (p *Pushes) Check(ctx context.Context) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	err := p.loadLocked()
	list := make([]*pushSecret, 0, len(p.known))
	for _, rec := range p.known {
		list = append(list, rec)
	}
	p.mu.Unlock()
	if err != nil {
		p.log.Error("push registrations not read", "err", err)
		return
	}
	ctx = iysapi.WithPriority(ctx, iysapi.PriorityBackground)
	for _, rec := range list {
		if ctx.Err() != nil {
			return
		}
		now, err := p.checkOne(ctx, rec)
		if err != nil {
			now.Problem = err.Error()
			p.log.Warn("iys push connection is down, changes come by pull alone", "brand", rec.Brand, "channel", string(rec.Channel), "err", err)
		}
		p.mu.Lock()
		now.Received, now.Movements = rec.Received, rec.Movements
		rec.PushRecord = now
		kept := *rec
		p.mu.Unlock()
		if err := p.save(&kept); err != nil {
			p.log.Error("push registration not saved", "brand", rec.Brand, "err", err)
		}
	}
}

func (p *Pushes) checkOne(ctx context.Context, rec *pushSecret) (PushRecord, error) {
	now := rec.PushRecord
	now.Checked, now.Problem = time.Now(), ""
	api, b, err := p.api(ctx, rec.Brand)
	if err != nil {
		return now, err
	}
	states, err := api.PushRegistrations(ctx, b)
	if err != nil {
		return now, err
	}
	now.Connected, now.Status = false, "not registered"
	for _, s := range states {
		if s.URL == rec.URL && s.Channel == rec.Channel {
			now.Connected, now.Status = s.Connected, s.Status
		}
	}
	if now.Connected {
		return now, nil
	}
	password, err := p.dir.store.Unseal(rec.Password)
	if err != nil {
		return now, err
	}
	if err := api.RegisterPush(ctx, b, iysapi.PushConnection{URL: rec.URL, Channel: rec.Channel, Username: rec.Username, Password: password}); err != nil {
		return now, err
	}
	now.Connected, now.Status, now.Registered = true, "registered anew", time.Now()
	return now, nil
}

// Records lists the registrations of an account's brands, of all when it is 0, by brand and channel.
func (p *Pushes) Records(a gateway.AccountID) ([]PushRecord, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.loadLocked(); err != nil {
		return nil, err
	}
	dir := p.dir.store.Directory()
	var out []PushRecord
	for _, code := range sortedCodes(dir) {
		for _, ch := range channels {
			if rec := p.known[pushName(code, ch)]; rec != nil && (a == 0 || dir.Brands[code].Account == a) {
				out = append(out, rec.PushRecord)
			}
		}
	}
	return out, nil
}
