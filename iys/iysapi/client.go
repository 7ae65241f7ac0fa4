package iysapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Hosts of İYS (iys-api.md §2).
const (
	LiveURL    = "https://api.iys.org.tr"
	SandboxURL = "https://api.sandbox.iys.org.tr"
	AHSLiveURL = "https://ahsapi.iys.org.tr"
)

const (
	singleTimeout = 30 * time.Second
	batchTimeout  = 60 * time.Second
	fileTimeout   = 15 * time.Minute // a day's file has about 200 octets a movement and is not split
	maxAnswer     = 32 << 20         // bytes; a full page of changes is about 0.5 MB
)

// Config of a Client or an AHSClient.
type Config struct {
	URL      string // base, default LiveURL (AHSLiveURL); http only towards this machine
	Username string
	Password string
	HTTP     http.RoundTripper // nil = own transport
	Tokens   TokenStore        // nil = token in memory only; not used by AHS
	Limits   Limits
	Rate     *Rate        // shared with other clients of this machine; nil = own, by Limits
	Log      *slog.Logger // nil = silent
	// Forbidden, if set, hears of every 403 that an operator must act upon: whom
	// the call was for (a brand's code; of ViA an İYS code) and what İYS said. It
	// must return at once. A Client tells it, an AHSClient does not.
	Forbidden func(whom string, e *APIError)
}

// Rate is what İYS allows one address. Brands with an API user of their own
// need a client each, and all of them share one Rate. Safe for concurrent use.
type Rate struct {
	second                  *limiter
	tokens, status, history *budget
}

// NewRate returns a Rate with the given limits.
func NewRate(l Limits) *Rate {
	l = l.filled()
	return &Rate{newLimiter(l.PerSecond), newBudget(l.TokensPerHour), newBudget(l.StatusPerHour), newBudget(l.HistoryPerHour)}
}

// Brand names whose consents are meant. Both codes are decimal; the master
// brand's code usually equals the İYS code, which nothing here relies on.
type Brand struct {
	IYSCode   string
	BrandCode string
}

func (b Brand) path() (string, error) {
	if !digits(b.IYSCode) || !digits(b.BrandCode) {
		return "", fmt.Errorf("%w: iysCode and brandCode must be digits", ErrInvalid)
	}
	return "/sps/" + b.IYSCode + "/brands/" + b.BrandCode, nil
}

func digits(s string) bool {
	return s != "" && len(s) <= 18 && strings.Trim(s, "0123456789") == ""
}

// Client calls İYS for one API user. It is safe for concurrent use.
type Client struct {
	c       caller
	tokens  *tokens
	status  *budget
	history *budget

	forbidden func(whom string, e *APIError)
}

// New returns a client. It makes no call; the first method does.
func New(cfg Config) (*Client, error) {
	if cfg.Rate == nil {
		cfg.Rate = NewRate(cfg.Limits)
	}
	c, err := newCaller(cfg, LiveURL)
	if err != nil {
		return nil, err
	}
	if cfg.Username == "" || cfg.Password == "" {
		return nil, fmt.Errorf("iysapi: %w: username and password are required", ErrInvalid)
	}
	cl := &Client{c: c, status: cfg.Rate.status, history: cfg.Rate.history, forbidden: cfg.Forbidden}
	cl.tokens = &tokens{
		user: cfg.Username, password: cfg.Password, store: cfg.Tokens, log: c.log,
		hourly: cfg.Rate.tokens, turn: make(chan struct{}, 1),
		post: func(ctx context.Context, body any) (int, []byte, error) {
			return cl.c.send(ctx, call{
				method: http.MethodPost, path: "/oauth2/token", name: "token", body: body,
				priority: PriorityRejection, timeout: tokenTimeout,
			}, nil)
		},
	}
	return cl, nil
}

// Quality is the share of good answers İYS judges an address by: at 20 000
// calls in 24 hours below 70 % it takes the address off its list.
type Quality struct {
	Calls    int // of the last 24 hours
	Failures int // of them 400, 401, 403, 404, 422
}

// Quality returns the counts as this client saw them.
func (c *Client) Quality() Quality { return c.c.score.read(time.Now()) }

// call is one request to come.
type call struct {
	method, path string
	name         string // for logs: the operation, without codes
	query        url.Values
	body         any
	priority     Priority
	timeout      time.Duration
	share        string    // who shares the rate: the brand's code, empty for calls that concern none
	into         io.Writer // takes the body of a 200 as it comes; nil = it is read into memory
}

