package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"izinli/gateway"
)

// Times and bounds of the sender.
const (
	GiveUpAfter = 72 * time.Hour   // from the event; then it waits for a person
	Timeout     = 10 * time.Second // of one attempt, the answer's body included

	firstRetry  = 5 * time.Second // doubles with each attempt
	lastRetry   = time.Hour
	pausedRetry = 15 * time.Minute // a paused webhook is looked at again
	busyRetry   = 2 * time.Second  // more is due for an account than its queue takes
	spacing     = busyRetry / 1000 // between two deferred events of an account: as fast as its queue is refilled at best
	downAfter   = 3                // failures in a row after which one attempt at a time probes the endpoint
	downMost    = 15 * time.Minute // between two probes
	recordTime  = 10 * time.Second // to write down an outcome
)

// bounds of what is in hand, in memory.
type bounds struct {
	fetch int // events read at once, beside those already in hand
	queue int // events in hand of one account
	hand  int // events in hand of all, beyond which each account has
	share int // of them
}

var usual = bounds{fetch: 500, queue: 1000, hand: 20_000, share: 20}

// Events is where the events wait. An event stays due until it is done or retried.
type Events interface {
	// DueEvents lists at most limit events with NextAt not after now, the longest due first.
	DueEvents(ctx context.Context, now time.Time, limit int) ([]gateway.Event, error)
	// EventDone forgets an event.
	EventDone(ctx context.Context, id string, account gateway.AccountID) error
	// EventFailed keeps an event that is given up for a person to look at.
	EventFailed(ctx context.Context, ev gateway.Event) error
	// EventRetry stores the event's Tries, NextAt and LastErr.
	EventRetry(ctx context.Context, ev gateway.Event) error
}

// Directories yields the current webhooks.
type Directories interface{ Directory() *gateway.Directory }

// Pauser stops a webhook whose endpoint says it is gone, until the customer sets it again.
type Pauser interface {
	PauseWebhook(ctx context.Context, account gateway.AccountID, reason string) error
}

// Config tunes the sender. The zero value is fit for production.
type Config struct {
	Guard      Guard
	PerAccount int           // requests of one account at once; default 4
	Total      int           // requests at once; default 256
	Poll       time.Duration // between two looks at what is due; default 1 s
	Log        *slog.Logger
	// Unseal opens the secrets of the directory's webhooks; nil: they are not sealed.
	Unseal func(gateway.Sealed) (string, error)
}

// Sender delivers events.
type Sender struct {
	cfg    Config
	dir    Directories
	bounds bounds
	events Events
	pauser Pauser
	log    *slog.Logger
	wake   chan struct{}
	secure http.RoundTripper
	plain  http.RoundTripper

	mu      sync.Mutex
	inHand  map[eventKey]holding        // what due lists may still name, guarded by mu
	lanes   map[gateway.AccountID]*lane // of accounts with something in hand or failures; guarded by mu
	running int                         // requests on the wire; guarded by mu
}

type eventKey struct {
	account gateway.AccountID
	id      string
}

// holding says why a due event is not taken.
type holding struct {
	state handState
	until time.Time // of unwritten
}

type handState uint8

const (
	inQueue   handState = iota // or on the wire
	settled                    // its outcome is written, but a list read before may still name it
	unwritten                  // its outcome could not be written; it is sent again, but not at once
)

// lane is one account's way out.
type lane struct {
	queue    []gateway.Event
	running  int
	failures int       // in a row
	until    time.Time // no attempt before
	tail     time.Time // where the next deferred event goes
}

// width is how many requests may run at once.
func (l *lane) width(most int) int {
	if l.failures >= downAfter {
		return 1
	}
	return most
}

