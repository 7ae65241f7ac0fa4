// Package iyslink turns the directory's İYS links and brands into what iys/exchange works with: one API client per link, all
// sharing the rate limit of this machine's address, and their tokens kept in the store.
//
// Clients are made when first needed and again when their link changed. [Pushes] keeps the connections by which İYS pushes to us;
// [Rights] reads what companies let us do as their partner, which every Brand the directory gives out bears. The package decides
// nothing about messages and knows no consent.
package iyslink

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

// Store is what is needed of the store.
type Store interface {
	Directory() *gateway.Directory
	Unseal(gateway.Sealed) (string, error)
	Seal(plain string) gateway.Sealed
	Named(name string) (v []byte, ok bool, err error)
	PutNamed(name string, v []byte) error
}

// Directory implements exchange.Directory.
type Directory struct {
	store  Store
	log    *slog.Logger
	limits iysapi.Limits
	rate   *iysapi.Rate
	rights rightsBook
	// forbidden hears whom a 403 of İYS was for; nil before somebody listens.
	forbidden atomic.Pointer[func(whom string)]

	mu      sync.Mutex
	clients map[string]*clients // by link; guarded by mu
}

type clients struct {
	link gateway.IYSLink
	api  *iysapi.Client
	ahs  *iysapi.AHSClient
}

// New returns a directory. limits are those of one address towards İYS; zero fields take İYS's own.
func New(st Store, limits iysapi.Limits, log *slog.Logger) *Directory {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Directory{store: st, log: log, limits: limits, rate: iysapi.NewRate(limits), clients: map[string]*clients{},
		rights: rightsBook{links: map[string]*LinkRights{}}}
}

// Over returns a directory over another store that keeps to the same limits: to İYS both are one address.
func (d *Directory) Over(st Store) *Directory {
	other := New(st, d.limits, d.log)
	other.rate = d.rate
	return other
}

// Brand implements exchange.Directory.
func (d *Directory) Brand(_ context.Context, code string) (exchange.Brand, bool, error) {
	dir := d.store.Directory()
	b := dir.Brands[code]
	if b == nil {
		return exchange.Brand{}, false, nil
	}
	out, err := d.brand(dir, b)
	return out, err == nil, err
}

// Brands implements exchange.Directory. A brand whose link cannot be used is left out with a line in the log: it must not keep
// the others from being pulled.
func (d *Directory) Brands(context.Context) ([]exchange.Brand, error) {
	dir := d.store.Directory()
	out := make([]exchange.Brand, 0, len(dir.Brands))
	for _, code := range sortedCodes(dir) {
		b := dir.Brands[code]
		x, err := d.brand(dir, b)
		if err != nil {
			d.log.Error("brand left out of the exchange with İYS", "brand", b.Code, "err", err)
			continue
		}
		out = append(out, x)
	}
	return out, nil
}

func sortedCodes(dir *gateway.Directory) []string { return slices.Sorted(maps.Keys(dir.Brands)) }

func (d *Directory) brand(dir *gateway.Directory, b *gateway.Brand) (exchange.Brand, error) {
	out := exchange.Brand{
		Brand: iysapi.Brand{IYSCode: iysCodeOf(dir, b), BrandCode: b.Code},
		Modes: map[iys.Channel]iys.Mode{}, ReadOnly: map[iys.Channel]bool{},
	}
	for ch, m := range map[iys.Channel]gateway.BrandMode{iys.ChannelSMS: b.SMS, iys.ChannelEmail: b.Email} {
		if m.Mode != "" {
			out.Modes[ch] = iys.Mode(m.Mode)
			out.ReadOnly[ch] = m.ReadOnly
		}
	}
	if b.IYS == "" {
		return out, nil
	}
	link := dir.IYSLinks[b.IYS]
	if link == nil {
		return out, fmt.Errorf("iyslink: brand %s names link %q, which does not exist", b.Code, b.IYS)
	}
	c, err := d.client(link)
	if err != nil {
		return out, err
	}
	if c.api != nil {
		out.API = c.api
	}
	if c.ahs != nil {
		out.AHS = c.ahs
	}
	return out, d.applyRights(dir, b, &out)
}

