package exchange_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

// ailing is an İYS that fails for whatever is written, and counts how often it is called.
type ailing struct {
	exchange.API
	adds int
}

func (a *ailing) StatusMany(_ context.Context, _ iysapi.Brand, _ iys.RecipientType, _ iys.Channel, list []string) ([]bool, error) {
	out := make([]bool, len(list))
	for i := range out {
		out[i] = true
	}
	return out, nil
}

func (a *ailing) Status(context.Context, iysapi.Brand, iys.Key) (iys.Consent, bool, error) {
	return iys.Consent{}, false, nil
}

func (a *ailing) Add(context.Context, iysapi.Brand, iys.Consent) (iysapi.Receipt, error) {
	a.adds++
	return iysapi.Receipt{}, &iysapi.APIError{HTTP: http.StatusServiceUnavailable, Detail: iysapi.Detail{Code: "H192"}, Retry: iysapi.RetryAgain}
}

// A brand for which İYS fails does not stand before the others: what they have waiting is written in the same pass, however much
// of the failing brand's is due before it.
func TestAFailingBrandStarvesNobody(t *testing.T) {
	for _, st := range []iys.Status{iys.StatusRejected, iys.StatusApproved} {
		inBubble(t, func(t *testing.T, w *world) {
			sick := map[string]*ailing{"600001": {}, "600002": {}}
			for code, api := range sick {
				w.more = append(w.more, exchange.Brand{Brand: iysapi.Brand{IYSCode: code, BrandCode: code},
					Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner}, API: api})
			}
			w.approveAt(1)
			pass(time.Minute)
			const each = 2500
			n := 0
			for code := range sick {
				for range each {
					e := w.entry(100+n, st)
					e.Brand, e.State = code, exchange.StateSent
					w.store.add(e)
					n++
				}
			}
			last := w.entry(1, st)
			if st == iys.StatusApproved {
				last = w.entry(2, st)
			}
			w.store.add(last)
			id := uint64(n + 1)
			if _, err := w.x.Flush(t.Context()); err == nil {
				t.Errorf("%s: a failing İYS is not reported", st)
			}
			w.wantState(id, exchange.StateAccepted, "")
			for code, api := range sick {
				if api.adds != 1 {
					t.Errorf("%s: %d calls for brand %s in one pass, want 1", st, api.adds, code)
				}
			}
		})
	}
}
