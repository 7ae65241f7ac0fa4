package smtpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/idna"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/mail"
)

// session is one SMTP session: from EHLO, or EHLO after STARTTLS, to the end. go-smtp calls its methods one at a time, save
// that Data runs beside the commands during BDAT.
type session struct {
	srv    *Server
	conn   *smtp.Conn
	guard  *guard
	mode   Mode
	id     string
	helo   string
	secure bool            // TLS
	ctx    context.Context // of the session: go-smtp's methods carry none
	cancel context.CancelFunc
	log    *slog.Logger

	// Owned by the command loop.
	party
	known    *gateway.Credential // of the directory, which the principal of a login was made of
	byCert   bool                // the peer is known by its certificate, not its address
	joined   bool                // counted as a session of the account
	mech     string              // of the login under way
	failures int                 // logins
	messages int
	taken    int // recipients
	refused  int // recipients

	mu sync.Mutex
	tx *transaction // the open one; guarded by mu
}

// party is who submits, as the directory knew him when the transaction began: what changes meanwhile holds from the next one on.
type party struct {
	principal *gateway.Principal // nil for a stranger
	peer      *Peer              // the principal came by address or certificate
	trusted   bool               // private headers are heard
}

// What a transaction carries; one kind each.
type kind uint8

const (
	kindNone kind = iota
	kindMail
	kindSMS
	kindInbox
)

// transaction is one envelope.
type transaction struct {
	party
	from    string // envelope sender, "" for the null one
	opts    smtp.MailOptions
	kind    kind
	class   string // the one class of the credential; "" when a header decides
	to      []recipient
	refused int // recipients
}

type recipient struct {
	addr   string // canonical
	given  string // as the client wrote it, where addr is a number
	notify []smtp.DSNNotify
	orcpt  string
}

func (s *Server) newSession(ctx context.Context, c *smtp.Conn, mode Mode) (smtp.Session, error) {
	g := guardOf(c)
	if g == nil {
		return nil, reply(421, "4.3.0", "Internal error")
	}
	tlsState, secure := c.TLSConnectionState()
	ctx, cancel := context.WithCancel(ctx)
	sess := &session{srv: s, conn: c, guard: g, mode: mode, id: fmt.Sprintf("smtp-%d", s.ids.Add(1)), helo: c.Hostname(), secure: secure, ctx: ctx, cancel: cancel}
	sess.log = s.log.With("session", sess.id, "remote", g.from.String())
	g.await() // for the answer to EHLO
	if mode == Relay {
		sess.peer = g.peer
		for _, p := range s.peers() {
			if secure && len(tlsState.PeerCertificates) > 0 && p.knows(tlsState.PeerCertificates[0]) {
				sess.peer, sess.byCert = p, true
				break
			}
		}
	}
	if p := sess.peer; p != nil {
		sess.principal, sess.trusted = p.Principal, sess.byCert || p.TrustHeaders
		g.identified()
		sess.log = sess.log.With("account", p.Principal.Account, "peer", p.Name)
	}
	return sess, nil
}

// Reset implements smtp.Session.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tx = nil
}

// Logout implements smtp.Session.
func (s *session) Logout() error {
	s.cancel()
	if s.joined {
		s.joined = false
		s.srv.leaveAccount(s.principal.Account)
	}
	return nil
}

func (s *session) transaction() *transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tx
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, o *smtp.MailOptions) error {
	err := s.begin(from, o)
	if err != nil {
		s.srv.tally.refused("MAIL", err)
	}
	return err
}

// begin opens a transaction.
func (s *session) begin(from string, o *smtp.MailOptions) error {
	if s.guard.ahead() {
		s.guard.hangUp()
		return errAhead
	}
	if s.transaction() != nil {
		return errNested
	}
	if err := s.mayMail(); err != nil {
		return err
	}
	switch {
	case s.messages >= s.srv.cfg.MaxMessages:
		s.guard.hangUp()
		return errTooMany
	case s.refused >= s.srv.cfg.MaxRefused && s.refused > s.taken:
		s.guard.hangUp()
		return errRefusedConn
	}
	tx := &transaction{party: s.party, from: from, opts: *o}
	if from != "" {
		a, err := mailbox(from, o.UTF8)
		if err != nil {
			return err
		}
		tx.from = a
	}
	if p := s.principal; p != nil {
		if tx.from != "" && s.senderOf(p.Account, tx.from) == nil {
			return replyOfCode(gateway.CodeSender, "")
		}
		tx.class = onlyClass(&p.Credential)
	}
	s.messages++
	s.mu.Lock()
	s.tx = tx
	s.mu.Unlock()
	return nil
}