// applyRights brings what İYS last said of a brand's rights into force. Of a brand it was never asked about nothing is withheld that we
// know of, and nothing granted either.
func (d *Directory) applyRights(dir *gateway.Directory, b *gateway.Brand, out *exchange.Brand) error {
	if dir.IYSLinks[b.IYS].IntegratorCode == 0 {
		return nil // an API user of the company's own
	}
	r, known, err := d.rightsOf(dir, b)
	if err != nil {
		return err
	}
	out.Withheld, out.Granted = map[iys.Channel]bool{}, map[iys.Channel]time.Time{}
	for _, ch := range partnerChannels(b) {
		if !known {
			out.Granted[ch] = time.Time{}
			continue
		}
		out.ReadOnly[ch] = r.Channels[ch] != RightWrite
		out.Withheld[ch] = r.Channels[ch] == ""
		out.Granted[ch] = r.Read
	}
	return nil
}

// Partner returns who speaks with İYS over a link and our number as a partner; nil when the link is not a partner's.
func (d *Directory) Partner(link string) (*iysapi.Client, int, error) {
	l := d.store.Directory().IYSLinks[link]
	if l == nil || l.IntegratorCode == 0 || l.Username == "" {
		return nil, 0, nil
	}
	c, err := d.client(l)
	if err != nil {
		return nil, 0, err
	}
	return c.api, l.IntegratorCode, nil
}

func (d *Directory) client(l *gateway.IYSLink) (*clients, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.clients[l.Name]; c != nil && c.link == *l {
		return c, nil
	}
	c := &clients{link: *l}
	if l.Username != "" {
		cfg, err := d.config(l.BaseURL, l.Username, l.Password)
		if err == nil {
			c.api, err = iysapi.New(cfg)
		}
		if err != nil {
			return nil, fmt.Errorf("iyslink: %s: %w", l.Name, err)
		}
	}
	if l.AHSUser != "" {
		cfg, err := d.config(l.AHSURL, l.AHSUser, l.AHSPassword)
		if err == nil {
			c.ahs, err = iysapi.NewAHS(cfg)
		}
		if err != nil {
			return nil, fmt.Errorf("iyslink: %s: %w", l.Name, err)
		}
	}
	d.clients[l.Name] = c
	return c, nil
}

func (d *Directory) config(url, user string, sealed gateway.Sealed) (iysapi.Config, error) {
	password, err := d.store.Unseal(sealed)
	return iysapi.Config{URL: url, Username: user, Password: password, Tokens: tokens{d.store}, Limits: d.limits, Rate: d.rate, Log: d.log,
		Forbidden: func(whom string, _ *iysapi.APIError) {
			if f := d.forbidden.Load(); f != nil {
				(*f)(whom)
			}
		}}, err
}

// tokens keeps İYS tokens in the store, sealed.
type tokens struct{ store Store }

func tokenName(user string) string { return "iys-token/" + user }

// LoadToken implements iysapi.TokenStore.
func (t tokens) LoadToken(_ context.Context, user string) (tok iysapi.Token, err error) {
	v, ok, err := t.store.Named(tokenName(user))
	if err != nil || !ok {
		return tok, err
	}
	plain, err := t.store.Unseal(gateway.Sealed(v))
	if err != nil {
		return tok, err
	}
	return tok, json.Unmarshal([]byte(plain), &tok)
}

// SaveToken implements iysapi.TokenStore.
func (t tokens) SaveToken(_ context.Context, user string, tok iysapi.Token) error {
	v, err := json.Marshal(tok)
	if err != nil {
		return err
	}
	return t.store.PutNamed(tokenName(user), []byte(t.store.Seal(string(v))))
}
