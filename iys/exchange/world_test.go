package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
)

var (
	_ exchange.Mirror = (*mirror.Mirror)(nil)
	_ exchange.API    = (*iysapi.Client)(nil)
	_ exchange.AHS    = (*iysapi.AHSClient)(nil)
)

const (
	partnerBrand = iystest.SeedIYSCode
	ahsBrand     = "300001"
	selfBrand    = "400001"
	exemptBrand  = "500001"
)

// world is a simulator, a store that survives, and one process at a time.
type world struct {
	t      *testing.T
	sim    *iystest.Sim
	store  *memStore
	api    *iysapi.Client
	ahs    *iysapi.AHSClient
	mirror *mirror.Mirror
	x      *exchange.Exchange
	heard  *listener
	more   []exchange.Brand // beside the usual ones

	instead bool // more stands for the usual ones

	brands func() []exchange.Brand // stand for the usual ones; nil: none do

	// What İYS last said about the partner's rights on partnerBrand.
	withheld, readOnly map[iys.Channel]bool
	granted            map[iys.Channel]time.Time

	rights exchange.Rights // reads them; nil: nobody does
}

type listener struct {
	mu    sync.Mutex
	moves []iys.Consent
	fail  error
}

func (l *listener) Moved(_ context.Context, moves []iys.Consent) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.moves = append(l.moves, moves...)
	return nil
}

func (w *world) Brand(_ context.Context, code string) (exchange.Brand, bool, error) {
	all, _ := w.Brands(context.Background())
	for _, b := range all {
		if b.BrandCode == code {
			return b, true, nil
		}
	}
	return exchange.Brand{}, false, nil
}

func (w *world) Brands(context.Context) ([]exchange.Brand, error) {
	if w.brands != nil {
		return w.brands(), nil
	}
	if w.instead {
		return w.more, nil
	}
	both := func(m iys.Mode) map[iys.Channel]iys.Mode {
		return map[iys.Channel]iys.Mode{iys.ChannelSMS: m, iys.ChannelEmail: m}
	}
	id := func(code string) iysapi.Brand { return iysapi.Brand{IYSCode: code, BrandCode: code} }
	return append([]exchange.Brand{
		{Brand: id(partnerBrand), Modes: both(iys.ModePartner), API: w.api, Withheld: w.withheld, ReadOnly: w.readOnly, Granted: w.granted},
		{Brand: id(ahsBrand), Modes: both(iys.ModeAHS), AHS: w.ahs},
		{Brand: id(selfBrand), Modes: both(iys.ModeSelfManaged)},
		{Brand: id(exemptBrand), Modes: both(iys.ModeExempt)},
	}, w.more...), nil
}

// inBubble runs f on fake time from Friday 20 November 2026, noon in Istanbul.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pass(time.Until(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)))
		w := &world{t: t, sim: iystest.New(iystest.Config{}), store: newStore(), heard: &listener{}}
		w.sim.Seed()
		w.sim.AddProvider(iystest.Provider{IYSCode: ahsBrand, Brands: []iystest.Brand{{Code: ahsBrand, Master: true}}})
		w.sim.AddAHS(iystest.AHS{Username: iystest.SeedAHS, Password: iystest.SeedPassword, Brands: map[string][]string{ahsBrand: {"MESAJ"}}})
		w.restart()
		f(t, w)
		w.x.Close()
	})
}

// restart is a new process over the same store.
func (w *world) restart() {
	w.t.Helper()
	if w.x != nil {
		w.x.Close()
	}
	w.store.revive()
	w.restartAPI()
	var err error
	w.mirror = mirror.New()
	w.x, err = exchange.New(exchange.Config{Store: w.store, Mirror: w.mirror, Directory: w, Rights: w.rights, Listener: w.heard})
	if err != nil {
		w.t.Fatal(err)
	}
}

// restartAPI makes the clients anew, as for a link that was changed.
func (w *world) restartAPI() {
	w.t.Helper()
	cfg := iysapi.Config{URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: iystest.SeedPassword, HTTP: w.sim.Transport()}
	var err error
	if w.api, err = iysapi.New(cfg); err != nil {
		w.t.Fatal(err)
	}
	cfg.Username = iystest.SeedAHS
	if w.ahs, err = iysapi.NewAHS(cfg); err != nil {
		w.t.Fatal(err)
	}
}

// pass lets the bubble's time pass.
func pass(d time.Duration) { <-time.After(d) }

func phone(n int) string { return fmt.Sprintf("+90532%07d", n) }

func key(n int) iys.Key {
	return iys.Key{Brand: partnerBrand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: phone(n)}
}

// approveAt makes İYS hold an approval, given by hand an hour ago.
func (w *world) approveAt(n int) {
	w.sim.Put(iystest.Movement{
		BrandCode: partnerBrand, Recipient: phone(n), RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY",
		Source: "HS_WEB", ConsentDate: time.Now().Add(-time.Hour),
	})
}

func (w *world) entry(n int, s iys.Status) exchange.Entry {
	src := iys.SourceHSWeb
	if s == iys.StatusRejected {
		src = iys.SourceHSSMS
	}
	return exchange.NewEntry(iys.Consent{Key: key(n), Status: s, Source: src, ConsentDate: time.Now()}, time.Now(), iys.DefaultCalendar())
}

// drain flushes until nothing is left to send.
func (w *world) drain() error {
	for range 500 {
		_, err := w.x.Flush(w.t.Context())
		if err != nil {
			return err
		}
		if w.store.open() == 0 {
			return nil
		}
		pass(10 * time.Second)
	}
	return errors.New("the outbox does not empty")
}

func (w *world) mustDrain() {
	w.t.Helper()
	if err := w.drain(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantState(id uint64, s exchange.State, code string) {
	w.t.Helper()
	if e := w.store.entry(id); e.State != s || e.Code != code {
		w.t.Errorf("entry %d (%s): got %s %q, want %s %q", id, e.Status, e.State, e.Code, s, code)
	}
}

func (w *world) sims(n int) string {
	m, ok := w.sim.Stored(partnerBrand, "MESAJ", "BIREYSEL", phone(n))
	if !ok {
		return "-"
	}
	return m.Status + " " + m.Source
}
