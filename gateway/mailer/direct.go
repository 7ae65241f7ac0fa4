package mailer

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"izinli/gateway"
	"izinli/gateway/mtasts"
	"izinli/gateway/smarthost"
)

// direct delivers to the mail exchangers of each domain (RFC 5321 §5.1).
type direct struct {
	m    *Manager
	host *gateway.Smarthost

	mu      sync.Mutex
	answers map[string]mxAnswer // by domain; guarded by mu
	clients map[string]*mxSite  // by the set of exchangers: domains that share them share connections; guarded by mu
}

// mxAnswer is what the DNS said about a domain.
type mxAnswer struct {
	hosts    []string // by preference
	key      string   // the same for all domains with these hosts
	verified bool     // its policy asks for certificates (MTA-STS)
	until    time.Time
}

// verified marks the key of a set of exchangers that have to show certificates.
const verified = " verified "

type mxSite struct {
	client *smarthost.Client
	limits limits
	used   time.Time
}

// How long answers of the DNS and unused connections are kept.
const (
	mxLife   = 5 * time.Minute
	siteLife = 10 * time.Minute
	mxMost   = 5 // exchangers tried of one domain
)

func newDirect(m *Manager, h *gateway.Smarthost) *direct {
	return &direct{m: m, host: h, answers: map[string]mxAnswer{}, clients: map[string]*mxSite{}}
}

func (d *direct) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.clients {
		s.client.Close()
	}
	d.clients = map[string]*mxSite{}
}

// deliver makes one attempt at the site of the domain, in the place the message has there.
func (d *direct) deliver(ctx context.Context, domain string, msg *smarthost.Message, p *place) (t try) {
	to, began := msg.To[0].Addr, time.Now()
	later := func(text string) smarthost.Outcome {
		return smarthost.Outcome{To: to, Kind: smarthost.TryLater, Text: text}
	}
	if p == nil { // it was routed before the smarthost became direct
		if p, t.wait = d.m.sites.book(domain, began); t.wait > 0 {
			t.outcome = later("the site has no room")
			return t
		}
	}
	a, refusal := d.exchangers(ctx, domain)
	if refusal != nil {
		refusal.To = to
		t.outcome = *refusal
		t.wait = d.m.sites.leave(p, began, time.Now(), refusal.Kind == smarthost.Permanent)
		return t
	}
	if a, refusal = d.trusted(ctx, domain, a); refusal != nil {
		p.GiveBack()
		refusal.To = to
		t.outcome = *refusal
		return t
	}
	s, err := d.site(a)
	if err != nil {
		p.GiveBack()
		t.outcome = later(err.Error())
		return t
	}
	if t.wait = d.m.sites.settle(p, domain, a.key, s.limits.conns, time.Now()); t.wait > 0 {
		p.GiveBack()
		t.outcome = later("the site has no room")
		return t
	}
	res := s.client.Deliver(ctx, *msg)
	if res.Held != nil {
		p.GiveBack()
		t.held = true
		return t
	}
	t.outcome = res.Outcomes[0]
	d.heed(domain, &t.outcome)
	t.wait = d.m.sites.leave(p, began, time.Now(), !t.outcome.Unasked())
	return t
}

// heed does what a site asks for that would rather have less of us.
func (d *direct) heed(domain string, o *smarthost.Outcome) {
	if o.Kind == smarthost.Delivered {
		return
	}
	if p, ok := d.m.table.asked(o.Host, o.Reply()); ok {
		d.m.sites.pause(domain, p, time.Now())
		d.m.cfg.Log.Warn("a site wants less mail", "smarthost", d.host.Name, "domain", domain, "host", o.Host, "for", p.lasts, "every", p.every, "reply", o.Reply())
	}
}

// trusted applies the domain's MTA-STS policy: where it is enforced, only exchangers it names count, and they have to show a
// certificate (RFC 8461 §4). A policy that fails is for the schedule, since it may be put right; the mail is never sent without it.
func (d *direct) trusted(ctx context.Context, domain string, a mxAnswer) (mxAnswer, *smarthost.Outcome) {
	if d.m.sts == nil || d.host.TLS == "off" {
		return a, nil
	}
	policy := d.m.sts.Policy(ctx, domain)
	if policy == nil {
		return a, nil
	}
	var named []string
	for _, h := range a.hosts {
		if policy.Permits(h) {
			named = append(named, h)
		}
	}
	switch {
	case policy.Mode == mtasts.ModeEnforce && len(named) == 0:
		return a, &smarthost.Outcome{Kind: smarthost.TryLater, Code: 451, Enhanced: "4.4.4", Text: "the domain's MTA-STS policy names none of its mail exchangers"}
	case policy.Mode == mtasts.ModeEnforce: // a site of its own: what fails here need not fail without certificates
		a.hosts, a.key, a.verified = named, a.key+verified, true
	case len(named) < len(a.hosts):
		d.m.cfg.Log.Info("mta-sts policy under test does not name all exchangers", "domain", domain, "hosts", a.hosts, "mx", policy.MX)
	}
	return a, nil
}

