package iystest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Brand of a provider.
type Brand struct {
	Code   string
	Name   string
	Master bool
}

// Subscription states (iys-api.md §9.3). None and NoAPI are the cases without
// a record and without the right to use the API.
const (
	SubscriptionActive  = "ACTIVE"
	SubscriptionPaused  = "PAUSED"
	SubscriptionExpired = "EXPIRED"
	SubscriptionClosed  = "CLOSED"
	SubscriptionNone    = "-"
	SubscriptionNoAPI   = "NO_API"
)

// Provider is a hizmet sağlayıcı.
type Provider struct {
	IYSCode      string
	Title        string
	TIN          string // tax number, for AHS look-ups
	Brands       []Brand
	Retailers    []int
	Subscription string // empty = ACTIVE
	Package      string // as a subscription names it; empty = "İleti+"
	ConsentLimit int    // addresses; 0 = no limit
	LimitExceed  bool
	ViaCredit    int      // consents ViA may still take; negative = no bound
	ViaForms     []string // formIds published in İYS's screens
}

type provider struct {
	Provider
	retailers map[int]*Retailer
}

// User is an API user: of a provider (IYSCode) or of a partner
// (IntegratorCode).
type User struct {
	Username, Password string
	IYSCode            string
	IntegratorCode     string
	Role               string // empty = API_USER; another role cannot log in
}

// AHS is an intermediary with its brands: brandCode → channels.
type AHS struct {
	Username, Password string
	Brands             map[string][]string
}

type grant struct{ integrator, brand, channel string }

// AddProvider adds or replaces a provider.
func (s *Sim) AddProvider(p Provider) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &provider{Provider: p, retailers: map[int]*Retailer{}}
	if in.Subscription == "" {
		in.Subscription = SubscriptionActive
	}
	for _, r := range p.Retailers {
		in.retailers[r] = &Retailer{Code: r, Title: "XYZ TİCARET", Name: "Adım Soyadım", Status: "active"}
	}
	s.providers[p.IYSCode] = in
	for _, b := range p.Brands {
		s.brands[b.Code] = in
	}
}

// AddUser adds or replaces an API user.
func (s *Sim) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.Username] = &u
}

// AddAHS adds or replaces an intermediary.
func (s *Sim) AddAHS(a AHS) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahs[a.Username] = &a
}

// Grant gives a partner a right ("write", "read", or "" for none) on a brand's
// channel, as the provider does in İYS's web screens.
func (s *Sim) Grant(integratorCode, brandCode, channel, right string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := grant{integratorCode, brandCode, channel}
	if right == "" {
		delete(s.grants, g)
		return
	}
	s.grants[g] = right
}

// RevokeTokens ends every token, as if İYS had restarted.
func (s *Sim) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
	clear(s.refresh)
}

// What Seed makes.
const (
	SeedIYSCode    = "100001" // also the code of its master brand
	SeedSubBrand   = "100002"
	SeedOtherIYS   = "200001"
	SeedIntegrator = "700001"
	SeedUser       = "hs@firma.example"
	SeedPartner    = "partner@izinli.example"
	SeedAHS        = "ahs@izinli.example"
	SeedPassword   = "parola"
	SeedTIN        = "1234567890"
	SeedRetailer   = 55550127
	SeedForm       = "1"
)

// Seed adds two providers, an API user of the first, a partner with rights on
// both and an intermediary for the first.
func (s *Sim) Seed() {
	s.AddProvider(Provider{
		IYSCode: SeedIYSCode, Title: "ÖRNEK TİCARET ANONİM ŞİRKETİ", TIN: SeedTIN, Retailers: []int{SeedRetailer},
		ViaCredit: 100, ViaForms: []string{SeedForm},
		Brands: []Brand{{SeedIYSCode, "Örnek", true}, {SeedSubBrand, "Örnek Alt", false}},
	})
	s.AddProvider(Provider{
		IYSCode: SeedOtherIYS, Title: "BAŞKA LİMİTED ŞİRKETİ", TIN: "9876543210",
		Brands: []Brand{{SeedOtherIYS, "Başka", true}},
	})
	s.AddUser(User{Username: SeedUser, Password: SeedPassword, IYSCode: SeedIYSCode})
	s.AddUser(User{Username: SeedPartner, Password: SeedPassword, IntegratorCode: SeedIntegrator})
	for _, brand := range []string{SeedIYSCode, SeedSubBrand, SeedOtherIYS} {
		for _, ch := range []string{"MESAJ", "EPOSTA"} {
			s.Grant(SeedIntegrator, brand, ch, "write")
		}
	}
	s.AddAHS(AHS{Username: SeedAHS, Password: SeedPassword, Brands: map[string][]string{SeedIYSCode: {"MESAJ", "EPOSTA"}}})
}

