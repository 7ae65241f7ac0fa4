package smtptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Reply is how the sink answers a command. The zero Reply accepts.
type Reply struct {
	Code     int    // 400–599 refuses, 0 accepts
	Enhanced [3]int // zero: X.0.0
	Text     string
	Delay    time.Duration // before the answer
	Drop     bool          // cut the connection instead of answering; after the data: the outcome stays unknown to the client
	After    int64         // octets of the data read before the connection is cut (Script.Start)
}

// Script decides the answers; nil members accept. They are called from many sessions at once.
type Script struct {
	Mail func(from string) Reply
	Rcpt func(from, to string) Reply
	// Start is asked when the data begins; of its answers only Drop counts.
	Start func(m *Message) Reply
	Data  func(m *Message) Reply // the body has been read
}

// Config of a Sink. The zero value listens on 127.0.0.1, a free port, accepts everything and keeps every body.
type Config struct {
	Addr     string // default 127.0.0.1:0
	Domain   string // in the greeting; default sink.test
	TLS      *tls.Config
	Implicit bool // TLS from the first octet instead of STARTTLS
	Username string
	Password string // with Username: AUTH PLAIN is required before MAIL
	// MaxSize is announced as SIZE; 0: no bound.
	MaxSize int64
	NoDSN   bool // no notices are offered (RFC 3461)
	// Discard counts messages and keeps none, for measurements.
	Discard bool
	Script  *Script // nil: ByName
	// Received is called for every accepted message, before the answer.
	Received func(m *Message)
}

// Message is one accepted message.
type Message struct {
	Session uint64 // of the connection; the same for messages that shared one
	TLS     bool
	User    string // who authenticated
	From    string
	To      []Recipient
	Options smtp.MailOptions
	Body    []byte // nil with Config.Discard
	Size    int64
	Began   time.Time // when the data began
	At      time.Time
}

// Recipient is one accepted recipient with what RFC 3461 says about it.
type Recipient struct {
	Addr    string
	Options smtp.RcptOptions
}

// Sink is a running server.
type Sink struct {
	cfg     Config
	script  Script
	ln      net.Listener
	srv     *smtp.Server
	done    chan struct{}
	closing atomic.Bool

	sessions, accepted, refused, bytes atomic.Uint64

	mu      sync.Mutex
	msgs    []*Message
	changed chan struct{} // closed and renewed with every message
}

// Listen starts a sink.
func Listen(cfg Config) (*Sink, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Domain == "" {
		cfg.Domain = "sink.test"
	}
	if cfg.Script == nil {
		cfg.Script = ByName()
	}
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("smtptest: listen: %w", err)
	}
	if cfg.Implicit {
		ln = tls.NewListener(ln, cfg.TLS)
	}
	s := &Sink{cfg: cfg, script: *cfg.Script, ln: ln, done: make(chan struct{}), changed: make(chan struct{})}
	s.srv = smtp.NewServer(smtp.BackendFunc(s.newSession))
	s.srv.Domain = cfg.Domain
	s.srv.TLSConfig = cfg.TLS
	s.srv.MaxMessageBytes = cfg.MaxSize
	s.srv.MaxLineLength = 0 // records what comes
	s.srv.EnableSMTPUTF8 = true
	s.srv.EnableDSN = !cfg.NoDSN
	s.srv.ErrorLog = silent{}
	go func() {
		defer close(s.done)
		_ = s.srv.Serve(ln)
	}()
	return s, nil
}

// silent drops go-smtp's complaints: a sink that cuts connections causes many.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// Addr is host:port to deliver to.
func (s *Sink) Addr() string { return s.ln.Addr().String() }

// Close cuts all sessions and returns when the sink has stopped.
func (s *Sink) Close() error {
	// The listener is closed here because go-smtp closes only those its Serve has already been told of: closed earlier than
	// that, Serve would accept for ever.
	s.ln.Close()
	s.closing.Store(true)
	err := s.srv.Close()
	<-s.done
	if errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Stats are counters since the start.
type Stats struct{ Sessions, Accepted, Refused, Bytes uint64 }

// Stats returns the counters; Refused counts commands answered with 4xx or 5xx by script.
func (s *Sink) Stats() Stats {
	return Stats{s.sessions.Load(), s.accepted.Load(), s.refused.Load(), s.bytes.Load()}
}

// Messages returns what was accepted so far, in the order of acceptance.
func (s *Sink) Messages() []*Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Message(nil), s.msgs...)
}

