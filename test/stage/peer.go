package stage

import (
	"os"
	"os/exec"
	"testing"
)

// Peer finds a foreign program. Without it the test is skipped with the reason; where CI=true that is a failure.
func Peer(tb testing.TB, names ...string) string {
	tb.Helper()
	var err error
	for _, name := range names {
		var path string
		if path, err = exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(tb, err.Error())
	return ""
}

// Missing skips the test, or fails it where CI=true, because a peer is not there.
func Missing(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf("this peer must be there on CI: %s", why)
	}
	tb.Skipf("SKIPPED, NOT TESTED AGAINST THIS PEER: %s", why)
}
