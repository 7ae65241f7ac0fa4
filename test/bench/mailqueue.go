package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A queue of mail: what it needs of memory while every site is away, and whether a site that takes connections and never answers
// holds up the others. Mail goes directly to the exchangers of each domain, so every site has connections and a pace of its own.

const (
	queueSites    = 5 // the last is the dead one
	queueMailSize = 20 << 10
	// queueTakes is how long a site takes for one message: ten connections then take a hundred a second, well below what two cores
	// send, so that what is measured is how a site is served and not how fast the machine is.
	queueTakes   = 100 * time.Millisecond
	queueSettle  = 10 * time.Second // of waiting whose memory counts
	queuePatient = 6 * time.Minute  // the sites rest before they are tried again
)

func mailQueue(ctx context.Context, b *bench, r *result) error {
	n := b.size(100_000, 1_000)
	small := &result{Settings: map[string]any{}}
	if err := b.mailBacklog(ctx, small, n/10, n, false); err != nil {
		return err
	}
	if err := b.mailBacklog(ctx, r, n, n, false); err != nil {
		return err
	}
	r.addHarm(small)
	for _, name := range []string{"acceptPeakMB", "waitingMB", "waitingHeapMB"} {
		r.set("small_"+name, small.Values[name])
	}
	r.Value, r.Unit, r.Messages = r.Values["waitingMB"], "MB", n
	queueSettings(r)
	return nil
}

// mailOutage has mails wait through an outage of every site and sees them delivered when all but one are back.
func mailOutage(ctx context.Context, b *bench, r *result) error {
	n := b.size(10_000, 1_000)
	if err := b.mailBacklog(ctx, r, n, n, true); err != nil {
		return err
	}
	r.Value, r.Unit, r.Messages = r.Values["backlogDeliveredSeconds"], "s", n
	queueSettings(r)
	return nil
}

func queueSettings(r *result) {
	r.Settings["octets"], r.Settings["sites"], r.Settings["siteTakesMS"] = queueMailSize, queueSites, ms(queueTakes)
}

// siteReader is the i-th address when readers are spread over sites.
func siteReader(i, sites int) string { return fmt.Sprintf("okur%d@site%d.example", i, i%sites) }

// siteResolver names a loopback address as the exchanger of each site.
type siteResolver struct{}

// LookupMX implements mailer.Resolver.
func (siteResolver) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	digits, _ := strings.CutPrefix(strings.TrimSuffix(domain, ".example"), "site")
	i, err := strconv.Atoi(digits)
	if err != nil {
		return nil, &net.DNSError{Err: "no such host", Name: domain, IsNotFound: true}
	}
	return []*net.MX{{Host: siteAddr(i).String(), Pref: 10}}, nil
}

// LookupHost implements mailer.Resolver.
func (siteResolver) LookupHost(_ context.Context, host string) ([]string, error) {
	return []string{host}, nil
}

func siteAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}) }

// sites are the mail exchangers of one run; they share a port and differ in their address.
type sites struct {
	port string
	seen []atomic.Int32
	live []*mailSink
	dead net.Listener
}

func newSites(n int) (*sites, error) {
	addr, err := closedPort(siteAddr(0).String())
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	return &sites{port: port, seen: make([]atomic.Int32, n)}, err
}

// open lets the live sites listen, and the dead one if wanted.
func (s *sites) open(dead bool) error {
	for i := range queueSites - 1 {
		sink, err := listenMailSink(net.JoinHostPort(siteAddr(i).String(), s.port), s.seen, queueTakes)
		if err != nil {
			return err
		}
		s.live = append(s.live, sink)
	}
	if !dead {
		return nil
	}
	var err error
	s.dead, err = net.Listen("tcp", net.JoinHostPort(siteAddr(queueSites-1).String(), s.port))
	if err != nil {
		return err
	}
	go func() {
		var held []net.Conn // nobody says a word on them
		for {
			c, err := s.dead.Accept()
			if err != nil {
				for _, c := range held {
					c.Close()
				}
				return
			}
			held = append(held, c)
		}
	}()
	return nil
}

func (s *sites) close() {
	for _, x := range s.live {
		x.close()
	}
	if s.dead != nil {
		s.dead.Close()
	}
}

// total is what the live sites took.
func (s *sites) total() (n int64) {
	for _, x := range s.live {
		n += x.total.Load()
	}
	return n
}

// missing counts mails to live sites that did not come, and those that came twice.
func (s *sites) missing() (lost, twice int) {
	for i := range s.seen {
		switch n := int(s.seen[i].Load()); {
		case n == 0 && i%queueSites != queueSites-1:
			lost++
		case n > 1:
			twice += n - 1
		}
	}
	return lost, twice
}

// perSite is how many of n mails go to a site.
func perSite(n, site int) int { return (n - site + queueSites - 1) / queueSites }