// caller is who makes a request.
type caller struct {
	user *User
	ahs  *AHS
}

type session struct {
	user string
	ends time.Time
}

// bearer finds the user of a token (H351 otherwise).
func (s *Sim) bearer(r *http.Request) (*caller, *answer) {
	tok, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	ses, known := s.access[tok]
	if !ok || !known || !s.now().Before(ses.ends) || s.users[ses.user] == nil {
		return nil, s.failp(401, problem{Code: "H351"})
	}
	return &caller{user: s.users[ses.user]}, nil
}

// viaBearer is bearer with the codes of ViA (iys-api.md §13.1).
func (s *Sim) viaBearer(r *http.Request) (*caller, *answer) {
	c, a := s.bearer(r)
	if a != nil {
		denied := s.viaFail(401, "H1045")
		a = &denied
	}
	return c, a
}

func (s *Sim) basic(r *http.Request) (*caller, *answer) {
	name, password, ok := r.BasicAuth()
	a := s.ahs[name]
	if !ok || a == nil || subtle.ConstantTimeCompare([]byte(password), []byte(a.Password)) != 1 {
		return nil, s.failp(401, problem{Code: "H251"})
	}
	return &caller{ahs: a}, nil
}

func oauthError(code, text string) answer {
	return answer{400, map[string]string{"error": code, "error_description": text}}
}

// token is POST /oauth2/token (iys-api.md §3.1).
func (s *Sim) token(_ *caller, r *http.Request, body []byte) answer {
	form := map[string]any{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		v, err := url.ParseQuery(string(body))
		if err != nil {
			return s.fail(400, problem{Code: "H014"})
		}
		for k := range v {
			form[k] = v.Get(k)
		}
	} else if json.Unmarshal(body, &form) != nil {
		return s.fail(400, problem{Code: "H014"})
	}
	kind, given := form["grant_type"]
	if !given {
		return oauthError("invalid_request", "Giriş yöntemi belirtilmemiş.")
	}
	switch kind {
	case "password":
		return s.passwordGrant(form)
	case "refresh_token":
		return s.refreshGrant(form)
	case "":
		return oauthError("invalid_grant", "Giriş yöntemi boş olamaz.")
	}
	if _, text := kind.(string); !text {
		return oauthError("invalid_grant", "Desteklenmeyen giriş yöntemi.")
	}
	return oauthError("invalid_request", "Bilinmeyen giriş yöntemi.")
}

func (s *Sim) passwordGrant(form map[string]any) answer {
	for _, f := range []struct{ key, word string }{{"password", "Şifre"}, {"username", "Kullanıcı adı"}} {
		v, given := form[f.key]
		text, isText := v.(string)
		switch {
		case !given:
			return oauthError("invalid_request", f.word+" verilmemiş.")
		case !isText:
			kind := map[string]string{"password": "şifre", "username": "kullanıcı adı"}[f.key]
			return oauthError("invalid_request", "Desteklenmeyen "+kind+" türü.")
		case text == "":
			return oauthError("invalid_grant", f.word+" boş bırakılamaz.")
		}
	}
	u := s.users[form["username"].(string)]
	if u == nil || subtle.ConstantTimeCompare([]byte(u.Password), []byte(form["password"].(string))) != 1 {
		return oauthError("invalid_request", "Kullanıcı kimlik bilgileri geçersiz.")
	}
	if u.Role != "" && u.Role != "API_USER" {
		return oauthError("invalid_request", "Beklenmeyen kullanıcı rolü: "+u.Role+".")
	}
	return s.issue(u)
}

