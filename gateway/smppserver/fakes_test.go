package smppserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

const (
	testAccount gateway.AccountID = 7
	testSystem                    = "acme"
	testSecret                    = "s3cret"
)

// world is everything around a server, in memory.
type world struct {
	dir   atomic.Pointer[gateway.Directory]
	ids   *gateway.BatchIDs
	allow atomic.Bool
	now   func() time.Time

	mu      sync.Mutex
	seq     uint64
	owed    map[string][]gateway.ReceiptDue
	watch   func(string)
	done    []uint64 // seqs forgotten, in order
	doneErr error    // of the next OwedDone
	owedErr error    // of the next Owed
	parts   []gateway.Part
	turns   uint64 // of sets
	failed  []gateway.PartSet
	views   []gateway.MessageView
	subs    []*gateway.Submission
	checks  int
	steered []string

	// Behaviour; nil means accept.
	judge   func(s *gateway.Submission, d gateway.Destination) gateway.Verdict
	submit  func(s *gateway.Submission) error // before the verdicts
	replace error
	changed chan struct{} // told of every submit, forgotten seq and failed set; holds many
}

func newWorld() *world {
	w := &world{ids: gateway.NewBatchIDs(0), owed: map[string][]gateway.ReceiptDue{}, changed: make(chan struct{}, 1<<16), now: time.Now}
	w.allow.Store(true)
	w.credential(gateway.Credential{Classes: []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP}})
	return w
}

// credential publishes a directory with the one credential.
func (w *world) credential(c gateway.Credential) {
	c.ID, c.Kind, c.Account = testSystem, gateway.KindSMPP, testAccount
	d := gateway.NewDirectory()
	d.Accounts[testAccount] = &gateway.Account{ID: testAccount}
	d.Credentials[gateway.CredentialKey{Kind: c.Kind, ID: c.ID}] = &c
	w.dir.Store(d)
}

func (w *world) deps() Deps {
	return Deps{Auth: w, Submit: w, Steering: w, Store: w, Directory: w.dir.Load,
		NewID: func(a gateway.AccountID) gateway.MessageID {
			return gateway.MessageID{Account: a, Batch: w.ids.Next(w.now())}
		},
		Allow: func(*gateway.Principal, int) bool { return w.allow.Load() }}
}

func (w *world) note() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *world) Authenticate(_ context.Context, kind gateway.CredentialKind, name, secret string, from netip.Addr) (*gateway.Principal, error) {
	c := w.dir.Load().Credentials[gateway.CredentialKey{Kind: kind, ID: name}]
	if c == nil || secret != testSecret {
		return nil, gateway.Refuse(gateway.CodeUnauthorized, "", "")
	}
	if !c.AllowsAddr(from) {
		return nil, gateway.Refuse(gateway.CodeForbiddenAddress, "", "")
	}
	return &gateway.Principal{Account: c.Account, Credential: *c}, nil
}

func (w *world) verdicts(s *gateway.Submission, ref gateway.BatchRef) []gateway.Verdict {
	var out []gateway.Verdict
	stored := uint32(0)
	for i, d := range s.To {
		v := gateway.Verdict{State: gateway.StateQueued}
		if w.judge != nil {
			v = w.judge(s, d)
		}
		v.Index, v.To, v.Ref = i, d.Address, d.Ref
		if !v.Refused() {
			v.ID = ref.Message(stored)
			stored++
		}
		out = append(out, v)
	}
	return out
}

func (w *world) Check(_ context.Context, s *gateway.Submission) ([]gateway.Verdict, error) {
	w.mu.Lock()
	w.checks++
	w.mu.Unlock()
	return w.verdicts(s, gateway.BatchRef{}), nil
}

