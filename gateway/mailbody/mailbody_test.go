package mailbody

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"izinli/gateway"
)

var testKey = bytes.Repeat([]byte{7}, 32)

func open(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, testKey, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t *testing.T, s *Store, ref gateway.BodyRef) ([]byte, error) {
	t.Helper()
	rc, err := s.Open(t.Context(), ref)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

func body(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

// files lists what lies in the store's directory.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	for _, n := range []int{0, 1, 100, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize, 5*chunkSize + 17} {
		want := body(n)
		for _, src := range []io.Reader{bytes.NewReader(want), iotest.DataErrReader(bytes.NewReader(want)), iotest.HalfReader(bytes.NewReader(want))} {
			ref, err := s.Put(t.Context(), src)
			if err != nil || ref.Size != int64(n) {
				t.Fatalf("%d octets: %v, %v", n, ref, err)
			}
			// Another process finds it too.
			got, err := read(t, open(t, dir, Options{}), ref)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d octets came back as %d, %v", n, len(got), err)
			}
			if raw, _ := os.ReadFile(s.path(ref.ID)); n > 50 && bytes.Contains(raw, want[:50]) {
				t.Fatal("the body lies in the file in clear")
			}
			if err := s.Delete(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
			if _, err := read(t, s, ref); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("after Delete: %v", err)
			}
			if err := s.Delete(t.Context(), ref); err != nil {
				t.Fatalf("deleting again: %v", err)
			}
		}
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// No octet of a damaged chunk is handed out, whatever the damage.
func TestDamage(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	want := body(2*chunkSize + 100)
	ref, err := s.Put(t.Context(), bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(s.path(ref.ID))
	if err != nil {
		t.Fatal(err)
	}
	sealed := chunkSize + tagSize
	flip := func(i int) []byte { b := bytes.Clone(whole); b[i] ^= 1; return b }
	for _, c := range []struct {
		why string
		raw []byte
	}{
		{"empty file", nil},
		{"cut in the head", whole[:10]},
		{"head alone", whole[:headSize]},
		{"another magic", flip(0)},
		{"another salt", flip(5)},
		{"a bit of the first chunk", flip(headSize + 9)},
		{"a bit of the last tag", flip(len(whole) - 1)},
		{"cut in a chunk", whole[:len(whole)-3]},
		{"cut between chunks", whole[:headSize+2*sealed]},
		{"one octet more", append(bytes.Clone(whole), 0)},
		{"a chunk twice", append(bytes.Clone(whole[:headSize+sealed]), whole[headSize:]...)},
		{"chunks swapped", append(append(bytes.Clone(whole[:headSize]), whole[headSize+sealed:headSize+2*sealed]...), whole[headSize:headSize+sealed]...)},
	} {
		if err := os.WriteFile(s.path(ref.ID), c.raw, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := read(t, s, ref)
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", c.why, err)
		}
		if !bytes.HasPrefix(want, got) {
			t.Errorf("%s: octets were handed out that nobody put in", c.why)
		}
	}
	if err := os.WriteFile(s.path(ref.ID), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, s, ref); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the untouched file: %v", err)
	}
	other := newID(inFile)
	if err := s.makeShard(filepath.Dir(s.path(other))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(other), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, s, gateway.BodyRef{ID: other}); !errors.Is(err, ErrDamaged) {
		t.Errorf("under another id: %v, want ErrDamaged", err)
	}
	wrong, err := Open(s.dir, bytes.Repeat([]byte{8}, 32), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, wrong, ref); !errors.Is(err, ErrDamaged) {
		t.Errorf("under another key: %v, want ErrDamaged", err)
	}
}

func TestPutFails(t *testing.T) {
	dir := t.TempDir()
	boom := errors.New("boom")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		why  string
		ctx  context.Context
		r    io.Reader
		opt  Options
		want func(error) bool
	}{
		{"the source fails", t.Context(), io.MultiReader(bytes.NewReader(body(100_000)), iotest.ErrReader(boom)), Options{},
			func(err error) bool { return errors.Is(err, boom) }},
		{"the client goes away in mid-message", t.Context(), io.MultiReader(strings.NewReader("half a ma"), iotest.ErrReader(io.ErrUnexpectedEOF)), Options{},
			func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"the same, at the edge of a chunk", t.Context(), io.MultiReader(bytes.NewReader(body(chunkSize)), iotest.ErrReader(io.ErrUnexpectedEOF)), Options{},
			func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"the same, with a small store", t.Context(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)), Options{Small: &small{}},
			func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"cancelled", cancelled, bytes.NewReader(body(10)), Options{}, func(err error) bool { return errors.Is(err, context.Canceled) }},
		{"too large", t.Context(), bytes.NewReader(body(101)), Options{MaxSize: 100}, tooLarge},
		{"too large for a small one", t.Context(), bytes.NewReader(body(101)), Options{MaxSize: 100, Small: &small{}}, tooLarge},
	} {
		if ref, err := open(t, dir, c.opt).Put(c.ctx, c.r); !c.want(err) || ref.ID != "" {
			t.Errorf("%s: %v, %v", c.why, ref, err)
		}
		if left := files(t, dir); len(left) != 0 {
			t.Errorf("%s: left behind %q", c.why, left)
		}
	}
	if ref, err := open(t, dir, Options{MaxSize: 100}).Put(t.Context(), bytes.NewReader(body(100))); err != nil || ref.Size != 100 {
		t.Errorf("just as large as allowed: %v, %v", ref, err)
	}
}

