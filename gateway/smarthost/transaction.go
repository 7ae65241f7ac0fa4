package smarthost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"izinli/gateway/mail"
)

// transaction is one message on one connection.
type transaction struct {
	c    *conn
	m    *Message
	out  []Outcome
	took int // recipients the host accepted

	ended bool // the end of the data was written
	alive bool // the connection is in step and may be used again
}

// heldError carries the error of HandOff.
type heldError struct{ err error }

func (e heldError) Error() string { return e.err.Error() }

// bodyError is a failure of our own store.
type bodyError struct{ err error }

func (e bodyError) Error() string { return "body: " + e.err.Error() }
func (e bodyError) Unwrap() error { return e.err }

// deliver runs the transaction. The outcomes are complete; alive tells whether the connection can go on. err is HandOff's.
func (c *conn) deliver(ctx context.Context, m *Message) (out []Outcome, alive bool, held error) {
	t := &transaction{c: c, m: m, out: make([]Outcome, len(m.To))}
	for i, r := range m.To {
		t.out[i] = Outcome{To: r.Addr, Host: c.host.Name, hostless: true, Text: "not attempted"}
	}
	if err := t.fit(); err != nil {
		t.failed(bodyError{err}.Error())
		t.noHostsFault()
		return t.out, true, nil
	}
	if refusal := t.unable(); refusal != nil {
		t.all(*refusal, "")
		return t.out, true, nil
	}
	stop := c.bound(ctx)
	err := t.run(ctx)
	if !stop() { // the connection was closed under us
		t.alive = false
	}
	c.used++
	var h heldError
	switch {
	case errors.As(err, &h):
		held = h.err
		t.failed("held back")
	case isUncanonical(err):
		t.alive = false
		t.all(reply{554, "5.6.0", err.Error()}, "")
		t.finish(reply{554, "5.6.0", err.Error()}, "")
	case err != nil:
		t.alive = false
		if errors.As(err, new(replyError)) { // 421 before the last answer: the host goes, and has not taken the message
			t.ended = false
		}
		t.failed(err.Error())
		if errors.As(err, new(bodyError)) {
			t.noHostsFault()
		}
	}
	return t.out, t.alive, held
}

// isUncanonical: a body that no attempt will make fit to be sent.
func isUncanonical(err error) bool {
	return errors.Is(err, mail.ErrBareNewline) || errors.Is(err, mail.ErrNUL) || errors.Is(err, mail.ErrLineTooLong)
}

// all gives the recipients still open one outcome, said to the command.
func (t *transaction) all(r reply, command string) {
	for i := range t.out {
		if o := &t.out[i]; o.Code == 0 {
			*o = r.outcome(o.To, t.c.host.Name, command)
		}
	}
}

// failed ends the open recipients after a broken connection: Doubt once the end of the data was written.
func (t *transaction) failed(text string) {
	for i := range t.out {
		o := &t.out[i]
		if o.Code != 0 && o.Code/100 != 2 {
			continue // answered for itself
		}
		*o = Outcome{To: o.To, Kind: TryLater, Text: text, Host: t.c.host.Name, hostless: !t.ended}
		if t.ended {
			o.Kind = Doubt
		}
	}
}

// noHostsFault keeps other hosts from being asked about what failed here.
func (t *transaction) noHostsFault() {
	for i := range t.out {
		t.out[i].hostless = false
	}
}

// run says the envelope, then the data. Without PIPELINING every command waits for its answer.
func (t *transaction) run(ctx context.Context) error {
	_, pipelining := t.c.ext["PIPELINING"]
	_, chunking := t.c.ext["CHUNKING"]
	lines := t.envelope()
	if !pipelining {
		return t.lockstep(ctx, lines, chunking)
	}
	if t.m.Size <= 0 || t.m.Size > t.c.cfg.Together {
		if err := t.write(lines); err != nil {
			return err
		}
		if err := t.envelopeReplies(); err != nil || t.took == 0 {
			return t.giveUp(err)
		}
		lines = nil
	}
	if chunking {
		return t.bdat(ctx, lines)
	}
	if err := t.handOff(ctx); err != nil {
		return err
	}
	if err := t.write(append(lines, "DATA\r\n")); err != nil {
		return err
	}
	if lines != nil {
		if err := t.envelopeReplies(); err != nil {
			return err
		}
	}
	return t.data()
}

