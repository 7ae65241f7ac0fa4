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

// deliver makes one attempt at the site of the domain.
func (d *direct) deliver(ctx context.Context, domain string, msg *smarthost.Message) (o smarthost.Outcome, held bool) {
	to := msg.To[0].Addr
	if !d.m.sites.enter(domain, time.Now()) {
		return smarthost.Outcome{To: to, Kind: smarthost.TryLater, Text: "the site has all connections it may have"}, false
	}
	reached, most := true, 0
	defer func() { d.m.sites.leave(domain, time.Now(), reached, most) }()
	hosts, refusal := d.exchangers(ctx, domain)
	if refusal != nil {
		refusal.To = to
		reached = refusal.Kind == smarthost.Permanent
		return *refusal, false
	}
	s, err := d.site(hosts)
	if err != nil {
		return smarthost.Outcome{To: to, Kind: smarthost.TryLater, Text: err.Error()}, false
	}
	most = s.limits.conns
	res := s.client.Deliver(ctx, *msg)
	if res.Held != nil {
		return o, true
	}
	o = res.Outcomes[0]
	reached = !o.Unasked()
	return o, false
}

// exchangers finds the hosts of a domain; the refusal says why there is none.
func (d *direct) exchangers(ctx context.Context, domain string) ([]string, *smarthost.Outcome) {
	now := time.Now()
	d.mu.Lock()
	a, ok := d.answers[domain]
	d.mu.Unlock()
	if ok && a.until.After(now) {
		return a.hosts, nil
	}
	hosts, refusal := lookup(ctx, d.m.cfg.Resolver, domain)
	if refusal != nil {
		return nil, refusal
	}
	d.mu.Lock()
	if len(d.answers) > 100_000 {
		clear(d.answers)
	}
	d.answers[domain] = mxAnswer{hosts, now.Add(mxLife)}
	d.mu.Unlock()
	return hosts, nil
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
func (d *direct) site(hosts []string) (*mxSite, error) {
	hosts = hosts[:min(len(hosts), 5)]
	sorted := slices.Sorted(slices.Values(hosts))
	k := strings.Join(sorted, " ")
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.clients[k]; s != nil {
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
	d.clients[k] = s
	return s, nil
}
