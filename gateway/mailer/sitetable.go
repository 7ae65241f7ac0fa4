package mailer

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// limits are what a site gets at most.
type limits struct{ conns, perConn int }

//go:embed sites.tsv
var sitesTSV string

type siteRule struct {
	suffix string
	limits limits
}

// siteRules is the table, read once.
var siteRules = sync.OnceValue(func() []siteRule {
	r, err := parseSites(sitesTSV)
	if err != nil {
		panic(err) // the table is part of the program; a test reads it
	}
	return r
})

func parseSites(tsv string) (out []siteRule, err error) {
	for i, line := range strings.Split(tsv, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cols := strings.Split(line, "\t")
		if len(cols) != 3 {
			return nil, fmt.Errorf("mailer: sites.tsv:%d: %d columns", i+1, len(cols))
		}
		r := siteRule{suffix: cols[0]}
		for j, at := range []*int{&r.limits.conns, &r.limits.perConn} {
			if *at, err = strconv.Atoi(cols[j+1]); err != nil || *at < 1 {
				return nil, fmt.Errorf("mailer: sites.tsv:%d: %q is no number above 0", i+1, cols[j+1])
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// limitsOf finds what a mail exchanger gets.
func limitsOf(mx string) limits {
	for _, r := range siteRules() {
		if r.suffix == "*" || mx == r.suffix || strings.HasSuffix(mx, "."+r.suffix) {
			return r.limits
		}
	}
	return limits{10, 100}
}
