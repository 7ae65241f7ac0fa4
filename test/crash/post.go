package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"izinli/gateway"
	"izinli/gateway/bounce"
	"izinli/gateway/smtptest"
)

// post is the mail of a storm: two mail servers of the customer hand mails over the relay listener in. The shop's may send both
// classes, and a header says which: who did not agree is dropped behind an accepted mail. The newsletter's may send commercial mail
// alone, so that who did not agree is refused at RCPT. Neither repeats what was not answered, since that would be another mail.
type post struct {
	t      *traffic
	w      *witness
	domain string     // of the sender
	clicks chan click // links people will click

	mu      sync.Mutex
	notices int          // about mails, to the customer; guarded by mu
	failed  map[int]bool // messages the customer was told of as failed; guarded by mu
}

// click is a person who clicks.
type click struct {
	person uint32
	link   string
}

// Addresses the customer's servers come from.
const (
	shopHost       = "127.0.0.1"
	newsletterHost = "127.0.0.2"
)

// largeEvery is which mails have a body that is kept in a file of its own.
const largeEvery = 30

// filler is the text of the mail whose first recipient is ref. The sink compares it octet by octet.
func filler(ref int) string {
	size := 300 + ref%1500
	if ref%largeEvery == 0 {
		size = 70_000 + ref%50_000
	}
	line := fmt.Sprintf("Siparis %d icin satir; nokta ile baslayan satirlar da var.\r\n.%d\r\n", ref, ref)
	return strings.Repeat(line, 1+size/len(line))
}

// shop hands a mail in whose class stands in its header.
func (p *post) shop(ctx context.Context, rng *rand.Rand) {
	class, name := byte(transactional), gateway.ClassTransactional
	if rng.IntN(2) == 0 {
		class, name = commercial, gateway.ClassCommercial
	}
	p.send(ctx, rng, shopHost, class, "X-Message-Class: "+name+"\r\n")
}

// newsletter hands a commercial mail in.
func (p *post) newsletter(ctx context.Context, rng *rand.Rand) {
	p.send(ctx, rng, newsletterHost, commercial, "")
}

// send hands one mail to one to five people in.
func (p *post) send(ctx context.Context, rng *rand.Rand, host string, class byte, header string) {
	conn, err := p.dial(ctx, host)
	if err != nil {
		return // the gateway is away
	}
	c := smtp.NewClient(conn)
	defer c.Close()
	var to []uint32
	for range 1 + rng.IntN(5) {
		if who := p.w.someone(rng); !contains(to, who) {
			to = append(to, who)
		}
	}
	first := p.w.issue(class, to...)
	taken := map[int]uint32{} // refs by their place in the envelope
	text, err := p.transmit(c, first, to, taken, fmt.Sprintf("From: bulten@%s\r\n%sSubject: %s\r\n\r\n%s", p.domain, header, text(class, first), filler(first)))
	said := saidYes
	var refused *smtp.SMTPError
	switch {
	case errors.As(err, &refused):
		said = saidNo
	case err != nil:
		said = saidLost
	}
	ref, parseErr := batchIn(text)
	if said == saidYes && parseErr != nil {
		p.t.tb.Errorf("mail %d: answer %q: %v", first, text, parseErr)
		said = saidLost
	}
	for i := range to {
		at, ok := taken[first+i]
		switch {
		case !ok && said != saidLost: // refused at RCPT
			p.w.tell(first+i, saidNo, gateway.MessageID{})
		case said == saidYes:
			p.w.tell(first+i, saidYes, ref.Message(at))
		default:
			p.w.tell(first+i, said, gateway.MessageID{})
		}
	}
}

// dial connects from an address of its own, by which the gateway knows the server.
func (p *post) dial(ctx context.Context, host string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}, Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", p.t.address("relay"))
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(30 * time.Second))
}

// errNobody is a mail all of whose recipients were refused.
var errNobody = &smtp.SMTPError{Code: 554, Message: "nobody is left"}

// transmit says envelope and data, and returns the text of the answer.
func (p *post) transmit(c *smtp.Client, first int, to []uint32, taken map[int]uint32, raw string) (string, error) {
	if err := c.Mail("bulten@"+p.domain, nil); err != nil {
		return "", err
	}
	for i, who := range to {
		err := c.Rcpt(mailbox(who), nil)
		var refused *smtp.SMTPError
		switch {
		case errors.As(err, &refused):
			if refused.Code/100 == 5 && p.w.wants(first+i) {
				p.t.tb.Errorf("mail %d: person %d agreed and was refused: %v", first, who, err)
			}
		case err != nil:
			return "", err
		default:
			taken[first+i] = uint32(len(taken))
		}
	}
	if len(taken) == 0 {
		return "", errNobody
	}
	w, err := c.Data()
	if err != nil {
		return "", err
	}
	if _, err := strings.NewReader(raw).WriteTo(w); err != nil {
		return "", err
	}
	res, err := w.CloseWithResponse()
	if err != nil {
		return "", err
	}
	return res.StatusText, nil
}

// wants reports whether nothing stands against a message.
func (w *witness) wants(ref int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &w.refs[ref-1]
	return f.class != commercial || w.people.agreed(f.person) && !w.asked[f.person]
}

// batchIn finds what the gateway calls a mail.
func batchIn(answer string) (gateway.BatchRef, error) {
	_, rest, _ := strings.Cut(answer, "queued as ")
	id, _, _ := strings.Cut(rest, ",")
	return gateway.ParseBatchRef(strings.TrimSpace(id))
}