func (w *world) Submit(_ context.Context, s *gateway.Submission) (gateway.Result, error) {
	defer w.note()
	if w.submit != nil {
		if err := w.submit(s); err != nil {
			return gateway.Result{}, err
		}
	}
	ref := gateway.BatchRef{Account: s.Principal.Account, Batch: s.ID}
	if s.ID == 0 {
		ref.Batch = w.ids.Next(w.now())
	}
	res := gateway.Result{Batch: ref, Messages: w.verdicts(s, ref)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subs = append(w.subs, s)
	for _, v := range res.Messages {
		if v.Refused() {
			continue
		}
		w.views = append(w.views, gateway.MessageView{ID: v.ID, Batch: v.ID.Ref(), Channel: s.Channel, Class: s.Principal.Credential.Class(s.Class),
			From: s.From, To: v.To, State: v.State, Updated: w.now()})
		if v.State == gateway.StateDropped && s.Receipt&gateway.ReceiptFailure != 0 {
			w.oweLocked(gateway.ReceiptDue{Account: s.Principal.Account, Message: v.ID, System: s.Principal.Credential.ID, State: v.State, Code: v.Code,
				From: s.From, To: v.To, SourceTON: s.SourceTON, DestTON: s.DestTON, SourceNPI: s.SourceNPI, DestNPI: s.DestNPI})
		}
	}
	if s.Parts != nil {
		w.dropLocked(*s.Parts)
	}
	return res, nil
}

func (w *world) submissions() []*gateway.Submission {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.subs)
}

func (w *world) Lookup(a gateway.AccountID, id string) (gateway.MessageID, error) {
	m, err := gateway.ParseMessageID(id)
	if err != nil || m.Account != a {
		return m, gateway.Refuse(gateway.CodeNotFound, "", "")
	}
	return m, nil
}

func (w *world) Message(_ context.Context, a gateway.AccountID, id gateway.MessageID) (gateway.MessageView, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.views {
		if v.ID == id && id.Account == a {
			return v, nil
		}
	}
	return gateway.MessageView{}, gateway.Refuse(gateway.CodeNotFound, "", "")
}

func (w *world) Messages(_ context.Context, a gateway.AccountID, f gateway.MessageFilter) (gateway.Page[gateway.MessageView], error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var page gateway.Page[gateway.MessageView]
	for _, v := range slices.Backward(w.views) {
		if v.ID.Account == a && (f.To == "" || f.To == v.To) && (f.Batch == gateway.BatchRef{} || f.Batch == v.Batch) {
			page.Items = append(page.Items, v)
		}
	}
	return page, nil
}

func (w *world) CancelMessage(_ context.Context, _ gateway.AccountID, id gateway.MessageID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.views {
		if w.views[i].ID == id {
			if !w.views[i].State.Waiting() {
				return gateway.Refuse(gateway.CodeTooLate, "", "")
			}
			w.views[i].State = gateway.StateCancelled
			w.steered = append(w.steered, "cancel "+id.String())
			return nil
		}
	}
	return gateway.Refuse(gateway.CodeNotFound, "", "")
}

func (w *world) ReplaceMessage(_ context.Context, _ *gateway.Principal, id gateway.MessageID, text string, _ time.Time, _ time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.replace != nil {
		return w.replace
	}
	w.steered = append(w.steered, "replace "+id.String()+" "+text)
	return nil
}

// owe queues deliveries and tells the server, as a commit does.
func (w *world) owe(due ...gateway.ReceiptDue) {
	w.mu.Lock()
	for i := range due {
		due[i].System = testSystem
		w.oweLocked(due[i])
	}
	watch := w.watch
	w.mu.Unlock()
	watch(testSystem)
}

func (w *world) oweLocked(r gateway.ReceiptDue) {
	w.seq++
	r.Seq = w.seq
	w.owed[r.System] = append(w.owed[r.System], r)
}

func (w *world) Owed(_ context.Context, system string, after uint64, limit int) ([]gateway.ReceiptDue, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.owedErr; err != nil {
		w.owedErr = nil
		return nil, err
	}
	list := w.owed[system]
	i, _ := slices.BinarySearchFunc(list, after+1, func(r gateway.ReceiptDue, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	return slices.Clone(list[i:min(i+limit, len(list))]), nil
}

func (w *world) OwedDone(system string, seqs []uint64, done func(error)) {
	w.mu.Lock()
	err := w.doneErr
	w.doneErr = nil
	if err == nil {
		gone := map[uint64]bool{}
		for _, q := range seqs {
			gone[q] = true
		}
		w.owed[system] = slices.DeleteFunc(w.owed[system], func(r gateway.ReceiptDue) bool { return gone[r.Seq] })
		w.done = append(w.done, seqs...)
	}
	w.mu.Unlock()
	go func() { // from the committer, not from the caller
		done(err)
		w.note()
	}()
}

func (w *world) left() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.owed[testSystem])
}

