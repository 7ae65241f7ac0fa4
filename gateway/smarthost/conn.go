package smarthost

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// conn is one connection to a host, after EHLO and what belongs to it. One goroutine uses it at a time.
type conn struct {
	cfg  *Config
	host *Host
	nc   net.Conn
	br   *bufio.Reader
	bw   *bufio.Writer
	ext  map[string]string // EHLO keywords, upper case, with their parameters
	used int               // messages carried
	rset bool              // the next transaction begins with RSET
	last time.Time         // when it was given back
	idle *time.Timer
}

// Bounds of a reply: what a hostile host may make us hold.
const (
	maxReplyLine  = 4096 // RFC 5321 §4.5.3.1.5 says 512; some say more
	maxReplyLines = 100
)

var (
	errReply    = errors.New("malformed reply")
	errNoTLS    = errors.New("the host offers no STARTTLS")
	errInjected = errors.New("the host sent text between STARTTLS and TLS")
	errNoAuth   = errors.New("the host offers no AUTH mechanism we have")
)

// dial connects, greets, starts TLS and logs in.
func dial(ctx context.Context, cfg *Config, h *Host) (*conn, error) {
	c, err := open(ctx, cfg, h, true)
	if err != nil && h.TLS == TLSOpportunistic && errors.As(err, new(tlsError)) && ctx.Err() == nil {
		c, err = open(ctx, cfg, h, false) // RFC 7435: some protection where it works
	}
	return c, err
}

// tlsError marks a failed handshake.
type tlsError struct{ error }

func open(ctx context.Context, cfg *Config, h *Host, secure bool) (*conn, error) {
	nc, err := cfg.Dial("tcp", h.Addr, cfg.DialTimeout)
	if err != nil {
		return nil, err
	}
	c := &conn{cfg: cfg, host: h, nc: nc}
	stop := c.bound(ctx)
	defer stop()
	if h.TLS == TLSImplicit {
		if err := c.startTLS(); err != nil {
			nc.Close()
			return nil, err
		}
	}
	c.buffers()
	if err := c.greet(secure); err != nil {
		c.nc.Close()
		return nil, err
	}
	return c, nil
}

// bound makes the end of ctx the end of whatever the connection waits for. The returned func lifts that.
func (c *conn) bound(ctx context.Context) func() bool {
	nc := c.nc
	return context.AfterFunc(ctx, func() { nc.Close() })
}

func (c *conn) buffers() {
	c.br = bufio.NewReaderSize(c.nc, maxReplyLine)
	c.bw = bufio.NewWriterSize(deadlineWriter{c}, 32<<10)
}

// deadlineWriter gives every write to the socket its own BlockTimeout.
type deadlineWriter struct{ c *conn }

func (w deadlineWriter) Write(p []byte) (int, error) {
	_ = w.c.nc.SetWriteDeadline(time.Now().Add(w.c.cfg.BlockTimeout))
	return w.c.nc.Write(p)
}

func (c *conn) greet(secure bool) error {
	r, err := c.read(c.cfg.CommandTimeout)
	if err != nil {
		return err
	}
	if r.code != 220 {
		return replyError{r}
	}
	if err := c.ehlo(); err != nil {
		return err
	}
	if _, offered := c.ext["STARTTLS"]; secure && c.host.TLS != TLSImplicit && c.host.TLS != TLSOff {
		switch {
		case offered:
			if err := c.upgrade(); err != nil {
				return err
			}
		case c.host.TLS != TLSOpportunistic:
			return errNoTLS
		}
	}
	if c.host.Username != "" {
		return c.login()
	}
	return nil
}

// replyError is a refusal of the session as a whole.
type replyError struct{ r reply }

func (e replyError) Error() string { return e.r.String() }

func (c *conn) ehlo() error {
	lines, r, err := c.command("EHLO " + c.cfg.Helo)
	if err != nil {
		return err
	}
	c.ext = map[string]string{}
	if r.code != 250 {
		if r.kind() != Permanent { // busy, or closing: not a host that knows no EHLO (RFC 5321 §3.2)
			return replyError{r}
		}
		if r, err = c.simple("HELO " + c.cfg.Helo); err != nil {
			return err
		} else if r.code != 250 {
			return replyError{r}
		}
		return nil
	}
	for _, l := range lines[1:] {
		word, params, _ := strings.Cut(l, " ")
		c.ext[strings.ToUpper(word)] = strings.ToUpper(params)
	}
	return nil
}

