package iystest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const maxBody = 8 << 20

// Counters are what the simulator saw.
type Counters struct {
	Requests    int
	Failures    int            // answers 400, 401, 403, 404, 422: they lower the quality
	Throttled   int            // answers 429
	ByOperation map[string]int // "token", "add", "addBatch", "request", "status", "statusMany", "history", "changes", "brands", "partnerBrands", "subscription", "ahsBrands", "ahsRejected"
}

// Quality is the share of requests that did not fail, 1 when there were none.
func (c Counters) Quality() float64 {
	if c.Requests == 0 {
		return 1
	}
	return 1 - float64(c.Failures)/float64(c.Requests)
}

// Counters returns a copy of the counts.
func (s *Sim) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counters
	c.ByOperation = map[string]int{}
	for k, v := range s.counters.ByOperation {
		c.ByOperation[k] = v
	}
	return c
}

// Fault makes requests fail.
type Fault struct {
	Operation string        // as in Counters.ByOperation; empty = all
	Times     int           // 0 = once, negative = until cleared
	Skip      int           // let so many through first
	Delay     time.Duration // wait before answering, real time
	Status    int           // answer this instead of working
	Code      string        // with this error code, for example "H103"
	Drop      bool          // hang up without working
	DropAfter bool          // do the work, then hang up: the answer is lost
}

// Fail adds a fault. Faults are tried in the order they were added.
func (s *Sim) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all faults.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// SetDown makes the simulator unreachable (every request is hung up on).
func (s *Sim) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// SetLimits changes the limits.
func (s *Sim) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
}

// SetOddities changes the open points.
func (s *Sim) SetOddities(o Oddities) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd = o
}

func (s *Sim) faultLocked(op string) *Fault {
	for _, f := range s.faults {
		if f.Times == 0 || f.Operation != "" && f.Operation != op {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return f
	}
	return nil
}

// handle wraps an operation with what every request meets, in the order of
// iys-api.md §16.4: limits, then authentication, then the operation.
func (s *Sim) handle(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			write(w, answer{413, nil})
			return
		}
		s.mu.Lock()
		down, fault := s.down, (*Fault)(nil)
		if !down {
			fault = s.faultLocked(op.name)
		}
		s.mu.Unlock()
		if down || fault != nil && fault.Drop {
			panic(http.ErrAbortHandler) // net/http's way to hang up
		}
		if fault != nil && fault.Delay > 0 {
			t := time.NewTimer(fault.Delay)
			defer t.Stop()
			select {
			case <-t.C:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		a := s.answer(op, fault, r, body)
		if fault != nil && fault.DropAfter {
			panic(http.ErrAbortHandler)
		}
		write(w, a)
	})
}

func (s *Sim) answer(op operation, fault *Fault, r *http.Request, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	s.counters.Requests++
	s.counters.ByOperation[op.name]++
	a := s.operateLocked(op, fault, r, body)
	switch a.status {
	case 400, 401, 403, 404, 422:
		s.counters.Failures++
	case 429:
		s.counters.Throttled++
	}
	return a
}

func (s *Sim) operateLocked(op operation, fault *Fault, r *http.Request, body []byte) answer {
	if a := s.limitLocked(op.name, r); a != nil {
		return *a
	}
	if fault != nil && fault.Status > 0 {
		return s.fail(fault.Status, problem{Code: fault.Code})
	}
	var c *caller
	if op.auth != nil {
		var a *answer
		if c, a = op.auth(s, r); a != nil {
			return *a
		}
	}
	return op.do(s, c, r, body)
}

// rates are the counters of one client address.
type rates struct {
	bucket float64 // tokens of the per-second limit
	filled time.Time
	hourly map[string]*hourly
}

type hourly struct {
	since time.Time
	n     int
	until time.Time // closed until then (token limit)
}