// New returns a sender over the webhooks of dir and the events of store; pauser is told of endpoints that are gone.
func New(cfg Config, dir Directories, store Events, pauser Pauser) *Sender {
	if cfg.PerAccount <= 0 {
		cfg.PerAccount = 4
	}
	if cfg.Total <= 0 {
		cfg.Total = 256
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	if cfg.Unseal == nil {
		cfg.Unseal = func(s gateway.Sealed) (string, error) { return string(s), nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Sender{cfg: cfg, bounds: usual, dir: dir, events: store, pauser: pauser, log: cfg.Log, wake: make(chan struct{}, 1),
		secure: cfg.Guard.transport(false, cfg.PerAccount), plain: cfg.Guard.transport(true, cfg.PerAccount),
		inHand: map[eventKey]holding{}, lanes: map[gateway.AccountID]*lane{}}
}

// Wake makes Run look at once, when an event has just been stored.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Retry forgets how an account's endpoint did, so that what is due goes out at once: a person says it is mended.
func (s *Sender) Retry(a gateway.AccountID) {
	s.mu.Lock()
	if l := s.lanes[a]; l != nil {
		l.failures, l.until, l.tail = 0, time.Time{}, time.Time{}
	}
	s.mu.Unlock()
	s.Wake()
}

// Run delivers until ctx ends and returns nil when the last request has ended. A request cut off by the end is tried again
// after the next start.
func (s *Sender) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(s.cfg.Poll)
	defer tick.Stop()
	for {
		for s.round(ctx, &wg) { // as long as full pages are cleared
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// round takes what is due in hand, starts workers, and reports whether there may be more to take at once.
func (s *Sender) round(ctx context.Context, wg *sync.WaitGroup) (more bool) {
	now := time.Now()
	// What is in hand is still due; asking for so many more keeps it from hiding the rest.
	s.mu.Lock()
	for k, h := range s.inHand {
		if h.state == settled || h.state == unwritten && !now.Before(h.until) {
			delete(s.inHand, k)
		}
	}
	limit := len(s.inHand) + s.bounds.fetch
	s.mu.Unlock()
	due, err := s.events.DueEvents(ctx, now, limit)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("reading due webhook events", "err", err)
		}
		return false
	}
	cleared := 0
	for _, ev := range due {
		if ctx.Err() != nil {
			return false
		}
		if s.take(ctx, ev, now) {
			cleared++
		}
	}
	s.startWorkers(ctx, wg)
	return len(due) == limit && cleared > 0
}

// take deals with one due event and reports whether it is dealt with: dropped, deferred or newly in hand.
func (s *Sender) take(ctx context.Context, ev gateway.Event, now time.Time) bool {
	s.mu.Lock()
	_, held := s.inHand[eventKey{ev.Account, ev.ID}]
	s.mu.Unlock()
	if held {
		return false
	}
	v, at := judge(ev, s.dir.Directory().Webhooks[ev.Account], now)
	if v == toSend {
		v, at = s.enqueue(ev, now)
	}
	switch v {
	case toDrop:
		if now.Sub(ev.At) > GiveUpAfter {
			s.log.Warn("webhook event given up", "account", ev.Account, "event", ev.ID, "attempt", ev.Tries, "reason", ev.LastErr)
			return s.giveUp(ctx, ev)
		}
		return s.done(ctx, ev)
	case toDefer:
		ev.NextAt = at
		return s.retry(ctx, ev)
	}
	return true
}

// What becomes of a due event.
type verdict uint8

const (
	toDrop verdict = iota
	toDefer
	toSend
)

// judge says whether anybody wants the event now.
func judge(ev gateway.Event, hook *gateway.Webhook, now time.Time) (verdict, time.Time) {
	switch {
	case hook == nil || hook.URL == "" || len(hook.Events) > 0 && !slices.Contains(hook.Events, ev.Type),
		now.Sub(ev.At) > GiveUpAfter:
		return toDrop, now
	case hook.Paused:
		return toDefer, now.Add(jitter(pausedRetry))
	}
	return toSend, now
}

// enqueue takes the event in hand. What cannot be taken now is deferred in the store, so that one account's events never stand
// in front of the others'.
func (s *Sender) enqueue(ev gateway.Event, now time.Time) (verdict, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[ev.Account]
	if l == nil {
		l = &lane{}
		s.lanes[ev.Account] = l
	}
	switch {
	case now.Before(l.until):
		return toDefer, l.slot(l.until)
	case len(l.queue) >= s.bounds.queue, len(s.inHand) >= s.bounds.hand && len(l.queue) >= s.bounds.share:
		return toDefer, l.slot(now.Add(busyRetry))
	}
	l.queue = append(l.queue, ev)
	s.inHand[eventKey{ev.Account, ev.ID}] = holding{state: inQueue}
	return toSend, now
}

// slot is when a deferred event is due next: at base, but one after the other. So a backlog of any size costs an account a
// bounded number of writes a second, however often it must be put off.
func (l *lane) slot(base time.Time) time.Time {
	if l.tail.After(base) {
		base = l.tail
	}
	l.tail = base.Add(spacing)
	return base
}

// startWorkers gives each lane with a queue the requests it may have.
func (s *Sender) startWorkers(ctx context.Context, wg *sync.WaitGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, l := range s.lanes {
		for n := len(l.queue); n > 0 && l.running < l.width(s.cfg.PerAccount) && s.running < s.cfg.Total; n-- {
			l.running++
			s.running++
			wg.Go(func() { s.work(ctx, a) })
		}
	}
}

// work delivers an account's queue until it is empty, the endpoint is down or ctx ends.
func (s *Sender) work(ctx context.Context, a gateway.AccountID) {
	for {
		ev, ok := s.next(ctx, a)
		if !ok {
			return
		}
		s.deliver(ctx, ev)
	}
}

// next takes an event off the queue, or ends the worker.
func (s *Sender) next(ctx context.Context, a gateway.AccountID) (ev gateway.Event, ok bool) {
	s.mu.Lock()
	l := s.lanes[a]
	down := time.Now().Before(l.until)
	if len(l.queue) > 0 && ctx.Err() == nil && !down && l.running <= l.width(s.cfg.PerAccount) {
		ev, l.queue = l.queue[0], l.queue[1:]
		s.mu.Unlock()
		return ev, true
	}
	var put []gateway.Event // back into the store
	if down && ctx.Err() == nil {
		put, l.queue = l.queue, nil
		for i := range put {
			put[i].NextAt = l.slot(l.until)
		}
	}
	full := s.running >= s.cfg.Total
	l.running--
	s.running--
	if l.running == 0 && l.failures == 0 && len(l.queue) == 0 && !time.Now().Before(l.tail) {
		delete(s.lanes, a)
	}
	s.mu.Unlock()
	for _, ev := range put {
		s.forget(ev, s.retry(ctx, ev))
	}
	if full {
		s.Wake() // another account may have waited for the room
	}
	return ev, false
}

// noted remembers how the endpoint did.
func (s *Sender) noted(a gateway.AccountID, good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[a]
	if good {
		l.failures, l.until = 0, time.Time{}
		return
	}
	if l.failures++; l.failures >= downAfter {
		l.until = time.Now().Add(min(backoff(l.failures-downAfter), downMost))
	}
}

// forget lets go of an event whose outcome is written, or will not be. When writing failed it is left alone for a while, lest
// it be sent in a tight loop.
func (s *Sender) forget(ev gateway.Event, written bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := holding{state: settled}
	if !written {
		h = holding{state: unwritten, until: time.Now().Add(jitter(time.Minute))}
	}
	s.inHand[eventKey{ev.Account, ev.ID}] = h
}

// backoff is the pause before attempt n+1: 5 s, 10 s, … one hour.
func backoff(n int) time.Duration { return min(firstRetry<<min(max(n, 0), 12), lastRetry) }

// jitter spreads d over ±20 %, so that what failed together does not come back together.
func jitter(d time.Duration) time.Duration { return d*4/5 + rand.N(d*2/5) }

// deliver makes one attempt and writes down what came of it.
func (s *Sender) deliver(ctx context.Context, ev gateway.Event) {
	start := time.Now()
	hook := s.dir.Directory().Webhooks[ev.Account]
	if v, _ := judge(ev, hook, start); v != toSend { // changed since it was queued: the next round deals with it
		s.forget(ev, true)
		return
	}
	res := s.attempt(ctx, ev, hook)
	if res.err != nil && ctx.Err() != nil { // we are stopping: it stays due
		s.forget(ev, true)
		return
	}
	s.noted(ev.Account, res.err == nil)
	log := s.log.With("account", ev.Account, "event", ev.ID, "attempt", ev.Tries+1, "took", time.Since(start))
	if res.err == nil {
		log.Debug("webhook event delivered")
		s.forget(ev, s.done(ctx, ev))
		return
	}
	log.Info("webhook event failed", "err", res.err)
	if res.gone {
		s.pause(ctx, ev.Account)
	}
	ev.Tries++
	ev.LastErr = res.err.Error()
	ev.NextAt = time.Now().Add(max(jitter(backoff(ev.Tries-1)), res.after))
	s.forget(ev, s.retry(ctx, ev))
}

// result is what came of an attempt; a nil err means taken.
type result struct {
	err   error // safe to show the customer
	gone  bool
	after time.Duration // the endpoint asked for so long a pause
}

func (s *Sender) attempt(ctx context.Context, ev gateway.Event, hook *gateway.Webhook) result {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(ev.Body))
	if err != nil || s.cfg.Guard.CheckURL(hook.URL) != nil {
		return result{err: errors.New("the URL is not allowed")}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "izinli-webhook/1")
	req.Header.Set(HeaderEventID, ev.ID)
	req.Header.Set(HeaderEventType, ev.Type)
	secret, err := s.cfg.Unseal(hook.Secret)
	if err != nil {
		s.log.Error("webhook secret unreadable", "account", int(ev.Account), "err", err)
		return result{err: errors.New("the secret cannot be read")}
	}
	req.Header.Set(HeaderSignature, Sign(secret, time.Now(), ev.Body))
	trip := s.secure
	if req.URL.Scheme == "http" {
		trip = s.plain
	}
	resp, err := trip.RoundTrip(req) // not a Client: it would follow redirects
	if err != nil {
		return result{err: plainError(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // lets the connection be used again; what it says does not matter
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return result{}
	}
	res := result{err: fmt.Errorf("status %d", resp.StatusCode), gone: resp.StatusCode == http.StatusGone}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		res.after = retryAfter(resp.Header.Get("Retry-After"))
	}
	return res
}

// plainError keeps what tells a customer about our network out of what is stored.
func plainError(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, ErrTarget):
		return errors.New("the address is not allowed")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	}
	return errors.New("no connection")
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3), an hour at most.
func retryAfter(v string) time.Duration {
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, lastRetry)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(time.Until(t), 0), lastRetry)
	}
	return 0
}

