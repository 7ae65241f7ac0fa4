package store

import (
	"os"
	"regexp"
	"testing"
)

var kindLine = regexp.MustCompile(`(?m)^\t(k[A-Z]\w*) += '(.)'$`)

// TestKindsDiffer reads the sources: two kinds of records under one letter would be taken for each other.
func TestKindsDiffer(t *testing.T) {
	src, err := os.ReadFile("keys.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, m := range kindLine.FindAllStringSubmatch(string(src), -1) {
		if other := seen[m[2]]; other != "" {
			t.Errorf("%s and %s are both %q", other, m[1], m[2])
		}
		seen[m[2]] = m[1]
	}
	if len(seen) < 40 {
		t.Errorf("only %d kinds found: the pattern looks past them", len(seen))
	}
}