func (s *Sim) refreshGrant(form map[string]any) answer {
	v, given := form["refresh_token"]
	text, isText := v.(string)
	switch {
	case !given:
		return oauthError("invalid_request", "Yenileme jetonu verilmemiş.")
	case !isText:
		return oauthError("invalid_request", "Desteklenmeyen yenileme jetonu türü.")
	case text == "":
		return oauthError("invalid_grant", "Yenileme jetonu boş olamaz.")
	}
	ses, ok := s.refresh[text]
	delete(s.refresh, text) // rotation: good for one use
	if !ok || !s.now().Before(ses.ends) || s.users[ses.user] == nil {
		return oauthError("invalid_grant", "Yenileme jetonu geçersiz.")
	}
	return s.issue(s.users[ses.user])
}

func (s *Sim) issue(u *User) answer {
	now := s.now()
	claims := map[string]any{
		"preferred_username": u.Username, "iat": now.Unix(), "exp": now.Add(s.cfg.TokenLife).Unix(), "jti": uuid(),
		"realm_access": map[string]any{"roles": []string{"API_USER", "offline_access", "uma_authorization"}},
	}
	if p := s.providers[u.IYSCode]; p != nil {
		var brands []map[string]any
		for _, b := range p.Brands {
			brands = append(brands, map[string]any{"brandCode": number(b.Code), "name": b.Name})
		}
		claims["brands"] = brands
		claims["serviceProvider"] = map[string]any{"title": p.Title, "iysCode": number(p.IYSCode)}
	}
	access := s.jwt(claims)
	claims["typ"], claims["jti"] = "Refresh", uuid()
	refresh := s.jwt(claims)
	s.access[access] = session{u.Username, now.Add(s.cfg.TokenLife)}
	s.refresh[refresh] = session{u.Username, now.Add(2 * s.cfg.TokenLife)}
	return answer{200, map[string]any{
		"access_token": access, "refresh_token": refresh, "token_type": "bearer",
		"expires_in": int(s.cfg.TokenLife.Seconds()), "refresh_expires_in": int(2 * s.cfg.TokenLife.Seconds()),
	}}
}

// jwt has the form of a token; the simulator itself knows its tokens by heart.
func (s *Sim) jwt(claims map[string]any) string {
	enc := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // maps of strings and numbers always encode
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	head := enc(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + enc(claims)
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(head))
	return head + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// brandOf checks the codes in the path against the user's rights and the
// subscription. channel "" asks for any right; write wants the right to write.
func (s *Sim) brandOf(c *caller, r *http.Request, channel string, writing bool) (string, *answer) {
	iysCode, brand := r.PathValue("iysCode"), r.PathValue("brandCode")
	if !numeric(iysCode) {
		return "", s.failp(422, problem{Code: "H190"})
	}
	if !numeric(brand) {
		return "", s.failp(422, problem{Code: "H191"})
	}
	p := s.brands[brand]
	if c.user.IYSCode != "" && c.user.IYSCode != iysCode {
		return "", s.mismatch("iysCode")
	}
	if p == nil || p.IYSCode != iysCode {
		return "", s.mismatch("brandCode")
	}
	if c.user.IntegratorCode != "" && !s.granted(c.user.IntegratorCode, brand, channel, writing) {
		return "", s.mismatch("brandCode")
	}
	if a := s.subscribed(p); a != nil {
		return "", a
	}
	return brand, nil
}

func (s *Sim) mismatch(what string) *answer {
	return s.failp(403, problem{Code: "H353", Message: what + ", kullanıcı izinleriyle eşleştirilemiyor"})
}

func (s *Sim) granted(integrator, brand, channel string, writing bool) bool {
	for _, ch := range []string{"MESAJ", "EPOSTA", "ARAMA"} {
		if channel != "" && channel != ch {
			continue
		}
		switch s.grants[grant{integrator, brand, ch}] {
		case "write":
			return true
		case "read":
			if !writing {
				return true
			}
		}
	}
	return false
}

func (s *Sim) subscribed(p *provider) *answer {
	switch p.Subscription {
	case SubscriptionPaused, SubscriptionExpired:
		return s.failp(403, problem{Code: "H520"})
	case SubscriptionClosed:
		return s.failp(403, problem{Code: "H521"})
	case SubscriptionNone:
		return s.failp(403, problem{Code: "H524"})
	case SubscriptionNoAPI:
		return s.failp(403, problem{Code: "H586"})
	}
	return nil
}

func numeric(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
