package configs

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Validate checks every bound and reports all problems together, each with its field.
func (c *Config) Validate() error {
	var v problems
	v.check(c.Data != "", "data", "is missing: name the data directory")
	v.listeners(&c.Listen)
	v.certificate("tls.http", c.TLS.HTTP)
	v.certificate("tls.smpp", c.TLS.SMPP)
	v.certificate("tls.smtp", c.TLS.SMTP)
	v.site("publicUrl", c.PublicURL, "the pages for recipients stand", "https://u.example.com")
	v.site("panelUrl", c.PanelURL, "the panel stands", "https://panel.example.com")
	v.host("mail.domain", c.Mail.Domain)
	v.host("mail.bounceDomain", c.Mail.BounceDomain)
	v.host("mail.smsDomain", c.Mail.SMSDomain)
	v.store(c)
	v.check(c.Queue.Redis == "" || strings.HasPrefix(c.Queue.Redis, "redis") && strings.Contains(c.Queue.Redis, "://"), "queue.redis",
		"is not the URL of a Redis, such as redis://127.0.0.1:6379/0")
	within(&v, "queue.maxTasks", c.Queue.MaxTasks, 0, 10_000)
	within(&v, "queue.otpWorkers", c.Queue.OTPWorkers, 1, 4096)
	within(&v, "queue.workers", c.Queue.Workers, 4, 4096)
	within(&v, "queue.drainTimeout", c.Queue.DrainTimeout, second, 10*minute)
	v.limits(&c.Limits)
	v.url("iys.baseUrl", c.IYS.BaseURL)
	within(&v, "iys.requestsPerSecond", c.IYS.RequestsPerSecond, 1, 10)
	within(&v, "iys.pullEvery", c.IYS.PullEvery, minute, 3*hour)
	within(&v, "iys.pushEvery", c.IYS.PushEvery, second, 10*minute)
	within(&v, "iys.freshness", c.IYS.Freshness, 10*minute, 24*hour)
	v.check(c.IYS.Freshness >= c.IYS.PullEvery, "iys.freshness", "is below iys.pullEvery: the local copy would never be believed")
	within(&v, "iys.timeout", c.IYS.Timeout, second, minute)
	if c.Mail.DelayNotice != 0 {
		within(&v, "mail.delayNotice", c.Mail.DelayNotice, minute, 72*hour)
	}
	v.word("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.word("log.format", c.Log.Format, "text", "json")
	return errors.Join(v...)
}

const (
	second = Duration(time.Second)
	minute = Duration(time.Minute)
	hour   = Duration(time.Hour)
	kib    = Size(1 << 10)
	mib    = Size(1 << 20)
	gib    = Size(1 << 30)
)

// problems gathers what is wrong.
type problems []error

func (v *problems) check(good bool, field, format string, args ...any) {
	if !good {
		*v = append(*v, fmt.Errorf("%s %s", field, fmt.Sprintf(format, args...)))
	}
}

func within[N int | Duration | Size](v *problems, field string, n, low, high N) {
	v.check(n >= low && n <= high, field, "is %v; it lies between %v and %v", n, low, high)
}

func (v *problems) word(field, s string, words ...string) {
	for _, w := range words {
		if s == w {
			return
		}
	}
	v.check(false, field, "is %q; it is one of %s", s, strings.Join(words, ", "))
}

func (v *problems) url(field, s string) {
	u, err := url.Parse(s)
	v.check(err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && u.RawQuery == "" && u.Fragment == "",
		field, "is not an address such as https://example.com")
}

// site checks where people reach pages of ours; the empty one passes. Pages stand at the root: their forms, cookies and style sheets
// name paths from there, so that behind a path a page would show and no button on it work.
func (v *problems) site(field, s, stands, example string) {
	if s == "" {
		return
	}
	v.url(field, s)
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Path == "" { // without a host there is no path either, whatever url.Parse makes of it
		return
	}
	v.check(u.Path != "/", field, "must not end with a slash")
	v.check(u.Path == "/", field, "has the path %s: %s at the root of a host, so name one of their own, such as %s", u.Path, stands, example)
}

// host checks a host name in lower case with a dot in it; the empty one passes.
func (v *problems) host(field, s string) {
	ok := s == "" || len(s) <= 253 && strings.Contains(s, ".") && s == strings.ToLower(s) &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".")
	v.check(ok, field, "is %q, not a name such as mx.example.com", s)
}

func (v *problems) certificate(field string, c Certificate) {
	v.check((c.Cert == "") == (c.Key == ""), field, "needs both cert and key, or neither")
}

func (v *problems) store(c *Config) {
	s := &c.Store
	v.check(s.KeyFile != "" || s.Key != "", "store.keyFile", "is missing, and %s is not set", EnvStoreKey)
	if s.KeyFile != "" {
		rel, err := filepath.Rel(abs(c.Data), abs(s.KeyFile))
		v.check(err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)), "store.keyFile",
			"lies inside the data directory: a copy of the data would carry its key along")
	}
	if s.Reserve != 0 {
		within(v, "store.reserve", s.Reserve, 64*mib, 1024*gib)
	}
	within(v, "store.retention", s.Retention, days(30), days(3660))
	within(v, "store.memory", s.Memory, 64*mib, 64*gib)
}

func abs(path string) string {
	p, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return p
}

func (v *problems) limits(l *Limits) {
	within(v, "limits.body", l.Body, 64*kib, 256*mib)
	within(v, "limits.import", l.Import, mib, 16*gib)
	within(v, "limits.mail", l.Mail, 64*kib, 256*mib)
	within(v, "limits.httpConnections", l.HTTPConnections, 1, 100_000)
	within(v, "limits.smppSessions", l.SMPPSessions, 1, 100_000)
	within(v, "limits.smtpSessions", l.SMTPSessions, 1, 100_000)
	within(v, "limits.smtpPerAddress", l.SMTPPerAddress, 1, 100_000)
	within(v, "limits.smtpPerAccount", l.SMTPPerAccount, 1, 100_000)
	within(v, "limits.smtpRecipients", l.SMTPRecipients, 100, 10_000)
	within(v, "limits.smtpRefused", l.SMTPRefused, 10, 10_000)
	within(v, "limits.smtpMessages", l.SMTPMessages, 1, 1_000_000)
	within(v, "limits.bindTimeout", l.BindTimeout, second, 5*minute)
	within(v, "limits.idleTimeout", l.IdleTimeout, 10*second, hour)
}

// listeners checks each address and that no two are the same.
func (v *problems) listeners(l *Listen) {
	seen := map[string]string{}
	for _, x := range []struct{ field, addr string }{
		{"listen.api", l.API}, {"listen.panel", l.Panel}, {"listen.public", l.Public}, {"listen.ops", l.Ops}, {"listen.smpp", l.SMPP},
		{"listen.smppTls", l.SMPPTLS}, {"listen.smtp", l.SMTP}, {"listen.smtps", l.SMTPS}, {"listen.relay", l.Relay},
	} {
		if x.addr == "" {
			continue
		}
		host, port, err := net.SplitHostPort(x.addr)
		_, bad := strconv.ParseUint(port, 10, 16)
		v.check(err == nil && bad == nil && !strings.ContainsAny(host, " /"), x.field, "is %q, not host:port or :port", x.addr)
		if other, taken := seen[x.addr]; taken && port != "0" {
			v.check(false, x.field, "is %q, like %s", x.addr, other)
		}
		seen[x.addr] = x.field
	}
}