// Outcomes are written although ctx may have ended: a delivered event must not be sent again for a shutdown.
func (s *Sender) done(ctx context.Context, ev gateway.Event) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := s.events.EventDone(ctx, ev.ID, ev.Account); err != nil {
		s.log.Error("webhook event not recorded as done", "account", ev.Account, "event", ev.ID, "err", err)
		return false
	}
	return true
}

// giveUp records that nobody took the event.
func (s *Sender) giveUp(ctx context.Context, ev gateway.Event) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := s.events.EventFailed(ctx, ev); err != nil {
		s.log.Error("webhook event not recorded as given up", "account", ev.Account, "event", ev.ID, "err", err)
		return false
	}
	return true
}

func (s *Sender) retry(ctx context.Context, ev gateway.Event) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := s.events.EventRetry(ctx, ev); err != nil {
		s.log.Error("webhook event not rescheduled", "account", ev.Account, "event", ev.ID, "err", err)
		return false
	}
	return true
}

func (s *Sender) pause(ctx context.Context, a gateway.AccountID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := s.pauser.PauseWebhook(ctx, a, "the endpoint answered 410 Gone"); err != nil {
		s.log.Error("webhook not paused", "account", a, "err", err)
		return
	}
	s.log.Warn("webhook paused", "account", a, "reason", "410 gone")
}
