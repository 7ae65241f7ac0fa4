package account

import (
	"context"
	"net/netip"

	"izinli/gateway"
)

// SCRAM is one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677): the server proves and checks with Keys, then calls Conclude
// exactly once.
type SCRAM struct {
	Keys SCRAMKeys

	auth *Authenticator
	snap *snapshot
	cred *gateway.Credential
	key  failKey
	from netip.Addr
}

// SCRAM starts an exchange for a user. An unknown one gets keys that look real, stay the same while the process runs and no
// password fits (RFC 5802 §9 asks not to tell). Errors are those of Authenticate.
func (a *Authenticator) SCRAM(ctx context.Context, kind gateway.CredentialKind, name string, from netip.Addr) (*SCRAM, error) {
	if len(name) > maxName {
		name = name[:maxName]
	}
	s := &SCRAM{auth: a, from: from, key: failKey{source: sourceOf(from), name: string(kind) + "\x00" + name}}
	if err := a.holdBack(ctx, s.key); err != nil {
		return nil, err
	}
	s.snap = a.current()
	if c := s.snap.usable(kind, name); c != nil {
		if k, ok := ParseSCRAM(c.SecretHash); ok {
			s.Keys, s.cred = k, c
			return s, nil
		}
	}
	seed := string(a.secret[:])
	s.Keys = SCRAMKeys{Rounds: scramRounds, Salt: mac([]byte(seed), "salt\x00"+name)[:saltLen],
		StoredKey: mac([]byte(seed), "stored\x00"+name), ServerKey: mac([]byte(seed), "server\x00"+name)}
	return s, nil
}

// Conclude ends the exchange: proven says whether the client's proof fitted Keys. It answers like Authenticate.
func (s *SCRAM) Conclude(ctx context.Context, proven bool) (*gateway.Principal, error) {
	return s.auth.conclude(ctx, s.key, s.snap, s.cred, proven && s.cred != nil, s.from)
}
