package mailer

import (
	"cmp"
	"html"
	"slices"
	"sync"

	"izinli/gateway"
	"izinli/gateway/smarthost"
)

// keyring holds the DKIM keys of the present directory, unsealed and parsed once.
type keyring struct {
	mu    sync.Mutex
	dir   *gateway.Directory        // the keys are of; guarded by mu
	found map[ringKey]*ringEntry    // by From domain; guarded by mu
	ready map[gateway.DKIMName]*key // guarded by mu
}

type ringKey struct {
	account gateway.AccountID
	domain  string
}

type ringEntry struct {
	keys []*smarthost.Key
	err  error
}

type key struct {
	sealed gateway.Sealed
	key    *smarthost.Key
	err    error
}

// of returns the keys that sign for a From domain of the account: those of the domain itself, or of the nearest one above it.
func (r *keyring) of(st Store, a gateway.AccountID, domain string) ([]*smarthost.Key, error) {
	dir := st.Directory()
	r.mu.Lock()
	defer r.mu.Unlock()
	if dir != r.dir {
		r.dir, r.found = dir, map[ringKey]*ringEntry{}
	}
	k := ringKey{a, domain}
	if e := r.found[k]; e != nil {
		return e.keys, e.err
	}
	var fits []*gateway.DKIMKey
	for _, x := range dir.DKIM {
		if x.Account == a && x.Covers(domain) {
			fits = append(fits, x)
		}
	}
	slices.SortFunc(fits, func(x, y *gateway.DKIMKey) int {
		return cmp.Or(cmp.Compare(len(y.Domain), len(x.Domain)), cmp.Compare(x.Selector, y.Selector))
	})
	e := &ringEntry{}
	for _, x := range fits {
		if x.Domain != fits[0].Domain {
			break
		}
		parsed, err := r.parse(st, x)
		if err != nil {
			e.keys, e.err = nil, err
			break
		}
		e.keys = append(e.keys, parsed)
	}
	r.found[k] = e
	return e.keys, e.err
}

func (r *keyring) parse(st Store, x *gateway.DKIMKey) (*smarthost.Key, error) {
	if r.ready == nil {
		r.ready = map[gateway.DKIMName]*key{}
	}
	if old := r.ready[x.Name()]; old != nil && old.sealed == x.Private {
		return old.key, old.err
	}
	e := &key{sealed: x.Private}
	var text string
	if text, e.err = st.Unseal(x.Private); e.err == nil {
		e.key, e.err = smarthost.ParseKey(x.Domain, x.Selector, []byte(text))
	}
	r.ready[x.Name()] = e
	return e.key, e.err
}

func escaped(vars []gateway.Var) []gateway.Var {
	out := make([]gateway.Var, len(vars))
	for i, v := range vars {
		out[i] = gateway.Var{Name: v.Name, Value: html.EscapeString(v.Value)}
	}
	return out
}
