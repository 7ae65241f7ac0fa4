// Package peer finds the foreign programs tests talk to: "make peers" installs them. Where one is missing a test is skipped, loudly;
// where CI=true it fails, so that nothing is left untested unseen.
package peer

import (
	"os"
	"os/exec"
	"testing"
)

// Find returns the path of the first program that is installed. Without any the test is skipped with the reason; where CI=true
// that is a failure.
func Find(tb testing.TB, names ...string) string {
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
