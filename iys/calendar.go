package iys

import (
	_ "embed"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"
)

// RegistrationDays is the number of business days a service provider has to
// write a consent or a refusal to İYS (regulation.md §§3, 5).
const RegistrationDays = 3

//go:embed holidays.csv
var holidayTable string

// Calendar knows which days are business days in Turkey. It is read-only after
// ParseCalendar and safe for concurrent use.
type Calendar struct {
	days   map[int]bool // yyyymmdd of single holidays
	yearly map[int]int  // mmdd → first year
}

var builtin = sync.OnceValue(func() *Calendar {
	c, err := ParseCalendar(holidayTable)
	if err != nil {
		panic(err) // the embedded table is part of the program; a test parses it
	}
	return c
})

// DefaultCalendar returns the calendar of the embedded table (movable holidays
// 2025 to 2032).
func DefaultCalendar() *Calendar { return builtin() }

// ParseCalendar reads a holiday table: one "date,name" a line, where date is
// YYYY-MM-DD, *-MM-DD (every year) or YYYY+-MM-DD (every year from YYYY).
// Empty lines and lines starting with # are skipped.
func ParseCalendar(table string) (*Calendar, error) {
	return (&Calendar{}).With(table)
}

// With returns a calendar that knows the days of a table (ParseCalendar) beside
// those of c, which does not change: an operator adds days declared later, and
// years the embedded table does not reach, without a new release.
func (c *Calendar) With(table string) (*Calendar, error) {
	out := &Calendar{days: maps.Clone(c.days), yearly: maps.Clone(c.yearly)}
	if out.days == nil {
		out.days, out.yearly = map[int]bool{}, map[int]int{}
	}
	n := 0
	for line := range strings.Lines(table) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		date, _, _ := strings.Cut(line, ",")
		if err := out.add(strings.TrimSpace(date)); err != nil {
			return nil, fmt.Errorf("iys: holiday table line %d: %w", n, err)
		}
	}
	return out, nil
}

func (c *Calendar) add(date string) error {
	if len(date) < 6 || date[len(date)-6] != '-' {
		return fmt.Errorf("date %q is not YYYY-MM-DD", date)
	}
	year, monthDay := date[:len(date)-6], date[len(date)-5:]
	// 2024 is a leap year: 29 February may be listed.
	md, err := time.Parse("2006-01-02", "2024-"+monthDay)
	if err != nil {
		return fmt.Errorf("date %q is not YYYY-MM-DD", date)
	}
	mmdd := int(md.Month())*100 + md.Day()
	if year == "*" {
		c.yearly[mmdd] = 0
		return nil
	}
	first, every := strings.CutSuffix(year, "+")
	y, err := strconv.ParseUint(first, 10, 16)
	if err != nil || len(first) != 4 {
		return fmt.Errorf("year %q is not YYYY", year)
	}
	if every {
		c.yearly[mmdd] = int(y)
		return nil
	}
	if _, err := time.Parse("2006-01-02", date); err != nil {
		return fmt.Errorf("no such day %q", date)
	}
	c.days[int(y)*10000+mmdd] = true
	return nil
}

// Business reports whether the Istanbul day of t is a business day. Half days
// are.
func (c *Calendar) Business(t time.Time) bool {
	t = t.In(Istanbul)
	switch t.Weekday() {
	case time.Saturday, time.Sunday:
		return false
	}
	y, m, d := t.Date()
	mmdd := int(m)*100 + d
	if first, ok := c.yearly[mmdd]; ok && y >= first {
		return false
	}
	return !c.days[y*10000+mmdd]
}

// Deadline returns the last second of the third business day after receipt,
// Istanbul time. The day of receipt is day zero (regulation.md §6).
func (c *Calendar) Deadline(receipt time.Time) time.Time {
	return c.After(receipt, RegistrationDays)
}

// After returns the last second of the n-th business day after t's day. For
// n ≤ 0 it is the end of t's own day.
func (c *Calendar) After(t time.Time, n int) time.Time {
	y, m, d := t.In(Istanbul).Date()
	day := time.Date(y, m, d, 12, 0, 0, 0, Istanbul)
	for n > 0 {
		day = day.AddDate(0, 0, 1)
		if c.Business(day) {
			n--
		}
	}
	y, m, d = day.Date()
	return time.Date(y, m, d, 23, 59, 59, 0, Istanbul)
}

// Expired reports whether the registration deadline of an event at t has
// passed at now.
func (c *Calendar) Expired(t, now time.Time) bool {
	return now.Truncate(time.Second).After(c.Deadline(t))
}