// write sends lines in one go.
func (t *transaction) write(lines []string) error {
	for _, l := range lines {
		if _, err := t.c.bw.WriteString(l); err != nil {
			return err
		}
	}
	return t.c.bw.Flush()
}

func (t *transaction) lockstep(ctx context.Context, lines []string, chunking bool) error {
	n := t.offset()
	for i, l := range lines {
		if err := t.write([]string{l}); err != nil {
			return err
		}
		refused, err := t.envelopeReply(i - n)
		if err != nil || refused {
			return t.giveUp(err)
		}
	}
	t.c.rset = false
	if t.took == 0 {
		return t.giveUp(nil)
	}
	if chunking {
		return t.bdat(ctx, nil)
	}
	if err := t.handOff(ctx); err != nil {
		return err
	}
	if err := t.write([]string{"DATA\r\n"}); err != nil {
		return err
	}
	return t.data()
}

// giveUp ends a transaction before its data.
func (t *transaction) giveUp(err error) error {
	if err == nil {
		t.c.rset, t.alive = true, true
	}
	return err
}

// handOff asks for the last time, with nothing unsent in the buffer. When the answer is no, the connection is good for the next
// message after RSET.
func (t *transaction) handOff(ctx context.Context) error {
	if t.m.HandOff == nil {
		return nil
	}
	if err := t.m.HandOff(ctx); err != nil {
		t.c.rset, t.alive = true, true
		return heldError{err}
	}
	return nil
}

// offset is how many commands stand before MAIL in the envelope.
func (t *transaction) offset() int {
	if t.c.rset {
		return 1
	}
	return 0
}

// envelope returns the commands: RSET where the last transaction ended early, MAIL, RCPT….
func (t *transaction) envelope() []string {
	var out []string
	if t.c.rset {
		out = append(out, "RSET\r\n")
	}
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + t.m.From + ">")
	has := func(k string) bool { _, ok := t.c.ext[k]; return ok }
	if has("SIZE") && t.m.Size > 0 {
		fmt.Fprintf(&b, " SIZE=%d", t.m.Size)
	}
	if has("8BITMIME") && (t.m.EightBit || t.m.UTF8) { // RFC 6531 §3.6: a header in UTF-8 may be one of a message inside too
		b.WriteString(" BODY=8BITMIME")
	}
	if t.m.UTF8 || mail.High([]byte(t.m.From)) || slices.ContainsFunc(t.m.To, func(r Recipient) bool { return mail.High([]byte(r.Addr)) }) {
		b.WriteString(" SMTPUTF8")
	}
	if has("DSN") && t.m.Return != "" {
		b.WriteString(" RET=" + xtext(t.m.Return))
	}
	if has("DSN") && t.m.EnvID != "" {
		b.WriteString(" ENVID=" + xtext(t.m.EnvID))
	}
	out = append(out, b.String()+"\r\n")
	for _, r := range t.m.To {
		line := "RCPT TO:<" + r.Addr + ">"
		if has("DSN") && r.Notify != "" {
			line += " NOTIFY=" + r.Notify
		}
		if kind, addr, ok := strings.Cut(r.ORcpt, ";"); has("DSN") && ok {
			line += " ORCPT=" + kind + ";" + xtext(addr)
		}
		out = append(out, strings.Map(dropControls, line)+"\r\n")
	}
	return out
}

