package crash

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"izinli/gateway"
	"izinli/test/stage"
)

// shortList is an API that looks at few messages for a page and lets one key read 50 pages a second.
type shortList struct {
	limit   *rate.Limiter
	empty   int       // pages of each state that hold nothing
	drained time.Time // when the last message is no longer queued
	refused int
}

func (l *shortList) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	if !l.limit.Allow() {
		l.refused++
		rec.Header().Set("Retry-After", "1")
		rec.WriteHeader(http.StatusTooManyRequests)
		return rec.Result(), nil
	}
	q := r.URL.Query()
	page := gateway.Page[gateway.MessageView]{}
	switch at := len(q.Get("cursor")); {
	case at < l.empty:
		page.Next = q.Get("cursor") + "+"
	case q.Get("state") == gateway.StateQueued.String() && time.Now().Before(l.drained):
		page.Items = make([]gateway.MessageView, 1)
	}
	b, err := json.Marshal(page)
	if err == nil {
		_, err = rec.Write(b)
	}
	return rec.Result(), err
}

// Looking again and again for what waits comes to an end, although each look takes more pages than a key may read at once.
func TestLookingDoesNotStarveItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &shortList{limit: rate.NewLimiter(50, 100), empty: 40, drained: time.Now().Add(20 * time.Second)}
		api := stage.NewAPI(t, "gateway.test", "")
		api.Client = &http.Client{Transport: fake}
		began := time.Now()
		stage.Until(t, "nothing to wait", func() error {
			state, err := waiting(api)
			if err == nil && state != 0 {
				if state != gateway.StateQueued {
					t.Errorf("messages are %s, want queued", state)
				}
				err = errors.New("some wait")
			}
			return err
		})
		if took := time.Since(began); fake.refused == 0 || took < 20*time.Second || took > 40*time.Second {
			t.Errorf("refused %d times; after %s nothing waits, want 20 to 40 s", fake.refused, took)
		}
	})
}
