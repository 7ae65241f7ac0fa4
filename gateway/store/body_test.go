package store

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// mail is an acceptance of n recipients with a small body of its own.
func (w *world) mail(n int) *gateway.Acceptance {
	return w.mailWith(n, "a", []byte("From: a@b.example\r\n\r\nMerhaba\r\n"))
}

// mailWith is mail with a body, whose id is made of a letter.
func (w *world) mailWith(n int, letter string, body []byte) *gateway.Acceptance {
	w.t.Helper()
	a, _ := w.batchOf(n)
	a.Batch.Door, a.Batch.Channel, a.Batch.SendAt, a.Credits = gateway.DoorHTTP, gateway.ChannelEmail, w.now, 0
	a.Batch.ValidUntil = w.now.Add(gateway.DefaultValidity)
	a.Body = body
	a.Batch.Body = gateway.BodyRef{ID: "s" + strings.Repeat(letter, 26), Size: int64(len(a.Body))}
	for i := range a.Recipients {
		a.Recipients[i].State, a.Recipients[i].Code = gateway.StateQueued, ""
	}
	w.must(w.st.Accept(context.Background(), a))
	return a
}

// sent ends the i-th message.
func (w *world) sent(a *gateway.Acceptance, i int) {
	w.t.Helper()
	id := a.Batch.Ref().Message(uint32(i))
	ok, err := w.st.OpenIntents(context.Background(), []gateway.Intent{{Message: id, Operator: "mail:x", Segments: 1}})
	if err != nil || !ok[0] {
		w.t.Fatalf("intent of %s: %v, %v", id, ok, err)
	}
	w.must(w.st.ApplyWait([]gateway.Change{{Message: id, Batch: &a.Batch, Recipient: &a.Recipients[i], Operator: "mail:x", Close: true,
		State: gateway.StateRejected, Code: gateway.CodeOperatorRejected}}))
}

func (w *world) hasBody(a *gateway.Acceptance, want bool) {
	w.t.Helper()
	for range 2 { // from memory, and from the records alone
		b, err := w.st.GetBody(context.Background(), a.Batch.Body.ID)
		if want && (err != nil || string(b) != string(a.Body)) {
			w.t.Fatalf("body %q, %v", b, err)
		}
		if !want && !errors.Is(err, fs.ErrNotExist) {
			w.t.Fatalf("body %q, %v, want none", b, err)
		}
		w.reopen()
	}
}

func (w *world) bodyUse(a *gateway.Acceptance) (v []byte) {
	w.t.Helper()
	w.must(w.st.db.View(func(txn *badger.Txn) (err error) {
		v, err = getValue(txn, bodyUseKey(a.Batch.Body.ID))
		return err
	}))
	return v
}

// A small body is there until its last recipient is done, and then gone: without a count where there is one alone.
func TestSmallBodyLife(t *testing.T) {
	for n := 1; n <= 3; n++ {
		w := newWorld(t, uint64(n))
		a := w.mail(n)
		if counted := w.bodyUse(a) != nil; counted != (n > 1) {
			t.Errorf("%d recipients: use counted %v", n, counted)
		}
		for i := range n {
			w.hasBody(a, true)
			w.sent(a, i)
		}
		w.hasBody(a, false)
	}
}

// A store written when every body had a use record goes on.
func TestSmallBodyOfOlderStore(t *testing.T) {
	w := newWorld(t, 9)
	a := w.mail(1)
	w.must(w.st.do(func(t *tx) error {
		return t.set(bodyUseKey(a.Batch.Body.ID), bodyUse{batch: a.Batch.Ref(), size: a.Batch.Body.Size, need: 1}.bytes(), bodyLife)
	}))
	w.reopen()
	w.hasBody(a, true)
	w.sent(a, 0)
	w.hasBody(a, false)
	if report, err := w.st.Verify(context.Background()); err != nil || len(report.Problems) > 0 {
		t.Errorf("%v, %v", report, err)
	}
}