func (w *world) WatchOwed(f func(string)) { w.watch = f }

func (w *world) PutPart(_ context.Context, p *gateway.Part) ([]gateway.Part, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	set := p.Set
	for i := range w.parts {
		q := &w.parts[i]
		switch {
		case q.Set.Name() != p.Set:
		case p.Repeats(q):
			p.ID = q.ID
			return nil, nil
		case !q.Set.Closed && len(w.setLocked(q.Set)) < int(set.Total):
			set = q.Set
		}
	}
	if w.turns++; set.Turn == 0 {
		set.Turn = w.turns
	} else if old := set; slices.ContainsFunc(w.setLocked(old), func(q gateway.Part) bool { return q.Seq == p.Seq }) {
		set.Turn = w.turns
		for i := range w.parts {
			w.parts[i].Set.Closed = w.parts[i].Set.Closed || w.parts[i].Set == old
		}
	}
	one := *p
	one.Set = set
	w.parts = append(w.parts, one)
	all := w.setLocked(set)
	if len(all) < int(set.Total) {
		return nil, nil
	}
	return all, nil
}

func (w *world) setLocked(set gateway.PartSet) (all []gateway.Part) {
	for _, q := range w.parts {
		if q.Set == set {
			all = append(all, q)
		}
	}
	slices.SortFunc(all, func(a, b gateway.Part) int { return int(a.Seq) - int(b.Seq) })
	return all
}

func (w *world) dropLocked(set gateway.PartSet) {
	w.parts = slices.DeleteFunc(w.parts, func(q gateway.Part) bool { return q.Set == set })
}

func (w *world) OpenParts(_ context.Context, before time.Time) (sets [][]gateway.Part, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[gateway.PartSet]bool{}
	for _, q := range w.parts {
		if seen[q.Set] {
			continue
		}
		seen[q.Set] = true
		if all := w.setLocked(q.Set); q.Set.Closed || oldest(all).Before(before) {
			sets = append(sets, all)
		}
	}
	return sets, nil
}

func (w *world) FailParts(_ context.Context, parts []gateway.Part, receipts []gateway.ReceiptDue) error {
	w.mu.Lock()
	w.dropLocked(parts[0].Set)
	w.failed = append(w.failed, parts[0].Set)
	for _, r := range receipts {
		w.oweLocked(r)
	}
	w.mu.Unlock()
	w.watch(testSystem)
	w.note()
	return nil
}

// --- a running server and clients to it ---

// pipes is a listener whose connections are net.Pipe, for synctest bubbles.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }
func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- b
	return a
}

type running struct {
	t     testing.TB
	srv   *Server
	world *world
	ln    net.Listener
	stop  context.CancelFunc // and wait
	ended chan error
}

