package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// indexWorld is an address index beside its model.
type indexWorld struct {
	*world
	model map[gateway.AccountID]map[string][]gateway.MessageID
	next  gateway.BatchID
}

func newIndexWorld(t *testing.T) *indexWorld {
	w := &indexWorld{world: newWorld(t, 3), model: map[gateway.AccountID]map[string][]gateway.MessageID{}}
	w.next = gateway.BatchID(uint64(w.now.UnixMilli()) << 22)
	for range 2 {
		a := &gateway.Account{Name: "x"}
		w.must(w.st.PutAccount(t.Context(), a))
		w.model[a.ID] = map[string][]gateway.MessageID{}
	}
	return w
}

// write enters n messages of one transaction, some in batches of several, to addresses of which some come often.
func (w *indexWorld) write(n int) {
	w.t.Helper()
	w.must(w.st.do(func(t *tx) error {
		for i := 0; i < n; {
			w.next++
			for index := range uint32(1 + w.rnd.IntN(3)*w.rnd.IntN(200)) {
				for a, byAddr := range w.model {
					addr := fmt.Sprintf("+9053%08d", w.rnd.IntN(20_000))
					if w.rnd.IntN(50) == 0 {
						addr = "+905300000000"
					}
					id := gateway.MessageID{Account: a, Batch: w.next, Index: index}
					t.indexAddress(id, addr, time.Hour)
					byAddr[addr] = append(byAddr[addr], id)
				}
				i++
			}
		}
		return nil
	}))
}

func (w *indexWorld) checkIndex(addrs int) {
	w.t.Helper()
	for a, byAddr := range w.model {
		all := []string{"+905300000000", "+905399999999"}
		for addr := range byAddr {
			if len(all) < addrs {
				all = append(all, addr)
			}
		}
		for _, addr := range all {
			want := slices.Clone(byAddr[addr])
			slices.SortFunc(want, func(x, y gateway.MessageID) int {
				return -cmp.Or(cmp.Compare(x.Batch, y.Batch), cmp.Compare(x.Index, y.Index))
			})
			w.must(w.st.db.View(func(txn *badger.Txn) error {
				got, err := addressRefs(txn, a, addr, time.Time{})
				if !slices.Equal(got, want) {
					w.t.Fatalf("account %d, %s: %d messages, want %d", a, addr, len(got), len(want))
				}
				return err
			}))
		}
	}
}

func (w *indexWorld) count(kind byte) (n int) {
	w.must(w.st.db.View(func(txn *badger.Txn) error { n = countPrefix(txn, kind, 1<<30); return nil }))
	return n
}

// Whatever was merged, interrupted or opened again: the index finds every message to an address once, and nothing else.
func TestAddressIndexModel(t *testing.T) {
	w := newIndexWorld(t)
	ctx := t.Context()
	for round := range 40 {
		for range 1 + w.rnd.IntN(20) {
			w.write(1 + w.rnd.IntN(600))
		}
		for a := range w.model {
			switch w.rnd.IntN(4) {
			case 0:
				w.must(w.st.mergePages(ctx, a))
			case 1:
				w.must(w.st.mergePages(ctx, a))
				_, err := w.st.mergeRuns(ctx, a)
				w.must(err)
			case 2: // a merge that a crash interrupts
				half, cancel := context.WithCancel(ctx)
				w.st.enqueueBulk(act{func(*tx) error { cancel(); return nil }, func(error) {}})
				if w.rnd.IntN(2) == 0 {
					_ = w.st.mergePages(half, a)
				} else {
					_, _ = w.st.mergeRuns(half, a)
				}
			}
		}
		w.checkIndex(20)
		if round%8 == 7 {
			w.reopen()
			w.checkIndex(20)
		}
	}
	w.reopen()
	w.checkIndex(1000)
	for a := range w.model {
		if len(w.runs(a)) == 0 {
			t.Errorf("account %d has no run: nothing was merged", a)
		}
	}
}

func (w *indexWorld) runs(a gateway.AccountID) (runs []addressRun) {
	w.must(w.st.db.View(func(txn *badger.Txn) (err error) { runs, err = addressRuns(txn, a); return err }))
	return runs
}