// mailBacklog has n mails accepted while the sites are away, and with deliver then sees them delivered. The gateway knows the consents of
// so many readers, whose memory is not the mails'.
func (b *bench) mailBacklog(ctx context.Context, r *result, n, readers int, deliver bool) (err error) {
	x, err := newSites(n)
	if err != nil {
		return err
	}
	defer x.close()
	s, err := b.newStand(ctx, r, standOptions{deaf: true, mail: &mailOrder{Algorithm: "ed25519", Readers: readers, MXPort: x.port, Sites: queueSites}, heap: tightHeap})
	if err != nil {
		return err
	}
	defer s.remove(&err)
	r.Settings["heap"] = "GOMEMLIMIT=" + tightHeap
	r.set("idleMB", processMemory(s.gw.pid).Anon)
	began := time.Now()
	if err := s.acceptMails(ctx, n); err != nil {
		return err
	}
	r.set("acceptedPerSecond", float64(n)/time.Since(began).Seconds())
	if err := s.watchMemory(ctx, queueSettle); err != nil {
		return err
	}
	r.set("acceptPeakMB", s.anonPeak)
	a, err := s.gw.do("gc", "")
	if err != nil {
		return err
	}
	if dir := s.b.opt.profile; dir != "" {
		if _, err := s.gw.do("heap", filepath.Join(dir, "waiting.allocs")); err != nil {
			return err
		}
	}
	r.set("waitingHeapMB", a.HeapMB)
	r.set("waitingMB", processMemory(s.gw.pid).Anon)
	if !deliver {
		return s.verify(r, n)
	}
	return s.deliverBacklog(ctx, r, x, n)
}

// acceptMails hands n mails in over the relay listener and watches the gateway's memory meanwhile.
func (s *stand) acceptMails(ctx context.Context, n int) error {
	load := &mailLoad{addr: s.gw.Relay, n: n, size: queueMailSize, to: func(i int) string { return siteReader(i, queueSites) }}
	done, sent := make(chan struct{}), error(nil)
	go func() { defer close(done); sent = load.send(ctx) }()
	if err := await(ctx, done, func() error { s.noteMemory(); return nil }); err != nil {
		return err
	}
	return sent
}

// watchMemory notes the gateway's memory for a while.
func (s *stand) watchMemory(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	err := await(ctx, nil, func() error {
		s.noteMemory()
		if time.Now().After(end) {
			return errDone
		}
		return nil
	})
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// deliverBacklog lets the live sites come back beside the dead one.
func (s *stand) deliverBacklog(ctx context.Context, r *result, x *sites, n int) error {
	if err := x.open(true); err != nil {
		return err
	}
	s.anonPeak = 0
	began := time.Now()
	var first time.Duration
	want := int64(n - perSite(n, queueSites-1))
	err := until(ctx, queuePatient, x.total, func() bool {
		s.noteMemory()
		if first == 0 && x.total() > 0 {
			first = time.Since(began)
		}
		return x.total() >= want
	})
	if err != nil && !errors.Is(err, errQuiet) {
		return err
	}
	r.set("firstDeliverySeconds", first.Seconds())
	r.set("backlogDeliveredSeconds", time.Since(began).Seconds())
	r.set("backlogPerSecond", float64(x.total())/(time.Since(began)-first).Seconds())
	r.set("deliverPeakMB", s.anonPeak)
	lost, twice := x.missing()
	r.Losses += lost
	r.Duplicates += twice
	return s.verify(r, n)
}

// mailSites compares what each live site gets with and without the dead one among those the queue is full of.
func mailSites(ctx context.Context, b *bench, r *result) error {
	n := b.size(20_000, 1_000)
	var rates [2][]float64
	for i, dead := range []bool{false, true} {
		var err error
		if rates[i], err = b.mailRates(ctx, r, n, dead); err != nil {
			return err
		}
	}
	slowest := 0.0
	for i := range rates[0] {
		r.set(fmt.Sprintf("site%dAlone", i), rates[0][i])
		r.set(fmt.Sprintf("site%dBesideDead", i), rates[1][i])
		if ratio := rates[1][i] / rates[0][i]; i == 0 || ratio < slowest {
			slowest = ratio
		}
	}
	r.Value, r.Unit, r.Messages = slowest, "× alone", n
	queueSettings(r)
	return nil
}

// mailRates queues n mails, a fifth of them for the dead site if it is there, and tells how many a second each live site got.
func (b *bench) mailRates(ctx context.Context, r *result, n int, dead bool) (rates []float64, err error) {
	x, err := newSites(n)
	if err != nil {
		return nil, err
	}
	defer x.close()
	s, err := b.newStand(ctx, r, standOptions{deaf: true, mail: &mailOrder{Algorithm: "ed25519", Readers: n, MXPort: x.port, Sites: queueSites}})
	if err != nil {
		return nil, err
	}
	defer s.remove(&err)
	if _, err := s.gw.do("hold", ""); err != nil {
		return nil, err
	}
	if err := s.rateLoad(ctx, n, dead); err != nil {
		return nil, err
	}
	if err := x.open(dead); err != nil {
		return nil, err
	}
	began := clock()
	if _, err := s.gw.do("release", ""); err != nil {
		return nil, err
	}
	want := int64(n - perSite(n, queueSites-1))
	if err := until(ctx, time.Minute, x.total, func() bool { return x.total() >= want }); err != nil && !errors.Is(err, errQuiet) {
		return nil, err
	}
	for i, sink := range x.live {
		got := sink.total.Load()
		if got < int64(perSite(n, i)) {
			r.note("site%d got %d of %d mails", i, got, perSite(n, i))
		}
		rates = append(rates, float64(got)/(time.Duration(sink.last.Load())-began).Seconds())
	}
	lost, twice := x.missing()
	r.Losses += lost
	r.Duplicates += twice
	return rates, nil
}

// rateLoad hands in the mails to the live sites, and to the dead one if it is there.
func (s *stand) rateLoad(ctx context.Context, n int, dead bool) error {
	var list []int
	for i := range n {
		if dead || i%queueSites != queueSites-1 {
			list = append(list, i)
		}
	}
	load := &mailLoad{addr: s.gw.Relay, n: len(list), size: queueMailSize, to: func(i int) string { return siteReader(list[i], queueSites) }}
	return load.send(ctx)
}