// do sends a call with the bearer token, once more with a new token when İYS
// refuses the first, and returns the body of a 2xx answer.
func (c *Client) do(ctx context.Context, k call) (int, []byte, error) {
	bad := ""
	for {
		access, err := c.tokens.access(ctx, bad)
		if err != nil {
			return 0, nil, fmt.Errorf("iysapi: %s: %w", k.name, err)
		}
		status, body, err := c.c.send(ctx, k, func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+access)
		})
		if err != nil {
			return 0, nil, fmt.Errorf("iysapi: %s: %w", k.name, err)
		}
		if status < 300 {
			return status, body, nil
		}
		e := parseError(status, body)
		if e.Retry == RetryNewToken && bad == "" {
			bad = access
			continue
		}
		c.limited(e)
		if c.forbidden != nil && status == http.StatusForbidden && e.Retry == RetryOperator && k.share != "" {
			c.forbidden(k.share, e)
		}
		return status, nil, fmt.Errorf("iysapi: %s: %w", k.name, e)
	}
}

// limited obeys a limit İYS names, whatever we counted ourselves.
func (c *Client) limited(e *APIError) {
	now := time.Now()
	switch e.Code {
	case "H086":
		e.Until = now.Add(time.Hour)
		c.status.silence(e.Until)
	case "H089":
		e.Until = now.Add(time.Hour)
		c.history.silence(e.Until)
	case "H084":
		e.Until = now.Add(silentHour)
		c.tokens.hourly.silence(e.Until)
	}
}

// caller is the part shared by both clients: address, rate, transport.
type caller struct {
	base  string
	http  *http.Client
	rate  *limiter
	score *score
	log   *slog.Logger
}

func newCaller(cfg Config, standard string) (caller, error) {
	base := strings.TrimRight(cfg.URL, "/")
	if base == "" {
		base = standard
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return caller{}, fmt.Errorf("iysapi: %w: url", ErrInvalid)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !local(u.Hostname())) {
		return caller{}, fmt.Errorf("iysapi: %w: url must be https", ErrInvalid)
	}
	rt := cfg.HTTP
	if rt == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = cfg.Limits.filled().PerSecond
		rt = t
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return caller{
		base: base, rate: cfg.Rate.second, score: &score{}, log: log,
		http: &http.Client{
			Transport: rt,
			// A redirect would carry the token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// send waits for a slot, makes the call and reads the whole answer.
func (c caller) send(ctx context.Context, k call, authorize func(*http.Request)) (int, []byte, error) {
	var body io.Reader
	if k.body != nil {
		b, err := json.Marshal(k.body)
		if err != nil {
			return 0, nil, fmt.Errorf("encode: %w", err)
		}
		body = bytes.NewReader(b)
	}
	if err := c.rate.wait(ctx, priorityOf(ctx, k.priority), k.share); err != nil {
		return 0, nil, fmt.Errorf("wait for a slot: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	target := c.base + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: request", ErrInvalid)
	}
	req.Header.Set("Accept", "application/json")
	if k.into != nil {
		req.Header.Set("Accept", "*/*") // csv, zip, tsr; an error is still json
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if authorize != nil {
		authorize(req)
	}
	began := time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		// The wrapper names the address, which may hold a tax number.
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return 0, nil, err
	}
	defer res.Body.Close()
	if k.into != nil && res.StatusCode == http.StatusOK {
		n, err := io.Copy(k.into, res.Body)
		if err != nil {
			return 0, nil, fmt.Errorf("read file: %w", err)
		}
		c.log.Debug("iys call", "call", k.name, "status", res.StatusCode, "took", time.Since(began), "octets", n)
		c.score.note(time.Now(), res.StatusCode)
		return res.StatusCode, nil, nil
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	if len(answer) > maxAnswer {
		return 0, nil, fmt.Errorf("%w: longer than %d bytes", ErrAnswer, maxAnswer)
	}
	c.log.Debug("iys call", "call", k.name, "status", res.StatusCode, "took", time.Since(began))
	c.score.note(time.Now(), res.StatusCode)
	if res.StatusCode == http.StatusTooManyRequests {
		c.rate.pause(time.Now().Add(secondSpan))
	}
	return res.StatusCode, answer, nil
}

// score counts answers in hourly buckets of the last day.
type score struct {
	mu      sync.Mutex
	hours   [24]Quality
	current int64 // hour number of the newest bucket
}

func (s *score) note(now time.Time, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rollLocked(now)
	q := &s.hours[s.current%24]
	q.Calls++
	switch status {
	case 400, 401, 403, 404, 422:
		q.Failures++
	}
}

func (s *score) read(now time.Time) Quality {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rollLocked(now)
	var sum Quality
	for _, q := range s.hours {
		sum.Calls += q.Calls
		sum.Failures += q.Failures
	}
	return sum
}

func (s *score) rollLocked(now time.Time) {
	hour := now.Unix() / 3600
	if hour-s.current >= 24 {
		s.hours, s.current = [24]Quality{}, hour
	}
	for s.current < hour {
		s.current++
		s.hours[s.current%24] = Quality{}
	}
}
