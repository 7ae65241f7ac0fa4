package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
)

// An act that cannot be applied fails alone: those gathered with it, perhaps of other accounts, go on.
func TestBadActFailsAlone(t *testing.T) {
	w := newWorld(t, 1)
	w.accept(1)
	w.must(w.st.db.Update(func(txn *badger.Txn) error { // a damaged progress record, read when nothing is kept in memory
		return txn.Set(progressKey(gateway.MessageID{Account: w.acct, Batch: 1, Index: 0}), []byte{0xFF, 0xFF})
	}))
	bad := gateway.Change{Message: gateway.MessageID{Account: w.acct, Batch: 1}, Batch: &gateway.Batch{}, Recipient: &gateway.Recipient{}}
	hold := make(chan struct{})
	w.st.enqueue(act{func(*tx) error { <-hold; return nil }, func(error) {}}) // the others gather behind it
	results := make(chan error, 3)
	good := func() {
		w.st.enqueue(act{func(t *tx) error { return t.set(namedKey("x"), []byte{1}, 0) }, func(err error) { results <- err }})
	}
	good()
	badResult := make(chan error, 1)
	w.st.Apply([]gateway.Change{bad}, func(err error) { badResult <- err })
	good()
	close(hold)
	for range 2 {
		if err := <-results; err != nil {
			t.Errorf("a good act failed with the bad one: %v", err)
		}
	}
	if err := <-badResult; !errors.Is(err, errCorrupt) {
		t.Errorf("bad act = %v, want errCorrupt", err)
	}
}

// Recipients with large variables are spread over as many commits as they need.
func TestLargeRecipients(t *testing.T) {
	w := newWorld(t, 1)
	a, _ := w.batchOf(950)
	for i := range a.Recipients {
		a.Recipients[i].Vars = []gateway.Var{{Name: "x", Value: strings.Repeat("v", 8000)}}
	}
	w.must(w.st.Accept(t.Context(), a))
	w.credits -= a.Credits
	w.check()
	works, err := w.st.Load(t.Context(), []gateway.DueRef{{Account: w.acct, Batch: a.Batch.ID, First: 900, Count: 50}})
	w.must(err)
	if got := len(works[0].Recipients[49].Vars[0].Value); got != 8000 {
		t.Errorf("last recipient's variable has %d octets, want 8000", got)
	}
}

// One call of 5000 consents is more than one transaction.
func TestManyEntries(t *testing.T) {
	w := newWorld(t, 1)
	w.must(w.st.PutBrand(t.Context(), &gateway.Brand{Code: "675403", Account: w.acct}))
	list := make([]exchange.Entry, 5000)
	for i := range list {
		list[i] = exchange.NewEntry(iys.Consent{Key: iys.Key{Brand: "675403", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
			Recipient: fmt.Sprintf("+90532%07d", i)}, Status: iys.StatusApproved, Source: iys.SourceHSWeb, ConsentDate: w.now}, w.now, iys.DefaultCalendar())
	}
	w.must(w.st.PutEntries(t.Context(), list, "api", nil))
	due, err := w.st.DueEntries(t.Context(), iys.StatusApproved, w.now, 10_000)
	w.must(err)
	if len(due) != 5000 {
		t.Errorf("%d entries are due, want 5000", len(due))
	}
	h, err := w.st.History(t.Context(), "675403", iys.ChannelSMS, "+905320004999")
	w.must(err)
	if len(h) != 1 {
		t.Errorf("history has %d lines, want 1", len(h))
	}
}

func TestIdempotency(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	key := func(h byte) *gateway.IdempotencyKey { return &gateway.IdempotencyKey{Key: "k", Hash: [32]byte{h}} }
	first, m := w.batchOf(2)
	first.Idempotency, first.Answer = key(1), []byte("answer")
	if err := w.st.Precheck(ctx, w.acct, key(1), 0); err != nil {
		t.Fatalf("new key = %v", err)
	}
	w.must(w.st.Accept(ctx, first))
	w.credits -= first.Credits
	w.batches[first.Batch.Ref()] = m
	for _, n := range []int{2, 1500} { // in one commit, and staged
		again, _ := w.batchOf(n)
		again.Idempotency = key(1)
		var r *gateway.Replay
		if err := w.st.Accept(ctx, again); !errors.As(err, &r) || string(r.Answer) != "answer" {
			t.Errorf("repeat of %d = %v, want the stored answer", n, err)
		}
		again.Idempotency = key(2)
		if err := w.st.Accept(ctx, again); codeOf(err) != gateway.CodeIdempotencyMismatch {
			t.Errorf("other request of %d = %v, want idempotency_mismatch", n, err)
		}
	}
	if err := w.st.Precheck(ctx, w.acct, key(2), 0); codeOf(err) != gateway.CodeIdempotencyMismatch {
		t.Errorf("precheck of another request = %v, want idempotency_mismatch", err)
	}
	// The key of one account says nothing about another's.
	if err := w.st.Precheck(ctx, w.acct+1, key(2), 0); err != nil {
		t.Errorf("same key of another account = %v, want nil", err)
	}
	w.check()
}

