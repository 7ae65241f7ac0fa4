package iystest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Istanbul is the zone of every date on the wire.
var Istanbul = time.FixedZone("+03", 3*60*60)

const dateForm = "2006-01-02 15:04:05"

// Limits are requests per client address. Zero means the documented number, a
// negative one switches the limit off.
type Limits struct {
	PerSecond      int // 10
	TokensPerHour  int // 100
	StatusPerHour  int // 1000
	HistoryPerHour int // 100
}

// Oddities are the points the documents leave open, each with the best guess
// as its zero value.
type Oddities struct {
	CodeColon         bool   // errors carry the key "code:" as in half of the samples
	ErrorsObject      bool   // errors is one object instead of an array
	SubrequestLower   bool   // subrequestId in request queries
	StringBooleans    bool   // isAddConsentV2Service as text
	StringCodes       bool   // brandCode, iysCode as text in the partner list
	UnknownStatus     int    // single status of an unknown address: 204, or 200 ({}), 404, 422
	EmptyRequest      string // unfinished request query: "" = 200 [], "204", "body" = 200 without body
	AfterMillis       bool   // cursor in milliseconds
	EmptyChanges      bool   // nothing new: 200 with an empty list instead of 204
	EqualDateAccepted bool   // a consentDate equal to the stored one is taken
	RejectedNeedsRET  bool   // AHS: only a stored RET counts as rejected
	LateDateRules     bool   // batch: H467 and H525 per item instead of for the list
	Batch200          bool   // adding a batch answers 200 instead of 202
	SubRequestsMixed  bool   // subRequests in reverse order
	FileQueued        bool   // the file of a day stays queued
	AgreementSpelled  bool   // agreementCaptured spelled as in the schema
	UpdatesNeedRoom   bool   // a full package (H525) refuses approvals of stored records too
	V2Forgets         bool   // V2 judges a repeat by the rules instead of repeating its answer
}

// Config of a Sim. The zero value is the documented İYS.
type Config struct {
	Now          func() time.Time // nil = time.Now
	BatchDelay   time.Duration    // how long a batch takes, default 5 min; half of it answers nothing, the rest "enqueue"
	ChangesLag   time.Duration    // blind zone of changes, default 1 h; negative = none
	TokenLife    time.Duration    // default 2 h; the refresh token lives twice as long
	Limits       Limits
	Oddities     Oddities
	Holiday      func(time.Time) bool // days off besides weekends and fixed holidays; nil = none
	AgeRule2015  bool                 // true exempts HS_2015 from the three-day rule
	NoAgeRule    bool                 // switches the three-day rule (H467) off
	AllowControl bool                 // serve /_sim/… for citizen acts, clock, faults and the rest by hand
	Push         PushConfig
}

// Movement is one accepted change, as İYS lists it.
type Movement struct {
	IYSCode, BrandCode string
	Recipient          string
	RecipientType      string
	Type               string
	Status             string
	Source             string
	ConsentDate        time.Time // zero: none
	CreationDate       time.Time
	TransactionID      string
	CitizenName        string
	RetailerCode       int
	RetailerAccess     []int
	seq                int
}

type key struct{ brand, recipient, rtype, channel string }

func (m Movement) key() key { return key{m.BrandCode, m.Recipient, m.RecipientType, m.Type} }

// Sim is one İYS. It is safe for concurrent use.
type Sim struct {
	cfg    Config
	secret []byte
	mux    *http.ServeMux
	ahead  atomic.Int64 // nanoseconds Advance has moved the clock on

	mu        sync.Mutex
	odd       Oddities
	limits    Limits
	down      bool
	faults    []*Fault
	counters  Counters
	providers map[string]*provider // by iysCode
	brands    map[string]*provider // owner by brandCode
	users     map[string]*User
	ahs       map[string]*AHS
	grants    map[grant]string // partner right: write or read
	access    map[string]session
	refresh   map[string]session
	rates     map[string]*rates // by client address
	stored    map[key]Movement
	moves     []Movement
	late      bool // moves are not in the order of their registration
	batches   []*batch
	v2        map[string]v2record
	pushes    []*connection
	agreed    map[string]time.Time // by brand and day
	vias      map[string]*via
	links     map[string]*link // refusal links by their id
}

