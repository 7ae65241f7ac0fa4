package iys

import (
	"strings"
	"testing"
	"time"
)

func TestRefuse(t *testing.T) {
	base := Consent{
		Key:    Key{Brand: "100001", Channel: ChannelSMS, RecipientType: RecipientPerson, Recipient: "+905321234567"},
		Status: StatusApproved, Source: SourceHSWeb, ConsentDate: noon.Add(-time.Hour),
	}
	approved := Stored{Known: true, Status: StatusApproved, ConsentDate: noon.Add(-2 * time.Hour)}
	rejected := Stored{Known: true, Status: StatusRejected, ConsentDate: noon.Add(-2 * time.Hour)}
	none := Stored{Known: true, NoRecord: true}
	tests := []struct {
		name string
		edit func(c *Consent)
		s    Stored
		want string
	}{
		{"a good approval", func(c *Consent) {}, none, ""},
		{"a good approval, nothing known", func(c *Consent) {}, Stored{}, ""},
		{"a later approval", func(c *Consent) {}, approved, ""},
		{"an approval after RET", func(c *Consent) {}, rejected, ""},
		{"a RET after approval", func(c *Consent) { c.Status = "RET" }, approved, ""},
		{"a first RET", func(c *Consent) { c.Status = "RET" }, none, "H175"},
		{"a second RET", func(c *Consent) { c.Status = "RET" }, rejected, "H174"},
		{"a RET for what a list look-up did not name", func(c *Consent) { c.Status = "RET" }, Stored{Known: true, Status: StatusNotApproved}, "H175"},
		{"equal date", func(c *Consent) { c.ConsentDate = approved.ConsentDate }, approved, "H178"},
		{"same second", func(c *Consent) { c.ConsentDate = approved.ConsentDate.Add(999 * time.Millisecond) }, approved, "H178"},
		{"older RET", func(c *Consent) { c.Status = "RET"; c.ConsentDate = noon.Add(-3 * time.Hour) }, approved, "H178"},
		{"future", func(c *Consent) { c.ConsentDate = noon.Add(time.Second) }, none, "H162"},
		{"this second", func(c *Consent) { c.ConsentDate = noon }, none, ""},
		{"before 2015", func(c *Consent) { c.ConsentDate = earliest.Add(-time.Second) }, none, "H156"},
		{"older than three business days", func(c *Consent) { c.ConsentDate = noon.AddDate(0, 0, -4) }, none, "H467"},
		{"exactly three business days", func(c *Consent) { c.ConsentDate = noon.AddDate(0, 0, -3) }, none, ""},
		{"HS_2015 with another date", func(c *Consent) { c.Source = SourceHS2015 }, none, "H155"},
		{"HS_2015 today", func(c *Consent) { c.Source = SourceHS2015; c.ConsentDate = earliest }, none, "H467"},
		{"İYS source", func(c *Consent) { c.Source = SourceIYSWeb }, none, "H119"},
		{"removed source", func(c *Consent) { c.Source = "HS_TACIR" }, none, "H119"},
		{"HS_KARAR approving", func(c *Consent) { c.Source = SourceHSDecision }, approved, "H408"},
		{"HS_KARAR rejecting", func(c *Consent) { c.Source = SourceHSDecision; c.Status = "RET" }, approved, ""},
		{"HS_KARAR first", func(c *Consent) { c.Source = SourceHSDecision; c.Status = "RET" }, none, "H486"},
		{"status of ours", func(c *Consent) { c.Status = StatusNotApproved }, none, "H115"},
		{"no status", func(c *Consent) { c.Status = "" }, none, "H110"},
		{"no channel", func(c *Consent) { c.Channel = "" }, none, "H111"},
		{"bad channel", func(c *Consent) { c.Channel = "SMS" }, none, "H117"},
		{"no date", func(c *Consent) { c.ConsentDate = time.Time{} }, none, "H112"},
		{"no source", func(c *Consent) { c.Source = "" }, none, "H113"},
		{"no recipient", func(c *Consent) { c.Recipient = "" }, none, "H114"},
		{"old recipient type", func(c *Consent) { c.RecipientType = "KURUMSAL" }, none, "H116"},
		{"3000 dealers", func(c *Consent) { c.RetailerAccess = make([]int, 3000) }, none, ""},
		{"3001 dealers", func(c *Consent) { c.RetailerAccess = make([]int, 3001) }, none, "H126"},
		{"phone without plus", func(c *Consent) { c.Recipient = "905321234567" }, none, "H121"},
		{"e-mail for a phone", func(c *Consent) { c.Recipient = "a@bb.cc" }, none, "H121"},
		{"phone for an e-mail", func(c *Consent) { c.Channel = ChannelEmail }, none, "H120"},
		{"merchant, first, bare", func(c *Consent) { c.RecipientType, c.Source, c.ConsentDate = "TACIR", "", time.Time{} }, none, ""},
		{"merchant, update without date", func(c *Consent) { c.RecipientType, c.ConsentDate = "TACIR", time.Time{} }, approved, "H462"},
		{"merchant, update without source", func(c *Consent) { c.RecipientType, c.Source = "TACIR", "" }, approved, "H463"},
		{"merchant, update with both", func(c *Consent) { c.RecipientType = "TACIR" }, approved, ""},
	}
	for _, tt := range tests {
		c := base
		tt.edit(&c)
		got := ""
		if r := Refuse(c, tt.s, noon, DefaultCalendar()); r != nil {
			got = r.Code
			if r.Turkish == "" || r.English == "" || !strings.Contains(r.Error(), r.Code) {
				t.Errorf("%s: refusal %s without sentences", tt.name, r.Code)
			}
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestParseTime(t *testing.T) {
	got, r := ParseTime("2026-03-02 10:07:07")
	if r != nil || !got.Equal(time.Date(2026, 3, 2, 7, 7, 7, 0, time.UTC)) {
		t.Errorf("got %v %v", got, r)
	}
	for in, want := range map[string]string{
		"2026-15-02 10:07:07": "H157", "2026-02-30 10:07:07": "H157", "2026-02-03 25:00:00": "H157",
		"": "H158", "2026-03-02T10:07:07": "H158", "2026-03-02": "H158", "2026-03-02 10:07:0a": "H158", "02.03.2026 10:07:07": "H158",
	} {
		if _, r := ParseTime(in); r == nil || r.Code != want {
			t.Errorf("%q: got %v, want %s", in, r, want)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	f.Add("2026-03-02 10:07:07")
	f.Add("2026-03-02 24:00:00")
	f.Fuzz(func(t *testing.T, s string) {
		at, r := ParseTime(s)
		if r == nil && FormatTime(at) != s {
			t.Errorf("%q reads back as %q", s, FormatTime(at))
		}
	})
}

func TestNormalizeRecipient(t *testing.T) {
	tests := []struct {
		ch             Channel
		in, want, code string
	}{
		{ChannelSMS, "+905321234567", "+905321234567", ""},
		{ChannelSMS, " +905321234567 ", "+905321234567", ""},
		{ChannelCall, "+902121230000", "+902121230000", ""},
		{ChannelSMS, "+9005321234567", "", "H121"},
		{ChannelSMS, "05321234567", "", "H121"},
		{ChannelSMS, "+05321234567", "", "H121"},
		{ChannelSMS, "+9053212345678901", "", "H121"},
		{ChannelEmail, "Ad.Soyad+Etiket@Ornek.Com.TR", "ad.soyad+etiket@ornek.com.tr", ""},
		{ChannelEmail, "-basta@ornek.com", "-basta@ornek.com", ""},
		{ChannelEmail, "a@b.c", "", "H120"},
		{ChannelEmail, "şule@ornek.com", "", "H120"},
		{ChannelEmail, "a b@ornek.com", "", "H120"},
		{ChannelEmail, "a@-ornek.com", "", "H120"},
		{ChannelEmail, strings.Repeat("a", 260) + "@ab.cc", "", "H120"},
		{ChannelEmail, "", "", "H114"},
		{"SMS", "+905321234567", "", "H117"},
	}
	for _, tt := range tests {
		got, r := NormalizeRecipient(tt.ch, tt.in)
		code := ""
		if r != nil {
			code = r.Code
		}
		if got != tt.want || code != tt.code {
			t.Errorf("%s %q: got %q %q, want %q %q", tt.ch, tt.in, got, code, tt.want, tt.code)
		}
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"+905321234567": "+90532***67", "a.b@ornek.com": "a***@ornek.com", "1234": "***", "": "***", "@x": "***",
	} {
		if got := Mask(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
