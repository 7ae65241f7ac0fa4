// Package operators keeps the SMPP binds that the directory asks for, gives them to dispatch as carriers, and carries what
// operators deliver to where it belongs: receipts into the store, messages from handsets to the inbound desk.
//
// It is glue with a life: Run compares the directory with the running clients and starts, restarts and stops them. It decides
// nothing about messages and knows no consent.
package operators

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/gateway/inbound"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
)

// Store is what is needed of the store.
type Store interface {
	Directory() *gateway.Directory
	Unseal(gateway.Sealed) (string, error)
	// Receipt applies a receipt; done is called after the sync.
	Receipt(r gateway.OperatorReceipt, done func(matched bool, err error))
}

// Dispatcher takes carriers.
type Dispatcher interface {
	SetCarrier(dispatch.Carrier)
	RemoveCarrier(name string)
}

// Inbound takes messages from handsets and returns when they are safe.
type Inbound interface {
	Receive(ctx context.Context, mo inbound.MO) error
}

// Config of the manager. Zero fields take the default.
type Config struct {
	Log *slog.Logger
	// Check is how often the directory is compared. Default 250 ms.
	Check time.Duration
	// MOWorkers bounds messages from handsets in work at once. Default 64.
	MOWorkers int
}

// Manager runs the clients.
type Manager struct {
	cfg      Config
	store    Store
	dispatch Dispatcher
	inbound  Inbound
	mo       chan struct{}

	mu      sync.Mutex
	running map[string]*running // by operator; guarded by mu
	stats   counters
}

type running struct {
	op     gateway.Operator
	client *smppclient.Client
	cancel context.CancelFunc
	done   chan struct{}
}

// New returns a manager without clients.
func New(cfg Config, st Store, d Dispatcher, in Inbound) *Manager {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Check == 0 {
		cfg.Check = 250 * time.Millisecond
	}
	if cfg.MOWorkers == 0 {
		cfg.MOWorkers = 64
	}
	return &Manager{cfg: cfg, store: st, dispatch: d, inbound: in, mo: make(chan struct{}, cfg.MOWorkers), running: map[string]*running{}}
}

// Run keeps the clients as the directory says until ctx ends; then they drain, unbind and stop before it returns.
func (m *Manager) Run(ctx context.Context) {
	tick := time.NewTicker(m.cfg.Check)
	defer tick.Stop()
	var last *gateway.Directory
	for {
		if d := m.store.Directory(); d != last {
			m.sync(ctx, d)
			last = d
		}
		select {
		case <-ctx.Done():
			m.stopAll()
			for range m.cfg.MOWorkers {
				m.mo <- struct{}{} // every worker is back
			}
			return
		case <-tick.C:
		}
	}
}

func (m *Manager) sync(ctx context.Context, d *gateway.Directory) {
	m.mu.Lock()
	var gone []*running
	for name, r := range m.running {
		if op := d.Operators[name]; op == nil || op.Disabled || !reflect.DeepEqual(*op, r.op) {
			gone = append(gone, r)
			delete(m.running, name)
		}
	}
	m.mu.Unlock()
	for _, r := range gone {
		m.stop(r)
	}
	for name, op := range d.Operators {
		m.mu.Lock()
		_, up := m.running[name]
		m.mu.Unlock()
		if !up && !op.Disabled {
			m.start(ctx, *op)
		}
	}
}

func (m *Manager) start(ctx context.Context, op gateway.Operator) {
	cr := &carrier{op: op}
	cfg, err := m.clientConfig(&op, cr)
	if err == nil {
		cr.client, err = smppclient.New(cfg, &handler{m: m, op: op})
	}
	if err != nil {
		m.cfg.Log.Error("operator not started", "operator", op.Name, "err", err)
		return
	}
	// The client drains when its own context ends, not when Run's does: stopAll gives the order.
	cctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{op: op, client: cr.client, cancel: cancel, done: make(chan struct{})}
	m.mu.Lock()
	m.running[op.Name] = r
	m.mu.Unlock()
	m.dispatch.SetCarrier(cr)
	go func() {
		defer close(r.done)
		if err := cr.client.Run(cctx); err != nil {
			m.cfg.Log.Error("operator ended", "operator", op.Name, "err", err)
		}
	}()
}

func (m *Manager) stop(r *running) {
	m.dispatch.RemoveCarrier(r.op.Name)
	r.cancel()
	<-r.done
}

func (m *Manager) stopAll() {
	m.mu.Lock()
	all := m.running
	m.running = map[string]*running{}
	m.mu.Unlock()
	var wg sync.WaitGroup
	for _, r := range all {
		wg.Go(func() { m.stop(r) })
	}
	wg.Wait()
}

// What data_coding 0 means to an operator, where it is not GSM 7-bit text with a septet in each octet.
const (
	alphabetPacked = "packed"
	// alphabetLatin1 stands in older records only: it is read in messages from handsets, nothing was ever sent in it.
	alphabetLatin1 = "latin1"
)

// defaultResponseTimeout is how long an operator may take to answer a submit_sm unless its record says otherwise: a message it takes but
// answers later than this is handed off again.
const defaultResponseTimeout = time.Minute

// clientConfig translates the directory's record.
func (m *Manager) clientConfig(op *gateway.Operator, cr *carrier) (smppclient.Config, error) {
	password, err := m.store.Unseal(op.Password)
	if err != nil {
		return smppclient.Config{}, err
	}
	timeout := op.ResponseTimeout
	if timeout == 0 {
		timeout = defaultResponseTimeout
	}
	profile := smppclient.DefaultProfile()
	profile.ReserveSuffix = op.Suffix
	if op.Alphabet == alphabetPacked {
		profile.Alphabet = smppclient.GSM7Packed
	}
	cfg := smppclient.Config{
		Name: op.Name, Addr: op.Addr, SystemID: op.SystemID, Password: password, SystemType: op.SystemType, Binds: op.Binds,
		Window: op.SegmentRoom(), RatePerSecond: float64(op.PerSecond), EnquireLink: op.EnquireLink, ResponseTimeout: timeout,
		Profile: profile, Logger: m.cfg.Log, OnReady: func(*smppclient.Bind) { cr.signal() },
	}
	if op.BindType == "tx+rx" {
		cfg.BindType = smppclient.TXRX
	}
	if op.TLS {
		host, _, err := net.SplitHostPort(op.Addr)
		if err != nil {
			return cfg, err
		}
		cfg.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: op.TLSInsecure}
	}
	if cfg.ResponseID, err = smpp.ParseIDRule(op.IDForm); err != nil {
		return cfg, err
	}
	// Case and zeros concern both sides; a conversion turns the response's form into the receipt's.
	cfg.ReceiptID = cfg.ResponseID & (smpp.IDLower | smpp.IDTrim)
	return cfg, nil
}

// Snapshot describes the binds of every operator.
func (m *Manager) Snapshot() []smppclient.BindSnapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []smppclient.BindSnapshot
	for _, r := range m.running {
		out = append(out, r.client.Snapshot()...)
	}
	return out
}

// Up reports whether at least one bind of one operator is up, or none is wanted.
func (m *Manager) Up() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.running {
		if boundWindow(r.client) > 0 {
			return true
		}
	}
	return len(m.running) == 0
}

func boundWindow(c *smppclient.Client) (w int) {
	for _, b := range c.Binds() {
		if b.State() == smppclient.Bound && b.Mode().CanTransmit() {
			w += c.Window()
		}
	}
	return w
}

// errMOBusy asks the operator to deliver again.
var errMOBusy = errors.New("operators: too many messages from handsets at once")