// New returns an empty Sim.
func New(cfg Config) *Sim {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.BatchDelay == 0 {
		cfg.BatchDelay = 5 * time.Minute
	}
	if cfg.ChangesLag == 0 {
		cfg.ChangesLag = time.Hour
	}
	if cfg.TokenLife == 0 {
		cfg.TokenLife = 2 * time.Hour
	}
	s := &Sim{
		cfg: cfg, odd: cfg.Oddities, limits: cfg.Limits, secret: make([]byte, 32),
		providers: map[string]*provider{}, brands: map[string]*provider{}, users: map[string]*User{},
		ahs: map[string]*AHS{}, grants: map[grant]string{}, access: map[string]session{},
		refresh: map[string]session{}, rates: map[string]*rates{}, stored: map[key]Movement{},
		v2: map[string]v2record{}, agreed: map[string]time.Time{}, vias: map[string]*via{}, links: map[string]*link{},
	}
	s.counters.ByOperation = map[string]int{}
	rand.Read(s.secret)
	s.mux = s.routes()
	return s
}

// clock is the simulator's time: that of its configuration, moved on by Advance.
func (s *Sim) clock() time.Time { return s.cfg.Now().Add(time.Duration(s.ahead.Load())) }

func (s *Sim) now() time.Time { return s.clock().In(Istanbul).Truncate(time.Second) }

// answer is what a handler wants to say.
type answer struct {
	status int
	body   any // nil = no body; []byte, fileAnswer = as it is
}

// operation is one API call. It runs with Sim.mu held.
type operation struct {
	name string
	auth func(s *Sim, r *http.Request) (*caller, *answer) // nil: none
	do   func(s *Sim, c *caller, r *http.Request, body []byte) answer
}

func (s *Sim) routes() *http.ServeMux {
	m := http.NewServeMux()
	bearer := (*Sim).bearer
	const B = "/sps/{iysCode}/brands/{brandCode}"
	for pattern, op := range map[string]operation{
		"POST /oauth2/token":                                        {"token", nil, (*Sim).token},
		"GET /sps/{iysCode}/brands":                                 {"brands", bearer, (*Sim).listBrands},
		"POST " + B + "/consents":                                   {"add", bearer, addSingle(false)},
		"POST /v2" + B + "/consents":                                {"add", bearer, addSingle(true)},
		"POST " + B + "/consents/request":                           {"addBatch", bearer, addBatch(false)},
		"POST /v2" + B + "/consents/request":                        {"addBatch", bearer, addBatch(true)},
		"GET " + B + "/consents/request/{requestId}":                {"request", bearer, queryRequest(false)},
		"GET /v2" + B + "/consents/request/{requestId}":             {"request", bearer, queryRequest(true)},
		"POST " + B + "/consents/status":                            {"status", bearer, (*Sim).status},
		"POST " + B + "/consents/{recipientType}/status/{type}":     {"statusMany", bearer, (*Sim).statusMany},
		"POST " + B + "/consents/history":                           {"history", bearer, (*Sim).history},
		"GET " + B + "/consents/changes":                            {"changes", bearer, (*Sim).changes},
		"GET /integrator/{integratorCode}/sps":                      {"partnerBrands", bearer, (*Sim).partnerBrands},
		"GET /integrator/{integratorCode}/sps/{iysCode}":            {"partnerBrands", bearer, (*Sim).partnerBrands},
		"GET /sps/{iysCode}/subscription":                           {"subscription", bearer, (*Sim).subscription},
		"GET /integrator/{integratorCode}/subscription":             {"subscription", bearer, (*Sim).partnerSubscription},
		"GET /brands/{tin}":                                         {"ahsBrands", (*Sim).basic, (*Sim).ahsBrands},
		"POST /brands/{brandCode}/consents/{rt}/rejected/{channel}": {"ahsRejected", (*Sim).basic, (*Sim).ahsRejected},
		"GET /version":                                              {"version", nil, (*Sim).version},
	} {
		m.Handle(pattern, s.handle(op))
	}
	for pattern, op := range moreRoutes(B) {
		m.Handle(pattern, s.handle(op))
	}
	m.HandleFunc("GET /RET/{hash}", s.useLink)
	if s.cfg.AllowControl {
		s.controlRoutes(m)
	}
	return m
}

