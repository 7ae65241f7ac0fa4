package exchange

import (
	"context"
	"fmt"
	"time"
)

// Aged is what the outbox owes for too long.
type Aged struct {
	Late    []Entry // past the third business day
	Warning []Entry // past the first
	Cut     bool    // there are more than could be read
}

// Aged lists open entries, those owed by customers included, whose first
// business day has passed.
func (x *Exchange) Aged(ctx context.Context, now time.Time, limit int) (Aged, error) {
	// Nothing received within the last 24 h can have a whole day behind it.
	list, err := x.cfg.Store.AgedEntries(ctx, now.Add(-24*time.Hour), limit)
	if err != nil {
		return Aged{}, fmt.Errorf("exchange: aged entries: %w", err)
	}
	out := Aged{Cut: len(list) >= limit}
	for _, e := range list {
		switch {
		case now.After(e.Deadline):
			out.Late = append(out.Late, e)
		case now.After(x.cal.After(e.Received, 1)):
			out.Warning = append(out.Warning, e)
		}
	}
	return out, nil
}

// AgeCount is how many open entries began their clocks on one day.
type AgeCount struct {
	Received time.Time // some instant of the Istanbul day
	Deadline time.Time
	Entries  int // open, those owed by customers included
}

// AgedCounts counts what Aged lists, without reading entries.
func (x *Exchange) AgedCounts(ctx context.Context, now time.Time) (late, warning int, err error) {
	ages, err := x.cfg.Store.OutboxAges(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("exchange: ages of the outbox: %w", err)
	}
	for _, a := range ages {
		switch {
		case now.After(a.Deadline):
			late += a.Entries
		case now.After(x.cal.After(a.Received, 1)):
			warning += a.Entries
		}
	}
	return late, warning, nil
}

// alarmEvery is how often the outbox is looked through for what is due.
const alarmEvery = time.Hour

// alarmLimit bounds how many entries one look reads.
const alarmLimit = 10_000

// alarmLoop says once an hour what has been owed for more than a business day:
// the law gives three, and the third is too late to find out why. It also
// takes back what need not be the customer's to write, first at the start.
func (x *Exchange) alarmLoop(ctx context.Context) {
	for x.reclaimAll(ctx); sleep(ctx, alarmEvery, nil); x.reclaimAll(ctx) {
		x.alarm(ctx)
	}
}

func (x *Exchange) alarm(ctx context.Context) {
	aged, err := x.Aged(ctx, time.Now(), alarmLimit)
	if err != nil {
		x.log.Warn("iys outbox not looked through", "err", err)
		return
	}
	late, warning := byBrand(aged.Late), byBrand(aged.Warning)
	for brand, n := range late {
		x.log.Error("iys entries are past their three business days", "brand", brand, "entries", n)
	}
	for brand, n := range warning {
		x.log.Warn("iys entries have waited for more than a business day", "brand", brand, "entries", n)
	}
}

func byBrand(list []Entry) map[string]int {
	out := map[string]int{}
	for _, e := range list {
		out[e.Brand]++
	}
	return out
}
