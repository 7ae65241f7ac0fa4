package iystest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"
)

// PushConfig is how movements of recipients are sent to those who registered
// for them (iys-api.md §8.2). Retries, batches and delay are not documented;
// these are our guesses, and a receiver must bear all of them.
type PushConfig struct {
	Transport http.RoundTripper // nil = http.DefaultTransport
	Plain     bool              // take http addresses too
	Batch     int               // movements in one call, default 100
	Tries     int               // per call, default 5
	Wait      time.Duration     // before the second try, doubled after each; default 1 s
	Twice     bool              // send every call a second time
	Reverse   bool              // newest first
	Timeout   time.Duration     // how long a receiver may take, default 5 s
}

func (c PushConfig) filled() PushConfig {
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Batch == 0 {
		c.Batch = 100
	}
	if c.Tries == 0 {
		c.Tries = 5
	}
	if c.Wait == 0 {
		c.Wait = time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	return c
}

// perType is how many active connections a type has at most.
const perType = 2

type connection struct {
	brand, iysCode, channel string
	url, username, password string
	registered              time.Time
	queue                   []Movement
	delivered, lost         int
}

type connectionBody struct {
	URL      string `json:"url"`
	Type     string `json:"type"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// check judges the fields; nil means they are good.
func (s *Sim) checkConnection(in connectionBody) *problem {
	u, err := url.Parse(in.URL)
	switch {
	case in.Type == "":
		return &problem{Code: "H111"}
	case !oneOf(in.Type, "ARAMA", "MESAJ", "EPOSTA"):
		p := at("H117", "type", in.Type)
		return &p
	case in.Username == "" || in.Password == "":
		return &problem{Code: "H093"}
	case err != nil || u.Host == "":
		return &problem{Code: "H530"}
	case u.Scheme != "https" && !s.cfg.Push.Plain:
		return &problem{Code: "H531"}
	}
	return nil
}

func (s *Sim) registerPush(c *caller, r *http.Request, body []byte) answer {
	brand, a := s.brandOf(c, r, "", true)
	if a != nil {
		return *a
	}
	var in struct {
		Connection []connectionBody `json:"connection"`
	}
	if json.Unmarshal(body, &in) != nil || len(in.Connection) == 0 {
		return s.fail(400, problem{Code: "H014"})
	}
	for _, one := range in.Connection {
		if p := s.checkConnection(one); p != nil {
			return s.fail(422, *p)
		}
		active := 0
		for _, k := range s.pushes {
			if k.brand == brand && k.channel == one.Type && k.url != one.URL {
				active++
			}
		}
		if active >= perType {
			return s.fail(422, problem{Code: "H530"})
		}
		// The receiver is tried without the lock: it may ask us in turn.
		s.mu.Unlock()
		code := s.tryReceiver(r.Context(), one)
		s.mu.Lock()
		if code != "" {
			return s.fail(422, problem{Code: code})
		}
		s.dropConnection(brand, one)
		s.pushes = append(s.pushes, &connection{
			brand: brand, iysCode: r.PathValue("iysCode"), channel: one.Type, url: one.URL,
			username: one.Username, password: one.Password, registered: s.now(),
		})
	}
	return answer{200, map[string]string{"message": "Bağlantı oluşturuldu"}}
}

func (s *Sim) dropConnection(brand string, one connectionBody) bool {
	for i, k := range s.pushes {
		if k.brand == brand && k.channel == one.Type && k.url == one.URL {
			s.pushes = append(s.pushes[:i], s.pushes[i+1:]...)
			return true
		}
	}
	return false
}

// pushTest is the movement every receiver is tried with, word for word.
const pushTest = `{"list":[{"iysCode":121212,"brandCode":121212,"consentDate":"2015-05-01 15:00:00",` +
	`"creationDate":"2015-05-01 15:00:00","source":"IYS_MOBIL","recipient":"pushtest@iys.org.tr",` +
	`"recipientType":"BIREYSEL","status":"ONAY","type":"EPOSTA",` +
	`"transactionId":"e52ee30512adfcd2a41fb3b4682f5bd61eee5b1c92bda665fc0b7e56644d429d"}]}`

// tryReceiver returns the code of what is wrong with a receiver, or nothing: it
// must turn away who does not authenticate and take the test movement.
func (s *Sim) tryReceiver(ctx context.Context, one connectionBody) string {
	status, err := s.post(ctx, one.URL, "", "", []byte(pushTest))
	if err != nil {
		if ctx.Err() == nil && isTimeout(err) {
			return "H191"
		}
		return "H530"
	}
	if status != http.StatusUnauthorized {
		return "H530" // Basic authentication is not enforced
	}
	status, err = s.post(ctx, one.URL, one.Username, one.Password, []byte(pushTest))
	switch {
	case err != nil && isTimeout(err):
		return "H191"
	case err != nil || status < 200 || status > 299:
		return "H530"
	}
	return ""
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

func (s *Sim) post(ctx context.Context, target, user, password string, body []byte) (int, error) {
	cfg := s.cfg.Push.filled()
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	res, err := cfg.Transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	return res.StatusCode, nil
}

func (s *Sim) listPush(c *caller, r *http.Request, _ []byte) answer {
	brand, a := s.brandOf(c, r, "", false)
	if a != nil {
		return *a
	}
	out := []map[string]any{}
	for _, k := range s.pushes {
		if k.brand == brand {
			out = append(out, map[string]any{
				"url": k.url, "type": k.channel, "registerTime": k.registered.Format(dateForm), "status": "Bağlantı Oluşturuldu",
			})
		}
	}
	return answer{200, out}
}

func (s *Sim) unregisterPush(c *caller, r *http.Request, body []byte) answer {
	brand, a := s.brandOf(c, r, "", true)
	if a != nil {
		return *a
	}
	var in connectionBody
	if json.Unmarshal(body, &in) != nil {
		return s.fail(400, problem{Code: "H014"})
	}
	if p := s.checkConnection(in); p != nil {
		return s.fail(422, *p)
	}
	if !s.dropConnection(brand, in) {
		return s.fail(422, problem{Code: "H530"})
	}
	return answer{200, map[string]string{"message": "Bağlantı Kaldırıldı"}}
}

// queuePushLocked notes a movement for those who registered; only movements
// over İYS are pushed.
func (s *Sim) queuePushLocked(m Movement) {
	if len(m.Source) < 4 || m.Source[:4] != "IYS_" {
		return
	}
	for _, k := range s.pushes {
		if k.brand == m.BrandCode && k.channel == m.Type {
			k.queue = append(k.queue, m)
		}
	}
}

// Push sends what is queued to every receiver and returns how many movements
// were taken. A call that fails is tried again after a wait; what fails each
// time is lost to push, and the listing of changes has it.
func (s *Sim) Push(ctx context.Context) int {
	cfg := s.cfg.Push.filled()
	taken := 0
	for _, job := range s.pushJobs(cfg.Batch) {
		if cfg.Reverse {
			for i, j := 0, len(job.moves)-1; i < j; i, j = i+1, j-1 {
				job.moves[i], job.moves[j] = job.moves[j], job.moves[i]
			}
		}
		ok := s.deliver(ctx, cfg, job)
		if ok && cfg.Twice {
			s.deliver(ctx, cfg, job)
		}
		s.mu.Lock()
		if ok {
			job.to.delivered += len(job.moves)
			taken += len(job.moves)
		} else {
			job.to.lost += len(job.moves)
		}
		s.mu.Unlock()
		if ctx.Err() != nil {
			break
		}
	}
	return taken
}

// RunPush pushes every interval until ctx ends.
func (s *Sim) RunPush(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.Push(ctx)
		}
	}
}

type pushJob struct {
	to    *connection
	moves []Movement
}

func (s *Sim) pushJobs(size int) []pushJob {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []pushJob
	for _, k := range s.pushes {
		for len(k.queue) > 0 {
			n := min(size, len(k.queue))
			out = append(out, pushJob{k, append([]Movement(nil), k.queue[:n]...)})
			k.queue = k.queue[n:]
		}
	}
	return out
}

func (s *Sim) deliver(ctx context.Context, cfg PushConfig, job pushJob) bool {
	body := PushBody(job.moves...)
	wait := cfg.Wait
	for try := 0; try < cfg.Tries; try++ {
		if try > 0 {
			t := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				t.Stop()
				return false
			case <-t.C:
			}
			wait *= 2
		}
		status, err := s.post(ctx, job.to.url, job.to.username, job.to.password, body)
		if err == nil && status >= 200 && status < 300 {
			return true
		}
	}
	return false
}

// DropPushes forgets every connection, as if İYS had lost them.
func (s *Sim) DropPushes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushes = nil
}

// PushCredentials are those the first connection of a brand's channel was
// registered with, for a test that pushes by hand; empty without one.
func (s *Sim) PushCredentials(brand, channel string) (username, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.pushes {
		if k.brand == brand && k.channel == channel {
			return k.username, k.password
		}
	}
	return "", ""
}
