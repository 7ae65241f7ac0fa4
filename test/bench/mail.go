package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/iys"
)

// The road of mail: a customer's mail server relays in, a smarthost takes what leaves. Commercial mail of 2 kB to one recipient
// each, every one judged at RCPT and at hand-off, composed with its own unsubscribe fields and signed.

const (
	mailConns   = 48 // connections of the customer's mail server
	mailWindow  = 64 // connections to the smarthost
	mailSize    = 2048
	mailDomain  = "bulten.ornek.example"
	mailPatient = 30 * time.Second
)

func mailRoad(ctx context.Context, b *bench, r *result) error {
	n := b.size(60_000, 1_000)
	if err := mailRun(ctx, b, r, n, "ed25519"); err != nil {
		return err
	}
	rsa := &result{Figure: "T6rsa", Machine: r.Machine, Settings: map[string]any{}}
	if err := mailRun(ctx, b, rsa, n/2, "rsa"); err != nil {
		return err
	}
	r.set("rsa2048", rsa.Value)
	r.set("rsa2048CPUPer1000", rsa.CPU.Gateway)
	r.addHarm(rsa)
	return nil
}

func mailRun(ctx context.Context, b *bench, r *result, n int, algorithm string) (err error) {
	sink, err := startMailSink(n)
	if err != nil {
		return err
	}
	defer sink.close()
	s, err := b.newStand(ctx, r, standOptions{deaf: true, mail: &mailOrder{Sink: sink.ln.Addr().String(), Algorithm: algorithm, Readers: n}})
	if err != nil {
		return err
	}
	defer s.remove(&err)
	r.Settings["connectionsIn"], r.Settings["connectionsOut"], r.Settings["octets"], r.Settings["dkim"] = mailConns, mailWindow, mailSize, algorithm
	done, err := s.meter(r.Figure)
	if err != nil {
		return err
	}
	began := time.Now()
	load := &mailLoad{addr: s.gw.Relay, n: n, size: mailSize, to: reader}
	if err := load.send(ctx); err != nil {
		return err
	}
	accepted := time.Since(began)
	if err := until(ctx, mailPatient, func() int64 { return sink.total.Load() }, func() bool { return sink.total.Load() >= int64(n) }); err != nil && !errors.Is(err, errQuiet) {
		return err
	}
	wall := time.Since(began)
	u, err := done()
	if err != nil {
		return err
	}
	r.load(u, n)
	r.Value, r.Unit = float64(sink.total.Load())/wall.Seconds(), "mails/s"
	r.set("acceptedPerSecond", float64(n)/accepted.Seconds())
	lost, twice := sink.missing()
	r.Losses += lost
	r.Duplicates += twice
	if n := sink.bare.Load(); n > 0 {
		r.note("%d mails were not signed", n)
		r.Losses += int(n)
	}
	return s.verify(r, n)
}

// mailOrder is what a gateway that carries mail is told besides.
type mailOrder struct {
	Sink      string // address of the smarthost
	Algorithm string // of the DKIM key
	Readers   int    // the addresses 0…n-1 have agreed
	// MXPort is where the mail exchangers of the sites listen to whom mail goes directly; empty: it goes to the smarthost.
	MXPort string
	Sites  int // with MXPort: the readers are spread over so many domains
}

// reader is the i-th address of the order.
func (m *mailOrder) reader(i int) string {
	if m.MXPort == "" {
		return reader(i)
	}
	return siteReader(i, m.Sites)
}

// smarthost is the one way out.
func (m *mailOrder) smarthost() gateway.Smarthost {
	if m.MXPort != "" {
		return gateway.Smarthost{Name: "mx", Direct: true}
	}
	return gateway.Smarthost{Name: "sink", Addr: m.Sink, TLS: "off", MaxConns: mailWindow, MaxPerConn: 100_000}
}

// reader is the i-th address.
func reader(i int) string { return fmt.Sprintf("okur%d@musteri.example", i) }

// seedMail makes what mail needs: a domain, a key, a peer, a smarthost, and consents.
func (g *gatewayProcess) seedMail(ctx context.Context, a *desk.Admin, account gateway.AccountID) error {
	m := g.order.Mail
	if m == nil {
		return nil
	}
	b := *g.store.Directory().Brands[brandCode]
	b.Email = gateway.BrandMode{Mode: string(iys.ModePartner)}
	b.MERSIS, b.Contact = "0123456789012345", "0850 000 00 00"
	_, err := a.PutBrand(ctx, b)
	steps := []func() error{
		func() error {
			_, err := a.PutSender(ctx, gateway.Sender{Name: mailDomain, Account: account, Channel: gateway.ChannelEmail, Brand: brandCode, Approved: true})
			return err
		},
		func() error {
			_, err := a.CreateDKIMKey(ctx, desk.DKIMInput{Domain: mailDomain, Selector: "bench", Account: account, Algorithm: m.Algorithm})
			return err
		},
		func() error {
			_, err := a.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{ID: "bench@ornek", Kind: gateway.KindSMTP, Account: account}})
			return err
		},
		func() error {
			_, err := a.PutRelayPeer(ctx, gateway.RelayPeer{Name: "bench", Credential: "bench@ornek", CIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
			return err
		},
		func() error {
			_, err := a.PutSmarthost(ctx, desk.SmarthostInput{Smarthost: m.smarthost()})
			return err
		},
	}
	for _, step := range steps {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return err
	}
	return putConsents(ctx, g.store, m.Readers, func(i int, at time.Time) iys.Consent {
		return stored(i, iys.Key{Brand: brandCode, Channel: iys.ChannelEmail, RecipientType: iys.RecipientPerson, Recipient: m.reader(i)}, iys.StatusApproved, at)
	})
}

