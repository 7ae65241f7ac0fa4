package mailer

import (
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// limits are what a site gets at most.
type limits struct{ conns, perConn, perSecond, dialsPerMinute int }

// pause is how a site is treated that asks for less: for a while one message every so often, or none at all.
type pause struct{ lasts, every time.Duration }

//go:embed sites.tsv
var sitesTSV string

// siteTable says what sites get; the first rule that fits decides.
type siteTable struct {
	limits []limitRule
	pauses []pauseRule
}

type limitRule struct {
	site   string
	limits limits
}

type pauseRule struct {
	site  string
	text  *regexp.Regexp
	pause pause
}

// Bounds of the table: what is beyond them is a slip of the pen.
const (
	maxSiteNumber = 1_000_000
	maxSitePause  = 24 * time.Hour
)

// CheckSites reports what is wrong with a table of sites, in the form of sites.tsv.
func CheckSites(tsv string) error {
	_, err := parseSites(tsv)
	return err
}

// newSiteTable puts an administrator's rules in front of those of the program.
func newSiteTable(own string) (t siteTable, err error) {
	builtIn, err := parseSites(sitesTSV)
	if err != nil {
		return t, err
	}
	if t, err = parseSites(own); err != nil {
		return t, err
	}
	return siteTable{append(t.limits, builtIn.limits...), append(t.pauses, builtIn.pauses...)}, nil
}

func parseSites(tsv string) (t siteTable, err error) {
	for i, line := range strings.Split(tsv, "\n") {
		line = strings.TrimRight(line, "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cols := strings.Split(line, "\t")
		switch {
		case cols[0] == "limit" && len(cols) == 6:
			err = t.addLimit(cols[1:])
		case cols[0] == "pause" && len(cols) == 5:
			err = t.addPause(cols[1:])
		default:
			err = fmt.Errorf("neither a limit of 6 columns nor a pause of 5")
		}
		if err != nil {
			return t, fmt.Errorf("mailer: sites, line %d: %w", i+1, err)
		}
	}
	return t, nil
}

func (t *siteTable) addLimit(cols []string) error {
	r := limitRule{site: strings.ToLower(cols[0])}
	for i, x := range []struct {
		into  *int
		least int
	}{{&r.limits.conns, 1}, {&r.limits.perConn, 1}, {&r.limits.perSecond, 0}, {&r.limits.dialsPerMinute, 0}} {
		n, err := strconv.Atoi(cols[i+1])
		if err != nil || n < x.least || n > maxSiteNumber {
			return fmt.Errorf("%q is no number from %d to %d", cols[i+1], x.least, maxSiteNumber)
		}
		*x.into = n
	}
	t.limits = append(t.limits, r)
	return nil
}

func (t *siteTable) addPause(cols []string) (err error) {
	r := pauseRule{site: strings.ToLower(cols[0])}
	if r.text, err = regexp.Compile(cols[1]); err != nil {
		return err
	}
	for i, into := range []*time.Duration{&r.pause.lasts, &r.pause.every} {
		if *into, err = time.ParseDuration(cols[i+2]); err != nil || *into < 0 || *into > maxSitePause {
			return fmt.Errorf("%q is no time from 0 to %s", cols[i+2], maxSitePause)
		}
	}
	t.pauses = append(t.pauses, r)
	return nil
}

// fits reports whether a mail exchanger belongs to a site.
func fits(mx, site string) bool {
	return site == "*" || mx == site || strings.HasSuffix(mx, "."+site)
}

// of finds what a mail exchanger gets.
func (t *siteTable) of(mx string) limits {
	for i := range t.limits {
		if fits(mx, t.limits[i].site) {
			return t.limits[i].limits
		}
	}
	return limits{conns: 10, perConn: 100} // not reached: the program's table ends with *
}

// asked reads what a mail exchanger said and finds the pause it asks for; false: none.
func (t *siteTable) asked(mx, reply string) (pause, bool) {
	reply = strings.ToLower(reply)
	for i := range t.pauses {
		if r := &t.pauses[i]; fits(mx, r.site) && r.text.MatchString(reply) {
			return r.pause, r.pause.lasts > 0
		}
	}
	return pause{}, false
}
