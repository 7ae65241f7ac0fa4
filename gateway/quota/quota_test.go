package quota

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
)

// books is a store with counts that a test sets.
type books struct {
	phones, emails int
	counted        int
	named          map[string][]byte
}

func (b *books) Directory() *gateway.Directory {
	d := gateway.NewDirectory()
	d.Accounts[1] = &gateway.Account{ID: 1, IYSCode: 675403}
	return d
}

func (b *books) AddressCounts(context.Context, gateway.AccountID) (int, int, error) {
	b.counted++
	return b.phones, b.emails, nil
}
func (b *books) Named(name string) ([]byte, bool, error) { v, ok := b.named[name]; return v, ok, nil }
func (b *books) PutNamed(name string, v []byte) error    { b.named[name] = v; return nil }

func TestPackages(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		why            string
		phones, emails int
		sub            *Subscription
		fail           error
		channel        string
		rows           int
		want           gateway.PackageReport
		refused        string
	}{
		{why: "İYS tells the limit", phones: 4800, emails: 100, sub: &Subscription{Package: "İleti-5 (Seviye 1)", Limit: 5000, Used: 4900}, channel: "MESAJ", rows: 300,
			want: gateway.PackageReport{Addresses: 4900, Package: "İleti-5 (Seviye 1)", Limit: 5000, From: "iys"}, refused: "4900 of 5000 addresses are used, and it has up to 300"},
		{why: "İYS knows addresses that we do not", phones: 100, sub: &Subscription{Package: "İleti-5", Limit: 5000, Used: 4900}, channel: "MESAJ", rows: 101,
			want: gateway.PackageReport{Addresses: 4900, Package: "İleti-5", Limit: 5000, From: "iys"}, refused: "4900 of 5000 addresses are used, and it has up to 101"},
		{why: "and there is room beside them", phones: 100, sub: &Subscription{Package: "İleti-5", Limit: 5000, Used: 4900}, channel: "MESAJ", rows: 100,
			want: gateway.PackageReport{Addresses: 4900, Package: "İleti-5", Limit: 5000, From: "iys"}},
		{why: "room enough", phones: 4000, sub: &Subscription{Package: "İleti-5", Limit: 5000}, channel: "MESAJ", rows: 1000,
			want: gateway.PackageReport{Addresses: 4000, Package: "İleti-5", Limit: 5000, From: "iys"}},
		{why: "the other kind of address costs nothing below the larger count", phones: 4900, emails: 100, sub: &Subscription{Limit: 5000}, channel: "EPOSTA", rows: 3000,
			want: gateway.PackageReport{Addresses: 4900, Limit: 5000, From: "iys"}},
		{why: "İYS takes more than the limit", phones: 4900, sub: &Subscription{Limit: 5000, Exceed: true}, channel: "MESAJ", rows: 300,
			want: gateway.PackageReport{Addresses: 4900, Limit: 5000, Exceed: true, From: "iys"}},
		{why: "a partner is told the name alone", phones: 24_900, sub: &Subscription{Package: "İleti-25 (Seviye 2)"}, channel: "MESAJ", rows: 101,
			want: gateway.PackageReport{Addresses: 24_900, Package: "İleti-25 (Seviye 2)", Limit: 25_000, From: "name"}, refused: "H525"},
		{why: "the largest has no end", phones: 999_999, sub: &Subscription{Package: "İleti+"}, channel: "MESAJ", rows: 1_000_000,
			want: gateway.PackageReport{Addresses: 999_999, Package: "İleti+", From: "name"}},
		{why: "nobody tells", phones: 4900, channel: "MESAJ", rows: 300, want: gateway.PackageReport{Addresses: 4900, Package: "İLETİ-5", Limit: 5000, From: "count"}},
		{why: "İYS does not answer", phones: 4900, fail: errors.New("away"), channel: "MESAJ", rows: 300,
			want: gateway.PackageReport{Addresses: 4900, Package: "İLETİ-5", Limit: 5000, From: "count"}},
	} {
		b := &books{phones: c.phones, emails: c.emails, named: map[string][]byte{}}
		s := New(b, func(context.Context, *gateway.Account) (*Subscription, error) { return c.sub, c.fail }, func() time.Time { return now }, slog.New(slog.DiscardHandler))
		got, err := s.Report(ctx, 1)
		c.want.Account, c.want.At, c.want.Phones, c.want.Emails = 1, now, c.phones, c.emails
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v %v, want %+v", c.why, got, err, c.want)
		}
		err = s.Admit(ctx, 1, c.channel, c.rows)
		var e *gateway.Error
		switch {
		case c.refused == "" && err != nil:
			t.Errorf("%s: refused: %v", c.why, err)
		case c.refused != "" && (!errors.As(err, &e) || e.Code != gateway.CodeConflict || e.Field != "overQuota" || !strings.Contains(e.Text, c.refused)):
			t.Errorf("%s: got %v, want a conflict with %q", c.why, err, c.refused)
		}
		if b.counted != 1 {
			t.Errorf("%s: counted %d times within the hour", c.why, b.counted)
		}
	}
}

// TestFilesOneAfterTheOther: what was let in and is on its way to İYS counts until the addresses are counted anew.
func TestFilesOneAfterTheOther(t *testing.T) {
	ctx := context.Background()
	b := &books{phones: 4000, named: map[string][]byte{}}
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	s := New(b, func(context.Context, *gateway.Account) (*Subscription, error) {
		return &Subscription{Package: "İleti-5", Limit: 5000, Used: 4000}, nil
	}, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	for i, c := range []struct {
		after   time.Duration
		channel string
		rows    int
		refused string
	}{
		{0, "MESAJ", 600, ""},
		{time.Minute, "MESAJ", 600, "files of the last hour may bring 600"},
		{time.Minute, "EPOSTA", 600, ""}, // another kind of address
		{time.Minute, "MESAJ", 400, ""},
		{time.Minute, "MESAJ", 1, "may bring 1000"},
		{time.Hour, "MESAJ", 1000, ""}, // counted anew: nothing came of them
	} {
		now = now.Add(c.after)
		err := s.Admit(ctx, 1, c.channel, c.rows)
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("file %d: %v, want %q", i, err, c.refused)
		}
	}
}

// TestForecastFromSamples: one sample a day, and the day that is coming.
func TestForecastFromSamples(t *testing.T) {
	b := &books{named: map[string][]byte{}}
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	s := New(b, nil, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	var r gateway.PackageReport
	for day := range 30 {
		b.phones = 4000 + 10*day
		var err error
		if r, err = s.Report(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		if day < 29 {
			now = now.Add(24 * time.Hour)
		}
	}
	// 4290 today, 10 more a day: 5001 in 71.1 days.
	if want := now.Add(time.Duration(71.1 * 24 * float64(time.Hour))); r.Crosses.Sub(want).Abs() > time.Minute {
		t.Errorf("the limit is crossed %v, want %v", r.Crosses, want)
	}
	if _, err := s.Report(context.Background(), 2); err == nil {
		t.Error("an account that does not exist has a report")
	}
}
