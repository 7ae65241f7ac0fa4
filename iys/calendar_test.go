package iys

import (
	"strings"
	"testing"
	"time"
)

func day(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.ParseInLocation("2006-01-02", s, Istanbul)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeadline(t *testing.T) {
	// regulation.md §6, test vectors.
	tests := []struct{ receipt, deadline, why string }{
		{"2026-11-20", "2026-11-25", "weekend"},
		{"2026-10-27", "2026-11-02", "28 Oct counts, 29 Oct holiday, weekend"},
		{"2026-10-28", "2026-11-03", "29 Oct, weekend"},
		{"2026-03-18", "2026-03-24", "eve counts, Ramazan, weekend"},
		{"2026-03-19", "2026-03-25", "received on the eve"},
		{"2026-05-25", "2026-06-02", "eve counts, Kurban, Sunday"},
		{"2026-07-14", "2026-07-20", "15 July"},
		{"2026-12-30", "2027-01-05", "1 January"},
		{"2027-03-06", "2027-03-15", "received on a weekend, Ramazan"},
		{"2027-04-21", "2027-04-27", "23 April"},
		{"2027-05-13", "2027-05-21", "Kurban with 19 May inside"},
		{"2028-04-28", "2028-05-04", "1 May"},
	}
	cal := DefaultCalendar()
	for _, tt := range tests {
		for _, hour := range []time.Duration{0, 12 * time.Hour, 24*time.Hour - time.Second} {
			got := FormatTime(cal.Deadline(day(t, tt.receipt).Add(hour)))
			if want := tt.deadline + " 23:59:59"; got != want {
				t.Errorf("%s + %v (%s): got %s, want %s", tt.receipt, hour, tt.why, got, want)
			}
		}
	}
}

func TestDeadlineReadsIstanbulDays(t *testing.T) {
	// 22:30 UTC on Thursday is already Friday in Turkey.
	got := FormatTime(DefaultCalendar().Deadline(time.Date(2026, 11, 19, 22, 30, 0, 0, time.UTC)))
	if want := "2026-11-25 23:59:59"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestExpired(t *testing.T) {
	cal, got := DefaultCalendar(), day(t, "2026-11-20").Add(10*time.Hour)
	last := day(t, "2026-11-25").Add(24*time.Hour - time.Millisecond)
	if cal.Expired(got, last) {
		t.Error("expired within its last second")
	}
	if !cal.Expired(got, last.Add(time.Millisecond)) {
		t.Error("not expired at midnight")
	}
}

func TestEmbeddedTableHasWholeBayrams(t *testing.T) {
	count := map[string]int{}
	for line := range strings.Lines(holidayTable) {
		date, name, ok := strings.Cut(strings.TrimSpace(line), ",")
		if ok && len(date) == 10 && date[4] == '-' && date[0] == '2' {
			count[date[:4]+" "+name]++
		}
	}
	for year := 2025; year <= 2032; year++ {
		y := time.Date(year, 1, 1, 0, 0, 0, 0, Istanbul).Format("2006")
		if got := count[y+" Ramazan Bayramı"]; got != 3 {
			t.Errorf("%s: got %d days of Ramazan, want 3", y, got)
		}
		if got := count[y+" Kurban Bayramı"]; got != 4 {
			t.Errorf("%s: got %d days of Kurban, want 4", y, got)
		}
	}
	if DefaultCalendar().Business(day(t, "2016-07-15")) != true || DefaultCalendar().Business(day(t, "2019-07-15")) {
		t.Error("15 July is a holiday from 2017 on")
	}
}

func TestParseCalendarRefuses(t *testing.T) {
	for _, bad := range []string{"2026-13-01,x", "2026-02-30,x", "26-01-01,x", "tomorrow", "*-1-1", "2026/01/01", "x", "20x6+-01-01"} {
		if _, err := ParseCalendar("*-01-01,ok\n" + bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	if _, err := ParseCalendar("# note\n\n*-01-01,ok\n*-02-29,leap\n2024-02-29,leap\n"); err != nil {
		t.Errorf("good table: %v", err)
	}
}

// Days an operator adds count beside the embedded ones, which stay as they are.
func TestCalendarWith(t *testing.T) {
	more, err := DefaultCalendar().With("2026-11-23,declared\n2033-01-02,Ramazan Bayramı\n")
	if err != nil {
		t.Fatal(err)
	}
	receipt := day(t, "2026-11-20")
	if got, want := FormatTime(more.Deadline(receipt)), "2026-11-26 23:59:59"; got != want {
		t.Errorf("with a day more: got %s, want %s", got, want)
	}
	if got, want := FormatTime(DefaultCalendar().Deadline(receipt)), "2026-11-25 23:59:59"; got != want {
		t.Errorf("the embedded table: got %s, want %s", got, want)
	}
	if more.Business(day(t, "2026-10-29")) {
		t.Error("an embedded day is forgotten")
	}
	if _, err := DefaultCalendar().With("*-01-01,ok\n2026-13-01,x"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a day there is not: got %v, want its line", err)
	}
}

func FuzzParseCalendar(f *testing.F) {
	f.Add(holidayTable)
	f.Add("2017+-07-15,x\n*-02-29")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCalendar(s)
		if err == nil && !c.Deadline(noon.AddDate(200, 0, 0)).After(noon) {
			t.Error("a deadline lies before its receipt")
		}
	})
}

func TestPackages(t *testing.T) {
	// İYS bills the larger of the two counts: 200 000 e-mails and 150 000
	// phones are 200 000.
	if got := AddressCount(150_000, 200_000); got != 200_000 {
		t.Errorf("got %d, want 200000", got)
	}
	for n, want := range map[int]string{
		0: "İLETİ-5", 5_000: "İLETİ-5", 5_001: "İLETİ-25", 25_001: "İLETİ-75",
		150_000: "İLETİ-150", 250_000: "İLETİ-250", 250_001: "İLETİ+",
	} {
		if got := PackageFor(n).Name; got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	if DirectAccess(250_000) || !DirectAccess(250_001) {
		t.Error("direct access begins above 250 000 addresses")
	}
}