func TestNoCredit(t *testing.T) {
	w := newWorld(t, 1)
	_, err := w.st.AddCredits(t.Context(), w.acct, 3000-w.credits, "")
	w.must(err)
	w.credits = 3000
	for _, n := range []int{90, 2500} {
		a, _ := w.batchOf(n)
		a.Credits = 3001
		if err := w.st.Accept(t.Context(), a); codeOf(err) != gateway.CodeNoCredit {
			t.Errorf("%d recipients beyond the balance = %v, want no_credit", n, err)
		}
	}
	if err := w.st.Precheck(t.Context(), w.acct, nil, 3001); codeOf(err) != gateway.CodeNoCredit {
		t.Errorf("precheck = %v, want no_credit", err)
	}
	if err := w.st.Precheck(t.Context(), w.acct, nil, 3000); err != nil {
		t.Errorf("precheck of the whole balance = %v, want nil", err)
	}
	if len(w.order) != 0 {
		t.Fatal("something was accepted")
	}
	w.check()
	w.accept(90)
	w.check()
}

// The event comes when the balance crosses its threshold, and once.
func TestCreditWarning(t *testing.T) {
	w := newWorld(t, 1)
	w.must(w.st.PutAccount(t.Context(), &gateway.Account{ID: w.acct, Policy: gateway.AccountPolicy{CreditWarning: w.credits}}))
	for range 3 {
		a, _ := w.batchOf(5)
		for i := range a.Recipients { // nothing dropped: every acceptance costs
			a.Recipients[i].State = gateway.StateQueued
		}
		a.Credits = 5
		w.must(w.st.Accept(t.Context(), a))
	}
	evs, err := w.st.DueEvents(t.Context(), w.now, 100)
	w.must(err)
	n := 0
	for _, e := range evs {
		if e.Type == "credit.low" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d credit.low events, want 1", n)
	}
}

// However many write at once, a reader that goes on from the last key it was given sees every entry.
func TestNoEntryBehindTheCursor(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { // every reading moves it a little, between milliseconds and now and then back
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(230 * time.Microsecond)
		if now.UnixMicro()%17 == 0 {
			now = now.Add(-3 * time.Millisecond)
		}
		return now
	}
	st, err := Open(Options{InMemory: true, Now: clock, Gather: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	a := &gateway.Account{Name: "x"}
	if err := st.PutAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 150
	ids := gateway.NewBatchIDs(0)
	var wg sync.WaitGroup
	for k := range writers {
		wg.Go(func() {
			for i := range each {
				// Ids are handed out in another order than that of the commits.
				b := gateway.Batch{Account: a.ID, ID: ids.Next(clock()), Channel: "sms", Class: gateway.ClassOTP, Count: 1}
				b.SendAt = clock().Add(time.Duration(i%3) * time.Millisecond)
				b.ValidUntil = b.SendAt.Add(time.Hour)
				if err := st.Accept(t.Context(), &gateway.Acceptance{Batch: b, Decisions: make([]gateway.Decision, 1),
					Recipients: []gateway.Recipient{{Address: fmt.Sprint(k), State: gateway.StateQueued}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen := map[gateway.BatchID]bool{}
	var cursor *gateway.DueRef
	read := func() {
		refs, _, err := st.Due(t.Context(), gateway.LaneOTP, a.ID, cursor, 7)
		if err != nil {
			t.Fatal(err)
		}
		for i := range refs {
			for _, s := range refs[i].Spans() {
				seen[s.Batch] = true
			}
			cursor = &refs[i]
		}
	}
	for open := true; open; {
		select {
		case <-done:
			open = false
		default:
			read()
		}
	}
	for range writers * each { // the clock moves with every reading
		read()
	}
	if len(seen) != writers*each {
		t.Errorf("the reader saw %d batches, want %d", len(seen), writers*each)
	}
}

// Records go when their time is over, not before, and Verify does not mistake that for a loss. Badger's own clock decides: in the
// bubble it is the test's.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.must(w.st.Close())
		w.dir = t.TempDir()
		st, err := Open(Options{Dir: w.dir, Key: testKey, Now: w.time, Gather: -1, Memory: 96 << 20, Reserve: 1, Retention: time.Minute})
		w.must(err)
		w.st = st
		w.must(st.PutAccount(t.Context(), &gateway.Account{Name: "x"}))
		_, err = st.AddCredits(t.Context(), w.acct, w.credits, "")
		w.must(err)
		for range 3 {
			a, _ := w.batchOf(2)
			a.Batch.SendAt = w.now // the retention counts from there
			w.must(st.Accept(t.Context(), a))
			w.credits -= a.Credits
		}
		w.check()
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{58 * time.Second, 6}, {3 * time.Second, 0}} {
			time.Sleep(c.after)
			v, err := st.Messages(t.Context(), w.acct, gateway.MessageFilter{})
			w.must(err)
			if len(v.Items) != c.want {
				t.Errorf("%s later there are %d messages, want %d", c.after, len(v.Items), c.want)
			}
		}
		w.set(time.Now())
		rep, err := st.Verify(t.Context())
		w.must(err)
		for _, p := range rep.Problems {
			t.Errorf("verify after retention: %s", p)
		}
	})
}
