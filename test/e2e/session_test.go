//go:build e2e

package e2e

import (
	"context"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"izinli/configs"
	"izinli/test/stage"
)

// A submission session as a mail program holds it all day, by Python's smtplib: every message that was answered 250 arrives once, and
// a session that falls silent ends with 421 after limits.idleTimeout and not before.
func TestLongSession(t *testing.T) {
	python := stage.Peer(t, "python3")
	s := stage.New(t, stage.WithConfig(func(c *configs.Config) { c.Limits.IdleTimeout = configs.Duration(3 * time.Second) }))
	s.MailConsent(s.Seeds.Brand, "BIREYSEL", "evet@example.com", "ONAY")
	s.Run()
	m := s.Seeds.Mail
	host, port, err := net.SplitHostPort(s.Server.Addrs["smtp"])
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.MailCert}), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, "../peers/session.py", host, port, ca, m.User, m.Password, "bulten@"+m.Domain, "evet@example.com",
		"yok@example.com", "1.5").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Fatalf("%v\n%s", err, out)
	}
	seen := map[string]int{}
	s.AwaitMail("evet@example.com", 5)
	for _, got := range s.Mails("evet@example.com") {
		for n := range 5 {
			if id := "<oturum-" + string(rune('1'+n)) + "@laptop.example>"; strings.Contains(string(got.Body), id) {
				seen[id]++
			}
		}
		if !strings.Contains(string(got.Body), "\r\n.nokta ile ba=C5=9Flayan sat=C4=B1r\r\n") {
			t.Errorf("the text was changed:\n%s", got.Body)
		}
	}
	if len(seen) != 5 || len(s.Mails("evet@example.com")) != 5 {
		t.Errorf("arrived: %v, want five messages once each", seen)
	}
	if got := s.Server.SMTP.Metrics(); got.Logins["SCRAM-SHA-256"]+got.Logins["PLAIN"]+got.Logins["LOGIN"] != 3 {
		t.Errorf("logins %v, want 3", got.Logins)
	}
}
