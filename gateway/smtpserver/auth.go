package smtpserver

import (
	"bytes"

	"github.com/emersion/go-sasl"

	"izinli/gateway"
)

// Mechanisms in the order we like them.
const scramSHA256 = "SCRAM-SHA-256"

var mechanisms = []string{scramSHA256, sasl.Plain, sasl.Login}

// maxLogins is how many failed logins a connection may make.
const maxLogins = 3

// AuthMechanisms implements smtp.AuthSession. go-smtp shows and takes them under TLS only.
func (s *session) AuthMechanisms() []string { return mechanisms }

// Auth implements smtp.AuthSession.
func (s *session) Auth(mech string) (sasl.Server, error) {
	if s.guard.ahead() {
		s.guard.hangUp()
		return nil, errAhead
	}
	if s.transaction() != nil {
		return nil, errAuthOrder
	}
	if s.failures >= maxLogins {
		s.guard.hangUp()
		return nil, errLoginsFailed
	}
	s.mech = mech
	switch mech {
	case sasl.Plain:
		return &plainServer{s}, nil
	case sasl.Login:
		return &loginServer{s: s}, nil
	case scramSHA256:
		return &scramServer{s: s}, nil
	}
	return nil, reply(504, "5.5.4", "Unrecognized authentication mechanism") // RFC 4954 §4
}

// login checks a name and password.
func (s *session) login(name, password string) error {
	p, err := s.srv.deps.Auth.Authenticate(s.ctx, gateway.KindSMTP, name, password, s.guard.from)
	return s.loggedIn(name, p, err)
}

// loggedIn ends every mechanism: it notes the principal or the failure.
func (s *session) loggedIn(name string, p *gateway.Principal, err error) error {
	s.guard.await()
	if err == nil && !p.Credential.Has(gateway.ScopeSend) {
		err = gateway.Refuse(gateway.CodeMissingScope, "", "")
	}
	if err != nil {
		s.failures++
		s.srv.tally.loginFailure(s.mech)
		s.log.Info("login refused", "user", name, "err", err)
		return replyOfAuth(err)
	}
	if !s.srv.joinAccount(p.Account) {
		return errSessions
	}
	s.principal, s.joined, s.trusted = p, true, true
	s.peer, s.known = nil, nil // who logs in from a peer's address is who he says: his credential can be revoked, and is what the trace names
	s.guard.identified()
	s.srv.tally.login(s.mech)
	s.log = s.log.With("account", p.Account, "user", p.Credential.ID)
	s.log.Info("logged in")
	return nil
}

var errMalformedAuth = reply(501, "5.5.2", "Malformed authentication data")

// plainServer is PLAIN (RFC 4616).
type plainServer struct{ s *session }

// Next implements sasl.Server.
func (a *plainServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil {
		return nil, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 {
		return nil, false, errMalformedAuth
	}
	if len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) { // nobody acts for another
		return nil, false, a.s.loggedIn(string(parts[1]), nil, gateway.Refuse(gateway.CodeUnauthorized, "", ""))
	}
	return nil, true, a.s.login(string(parts[1]), string(parts[2]))
}

// loginServer is LOGIN (draft-murchison-sasl-login): never a standard, still what many clients speak. Some send the user name
// with the command.
type loginServer struct {
	s     *session
	asked int
	name  string
}

// Next implements sasl.Server.
func (a *loginServer) Next(response []byte) ([]byte, bool, error) {
	switch {
	case a.asked == 0 && response == nil:
		a.asked = 1
		return []byte("Username:"), false, nil
	case a.asked < 2:
		a.name, a.asked = string(response), 2
		return []byte("Password:"), false, nil
	}
	if a.name == "" {
		return nil, false, errMalformedAuth
	}
	return nil, true, a.s.login(a.name, string(response))
}
