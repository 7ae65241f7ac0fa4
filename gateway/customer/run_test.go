package customer

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
	"izinli/iys"
)

func list(n int) string {
	var b strings.Builder
	b.WriteString("telefon;ad\n")
	for i := range n {
		fmt.Fprintf(&b, "0532%07d;Ayşe %d\n", i, i)
	}
	return b.String()
}

func TestARestartGoesOnBehindTheLastPiece(t *testing.T) {
	data, dir := t.TempDir(), filepath.Join(t.TempDir(), "imports")
	st := openStore(t, data)
	a := &asked{hang: 3, hangs: make(chan struct{})}
	m, stop := start(t, Config{Dir: dir}, st, nil, a.ask)
	v := begin(t, m, request("verify", list(3500)))
	<-a.hangs
	spool := filepath.Join(dir, v.ID+spoolSuffix)
	if s, err := os.Stat(spool); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("the spooled file: %v %v, want mode 0600", s, err)
	}
	stop()
	if got, err := m.Import(ctx, 1, v.ID); err != nil || got.State != "running" || got.Rows != 2000 {
		t.Errorf("after the stop: %+v %v, want 2000 rows and running", got, err)
	}
	if err := errors.Join(st.Close(), os.WriteFile(filepath.Join(dir, "stray"+spoolSuffix), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}

	st = openStore(t, data)
	held := make(chan struct{})
	w, b := watch(st), &asked{fail: func(int) error { <-held; return nil }} // it is not over before we have looked
	m, _ = start(t, Config{Dir: dir}, w, nil, b.ask)
	if _, err := m.StartImport(ctx, who, request("verify", "tel\n")); err == nil {
		t.Error("the account's import was forgotten at the restart")
	}
	close(held)
	j := <-w.ended
	if j.ID != v.ID || j.State != "done" || j.Rows != 3500 || j.Good != 3500 || j.Approved != 1750 {
		t.Errorf("got %+v, want all 3500 rows, half of them approved", j)
	}
	if !slices.Equal(b.calls, []int{1000, 500}) {
		t.Errorf("calls after the restart: %v, want what was left and no more", b.calls)
	}
	for i := range 3500 {
		addr := fmt.Sprintf("+90532%07d", i)
		if n := a.times[addr] + b.times[addr]; n != 1 {
			t.Fatalf("%s was answered %d times", addr, n)
		}
	}
	<-w.quiet
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v %v", left, err)
	}
}

func TestACrashRepeatsOnePieceAtMost(t *testing.T) {
	data, dir := t.TempDir(), filepath.Join(t.TempDir(), "imports")
	st := openStore(t, data)
	dead := make(chan struct{})
	w := watch(st)
	w.put = func(j *gateway.ImportJob) error {
		if j.Rows < 2000 {
			return nil
		}
		select {
		case <-dead:
		default:
			close(dead)
		}
		return errors.New("power lost") // between the desk's answer and our commit
	}
	d := &fakeDesk{}
	file := "telefon;durum;izin tarihi;kaynak\n"
	for i := range 2500 {
		file += fmt.Sprintf("0532%07d;ONAY;%s;HS_WEB\n", i, noon.Format("02.01.2006 15:04"))
	}
	now := func() time.Time { return noon.Add(time.Hour) }
	m, stop := start(t, Config{Dir: dir, Now: now}, w, d, nil)
	begin(t, m, request("register", file))
	<-dead
	stop()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	st = openStore(t, data)
	w = watch(st)
	start(t, Config{Dir: dir, Now: now}, w, d, nil)
	if j := <-w.ended; j.Rows != 2500 || j.Good != 2500 || j.State != "done" {
		t.Errorf("got %+v", j)
	}
	times := map[string]int{}
	for _, c := range d.all {
		times[c.Address]++
		if c.OverrideBlock || !strings.HasPrefix(c.Evidence, "import ") {
			t.Fatalf("the desk got %+v", c)
		}
	}
	for i := range 2500 {
		want := 1
		if i >= 1000 && i < 2000 {
			want = 2
		}
		if got := times[fmt.Sprintf("+90532%07d", i)]; got != want {
			t.Fatalf("row %d was handed in %d times, want %d", i, got, want)
		}
	}
	for _, n := range d.calls {
		if n > 1000 {
			t.Errorf("a call of %d consents", n)
		}
	}
}

