package stage

import (
	"testing"

	"izinli/test/peer"
)

// Peer finds a foreign program; see [peer.Find].
func Peer(tb testing.TB, names ...string) string {
	tb.Helper()
	return peer.Find(tb, names...)
}

// Missing skips the test, or fails it where CI=true; see [peer.Missing].
func Missing(tb testing.TB, why string) {
	tb.Helper()
	peer.Missing(tb, why)
}