// mayMail tells whether the session may begin a transaction at all, and follows what was changed about its party since the last one.
func (s *session) mayMail() error {
	if err := s.current(); err != nil {
		s.guard.hangUp()
		return err
	}
	switch {
	case s.mode != Relay && !s.secure:
		return errTLSRequired
	case s.mode != Relay && s.principal == nil:
		return errAuthRequired
	case s.peer != nil && s.peer.RequireTLS && !s.secure:
		return errTLSRequired
	case s.mode == Relay && s.principal == nil && s.srv.deps.Inbox == nil:
		return errRelay
	}
	return nil
}

// current takes the party afresh from the directory. Who is no longer what he was when he came is told so, and the session ends.
func (s *session) current() error {
	switch {
	case s.principal == nil:
		return nil
	case s.peer != nil:
		if !s.currentPeer() {
			return errPeerGone
		}
	case !s.currentCredential():
		return replyOfCode(gateway.CodeUnauthorized, "")
	}
	if a := s.srv.deps.Directory().Accounts[s.principal.Account]; a == nil || a.Suspended {
		return replyOfCode(gateway.CodeUnauthorized, "The account is suspended.")
	}
	return nil
}

// currentPeer reports whether the peer of that name is still who this connection comes from.
func (s *session) currentPeer() bool {
	all := s.srv.peers()
	at := slices.IndexFunc(all, func(p *Peer) bool { return p.Name == s.peer.Name })
	if at < 0 || all[at].Principal.Account != s.principal.Account {
		return false
	}
	p := all[at]
	if p == s.peer {
		return true
	}
	if s.byCert {
		state, _ := s.conn.TLSConnectionState()
		if !p.knows(state.PeerCertificates[0]) {
			return false
		}
	} else if !p.contains(s.guard.from) {
		return false
	}
	s.peer, s.principal, s.trusted = p, p.Principal, s.byCert || p.TrustHeaders
	return true
}

// currentCredential reports whether the credential of the login may still be used from here to send.
func (s *session) currentCredential() bool {
	old := &s.principal.Credential
	now := s.srv.deps.Directory().Credentials[gateway.CredentialKey{Kind: old.Kind, ID: old.ID}]
	if now == nil || now.Revoked || now.Account != s.principal.Account || !now.Has(gateway.ScopeSend) || !now.AllowsAddr(s.guard.from) {
		return false
	}
	if now != s.known {
		next := &gateway.Principal{Account: now.Account, Credential: *now}
		next.Credential.SecretHash = ""
		s.principal, s.known = next, now
	}
	return true
}

// onlyClass is the class of a credential that permits one alone.
func onlyClass(c *gateway.Credential) string {
	switch len(c.Classes) {
	case 0:
		return gateway.ClassCommercial
	case 1:
		return c.Classes[0]
	}
	return ""
}

// senderOf finds the account's approved sender an address belongs to: the address itself or its domain.
func (s *session) senderOf(a gateway.AccountID, addr string) *gateway.Sender {
	dir := s.srv.deps.Directory()
	for _, name := range []string{addr, addr[strings.LastIndexByte(addr, '@')+1:]} {
		k := gateway.SenderKey{Account: a, Channel: gateway.ChannelEmail, Name: strings.ToLower(name)}
		if x := dir.Senders[k]; x != nil && x.Approved {
			return x
		}
	}
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, o *smtp.RcptOptions) error {
	tx := s.transaction()
	if tx == nil {
		return reply(503, "5.5.1", "Need MAIL command")
	}
	err := error(errRefusedMail)
	if tx.refused < s.srv.cfg.MaxRefused {
		err = s.take(tx, to, o)
	}
	if err != nil {
		s.srv.tally.refused("RCPT", err)
		s.log.Info("recipient refused", "to", address.Mask(to), "err", err)
		return err
	}
	return nil
}

// take judges one RCPT, and counts what became of it. Go-smtp bounds the recipients that are taken; who only wants to know which of many
// addresses have consented never has one.
func (s *session) take(tx *transaction, to string, o *smtp.RcptOptions) error {
	r, k, err := s.recipient(tx, to, o)
	if err == nil {
		err = s.admit(tx, r, k)
	}
	switch {
	case err == nil:
		s.taken++
	case !errors.Is(err, errMixed) && !errors.Is(err, errThrottled): // these say nothing of the recipient
		s.refused++
		tx.refused++
	}
	return err
}

// recipient reads one RCPT and says what it would make of the transaction.
func (s *session) recipient(tx *transaction, to string, o *smtp.RcptOptions) (r recipient, k kind, err error) {
	lower := asciiLower(to)
	r = recipient{notify: o.Notify}
	if o.OriginalRecipient != "" {
		r.orcpt = strings.ToLower(string(o.OriginalRecipientType)) + ";" + o.OriginalRecipient
	}
	local, domain, _ := strings.Cut(lower, "@")
	switch {
	case s.srv.deps.Inbox != nil && s.srv.deps.Inbox.Accepts(lower):
		r.addr = lower
		return r, kindInbox, nil
	case tx.principal == nil:
		return r, kindNone, errRelay
	case domain == s.srv.cfg.SMSDomain:
		n, err := address.Parse(local, s.numbers(tx))
		if err != nil {
			return r, kindNone, replyOfNumber(err)
		}
		r.addr, r.given = n.String(), lower
		return r, kindSMS, nil
	}
	r.addr, err = mailbox(to, tx.opts.UTF8)
	return r, kindMail, err
}

