package mtasts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mode is how seriously a domain wants its policy taken (RFC 8461 §5).
type Mode string

// The modes.
const (
	ModeEnforce Mode = "enforce" // never deliver where the policy fails
	ModeTesting Mode = "testing" // deliver all the same
	ModeNone    Mode = "none"    // there is no policy any more
)

// Bounds of a policy.
const (
	maxPolicy = 64 << 10 // octets (§3.2 advises it)
	maxMX     = 200
	maxAge    = 31557600 // seconds, about a year (§3.2)
)

// ErrPolicy refuses what is no policy.
var ErrPolicy = errors.New("mtasts: malformed policy")

// Policy is what a domain says of its mail exchangers.
type Policy struct {
	Mode   Mode          `json:"mode"`
	MX     []string      `json:"mx,omitempty"` // lower case; "*." stands for one label
	MaxAge time.Duration `json:"maxAge"`
}

// ParsePolicy reads a policy file (§3.2). Unknown fields are skipped; of a field that comes twice the first counts, except mx.
func ParsePolicy(b []byte) (*Policy, error) {
	if len(b) > maxPolicy {
		return nil, fmt.Errorf("%w: longer than %d octets", ErrPolicy, maxPolicy)
	}
	p := &Policy{}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(b), "\n") {
		name, value, ok := strings.Cut(strings.TrimRight(line, " \t\r"), ":")
		if value = strings.Trim(value, " \t"); !ok || name != "mx" && seen[name] {
			continue
		}
		seen[name] = true
		if err := p.field(name, value); err != nil {
			return nil, err
		}
	}
	switch {
	case !seen["version"] || !seen["mode"] || !seen["max_age"]:
		return nil, fmt.Errorf("%w: version, mode and max_age are needed", ErrPolicy)
	case len(p.MX) == 0 && p.Mode != ModeNone:
		return nil, fmt.Errorf("%w: no mx", ErrPolicy)
	}
	return p, nil
}

func (p *Policy) field(name, value string) error {
	switch name {
	case "version":
		if value != "STSv1" {
			return fmt.Errorf("%w: version %.20q", ErrPolicy, value)
		}
	case "mode":
		switch p.Mode = Mode(value); p.Mode {
		case ModeEnforce, ModeTesting, ModeNone:
		default:
			return fmt.Errorf("%w: mode %.20q", ErrPolicy, value)
		}
	case "max_age":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n > maxAge {
			return fmt.Errorf("%w: max_age %.20q", ErrPolicy, value)
		}
		p.MaxAge = time.Duration(n) * time.Second
	case "mx":
		mx := strings.ToLower(strings.TrimSuffix(value, "."))
		if !validMX(mx) || len(p.MX) >= maxMX {
			return fmt.Errorf("%w: mx %.80q", ErrPolicy, value)
		}
		p.MX = append(p.MX, mx)
	}
	return nil
}

// validMX: a host name, perhaps with "*" as its first label.
func validMX(s string) bool {
	s = strings.TrimPrefix(s, "*.")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// Permits reports whether a mail exchanger (lower case, without a dot at the end) is one the policy names (§4.1).
func (p *Policy) Permits(mx string) bool {
	for _, pattern := range p.MX {
		rest, wild := strings.CutPrefix(pattern, "*")
		if !wild && mx == pattern {
			return true
		}
		if label, ok := strings.CutSuffix(mx, rest); wild && ok && label != "" && !strings.Contains(label, ".") {
			return true
		}
	}
	return false
}

// parseRecord finds the id of a domain's policy among the texts at _mta-sts (§3.1); "": there is none, or more than one.
func parseRecord(texts []string) (id string) {
	found := 0
	for _, t := range texts {
		fields := strings.Split(t, ";")
		if strings.TrimRight(fields[0], " \t") != "v=STSv1" || len(fields) < 2 {
			continue
		}
		found++
		for _, f := range fields[1:] {
			if name, value, ok := strings.Cut(strings.Trim(f, " \t"), "="); ok && strings.Trim(name, " \t") == "id" && id == "" {
				id = strings.Trim(value, " \t")
			}
		}
	}
	if found != 1 || len(id) > 32 || !alphanumeric(id) {
		return ""
	}
	return id
}

func alphanumeric(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
