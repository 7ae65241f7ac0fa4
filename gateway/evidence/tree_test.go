package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
)

// TestTreeOfTheStandard: Top over the leaves of RFC 6962's own test data (certificate-transparency's), whose leaves are hashed here as
// 00 ‖ data; ours are hashes themselves, so the octets go in through a hand-made tree.
func TestTreeOfTheStandard(t *testing.T) {
	empty := Top(nil)
	if got := hex.EncodeToString(empty[:]); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("the root of nothing is %s", got)
	}
	h := func(b ...byte) Hash { return sha256.Sum256(b) }
	a, b, c := h('a'), h('b'), h('c')
	la, lb, lc := h(append([]byte{0}, a[:]...)...), h(append([]byte{0}, b[:]...)...), h(append([]byte{0}, c[:]...)...)
	ab := h(append(append([]byte{1}, la[:]...), lb[:]...)...)
	want := h(append(append([]byte{1}, ab[:]...), lc[:]...)...)
	if got := Top([]Hash{a, b, c}); got != want {
		t.Errorf("got %x, want ((a b) c) = %x", got, want)
	}
}

func TestEveryPathLeadsToTheRoot(t *testing.T) {
	var hashes []Hash
	for n := 1; n <= 70; n++ {
		hashes = append(hashes, sha256.Sum256(fmt.Append(nil, n)))
		top := Top(hashes)
		for i := range n {
			path := Path(hashes, i)
			if got, ok := climb(hashes[i], i, n, path); !ok || got != top {
				t.Fatalf("%d of %d: %x %v, want %x", i, n, got, ok, top)
			}
			if n > 1 {
				if got, ok := climb(hashes[(i+1)%n], i, n, path); ok && got == top {
					t.Fatalf("%d of %d: another record is proved", i, n)
				}
				if got, ok := climb(hashes[i], (i+1)%n, n, path); ok && got == top {
					t.Fatalf("%d of %d: another place is proved", i, n)
				}
			}
			if _, ok := climb(hashes[i], i, n, append(path, top)); ok {
				t.Fatalf("%d of %d: a longer path is taken", i, n)
			}
		}
	}
	if _, ok := climb(hashes[0], -1, 70, nil); ok {
		t.Error("a negative place is taken")
	}
}
