package mailer

import (
	"testing"
	"time"

	"izinli/gateway"
)

// A mail meant for later bears the time it was meant for: one that is thirty days old on arrival looks like what it is not.
func TestDateOfScheduledMail(t *testing.T) {
	made := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	id := gateway.NewBatchIDs(0).Next(made)
	for why, c := range map[string]struct{ sendAt, want time.Time }{
		"at once":   {made, made},
		"scheduled": {made.AddDate(0, 0, 30), made.AddDate(0, 0, 30)},
		"unsaid":    {time.Time{}, made},
	} {
		if got := dated(&gateway.Batch{ID: id, SendAt: c.sendAt}); got.Sub(c.want).Abs() >= time.Second {
			t.Errorf("%s: %s, want %s", why, got, c.want)
		}
	}
}
