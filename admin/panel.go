package admin

import (
	"cmp"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/httpserve"
)

// Config tunes the panel. The zero value is fit for production behind no proxy.
type Config struct {
	// URL is where browsers reach the panel, e.g. https://panel.example.com; invitations begin with it. Empty: what the browser
	// asked for.
	URL string
	// Secure marks cookies Secure although this process does not see TLS itself (a proxy in front ends it).
	Secure bool
	// TrustedProxies are the networks whose X-Forwarded-For is believed. Empty: the peer's own address counts.
	TrustedProxies []netip.Prefix
	MaxImport      int64         // octets of a consent file; default 64 MiB
	Idle           time.Duration // a session ends after so long without a request; default 30 min
	Absolute       time.Duration // and after so long in any case; default 12 h
	Tick           time.Duration // between two looks at the gateway for the dashboard; default 2 s
	StopTimeout    time.Duration // how long running requests may take after Serve's context ends; default 5 s
}

// Users keeps the people who may sign in. Names are lower case. *store.Store is one.
type Users interface {
	// PanelUser answers CodeNotFound for a name nobody has.
	PanelUser(ctx context.Context, name string) (gateway.PanelUser, error)
	PanelUsers(ctx context.Context) ([]gateway.PanelUser, error)
	// PutPanelUser returns after the user is safely stored.
	PutPanelUser(ctx context.Context, u gateway.PanelUser) error
	DeletePanelUser(ctx context.Context, name string) error
	// Seal and Unseal keep secrets that must be read again (TOTP).
	Seal(plain string) gateway.Sealed
	Unseal(gateway.Sealed) (string, error)
}

// Deps are the services behind the panel. Desk, Users, Audits and Audit are required; a page whose service is missing says so.
type Deps struct {
	Desk  desk.Service
	Users Users
	// Audits lists the trail newest first; each item is a desk.Entry as JSON.
	Audits func(ctx context.Context, cursor string, limit int) (gateway.Page[[]byte], error)
	// Audit notes what the panel itself does: sign-ins, users, unmasked addresses. The desk reports its own changes. An unmasking
	// whose note cannot be kept does not happen.
	Audit func(ctx context.Context, e desk.Entry) error
	// Live looks at the gateway for the dashboard. It must return within a fraction of Config.Tick.
	Live     func(ctx context.Context) Snapshot
	Imports  gateway.Imports
	Webhooks gateway.Webhooks // only for the events that wait; changes go through Desk
	// Inbound lists what people wrote, newest first.
	Inbound func(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.Inbound], error)
	// Batches lists an account's batches newest first; counts may be left out.
	Batches func(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.BatchView], error)
	Log     *slog.Logger
	Now     func() time.Time // time.Now when nil
	// UsersLock is held from reading a user to having written it; whoever else changes users holds it too. nil: nobody else does.
	UsersLock sync.Locker
}

// Panel is the administration in the browser. Its methods are safe for concurrent use.
type Panel struct {
	cfg    Config
	deps   Deps
	log    *slog.Logger
	now    func() time.Time
	echo   *echo.Echo
	routes []route

	key      [32]byte    // of CSRF tokens and enrolment secrets; new with every process
	seal     cipher.AEAD // of addresses in URLs; likewise
	hashing  chan struct{}
	patience time.Duration // of who waits to hash a password
	sessions *sessions
	strikes  *throttle
	live     *live
	cross    *http.CrossOriginProtection

	users sync.Locker // Deps.UsersLock
	setup string      // token of the set-up link; guarded by users
}

// New builds the panel; it listens to nothing yet.
func New(cfg Config, deps Deps) (*Panel, error) {
	if deps.Desk == nil || deps.Users == nil || deps.Audits == nil || deps.Audit == nil {
		return nil, errors.New("admin: desk, users, audits and audit are required")
	}
	cfg.MaxImport = cmp.Or(cfg.MaxImport, 64<<20)
	cfg.Idle = cmp.Or(cfg.Idle, 30*time.Minute)
	cfg.Absolute = cmp.Or(cfg.Absolute, 12*time.Hour)
	cfg.Tick = cmp.Or(cfg.Tick, 2*time.Second)
	cfg.StopTimeout = cmp.Or(cfg.StopTimeout, 5*time.Second)
	p := &Panel{cfg: cfg, deps: deps, log: deps.Log, now: deps.Now, hashing: make(chan struct{}, hashesAtOnce), patience: 10 * time.Second,
		strikes: newThrottle(), cross: http.NewCrossOriginProtection(), users: deps.UsersLock}
	if p.users == nil {
		p.users = &sync.Mutex{}
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.now == nil {
		p.now = time.Now
	}
	fill(p.key[:])
	p.seal = newSeal()
	dummyHash() // not while somebody waits, whose wait would tell
	p.sessions = newSessions(cfg.Idle, cfg.Absolute)
	p.live = newLive(deps.Live, cfg.Tick, p.now)
	p.routes = table()
	p.echo = p.newEcho()
	return p, nil
}

func (p *Panel) newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = extractor(p.cfg.TrustedProxies)
	e.Use(p.around)
	for i := range p.routes {
		e.Add(p.routes[i].method, p.routes[i].path, p.enter(&p.routes[i]))
	}
	e.GET(assetPrefix+":name", p.asset)
	return e
}

// extractor is set explicitly: without one Echo believes X-Forwarded-For from anybody (libraries.md §5.1).
func extractor(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	opts := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, n := range trusted {
		n = n.Masked()
		opts = append(opts, echo.TrustIPRange(&net.IPNet{IP: n.Addr().AsSlice(), Mask: net.CIDRMask(n.Bits(), n.Addr().BitLen())}))
	}
	return echo.ExtractIPFromXFFHeader(opts...)
}

// Handler returns the panel as an http.Handler. Without Serve the dashboard has no history.
func (p *Panel) Handler() http.Handler { return p.echo }

// Serve answers requests from ln until ctx ends, then takes no more, lets those running finish within StopTimeout (live views end
// at once) and returns nil. It closes ln.
func (p *Panel) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           p.echo,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // imports extend it
		WriteTimeout:      time.Minute, // live views extend it
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	var sampler sync.WaitGroup
	defer sampler.Wait()
	look, stopLook := context.WithCancel(ctx)
	defer stopLook()
	sampler.Go(func() { p.live.run(look) })
	if err := httpserve.Run(ctx, srv, ln, p.cfg.StopTimeout); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}
