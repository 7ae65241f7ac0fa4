package evidence

import (
	"crypto/sha256"
	"encoding/binary"

	"izinli/gateway"
)

// Hash is a SHA-256 hash.
type Hash = [sha256.Size]byte

// First octets of what is hashed (RFC 6962 §2.1); accountOctet leads the leaf of an account in the day's tree.
const (
	leafOctet    = 0
	nodeOctet    = 1
	accountOctet = 2
)

func leaf(h Hash) Hash { return sha256.Sum256(append([]byte{leafOctet}, h[:]...)) }

func node(l, r Hash) Hash {
	b := make([]byte, 0, 1+2*len(l))
	return sha256.Sum256(append(append(append(b, nodeOctet), l[:]...), r[:]...))
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for k<<1 < n {
		k <<= 1
	}
	return k
}

// Top is the root of the tree over the hashes; of none it is the hash of nothing.
func Top(hashes []Hash) Hash {
	switch n := len(hashes); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaf(hashes[0])
	default:
		k := split(n)
		return node(Top(hashes[:k]), Top(hashes[k:]))
	}
}

// Path are the hashes beside the way from leaf i up to the root, lowest first.
func Path(hashes []Hash, i int) []Hash {
	n := len(hashes)
	if n <= 1 || i < 0 || i >= n {
		return nil
	}
	if k := split(n); i < k {
		return append(Path(hashes[:k], i), Top(hashes[k:]))
	} else {
		return append(Path(hashes[k:], i-k), Top(hashes[:k]))
	}
}

// climb is the root that a hash at place i of n and its path lead to; false when the path cannot be one.
func climb(h Hash, i, n int, path []Hash) (Hash, bool) {
	if n <= 1 {
		return leaf(h), n == 1 && i == 0 && len(path) == 0
	}
	if i < 0 || i >= n || len(path) == 0 {
		return Hash{}, false
	}
	last, rest := path[len(path)-1], path[:len(path)-1]
	if k := split(n); i < k {
		l, ok := climb(h, i, k, rest)
		return node(l, last), ok
	} else {
		r, ok := climb(h, i-k, n-k, rest)
		return node(last, r), ok
	}
}

// accountLeaf binds an account's root to its number and the count of its records.
func accountLeaf(a gateway.AccountID, records int, root Hash) Hash {
	b := []byte{accountOctet}
	b = binary.BigEndian.AppendUint32(b, uint32(a))
	b = binary.BigEndian.AppendUint64(b, uint64(records))
	return sha256.Sum256(append(b, root[:]...))
}
