package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/store"
)

// shell runs commands on a data directory of its own.
type shell struct {
	t    *testing.T
	data string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	dir, err := os.MkdirTemp("", "iz") // t.TempDir may exceed the 107 octets of a socket path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("IZINLI_STORE_KEY_FILE", filepath.Join(dir, "key"))
	t.Setenv("IZINLI_STORE_MEMORY", "64 MiB")
	return &shell{t: t, data: filepath.Join(dir, "data")}
}

func (s *shell) try(stdin string, args ...string) (code int, out, errOut string) {
	s.t.Helper()
	var o, e bytes.Buffer
	code = run(s.t.Context(), append([]string{"--data", s.data}, args...), strings.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

// run returns what a command prints that must succeed; the last string may be standard input after "<".
func (s *shell) run(args ...string) string {
	s.t.Helper()
	stdin := ""
	if n := len(args); n > 2 && args[n-2] == "<" {
		stdin, args = args[n-1], args[:n-2]
	}
	code, out, errOut := s.try(stdin, args...)
	if code != 0 {
		s.t.Fatalf("%s: %s", strings.Join(args, " "), errOut)
	}
	return out
}

// fail runs a command that must fail, saying part.
func (s *shell) fail(part string, args ...string) {
	s.t.Helper()
	if code, out, errOut := s.try("", args...); code != 1 || !strings.Contains(errOut, part) {
		s.t.Errorf("%s: code %d, said %q (printed %q), want %q", strings.Join(args, " "), code, errOut, out, part)
	}
}

// has checks that the output has every part.
func (s *shell) has(out string, parts ...string) {
	s.t.Helper()
	for _, p := range parts {
		if !strings.Contains(out, p) {
			s.t.Errorf("%q is missing in\n%s", p, out)
		}
	}
}

func (s *shell) config() *configs.Config {
	s.t.Helper()
	cfg, err := configs.Load("", os.Environ())
	if err != nil {
		s.t.Fatal(err)
	}
	cfg.Data = s.data
	return &cfg
}

// serve offers the administration on the socket as a server does, over its own store, until the function returned is called.
func (s *shell) serve(st *store.Store) (stop func()) {
	s.t.Helper()
	ln, err := desk.Listen(desk.SocketPath(s.data))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	go func() { done <- desk.ServeSocket(ctx, ln, deskOf(st, log), log) }()
	return func() {
		cancel()
		if err := errors.Join(<-done, st.Close()); err != nil {
			s.t.Error(err)
		}
	}
}

func (s *shell) open() *store.Store {
	s.t.Helper()
	st, err := openStoreNoting(s.config(), slog.New(slog.DiscardHandler), &bytes.Buffer{})
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// Everything the demo seeds can be made by hand, on the store itself and through a running server alike.
func TestByHand(t *testing.T) {
	t.Run("without a server", func(t *testing.T) { byHand(t, newShell(t)) })
	t.Run("with a server", func(t *testing.T) {
		s := newShell(t)
		stop := s.serve(s.open())
		defer stop()
		byHand(t, s)
	})
}

var secretLine = regexp.MustCompile(`(?m)^secret: (\S+)$`)

func byHand(t *testing.T, s *shell) {
	s.has(s.run("account", "add", "--name", "Örnek A.Ş.", "--iys-code", "675403", "--mersis", "0123456789012345"), "1 ", "Örnek A.Ş.", "675403")
	s.has(s.run("account", "set", "1", "--quiet-from", "20:00", "--promotional", "hold"), "20:00", "675403")
	s.has(s.run("account", "suspend", "1"), "yes")
	s.has(s.run("account", "resume", "1"), "no")
	s.run("iys-link", "add", "--name", "main", "--username", "u", "--password-file", "-", "<", "gizli\n")
	s.has(s.run("iys-link", "set", "main", "--integrator-code", "700001"), "700001", "https://api.iys.org.tr")
	s.has(s.run("brand", "add", "--account", "1", "--code", "675403", "--name", "Örnek", "--iys", "main", "--sms-mode", "partner"), "partner", "closed")
	s.has(s.run("brand", "set", "675403", "--email-text", "Vakıf", "--email-document", "2026/1", "--email-user", "ayse",
		"--email-expires", "2099-12-31", "--email-mode", "exempt"), "exempt until 2099-12-31", "partner")
	s.has(s.run("brand", "set", "675403", "--email-mode", ""), "closed")
	s.run("sender", "add", "--account", "1", "--name", "ORNEK", "--brand", "675403")
	s.has(s.run("sender", "set", "ORNEK", "--account", "1", "--approved"), "ORNEK", "yes")

	key := secretLine.FindStringSubmatch(s.run("credential", "add", "--account", "1", "--kind", "api", "--classes", "commercial,otp", "--cidrs", "192.0.2.0/24,198.51.100.7"))
	if key == nil || !strings.HasPrefix(key[1], "izk_") {
		t.Fatalf("no key: %v", key)
	}
	s.run("credential", "add", "--account", "1", "--kind", "smpp", "--id", "ornek", "--secret-file", "-", "<", "secret-8\n")
	rotated := secretLine.FindStringSubmatch(s.run("credential", "rotate", "ornek", "--kind", "smpp"))
	if rotated == nil || len(rotated[1]) != 8 || rotated[1] == "secret-8" {
		t.Errorf("rotated: %v", rotated)
	}
	s.has(s.run("credential", "set", "ornek", "--kind", "smpp", "--classes", "transactional", "--reason", "order"), "transactional")
	s.run("number", "add", "--account", "1", "--number", "3338", "--keyword", "örnek", "--brand", "675403", "--system", "ornek")
	s.has(s.run("number", "list"), "3338", "ORNEK", "ornek")
	s.has(s.run("credential", "revoke", "ornek", "--kind", "smpp"), "yes")
	if list := s.run("credential", "list", "--json"); strings.Contains(list, key[1]) || strings.Contains(list, "secretHash") {
		t.Errorf("the list shows secrets: %s", list)
	}

	s.run("operator", "add", "--name", "op1", "--addr", "127.0.0.1:2775", "--system-id", "izinli", "--password-file", "-", "<", "pw")
	s.run("operator", "add", "--name", "backup", "--addr", "127.0.0.1:2776", "--system-id", "izinli")
	s.has(s.run("operator", "set", "op1", "--window", "50", "--enquire-link", "15s"), "50")
	s.run("route", "add", "--id", "default", "--operators", "op1:3,backup:1:1")
	s.has(s.run("route", "list"), "default", "any", "op1:3,backup:1:1")
	s.has(s.run("route", "set", "default", "--prefix", "+90"), "+90")
	s.has(s.run("route", "try", "05321234567", "--account", "1", "--class", "otp"), "otp to +905321234567 takes route default", "op1", "100 %")
	s.run("route", "add", "--id", "mine", "--account", "1", "--class", "otp", "--operators", "backup")
	s.has(s.run("route", "try", "05321234567", "--account", "1"), "route mine is for class otp")

	if got := secretLine.FindStringSubmatch(s.run("webhook", "set", "1", "--url", "https://example.com/h", "--events", "inbound")); got == nil {
		t.Error("the webhook's secret was not shown")
	}
	if out := s.run("webhook", "set", "1", "--paused"); strings.Contains(out, "secret:") || !strings.Contains(out, "https://example.com/h") {
		t.Errorf("got %s", out)
	}
	s.has(s.run("credit", "add", "1", "500", "--note", "invoice"), "credits", "500")
	s.has(s.run("credit", "add", "1", "--note", "slip", "--", "-100"), "400")
	s.has(s.run("credit", "show", "1"), "400")
	s.has(s.run("verify"), "no problems")

	s.run("number", "remove", "3338", "--keyword", "ÖRNEK")
	s.run("sender", "remove", "ORNEK", "--account", "1")
	s.run("webhook", "remove", "1")
	s.run("route", "remove", "mine")
	s.run("route", "remove", "default")
	s.run("operator", "remove", "op1")
	for _, n := range []string{"number", "sender", "webhook", "route"} {
		if got := s.run(n, "list", "--json"); strings.TrimSpace(got) != "[]" {
			t.Errorf("%s list: %s", n, got)
		}
	}
	refusals(s)
}

// refusals are told in one line that says what to do, and leave nothing behind.
func refusals(s *shell) {
	s.fail("başvuru numarası", "account", "add", "--name", "x", "--iys-code", "2023-004512")
	s.fail("12 digits", "account", "set", "1", "--mersis", "12 digits")
	s.fail("see \"izinli account list\"", "account", "set", "Örnek", "--name", "x")
	s.fail("Account 7 does not exist", "account", "suspend", "7")
	s.fail("self_managed rests on", "brand", "set", "675403", "--sms-mode", "self_managed")
	s.fail("There is no brand 9", "brand", "set", "9", "--name", "x")
	s.fail("system_id", "credential", "add", "--account", "1", "--kind", "smpp", "--id", "far too long a name")
	s.fail("is empty", "operator", "set", "backup", "--password-file", "-")
	s.fail("no such file", "operator", "set", "backup", "--password-file", "/does/not/exist")
	s.fail("operator[:weight[:rank]]", "route", "add", "--id", "r", "--operators", "op1:x")
	s.fail("give --url", "webhook", "set", "1", "--paused")
	s.fail("not a number of credits", "credit", "add", "1", "many", "--note", "x")
	s.fail("note is missing", "credit", "add", "1", "5")
	s.fail("26 letters", "message", "show", "x")
	s.fail("20 letters", "batch", "pause", "x")
	s.fail("The server must be running", "consent", "show", "+905321234567", "--account", "1", "--brand", "675403")
	s.fail("The server must be running", "consent", "add", "+905321234567", "--account", "1", "--brand", "675403")
	s.fail("The server must be running", "consent", "opt-out", "+905321234567", "--account", "1", "--brand", "675403")
	s.fail("The server must be running", "blacklist", "add", "+905321234567", "--account", "1")
	s.fail("The server must be running", "blacklist", "list", "--account", "1")
	s.fail("The server must be running", "message", "test", "+905321234567", "--account", "1", "--from", "ORNEK", "--text", "x")
	if help := s.run("--help"); !strings.Contains(help, "message test") {
		s.t.Errorf("the help does not say that a test message takes a server: %s", help)
	}
	s.fail("unknown command", "acount")
	s.fail("unknown flag", "account", "list", "--all")
	_, _, errOut := s.try("", "account", "suspend", "7", "--json")
	var e struct{ Code, Text, Field string }
	if err := json.Unmarshal([]byte(errOut), &e); err != nil || e.Code != "not_found" || e.Field != "account" {
		s.t.Errorf("under --json a refusal is JSON: %q, %v", errOut, err)
	}
	if list := s.run("account", "list", "--json"); strings.Count(list, `"id"`) != 1 {
		s.t.Errorf("a refused account exists: %s", list)
	}
}

// accept stores messages as intake does.
func accept(t *testing.T, st *store.Store, to ...string) gateway.BatchRef {
	t.Helper()
	now := time.Now()
	b := gateway.Batch{Account: 1, ID: gateway.BatchIDAt(now), Channel: "sms", Class: "commercial", From: "ORNEK", Text: "x", Count: len(to),
		SendAt: now, ValidUntil: now.Add(time.Hour)}
	a := &gateway.Acceptance{Batch: b, Credits: int64(len(to)), Segments: int64(len(to))}
	for i, n := range to {
		a.Recipients = append(a.Recipients, gateway.Recipient{Address: n, Segments: 1, State: gateway.StateQueued})
		a.Decisions = append(a.Decisions, gateway.Decision{Message: b.Ref().Message(uint32(i)), Kind: gateway.DecisionAccept, Verdict: "send", Rule: "consent_onay", At: now})
	}
	if err := st.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return b.Ref()
}

func TestMessagesByHand(t *testing.T) {
	s := newShell(t)
	s.run("account", "add", "--name", "Örnek")
	s.run("credit", "add", "1", "10", "--note", "n")
	st := s.open()
	ref := accept(t, st, "+905321234567", "+905321234568", "+905321234569")
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	id := ref.Message(0).String()
	out := s.run("message", "list", "--account", "1")
	s.has(out, id, "+90532*****67", "queued")
	if strings.Contains(out, "+905321234567") {
		t.Error("a list shows a whole address")
	}
	s.has(s.run("message", "list", "--account", "1", "--to", "0532 123 45 68", "--full", "--batch", ref.String()), "+905321234568")
	page := s.run("message", "list", "--account", "1", "--limit", "2")
	more := regexp.MustCompile(`--cursor (\S+)`).FindStringSubmatch(page)
	if more == nil {
		t.Fatalf("no cursor in\n%s", page)
	}
	if rest := s.run("message", "list", "--account", "1", "--cursor", more[1]); strings.Count(rest, "queued") != 1 {
		t.Errorf("the second page:\n%s", rest)
	}
	s.has(s.run("message", "show", id), "+905321234567", "accepted", "consent_onay", "accept", "/")
	s.has(s.run("batch", "show", ref.String()), "queued", "3")
	s.has(s.run("batch", "pause", ref.String()), "paused", "yes")
	s.has(s.run("batch", "resume", ref.String()), "queued")
	s.has(s.run("message", "cancel", id), "cancelled")
	s.fail("has left or is final", "message", "cancel", id)
	s.has(s.run("batch", "cancel", ref.String()), "2 messages")
	s.has(s.run("credit", "show", "1"), "refunded")
	s.has(s.run("verify"), "3 messages", "no problems")
	var m struct {
		Message struct{ State string }
	}
	if err := json.Unmarshal([]byte(s.run("message", "show", id, "--json")), &m); err != nil || m.Message.State != "cancelled" {
		t.Errorf("got %+v, %v", m, err)
	}
}

// broken is a service whose store has problems.
type broken struct{ desk.Service }

func (broken) Verify(context.Context, desk.Nothing) (desk.Report, error) {
	return desk.Report{Messages: 2, Problems: []string{"account 1: balance 5 is not added 3", "message x waits"}}, nil
}

func TestVerifyListsProblems(t *testing.T) {
	s := newShell(t)
	s.fail("there is no store", "verify")
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := desk.Listen(desk.SocketPath(s.data))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- desk.ServeSocket(ctx, ln, broken{}, slog.New(slog.DiscardHandler)) }()
	defer func() { cancel(); <-done }()
	for _, flag := range []string{"--json=false", "--json"} {
		code, out, errOut := s.try("", "verify", flag)
		if code != 1 || errOut != "" {
			t.Errorf("code %d, said %q; want 1 and the problems alone", code, errOut)
		}
		s.has(out, "balance 5 is not added 3", "message x waits")
	}
}

// The store key: made once and told; never made for a store that exists; a wrong, missing or open one is refused by name.
func TestStoreKey(t *testing.T) {
	s := newShell(t)
	keyFile := os.Getenv("IZINLI_STORE_KEY_FILE")
	code, _, errOut := s.try("", "account", "add", "--name", "x")
	if code != 0 || !strings.Contains(errOut, keyFile) || !strings.Contains(errOut, "Back this up") {
		t.Fatalf("code %d, said %q", code, errOut)
	}
	if _, _, errOut := s.try("", "account", "list"); errOut != "" {
		t.Errorf("the key was announced twice: %q", errOut)
	}
	fi, err := os.Stat(keyFile)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	good, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	s.fail("chmod 600", "account", "list")
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	s.fail(keyFile+" does not exist, but the store does", "account", "list")
	if _, err := os.Stat(keyFile); err == nil {
		t.Error("a new key was made for an old store")
	}
	if err := os.WriteFile(keyFile, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.fail("32 octets or 64 hex digits", "account", "list")
	if err := os.WriteFile(keyFile, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.fail("the key tried comes from the file "+keyFile, "account", "list")
	t.Setenv("IZINLI_STORE_KEY", "zz")
	s.fail("IZINLI_STORE_KEY does not hold a key", "account", "list")
	t.Setenv("IZINLI_STORE_KEY", strings.Repeat("cd", 32))
	s.fail("the key tried comes from IZINLI_STORE_KEY", "account", "list")
	t.Setenv("IZINLI_STORE_KEY", strings.TrimSpace(string(good)))
	s.has(s.run("account", "list"), "x") // the environment wins over the wrong file
}

// While somebody holds the store without a socket, a command says so and does nothing.
func TestLockedStore(t *testing.T) {
	s := newShell(t)
	st := s.open()
	s.fail("in use by another process", "account", "list")
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	s.run("account", "list")
}

func TestConfiguration(t *testing.T) {
	s := newShell(t)
	s.fail("no such file", "account", "list", "--config", "/does/not/exist.yaml")
	t.Setenv("IZINLI_QUEUE_REDDIS", "x")
	s.fail("did you mean IZINLI_QUEUE_REDIS?", "account", "list")
	s.has(s.run("version"), "izinli ", "go1")
}

// Every command has a summary, every command that makes or changes something an example.
func TestHelp(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no summary", c.CommandPath())
		}
		if n := c.Name(); (n == "add" || n == "set") && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		var out bytes.Buffer
		if code := run(t.Context(), append(strings.Fields(c.CommandPath())[1:], "--help"), nil, &out, &out); code != 0 || !strings.Contains(out.String(), "Usage:") {
			t.Errorf("%s --help: %d\n%s", c.CommandPath(), code, out.String())
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(newRoot())
}

func TestParseSteps(t *testing.T) {
	for in, want := range map[string]string{"op1": "op1", "op1:3,op2": "op1:3,op2", "a:1:2": "a:1:2", "a,b:2:1,": "a,b:2:1"} {
		steps, err := parseSteps(in)
		if got := stepsText(steps); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{":1", "a:b", "a:1:b", "a:1:2:3"} {
		if _, err := parseSteps(in); err == nil {
			t.Errorf("%q was taken for a list of operators", in)
		}
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"2026-12-31":                "2026-12-30T21:00:00Z", // the day begins in Istanbul
		"2026-12-31T10:00:00+03:00": "2026-12-31T07:00:00Z",
	} {
		got, err := parseTime(in)
		if err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: got %v, %v, want %s", in, got.UTC(), err, want)
		}
	}
	if _, err := parseTime("31.12.2026"); err == nil || !strings.Contains(err.Error(), "2026-12-31") {
		t.Errorf("got %v", err)
	}
}

// Evidence by hand: written, proved without the store, and not any more once something in it was changed.
func TestEvidenceByHand(t *testing.T) {
	s := newShell(t)
	s.run("account", "add", "--name", "Örnek")
	s.run("credit", "add", "1", "10", "--note", "n")
	st := s.open()
	ref := accept(t, st, "+905321234567")
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	id := ref.Message(0).String()
	dir := t.TempDir()
	file, page, roots := dir+"/dosya.json", dir+"/dosya.html", dir+"/kokler.json"
	s.run("evidence", id, "--out", file)
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want it for the owner alone", fi, err)
	}
	s.fail("file exists", "evidence", id, "--out", file)
	s.run("evidence", "0532 123 45 67", "--account", "1", "--html", "--out", page)
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	s.has(string(b), "Kanıt dosyası", "Evidence", id)
	s.has(s.run("roots"), "ROOT", "no")
	if err := os.WriteFile(roots, []byte(s.run("roots", "--json")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.has(s.run("evidence", "verify", file, "--roots", roots), "1 messages, 1 decisions proved", "0 of 1 days", "no problems")
	if b, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte("consent_onay"), []byte("consent_ret0"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--json=false", "--json"} {
		if code, out, _ := s.try("", "evidence", "verify", file, flag); code != 1 || !strings.Contains(out, "changed after it was made") || !strings.Contains(out, "says something else") {
			t.Errorf("a forged file: code %d\n%s", code, out)
		}
	}
	s.fail("is not such a file", "evidence", "verify", page)
	s.fail("26 letters", "evidence", "x")
	s.has(s.run("hold", "add", id, "--why", "2026/1"), "message "+id, "2026/1")
	s.has(s.run("hold", "add", "--account", "1", "--why", "2026/2"), "account 1")
	s.has(s.run("hold", "list"), "2026/1", "2026/2")
	s.fail("why is missing", "hold", "add", id)
	s.run("hold", "remove", id)
	s.fail("does not exist", "hold", "remove", id)
	s.has(s.run("verify"), "no problems", "sealed roots")
}