func dropControls(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// xtext is RFC 3461 §4.
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// envelopeReplies reads the answers to a pipelined envelope.
func (t *transaction) envelopeReplies() error {
	n := t.offset()
	mailRefused := false
	for i := -n; i <= len(t.m.To); i++ {
		refused, err := t.envelopeReply(i)
		if err != nil {
			return err
		}
		mailRefused = mailRefused || refused
	}
	t.c.rset = false
	if mailRefused { // what the host said to the recipients then is about the missing MAIL
		t.took = 0
	}
	return nil
}

// envelopeReply reads one answer: to RSET (-1), MAIL (0) or the i-th recipient. refused is MAIL's.
func (t *transaction) envelopeReply(i int) (refused bool, err error) {
	r, err := t.c.read(t.c.cfg.CommandTimeout)
	switch {
	case err != nil:
		return false, err
	case r.code == 421: // RFC 5321 §3.8: the host is closing
		return false, replyError{r}
	case i < 0:
		return false, nil
	case i == 0:
		if r.kind() != Delivered {
			t.all(r, "MAIL")
		}
		return r.kind() != Delivered, nil
	}
	o := &t.out[i-1]
	if o.Code == 0 {
		if r.kind() == Delivered {
			t.took++
			o.Code = r.code // taken so far; the end of the data decides
		} else {
			*o = r.outcome(o.To, t.c.host.Name, "RCPT")
		}
	}
	return false, nil
}

// data follows DATA: 354, the message with its dots doubled, the lone dot, the answer.
func (t *transaction) data() error {
	r, err := t.c.read(t.c.cfg.CommandTimeout)
	if err != nil {
		return err
	}
	if r.code == 421 {
		return replyError{r}
	}
	if r.code != 354 {
		if r.code < 400 { // nothing was sent that it could have taken: it answers out of step
			return errReply
		}
		if t.took > 0 {
			t.finish(r, "DATA")
		}
		return t.giveUp(nil)
	}
	if t.took == 0 { // RFC 2920 §3.1: the host went ahead for nobody; an empty message ends it
		if _, err := t.c.bw.WriteString(".\r\n"); err != nil {
			return err
		}
	} else if err := t.copyBody(&dotWriter{w: t.c.bw, bol: true}, ".\r\n"); err != nil {
		return err
	}
	if err := t.c.bw.Flush(); err != nil {
		return err
	}
	t.ended = t.took > 0
	return t.final()
}

// copyBody writes the body, canonical or not at all, and the end behind it into the buffer.
func (t *transaction) copyBody(w io.Writer, end string) error {
	rc, err := t.m.Body()
	if err != nil {
		return bodyError{err}
	}
	defer rc.Close()
	var r io.Reader = rc
	if _, known := rc.(*whole); !known {
		r = mail.NewReader(rc, false)
	}
	if _, err := io.Copy(w, r); err != nil {
		return bodyError{err}
	}
	_, err = t.c.bw.WriteString(end)
	return err
}

// final reads the answer to the whole message.
func (t *transaction) final() error {
	r, err := t.c.read(t.c.cfg.FinalTimeout)
	if err != nil {
		return err
	}
	t.finish(r, "DATA")
	t.alive = r.code != 421
	return nil
}

// finish gives the accepted recipients their outcome, said to the command.
func (t *transaction) finish(r reply, command string) {
	_, dsn := t.c.ext["DSN"]
	for i := range t.out {
		o := &t.out[i]
		if o.Code/100 != 2 {
			continue
		}
		*o = r.outcome(o.To, t.c.host.Name, command)
		if o.Kind == Delivered {
			o.QueueID, o.DSN = queueID(r.text), dsn
		}
	}
}

// bdatChunk is how much goes into one BDAT (RFC 3030). A small message is one.
const bdatChunk = 64 << 10

// bdat sends the body in chunks, the first together with the envelope where that was not sent yet. A refused chunk ends it.
func (t *transaction) bdat(ctx context.Context, envelope []string) error {
	rc, err := t.m.Body()
	if err != nil {
		return bodyError{err}
	}
	defer rc.Close()
	if w, ok := rc.(*whole); ok && len(w.head)+len(w.rest) <= bdatChunk {
		return t.bdatWhole(ctx, envelope, w)
	}
	body := mail.NewReader(rc, false)
	size := bdatChunk
	if t.m.Size > 0 && t.m.Size < bdatChunk {
		size = int(t.m.Size) + 1
	}
	chunk, next := make([]byte, 0, size), make([]byte, 0, min(size, 4<<10))
	if size == bdatChunk {
		next = make([]byte, 0, size)
	}
	if chunk, err = readChunk(body, chunk); err != nil {
		return bodyError{err}
	}
	if err := t.handOff(ctx); err != nil {
		return err
	}
	for _, l := range envelope {
		if _, err := t.c.bw.WriteString(l); err != nil {
			return err
		}
	}
	pending := 0
	for first := envelope != nil; ; first = false {
		if next, err = readChunk(body, next); err != nil {
			return bodyError{err}
		}
		last := len(next) == 0
		if err := t.writeChunk(last, chunk); err != nil {
			return err
		}
		if first {
			if err := t.envelopeReplies(); err != nil {
				return err
			}
			if t.took == 0 && !last {
				_, err := t.c.read(t.c.cfg.CommandTimeout) // of the chunk, refused
				return t.giveUp(err)
			}
		}
		if last {
			break
		}
		if pending++; pending > 1 { // one chunk under way, one unanswered
			if stop, err := t.chunkReply(); err != nil || stop {
				return err // with a chunk unanswered the connection is of no more use
			}
			pending--
		}
		chunk, next = next, chunk[:0]
	}
	for ; pending > 0; pending-- {
		if stop, err := t.chunkReply(); err != nil {
			return err
		} else if stop { // the answer to the last chunk is still to come, and of no use
			t.ended = false
			_, err := t.c.read(t.c.cfg.FinalTimeout)
			return t.giveUp(err)
		}
	}
	if t.took == 0 {
		_, err := t.c.read(t.c.cfg.FinalTimeout)
		return t.giveUp(err)
	}
	return t.final()
}

// bdatWhole sends a small message as one chunk, from where it lies.
func (t *transaction) bdatWhole(ctx context.Context, envelope []string, w *whole) error {
	if err := t.handOff(ctx); err != nil {
		return err
	}
	for _, l := range envelope {
		if _, err := t.c.bw.WriteString(l); err != nil {
			return err
		}
	}
	if err := t.writeChunk(true, w.head, w.rest); err != nil {
		return err
	}
	if envelope != nil {
		if err := t.envelopeReplies(); err != nil {
			return err
		}
	}
	if t.took == 0 {
		_, err := t.c.read(t.c.cfg.FinalTimeout)
		return t.giveUp(err)
	}
	return t.final()
}

// chunkReply reads the answer to a chunk that was not the last.
func (t *transaction) chunkReply() (stop bool, err error) {
	r, err := t.c.read(t.c.cfg.CommandTimeout)
	if err != nil {
		return false, err
	}
	if r.code == 421 {
		return false, replyError{r}
	}
	if r.kind() == Delivered {
		return false, nil
	}
	t.finish(r, "DATA")
	return true, nil
}

func (t *transaction) writeChunk(last bool, parts ...[]byte) error {
	n := 0
	for _, b := range parts {
		n += len(b)
	}
	head := append(strconv.AppendInt(append(t.c.bw.AvailableBuffer(), "BDAT "...), int64(n), 10), "\r\n"...)
	if last {
		head = append(head[:len(head)-2], " LAST\r\n"...)
	}
	if _, err := t.c.bw.Write(head); err != nil {
		return err
	}
	for _, b := range parts {
		if _, err := t.c.bw.Write(b); err != nil {
			return err
		}
	}
	if err := t.c.bw.Flush(); err != nil {
		return err
	}
	t.ended = last
	return nil
}

func readChunk(r io.Reader, buf []byte) ([]byte, error) {
	buf = buf[:cap(buf)]
	n := 0
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		n += m
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	return buf[:n], nil
}

// dotWriter doubles dots at the beginning of lines (RFC 5321 §4.5.2).
type dotWriter struct {
	w   io.Writer
	bol bool
}

func (d *dotWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if d.bol && p[0] == '.' {
			if _, err := io.WriteString(d.w, "."); err != nil {
				return n, err
			}
		}
		line := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			line = p[:i+1]
		}
		m, err := d.w.Write(line)
		n += m
		if err != nil {
			return n, err
		}
		d.bol = line[len(line)-1] == '\n'
		p = p[len(line):]
	}
	return n, nil
}
