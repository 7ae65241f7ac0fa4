package desk

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/smarthost"
)

// SmarthostInput is a smarthost with its password in plain text; an empty one keeps what there is. Smarthost.Password is ignored.
type SmarthostInput struct {
	Smarthost gateway.Smarthost `json:"smarthost"`
	Password  string            `json:"password,omitempty"`
}

// DKIMInput makes a key, or with Private (PEM) takes one along.
type DKIMInput struct {
	Domain    string            `json:"domain"`
	Selector  string            `json:"selector"`
	Account   gateway.AccountID `json:"account"`
	Algorithm string            `json:"algorithm,omitempty"` // rsa (default), ed25519
	Private   string            `json:"private,omitempty"`
}

// DKIMSwitch puts a key out of use, or into use again.
type DKIMSwitch struct {
	Name     gateway.DKIMName `json:"name"`
	Disabled bool             `json:"disabled"`
}

// SuppressionQuery lists an account's suppressed addresses; the cursor is the last address of the page before.
type SuppressionQuery struct {
	Account gateway.AccountID `json:"account"`
	Cursor  string            `json:"cursor,omitempty"`
	Limit   int               `json:"limit,omitempty"`
}

// ListSmarthosts lists next hops for mail by name; of their passwords only whether there is one.
func (a *Admin) ListSmarthosts(_ context.Context, q Query) ([]gateway.Smarthost, error) {
	return hidden(values(a.store.Directory().Smarthosts, func(h *gateway.Smarthost) bool {
		return q.Account == 0 || h.Account == 0 || h.Account == q.Account
	})), nil
}

