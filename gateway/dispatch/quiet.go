package dispatch

import (
	"time"

	"izinli/gateway"
	"izinli/iys"
)

// Default quiet hours for commercial messages, minutes of the Istanbul day (regulation.md §8: a habit of the trade, no law).
const (
	quietFrom = 21 * 60
	quietTo   = 8 * 60
)

// QuietUntil tells whether commercial messages rest at now under the account's policy, and until when. A malformed time of
// day falls back to the default: an error in a setting must not send messages into the night.
func QuietUntil(p gateway.AccountPolicy, now time.Time) (until time.Time, quiet bool) {
	if p.QuietOff {
		return time.Time{}, false
	}
	from, to := minutes(p.QuietFrom, quietFrom), minutes(p.QuietTo, quietTo)
	if from == to {
		return time.Time{}, false
	}
	t := now.In(iys.Istanbul)
	m := t.Hour()*60 + t.Minute()
	if from < to {
		quiet = m >= from && m < to
	} else {
		quiet = m >= from || m < to
	}
	if !quiet {
		return time.Time{}, false
	}
	until = time.Date(t.Year(), t.Month(), t.Day(), to/60, to%60, 0, 0, iys.Istanbul)
	if !until.After(t) {
		until = until.AddDate(0, 0, 1)
	}
	return until, true
}

// minutes reads "HH:MM"; the default for anything else.
func minutes(s string, def int) int {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return def
	}
	return t.Hour()*60 + t.Minute()
}