// TestGoodAndBadAreAll makes files of all sorts of rows: every row is counted once, refused rows are all given back, and what is
// given back can be imported again with the same result.
func TestGoodAndBadAreAll(t *testing.T) {
	st := openStore(t, t.TempDir())
	w, a := watch(st), &asked{}
	m, _ := start(t, Config{}, w, nil, a.ask)
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		delim := []string{";", ",", "\t"}[rng.IntN(3)]
		end := []string{"\n", "\r\n"}[rng.IntN(2)]
		var b strings.Builder
		b.WriteString("ad" + delim + "telefon" + delim + "not" + end)
		good, bad := 0, 0
		for range rng.IntN(2500) {
			switch n := rng.IntN(100); {
			case n < 80:
				fmt.Fprintf(&b, "\"Ayşe%s Ğ\"%s+9053%d%07d%s", delim, delim, rng.IntN(5), rng.IntN(1e7), delim)
				good++
			case n < 85:
				b.WriteString("x" + delim + "12" + delim)
				bad++
			case n < 88:
				b.WriteString("\"x\"y" + delim + "05321234567") // behind the quote
				bad++
			case n < 91:
				b.WriteString("a" + delim + "05321234567" + delim + "b" + delim + "c")
				bad++
			case n < 94:
				b.WriteString("x" + delim + "05321234567" + delim + "\"iki" + end + "satır\"")
				good++
			case n < 97:
				b.WriteString("x") // too few columns: no address
				bad++
			default:
				b.WriteString(delim) // blank
			}
			b.WriteString(end)
		}
		v := begin(t, m, request("verify", b.String()))
		j := <-w.ended
		if j.Rows != j.Good+j.Bad || j.Good != good || j.Bad != bad {
			t.Fatalf("round %d: %d rows, %d good, %d bad; want %d and %d", round, j.Rows, j.Good, j.Bad, good, bad)
		}
		back := failures(t, m, v.ID)
		rd := csv.NewReader(strings.NewReader(back))
		rd.Comma = rune(delim[0])
		all, err := rd.ReadAll()
		if err != nil || len(all) != bad+1 {
			t.Fatalf("round %d: %d rows given back, want %d (%v)", round, len(all)-1, bad, err)
		}
		<-w.quiet
		again := begin(t, m, request("verify", back))
		if k := <-w.ended; k.Bad != bad || k.Good != 0 {
			t.Fatalf("round %d: imported again: %d good, %d bad; want all %d bad", round, k.Good, k.Bad, bad)
		}
		if head, _, _ := strings.Cut(failures(t, m, again.ID), "\n"); head != strings.SplitN(back, "\n", 2)[0] {
			t.Fatalf("round %d: the header grows: %s", round, head)
		}
		<-w.quiet
	}
}

// memory is a store for tests on fake time.
type memory struct {
	mu   sync.Mutex
	dir  *gateway.Directory
	seq  uint64
	jobs map[string]gateway.ImportJob
	full bool
}

func newMemory() *memory {
	d := gateway.NewDirectory()
	d.Brands[brand] = &gateway.Brand{Code: brand, Account: 1, SMS: gateway.BrandMode{Mode: "partner"}}
	return &memory{dir: d, jobs: map[string]gateway.ImportJob{}}
}

func (s *memory) Directory() *gateway.Directory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dir
}

func (s *memory) Full() bool      { return s.full }
func (s *memory) NextSeq() uint64 { s.seq++; return s.seq }

func (s *memory) PutImport(_ context.Context, j *gateway.ImportJob, _ []gateway.ImportRow) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[j.ID] = *j
	return nil
}

func (s *memory) Import(_ context.Context, _ gateway.AccountID, id string) (*gateway.ImportJob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[id]
	return &j, nil
}

