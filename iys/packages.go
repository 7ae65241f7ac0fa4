package iys

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Package is a yearly İYS subscription by number of addresses (iys-api.md §1).
type Package struct {
	Name  string
	Limit int // addresses; 0 = no upper limit
}

var packages = [...]Package{
	{"İLETİ-5", 5_000},
	{"İLETİ-25", 25_000},
	{"İLETİ-75", 75_000},
	{"İLETİ-150", 150_000},
	{"İLETİ-250", 250_000},
	{"İLETİ+", 0},
}

// Packages lists the packages, smallest first.
func Packages() []Package { return packages[:len(packages):len(packages)] }

// AddressCount is the number İYS bills: the larger of approved telephone
// numbers and approved e-mail addresses, not their sum.
func AddressCount(phones, emails int) int { return max(phones, emails, 0) }

// PackageFor returns the smallest package that holds n addresses.
func PackageFor(n int) Package {
	for _, p := range packages {
		if p.Limit == 0 || n <= p.Limit {
			return p
		}
	}
	return packages[len(packages)-1]
}

// DirectAccess reports whether a service provider with n addresses may use the
// İYS API without a licensed partner.
func DirectAccess(n int) bool { return PackageFor(n).Limit == 0 }

// PackageNamed finds the package a subscription names: "İleti-5 (Seviye 1)", "İLETİ-75", "İleti+" (iys-api.md §9.3).
func PackageNamed(name string) (Package, bool) {
	name = strings.NewReplacer("İ", "i", "I", "i", "ı", "i", " ", "").Replace(strings.ToUpper(name))
	rest, ok := strings.CutPrefix(strings.ToLower(name), "ileti")
	if !ok || rest == "" {
		return Package{}, false
	}
	if rest[0] == '+' {
		return packages[len(packages)-1], true
	}
	rest = strings.TrimPrefix(rest, "-")
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	thousands, err := strconv.Atoi(rest[:end])
	for _, p := range packages {
		if err == nil && thousands > 0 && p.Limit == thousands*1000 {
			return p, true
		}
	}
	return Package{}, false
}

// Sample is the address count of a day.
type Sample struct {
	At        time.Time `json:"at"`
	Addresses int       `json:"addresses"`
}

// forecastDays is how far back a forecast looks, and horizon how far ahead: what lies behind it is no forecast.
const (
	forecastDays = 60
	horizon      = 3 * 365 * 24 * time.Hour
)

// Forecast is the instant at which the count crosses the limit if it goes on as in the last sixty days (least squares). It is the last
// sample's own when the limit is crossed already; false when the count does not grow, is not known for two days, or would take more
// than three years.
func Forecast(series []Sample, limit int) (time.Time, bool) {
	if len(series) == 0 || limit <= 0 {
		return time.Time{}, false
	}
	last := series[len(series)-1]
	if last.Addresses > limit {
		return last.At, true
	}
	var n, sx, sy, sxx, sxy float64
	for _, s := range series {
		age := last.At.Sub(s.At)
		if age > forecastDays*24*time.Hour {
			continue
		}
		x, y := -age.Hours()/24, float64(s.Addresses)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	d := n*sxx - sx*sx
	if n < 2 || d == 0 {
		return time.Time{}, false
	}
	slope := (n*sxy - sx*sy) / d // addresses a day
	days := (float64(limit) + 1 - float64(last.Addresses)) / slope
	if slope <= 0 || math.IsInf(days, 0) || days > horizon.Hours()/24 {
		return time.Time{}, false
	}
	return last.At.Add(time.Duration(days * 24 * float64(time.Hour))), true
}
