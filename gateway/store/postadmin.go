package store

import (
	"context"
	"strings"

	"izinli/gateway"
)

func dkimID(n gateway.DKIMName) string { return n.Domain + "\x00" + n.Selector }

func parseDKIMName(id string) gateway.DKIMName {
	domain, selector, _ := strings.Cut(id, "\x00")
	return gateway.DKIMName{Domain: domain, Selector: selector}
}

// PutSmarthost creates or changes a next hop for mail.
func (s *Store) PutSmarthost(_ context.Context, h *gateway.Smarthost) error {
	return s.edit(dirSmarthost, h.Name, h, func(d *gateway.Directory) error {
		if h.Account == 0 {
			return nil
		}
		return needAccount(h.Account)(d)
	})
}

// DeleteSmarthost removes a next hop; mail under way there ends there.
func (s *Store) DeleteSmarthost(_ context.Context, name string) error {
	return s.edit(dirSmarthost, name, nil, nil)
}

// PutDKIMKey creates or changes a key; a domain that another account signs for is refused.
func (s *Store) PutDKIMKey(_ context.Context, k *gateway.DKIMKey) error {
	return s.edit(dirDKIM, dkimID(k.Name()), k, func(d *gateway.Directory) error {
		for _, old := range d.DKIM {
			if old.Domain == k.Domain && old.Account != k.Account {
				return gateway.Refuse(gateway.CodeConflict, "domain", "domain %s is signed for by another account", k.Domain)
			}
		}
		return needAccount(k.Account)(d)
	})
}

// DeleteDKIMKey removes a key.
func (s *Store) DeleteDKIMKey(_ context.Context, n gateway.DKIMName) error {
	return s.edit(dirDKIM, dkimID(n), nil, nil)
}

// PutRelayPeer creates or changes a mail server that may relay; the SMTP credential it stands for must exist.
func (s *Store) PutRelayPeer(_ context.Context, p *gateway.RelayPeer) error {
	return s.edit(dirPeer, p.Name, p, func(d *gateway.Directory) error {
		if d.Credentials[gateway.CredentialKey{Kind: gateway.KindSMTP, ID: p.Credential}] == nil {
			return gateway.Refuse(gateway.CodeNotFound, "credential", "SMTP credential %s does not exist", p.Credential)
		}
		return nil
	})
}

// DeleteRelayPeer removes a peer; its open sessions end with their connection.
func (s *Store) DeleteRelayPeer(_ context.Context, name string) error {
	return s.edit(dirPeer, name, nil, nil)
}
