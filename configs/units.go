package configs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span written with its unit: 90s, 15m, 3h, 30d. A bare number is refused, since nobody can know its unit,
// save 0.
type Duration time.Duration

var errDuration = errors.New("write a duration with its unit, such as 30s, 15m, 3h or 7d")

// UnmarshalText reads the written form.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return errDuration
		}
		*d = Duration(time.Duration(days) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return errDuration
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes whole days as days and drops zero units: 3h, not 3h0m0s.
func (d Duration) String() string {
	if day := Duration(24 * time.Hour); d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// Std returns the standard type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Size is a number of octets, written bare or with a unit: 512, 64 KiB, 16MiB, 1 GiB, 1TiB; KB, MB, GB and TB count by 1000.
type Size int64

var units = []struct {
	name string
	n    int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// UnmarshalText reads the written form; letters may be of either case.
func (s *Size) UnmarshalText(b []byte) error {
	text, unit := strings.TrimSpace(string(b)), int64(1)
	for _, u := range units {
		if len(text) > len(u.name) && strings.EqualFold(text[len(text)-len(u.name):], u.name) {
			text, unit = strings.TrimSpace(text[:len(text)-len(u.name)]), u.n
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return errors.New("write a size such as 64 KiB, 16 MiB or 1 GiB")
	}
	*s = Size(n * unit)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes the largest binary unit that divides it.
func (s Size) String() string {
	for _, u := range units[:4] {
		if s != 0 && int64(s)%u.n == 0 {
			return fmt.Sprintf("%d %s", int64(s)/u.n, u.name)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
