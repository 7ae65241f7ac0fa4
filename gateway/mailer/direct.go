package mailer

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"izinli/gateway"
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
	hosts []string // by preference
	key   string   // the same for all domains with these hosts
	until time.Time
}

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
	t.wait = d.m.sites.leave(p, began, time.Now(), !t.outcome.Unasked())
	return t
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
	hosts, refusal := lookup(ctx, d.m.cfg.Resolver, domain)
	if refusal != nil {
		return a, refusal
	}
	hosts = hosts[:min(len(hosts), mxMost)]
	a = mxAnswer{hosts: hosts, key: strings.Join(slices.Sorted(slices.Values(hosts)), " "), until: now.Add(mxLife)}
	d.m.sites.relearn(a.key, limitsOf(hosts[0]).conns)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.answers) > 100_000 {
		clear(d.answers)
	}
	d.answers[domain] = a
	return a, nil
}

func lookup(ctx context.Context, r Resolver, domain string) ([]string, *smarthost.Outcome) {
	permanent := func(enhanced, text string) *smarthost.Outcome {
		return &smarthost.Outcome{Kind: smarthost.Permanent, Code: 550, Enhanced: enhanced, Text: text}
	}
	list, err := r.LookupMX(ctx, domain)
	var dns *net.DNSError
	switch {
	case err == nil && len(list) == 1 && (list[0].Host == "." || list[0].Host == ""):
		return nil, permanent("5.1.10", "the domain takes no mail (null MX)") // RFC 7505 §4
	case err == nil && len(list) > 0:
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] }) // RFC 5321 §5.1: equal ones in any order
		slices.SortStableFunc(list, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
		var hosts []string
		for _, mx := range list {
			hosts = append(hosts, strings.ToLower(strings.TrimSuffix(mx.Host, ".")))
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
	if s := d.clients[a.key]; s != nil {
		s.used = now
		return s, nil
	}
	for old, s := range d.clients {
		if now.Sub(s.used) > siteLife {
			s.client.Close()
			delete(d.clients, old)
		}
	}
	s := &mxSite{limits: limitsOf(hosts[0]), used: now}
	policy, _ := smarthost.ParseTLS(d.host.TLS)
	if d.host.TLS == "" {
		policy = smarthost.TLSOpportunistic // most exchangers have no certificate for the name in the MX record
	}
	list := make([]smarthost.Host, len(hosts))
	for i, h := range hosts {
		list[i] = smarthost.Host{Name: h, Addr: net.JoinHostPort(h, d.m.cfg.MXPort), Rank: i, TLS: policy, MaxConns: s.limits.conns,
			MaxPerConn: s.limits.perConn, PerSecond: d.host.PerSecond}
	}
	cfg := d.m.cfg.Timeouts
	var err error
	if s.client, err = smarthost.New(cfg, list); err != nil {
		return nil, err
	}
	d.clients[a.key] = s
	return s, nil
}
