package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Directory records are JSON under (kind, id). The snapshot in memory is rebuilt with every change; it is small.
const (
	dirAccount    = "account"
	dirBrand      = "brand"
	dirSender     = "sender"
	dirNumber     = "number"
	dirCredential = "credential"
	dirOperator   = "operator"
	dirRoute      = "route"
	dirIYSLink    = "iyslink"
	dirWebhook    = "webhook"
	dirForm       = "form"
	dirSmarthost  = "smarthost"
	dirDKIM       = "dkim"
	dirPeer       = "peer"
)

// Directory returns the present snapshot of everything administrators edit. It never changes; ask again to see changes.
func (s *Store) Directory() *gateway.Directory { return s.dir.Load() }

func (s *Store) loadDirectory(txn *badger.Txn) error {
	d := gateway.NewDirectory()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kDirectory}, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		kind, id := splitDirectoryKey(it.Item().Key())
		if err := it.Item().Value(func(v []byte) error { return put(d, kind, id, v) }); err != nil {
			return fmt.Errorf("store: directory record %s %s: %w", kind, id, err)
		}
	}
	gateway.SortRoutes(d.Routes)
	s.dir.Store(d)
	return nil
}

func splitDirectoryKey(k []byte) (kind, id string) {
	for i := 1; i < len(k); i++ {
		if k[i] == 0 {
			return string(k[1:i]), string(k[i+1:])
		}
	}
	return "", ""
}

func decodeJSON[T any](v []byte) (*T, error) {
	x := new(T)
	return x, json.Unmarshal(v, x)
}

// put places a record in a directory under construction; v nil removes it.
func put(d *gateway.Directory, kind, id string, v []byte) (err error) {
	switch kind {
	case dirAccount:
		return putMap(d.Accounts, v, id, func(x *gateway.Account) gateway.AccountID { return x.ID }, parseAccountID)
	case dirBrand:
		return putMap(d.Brands, v, id, func(x *gateway.Brand) string { return x.Code }, same)
	case dirOperator:
		return putMap(d.Operators, v, id, func(x *gateway.Operator) string { return x.Name }, same)
	case dirIYSLink:
		return putMap(d.IYSLinks, v, id, func(x *gateway.IYSLink) string { return x.Name }, same)
	case dirWebhook:
		return putMap(d.Webhooks, v, id, func(x *gateway.Webhook) gateway.AccountID { return x.Account }, parseAccountID)
	case dirForm:
		return putMap(d.Forms, v, id, func(x *gateway.Form) string { return x.ID }, same)
	case dirSender:
		return putMap(d.Senders, v, id, SenderKeyOf, parseSenderKey)
	case dirCredential:
		return putMap(d.Credentials, v, id, CredentialKeyOf, parseCredentialKey)
	case dirSmarthost:
		return putMap(d.Smarthosts, v, id, func(x *gateway.Smarthost) string { return x.Name }, same)
	case dirPeer:
		return putMap(d.RelayPeers, v, id, func(x *gateway.RelayPeer) string { return x.Name }, same)
	case dirDKIM:
		return putMap(d.DKIM, v, id, (*gateway.DKIMKey).Name, parseDKIMName)
	case dirNumber:
		return putNumber(d, id, v)
	case dirRoute:
		d.Routes = slices.DeleteFunc(slices.Clone(d.Routes), func(r *gateway.Route) bool { return r.ID == id })
		if v != nil {
			r, err := decodeJSON[gateway.Route](v)
			if err != nil {
				return err
			}
			d.Routes = append(d.Routes, r)
			gateway.SortRoutes(d.Routes)
		}
	}
	return nil
}

func same(id string) string { return id }

func parseAccountID(id string) gateway.AccountID {
	var n uint32
	_, _ = fmt.Sscan(id, &n)
	return gateway.AccountID(n)
}

func putMap[K comparable, T any](m map[K]*T, v []byte, id string, keyOf func(*T) K, parse func(string) K) error {
	if v == nil {
		delete(m, parse(id))
		return nil
	}
	x, err := decodeJSON[T](v)
	if err != nil {
		return err
	}
	m[keyOf(x)] = x
	return nil
}

// SenderKeyOf is the directory key of a sender.
func SenderKeyOf(x *gateway.Sender) gateway.SenderKey {
	return gateway.SenderKey{Account: x.Account, Channel: x.Channel, Name: x.Name}
}

// CredentialKeyOf is the directory key of a credential.
func CredentialKeyOf(x *gateway.Credential) gateway.CredentialKey {
	return gateway.CredentialKey{Kind: x.Kind, ID: x.ID}
}

