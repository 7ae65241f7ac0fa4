package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
)

// shelf keeps events in memory.
type shelf struct {
	mu     sync.Mutex
	events map[string]gateway.Event
	writes int // EventRetry calls
	failed []gateway.Event
	broken error
	paused []string
	dir    *gateway.Directory
	listed func() // runs when a list has been read and not yet returned
}

func newShelf(hooks ...gateway.Webhook) *shelf {
	s := &shelf{events: map[string]gateway.Event{}, dir: gateway.NewDirectory()}
	for _, h := range hooks {
		s.dir.Webhooks[h.Account] = &h
	}
	return s
}

func (s *shelf) put(a gateway.AccountID, id string) {
	now := time.Now()
	s.events[id] = gateway.Event{ID: id, Account: a, Type: "message.final", At: now, NextAt: now, Body: []byte(`{"id":"` + id + `"}`)}
}

func (s *shelf) Directory() *gateway.Directory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dir
}

func (s *shelf) DueEvents(_ context.Context, now time.Time, limit int) ([]gateway.Event, error) {
	if s.listed != nil {
		defer s.listed()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []gateway.Event
	for _, e := range s.events {
		if !e.NextAt.After(now) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b gateway.Event) int {
		return cmp.Or(a.NextAt.Compare(b.NextAt), strings.Compare(a.ID, b.ID))
	})
	return out[:min(limit, len(out))], nil
}

func (s *shelf) EventDone(ctx context.Context, id string, _ gateway.AccountID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	delete(s.events, id)
	return ctx.Err()
}

func (s *shelf) EventFailed(ctx context.Context, ev gateway.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	delete(s.events, ev.ID)
	s.failed = append(s.failed, ev)
	return ctx.Err()
}

func (s *shelf) EventRetry(ctx context.Context, ev gateway.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	s.writes++
	s.events[ev.ID] = ev
	return ctx.Err()
}

func (s *shelf) PauseWebhook(_ context.Context, a gateway.AccountID, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = append(s.paused, fmt.Sprintf("%d: %s", a, reason))
	d := gateway.NewDirectory()
	for k, v := range s.dir.Webhooks {
		w := *v
		w.Paused = w.Paused || k == a
		d.Webhooks[k] = &w
	}
	s.dir = d
	return nil
}

func (s *shelf) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

func (s *shelf) event(id string) gateway.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[id]
}

// wire answers instead of the network.
type wire func(r *http.Request, body []byte) (status int, header http.Header, err error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status, h, err := w(r, body)
	if err != nil {
		return nil, err
	}
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, nil
}

func hookOf(a gateway.AccountID) gateway.Webhook {
	return gateway.Webhook{Account: a, URL: fmt.Sprintf("https://a%d.example.com/hook", a), Secret: "whsec_test"}
}

// run starts a sender inside a bubble; stop ends it and waits.
func run(t *testing.T, s *shelf, w wire) (stop func()) {
	t.Helper()
	return runBounded(t, s, w, usual)
}

func runBounded(t *testing.T, s *shelf, w wire, b bounds) (stop func()) {
	t.Helper()
	snd := New(Config{}, s, s, s)
	snd.secure, snd.bounds = w, b
	snd.plain = wire(func(*http.Request, []byte) (int, http.Header, error) {
		return 0, nil, errors.New("plain http was used")
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- snd.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestDeliversSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1))
		s.put(1, "ev1")
		var got []string
		defer run(t, s, func(r *http.Request, body []byte) (int, http.Header, error) {
			if err := Verify("whsec_test", r.Header.Get("Izinli-Signature"), body, time.Now(), time.Minute); err != nil {
				t.Error(err)
			}
			got = append(got, r.Method, r.URL.String(), r.Header.Get("Izinli-Event-Id"), r.Header.Get("Izinli-Event-Type"), r.Header.Get("Content-Type"), string(body))
			return 204, nil, nil
		})()
		synctest.Wait()
		want := []string{"POST", "https://a1.example.com/hook", "ev1", "message.final", "application/json", `{"id":"ev1"}`}
		if !slices.Equal(got, want) || s.left() != 0 {
			t.Errorf("sent %q with %d left, want %q and none", got, s.left(), want)
		}
	})
}

func TestRetriesWithBackoffFor72Hours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1))
		s.put(1, "ev1")
		var at []time.Time
		start := time.Now()
		stop := run(t, s, func(*http.Request, []byte) (int, http.Header, error) {
			at = append(at, time.Now())
			return 500, nil, nil
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if e := s.event("ev1"); e.Tries < 3 || e.LastErr != "status 500" {
			t.Errorf("after a minute: %d tries, %q", e.Tries, e.LastErr)
		}
		time.Sleep(80 * time.Hour)
		synctest.Wait()
		stop()
		if s.left() != 0 {
			t.Error("the event is still there after 80 hours")
		}
		if len(s.failed) != 1 || s.failed[0].LastErr != "status 500" {
			t.Errorf("given up: %+v, want the event with its last error", s.failed)
		}
		if d := at[len(at)-1].Sub(start); d > GiveUpAfter || d < GiveUpAfter-2*time.Hour {
			t.Errorf("last attempt after %v, want shortly before %v", d, GiveUpAfter)
		}
		for i := 1; i < len(at); i++ {
			gap := at[i].Sub(at[i-1])
			want := backoff(i - 1)
			// ±20 %, the poll, and the probe pause of an endpoint that is down.
			if gap < want*4/5 || gap > want*6/5+2*downMost+2*time.Second {
				t.Errorf("pause %d is %v, want about %v", i, gap, want)
			}
		}
		if len(at) < 60 || len(at) > 100 {
			t.Errorf("%d attempts in 72 hours, want some 80", len(at))
		}
	})
}

func TestRecoversAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1))
		for i := range 50 {
			s.put(1, fmt.Sprintf("ev%02d", i))
		}
		up := time.Now().Add(30 * time.Minute)
		got := map[string]int{}
		var mu sync.Mutex
		defer run(t, s, func(r *http.Request, _ []byte) (int, http.Header, error) {
			mu.Lock()
			defer mu.Unlock()
			if time.Now().Before(up) {
				return 0, nil, errors.New("connection refused")
			}
			got[r.Header.Get(HeaderEventID)]++
			return 200, nil, nil
		})()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if len(got) != 50 || s.left() != 0 {
			t.Errorf("%d of 50 arrived, %d left", len(got), s.left())
		}
		for id, n := range got {
			if n != 1 {
				t.Errorf("%s arrived %d times", id, n)
			}
		}
	})
}

// Many dead endpoints, with more waiting than can be held, and one that works.
func TestDeadEndpointsHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const dead, each = 12, 110 // more than can be in hand, alone and together
		s := newShelf(hookOf(100))
		for a := range gateway.AccountID(dead) {
			h := hookOf(a + 1)
			s.dir.Webhooks[a+1] = &h
			for i := range each {
				s.put(a+1, fmt.Sprintf("dead%02d-%04d", a, i))
			}
		}
		time.Sleep(time.Second) // the dead ones' are due first
		for i := range 20 {
			s.put(100, fmt.Sprintf("live%02d", i))
		}
		var mu sync.Mutex
		now, most, live := map[string]int{}, 0, 0
		var last time.Time
		start := time.Now()
		stop := runBounded(t, s, func(r *http.Request, _ []byte) (int, http.Header, error) {
			mu.Lock()
			if r.URL.Host == "a100.example.com" {
				defer mu.Unlock()
				live++
				last = time.Now()
				return 200, nil, nil
			}
			now[r.URL.Host]++
			most = max(most, now[r.URL.Host])
			mu.Unlock()
			<-r.Context().Done() // never answers
			mu.Lock()
			now[r.URL.Host]--
			mu.Unlock()
			return 0, nil, r.Context().Err()
		}, bounds{fetch: 50, queue: 100, hand: 1000, share: 20})
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		if live != 20 || last.Sub(start) > 3*time.Second {
			t.Errorf("%d of 20 events of the good endpoint arrived, the last after %v", live, last.Sub(start))
		}
		if most > 4 {
			t.Errorf("%d requests to one dead endpoint at once, want at most 4", most)
		}
		most = 0
		mu.Unlock()
		if s.left() != dead*each {
			t.Errorf("%d events of the dead endpoints left, want all %d", s.left(), dead*each)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		stop()
		if most != 1 {
			t.Errorf("%d requests at once to an endpoint known to be down, want 1", most)
		}
		if s.writes > 60*dead*each { // 660 polls would be eleven times as many
			t.Errorf("%d writes in eleven minutes", s.writes)
		}
	})
}

func TestThroughputOfOneAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20_000
		s := newShelf(hookOf(1))
		for i := range n {
			s.put(1, fmt.Sprintf("ev%05d", i))
		}
		start := time.Now()
		var last time.Time
		var mu sync.Mutex
		stop := run(t, s, func(*http.Request, []byte) (int, http.Header, error) {
			time.Sleep(5 * time.Millisecond) // fake time
			mu.Lock()
			defer mu.Unlock()
			last = time.Now()
			return 200, nil, nil
		})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		stop()
		if s.left() != 0 || last.Sub(start) > 45*time.Second {
			t.Errorf("%d left; the last of %d arrived after %v, want within 45 s", s.left(), n, last.Sub(start))
		}
		// Waiting costs a backlog about one write an event, not one a poll.
		if s.writes > 2*n {
			t.Errorf("%d writes for %d events", s.writes, n)
		}
	})
}

func TestRoomGoesToTheNextAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1), hookOf(2), hookOf(3))
		for a := range gateway.AccountID(3) {
			s.put(a+1, fmt.Sprintf("ev%d", a))
		}
		snd := New(Config{Total: 1}, s, s, s)
		snd.secure = wire(func(*http.Request, []byte) (int, http.Header, error) { return 200, nil, nil })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- snd.Run(ctx) }()
		synctest.Wait() // no time passes
		if s.left() != 0 {
			t.Errorf("%d accounts waited for the next poll although there was room", s.left())
		}
		cancel()
		<-done
	})
}

