package public

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/httpserve"
	"izinli/gateway/unsubscribe"
)

// Config of the door. Zero fields take the default.
type Config struct {
	// TrustedProxies are the networks whose X-Forwarded-For is believed. Empty: the peer's own address counts.
	TrustedProxies []netip.Prefix
	// StopTimeout is how long requests under way may take when the door closes. Default 15 s.
	StopTimeout time.Duration
	// Key authenticates forms. Without one a random key is made.
	Key []byte
	Now func() time.Time
}

// Links finds what a short code stands for.
type Links interface {
	// ShortLink returns the subject of a code, false when there is none.
	ShortLink(ctx context.Context, code string) (gateway.ShortLink, bool, error)
}

// Deps is what the door works with.
type Deps struct {
	Consents gateway.ConsentDesk
	Tokens   *unsubscribe.Tokens
	Links    Links
	// ShortLinks makes the opt-out links of addresses, in their order, once they work.
	ShortLinks func(ctx context.Context, a gateway.AccountID, brand, channel string, addresses []string) ([]string, error)
	OptIns     OptIns
	Submit     gateway.Submitter // takes the messages of forms
	Pushes     Pushes            // nil: İYS pushes nothing here
	BadPush    func(error) bool  // whether an error of Pushes means that the body makes no sense; any other is passing
	Directory  func() *gateway.Directory
	// BaseURL is where the outside reaches this door, without a slash at the end; empty when nobody has said so. With https,
	// cookies are marked secure and browsers are told to stay with https.
	BaseURL func() string
	Log     *slog.Logger
}

// Server is the public door.
type Server struct {
	cfg  Config
	deps Deps
	log  *slog.Logger
	mux  *http.ServeMux

	csrfKey []byte
	cross   *http.CrossOriginProtection

	// By network, one for each route: who fails at one keeps nobody from another, and what is right passes in any case.
	badLinks, badForms, badCodes, badPushes *limiter

	subject    *limiter // acts on one link, by subject
	senders    *limiter // forms sent in, by network
	perForm    *limiter // and by form
	perAddress *limiter // and by brand and address
}

// New builds the door; it listens to nothing yet.
func New(cfg Config, deps Deps) *Server {
	if cfg.StopTimeout <= 0 {
		cfg.StopTimeout = 15 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if deps.BaseURL == nil {
		deps.BaseURL = func() string { return "" }
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, deps: deps, log: deps.Log, mux: http.NewServeMux(),
		csrfKey: cfg.Key, cross: http.NewCrossOriginProtection(),
		badLinks: newLimiter(60, time.Second), badForms: newLimiter(60, time.Second), badCodes: newLimiter(60, time.Second),
		badPushes: newLimiter(60, time.Second), subject: newLimiter(20, 10*time.Second),
		senders: newLimiter(20, 30*time.Second), perForm: newLimiter(300, time.Second), perAddress: newLimiter(2, 30*time.Minute)}
	if len(s.csrfKey) == 0 { // forms sent before a restart are asked for again
		s.csrfKey = []byte(rand.Text())
	}
	s.routes()
	return s
}

// routes are all addresses of the door. A pattern with GET answers HEAD too.
func (s *Server) routes() {
	s.mux.HandleFunc("GET /{$}", s.home)
	s.mux.HandleFunc("GET /robots.txt", robots)
	s.mux.HandleFunc("GET /style.css", styleSheet)
	s.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.mux.HandleFunc("GET "+unsubscribe.Path+"{token}", s.optOutPage)
	s.mux.HandleFunc("POST "+unsubscribe.Path+"{token}", s.optOut)
	s.mux.HandleFunc("GET "+unsubscribe.ShortPath+"{code}", s.optOutPage)
	s.mux.HandleFunc("POST "+unsubscribe.ShortPath+"{code}", s.optOut)
	s.mux.HandleFunc("GET "+gateway.FormPath+"{form}", s.formPage)
	s.mux.HandleFunc("POST "+gateway.FormPath+"{form}", s.formSent)
	s.mux.HandleFunc("GET "+confirmPath+"{code}", s.confirmPage)
	s.mux.HandleFunc("POST "+confirmPath+"{code}", s.confirm)
	s.mux.HandleFunc("POST "+PushPath, s.push)
	s.mux.HandleFunc("/", s.notHere)
}

// Handler returns the door as an http.Handler.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// serve answers one request: headers first, so that every answer has them; a panic becomes an error page.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	start := s.cfg.Now()
	rec := &recorder{ResponseWriter: w}
	s.headers(rec.Header())
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("public page panicked", "route", r.Pattern, "panic", p)
			if rec.status == 0 {
				s.errorPage(rec, r, http.StatusInternalServerError, "failed")
			}
		}
		// The path holds a token and is not logged.
		s.log.Debug("public request", "method", r.Method, "route", r.Pattern, "status", rec.status, "took", s.cfg.Now().Sub(start))
	}()
	s.mux.ServeHTTP(rec, r)
}

// headers allow a page nothing but its own style sheet and its own form.
func (s *Server) headers(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer") // the address of a page is a secret
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
	if s.secure() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// secure reports whether the outside reaches us by https.
func (s *Server) secure() bool { return strings.HasPrefix(s.deps.BaseURL(), "https://") }

// recorder remembers the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// client is who asks: the peer, or behind trusted proxies the last address they did not forge.
func (s *Server) client(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	if !s.trusted(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return addr
		}
		if addr = hop.Unmap().WithZone(""); !s.trusted(addr) {
			return addr
		}
	}
	return addr
}

func (s *Server) trusted(a netip.Addr) bool {
	for _, p := range s.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Serve answers requests from ln until ctx ends, then takes no more, lets those running finish within StopTimeout and
// returns nil. It closes ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if err := httpserve.Run(ctx, srv, ln, s.cfg.StopTimeout); err != nil {
		return fmt.Errorf("public: %w", err)
	}
	return nil
}