func contains(list []uint32, x uint32) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

// clickEvery is which commercial mails make somebody click.
const clickEvery = 100

// received is a smarthost that has read a mail to its end and takes it. Not answered, it cuts the connection instead of saying so.
func (p *post) received(m *smtptest.Message, answered bool) {
	class, ref, known := subject(m.Body)
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range m.To {
		if strings.HasSuffix(r.Addr, "@"+p.domain) {
			p.noticeLocked(m.Body)
			continue
		}
		at, person := 0, uint32(0)
		if known {
			at, person = w.placeLocked(ref, r.Addr)
		}
		if f := w.leftLocked(class, at, r.Addr, m.Began); f != nil {
			seen := sighting{read: m.At}
			if answered {
				seen.answered = time.Now()
			}
			f.seen++
			f.copies = append(f.copies, seen)
		}
		if at == 0 {
			continue
		}
		if !bytes.Contains(m.Body, []byte(filler(ref))) && len(w.damaged) < 20 {
			w.damaged = append(w.damaged, fmt.Sprintf("mail %d: %.3000s", ref, m.Body))
		}
		if link := oneClick(m.Body); class == commercial && at%clickEvery == 0 && link != "" {
			select {
			case p.clicks <- click{person, link}:
			default:
			}
		}
	}
}

// noticeLocked is a notification to the customer. The witness is locked.
func (p *post) noticeLocked(raw []byte) {
	report, err := bounce.Parse(bytes.NewReader(raw))
	if err != nil {
		p.t.tb.Errorf("a notification: %v", err)
		return
	}
	_, num, _ := strings.Cut(report.Original.Get("Subject"), " ")
	ref, _ := strconv.Atoi(num) // 0: the mail is not ours
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notices++
	for _, r := range report.Recipients {
		if at, _ := p.w.placeLocked(ref, r.Address); at > 0 && r.Action == bounce.ActionFailed {
			p.failed[at] = true
		} else {
			p.t.tb.Errorf("a notification about mail %d says %s of %s", ref, r.Action, r.Address)
		}
	}
}

// placeLocked finds the message to an address among those of the mail that begins with ref.
func (w *witness) placeLocked(ref int, addr string) (at int, person uint32) {
	person, ok := w.people.person(addr)
	if !ok || ref < 1 {
		return 0, 0
	}
	for at = ref; at < ref+5 && at <= len(w.refs); at++ {
		if w.refs[at-1].person == person {
			return at, person
		}
	}
	return 0, person
}

// headerField finds a field of a mail as we wrote it, unfolded.
func headerField(raw []byte, name string) string {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	_, rest, ok := strings.Cut("\r\n"+string(head), "\r\n"+name+": ")
	if !ok {
		return ""
	}
	line, _, _ := strings.Cut(strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(rest), "\r\n")
	return strings.TrimSpace(line)
}

func subject(raw []byte) (class byte, ref int, ok bool) {
	s := headerField(raw, "Subject")
	c, num, _ := strings.Cut(s, " ")
	ref, err := strconv.Atoi(num)
	if err != nil || len(c) != 1 {
		return 0, 0, false
	}
	return c[0], ref, true
}

// oneClick is the link of RFC 8058.
func oneClick(raw []byte) string {
	for _, part := range strings.Split(headerField(raw, "List-Unsubscribe"), ",") {
		if link := strings.Trim(strings.TrimSpace(part), "<>"); strings.HasPrefix(link, "http") {
			return link
		}
	}
	return ""
}

// nextHop is the smarthost, which can be away, hang, refuse and cut connections.
type nextHop struct {
	cfg  smtptest.Config
	sink *smtptest.Sink // of the storm's own goroutine

	mu   sync.Mutex
	mood mood // guarded by mu
	cuts int  // connections cut behind a mail that counts as taken; guarded by mu
}

// mood is how a smarthost answers at present. The zero mood takes everything.
type mood struct {
	mail, rcpt, data smtptest.Reply
	reset            bool // in the middle of the data
	mute             bool // takes mails and cuts the connection instead of saying so
}

// newNextHop returns a smarthost that tells of what it took and whether it says so; Config makes it listen.
func newNextHop(took func(m *smtptest.Message, answered bool)) *nextHop {
	h := &nextHop{}
	h.cfg = smtptest.Config{Received: func(m *smtptest.Message) { took(m, true) }, Script: &smtptest.Script{
		Mail: func(string) smtptest.Reply { return h.now().mail },
		Rcpt: func(_, _ string) smtptest.Reply { return h.now().rcpt },
		Start: func(*smtptest.Message) smtptest.Reply {
			return smtptest.Reply{Drop: h.now().reset, After: rand.Int64N(600)}
		},
		Data: func(m *smtptest.Message) smtptest.Reply {
			now := h.now()
			if !now.mute {
				return now.data
			}
			took(m, false)
			h.mu.Lock()
			h.cuts++
			h.mu.Unlock()
			return smtptest.Reply{Drop: true}
		}}}
	return h
}

func (h *nextHop) now() mood {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mood
}

func (h *nextHop) feel(m mood) {
	h.mu.Lock()
	h.mood = m
	h.mu.Unlock()
}

// leave closes the smarthost; back opens it again where it was.
func (h *nextHop) leave() error {
	h.cfg.Addr = h.sink.Addr()
	return h.sink.Close()
}

func (h *nextHop) back() (err error) {
	h.sink, err = smtptest.Listen(h.cfg)
	return err
}
