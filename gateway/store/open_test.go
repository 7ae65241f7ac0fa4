package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// A kill between the two steps in which Badger makes a log, or takes one away, leaves it empty: the store opens all the same, and has
// what it had.
func TestOpenBesideEmptyLogs(t *testing.T) {
	o := Options{Dir: t.TempDir(), Key: testKey, Memory: 96 << 20, Reserve: 1}
	st, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(st.PutAccount(t.Context(), &gateway.Account{Name: "a"}), st.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"00090.mem", "00091.mem"} {
		if err := os.WriteFile(filepath.Join(o.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if st, err = Open(o); err != nil {
			t.Fatal(err)
		}
		if n := len(st.Directory().Accounts); n != 1 {
			t.Errorf("%d accounts, want 1", n)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Open says what is wrong with a directory, and opens it once that is put right.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	good := Options{Dir: dir, Key: testKey, Memory: 96 << 20, Reserve: 1}
	st, err := Open(good)
	if err != nil {
		t.Fatal(err)
	}
	if synced, encrypted := st.Durable(); !synced || !encrypted {
		t.Errorf("synced %t, encrypted %t: what is acknowledged must be both", synced, encrypted)
	}
	if _, err := Open(good); !errors.Is(err, ErrLocked) {
		t.Errorf("second opening = %v, want ErrLocked", err)
	}
	instance := st.Instance()
	if err := errors.Join(st.Close(), st.Close()); err != nil {
		t.Fatal(err)
	}
	wrong := good
	wrong.Key = bytes.Repeat([]byte{9}, 32)
	for name, o := range map[string]Options{"wrong key": wrong, "no key": {Dir: dir}, "short key": {Dir: dir, Key: testKey[:31]}} {
		if _, err := Open(o); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v, want ErrKey", name, err)
		}
	}
	if st, err = Open(good); err != nil {
		t.Fatal(err)
	}
	if st.Instance() != instance {
		t.Error("the instance changed over a restart")
	}
	made := time.UnixMilli(1_700_000_000_000)
	header := func(v uint64) (e enc) {
		e.uint(v)
		e.text(instance)
		e.time(made)
		return e
	}
	put := func(v uint64) {
		t.Helper()
		err := st.db.Update(func(txn *badger.Txn) error { return txn.Set(newKey(kHeader, 0), header(v)) })
		if err := errors.Join(err, st.Close()); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	if st, err = Open(good); err != nil {
		t.Fatal(err)
	}
	if err := st.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, newKey(kHeader, 0))
		if !bytes.Equal(v, header(version)) {
			t.Errorf("header %x after older data was opened, want %x: an older program must not take it again", v, header(version))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	put(version + 1)
	if _, err := Open(good); !errors.Is(err, ErrNewer) {
		t.Errorf("newer data = %v, want ErrNewer", err)
	}
}

func TestLoadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "store.key")
	if _, _, err := LoadKey(path, false); !errors.Is(err, ErrKey) {
		t.Errorf("missing key of a store that exists = %v, want ErrKey", err)
	}
	key, created, err := LoadKey(path, true)
	if err != nil || !created || len(key) != 32 {
		t.Fatalf("new key: %d octets, created %t, %v", len(key), created, err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("key file mode = %v, %v, want 0600", fi.Mode(), err)
	}
	again, created, err := LoadKey(path, true)
	if err != nil || created || !bytes.Equal(again, key) {
		t.Errorf("second reading: created %t, same %t, %v", created, bytes.Equal(again, key), err)
	}
	if err := os.WriteFile(path, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadKey(path, true); !errors.Is(err, ErrKey) {
		t.Errorf("damaged key file = %v, want ErrKey: it must never be replaced", err)
	}
}

// After Close every act is refused, and says that asking again is no use.
func TestClosed(t *testing.T) {
	w := newWorld(t, 1)
	w.must(w.st.Close())
	a, _ := w.batchOf(1)
	if err := w.st.Accept(t.Context(), a); !errors.Is(err, ErrClosed) || !errors.Is(err, gateway.ErrClosed) {
		t.Errorf("accept after close = %v, want ErrClosed", err)
	}
	w.open()
}

// Sequence numbers rise over restarts, also when the clock was set back in between.
func TestSequenceRises(t *testing.T) {
	w := newWorld(t, 1)
	last := w.st.NextSeq()
	for _, step := range []time.Duration{0, -time.Hour, -24 * time.Hour, 365 * 24 * time.Hour, -time.Millisecond} {
		w.tick(step)
		w.reopen()
		if n := w.st.NextSeq(); n <= last {
			t.Errorf("after a clock step of %s the next number is %d, not above %d", step, n, last)
		} else {
			last = n
		}
	}
}

// A crash between the stages of a large acceptance leaves nothing behind that anybody could see, and no charge.
func TestStagedLeftovers(t *testing.T) {
	w := newWorld(t, 1)
	a, _ := w.batchOf(2500)
	p := &pendingBatch{Acceptance: a, ref: a.Batch.Ref()}
	w.must(w.st.do(func(t *tx) error { return t.set(stagingKey(p.ref), nil, 0) }))
	w.must(w.st.do(func(t *tx) error { return p.writeRecipients(t, 0, 1000) }))
	page, err := w.st.Messages(t.Context(), w.acct, gateway.MessageFilter{To: a.Recipients[0].Address})
	w.must(err)
	if len(page.Items) != 0 {
		t.Errorf("%d messages of a staged batch are visible", len(page.Items))
	}
	w.reopen()
	for _, kind := range []byte{kStaging, kBlock, kBatch, kDue} {
		if err := w.st.db.View(func(txn *badger.Txn) error {
			if n := countPrefix(txn, kind, 10); n != 0 {
				t.Errorf("%d records of kind %q are left", n, kind)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.check()
	// Its twin, not interrupted, is there as a whole.
	w.must(w.st.Accept(t.Context(), a))
	v, err := w.st.Batch(t.Context(), w.acct, a.Batch.Ref())
	w.must(err)
	sum := 0
	for _, n := range v.States {
		sum += n
	}
	if sum != 2500 {
		t.Errorf("accepted batch has %d messages, want 2500", sum)
	}
}

// Full storage stops acceptance and clients' parts; outcomes, opt-outs and handsets' parts go on.
func TestFull(t *testing.T) {
	w := newWorld(t, 1)
	w.accept(1)
	w.reserve = 1 << 62
	w.reopen()
	a, _ := w.batchOf(1)
	if err := w.st.Accept(t.Context(), a); codeOf(err) != gateway.CodeStorageFull {
		t.Errorf("accept = %v, want storage_full", err)
	}
	part := func(a gateway.AccountID) *gateway.Part {
		return &gateway.Part{Set: gateway.PartSet{Account: a, Source: "1", Dest: "2", Total: 2}, Seq: 1, At: w.now}
	}
	if _, err := w.st.PutPart(t.Context(), part(w.acct)); codeOf(err) != gateway.CodeStorageFull {
		t.Errorf("client's part = %v, want storage_full", err)
	}
	if _, err := w.st.PutPart(t.Context(), part(0)); err != nil {
		t.Errorf("handset's part = %v, want nil", err)
	}
	b := gateway.Block{Account: w.acct, Brand: "1", Channel: "MESAJ", Address: "+905320000001", At: w.now}
	if err := w.st.OptOut(t.Context(), b, nil, ""); err != nil {
		t.Errorf("opt-out = %v, want nil", err)
	}
	w.receipt()
	w.reserve = 1
	w.reopen()
	if err := w.st.Accept(t.Context(), a); err != nil {
		t.Errorf("accept with space again = %v", err)
	}
}

// Verify names a decision record that was changed, dropped or slipped in, wherever it stands.
func TestTamperedChain(t *testing.T) {
	for name, tamper := range map[string]func(txn *badger.Txn, keys [][]byte) error{
		"first changed": func(txn *badger.Txn, keys [][]byte) error { return flip(txn, keys[0]) },
		"last changed":  func(txn *badger.Txn, keys [][]byte) error { return flip(txn, keys[len(keys)-1]) },
		"middle gone":   func(txn *badger.Txn, keys [][]byte) error { return txn.Delete(keys[len(keys)/2]) },
		"first gone":    func(txn *badger.Txn, keys [][]byte) error { return txn.Delete(keys[0]) },
		"last gone":     func(txn *badger.Txn, keys [][]byte) error { return txn.Delete(keys[len(keys)-1]) },
		"all gone": func(txn *badger.Txn, keys [][]byte) error {
			for _, k := range keys {
				if err := txn.Delete(k); err != nil {
					return err
				}
			}
			return nil
		},
		"one behind": func(txn *badger.Txn, keys [][]byte) error {
			last := keys[len(keys)-1]
			day, seq := chainPlace(last)
			item, err := txn.Get(last)
			if err != nil {
				return err
			}
			v, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			return txn.Set(chainKey(gateway.AccountID(beUint32(last[1:])), day, seq+1), v)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			for range 5 {
				w.tick(7 * time.Hour)
				w.accept(3)
			}
			w.check()
			var keys [][]byte
			w.must(w.st.db.View(func(txn *badger.Txn) error {
				it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kChain}})
				defer it.Close()
				for it.Rewind(); it.Valid(); it.Next() {
					keys = append(keys, it.Item().KeyCopy(nil))
				}
				return nil
			}))
			w.must(w.st.db.Update(func(txn *badger.Txn) error { return tamper(txn, keys) }))
			rep, err := w.st.Verify(t.Context())
			w.must(err)
			if !strings.Contains(strings.Join(rep.Problems, "\n"), "decision chain") {
				t.Errorf("problems = %q, want the chain named", rep.Problems)
			}
			if name == "one behind" {
				return // the next decision writes over it
			}
			// The next decision does not heal it.
			w.accept(1)
			w.reopen()
			w.accept(1)
			if rep, err = w.st.Verify(t.Context()); err != nil || len(rep.Problems) == 0 {
				t.Errorf("after more decisions: %d problems, %v", len(rep.Problems), err)
			}
		})
	}
}

// flip changes one bit of a record's verdict table.
func flip(txn *badger.Txn, k []byte) error {
	item, err := txn.Get(k)
	if err != nil {
		return err
	}
	v, err := item.ValueCopy(nil)
	if err != nil {
		return err
	}
	v[len(v)-1] ^= 1
	return txn.Set(k, v)
}

// Money that does not add up is named too.
func TestTamperedLedger(t *testing.T) {
	w := newWorld(t, 1)
	w.accept(3)
	w.must(w.st.db.Update(func(txn *badger.Txn) error {
		var e enc
		for _, v := range []int64{w.credits + 1, 0, 0, 100_000} {
			e.int(v)
		}
		e.uint(1)
		return txn.Set(balanceKey(w.acct), e)
	}))
	rep, err := w.st.Verify(t.Context())
	w.must(err)
	if len(rep.Problems) == 0 {
		t.Error("a changed balance goes unnoticed")
	}
}
