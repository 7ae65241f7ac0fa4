package iys

import (
	"testing"
	"time"
)

func TestPackageNamed(t *testing.T) {
	for name, want := range map[string]int{"İleti-5 (Seviye 1)": 5_000, "İLETİ-25": 25_000, "ileti-75": 75_000, "Ileti 150": 150_000, "İleti - 250 (Seviye 5)": 250_000} {
		if p, ok := PackageNamed(name); !ok || p.Limit != want {
			t.Errorf("%q is %+v %v, want %d", name, p, ok, want)
		}
	}
	if p, ok := PackageNamed("İleti+"); !ok || p.Limit != 0 || p.Name != "İLETİ+" {
		t.Errorf("İleti+ is %+v %v, want no limit", p, ok)
	}
	for _, name := range []string{"", "İleti", "İleti-", "İleti-6", "İO - API Kullanım Lisansı", "ViA-5"} {
		if p, ok := PackageNamed(name); ok {
			t.Errorf("%q is taken for %+v", name, p)
		}
	}
}

func TestForecast(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, Istanbul)
	series := func(n, from, step int) (out []Sample) {
		for i := range n {
			out = append(out, Sample{At: now.AddDate(0, 0, i-n+1), Addresses: from + i*step})
		}
		return out
	}
	for _, c := range []struct {
		why    string
		series []Sample
		limit  int
		days   float64 // from the last sample; below zero: no forecast
	}{
		{"ten a day", series(10, 4_000, 10), 5_000, 91.1},
		{"a burst long ago does not count", append([]Sample{{now.AddDate(0, 0, -200), 0}}, series(10, 4_000, 10)...), 5_000, 91.1},
		{"crossed already", series(3, 4_999, 10), 5_000, 0},
		{"exactly full is not crossed", series(2, 4_990, 10), 5_000, 0.1},
		{"shrinking", series(10, 4_000, -1), 5_000, -1},
		{"standing still", series(10, 4_000, 0), 5_000, -1},
		{"one day", series(1, 4_000, 0), 5_000, -1},
		{"too far away", series(10, 100, 1), 5_000, -1},
		{"no limit", series(10, 4_000, 10), 0, -1},
		{"nothing", nil, 5_000, -1},
	} {
		got, ok := Forecast(c.series, c.limit)
		if ok != (c.days >= 0) {
			t.Errorf("%s: got %v %v", c.why, got, ok)
		} else if want := now.Add(time.Duration(c.days * 24 * float64(time.Hour))); ok && got.Sub(want).Abs() > time.Minute {
			t.Errorf("%s: got %v, want %v", c.why, got, want)
		}
	}
}