// admit takes a recipient into the transaction: kind, rate, judgement.
func (s *session) admit(tx *transaction, r recipient, k kind) error {
	if tx.kind != kindNone && tx.kind != k {
		return errMixed
	}
	if slices.ContainsFunc(tx.to, func(x recipient) bool { return x.addr == r.addr }) {
		return nil // once is enough
	}
	if k != kindInbox {
		// Before the judgement, which may ask IYS: a question costs what a message does.
		if allow := s.srv.deps.Allow; allow != nil && allow(tx.principal, 1) > 0 {
			return errThrottled
		}
		if err := s.judge(tx, r, k); err != nil {
			return err
		}
	}
	tx.kind = k
	tx.to = append(tx.to, r)
	return nil
}

// judge asks the Submitter about one recipient where class and sender are known already.
func (s *session) judge(tx *transaction, r recipient, k kind) error {
	if tx.class == "" || k == kindMail && tx.from == "" {
		return nil
	}
	sub := s.submission(tx, k)
	sub.Class, sub.DryRun = tx.class, true
	sub.To = []gateway.Destination{{Address: r.addr}}
	if k == kindMail {
		sub.From = tx.from
	}
	verdicts, err := s.srv.deps.Submit.Check(s.ctx, sub)
	if err != nil {
		return replyOf(err)
	}
	if len(verdicts) != 1 {
		return replyOfCode(gateway.CodeInternal, "")
	}
	refusal := replyOfVerdict(verdicts[0])
	if refusal != nil && s.srv.deps.Refused != nil {
		if err := s.srv.deps.Refused(s.ctx, sub, verdicts[0]); err != nil { // a refusal that cannot be explained later is not given
			s.log.Error("refusal not recorded", "err", err)
			return replyOfCode(gateway.CodeUnavailable, "")
		}
	}
	return refusal
}

// submission is what all submissions of the session share.
func (s *session) submission(tx *transaction, k kind) *gateway.Submission {
	sub := &gateway.Submission{Principal: tx.principal, Door: gateway.DoorSMTP, RemoteIP: s.guard.from, Channel: gateway.ChannelEmail, TraceID: s.id}
	if k == kindSMS {
		sub.Channel = gateway.ChannelSMS
	}
	return sub
}

// maxDomain is the longest domain, in octets as written (RFC 5321 §4.5.3.1.2).
const maxDomain = 255

// mailbox reads an address of the envelope. With SMTPUTF8 an international domain becomes its A-label form; a mailbox name
// outside ASCII has no canonical form at İYS and is refused.
func mailbox(raw string, utf8 bool) (string, error) {
	at := strings.LastIndexByte(raw, '@')
	if at < 0 {
		return "", replyOfCode(gateway.CodeBadAddress, "")
	}
	local, domain := raw[:at], raw[at+1:]
	if !isASCII(local) {
		return "", errUTF8Local
	}
	if len(domain) > maxDomain { // before the conversion, whose cost grows with the square of the length
		return "", replyOfCode(gateway.CodeBadAddress, "")
	}
	if !isASCII(domain) {
		a, err := idna.Lookup.ToASCII(domain)
		if err != nil || !utf8 {
			return "", replyOfCode(gateway.CodeBadAddress, "")
		}
		domain = a
	}
	a, err := address.ParseMailbox(local + "@" + domain)
	if err != nil {
		return "", replyOfCode(gateway.CodeBadAddress, "")
	}
	return string(a), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 127 {
			return false
		}
	}
	return true
}

// asciiLower folds A–Z alone: a Turkish İ must not become another person's i.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// notifyOf is the NOTIFY list as the mark carries it; empty when the client said nothing.
func notifyOf(list []smtp.DSNNotify) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = string(n)
	}
	return strings.Join(out, ",")
}

// vars are the envelope marks of a recipient (package mail).
func (r *recipient) vars() (out []gateway.Var) {
	if n := notifyOf(r.notify); n != "" {
		out = append(out, gateway.Var{Name: mail.MarkNotify, Value: n})
	}
	if r.orcpt != "" {
		out = append(out, gateway.Var{Name: mail.MarkORcpt, Value: r.orcpt})
	}
	if r.given != "" {
		out = append(out, gateway.Var{Name: mail.MarkRcpt, Value: r.given})
	}
	return out
}
