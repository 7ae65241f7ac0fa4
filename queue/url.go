package queue

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// target is a Redis to connect to.
type target struct {
	embedded bool
	addrs    []string
	cluster  bool
	master   string // Sentinel's name for it; empty without Sentinel
	user     string
	password string
	// of the sentinels themselves
	sentinelUser, sentinelPassword string
	db                             int
	tls                            *tls.Config
}

// ErrURL is wrapped by every refusal of a Redis URL; the text never repeats the URL, which may hold a password.
var ErrURL = errors.New("queue: bad redis url")

// ParseURL checks the URL of a Redis. The forms, each with rediss… for TLS:
//
//	redis://[user:password@]host[:port][/db]
//	redis-socket://[user:password@]/path/to/socket[?db=0]
//	redis-sentinel://[user:password@]host[:port][,host[:port]…][/db]?master=name[&sentinelUser=…&sentinelPassword=…]
//	redis-cluster://[user:password@]host[:port][,host[:port]…]
//
// Ports default to 6379, of sentinels to 26379. Databases are 0–15 or more, as Redis is configured; a cluster has only 0.
func ParseURL(s string) error {
	_, err := parseURL(s)
	return err
}

func parseURL(s string) (target, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return target{}, fmt.Errorf("%w: no scheme", ErrURL)
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	userinfo, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		userinfo, hosts = authority[:i+1], authority[i+1:]
	}
	// url.Parse knows one host only: the list is parsed here, the rest there.
	u, err := url.Parse("redis://" + userinfo + "host" + tail)
	if err != nil {
		return target{}, fmt.Errorf("%w: malformed", ErrURL) // err would repeat the URL
	}
	if u.Fragment != "" {
		return target{}, fmt.Errorf("%w: '#' (write %%23 in a password)", ErrURL)
	}
	t := target{user: u.User.Username()}
	t.password, _ = u.User.Password()
	kind, secure := scheme, false
	if k, ok := strings.CutPrefix(scheme, "rediss"); ok {
		kind, secure = "redis"+k, true
	}
	switch kind {
	case "redis":
		err = t.single(hosts, u)
	case "redis-socket":
		err = t.socket(hosts, u, secure)
	case "redis-sentinel":
		err = t.sentinel(hosts, u)
	case "redis-cluster":
		err = t.clustered(hosts, u)
	default:
		err = fmt.Errorf("%w: unknown scheme", ErrURL)
	}
	if err != nil {
		return target{}, err
	}
	if secure {
		t.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if len(t.addrs) == 1 {
			t.tls.ServerName, _, _ = net.SplitHostPort(t.addrs[0])
		}
	}
	return t, nil
}

func (t *target) single(hosts string, u *url.URL) error {
	if err := t.hosts(hosts, "6379"); err != nil {
		return err
	}
	if len(t.addrs) != 1 {
		return fmt.Errorf("%w: one host is needed (redis-sentinel and redis-cluster take several)", ErrURL)
	}
	if err := t.database(strings.TrimPrefix(u.Path, "/")); err != nil {
		return err
	}
	_, err := query(u)
	return err
}

func (t *target) socket(hosts string, u *url.URL, secure bool) error {
	if hosts != "" || !strings.HasPrefix(u.Path, "/") || len(u.Path) < 2 || secure {
		return fmt.Errorf("%w: redis-socket needs an absolute path and no host", ErrURL)
	}
	v, err := query(u, "db")
	if err != nil {
		return err
	}
	t.addrs = []string{u.Path} // go-redis takes a leading '/' for a Unix socket
	return t.database(v.Get("db"))
}

func (t *target) sentinel(hosts string, u *url.URL) error {
	if err := t.hosts(hosts, "26379"); err != nil {
		return err
	}
	v, err := query(u, "master", "sentinelUser", "sentinelPassword")
	if err != nil {
		return err
	}
	if t.master = v.Get("master"); t.master == "" {
		return fmt.Errorf("%w: redis-sentinel needs ?master=", ErrURL)
	}
	t.sentinelUser, t.sentinelPassword = v.Get("sentinelUser"), v.Get("sentinelPassword")
	return t.database(strings.TrimPrefix(u.Path, "/"))
}

func (t *target) clustered(hosts string, u *url.URL) error {
	if p := strings.TrimPrefix(u.Path, "/"); p != "" && p != "0" {
		return fmt.Errorf("%w: a cluster has only database 0", ErrURL)
	}
	t.cluster = true
	if _, err := query(u); err != nil {
		return err
	}
	return t.hosts(hosts, "6379")
}

// hosts reads a list of host[:port], IPv6 addresses in brackets.
func (t *target) hosts(list, port string) error {
	for h := range strings.SplitSeq(list, ",") {
		host, p, err := net.SplitHostPort(h)
		if err != nil {
			host, p = strings.TrimSuffix(strings.TrimPrefix(h, "["), "]"), port
			if strings.ContainsAny(host, "[]") || strings.Contains(host, ":") != strings.HasPrefix(h, "[") {
				return fmt.Errorf("%w: host", ErrURL)
			}
		}
		n, err := strconv.ParseUint(p, 10, 16)
		if host == "" || err != nil || n == 0 {
			return fmt.Errorf("%w: host or port", ErrURL)
		}
		t.addrs = append(t.addrs, net.JoinHostPort(host, p))
	}
	return nil
}

func (t *target) database(s string) error {
	if s == "" {
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return fmt.Errorf("%w: database number", ErrURL)
	}
	t.db = int(n)
	return nil
}

// query reads the parameters and refuses any but the known ones: a misspelt one must not be ignored.
func query(u *url.URL, known ...string) (url.Values, error) {
	v, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: parameters", ErrURL)
	}
next:
	for k := range v {
		for _, ok := range known {
			if k == ok {
				continue next
			}
		}
		return nil, fmt.Errorf("%w: unknown parameter %q", ErrURL, k)
	}
	return v, nil
}