// ServeHTTP answers as İYS does.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// moreRoutes are the operations beside consents and brands; B is the path of a
// brand.
func moreRoutes(B string) map[string]operation {
	bearer := (*Sim).bearer
	return map[string]operation{
		"POST " + B + "/push/registration":                          {"pushRegister", bearer, (*Sim).registerPush},
		"GET " + B + "/push/registration":                           {"pushList", bearer, (*Sim).listPush},
		"POST " + B + "/push/unregistration":                        {"pushUnregister", bearer, (*Sim).unregisterPush},
		"POST " + B + "/retailers":                                  {"retailers", bearer, (*Sim).addRetailer},
		"GET " + B + "/retailers":                                   {"retailers", bearer, (*Sim).listRetailers},
		"GET " + B + "/retailers/{retailerCode}":                    {"retailers", bearer, (*Sim).getRetailer},
		"DELETE " + B + "/retailers/{retailerCode}":                 {"retailers", bearer, (*Sim).deleteRetailer},
		"POST " + B + "/consents/retailers/access":                  {"access", bearer, (*Sim).grantAccess},
		"PUT " + B + "/consents/retailers/access":                   {"access", bearer, changeAccess(replaceAccess)},
		"POST " + B + "/consent/retailers/access/list":              {"access", bearer, (*Sim).listAccess},
		"POST " + B + "/consents/retailers/access/list":             {"access", bearer, (*Sim).listAccess}, // as older pages spell it
		"POST " + B + "/consents/retailers/access/remove":           {"access", bearer, changeAccess(removeAccess)},
		"POST " + B + "/consents/retailers/access/remove/all":       {"access", bearer, changeAccess(removeAllAccess)},
		"GET " + B + "/changes/{reportDate}/recipients/{rt}":        {"daySummary", bearer, (*Sim).daySummary},
		"GET " + B + "/changes/{reportDate}/file":                   {"dayFile", bearer, (*Sim).dayFile},
		"GET " + B + "/agreements/{reportDate}":                     {"agreement", bearer, (*Sim).agreement},
		"PUT " + B + "/agreements/{reportDate}":                     {"agree", bearer, (*Sim).agree},
		"GET " + B + "/agreements/{reportDate}/timestamp":           {"timestamp", bearer, (*Sim).timestamp},
		"POST " + B + "/via-hash-links":                             {"hashLinks", bearer, (*Sim).hashLinks},
		"GET /info/city":                                            {"info", bearer, (*Sim).cities},
		"GET /info/city/{code}":                                     {"info", bearer, (*Sim).city},
		"GET /info/town":                                            {"info", bearer, (*Sim).towns},
		"GET /info/town/{code}":                                     {"info", bearer, (*Sim).town},
		"POST /via/sps/{iysCode}/consent":                           {"via", (*Sim).viaBearer, (*Sim).startVia},
		"POST /via/sps/{iysCode}/confirmation":                      {"via", (*Sim).viaBearer, (*Sim).completeVia},
		"GET /via/sps/{iysCode}/consent/request/{requestId}":        {"via", (*Sim).viaBearer, (*Sim).viaState},
		"GET /via/sps/{iysCode}/consent/{requestId}":                {"via", (*Sim).viaBearer, (*Sim).viaPrivacy},
		"POST /via/sps/{iysCode}/consent/status":                    {"via", (*Sim).viaBearer, (*Sim).viaPrivacyList},
		"GET /via/sps/{iysCode}/via/clarification/{requestId}/file": {"via", (*Sim).viaBearer, (*Sim).viaFile},
	}
}

func (s *Sim) version(*caller, *http.Request, []byte) answer {
	return answer{200, map[string]string{"version": "3.2.0-sim"}}
}

// Stored returns the current record of an address.
func (s *Sim) Stored(brandCode, channel, recipientType, recipient string) (Movement, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	m, ok := s.stored[key{brandCode, recipient, recipientType, channel}]
	return m, ok
}