func senderID(k gateway.SenderKey) string {
	return fmt.Sprintf("%d\x00%s\x00%s", k.Account, k.Channel, k.Name)
}

func parseSenderKey(id string) (k gateway.SenderKey) {
	parts := splitZ(id, 3)
	return gateway.SenderKey{Account: parseAccountID(parts[0]), Channel: parts[1], Name: parts[2]}
}

func credentialID(k gateway.CredentialKey) string { return string(k.Kind) + "\x00" + k.ID }

func parseCredentialKey(id string) gateway.CredentialKey {
	parts := splitZ(id, 2)
	return gateway.CredentialKey{Kind: gateway.CredentialKind(parts[0]), ID: parts[1]}
}

func splitZ(s string, n int) []string {
	out := make([]string, n)
	for i := 0; i < n; i++ {
		j := 0
		for j < len(s) && s[j] != 0 {
			j++
		}
		out[i] = s[:j]
		s = s[min(j+1, len(s)):]
	}
	return out
}

func numberID(n *gateway.Number) string { return n.Number + "\x00" + n.Keyword }

func putNumber(d *gateway.Directory, id string, v []byte) error {
	parts := splitZ(id, 2)
	list := slices.DeleteFunc(slices.Clone(d.Numbers[parts[0]]), func(n *gateway.Number) bool { return n.Keyword == parts[1] })
	if v != nil {
		n, err := decodeJSON[gateway.Number](v)
		if err != nil {
			return err
		}
		list = append(list, n)
	}
	if len(list) == 0 {
		delete(d.Numbers, parts[0])
		return nil
	}
	d.Numbers[parts[0]] = list
	return nil
}

// cloneDirectory copies the maps; the records themselves are shared, since they never change.
func cloneDirectory(d *gateway.Directory) *gateway.Directory {
	return &gateway.Directory{
		Version: d.Version + 1, Accounts: maps.Clone(d.Accounts), Brands: maps.Clone(d.Brands), Senders: maps.Clone(d.Senders),
		Numbers: maps.Clone(d.Numbers), Credentials: maps.Clone(d.Credentials), Operators: maps.Clone(d.Operators),
		Routes: slices.Clone(d.Routes), IYSLinks: maps.Clone(d.IYSLinks), Webhooks: maps.Clone(d.Webhooks),
		Forms:      maps.Clone(d.Forms),
		Smarthosts: maps.Clone(d.Smarthosts), DKIM: maps.Clone(d.DKIM), RelayPeers: maps.Clone(d.RelayPeers),
	}
}

// edit writes or (v nil) removes a directory record. check sees the snapshot the change is made against and may refuse.
func (s *Store) edit(kind, id string, v any, check func(*gateway.Directory) error) error {
	var raw []byte
	if v != nil {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			return fmt.Errorf("store: %s %s: %w", kind, id, err)
		}
	}
	var next *gateway.Directory
	return s.do(func(t *tx) error {
		cur := s.Directory()
		if t.dir != nil {
			cur = t.dir
		}
		if check != nil {
			if err := check(cur); err != nil {
				return err
			}
		}
		next = cloneDirectory(cur)
		if err := put(next, kind, id, raw); err != nil {
			return err
		}
		t.dir = next
		if raw == nil {
			return t.del(directoryKey(kind, id))
		}
		return t.set(directoryKey(kind, id), raw, 0)
	})
}

// PutAccount creates (ID 0: the next free number, set in a) or changes an account.
func (s *Store) PutAccount(_ context.Context, a *gateway.Account) error {
	if a.ID == 0 {
		for id := range s.Directory().Accounts {
			a.ID = max(a.ID, id)
		}
		a.ID++
		a.Created = s.opt.Now()
		return s.edit(dirAccount, fmt.Sprint(a.ID), a, func(d *gateway.Directory) error {
			if d.Accounts[a.ID] != nil {
				return gateway.Refuse(gateway.CodeConflict, "account", "another account was created at the same time; try again")
			}
			return nil
		})
	}
	return s.edit(dirAccount, fmt.Sprint(a.ID), a, nil)
}

// needAccount refuses a record of an account that does not exist.
func needAccount(a gateway.AccountID) func(*gateway.Directory) error {
	return func(d *gateway.Directory) error {
		if d.Accounts[a] == nil {
			return gateway.Refuse(gateway.CodeNotFound, "account", "account %d does not exist", a)
		}
		return nil
	}
}

// PutBrand creates or changes a brand; a code that belongs to another account is refused.
func (s *Store) PutBrand(_ context.Context, b *gateway.Brand) error {
	return s.edit(dirBrand, b.Code, b, func(d *gateway.Directory) error {
		if old := d.Brands[b.Code]; old != nil && old.Account != b.Account {
			return gateway.Refuse(gateway.CodeConflict, "code", "brand %s belongs to another account", b.Code)
		}
		return needAccount(b.Account)(d)
	})
}