func (s *memory) OpenImports(context.Context) ([]gateway.ImportJob, error) { return nil, nil }

func (s *memory) ListImports(context.Context, gateway.AccountID, string, int) (gateway.Page[gateway.ImportView], error) {
	return gateway.Page[gateway.ImportView]{}, nil
}

func (s *memory) ImportRows(context.Context, gateway.AccountID, string, uint32, int) ([]gateway.ImportRow, error) {
	return nil, nil
}

func TestPassingFailuresPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, a, d := newMemory(), &asked{}, &fakeDesk{}
		w := watch(st)
		a.fail = func(call int) error {
			if call <= 5 {
				return errors.New("connection refused")
			}
			return nil
		}
		d.err = func(call int) error {
			if call == 1 {
				return gateway.Refuse(gateway.CodeUnavailable, "", "")
			}
			return nil
		}
		m, _ := start(t, Config{}, w, d, a.ask)
		v := begin(t, m, request("verify", "telefon\n05321234560\n"))
		synctest.Wait()
		if got, _ := m.Import(ctx, 1, v.ID); !strings.Contains(got.Error, "waits") || got.State != "running" {
			t.Errorf("while İYS is away: %+v", got)
		}
		before := time.Now()
		if j := <-w.ended; j.State != "done" || j.Approved != 1 || j.Error != "" || len(a.calls) != 6 {
			t.Errorf("got %+v after %d calls, want done after 6", j, len(a.calls))
		}
		if took := time.Since(before); took != 31*time.Second {
			t.Errorf("the pauses took %v, want 1+2+4+8+16 s", took)
		}
		synctest.Wait()
		begin(t, m, request("register", "telefon;durum;izin tarihi;kaynak\n05321234560;ONAY;2000-01-01 00:00:00;HS_WEB\n"))
		if j := <-w.ended; j.State != "done" || j.Good != 1 || len(d.calls) != 2 {
			t.Errorf("got %+v after %d calls, want done after 2", j, len(d.calls))
		}
	})
}

// Whoever reads that an import has ended may start the next at once, also while the service is still about it.
func TestTheNextMayBeginAtTheLastWord(t *testing.T) {
	for _, written := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			st, a := newMemory(), &asked{}
			w := watch(st)
			m, _ := start(t, Config{}, w, nil, a.ask)
			next := make(chan error, 1)
			w.last = func(gateway.ImportJob) error {
				w.last = nil
				go func() {
					_, err := m.StartImport(ctx, who, request("verify", "telefon\n05321234561\n"))
					next <- err
				}()
				time.Sleep(time.Second) // of the bubble: the next one has come as far as it can
				if !written {
					return errors.New("the disk is away")
				}
				return nil
			}
			begin(t, m, request("verify", "telefon\n05321234560\n"))
			err := <-next
			var e *gateway.Error
			if written && err != nil || !written && !(errors.As(err, &e) && e.Code == gateway.CodeConflict) {
				t.Errorf("the last word was written: %v; the next one got %v", written, err)
			}
			ends := 1
			if written {
				ends++
			}
			for range ends {
				if j := <-w.ended; j.State != gateway.ImportDone {
					t.Errorf("ended as %+v", j)
				}
			}
		})
	}
}