// serve runs a server on loopback, or on pipes when inside a bubble.
func serve(t testing.TB, w *world, cfg Config, ln net.Listener) *running {
	t.Helper()
	if ln == nil {
		var err error
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	r := &running{t: t, srv: New(cfg, w.deps()), world: w, ln: ln, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.ended <- r.srv.Serve(ctx, ln) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-r.ended; err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	t.Cleanup(r.stop)
	return r
}

func (r *running) dial() net.Conn {
	r.t.Helper()
	if p, ok := r.ln.(*pipes); ok {
		return p.dial()
	}
	conn, err := net.Dial("tcp", r.ln.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// client is our own ESME: a link, and a handler for what the server sends.
type client struct {
	t       testing.TB
	link    *smpplink.Link
	ended   chan error
	deliver func(m *smpp.DeliverSM) smpp.CommandStatus // nil: take all
	got     chan *smpp.DeliverSM                       // what was delivered
	mute    atomic.Bool                                // answer nothing
}

func (c *client) HandlePDU(l *smpplink.Link, h smpp.Header, body []byte) {
	if h.ID != smpp.DeliverSMID {
		return
	}
	m := &smpp.DeliverSM{}
	if err := m.Decode(h, slices.Clone(body)); err != nil {
		c.t.Errorf("deliver_sm: %v", err)
	}
	st := smpp.StatusOK
	if c.deliver != nil {
		st = c.deliver(m)
	}
	select {
	case c.got <- m:
	default:
	}
	if !c.mute.Load() {
		l.Push((&smpp.DeliverSMResp{Status: st}).AppendTo(nil, h.Sequence))
	}
}

// connect makes a client that is not bound.
func (r *running) connect(configure ...func(*client)) *client {
	r.t.Helper()
	c := &client{t: r.t, ended: make(chan error, 1), got: make(chan *smpp.DeliverSM, 1<<14)}
	for _, f := range configure {
		f(c)
	}
	c.link = smpplink.New(r.dial(), smpplink.Config{Window: 5000, Timers: smpp.TimerConfig{EnquireLink: -1, Inactivity: -1, Bind: -1}}, c)
	go func() { c.ended <- c.link.Run(context.Background()) }()
	r.t.Cleanup(func() { c.link.Close(nil) })
	return c
}

// bound makes a client that is.
func (r *running) bound(mode smpp.BindMode, configure ...func(*client)) *client {
	r.t.Helper()
	c := r.connect(configure...)
	if h, _ := c.call(&smpp.Bind{Mode: mode, SystemID: []byte(testSystem), Password: []byte(testSecret), InterfaceVersion: smpp.Version34}); h.Status != 0 {
		r.t.Fatalf("bind: %v", h.Status)
	}
	return c
}

// call sends a request and waits for its response.
func (c *client) call(p smpp.PDU) (smpp.Header, []byte) {
	c.t.Helper()
	h, body, err := c.try(p)
	if err != nil {
		c.t.Fatalf("%v: %v", p.CommandID(), err)
	}
	return h, body
}

func (c *client) try(p smpp.PDU) (h smpp.Header, body []byte, err error) {
	type answer struct {
		r    smpplink.Result
		body []byte
	}
	ch := make(chan answer, 1)
	if err := c.link.Send(p, func(r smpplink.Result) { ch <- answer{r, slices.Clone(r.Body)} }); err != nil {
		return h, nil, err
	}
	a := <-ch
	if a.r.Kind != smpplink.Answered {
		return h, nil, errors.New(a.r.Kind.String())
	}
	return a.r.Header, a.body, nil
}

// submit sends a submit_sm and returns status and message id.
func (c *client) submit(m *smpp.SubmitSM) (smpp.CommandStatus, string) {
	c.t.Helper()
	h, body := c.call(m)
	var resp smpp.SubmitSMResp
	if err := resp.Decode(h, body); err != nil {
		c.t.Fatalf("submit_sm_resp: %v", err)
	}
	return h.Status, string(resp.MessageID)
}

// sms is a submit_sm as clients send them.
func newSubmit(text string, change ...func(*smpp.SubmitSM)) *smpp.SubmitSM {
	m := &smpp.SubmitSM{Source: smpp.Address{TON: 5, Addr: []byte("ORNEK")}, Dest: smpp.Address{TON: 1, NPI: 1, Addr: []byte("905321234567")},
		RegisteredDelivery: smpp.ReceiptAlways, ShortMessage: []byte(text)}
	for _, f := range change {
		f(m)
	}
	return m
}

func numbered(i int) func(*smpp.SubmitSM) {
	return func(m *smpp.SubmitSM) { m.Dest.Addr = fmt.Appendf(nil, "90532%07d", i) }
}

// readPDU reads one PDU from a raw connection.
func readPDU(t testing.TB, conn net.Conn) (smpp.Header, []byte) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var head [smpp.HeaderLen]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		t.Fatalf("read: %v", err)
	}
	h, err := smpp.ParseHeader(head[:], smpp.MaxPDU)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, h.Length-smpp.HeaderLen)
	if _, err := io.ReadFull(conn, body); err != nil {
		t.Fatalf("read: %v", err)
	}
	return h, body
}
