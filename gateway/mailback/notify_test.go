package mailback

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/mail"
	"izinli/gateway/mailbody"
)

// books is what a notifier works with: what is owed, the bodies, and the door it submits at.
type books struct {
	gateway.BodyStore
	gateway.Submitter
	owed   []gateway.NoticeDue
	bodies map[string]any // octets, or the error of reading them
	put    []byte         // the last notification written
	sent   map[string]string
	refuse map[string]error // by addressee

	delayErr error
}

func (b *books) OweDelays(context.Context, time.Time, int) (bool, error) { return false, b.delayErr }

func (b *books) Notices(_ context.Context, after gateway.MessageID, limit int) (page []gateway.NoticeDue, _ error) {
	for _, d := range b.owed { // in order of accounts
		if d.Message.Account > after.Account && len(page) < limit {
			page = append(page, d)
		}
	}
	return page, nil
}

func (b *books) NoticesSent(_ context.Context, list []gateway.NoticeDue) error {
	b.owed = slices.DeleteFunc(b.owed, func(d gateway.NoticeDue) bool {
		return slices.ContainsFunc(list, func(x gateway.NoticeDue) bool { return x.Message == d.Message })
	})
	return nil
}

func (b *books) Open(_ context.Context, ref gateway.BodyRef) (io.ReadCloser, error) {
	switch v := b.bodies[ref.ID].(type) {
	case error:
		return nil, v
	case []byte:
		return io.NopCloser(bytes.NewReader(v)), nil
	case io.Reader:
		return io.NopCloser(v), nil
	}
	return nil, fs.ErrNotExist
}

func (b *books) Put(_ context.Context, r io.Reader) (ref gateway.BodyRef, err error) {
	b.put, err = io.ReadAll(r)
	return gateway.BodyRef{ID: "n", Size: int64(len(b.put))}, err
}

func (b *books) Submit(_ context.Context, s *gateway.Submission) (gateway.Result, error) {
	to := s.To[0].Address
	if err := b.refuse[to]; err != nil {
		return gateway.Result{}, err
	}
	b.sent[to] = string(b.put)
	return gateway.Result{Accepted: 1}, nil
}

// owe notes an expired mail of an account, submitted with RET=FULL by an address of that name.
func (b *books) owe(name string, body any) {
	n := gateway.AccountID(len(b.owed) + 1)
	batch := &gateway.Batch{Account: n, ID: letter.Batch, Body: gateway.BodyRef{ID: name, Size: 100}, Headers: map[string]string{
		mail.MarkFrom: name + "@ornek.example", mail.MarkReturn: "FULL", mail.MarkHead: "Subject: " + name + "\r\n"}}
	b.owed = append(b.owed, gateway.NoticeDue{Message: batch.Ref().Message(0), Batch: batch, Recipient: &gateway.Recipient{Address: "ali@alici.example"},
		State: gateway.StateExpired, Full: true, At: time.Unix(1_800_000_000, 0)})
	b.bodies[name] = body
}

func newBooks() (*books, *Notifier) {
	b := &books{bodies: map[string]any{}, sent: map[string]string{}, refuse: map[string]error{}}
	return b, NewNotifier("mx.izinli.example", time.Hour, b, b, b, nil, nil)
}

const whole = "Subject: x\r\nFrom: a@ornek.example\r\n\r\nMerhaba\r\n"

