package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// lookout is an output that tells when a text has been written.
type lookout struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
	want string
	seen chan struct{}
}

func newLookout(want string) *lookout { return &lookout{want: want, seen: make(chan struct{})} }

func (l *lookout) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := strings.Contains(l.text.String(), l.want)
	l.text.Write(p)
	if !before && strings.Contains(l.text.String(), l.want) {
		close(l.seen)
	}
	return len(p), nil
}

func (l *lookout) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await runs f until its output has the text, ends it, and returns all it said.
func await(t *testing.T, l *lookout, f func(ctx context.Context) error, then func()) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case <-l.seen:
		if then != nil {
			then()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	case err := <-done:
		t.Fatalf("it ended early: %v\n%s", err, l.String())
	case <-time.After(3 * time.Minute):
		t.Fatalf("it never said %q:\n%s", l.want, l.String())
	}
	return l.String()
}

// The demo shows mail as it promises: newsletters of two brands, a bounce and what it costs, an unsubscribe that reaches İYS.
func TestDemoShowsMail(t *testing.T) {
	out := newLookout("clicked unsubscribe")
	said := await(t, out, func(ctx context.Context) error {
		return demo(ctx, out, io.Discard, t.TempDir(), 10, func(string) string { return "127.0.0.1:0" })
	}, nil)
	for _, want := range []string{"A newsletter from Örnek", "A newsletter from Yıldız", "states map[dropped:2 sent:3]", "states map[dropped:4 sent:1]", "eski@musteri.example bounced (550 5.1.1): undelivered, and the next mail to it is dropped (suppressed)",
		"mehmet@musteri.example clicked unsubscribe: blocked here at once, and İYS now says RET (source HS_EPOSTA)"} {
		if !strings.Contains(said, want) {
			t.Errorf("the demo does not say %q:\n%s", want, said)
		}
	}
}

// The mail sink behaves as the recipient's name says and keeps what it takes.
func TestSimulateMailsink(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mails")
	out := newLookout("mail sink listens on ")
	cmd := newSimulateMailsinkCmd()
	cmd.SetArgs([]string{"--addr", "127.0.0.1:0", "--dir", dir})
	cmd.SetOut(out)
	cmd.SetErr(io.Discard)
	await(t, out, func(ctx context.Context) error { return cmd.ExecuteContext(ctx) }, func() {
		addr := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(out.String())
		if _, _, err := net.SplitHostPort(addr); err != nil {
			t.Fatal(err)
		}
		for to, code := range map[string]int{"ali@x.example": 250, "fail-550@x.example": 550, "later-451@x.example": 451} {
			c, err := smtp.Dial(addr)
			if err != nil {
				t.Fatal(err)
			}
			err = c.SendMail("b@y.example", []string{to}, strings.NewReader("Subject: x\r\n\r\nmerhaba\r\n"))
			if se, ok := err.(*smtp.SMTPError); code == 250 && err != nil || code != 250 && (!ok || se.Code != code) {
				t.Errorf("%s: %v, want %d", to, err, code)
			}
			_ = c.Close()
		}
	})
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("kept %v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil || !strings.HasPrefix(string(b), "X-Envelope-From: <b@y.example>\r\nX-Envelope-To: <ali@x.example>\r\n") || !strings.HasSuffix(string(b), "merhaba\r\n") {
		t.Errorf("%s holds %q, %v", files[0], b, err)
	}
}