// upgrade is STARTTLS (RFC 3207): what was said before is forgotten.
func (c *conn) upgrade() error {
	r, err := c.simple("STARTTLS")
	if err != nil {
		return err
	}
	if r.code != 220 {
		return tlsError{replyError{r}}
	}
	if c.br.Buffered() > 0 {
		return errInjected
	}
	if err := c.startTLS(); err != nil {
		return err
	}
	c.buffers()
	return c.ehlo()
}

func (c *conn) startTLS() error {
	t := tls.Client(c.nc, c.host.tlsConfig())
	_ = c.nc.SetDeadline(time.Now().Add(c.cfg.CommandTimeout))
	if err := t.Handshake(); err != nil {
		return tlsError{fmt.Errorf("tls: %w", err)}
	}
	c.nc = t
	return nil
}

// login is AUTH PLAIN, or LOGIN where PLAIN is not offered.
func (c *conn) login() error {
	if _, secure := c.nc.(*tls.Conn); !secure {
		return errNoTLS
	}
	var script []string
	b64 := base64.StdEncoding.EncodeToString
	mechs := " " + c.ext["AUTH"] + " "
	switch {
	case strings.Contains(mechs, " PLAIN "):
		script = []string{"AUTH PLAIN " + b64([]byte("\x00"+c.host.Username+"\x00"+c.host.Password))}
	case strings.Contains(mechs, " LOGIN "):
		script = []string{"AUTH LOGIN", b64([]byte(c.host.Username)), b64([]byte(c.host.Password))}
	default:
		return errNoAuth
	}
	for i, line := range script {
		r, err := c.simple(line)
		if err != nil {
			return err
		}
		if want := map[bool]int{true: 235, false: 334}[i == len(script)-1]; r.code != want {
			return replyError{r}
		}
	}
	return nil
}

func (c *conn) simple(line string) (reply, error) {
	_, r, err := c.command(line)
	return r, err
}

func (c *conn) command(line string) ([]string, reply, error) {
	if _, err := c.bw.WriteString(line + "\r\n"); err != nil {
		return nil, reply{}, err
	}
	if err := c.bw.Flush(); err != nil {
		return nil, reply{}, err
	}
	return c.readLines(c.cfg.CommandTimeout)
}

func (c *conn) read(wait time.Duration) (reply, error) {
	_, r, err := c.readLines(wait)
	return r, err
}

// readLines reads one reply, of several lines perhaps (RFC 5321 §4.2.1): the texts behind the code, and the whole.
func (c *conn) readLines(wait time.Duration) (lines []string, r reply, err error) {
	_ = c.nc.SetReadDeadline(time.Now().Add(wait))
	for {
		b, err := c.br.ReadSlice('\n')
		if err != nil {
			return nil, reply{}, err
		}
		line := strings.TrimRight(string(b), "\r\n")
		code, text, more, ok := parseReplyLine(line)
		if !ok || len(lines) > 0 && code != r.code || len(lines) >= maxReplyLines {
			return nil, reply{}, errReply
		}
		r.code = code
		lines = append(lines, text)
		if more {
			continue
		}
		r.enhanced, r.text = joinReply(code, lines)
		return lines, r, nil
	}
}

func parseReplyLine(s string) (code int, text string, more, ok bool) {
	if len(s) < 3 || s[0] < '2' || s[0] > '5' {
		return 0, "", false, false
	}
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, "", false, false
		}
		code = code*10 + int(s[i]-'0')
	}
	if len(s) == 3 {
		return code, "", false, true
	}
	if s[3] != ' ' && s[3] != '-' {
		return 0, "", false, false
	}
	return code, s[4:], s[3] == '-', true
}

// joinReply makes one line of a reply's texts and takes the enhanced code off each (RFC 2034 §4).
func joinReply(code int, lines []string) (enhanced, text string) {
	parts := make([]string, 0, len(lines))
	for _, l := range lines {
		first, rest, _ := strings.Cut(l, " ")
		if isEnhanced(first) && int(first[0]-'0') == code/100 {
			enhanced, l = first, rest
		}
		parts = append(parts, strings.TrimSpace(l))
	}
	text = strings.TrimSpace(strings.Join(parts, " "))
	return enhanced, strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// isEnhanced: class.subject.detail (RFC 3463 §2).
func isEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || !strings.Contains("245", parts[0]) {
		return false
	}
	for _, p := range parts[1:] {
		if len(p) == 0 || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// quit says good-bye without waiting for the answer.
func (c *conn) quit() {
	_ = c.nc.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.nc.Write([]byte("QUIT\r\n"))
	c.nc.Close()
}
