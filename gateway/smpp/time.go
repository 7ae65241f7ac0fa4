package smpp

import (
	"errors"
	"time"
)

// ErrTime is a time that does not follow SMPP 3.4 §7.1.1. Which status
// answers it (ESME_RINVSCHED, ESME_RINVEXPIRY) depends on the field.
var ErrTime = errors.New("smpp: malformed time")

// maxQuarter is the largest offset from UTC in quarter hours (12 h).
const maxQuarter = 48

// ParseTime reads an SMPP time, YYMMDDhhmmsstnnp. An empty b is the zero time:
// at once for a schedule, the SMSC's default for a validity. Years are
// 2000–2099; absolute times are returned in UTC. A relative time (p is R) is
// added to now by the calendar, in now's location: a month from 31 January is
// 3 March, as with time.AddDate.
func ParseTime(b []byte, now time.Time) (time.Time, error) {
	if len(b) == 0 {
		return time.Time{}, nil
	}
	if len(b) != 16 || !digits(b[:15]) {
		return time.Time{}, ErrTime
	}
	year, month, day := two(b), two(b[2:]), two(b[4:])
	hour, minute, sec := two(b[6:]), two(b[8:]), two(b[10:])
	tenth, quarters := int(b[12]-'0'), two(b[13:])
	if b[15] == 'R' {
		d := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(sec)*time.Second
		return now.AddDate(year, month, day).Add(d), nil
	}
	if quarters > maxQuarter || (b[15] != '+' && b[15] != '-') {
		return time.Time{}, ErrTime
	}
	t, ok := date(2000+year, month, day, hour, minute, sec, time.UTC)
	if !ok {
		return time.Time{}, ErrTime
	}
	offset := time.Duration(quarters) * 15 * time.Minute
	if b[15] == '-' {
		offset = -offset
	}
	// p says whether local time is ahead of UTC, so UTC = local − offset.
	return t.Add(time.Duration(tenth)*100*time.Millisecond - offset), nil
}

// AppendTime appends t as an absolute SMPP time in t's own zone, or in UTC if
// that zone's offset is not a multiple of 15 minutes within 12 hours. Tenths
// of a second are kept, the rest is cut. The zero time is empty. The years
// that can be written are 2000–2099; others wrap, so check before.
func AppendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	_, off := t.Zone()
	if off%900 != 0 || off > maxQuarter*900 || off < -maxQuarter*900 {
		t, off = t.UTC(), 0
	}
	sign := byte('+')
	if off < 0 {
		sign, off = '-', -off
	}
	dst = appendDate(dst, t, true)
	dst = append(dst, '0'+byte(t.Nanosecond()/100_000_000))
	return append(appendTwo(dst, off/900), sign)
}

// AppendRelative appends d as a relative SMPP time, cut to seconds. It is
// bounded by what the form can hold in days: 0 to 99 d 23 h 59 min 59 s.
func AppendRelative(dst []byte, d time.Duration) []byte {
	const most = 100*24*time.Hour - time.Second
	s := int(min(max(d, 0), most) / time.Second)
	dst = append(dst, "0000"...)
	for _, part := range [...]int{s / 86400, s / 3600 % 24, s / 60 % 60, s % 60} {
		dst = appendTwo(dst, part)
	}
	return append(dst, "000R"...)
}

// appendDate appends YYMMDDhhmm, with seconds if asked.
func appendDate(dst []byte, t time.Time, seconds bool) []byte {
	y, mo, d := t.Date()
	h, mi, s := t.Clock()
	for _, part := range [...]int{y % 100, int(mo), d, h, mi} {
		dst = appendTwo(dst, part)
	}
	if seconds {
		dst = appendTwo(dst, s)
	}
	return dst
}

// date is time.Date that refuses what time.Date would normalise.
func date(year, month, day, hour, minute, sec int, loc *time.Location) (time.Time, bool) {
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || sec > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, sec, 0, loc)
	return t, t.Day() == day
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// two reads two digits that were checked before.
func two(b []byte) int { return int(b[0]-'0')*10 + int(b[1]-'0') }

func appendTwo(dst []byte, n int) []byte {
	return append(dst, '0'+byte(n/10%10), '0'+byte(n%10))
}