func tooLarge(err error) bool {
	var e *gateway.Error
	return errors.As(err, &e) && e.Code == gateway.CodeTooLarge
}

// small is a Small in memory.
type small struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (s *small) PutBody(_ context.Context, id string, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string][]byte{}
	}
	s.m[id] = b
	return nil
}

func (s *small) GetBody(_ context.Context, id string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.m[id]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (s *small) DeleteBody(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, id)
	return nil
}

func TestSmall(t *testing.T) {
	dir, sm := t.TempDir(), &small{}
	s := open(t, dir, Options{Small: sm, Inline: 1000})
	for _, c := range []struct{ size, inFiles, inSmall int }{{0, 0, 1}, {1000, 0, 1}, {1001, 1, 0}, {200_000, 1, 0}} {
		ref, err := s.Put(t.Context(), bytes.NewReader(body(c.size)))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(files(t, dir)); got != c.inFiles || len(sm.m) != c.inSmall {
			t.Errorf("%d octets: %d files, %d small; want %d, %d", c.size, got, len(sm.m), c.inFiles, c.inSmall)
		}
		if got, err := read(t, s, ref); err != nil || !bytes.Equal(got, body(c.size)) {
			t.Errorf("%d octets came back as %d, %v", c.size, len(got), err)
		}
		if err := s.Delete(t.Context(), ref); err != nil || len(files(t, dir))+len(sm.m) != 0 {
			t.Errorf("%d octets: not deleted, %v", c.size, err)
		}
	}
}

func TestStage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Inline: 10})
	ref, inline, err := s.Stage(t.Context(), strings.NewReader("0123456789"))
	if err != nil || string(inline) != "0123456789" || ref.Size != 10 || len(files(t, dir)) != 0 {
		t.Errorf("small: %v %q %v, %d files", ref, inline, err, len(files(t, dir)))
	}
	if ref, inline, err = s.Stage(t.Context(), strings.NewReader("")); err != nil || inline == nil || ref.ID == "" {
		t.Errorf("empty: %v %v %v; an empty body is inline, not absent", ref, inline, err)
	}
	ref, inline, err = s.Stage(t.Context(), strings.NewReader("0123456789a"))
	if err != nil || inline != nil {
		t.Fatalf("large: %v %q %v", ref, inline, err)
	}
	if got, err := read(t, s, ref); err != nil || string(got) != "0123456789a" {
		t.Errorf("large came back as %q, %v", got, err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	var refs []gateway.BodyRef
	old := time.Now().Add(-2 * time.Hour)
	for i := range 4 {
		ref, err := s.Put(t.Context(), strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		if i < 3 {
			if err := os.Chtimes(s.path(ref.ID), old, old); err != nil {
				t.Fatal(err)
			}
		}
		refs = append(refs, ref)
	}
	kept := refs[1].ID
	n, err := s.Sweep(t.Context(), time.Now().Add(-time.Hour), func(id string) (bool, error) { return id == kept, nil })
	if err != nil || n != 2 {
		t.Fatalf("removed %d, %v; want 2", n, err)
	}
	for i, want := range []bool{false, true, false, true} { // orphan, referred to, orphan, young
		if _, err := read(t, s, refs[i]); (err == nil) != want {
			t.Errorf("body %d: %v, want it there: %v", i, err, want)
		}
	}
	boom := errors.New("boom")
	if _, err := s.Sweep(t.Context(), time.Now().Add(time.Hour), func(string) (bool, error) { return false, boom }); !errors.Is(err, boom) {
		t.Errorf("a failing look-up: %v", err)
	}
	if len(files(t, dir)) != 2 {
		t.Error("a failing look-up removed bodies")
	}
}

// What a crash left half-written disappears at the next start, and nothing else does.
func TestOpenRemovesParts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	ref, err := s.Put(t.Context(), strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	part := s.path(ref.ID) + partSuffix
	if err := os.WriteFile(part, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	if left := files(t, dir); len(left) != 1 || left[0] == part {
		t.Errorf("left: %q", left)
	}
	if got, err := read(t, s, ref); err != nil || string(got) != "body" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestForeignIDs(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for _, id := range []string{"", "f", "../../etc/passwd", "f../../../../../../../../etc/x", strings.Repeat("f", 27)[:26], "x" + strings.Repeat("a", 26), "s" + strings.Repeat("a", 26)} {
		if _, err := s.Open(t.Context(), gateway.BodyRef{ID: id}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", id, err)
		}
		if err := s.Delete(t.Context(), gateway.BodyRef{ID: id}); err != nil {
			t.Errorf("%q: delete: %v", id, err)
		}
	}
	if _, err := Open(t.TempDir(), []byte("short"), Options{}); err == nil {
		t.Error("a short key was taken")
	}
	if !validID(newID(inFile)) || !validID(newID(inSmall)) {
		t.Error("our own ids are not valid")
	}
}

func FuzzOpener(f *testing.F) {
	f.Add([]byte(magic + "0123456789abcdef"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := newOpener(io.NopCloser(bytes.NewReader(raw)), testKey, "f")
		if err != nil {
			return
		}
		if b, err := io.ReadAll(o); err == nil || len(b) > 0 {
			t.Fatalf("made-up file opened as %q, %v", b, err)
		}
	})
}
