package admin

import (
	"net/http"
	"sync"
	"time"

	"izinli/gateway"
)

// Bounds of sessions.
const (
	maxSessions = 10_000
	halfLife    = 5 * time.Minute // between password and code
	halfTries   = 5               // wrong codes before the password is asked for again
)

// session is one browser signed in. Nothing of it is known to the browser but the token.
type session struct {
	user    string
	full    bool // false: the password was right, the code is still to come
	created time.Time

	// Guarded by sessions.mu.
	seen    time.Time
	tries   int // wrong codes
	flash   string
	account gateway.AccountID // chosen last
}

// sessions are kept in memory alone: a restart signs everybody out.
type sessions struct {
	idle, absolute time.Duration

	mu sync.Mutex
	m  map[string]*session // by hash of the token; guarded by mu
}

func newSessions(idle, absolute time.Duration) *sessions {
	return &sessions{idle: idle, absolute: absolute, m: map[string]*session{}}
}

// begin makes a session under a token nobody has seen before, whatever the browser brought along: that is what makes session
// fixation impossible.
func (s *sessions) begin(user string, full bool, now time.Time) (token string) {
	token = gateway.NewToken()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.m) >= maxSessions {
		s.sweepLocked(now)
	}
	s.m[gateway.HashToken(token)] = &session{user: user, full: full, created: now, seen: now}
	return token
}

// sweepLocked forgets what has ended; if that is not enough, the one that rests longest.
func (s *sessions) sweepLocked(now time.Time) {
	oldest, at := "", now
	for k, x := range s.m {
		if s.endedLocked(x, now) {
			delete(s.m, k)
		} else if !x.seen.After(at) {
			oldest, at = k, x.seen
		}
	}
	if len(s.m) >= maxSessions {
		delete(s.m, oldest)
	}
}

func (s *sessions) endedLocked(x *session, now time.Time) bool {
	if !x.full {
		return now.Sub(x.created) >= halfLife || x.tries >= halfTries
	}
	return now.Sub(x.seen) >= s.idle || now.Sub(x.created) >= s.absolute
}

// get returns the living session of a token, nil when there is none. touch counts the request as activity.
func (s *sessions) get(token string, now time.Time, touch bool) *session {
	if token == "" {
		return nil
	}
	k := gateway.HashToken(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.m[k]
	if x == nil {
		return nil
	}
	if s.endedLocked(x, now) {
		delete(s.m, k)
		return nil
	}
	if touch {
		x.seen = now
	}
	return x
}

func (s *sessions) end(token string) {
	s.mu.Lock()
	delete(s.m, gateway.HashToken(token))
	s.mu.Unlock()
}

// wrongCode notes a wrong code.
func (s *sessions) wrongCode(x *session) {
	s.mu.Lock()
	x.tries++
	s.mu.Unlock()
}

func (s *sessions) setFlash(x *session, text string) {
	s.mu.Lock()
	x.flash = text
	s.mu.Unlock()
}

func (s *sessions) takeFlash(x *session) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := x.flash
	x.flash = ""
	return text
}

// choose remembers the account a person works on; 0 only reads.
func (s *sessions) choose(x *session, a gateway.AccountID) gateway.AccountID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a != 0 {
		x.account = a
	}
	return x.account
}

// Names of cookies. Over TLS they carry the __Host- prefix, which browsers tie to this very host and to Secure.
const (
	cookieSession = "izinli_session"
	cookiePre     = "izinli_pre" // before signing in: only ties a CSRF token to a browser
	cookieLang    = "izinli_lang"
	cookieTheme   = "izinli_theme"
	hostPrefix    = "__Host-"
	prefsAge      = 400 * 24 * 3600 // s; browsers keep no cookie longer
)

func (p *Panel) secure(r *http.Request) bool { return p.cfg.Secure || r.TLS != nil }

func (p *Panel) cookieName(r *http.Request, name string) string {
	if p.secure(r) {
		return hostPrefix + name
	}
	return name
}

func (p *Panel) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(p.cookieName(r, name))
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie sets a cookie for this host alone; maxAge 0 lasts as long as the browser runs, below 0 removes it.
func (p *Panel) setCookie(w http.ResponseWriter, r *http.Request, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: p.cookieName(r, name), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true,
		Secure: p.secure(r), SameSite: http.SameSiteStrictMode})
}