// The number of places to look at stays small while the index grows, and nothing of merged runs stays behind.
func TestAddressIndexStaysShallow(t *testing.T) {
	w := newIndexWorld(t)
	ctx := t.Context()
	for range 120 {
		for range 3 {
			w.write(600)
		}
		for a := range w.model {
			w.must(w.st.mergePages(ctx, a))
			for merged := true; merged; {
				var err error
				merged, err = w.st.mergeRuns(ctx, a)
				w.must(err)
			}
		}
	}
	for a, byAddr := range w.model {
		var n, listed uint64
		for _, ids := range byAddr {
			n += uint64(len(ids))
		}
		runs := w.runs(a)
		for i := range runs {
			listed += runs[i].refs
		}
		if len(runs) > 3*runsAClass || listed != n {
			t.Errorf("account %d: %d messages of %d in %d runs", a, listed, n, len(runs))
		}
		if n < firstClass*runsAClass {
			t.Fatalf("only %d messages: too few to see a second class", n)
		}
	}
	if n := w.count(kAddressPage); n != 0 {
		t.Errorf("%d pages left", n)
	}
	chunks := w.count(kAddressChunk)
	w.must(w.st.dropOrphanRuns(ctx))
	if n := w.count(kAddressChunk); n != chunks {
		t.Errorf("%d chunks of merged runs were left behind", chunks-n)
	}
	w.checkIndex(100)
}

// A merge stops when storage runs short, leaves nothing behind, and the index answers as before; with room it goes on.
func TestMergeStopsWithoutRoom(t *testing.T) {
	w := newIndexWorld(t)
	for range 20 {
		w.write(600)
	}
	w.must(w.st.Close())
	var err error
	w.st, err = Open(Options{Dir: w.dir, Key: testKey, Now: w.time, Gather: -1, Reserve: 1 << 62})
	w.must(err)
	for a := range w.model {
		if err := w.st.mergePages(t.Context(), a); !errors.Is(err, errNoRoom) {
			t.Fatalf("merged without room: %v", err)
		}
		if runs := w.runs(a); len(runs) != 0 {
			t.Errorf("%d runs", len(runs))
		}
	}
	if n := w.count(kAddressChunk); n != 0 {
		t.Errorf("%d chunks were left behind", n)
	}
	w.checkIndex(50)
	w.reopen()
	for a := range w.model {
		w.must(w.st.mergePages(t.Context(), a))
		if runs := w.runs(a); len(runs) != 1 {
			t.Errorf("%d runs with room", len(runs))
		}
	}
	w.checkIndex(50)
}

// Entries that stores of before wrote, one a message, are found beside pages, once.
func TestAddressIndexOfOlderStore(t *testing.T) {
	w := newIndexWorld(t)
	w.write(100)
	w.must(w.st.do(func(t *tx) error {
		for a, byAddr := range w.model {
			for addr, ids := range byAddr {
				if err := t.set(addressKey(a, addressHash(addr), ids[0].Batch, ids[0].Index), nil, 0); err != nil {
					return err
				}
			}
			old := gateway.MessageID{Account: a, Batch: w.next - 1000, Index: 7}
			byAddr["+905300000000"] = append(byAddr["+905300000000"], old)
			if err := t.set(addressKey(a, addressHash("+905300000000"), old.Batch, old.Index), nil, 0); err != nil {
				return err
			}
		}
		return nil
	}))
	w.checkIndex(1 << 30)
}

func TestRefsRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		refs := make([]addressRef, n)
		for i := range refs {
			refs[i] = addressRef{rnd.Uint64() >> (24 + rnd.IntN(40)), gateway.BatchID(rnd.Uint64() >> rnd.IntN(60)), rnd.Uint32() >> rnd.IntN(32)}
		}
		slices.SortFunc(refs, addressRef.compare)
		v := encodeRefs(refs)
		got, err := decodeRefs(nil, v)
		if err != nil || !slices.Equal(got, refs) {
			t.Fatalf("%d refs: %v", n, err)
		}
		for cut := range v {
			if _, err := decodeRefs(nil, v[:cut]); err == nil {
				t.Fatalf("%d refs, cut to %d of %d octets: no error", n, cut, len(v))
			}
		}
	}
}

func FuzzRefs(f *testing.F) {
	f.Add([]byte(encodeRefs([]addressRef{{1, 2, 3}, {1, 2, 4}, {5, 1, 0}})))
	f.Fuzz(func(t *testing.T, v []byte) { // a damaged record gives an error, never a panic or a huge allocation
		refs, err := decodeRefs(nil, v)
		if err == nil && len(refs) > len(v) {
			t.Fatalf("%d refs of %d octets", len(refs), len(v))
		}
	})
}