// Consents returns every current record, sorted by brand and address.
func (s *Sim) Consents() []Movement {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	out := make([]Movement, 0, len(s.stored))
	for _, m := range s.stored {
		out = append(out, m)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		return strings.Join([]string{a.BrandCode, a.Recipient, a.Type, a.RecipientType}, "|") <
			strings.Join([]string{b.BrandCode, b.Recipient, b.Type, b.RecipientType}, "|")
	})
	return out
}

// Movements returns every accepted change in the order of acceptance.
func (s *Sim) Movements() []Movement {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	out := append([]Movement(nil), s.moves...)
	sort.Slice(out, func(i, j int) bool { return out[i].seq < out[j].seq })
	return out
}

// Put stores a record without any check, as if it had come long ago or from
// the provider's own screens. CreationDate defaults to now.
func (s *Sim) Put(m Movement) Movement {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	if m.CreationDate.IsZero() {
		m.CreationDate = s.now()
	}
	return s.acceptLocked(m, m.CreationDate)
}

// Citizen is an act of the recipient (or of an operator closing the line) over
// İYS. An empty source means IYS_WEB, or IYS_WEB_YENI for a first ONAY.
func (s *Sim) Citizen(brandCode, channel, recipientType, recipient, status, source string) Movement {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	now := s.now()
	m := Movement{
		BrandCode: brandCode, Recipient: recipient, RecipientType: recipientType, Type: channel,
		Status: status, Source: source, ConsentDate: now,
	}
	old, known := s.stored[m.key()]
	if m.Source == "" {
		m.Source = "IYS_WEB"
		if !known && status == "ONAY" {
			m.Source = "IYS_WEB_YENI"
		}
	}
	if m.Source == "IYS_WEB_YENI" {
		m.CitizenName = "Ad Soyad"
	}
	if m.Source == "IYS_AHS_HAT_KAPATMA" {
		m.ConsentDate = old.ConsentDate // empty for a TACIR stored without one
	}
	return s.acceptLocked(m, now)
}

// acceptLocked stores a change registered at the given time.
func (s *Sim) acceptLocked(m Movement, at time.Time) Movement {
	if p := s.brands[m.BrandCode]; p != nil {
		m.IYSCode = p.IYSCode
	}
	m.CreationDate = at.In(Istanbul).Truncate(time.Second)
	m.TransactionID = transactionID(m)
	m.seq = len(s.moves)
	if n := len(s.moves); n > 0 && m.CreationDate.Unix() < s.moves[n-1].CreationDate.Unix() {
		s.late = true
	}
	s.moves = append(s.moves, m)
	s.stored[m.key()] = m
	s.queuePushLocked(m)
	return m
}

// transactionID makes the documented fact true that two movements of one
// address in the same second share their id.
func transactionID(m Movement) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		m.BrandCode, m.Recipient, m.RecipientType, m.Type, m.CreationDate.In(Istanbul).Format(dateForm),
	}, "|")))
	return hex.EncodeToString(sum[:])
}

func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// PushBody is the body İYS would push for movements (iys-api.md §8.2).
func PushBody(moves ...Movement) []byte {
	list := make([]map[string]any, len(moves))
	for i, m := range moves {
		list[i] = m.listed()
		list[i]["iysCode"], list[i]["brandCode"] = number(m.IYSCode), number(m.BrandCode)
	}
	b, err := json.Marshal(map[string]any{"list": list})
	if err != nil {
		panic(err) // maps of strings and numbers always encode
	}
	return b
}

// listed is a movement as history, changes and push show it.
func (m Movement) listed() map[string]any {
	out := map[string]any{
		"consentDate": "", "creationDate": m.CreationDate.In(Istanbul).Format(dateForm),
		"source": m.Source, "recipient": m.Recipient, "recipientType": m.RecipientType,
		"status": m.Status, "type": m.Type, "transactionId": m.TransactionID,
	}
	if !m.ConsentDate.IsZero() {
		out["consentDate"] = m.ConsentDate.In(Istanbul).Format(dateForm)
	}
	if m.CitizenName != "" {
		out["citizenName"] = m.CitizenName
	}
	return out
}

func number(code string) json.Number {
	if code == "" {
		return "0"
	}
	return json.Number(code)
}

func oneOf(s string, values ...string) bool {
	for _, v := range values {
		if s == v {
			return true
		}
	}
	return false
}