func TestLastingFailuresEnd(t *testing.T) {
	final := errors.New("no right to ask")
	for _, c := range []struct {
		why  string
		ask  error
		add  error
		prep func(*memory, *Imports)
		text string
		took time.Duration
	}{
		{"İYS will never answer", final, nil, nil, "İYS does not answer", 0},
		{"İYS does not come back", errors.New("connection refused"), nil, nil, "got nowhere", 24 * time.Hour},
		{"the brand went", errors.New("connection refused"), nil, func(s *memory, _ *Imports) {
			s.mu.Lock()
			s.dir = gateway.NewDirectory()
			s.mu.Unlock()
		}, "brand does not belong", 0},
		{"the file went", errors.New("connection refused"), nil, func(_ *memory, m *Imports) {
			_ = os.RemoveAll(m.cfg.Dir)
		}, "file is gone", 0},
		{"the desk refuses for good", nil, gateway.Refuse(gateway.CodeInvalid, "consents", ""), nil, "not taken", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			st, a := newMemory(), &asked{fail: func(int) error { return c.ask }}
			w := watch(st)
			m, _ := start(t, Config{Final: func(err error) bool { return errors.Is(err, final) }}, w, &fakeDesk{err: func(int) error { return c.add }}, a.ask)
			began := time.Now()
			if c.add != nil {
				begin(t, m, request("register", "telefon;durum;izin tarihi;kaynak\n05321234560;ONAY;1999-12-31 00:00:00;HS_WEB\n"))
			} else {
				begin(t, m, request("verify", "telefon\n05321234560\n"))
			}
			synctest.Wait()
			if c.prep != nil {
				c.prep(st, m)
			}
			if j := <-w.ended; j.State != "failed" || !strings.Contains(j.Error, c.text) {
				t.Errorf("%s: got %s %q, want failed with %q", c.why, j.State, j.Error, c.text)
			}
			if took := time.Since(began); took < c.took || took > c.took+time.Hour {
				t.Errorf("%s: it took %v, want about %v", c.why, took, c.took)
			}
			synctest.Wait()
			if left, err := os.ReadDir(m.cfg.Dir); len(left) > 0 {
				t.Errorf("%s: left in the spool: %v %v", c.why, left, err)
			}
		})
	}
}

func TestAFullDiskTakesNoFile(t *testing.T) {
	st := newMemory()
	st.full = true
	m, _ := start(t, Config{}, st, nil, (&asked{}).ask)
	if _, err := m.StartImport(ctx, who, request("verify", "telefon\n")); !refused(err, gateway.CodeStorageFull) {
		t.Errorf("got %v, want storage_full", err)
	}
}

// TestARestingImportHoldsNobodyUp: with one worker, an import whose İYS is away lets another account's go on.
func TestARestingImportHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, d := newMemory(), &fakeDesk{}
		st.dir.Brands["2"] = &gateway.Brand{Code: "2", Account: 2, SMS: gateway.BrandMode{Mode: "partner"}}
		w := watch(st)
		a := &asked{fail: func(int) error { return errors.New("connection refused") }}
		m, _ := start(t, Config{Running: 1}, w, d, a.ask)
		begin(t, m, request("verify", "telefon\n05321234560\n"))
		synctest.Wait()
		r := request("register", "telefon;durum;izin tarihi;kaynak\n05321234560;ONAY;1999-12-31 00:00:00;HS_WEB\n")
		r.Brand = "2"
		if _, err := m.StartImport(ctx, &gateway.Principal{Account: 2}, r); err != nil {
			t.Fatal(err)
		}
		if j := <-w.ended; j.Account != 2 || j.State != "done" {
			t.Errorf("got %+v, want the other account's", j)
		}
	})
}

// BenchmarkRows is the cost of a row of a verify import without İYS and disk syncs. What lives in memory beyond the file of the test
// must not grow with the rows: compare -benchtime 10000x with 1000000x.
func BenchmarkRows(b *testing.B) {
	file := list(b.N)
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	base, peak, calls := mem.HeapAlloc, uint64(0), 0
	w := watch(newMemory())
	m, _ := start(b, Config{}, w, nil, func(_ context.Context, _ string, _ iys.Channel, _ iys.RecipientType, addrs []string) ([]Answer, error) {
		if calls++; calls%10 == 0 {
			runtime.GC() // what lives, not what waits to be collected
			runtime.ReadMemStats(&mem)
			peak = max(peak, mem.HeapAlloc)
		}
		return make([]Answer, len(addrs)), nil
	})
	b.ReportAllocs()
	b.ResetTimer()
	begin(b, m, request("verify", file))
	if j := <-w.ended; j.Good != b.N {
		b.Fatalf("got %+v, want %d rows", j, b.N)
	}
	b.ReportMetric(max(0, float64(peak)-float64(base))/1e6, "live-MB")
	runtime.KeepAlive(file)
}
