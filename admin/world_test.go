package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"izinli/gateway"
	"izinli/gateway/account"
	"izinli/gateway/desk"
)

var noon = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

const (
	password   = "uzun bir parola cümlesi"
	totpSecret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
)

// passwordHash is made once: argon2id takes its time.
var passwordHash = sync.OnceValue(func() string { return account.HashPassword(password) })

// world is a panel with its surroundings.
type world struct {
	*testing.T
	panel  *Panel
	office *office
	people *people

	mu    sync.Mutex
	now   time.Time    // guarded by mu
	trail []desk.Entry // guarded by mu
	snap  Snapshot
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
}

func (w *world) entries() []desk.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]desk.Entry(nil), w.trail...)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, office: furnished(), people: &people{m: map[string]gateway.PanelUser{}}, now: noon, snap: snapshot()}
	var err error
	w.panel, err = New(Config{MaxImport: 1 << 16}, Deps{
		Desk: w.office, Users: w.people, Now: w.clock, Imports: files{w.office}, Webhooks: hooks{},
		Audits: func(_ context.Context, _ string, _ int) (page gateway.Page[[]byte], err error) {
			for _, e := range w.entries() {
				raw, err := json.Marshal(e)
				if err != nil {
					return page, err
				}
				page.Items = append(page.Items, raw)
			}
			return page, nil
		},
		Audit: func(_ context.Context, e desk.Entry) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.trail = append(w.trail, e)
			return nil
		},
		Live: func(context.Context) Snapshot { return w.snap },
		Inbound: func(_ context.Context, a gateway.AccountID, _ string, _ int) (gateway.Page[gateway.Inbound], error) {
			if w.office.bare {
				return gateway.Page[gateway.Inbound]{}, nil
			}
			return gateway.Page[gateway.Inbound]{Items: []gateway.Inbound{{ID: "1", From: "+905321234567", To: "3338", Text: "RET 675403", Kind: "optout", Brands: []string{"675403"}, At: noon}}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// hire adds a user who can sign in.
func (w *world) hire(name string, role gateway.PanelRole, change ...func(*gateway.PanelUser)) {
	u := gateway.PanelUser{Name: name, Role: role, PasswordHash: passwordHash(), TOTP: w.people.Seal(totpSecret), Created: noon}
	for _, f := range change {
		f(&u)
	}
	if err := w.people.PutPanelUser(context.Background(), u); err != nil {
		w.Fatal(err)
	}
}

// browser keeps cookies between requests.
type browser struct {
	w       *world
	cookies map[string]string
	from    string
	headers map[string]string
}

func (w *world) browser() *browser {
	return &browser{w: w, cookies: map[string]string{}, from: "192.0.2.7:40000", headers: map[string]string{}}
}

// signedIn is a browser of a user, whose session is made without the costly sign-in.
func (w *world) signedIn(name string) *browser {
	b := w.browser()
	b.cookies[cookieSession] = w.panel.sessions.begin(name, true, w.clock())
	return b
}

func (b *browser) do(method, target, kind string, body io.Reader) *httptest.ResponseRecorder {
	b.w.Helper()
	req := httptest.NewRequest(method, target, body)
	req.RemoteAddr = b.from
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for k, v := range b.headers {
		req.Header.Set(k, v)
	}
	for k, v := range b.cookies {
		req.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	rec := httptest.NewRecorder()
	b.w.panel.Handler().ServeHTTP(rec, req)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return rec
}

func (b *browser) get(target string) *httptest.ResponseRecorder {
	return b.do(http.MethodGet, target, "", nil)
}

// token is the CSRF token the panel gave this browser's forms.
func (b *browser) token() string {
	if s := b.cookies[cookieSession]; s != "" {
		return b.w.panel.csrf(s)
	}
	if b.cookies[cookiePre] == "" {
		b.get("/login")
	}
	return b.w.panel.csrf("pre " + b.cookies[cookiePre])
}

// post sends a form with its token; pairs are names and values.
func (b *browser) post(target string, pairs ...string) *httptest.ResponseRecorder {
	v := url.Values{csrfField: {b.token()}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, target, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
}

func (w *world) totpNow() string {
	code, err := totp.GenerateCode(totpSecret, w.clock())
	if err != nil {
		w.Fatal(err)
	}
	return code
}

func setAccounts(list ...gateway.AccountID) func(*gateway.PanelUser) {
	return func(u *gateway.PanelUser) { u.Accounts = list }
}

func setCIDR(s string) func(*gateway.PanelUser) {
	return func(u *gateway.PanelUser) { u.CIDRs = []netip.Prefix{netip.MustParsePrefix(s)} }
}

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }
