package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"izinli/gateway"
	"izinli/gateway/httpserve"
)

// Config tunes the door. The zero value is fit for production.
type Config struct {
	// TrustedProxies are the networks whose X-Forwarded-For is believed. Empty: the peer's own address counts, whatever it claims.
	TrustedProxies []netip.Prefix
	MaxBody        int64         // octets of POST /v1/messages; default 16 MiB
	MaxImport      int64         // octets of a consent file; default 64 MiB
	ReadsPerSecond int           // requests per credential to everything but POST /v1/messages; default 50, bursts of twice as many
	IdleTimeout    time.Duration // how long a connection may wait for its next request; default 5 min
	StopTimeout    time.Duration // how long running requests may take after Serve's context ends; default 15 s
}

// Limiter is asked before n messages are handed on; a positive answer is how long the caller has to wait.
type Limiter interface {
	Allow(p *gateway.Principal, n int) time.Duration
}

// Deps are the services behind the door. Limits, CheckURL, Normalize, Ready, Log and Metrics may be nil.
type Deps struct {
	Submitter     gateway.Submitter
	ConsentDesk   gateway.ConsentDesk
	Authenticator gateway.Authenticator
	Reader        gateway.Reader
	Steering      gateway.Steering
	Webhooks      gateway.Webhooks
	Imports       gateway.Imports
	Via           gateway.Via
	Limits        Limiter
	// CheckURL says whether a webhook may point at an address; without it only https URLs may be set.
	CheckURL func(rawURL string) error
	// Normalize brings an address into the stored form for the `to` filter of lists; without it the filter is exact.
	Normalize func(address string) string
	// Ready says what keeps the process from working; the text is shown at /readyz.
	Ready   func() error
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// API is the HTTP door.
type API struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	echo    *echo.Echo
	metrics *metrics
	known   map[string]bool // route patterns, for labels

	mu    sync.Mutex
	reads map[string]*rate.Limiter // by credential id, so at most one per API key; guarded by mu
}

// New builds the door; it listens to nothing yet.
func New(cfg Config, deps Deps) *API {
	cfg.MaxBody = orDefault(cfg.MaxBody, 16<<20)
	cfg.MaxImport = orDefault(cfg.MaxImport, 64<<20)
	cfg.ReadsPerSecond = orDefault(cfg.ReadsPerSecond, 50)
	cfg.StopTimeout = orDefault(cfg.StopTimeout, 15*time.Second)
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.CheckURL == nil {
		deps.CheckURL = onlyHTTPS
	}
	if deps.Normalize == nil {
		deps.Normalize = func(s string) string { return s }
	}
	if deps.Ready == nil {
		deps.Ready = func() error { return nil }
	}
	a := &API{cfg: cfg, deps: deps, log: deps.Log, echo: echo.New(), metrics: newMetrics(deps.Metrics),
		known: map[string]bool{}, reads: map[string]*rate.Limiter{}}
	a.echo.IPExtractor = extractor(cfg.TrustedProxies)
	a.echo.HTTPErrorHandler = func(err error, c echo.Context) { a.fail(c, err) }
	a.echo.Logger.SetOutput(io.Discard) // everything worth telling goes through slog
	a.echo.Use(a.around)
	for _, r := range routes {
		a.known[r.path] = true
		a.echo.Add(r.method, r.path, a.enter(r))
	}
	return a
}

func orDefault[T int | int64 | time.Duration](v, d T) T {
	if v <= 0 {
		return d
	}
	return v
}

func onlyHTTPS(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return errors.New("the URL must be an https URL without user and password")
	}
	return nil
}

// extractor is set explicitly: without one Echo believes X-Forwarded-For from anybody (libraries.md §5.1).
func extractor(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	opts := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range trusted {
		p = p.Masked()
		bits := p.Addr().BitLen()
		opts = append(opts, echo.TrustIPRange(&net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), bits)}))
	}
	return echo.ExtractIPFromXFFHeader(opts...)
}

// Handler returns the door as an http.Handler, for tests and for callers with a server of their own.
func (a *API) Handler() http.Handler { return a.echo }

// Serve answers requests from ln until ctx ends, then takes no more, lets those running finish within StopTimeout and
// returns nil. It closes ln.
func (a *API) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           a.echo,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // imports extend it
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       cmp.Or(a.cfg.IdleTimeout, 5*time.Minute),
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	if err := httpserve.Run(ctx, srv, ln, a.cfg.StopTimeout); err != nil {
		return fmt.Errorf("httpapi: %w", err)
	}
	return nil
}
