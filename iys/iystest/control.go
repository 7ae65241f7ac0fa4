package iystest

import (
	"encoding/json"
	"net/http"
	"time"
)

// The control of a running simulator by hand, for people and programs beside
// it: what a test does through the methods of Sim, over HTTP. It is served with
// Config.AllowControl alone and needs no credentials.

// controlRoutes adds them to the mux.
func (s *Sim) controlRoutes(m *http.ServeMux) {
	for pattern, f := range map[string]http.HandlerFunc{
		"GET /_sim/state":            s.controlState,
		"POST /_sim/citizen":         s.controlCitizen,
		"GET /_sim/movements":        s.controlMovements,
		"GET /_sim/via/{requestId}":  s.controlVia,
		"POST /_sim/via/{requestId}": s.controlViaClick,
		"POST /_sim/clock":           s.controlClock,
		"POST /_sim/faults":          s.controlFault,
		"DELETE /_sim/faults":        s.controlNoFaults,
		"POST /_sim/down":            s.controlDown,
		"POST /_sim/limits":          s.controlLimits,
		"POST /_sim/oddities":        s.controlOddities,
		"POST /_sim/subscription":    s.controlSubscription,
		"POST /_sim/tokens/revoke":   s.controlRevoke,
		"POST /_sim/pushes/drop":     s.controlDropPushes,
	} {
		m.HandleFunc(pattern, f)
	}
}

// told reads an order; false when it could not be read, and was answered so.
func told(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		untold(w, err.Error())
		return false
	}
	return true
}

func untold(w http.ResponseWriter, why string) {
	write(w, answer{400, map[string]string{"error": why}})
}

// Advance moves the simulator's clock on: batches become due, tokens expire,
// movements leave the blind hour and the window.
func (s *Sim) Advance(d time.Duration) { s.ahead.Add(int64(max(d, 0))) }

// SetSubscription changes a provider's package: its state, the addresses it
// holds (0: no limit) and whether more may be added; false when there is no
// such provider.
func (s *Sim) SetSubscription(iysCode, state string, limit int, exceed bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.providers[iysCode]
	if p == nil {
		return false
	}
	p.Subscription, p.ConsentLimit, p.LimitExceed = state, limit, exceed
	return true
}

type controlStatus struct {
	Now       time.Time `json:"now"`
	Down      bool      `json:"down"`
	Faults    int       `json:"faults"` // still to come; -1: without end
	Requests  int       `json:"requests"`
	Failures  int       `json:"failures"`
	Throttled int       `json:"throttled"`
	Quality   float64   `json:"quality"`
	Consents  int       `json:"consents"`
	Movements int       `json:"movements"`
	Limits    Limits    `json:"limits"`
	Oddities  Oddities  `json:"oddities"`
}

func (s *Sim) controlState(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.settleLocked()
	out := controlStatus{Now: s.now(), Down: s.down, Requests: s.counters.Requests, Failures: s.counters.Failures, Throttled: s.counters.Throttled,
		Quality: s.counters.Quality(), Consents: len(s.stored), Movements: len(s.moves), Limits: s.limits, Oddities: s.odd}
	for _, f := range s.faults {
		if f.Times < 0 {
			out.Faults = -1
			break
		}
		out.Faults += f.Times
	}
	s.mu.Unlock()
	write(w, answer{200, out})
}

func (s *Sim) controlClock(w http.ResponseWriter, r *http.Request) {
	var in struct{ Advance string }
	if !told(w, r, &in) {
		return
	}
	d, err := time.ParseDuration(in.Advance)
	if err != nil || d < 0 {
		untold(w, `advance is a duration such as "72h"; the clock does not go back`)
		return
	}
	s.Advance(d)
	write(w, answer{200, map[string]string{"now": s.now().Format(time.RFC3339)}})
}