// A body that cannot be read costs its own notification the message it returns, and no other one anything.
func TestUnreadableBodyHoldsUpNobody(t *testing.T) {
	b, n := newBooks()
	b.owe("damaged", mailbody.ErrDamaged)
	b.owe("broken", io.MultiReader(strings.NewReader(whole), &failing{}))
	b.owe("gone", fs.ErrNotExist)
	b.owe("good", []byte(whole))
	if _, err := n.round(t.Context()); err != nil {
		t.Error(err)
	}
	for name, full := range map[string]bool{"damaged": false, "broken": false, "gone": false, "good": true} {
		got := b.sent[name+"@ornek.example"]
		if !strings.Contains(got, "Action: failed") || strings.Contains(got, "message/rfc822\r\n\r\n"+whole) != full ||
			strings.Contains(got, "text/rfc822-headers\r\n\r\nSubject: "+name+"\r\n") == full {
			t.Errorf("%s is told:\n%s", name, got)
		}
	}
	if len(b.owed) != 0 {
		t.Errorf("%d are owed still", len(b.owed))
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

// A notification the gateway cannot take now is tried again; those behind it go out.
func TestRefusedNotificationHoldsUpNobody(t *testing.T) {
	b, n := newBooks()
	b.owe("first", []byte(whole))
	b.owe("second", []byte(whole))
	b.refuse["first@ornek.example"] = gateway.Refuse(gateway.CodeUnavailable, "", "")
	_, err := n.round(t.Context())
	if err == nil || !strings.Contains(err.Error(), b.owed[0].Batch.Ref().String()) {
		t.Errorf("the round says %v", err)
	}
	if len(b.owed) != 1 || b.sent["second@ornek.example"] == "" {
		t.Errorf("%d are owed, sent %d", len(b.owed), len(b.sent))
	}
	clear(b.refuse)
	if _, err := n.round(t.Context()); err != nil || len(b.owed) != 0 || b.sent["first@ornek.example"] == "" {
		t.Errorf("%v, %d are owed", err, len(b.owed))
	}
}

// However many cannot be sent now, those behind them go out: at once where others before them did, in the next round otherwise. Then the
// first have their turn again.
func TestManyRefusedNotificationsHoldUpNobody(t *testing.T) {
	b, n := newBooks()
	const stuck = perRound + 1
	for i := range stuck + 2*perRound {
		name := strconv.Itoa(i)
		if b.owe(name, []byte(whole)); i < stuck {
			b.refuse[name+"@ornek.example"] = gateway.Refuse(gateway.CodeUnavailable, "", "")
		}
	}
	for i, want := range []struct {
		more bool
		sent int
	}{{false, 0}, {true, perRound - 1}, {true, 2*perRound - 1}, {true, 2 * perRound}, {false, 2 * perRound}, {false, 2 * perRound}} {
		if more, err := n.round(t.Context()); more != want.more || len(b.sent) != want.sent {
			t.Errorf("round %d: sent %d, more %t (%v); want %d, %t", i, len(b.sent), more, err, want.sent, want.more)
		}
	}
	clear(b.refuse)
	for i := 0; i < 3 && len(b.owed) > 0; i++ {
		if _, err := n.round(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if len(b.owed) != 0 {
		t.Errorf("%d are owed still", len(b.owed))
	}
}

// Nor does what goes wrong with delays.
func TestFailedDelaysHoldUpNobody(t *testing.T) {
	b, n := newBooks()
	b.owe("good", []byte(whole))
	b.delayErr = errors.New("no delays")
	if _, err := n.round(t.Context()); !errors.Is(err, b.delayErr) || len(b.owed) != 0 || len(b.sent) != 1 {
		t.Errorf("%v, %d are owed, %d sent", err, len(b.owed), len(b.sent))
	}
}

// At the end of the process nothing is left out of a notification: it waits for the next start.
func TestNotificationAtTheEnd(t *testing.T) {
	b, n := newBooks()
	ctx, cancel := context.WithCancel(t.Context())
	b.owe("good", readFunc(func([]byte) (int, error) { cancel(); return 0, ctx.Err() }))
	if _, err := n.round(ctx); !errors.Is(err, context.Canceled) || len(b.owed) != 1 || len(b.sent) != 0 {
		t.Errorf("%v, %d are owed, %d sent", err, len(b.owed), len(b.sent))
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// What is returned whole can go to a server without 8BITMIME, or is not: also where the message's own header is what cannot.
func TestReturnedWholeCanBeLowered(t *testing.T) {
	for _, c := range []struct {
		why, raw string
		full     bool
	}{
		{"8-bit text", "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGünün sözü\r\n", true},
		{"8-bit subject", "Subject: Günün sözü\r\n\r\nx\r\n", true},
		{"an address outside ASCII", "From: <şükrü@ornek.example>\r\nSubject: x\r\n\r\nx\r\n", false},
		{"a field of machines", "Received: from ş\r\nSubject: x\r\n\r\nx\r\n", false},
		{"a signed part", "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nş\r\n--b--\r\n", false},
		{"many parts of 7 bits", "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 1100) + "--b--\r\n", true},
		{"no mail", "Subject: x\nno lines\n", false},
	} {
		b, n := newBooks()
		b.owe("ad", []byte(c.raw))
		if _, err := n.round(t.Context()); err != nil {
			t.Errorf("%s: %v", c.why, err)
		}
		got := b.sent["ad@ornek.example"]
		if got == "" || strings.Contains(got, "message/rfc822\r\n") != c.full || strings.Contains(got, c.raw) != c.full {
			t.Errorf("%s: told\n%.1000s", c.why, got)
		}
	}
}