// exchangers finds the hosts of a domain; the refusal says why there is none.
func (d *direct) exchangers(ctx context.Context, domain string) (a mxAnswer, refusal *smarthost.Outcome) {
	now := time.Now()
	d.mu.Lock()
	a, ok := d.answers[domain]
	d.mu.Unlock()
	if ok && a.until.After(now) {
		return a, nil
	}
	hosts, refusal := lookup(ctx, d.m.cfg.Resolver, domain, strings.ToLower(d.m.cfg.Domain))
	if refusal != nil {
		return a, refusal
	}
	hosts = hosts[:min(len(hosts), mxMost)]
	a = mxAnswer{hosts: hosts, key: strings.Join(slices.Sorted(slices.Values(hosts)), " "), until: now.Add(mxLife)}
	for _, key := range [...]string{a.key, a.key + verified} {
		d.m.sites.relearn(key, d.m.table.of(hosts[0]).conns)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.answers) > 100_000 {
		clear(d.answers)
	}
	d.answers[domain] = a
	return a, nil
}

// lookup finds the exchangers of a domain by preference. self is our own name: an exchanger of that name, and those after it, would
// bring the mail back to us (RFC 5321 §5.1).
func lookup(ctx context.Context, r Resolver, domain, self string) ([]string, *smarthost.Outcome) {
	permanent := func(enhanced, text string) *smarthost.Outcome {
		return &smarthost.Outcome{Kind: smarthost.Permanent, Code: 550, Enhanced: enhanced, Text: text}
	}
	list, err := r.LookupMX(ctx, domain)
	var dns *net.DNSError
	switch {
	case err == nil && len(list) == 1 && (list[0].Host == "." || list[0].Host == ""):
		return nil, permanent("5.1.10", "the domain takes no mail (null MX)") // RFC 7505 §4
	case len(list) > 0: // with an error some of the records are malformed: the others count
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] }) // RFC 5321 §5.1: equal ones in any order
		slices.SortStableFunc(list, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
		var hosts []string
		for _, mx := range list {
			name := strings.ToLower(strings.TrimSuffix(mx.Host, "."))
			if name != self {
				hosts = append(hosts, name)
				continue
			}
			better := slices.IndexFunc(list, func(x *net.MX) bool { return x.Pref == mx.Pref })
			if hosts = hosts[:better]; len(hosts) == 0 {
				return nil, permanent("5.4.6", "mail for the domain comes back to us: its mail exchanger is "+name) // RFC 3463 §3.5
			}
			break
		}
		return hosts, nil
	case err != nil && (!errors.As(err, &dns) || !dns.IsNotFound):
		return nil, &smarthost.Outcome{Kind: smarthost.TryLater, Text: "dns: " + err.Error()}
	}
	// No exchanger: the domain's own address stands in (RFC 5321 §5.1).
	if _, err := r.LookupHost(ctx, domain); err != nil {
		if errors.As(err, &dns) && dns.IsNotFound {
			return nil, permanent("5.1.2", "the domain does not exist")
		}
		return nil, &smarthost.Outcome{Kind: smarthost.TryLater, Text: "dns: " + err.Error()}
	}
	return []string{domain}, nil
}

// site returns the connections to a set of exchangers.
func (d *direct) site(a mxAnswer) (*mxSite, error) {
	hosts, now := a.hosts, time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	key, policy := a.key, d.policy()
	if a.verified {
		key, policy = a.key+strings.Join(hosts, " "), smarthost.TLSVerified
	}
	if s := d.clients[key]; s != nil {
		s.used = now
		return s, nil
	}
	for old, s := range d.clients {
		if now.Sub(s.used) > siteLife {
			s.client.Close()
			delete(d.clients, old)
		}
	}
	s := &mxSite{limits: d.m.table.of(hosts[0]), used: now}
	perSecond := s.limits.perSecond
	if own := d.host.PerSecond; own > 0 && (perSecond == 0 || own < perSecond) {
		perSecond = own
	}
	list := make([]smarthost.Host, len(hosts))
	for i, h := range hosts {
		list[i] = smarthost.Host{Name: h, Addr: net.JoinHostPort(h, d.m.cfg.MXPort), Rank: i, TLS: policy, Roots: d.m.cfg.Roots, MaxConns: s.limits.conns,
			MaxPerConn: s.limits.perConn, PerSecond: perSecond, DialsPerMinute: s.limits.dialsPerMinute}
	}
	cfg := d.m.cfg.Timeouts
	if cfg.Dial == nil && d.m.cfg.MXPort == mxPort {
		cfg.Dial = dialOutside
	}
	var err error
	if s.client, err = smarthost.New(cfg, list); err != nil {
		return nil, err
	}
	d.clients[key] = s
	return s, nil
}

// policy is how connections are protected without a word of the domain.
func (d *direct) policy() smarthost.TLSPolicy {
	if d.host.TLS == "" {
		return smarthost.TLSOpportunistic // most exchangers have no certificate for the name in the MX record
	}
	p, _ := smarthost.ParseTLS(d.host.TLS)
	return p
}

var errLocal = errors.New("the address the domain names is this machine's or its link's")

// dialOutside connects to mail exchangers.
func dialOutside(network, addr string, timeout time.Duration) (net.Conn, error) {
	return outsideDialer(timeout).Dial(network, addr)
}

// outsideDialer connects to what a domain's DNS names: mail exchangers, and the web server of its MTA-STS policy. Anybody can name a
// loopback address there: the server that listens on it may trust whoever connects, and pass on what it should not.
func outsideDialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if a := ap.Addr().Unmap(); a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
			return errLocal
		}
		return nil
	}}
}