func (s *Sim) controlFault(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Operation       string
		Times, Skip     int
		Delay           string
		Status          int
		Code            string
		Drop, DropAfter bool
	}
	if !told(w, r, &in) {
		return
	}
	f := Fault{Operation: in.Operation, Times: in.Times, Skip: in.Skip, Status: in.Status, Code: in.Code, Drop: in.Drop, DropAfter: in.DropAfter}
	if in.Delay != "" {
		var err error
		if f.Delay, err = time.ParseDuration(in.Delay); err != nil || f.Delay < 0 {
			untold(w, `delay is a duration such as "3s"`)
			return
		}
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) || f.Skip < 0 {
		untold(w, "status is an HTTP status, skip not negative")
		return
	}
	if f.Status == 0 && !f.Drop && !f.DropAfter && f.Delay == 0 {
		untold(w, "a fault has a status (and a code), a delay, drop or dropAfter")
		return
	}
	s.Fail(f)
	write(w, answer{204, nil})
}

func (s *Sim) controlNoFaults(w http.ResponseWriter, _ *http.Request) {
	s.ClearFaults()
	write(w, answer{204, nil})
}

func (s *Sim) controlDown(w http.ResponseWriter, r *http.Request) {
	var in struct{ Down bool }
	if told(w, r, &in) {
		s.SetDown(in.Down)
		write(w, answer{204, nil})
	}
}

func (s *Sim) controlLimits(w http.ResponseWriter, r *http.Request) {
	var in Limits
	if told(w, r, &in) {
		s.SetLimits(in)
		write(w, answer{204, nil})
	}
}

func (s *Sim) controlOddities(w http.ResponseWriter, r *http.Request) {
	var in Oddities
	if told(w, r, &in) {
		s.SetOddities(in)
		write(w, answer{204, nil})
	}
}

func (s *Sim) controlSubscription(w http.ResponseWriter, r *http.Request) {
	var in struct {
		IYSCode, State string
		Limit          int
		Exceed         bool
	}
	if !told(w, r, &in) {
		return
	}
	if !oneOf(in.State, SubscriptionActive, SubscriptionPaused, SubscriptionExpired, SubscriptionClosed, SubscriptionNone, SubscriptionNoAPI) {
		untold(w, "state is one of ACTIVE, PAUSED, EXPIRED, CLOSED, NO_API and -")
		return
	}
	if !s.SetSubscription(in.IYSCode, in.State, in.Limit, in.Exceed) {
		untold(w, "there is no such iysCode")
		return
	}
	write(w, answer{204, nil})
}

func (s *Sim) controlRevoke(w http.ResponseWriter, _ *http.Request) {
	s.RevokeTokens()
	write(w, answer{204, nil})
}

func (s *Sim) controlDropPushes(w http.ResponseWriter, _ *http.Request) {
	s.DropPushes()
	write(w, answer{204, nil})
}

func (s *Sim) controlCitizen(w http.ResponseWriter, r *http.Request) {
	var in struct {
		BrandCode, Type, RecipientType, Recipient, Status, Source string
	}
	if !told(w, r, &in) {
		return
	}
	if in.BrandCode == "" || in.Recipient == "" || !oneOf(in.Status, "ONAY", "RET") || !oneOf(in.Type, "MESAJ", "EPOSTA", "ARAMA") {
		untold(w, "brandCode, type, recipient and status are required")
		return
	}
	if in.RecipientType == "" {
		in.RecipientType = "BIREYSEL"
	}
	m := s.Citizen(in.BrandCode, in.Type, in.RecipientType, in.Recipient, in.Status, in.Source)
	write(w, answer{200, m.listed()})
}

func (s *Sim) controlMovements(w http.ResponseWriter, _ *http.Request) {
	out := []map[string]any{}
	for _, m := range s.Movements() {
		l := m.listed()
		l["brandCode"] = m.BrandCode
		out = append(out, l)
	}
	write(w, answer{200, out})
}

// controlVia shows what the recipient of an operation received.
func (s *Sim) controlVia(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("requestId")
	s.mu.Lock()
	v := s.vias[id]
	s.mu.Unlock()
	if v == nil {
		write(w, answer{404, nil})
		return
	}
	write(w, answer{200, map[string]string{"recipient": v.recipient, "code": s.ViaCode(id), "privacyCode": s.ViaPrivacyCode(id)}})
}

// controlViaClick is the recipient who follows the link and agrees.
func (s *Sim) controlViaClick(w http.ResponseWriter, r *http.Request) {
	if !s.ViaClick(r.PathValue("requestId")) {
		write(w, answer{409, map[string]string{"error": "there is no such link, or it was used or is too old"}})
		return
	}
	write(w, answer{200, map[string]string{"status": "SUCCESS"}})
}
