package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/mailbody"
)

// bigMail is a mail whose body goes into the log.
func (w *world) bigMail(n int, letter string) *gateway.Acceptance {
	return w.mailWith(n, letter, []byte("From: a@b.example\r\n\r\n"+strings.Repeat(letter, 2*bodyFloor)+"\r\n"))
}

func (w *world) segments() int {
	w.t.Helper()
	list, err := os.ReadDir(filepath.Join(w.dir, "bodies"))
	w.must(err)
	return len(list)
}

// A body in the log is there until its last recipient is done, over restarts, and then gives its room back.
func TestLoggedBodyLife(t *testing.T) {
	for n := 1; n <= 3; n++ {
		w := newWorld(t, uint64(n))
		a := w.bigMail(n, "a")
		if w.segments() != 1 {
			t.Fatalf("%d segments", w.segments())
		}
		for i := range n {
			w.hasBody(a, true)
			w.sent(a, i)
		}
		w.hasBody(a, false)
		if w.segments() != 0 { // after a start the log is tidy
			t.Errorf("%d segments left", w.segments())
		}
	}
}

// A body that a store without a log wrote is found and removed.
func TestLoggedBodyOfOlderStore(t *testing.T) {
	w := newWorld(t, 4)
	a := w.bigMail(1, "a")
	w.must(w.st.do(func(t *tx) error {
		if err := t.delBody(a.Batch.Body.ID, -1); err != nil {
			return err
		}
		return t.set(bodyKey(a.Batch.Body.ID), a.Body, bodyLife)
	}))
	w.reopen()
	w.hasBody(a, true)
	w.sent(a, 0)
	w.hasBody(a, false)
}

// What lives in a sparse segment moves; what was deleted or expired does not come back.
func TestLoggedBodyMoves(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, 5)
	a, b := w.bigMail(1, "a"), w.bigMail(2, "b")
	w.must(w.st.do(func(t *tx) error { return t.putBody("gone", a.Body, time.Second) })) // expires uncounted
	var n uint64
	w.must(w.st.eachPlace(func(_ string, p mailbody.Place) { n = p.Segment }))
	w.must(w.st.bodies.Close()) // the committer is idle: its segment is ended
	w.sent(a, 0)
	w.must(w.st.emptySegment(ctx, n))
	w.must(w.st.bodies.Tidy())
	if _, err := os.Stat(filepath.Join(w.dir, "bodies", "0000000000000001.seg")); err == nil {
		t.Error("the segment is still there")
	}
	w.must(w.st.eachPlace(func(id string, p mailbody.Place) {
		if id == a.Batch.Body.ID || p.Segment == n {
			t.Errorf("%s lies in segment %d", id, p.Segment)
		}
	}))
	w.hasBody(b, true)
	w.hasBody(a, false)
	w.sent(b, 0)
	w.sent(b, 1)
	w.hasBody(b, false)
}

// A waiting mail whose body is gone is a finding.
func TestVerifyMissesABody(t *testing.T) {
	w := newWorld(t, 8)
	a := w.bigMail(2, "a")
	report, err := w.st.Verify(context.Background())
	if w.must(err); len(report.Problems) > 0 {
		t.Fatal(report.Problems)
	}
	w.must(w.st.DeleteBody(context.Background(), a.Batch.Body.ID))
	if report, err = w.st.Verify(context.Background()); err != nil || len(report.Problems) != 2 {
		t.Errorf("%q, %v: want a problem for each of two messages", report.Problems, err)
	}
}

// A body that cannot be read keeps its segment, and nothing else from being tidied.
func TestDamagedBodyStays(t *testing.T) {
	w := newWorld(t, 7)
	w.bigMail(1, "a")
	w.must(w.st.bodies.Close())
	name := filepath.Join(w.dir, "bodies", "0000000000000001.seg")
	raw, err := os.ReadFile(name)
	w.must(err)
	raw[len(raw)-1] ^= 1
	w.must(os.WriteFile(name, raw, 0o600))
	if err := w.st.emptySegment(context.Background(), 1); !errors.Is(err, mailbody.ErrDamaged) {
		t.Fatalf("%v, want ErrDamaged", err)
	}
	w.must(w.st.tidyBodies(context.Background()))
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}

// An act that is given up leaves nothing in use.
func TestLoggedBodyOfFailedAct(t *testing.T) {
	w := newWorld(t, 6)
	body := []byte(strings.Repeat("x", bodyFloor))
	err := w.st.do(func(t *tx) error {
		if err := t.putBody("x", body, time.Hour); err != nil {
			return err
		}
		return errFatal{os.ErrInvalid}
	})
	if err == nil {
		t.Fatal("the act went through")
	}
	if size, live := w.st.bodies.Size(); live != 0 || size == 0 {
		t.Errorf("%d of %d octets in use", live, size)
	}
}
