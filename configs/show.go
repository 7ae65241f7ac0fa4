package configs

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
)

// String lists every setting, one a line, without secrets: of bootstrap only how much there is, of the Redis URL not its password.
func (c Config) String() string {
	var b strings.Builder
	for _, f := range Fields() {
		fmt.Fprintf(&b, "%s: %v\n", f.Path, c.shown(f))
	}
	return b.String()
}

// LogValue gives a log the same settings as attributes; only those that differ from the defaults.
func (c Config) LogValue() slog.Value {
	def := Default()
	var out []slog.Attr
	for _, f := range Fields() {
		if !reflect.DeepEqual(c.value(f), def.value(f)) {
			out = append(out, slog.String(f.Path, fmt.Sprint(c.shown(f))))
		}
	}
	return slog.GroupValue(out...)
}

func (c *Config) value(f Field) any { return reflect.ValueOf(*c).FieldByIndex(f.index).Interface() }

func (c *Config) shown(f Field) any {
	switch v := c.value(f).(type) {
	case Bootstrap:
		return fmt.Sprintf("%d accounts, %d operators, %d routes, %d iysLinks", len(v.Accounts), len(v.Operators), len(v.Routes), len(v.IYSLinks))
	case string:
		if f.Path == "queue.redis" {
			return hideURL(v)
		}
		return fmt.Sprintf("%q", v)
	default:
		return v
	}
}

// hideURL drops the user, password and parameters of a URL, and everything when they cannot be told apart.
func hideURL(s string) string {
	if s == "" {
		return "embedded"
	}
	scheme, rest, _ := strings.Cut(s, "://")
	hosts, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		hosts, tail = rest[:i], rest[i:]
	}
	if strings.Contains(tail, "@") { // an unescaped character in the password: where does it end?
		return scheme + "://…"
	}
	hosts = hosts[strings.LastIndexByte(hosts, '@')+1:]
	if i := strings.IndexAny(tail, "?#"); i >= 0 {
		tail = tail[:i]
	}
	return scheme + "://" + hosts + tail
}