// A list read while an event was on the wire still names it; it must not be sent again for that.
func TestStaleListSendsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1))
		s.put(1, "ev1")
		answer := make(chan struct{})
		lists, sent := 0, 0
		s.listed = func() {
			if lists++; lists == 2 {
				close(answer)
				time.Sleep(time.Millisecond) // fake time: the event is delivered and recorded meanwhile
			}
		}
		defer run(t, s, func(*http.Request, []byte) (int, http.Header, error) {
			sent++
			<-answer
			return 200, nil, nil
		})()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if sent != 1 || lists < 3 {
			t.Errorf("sent %d times over %d lists, want once", sent, lists)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1))
		for i := range 500 {
			s.put(1, fmt.Sprintf("ev%03d", i))
		}
		snd := New(Config{}, s, s, s)
		snd.bounds = bounds{fetch: 50, queue: 100, hand: 1000, share: 20}
		snd.secure = wire(func(r *http.Request, _ []byte) (int, http.Header, error) {
			<-r.Context().Done()
			return 0, nil, r.Context().Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- snd.Run(ctx) }()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		snd.mu.Lock()
		if got := len(snd.inHand); got < 100 || got > 104 {
			t.Errorf("%d events in hand, want the queue's 100 and four on the wire", got)
		}
		snd.mu.Unlock()
		cancel()
		<-done
	})
}

func TestGonePauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1))
		s.put(1, "ev1")
		tries := 0
		defer run(t, s, func(*http.Request, []byte) (int, http.Header, error) {
			tries++
			return 410, nil, nil
		})()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if tries != 1 || len(s.paused) != 1 || !strings.HasPrefix(s.paused[0], "1: ") {
			t.Errorf("%d tries, paused %q; want one of each", tries, s.paused)
		}
		if s.left() != 1 {
			t.Error("the event is gone; it must wait for the customer")
		}
	})
}

func TestUnwantedEventsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hookOf(1)
		h.Events = []string{"inbound"}
		s := newShelf(h)
		s.put(1, "unwanted")
		s.put(2, "nobody")
		s.put(1, "wanted")
		e := s.events["wanted"]
		e.Type = "inbound"
		s.events["wanted"] = e
		var got []string
		defer run(t, s, func(r *http.Request, _ []byte) (int, http.Header, error) {
			got = append(got, r.Header.Get(HeaderEventID))
			return 200, nil, nil
		})()
		synctest.Wait()
		if !slices.Equal(got, []string{"wanted"}) || s.left() != 0 {
			t.Errorf("sent %q, %d left", got, s.left())
		}
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1))
		s.put(1, "ev1")
		var at []time.Time
		defer run(t, s, func(*http.Request, []byte) (int, http.Header, error) {
			at = append(at, time.Now())
			if len(at) == 1 {
				return 429, http.Header{"Retry-After": {"600"}}, nil
			}
			return 200, nil, nil
		})()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(at) != 2 || at[1].Sub(at[0]) < 600*time.Second || at[1].Sub(at[0]) > 602*time.Second {
			t.Errorf("attempts %v, want two, 600 s apart", at)
		}
		if got := retryAfter("999999999"); got != lastRetry {
			t.Errorf("a huge Retry-After gives %v, want %v", got, lastRetry)
		}
		if got := retryAfter(time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)); got < 88*time.Second || got > 90*time.Second {
			t.Errorf("a date 90 s ahead gives %v", got)
		}
		for _, bad := range []string{"", "-5", "soon", "1.5"} {
			if got := retryAfter(bad); got != 0 {
				t.Errorf("Retry-After %q gives %v, want 0", bad, got)
			}
		}
	})
}

func TestStopKeepsWhatIsOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1))
		s.put(1, "ev1")
		stop := run(t, s, func(r *http.Request, _ []byte) (int, http.Header, error) {
			<-r.Context().Done()
			return 0, nil, r.Context().Err()
		})
		synctest.Wait()
		start := time.Now()
		stop()
		if d := time.Since(start); d != 0 {
			t.Errorf("stopping took %v", d)
		}
		if e := s.event("ev1"); e.Tries != 0 || s.writes != 0 {
			t.Errorf("the cut-off attempt was counted: %+v", e)
		}
	})
}

func TestBrokenStoreMakesNoTightLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(hookOf(1))
		s.put(1, "ev1")
		s.broken = errors.New("disk full")
		sent := 0
		defer run(t, s, func(*http.Request, []byte) (int, http.Header, error) {
			sent++
			return 200, nil, nil
		})()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if sent < 2 || sent > 15 {
			t.Errorf("sent %d times in ten minutes, want about once a minute", sent)
		}
		s.mu.Lock()
		s.broken = nil
		s.mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s.left() != 0 {
			t.Error("not recorded after the store came back")
		}
	})
}
