package mailbody

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"
)

func openLog(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := OpenLog(dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func appendLog(t *testing.T, l *Log, id string, b []byte) Place {
	t.Helper()
	p, err := l.Append(id, b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func segmentFiles(t *testing.T, dir string) int {
	t.Helper()
	return len(files(t, dir))
}

// What was synced is there after a start that never saw a Close, in whichever segment it stands.
func TestLogRoundTrip(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	places := map[string]Place{}
	const n = 40
	for i := range n {
		id := fmt.Sprintf("s%026d", i)
		places[id] = appendLog(t, l, id, body(1<<20+i))
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := segmentFiles(t, dir); got != 2 {
		t.Fatalf("%d segments for %d MiB", got, n)
	}
	again := openLog(t, dir)
	for id, p := range places {
		again.Use(p)
		for _, log := range []*Log{l, again} {
			if got, err := log.Read(id, p); err != nil || !bytes.Equal(got, body(int(p.Size)-tagSize)) {
				t.Fatalf("%s: %d octets, %v", id, len(got), err)
			}
		}
	}
	if err := again.Tidy(); err != nil || segmentFiles(t, dir) != 2 {
		t.Fatalf("%v, %d segments left", err, segmentFiles(t, dir))
	}
	raw, err := os.ReadFile(l.path(1))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, body(1 << 20)[:50]) {
		t.Error("a body lies in its segment in clear")
	}
}

// A body opens under its own id, place and key alone, and not at all when an octet changed or is missing.
func TestLogDamage(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	first := appendLog(t, l, "a", body(5000))
	p := appendLog(t, l, "b", body(5000))
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	moved, short := p, p
	moved.Offset++
	short.Size = 3
	for why, c := range map[string]struct {
		id string
		p  Place
	}{"another id": {"a", p}, "another place": {"b", first}, "an offset that is none": {"b", moved}, "too short": {"b", short},
		"behind the end": {"b", Place{p.Segment, 1 << 30, p.Size}}, "absurd size": {"b", Place{p.Segment, p.Offset, 1 << 31}}} {
		if _, err := l.Read(c.id, c.p); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", why, err)
		}
	}
	if _, err := l.Read("b", Place{99, p.Offset, p.Size}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a segment that is not there: %v", err)
	}
	whole, err := os.ReadFile(l.path(p.Segment))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 6, int(p.Offset), len(whole) - 1} {
		raw := bytes.Clone(whole)
		raw[at] ^= 1
		if err := os.WriteFile(l.path(p.Segment), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openLog(t, dir).Read("b", p); !errors.Is(err, ErrDamaged) {
			t.Errorf("octet %d changed: %v, want ErrDamaged", at, err)
		}
	}
	if err := os.WriteFile(l.path(p.Segment), whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openLog(t, dir).Read("b", p); !errors.Is(err, ErrDamaged) {
		t.Errorf("cut: %v, want ErrDamaged", err)
	}
}

// After a write that failed the log goes on in another segment: an offset is never written twice under one key.
func TestLogWriteFails(t *testing.T) {
	l := openLog(t, t.TempDir())
	p := appendLog(t, l, "a", body(5000))
	l.file.Close() // the disk goes away under it
	if _, err := l.Append("b", body(5000)); err == nil {
		t.Fatal("appended to a closed file")
	}
	if q := appendLog(t, l, "c", body(5000)); q.Segment == p.Segment {
		t.Errorf("went on in segment %d", q.Segment)
	}
	l.file.Close()
	if err := l.Sync(); err == nil {
		t.Error("synced a closed file")
	}
	if err := l.Sync(); err != nil {
		t.Errorf("nothing is left to sync: %v", err)
	}
}

// A model of the log: whatever is appended, freed, moved out of sparse segments and reopened, what is in use can be read, and what is
// dead gives its room back.
func TestLogModel(t *testing.T) {
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(7, 7))
	reopen := func() *Log {
		l := openLog(t, dir)
		l.segmentSize, l.sparseSize = 1<<20, 8<<20
		return l
	}
	l := reopen()
	live := map[string]Place{}
	sum := func(id string) []byte { return bytes.Repeat([]byte(id), 200) }
	add := func(id string) { live[id] = appendLog(t, l, id, sum(id)) }
	for i := range 16_000 {
		add(fmt.Sprintf("s%08d", i))
		if id := fmt.Sprintf("s%08d", rnd.IntN(i+1)); i > 100 {
			if p, ok := live[id]; ok {
				delete(live, id)
				l.Free(p)
			}
		}
		if i%1000 != 999 {
			continue
		}
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		if i%4000 == 3999 {
			l = reopen()
			for _, p := range live {
				l.Use(p)
			}
		}
		for n, ok := l.Sparse(); ok; n, ok = l.Sparse() {
			for id, p := range live {
				if p.Segment == n {
					add(id)
					l.Free(p)
				}
			}
			if err := l.Tidy(); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Tidy(); err != nil {
			t.Fatal(err)
		}
		var want int64
		for _, p := range live {
			want += int64(p.Size)
		}
		size, used := l.Size()
		if used != want {
			t.Fatalf("%d octets in use, want %d", used, want)
		}
		if most := want*sparseShare + l.sparseSize + 2*l.segmentSize; size > most {
			t.Fatalf("%d octets on disk for %d in use", size, want)
		}
		for id, p := range live {
			if got, err := l.Read(id, p); err != nil || !bytes.Equal(got, sum(id)) {
				t.Fatalf("%s: %d octets, %v", id, len(got), err)
			}
		}
	}
}

// Forget gives up a segment whose count went wrong, but never the one under way.
func TestLogForget(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	p := appendLog(t, l, "a", body(100))
	l.Forget(p.Segment)
	if err := l.Tidy(); err != nil || segmentFiles(t, dir) != 1 {
		t.Fatalf("%v, %d segments", err, segmentFiles(t, dir))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.sparseSize = 0
	l.Free(p)
	if n, ok := l.Sparse(); !ok || n != p.Segment {
		t.Errorf("sparse: %d, %v", n, ok)
	}
	l.Keep(p.Segment)
	if n, ok := l.Sparse(); ok {
		t.Errorf("segment %d is to be emptied, and was to be kept", n)
	}
	l.Forget(p.Segment)
	if err := l.Tidy(); err != nil || segmentFiles(t, dir) != 0 {
		t.Fatalf("%v, %d segments", err, segmentFiles(t, dir))
	}
	if _, err := l.Read("a", p); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read after its end: %v", err)
	}
}