// Reset forgets the messages.
func (s *Sink) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.msgs = nil
}

// Wait returns the messages once there are at least n, or the error of ctx.
func (s *Sink) Wait(ctx context.Context, n int) ([]*Message, error) {
	for {
		s.mu.Lock()
		msgs, changed := append([]*Message(nil), s.msgs...), s.changed
		s.mu.Unlock()
		if len(msgs) >= n {
			return msgs, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return msgs, fmt.Errorf("smtptest: %d of %d messages: %w", len(msgs), n, ctx.Err())
		}
	}
}

func (s *Sink) keep(m *Message) {
	s.accepted.Add(1)
	s.bytes.Add(uint64(m.Size))
	if s.cfg.Received != nil {
		s.cfg.Received(m)
	}
	if s.cfg.Discard {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.msgs = append(s.msgs, m)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Sink) newSession(c *smtp.Conn) (smtp.Session, error) {
	if s.closing.Load() { // accepted while Close was cutting the others
		c.Conn().Close()
		return nil, smtp.ErrServerClosed
	}
	_, secure := c.TLSConnectionState()
	return &session{sink: s, conn: c, id: s.sessions.Add(1), tls: secure}, nil
}

type session struct {
	sink *Sink
	conn *smtp.Conn
	id   uint64
	tls  bool
	user string
	msg  *Message // of the open transaction
}

func (s *session) Reset()        { s.msg = nil }
func (s *session) Logout() error { return nil }

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	if s.sink.cfg.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(mech string) (sasl.Server, error) {
	if mech != sasl.Plain || s.sink.cfg.Username == "" {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.sink.cfg.Username || password != s.sink.cfg.Password {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if s.sink.cfg.Username != "" && s.user == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	if s.sink.script.Mail != nil {
		if err := s.act(s.sink.script.Mail(from)); err != nil {
			return err
		}
	}
	s.msg = &Message{Session: s.id, TLS: s.tls, User: s.user, From: from, Options: *o}
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, o *smtp.RcptOptions) error {
	if s.sink.script.Rcpt != nil {
		if err := s.act(s.sink.script.Rcpt(s.msg.From, to)); err != nil {
			return err
		}
	}
	s.msg.To = append(s.msg.To, Recipient{to, *o})
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	m := s.msg
	m.Began = time.Now()
	if err := s.start(m, r); err != nil {
		return err
	}
	var err error
	if s.sink.cfg.Discard {
		m.Size, err = io.Copy(io.Discard, r)
	} else {
		m.Body, err = io.ReadAll(r)
		m.Size = int64(len(m.Body))
	}
	if err != nil {
		return err
	}
	m.At = time.Now()
	if s.sink.script.Data != nil {
		if err := s.act(s.sink.script.Data(m)); err != nil {
			return err
		}
	}
	n := s.sink.accepted.Load() + 1
	s.sink.keep(m)
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: fmt.Sprintf("Ok: queued as SINK%d", n)}
}

// start cuts the connection in the middle of the data where the script says so.
func (s *session) start(m *Message, data io.Reader) error {
	if s.sink.script.Start == nil {
		return nil
	}
	r := s.sink.script.Start(m)
	if !r.Drop {
		return nil
	}
	_, _ = io.CopyN(io.Discard, data, r.After) // a shorter message is cut at its end
	return s.act(r)
}

// act carries a reply out.
func (s *session) act(r Reply) error {
	if r.Delay > 0 {
		t := time.NewTimer(r.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.sink.done:
		}
	}
	if r.Drop {
		s.conn.Conn().Close()
	}
	if r.Drop || r.Code != 0 {
		s.sink.refused.Add(1)
		if r.Code == 0 {
			r.Code = 421
		}
		return &smtp.SMTPError{Code: r.Code, EnhancedCode: r.Enhanced, Message: r.Text}
	}
	return nil
}
