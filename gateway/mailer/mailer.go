package mailer

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/gateway/mtasts"
	"izinli/gateway/smarthost"
)

// Store is what is needed of the store.
type Store interface {
	Directory() *gateway.Directory
	Unseal(gateway.Sealed) (string, error)
	// Suppress returns after the sync.
	Suppress(ctx context.Context, s *gateway.Suppression) error
}

// Dispatcher takes carriers.
type Dispatcher interface {
	SetCarrier(dispatch.Carrier)
	RemoveCarrier(name string)
}

// Resolver finds mail exchangers; *net.Resolver is one.
type Resolver interface {
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// Config of the mailer. Domain, VERP, Bodies and Unsubscribe are required.
type Config struct {
	Domain string          // our name in EHLO and Message-ID
	VERP   *smarthost.VERP // return paths
	Bodies gateway.BodyStore
	// Unsubscribe makes the one-click URL of a message; empty: there is none, and only the address to write to stands in the mail.
	Unsubscribe func(m gateway.MessageID, b *gateway.Batch, address string) string
	Log         *slog.Logger
	Now         func() time.Time
	Check       time.Duration // how often the directory is compared; default 250 ms
	// Resolver defaults to net.DefaultResolver. One that finds TXT records too is asked for policies (MTA-STS).
	Resolver Resolver
	// MXPort of mail exchangers; default 25. Another one is a network of tests, where they may be on the loopback.
	MXPort   string
	Roots    *x509.CertPool // that certificates of mail exchangers are checked against; nil: the system's
	Policies string         // file where MTA-STS policies outlive a restart; empty: they do not
	Fetch    *http.Client   // fetches them; nil: see mtasts.Config
	Sites    string         // an administrator's rules in the form of sites.tsv, before those of the program
	Timeouts smarthost.Config
	// Attempt bounds one delivery; default 15 min.
	Attempt time.Duration
}

// Manager runs the carriers.
type Manager struct {
	cfg      Config
	store    Store
	dispatch Dispatcher
	keys     keyring
	bodies   bodyCache
	sites    *sites
	troubles troubles
	table    siteTable
	sts      *mtasts.Cache // nil: policies are not asked for

	mu      sync.Mutex
	running map[string]*carrier // by smarthost; guarded by mu
	life    context.Context     // of deliveries; set by Run
}

// mxPort is where mail exchangers listen.
const mxPort = "25"

// New returns a manager without carriers. The error is a mistake in Config.Sites.
func New(cfg Config, st Store, d Dispatcher) (*Manager, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Check == 0 {
		cfg.Check = 250 * time.Millisecond
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.MXPort == "" {
		cfg.MXPort = mxPort
	}
	if cfg.Attempt == 0 {
		cfg.Attempt = 15 * time.Minute
	}
	cfg.Timeouts.Helo = cfg.Domain
	m := &Manager{cfg: cfg, store: st, dispatch: d, sites: newSites(), running: map[string]*carrier{}}
	var err error
	if m.table, err = newSiteTable(cfg.Sites); err != nil {
		return nil, err
	}
	if r, ok := cfg.Resolver.(mtasts.Resolver); ok {
		m.sts = mtasts.New(mtasts.Config{Resolver: r, File: cfg.Policies, Client: cfg.Fetch, Dial: cfg.policyDial(), Log: cfg.Log, Now: cfg.Now})
	}
	return m, nil
}

// policyDial is how policies are fetched: from outside, where mail exchangers are too; nil in a network of tests.
func (c *Config) policyDial() func(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.MXPort != mxPort {
		return nil
	}
	return outsideDialer(0).DialContext // the fetching has a bound of its own
}

// Run keeps the carriers as the directory says until ctx ends; then deliveries under way are cut off, to be in doubt or tried
// again, and Run returns when all have been answered.
func (m *Manager) Run(ctx context.Context) {
	m.mu.Lock()
	m.life = ctx
	m.mu.Unlock()
	tick := time.NewTicker(m.cfg.Check)
	defer tick.Stop()
	var last *gateway.Directory
	for {
		if d := m.store.Directory(); d != last {
			m.sync(d)
			last = d
		}
		select {
		case <-ctx.Done():
			m.stopAll()
			m.savePolicies(true)
			return
		case now := <-tick.C:
			m.sites.prune(now)
			m.savePolicies(false)
		}
	}
}

func (m *Manager) savePolicies(now bool) {
	if m.sts == nil {
		return
	}
	if err := m.sts.Save(now); err != nil {
		m.cfg.Log.Error("mta-sts policies not kept", "err", err)
	}
}

func (m *Manager) sync(d *gateway.Directory) {
	m.mu.Lock()
	var gone []*carrier
	for name, c := range m.running {
		if h := d.Smarthosts[name]; h == nil || !reflect.DeepEqual(*h, c.host) {
			gone = append(gone, c)
			delete(m.running, name)
		}
	}
	m.mu.Unlock()
	for _, c := range gone {
		m.dispatch.RemoveCarrier(c.Name())
		go c.close() // what is under way ends by itself
	}
	for name, h := range d.Smarthosts {
		m.mu.Lock()
		_, up := m.running[name]
		m.mu.Unlock()
		if up {
			continue
		}
		c, err := m.newCarrier(*h)
		if err != nil {
			m.cfg.Log.Error("smarthost not started", "smarthost", name, "err", err)
			continue
		}
		m.mu.Lock()
		m.running[name] = c
		m.mu.Unlock()
		m.dispatch.SetCarrier(c)
	}
}

func (m *Manager) stopAll() {
	m.mu.Lock()
	all := m.running
	m.running = map[string]*carrier{}
	m.mu.Unlock()
	for _, c := range all {
		m.dispatch.RemoveCarrier(c.Name())
		c.close()
	}
}

// HostStatus is how a smarthost fares.
type HostStatus struct {
	Name     string
	Up       bool
	Busy     int
	Window   int
	Rests    time.Time // until when it is not tried
	LastErr  string
	Direct   bool
	Draining bool
}

// Snapshot describes the smarthosts.
func (m *Manager) Snapshot() []HostStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]HostStatus, 0, len(m.running))
	for _, c := range m.running {
		out = append(out, c.status())
	}
	return out
}

// Up reports whether at least one smarthost answers, or none is wanted.
func (m *Manager) Up() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.running {
		if c.Window() > 0 {
			return true
		}
	}
	return len(m.running) == 0
}