// PutSender creates or changes a sender ID.
func (s *Store) PutSender(_ context.Context, x *gateway.Sender) error {
	return s.edit(dirSender, senderID(SenderKeyOf(x)), x, func(d *gateway.Directory) error {
		if x.Brand != "" && d.BrandOf(x.Account, x.Brand) == nil {
			return gateway.Refuse(gateway.CodeBrand, "brand", "brand %s does not belong to account %d", x.Brand, x.Account)
		}
		return needAccount(x.Account)(d)
	})
}

// PutNumber creates or changes an inbound number (with keyword).
func (s *Store) PutNumber(_ context.Context, n *gateway.Number) error {
	return s.edit(dirNumber, numberID(n), n, func(d *gateway.Directory) error {
		for _, old := range d.Numbers[n.Number] {
			if old.Keyword == n.Keyword && old.Account != n.Account {
				return gateway.Refuse(gateway.CodeConflict, "number", "number %s with this keyword belongs to another account", n.Number)
			}
		}
		return needAccount(n.Account)(d)
	})
}

// PutCredential creates or changes a credential; names are unique over all accounts.
func (s *Store) PutCredential(_ context.Context, c *gateway.Credential) error {
	return s.edit(dirCredential, credentialID(CredentialKeyOf(c)), c, func(d *gateway.Directory) error {
		if old := d.Credentials[CredentialKeyOf(c)]; old != nil && old.Account != c.Account {
			return gateway.Refuse(gateway.CodeConflict, "id", "credential %s is taken", c.ID)
		}
		return needAccount(c.Account)(d)
	})
}

// PutOperator creates or changes an operator.
func (s *Store) PutOperator(_ context.Context, o *gateway.Operator) error {
	return s.edit(dirOperator, o.Name, o, nil)
}

// PutRoute creates or changes a route; its operators must exist.
func (s *Store) PutRoute(_ context.Context, r *gateway.Route) error {
	return s.edit(dirRoute, r.ID, r, func(d *gateway.Directory) error {
		for _, st := range r.Operators {
			if d.Operators[st.Operator] == nil {
				return gateway.Refuse(gateway.CodeNotFound, "operators", "operator %s does not exist", st.Operator)
			}
		}
		return nil
	})
}

// PutIYSLink creates or changes a way to İYS.
func (s *Store) PutIYSLink(_ context.Context, l *gateway.IYSLink) error {
	return s.edit(dirIYSLink, l.Name, l, nil)
}

// PutWebhook sets an account's webhook; an empty URL removes it.
func (s *Store) PutWebhook(_ context.Context, w *gateway.Webhook) error {
	if w.URL == "" {
		return s.edit(dirWebhook, fmt.Sprint(w.Account), nil, needAccount(w.Account))
	}
	return s.edit(dirWebhook, fmt.Sprint(w.Account), w, needAccount(w.Account))
}

// DeleteSender, DeleteRoute, DeleteOperator, DeleteNumber remove a record; removing what is not there is no error.
func (s *Store) DeleteSender(_ context.Context, k gateway.SenderKey) error {
	return s.edit(dirSender, senderID(k), nil, nil)
}

// DeleteRoute removes a route.
func (s *Store) DeleteRoute(_ context.Context, id string) error {
	return s.edit(dirRoute, id, nil, nil)
}

// DeleteOperator removes an operator no route names any more.
func (s *Store) DeleteOperator(_ context.Context, name string) error {
	return s.edit(dirOperator, name, nil, func(d *gateway.Directory) error {
		for _, r := range d.Routes {
			for _, st := range r.Operators {
				if st.Operator == name {
					return gateway.Refuse(gateway.CodeConflict, "operator", "route %s still uses operator %s", r.ID, name)
				}
			}
		}
		return nil
	})
}

// DeleteNumber removes an inbound number.
func (s *Store) DeleteNumber(_ context.Context, n *gateway.Number) error {
	return s.edit(dirNumber, numberID(n), nil, nil)
}

// endsSent reports whether sent is the end of a message there: on routes without receipts, and of mail, which tells of failures
// alone.
func (s *Store) endsSent(b *gateway.Batch, operator string) bool {
	return b.Channel == gateway.ChannelEmail || s.noReceipts(operator)
}

// noReceipts reports whether the operator sends no receipts, so that sent is the end.
func (s *Store) noReceipts(operator string) bool {
	o := s.Directory().Operators[operator]
	return o != nil && o.NoReceipts
}