func (s *Sim) limitLocked(op string, r *http.Request) *answer {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	q := s.rates[host]
	if q == nil {
		q = &rates{hourly: map[string]*hourly{}}
		s.rates[host] = q
	}
	now := s.clock()
	if per := limit(s.limits.PerSecond, 10); per > 0 && !q.second(now, float64(per)) {
		return s.failp(429, problem{Code: "H124"})
	}
	switch op {
	case "token":
		if n := limit(s.limits.TokensPerHour, 100); n > 0 && !q.tokens(now, n) {
			return s.failp(429, problem{Code: "H084"})
		}
	case "status":
		if n := limit(s.limits.StatusPerHour, 1000); n > 0 && !q.hour(op, now, n) {
			return s.failp(429, problem{Code: "H086"})
		}
	case "history":
		if n := limit(s.limits.HistoryPerHour, 100); n > 0 && !q.hour(op, now, n) {
			return s.failp(429, problem{Code: "H089"})
		}
	}
	return nil
}

func limit(v, standard int) int {
	if v == 0 {
		return standard
	}
	return v
}

func (q *rates) second(now time.Time, per float64) bool {
	if q.filled.IsZero() {
		q.bucket, q.filled = per, now
	}
	q.bucket = min(per, q.bucket+now.Sub(q.filled).Seconds()*per)
	q.filled = now
	if q.bucket < 1 {
		return false
	}
	q.bucket--
	return true
}

func (q *rates) hour(op string, now time.Time, n int) bool {
	h := q.hourly[op]
	if h == nil || now.Sub(h.since) >= time.Hour {
		h = &hourly{since: now}
		q.hourly[op] = h
	}
	h.n++
	return h.n <= n
}

// tokens is the limit whose hour starts anew when one asks within it.
func (q *rates) tokens(now time.Time, n int) bool {
	h := q.hourly["token"]
	if h != nil && now.Before(h.until) {
		h.until = now.Add(time.Hour)
		return false
	}
	if h != nil && !h.until.IsZero() {
		delete(q.hourly, "token") // the silence was kept
	}
	if q.hour("token", now, n) {
		return true
	}
	q.hourly["token"].until = now.Add(time.Hour)
	return false
}

func write(w http.ResponseWriter, a answer) {
	switch b := a.body.(type) {
	case nil:
		w.WriteHeader(a.status)
	case fileAnswer:
		w.Header().Set("Content-Type", b.kind)
		w.WriteHeader(a.status)
		w.Write(b.body)
	case []byte:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		w.Write(b)
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(a.status)
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.Encode(b)
	}
}

// Server is a Sim that listens.
type Server struct {
	Addr string // host:port
	URL  string // http://host:port
	ln   net.Listener
	http *http.Server
	done chan struct{}
}

// Listen serves s on addr ("127.0.0.1:0" for any free port) until Close.
func Listen(s *Sim, addr string) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("iystest: listen: %w", err)
	}
	srv := &Server{
		Addr: ln.Addr().String(), URL: "http://" + ln.Addr().String(), ln: ln, done: make(chan struct{}),
		http: &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() {
		defer close(srv.done)
		srv.http.Serve(ln)
	}()
	return srv, nil
}

// Close hangs up on everybody and waits for the listener to end.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// Shutdown stops listening and waits for running requests.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	<-s.done
	return err
}

// Transport serves requests in memory: no socket, so that a client and the
// simulator can live in one testing/synctest bubble. A dropped connection is
// io.ErrUnexpectedEOF.
func (s *Sim) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Sim }

func (t transport) RoundTrip(r *http.Request) (res *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p != any(http.ErrAbortHandler) {
				panic(p)
			}
			res, err = nil, io.ErrUnexpectedEOF
			if e := r.Context().Err(); e != nil {
				err = e
			}
		}
	}()
	in := r.Clone(r.Context())
	in.RemoteAddr = "192.0.2.1:1"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	rec := &recorder{header: http.Header{}, status: 200}
	t.s.ServeHTTP(rec, in)
	return &http.Response{
		Status:     strconv.Itoa(rec.status) + " " + http.StatusText(rec.status),
		StatusCode: rec.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: rec.header, Body: io.NopCloser(&rec.body), ContentLength: int64(rec.body.Len()), Request: r,
	}, nil
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
