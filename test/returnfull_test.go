package test

import (
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"izinli/gateway/mail"
	"izinli/test/stage"
)

// returnedPart is the third part of a notification: its type, and its text.
func returnedPart(t *testing.T, s *stage.Stage, n int) (media, text string) {
	t.Helper()
	got, h := s.AwaitMail("bulten@"+s.Seeds.Mail.Domain, n)
	if mail.High(got.Body) {
		t.Errorf("a notification with octets above 127:\n%s", got.Body)
	}
	_, params, err := mime.ParseMediaType(h.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(h.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err != nil {
			t.Fatalf("%v in\n%s", err, got.Body)
		}
		media, _, _ = mime.ParseMediaType(p.Header.Get("Content-Type"))
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		if media == "message/rfc822" || media == "text/rfc822-headers" {
			return media, string(b)
		}
	}
}

// With RET=FULL a failure returns the whole message, also an 8-bit one, as long as it is of a size one returns; else, and for what was
// no failure, the header (RFC 3461 §4.3).
func TestReturnFull(t *testing.T) {
	const gone, good, dropped = "fail-550-4@example.com", "var@example.com", "yok@example.com"
	s := mailStage(t, nil, gone, good)
	m := s.Seeds.Mail
	small := strings.Replace(mailText, "X-Message-Class: commercial\n", "", 1) + "Günün sözü\n"
	large := small + strings.Repeat(strings.Repeat("x", 70)+"\n", mail.MaxReturned/70)
	signed := "From: bulten@" + m.Domain + "\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\nGünün sözü\n--b--\n"
	seen := 0
	for _, c := range []struct {
		why, raw string
		ret      smtp.DSNReturn
		wishes   map[string][]smtp.DSNNotify
		media    string
	}{
		{"refused by the next hop", small, smtp.DSNReturnFull, map[string][]smtp.DSNNotify{gone: nil, good: nil}, "message/rfc822"},
		{"dropped beside one who gets it", small, smtp.DSNReturnFull, map[string][]smtp.DSNNotify{dropped: nil, good: nil}, "message/rfc822"},
		{"too large", large, smtp.DSNReturnFull, map[string][]smtp.DSNNotify{dropped: nil, good: nil}, "text/rfc822-headers"},
		{"not asked for", small, smtp.DSNReturnHeaders, map[string][]smtp.DSNNotify{dropped: nil, good: nil}, "text/rfc822-headers"},
		{"signed and 8-bit", signed, smtp.DSNReturnFull, map[string][]smtp.DSNNotify{dropped: nil, good: nil}, "text/rfc822-headers"},
	} {
		raw := c.raw
		if c.why == "signed and 8-bit" {
			raw = strings.Replace(raw, "Subject: x", "X-Message-Class: transactional\nSubject: x", 1)
			c.wishes = map[string][]smtp.DSNNotify{"fail-550-5@example.com": nil, good: nil}
		}
		submitReturn(t, s, m.MixedUser, m.MixedPass, raw, c.ret, c.wishes)
		seen++
		media, text := returnedPart(t, s, seen)
		if media != c.media || !strings.Contains(text, "From: ") {
			t.Errorf("%s: %s, want %s:\n%.2000s", c.why, media, c.media, text)
		}
		if whole := media == "message/rfc822"; whole != strings.Contains(text, "G=C3=BCn=C3=BCn s=C3=B6z=C3=BC") || strings.Contains(text, "Bcc") {
			t.Errorf("%s: returned\n%.2000s", c.why, text)
		}
	}
}