// PutSmarthost creates or changes a next hop. What is under way there ends there.
func (a *Admin) PutSmarthost(ctx context.Context, in SmarthostInput) (gateway.Smarthost, error) {
	h := in.Smarthost
	if err := checkSmarthost(&h, in.Password); err != nil {
		return h, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().Smarthosts[h.Name]
	h.Password, h.Created = "", a.deps.Now()
	if before != nil {
		h.Password, h.Created = before.Password, before.Created
	}
	if in.Password != "" {
		h.Password = a.store.Seal(in.Password)
	}
	if h.Username == "" {
		h.Password = ""
	}
	err := commit(ctx, a, "PutSmarthost", "smarthost "+h.Name, before, &h, a.store.PutSmarthost)
	return *hide(&h), err
}

func checkSmarthost(h *gateway.Smarthost, password string) error {
	if err := slug("name", h.Name); err != nil {
		return err
	}
	if h.Direct && h.Addr != "" {
		return invalid("addr", "A smarthost that delivers directly has no address of its own: leave addr out.")
	}
	if !h.Direct {
		if err := checkHostPort("addr", h.Addr); err != nil {
			return err
		}
	}
	policy, ok := smarthost.ParseTLS(h.TLS)
	clear := policy == smarthost.TLSOff || policy == smarthost.TLSOpportunistic
	switch {
	case !ok:
		return invalid("tls", "%q is no TLS policy; choose verified, implicit, encrypted, opportunistic or off.", h.TLS)
	case h.Username != "" && (clear || h.Direct):
		return invalid("username", "A user name needs TLS: choose verified, implicit or encrypted.")
	case h.Username == "" && password != "":
		return invalid("username", "A password needs a user name.")
	case len(h.Username) > 255 || len(password) > 1024 || strings.ContainsAny(h.Username+password, "\x00\r\n"):
		return invalid("username", "User name and password have at most 255 and 1024 octets and no control characters.")
	}
	for _, c := range h.Classes {
		if !gateway.ValidClass(c) {
			return invalid("classes", "%q is no class; choose of commercial, transactional, otp.", c)
		}
	}
	return first(
		within("rank", h.Rank, 0, 100),
		within("weight", h.Weight, 0, 1000),
		within("maxConns", h.MaxConns, 0, 1000),
		within("maxPerConn", h.MaxPerConn, 0, 100_000),
		within("perSecond", h.PerSecond, 0, 100_000),
	)
}

// DeleteSmarthost removes a next hop.
func (a *Admin) DeleteSmarthost(ctx context.Context, in Name) (Nothing, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().Smarthosts[in.Name]
	if before == nil {
		return Nothing{}, gateway.Refuse(gateway.CodeNotFound, "name", "There is no smarthost %q.", in.Name)
	}
	if err := a.store.DeleteSmarthost(ctx, in.Name); err != nil {
		return Nothing{}, err
	}
	a.audit(ctx, "DeleteSmarthost", "smarthost "+in.Name, before, (*gateway.Smarthost)(nil))
	return Nothing{}, nil
}

// ListDKIMKeys lists keys by domain and selector, without their private halves.
func (a *Admin) ListDKIMKeys(_ context.Context, q Query) ([]gateway.DKIMKey, error) {
	out := []gateway.DKIMKey{}
	for _, k := range a.store.Directory().DKIM {
		if q.Account == 0 || k.Account == q.Account {
			out = append(out, *hide(k))
		}
	}
	slices.SortFunc(out, func(x, y gateway.DKIMKey) int {
		return cmp.Or(cmp.Compare(x.Domain, y.Domain), cmp.Compare(x.Selector, y.Selector))
	})
	return out, nil
}

// CreateDKIMKey makes a key for a domain, or takes one along. A selector is used once: rotation takes a new one.
func (a *Admin) CreateDKIMKey(ctx context.Context, in DKIMInput) (gateway.DKIMKey, error) {
	domain, err := senderName(gateway.ChannelEmail, in.Domain)
	if err != nil {
		return gateway.DKIMKey{}, err
	}
	k := gateway.DKIMKey{Domain: domain, Selector: strings.ToLower(in.Selector), Account: in.Account, Algorithm: cmp.Or(in.Algorithm, "rsa"), Created: a.deps.Now()}
	if err := first(slug("selector", k.Selector), oneOf("algorithm", k.Algorithm, "rsa", "ed25519")); err != nil {
		return k, err
	}
	if strings.Contains(k.Selector, "_") {
		return k, invalid("selector", "A selector is part of a host name: letters, digits, '-' and '.'.")
	}
	private := in.Private
	if private == "" {
		if private, err = makeDKIM(k.Algorithm); err != nil {
			return k, err
		}
	}
	parsed, err := smarthost.ParseKey(k.Domain, k.Selector, []byte(private))
	if err != nil {
		return k, invalid("private", "The key cannot be used: %v.", err)
	}
	if k.Algorithm = "rsa"; isEd25519(parsed.Signer) {
		k.Algorithm = "ed25519"
	}
	if _, k.Record, err = parsed.Record(); err != nil {
		return k, invalid("private", "The key cannot be used: %v.", err)
	}
	k.Private = a.store.Seal(private)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.account(k.Account); err != nil {
		return k, err
	}
	if a.store.Directory().DKIM[k.Name()] != nil {
		return k, gateway.Refuse(gateway.CodeConflict, "selector", "%s has a key already; a new key takes a new selector.", k.Name().Host())
	}
	err = commit(ctx, a, "CreateDKIMKey", "dkim "+k.Name().Host(), nil, &k, a.store.PutDKIMKey)
	return *hide(&k), err
}

func isEd25519(s crypto.Signer) bool {
	_, ok := s.(ed25519.PrivateKey)
	return ok
}

// rsaBits is the size of new RSA keys: 2048 fit one DNS record, and large receivers ask for no more (RFC 8301 §3.2).
const rsaBits = 2048

func makeDKIM(algorithm string) (string, error) {
	var key any
	var err error
	if algorithm == "ed25519" {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	}
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}

// SwitchDKIMKey puts a key out of use or into use again; its record in the DNS stays good for what was signed before.
func (a *Admin) SwitchDKIMKey(ctx context.Context, in DKIMSwitch) (gateway.DKIMKey, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().DKIM[in.Name]
	if before == nil {
		return gateway.DKIMKey{}, gateway.Refuse(gateway.CodeNotFound, "name", "There is no key %s.", in.Name.Host())
	}
	k := *before
	k.Disabled = in.Disabled
	err := commit(ctx, a, "SwitchDKIMKey", "dkim "+in.Name.Host(), before, &k, a.store.PutDKIMKey)
	return *hide(&k), err
}

// DeleteDKIMKey removes a key.
func (a *Admin) DeleteDKIMKey(ctx context.Context, n gateway.DKIMName) (Nothing, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().DKIM[n]
	if before == nil {
		return Nothing{}, gateway.Refuse(gateway.CodeNotFound, "name", "There is no key %s.", n.Host())
	}
	if err := a.store.DeleteDKIMKey(ctx, n); err != nil {
		return Nothing{}, err
	}
	a.audit(ctx, "DeleteDKIMKey", "dkim "+n.Host(), before, (*gateway.DKIMKey)(nil))
	return Nothing{}, nil
}

// ListRelayPeers lists the mail servers that may relay, by name.
func (a *Admin) ListRelayPeers(_ context.Context, q Query) ([]gateway.RelayPeer, error) {
	dir := a.store.Directory()
	return values(dir.RelayPeers, func(p *gateway.RelayPeer) bool {
		c := dir.Credentials[gateway.CredentialKey{Kind: gateway.KindSMTP, ID: p.Credential}]
		return q.Account == 0 || c != nil && c.Account == q.Account
	}), nil
}

// PutRelayPeer creates or changes a mail server that may relay.
func (a *Admin) PutRelayPeer(ctx context.Context, p gateway.RelayPeer) (gateway.RelayPeer, error) {
	if err := first(slug("name", p.Name), within("maxConns", p.MaxConns, 0, 10_000)); err != nil {
		return p, err
	}
	if len(p.CIDRs)+len(p.Certificates) == 0 {
		return p, invalid("cidrs", "A relay peer is known by address or client certificate: give cidrs, certificates or both.")
	}
	for i, c := range p.CIDRs {
		// A whole internet of peers is an open relay with another name.
		if least := map[bool]int{true: 8, false: 19}[c.Addr().Is4()]; !c.IsValid() || c.Bits() < least {
			return p, invalid("cidrs", "%s is no network of a peer: IPv4 takes /8 and longer, IPv6 /19 and longer.", c)
		}
		p.CIDRs[i] = c.Masked()
	}
	for i, c := range p.Certificates {
		c = strings.ToLower(strings.ReplaceAll(c, ":", ""))
		if b, err := hex.DecodeString(c); err != nil || len(b) != 32 {
			return p, invalid("certificates", "%q is no SHA-256 of a certificate: 64 hex digits, as \"openssl x509 -fingerprint -sha256\" prints.", p.Certificates[i])
		}
		p.Certificates[i] = c
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().RelayPeers[p.Name]
	if p.Created = a.deps.Now(); before != nil {
		p.Created = before.Created
	}
	return p, commit(ctx, a, "PutRelayPeer", "peer "+p.Name, before, &p, a.store.PutRelayPeer)
}

// DeleteRelayPeer removes a peer; its open connections end at their next mail.
func (a *Admin) DeleteRelayPeer(ctx context.Context, in Name) (Nothing, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().RelayPeers[in.Name]
	if before == nil {
		return Nothing{}, gateway.Refuse(gateway.CodeNotFound, "name", "There is no relay peer %q.", in.Name)
	}
	if err := a.store.DeleteRelayPeer(ctx, in.Name); err != nil {
		return Nothing{}, err
	}
	a.audit(ctx, "DeleteRelayPeer", "peer "+in.Name, before, (*gateway.RelayPeer)(nil))
	return Nothing{}, nil
}

// ListSuppressions lists an account's suppressed addresses.
func (a *Admin) ListSuppressions(ctx context.Context, q SuppressionQuery) (gateway.Page[gateway.Suppression], error) {
	if _, err := a.account(q.Account); err != nil {
		return gateway.Page[gateway.Suppression]{}, err
	}
	return a.store.Suppressions(ctx, q.Account, q.Cursor, q.Limit)
}

// DeleteSuppression lets mail go to an address again.
func (a *Admin) DeleteSuppression(ctx context.Context, in gateway.Suppression) (Nothing, error) {
	if _, err := a.account(in.Account); err != nil {
		return Nothing{}, err
	}
	addr, err := address.ParseMailbox(in.Address)
	if err != nil {
		return Nothing{}, gateway.Refuse(gateway.CodeBadAddress, "address", "%q is not a mail address.", in.Address)
	}
	was, err := a.store.Unsuppress(ctx, in.Account, string(addr))
	if err != nil {
		return Nothing{}, err
	}
	if !was {
		return Nothing{}, gateway.Refuse(gateway.CodeNotFound, "address", "The address is not suppressed for account %d.", in.Account)
	}
	before := gateway.Suppression{Account: in.Account, Address: address.Mask(string(addr))}
	a.audit(ctx, "DeleteSuppression", "suppression of account", &before, (*gateway.Suppression)(nil))
	return Nothing{}, nil
}
