package mailer

import (
	"math/rand/v2"
	"time"

	"izinli/gateway"
)

// schedules say how long a message waits after its n-th attempt, by lane; the last value repeats (email.md §9). Greylisting
// releases within 15 minutes, so the first pauses are short.
var schedules = [gateway.Lanes][]time.Duration{
	gateway.LaneOTP: {30 * time.Second, time.Minute, 2 * time.Minute},
	gateway.LaneTransactional: {time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
		time.Hour},
	gateway.LaneCommercial: {5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour},
}

// wait is the pause after an attempt (from 1), spread by 20 % so that what failed together does not come back together.
func wait(l gateway.Lane, attempt int) time.Duration {
	s := schedules[l]
	return jitter(s[min(max(attempt, 1), len(s))-1])
}

func jitter(d time.Duration) time.Duration {
	return d*4/5 + rand.N(max(d*2/5, 1))
}
