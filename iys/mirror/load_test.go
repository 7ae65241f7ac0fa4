package mirror

import (
	"context"
	"errors"
	"sync"
	"testing"

	"izinli/iys"
)

// sharing reads n approvals with several goroutines, as a store does, and meanwhile writes what is newer.
type sharing struct {
	fixed
	n, readers int
	meanwhile  func()
}

func (s *sharing) EachConsent(_ context.Context, loader func() *Loader) error {
	var wg sync.WaitGroup
	for r := range s.readers {
		wg.Go(func() {
			l := loader()
			defer l.Close()
			var c iys.Consent // one for all: Add keeps nothing of it
			for i := r; i < s.n; i += s.readers {
				c = record(i, iys.StatusApproved)
				l.Add(&c)
			}
		})
	}
	s.meanwhile()
	wg.Wait()
	return s.err
}

// Everything that several readers bring is there, whether the room was made before or grows; what was put meanwhile stays.
func TestLoaders(t *testing.T) {
	const readers, n = 3, 3*sheaf + 1000 // each gathers more than once, and something is left
	for _, room := range []int{0, n} {
		m := New()
		m.consents.reserve(room)
		src := &sharing{n: n, readers: readers, meanwhile: func() {
			for i := 0; i < n; i += 1000 {
				m.Put(record(i, iys.StatusRejected))
			}
		}}
		if err := m.Load(t.Context(), src); err != nil {
			t.Fatal(err)
		}
		if got := m.Size().Consents; got != n {
			t.Errorf("%d records, want %d", got, n)
		}
		for i := range n {
			want := iys.StatusApproved
			if i%1000 == 0 {
				want = iys.StatusRejected
			}
			if e, ok := lookup(m, record(i, "")); !ok || e.Status != want {
				t.Fatalf("record %d: %+v %v, want %s", i, e, ok, want)
			}
		}
	}
}

// A reading that broke off leaves the mirror shut.
func TestLoadThatFails(t *testing.T) {
	m := New()
	broken := errors.New("the disk is away")
	src := &sharing{fixed: fixed{err: broken}, n: 10, readers: 2, meanwhile: func() {}}
	if err := m.Load(t.Context(), src); !errors.Is(err, broken) || m.Ready() {
		t.Errorf("got %v, ready %v", err, m.Ready())
	}
}