// mailLoad is the customer's mail server.
type mailLoad struct {
	addr string
	n    int
	size int              // octets of a mail
	to   func(int) string // recipient of the i-th
	next atomic.Int64
}

// mailBody is a newsletter of about size octets that says what the law asks for.
func mailBody(size int) string {
	head := "From: =?utf-8?q?=C3=96rnek?= <bulten@" + mailDomain + ">\r\nTo: okurlar <okurlar@" + mailDomain + ">\r\nSubject: kampanya\r\n" +
		"Date: Mon, 02 Nov 2026 10:00:00 +0300\r\nMessage-ID: <%d@" + mailDomain + ">\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: 8bit\r\n\r\n"
	foot := "Örnek Giyim A.Ş. MERSİS 0123456789012345 Tel 0850 000 00 00\r\nListeden çıkmak için: https://ornek.example/cik\r\n"
	line := "Kış indirimi başladı, tüm montlarda yüzde otuz indirim sizi bekliyor.\r\n"
	return head + strings.Repeat(line, (size-len(head)-len(foot))/len(line)) + foot
}

func (l *mailLoad) send(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make(chan error, mailConns)
	body := mailBody(l.size)
	for range mailConns {
		wg.Go(func() { errs <- l.connection(ctx, body) })
	}
	wg.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	return all
}

// connection hands mails in one after the other: envelope and DATA in one write, as PIPELINING allows, then the message.
func (l *mailLoad) connection(ctx context.Context, body string) error {
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	br, bw := bufio.NewReader(c), bufio.NewWriterSize(c, 8<<10)
	expect := func(code string) error {
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return err
			}
			if len(line) < 4 || line[:3] != code {
				return fmt.Errorf("the door answered %q, want %s", line, code)
			}
			if line[3] == ' ' {
				return nil
			}
		}
	}
	say := func(code, format string, args ...any) error {
		if _, err := fmt.Fprintf(bw, format, args...); err != nil {
			return err
		}
		return errors.Join(bw.Flush(), expect(code))
	}
	if err := errors.Join(expect("220"), say("250", "EHLO bench.example\r\n")); err != nil {
		return err
	}
	for {
		i := int(l.next.Add(1)) - 1
		if i >= l.n {
			return say("221", "QUIT\r\n")
		}
		if err := say("250", "MAIL FROM:<bulten@%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", mailDomain, l.to(i)); err != nil {
			return err
		}
		if err := errors.Join(expect("250"), expect("354")); err != nil {
			return err
		}
		if err := say("250", body+".\r\n", i); err != nil {
			return err
		}
	}
}

// mailSink is a smarthost that counts: as little of one as will do, so that it is not what is measured.
type mailSink struct {
	ln    net.Listener
	total atomic.Int64
	seen  []atomic.Int32 // by reader; shared by the sites of one run
	bare  atomic.Int64   // mails without a signature
	takes time.Duration  // until a message is answered
	last  atomic.Int64   // when the latest message was, by clock
	wg    sync.WaitGroup
}

func startMailSink(n int) (*mailSink, error) {
	return listenMailSink("127.0.0.1:0", make([]atomic.Int32, n), 0)
}

func listenMailSink(addr string, seen []atomic.Int32, takes time.Duration) (*mailSink, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &mailSink{ln: ln, seen: seen, takes: takes}
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c) // ends with the client's connection
		}
	})
	return s, nil
}

func (s *mailSink) close() {
	s.ln.Close()
	s.wg.Wait()
}

// missing is how many readers got nothing, and how many mails came twice.
func (s *mailSink) missing() (lost, twice int) {
	for i := range s.seen {
		switch n := int(s.seen[i].Load()); {
		case n == 0:
			lost++
		default:
			twice += n - 1
		}
	}
	return lost, twice
}

// dkimField begins every mail that is signed: the signature is put before all other fields.
var dkimField = []byte("DKIM-Signature:")

func (s *mailSink) serve(c net.Conn) {
	defer c.Close()
	br, bw := bufio.NewReaderSize(c, 16<<10), bufio.NewWriter(c)
	_, _ = bw.WriteString("220 sink\r\n")
	to, begun := -1, false
	for {
		if br.Buffered() == 0 && bw.Flush() != nil {
			return
		}
		line, err := br.ReadSlice('\n')
		if err != nil {
			return
		}
		reply := "250 ok\r\n"
		switch {
		case bytes.HasPrefix(line, []byte("EHLO")):
			reply = "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 SIZE 30000000\r\n"
		case bytes.HasPrefix(line, []byte("RCPT TO:<okur")):
			digits, _, _ := bytes.Cut(line[len("RCPT TO:<okur"):], []byte("@"))
			to, _ = strconv.Atoi(string(digits))
		case bytes.HasPrefix(line, []byte("BDAT ")):
			fields := bytes.Fields(line)
			size, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			head, err := br.Peek(int(min(size, int64(len(dkimField)))))
			if err != nil {
				return
			}
			if !begun && !bytes.EqualFold(head, dkimField) {
				s.bare.Add(1)
			}
			begun = len(fields) <= 2 // the next one goes on with it
			if _, err := io.CopyN(io.Discard, br, size); err != nil {
				return
			}
			if s.takes > 0 {
				<-time.After(s.takes)
			}
			if len(fields) > 2 && to >= 0 && to < len(s.seen) {
				s.last.Store(int64(clock()))
				s.seen[to].Add(1)
				s.total.Add(1)
			}
		case bytes.HasPrefix(line, []byte("QUIT")):
			reply = "221 bye\r\n"
		}
		if _, err := bw.WriteString(reply); err != nil {
			return
		}
	}
}
