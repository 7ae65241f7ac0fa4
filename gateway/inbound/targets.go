package inbound

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/inbound/keyword"
)

// reader is an account that is to read a message: account 0 is the administrator alone.
type reader struct {
	account gateway.AccountID
	brand   string   // of its entry of the number; empty if its entries differ
	system  string   // SMPP client the message is owed to
	brands  []string // its own, out of which the person has opted
}

// target is a brand an opt-out applies to.
type target struct {
	account gateway.AccountID
	brand   string
}

// entries are the directory's records of a number, whatever prefix the operator writes it with.
func (d *Desk) entries(to string) []*gateway.Number {
	dir := d.store.Directory()
	digits := strings.TrimPrefix(to, "+")
	national := strings.TrimPrefix(digits, "90")
	for _, k := range []string{to, digits, "+" + digits, national, "0" + national, "90" + national, "+90" + national} {
		if e := dir.Numbers[k]; len(e) > 0 {
			return e
		}
	}
	return nil
}

// owner is who reads a message that is no opt-out: the keyword's account, else the whole number's, else the one of the number's
// accounts that wrote to the person last. Where that is not clear it is nobody but the administrator (promise P6).
func (d *Desk) owner(addr, to, text string) reader {
	entries := d.entries(to)
	if kw := named(entries, text); len(kw) > 0 {
		entries = kw
		first, _, _ := strings.Cut(keyword.Fold(text), " ")
		if i := slices.IndexFunc(kw, func(n *gateway.Number) bool { return keyword.Fold(n.Keyword) == first }); i >= 0 {
			entries = kw[i : i+1]
		}
	} else if i := slices.IndexFunc(entries, func(n *gateway.Number) bool { return n.Keyword == "" }); i >= 0 {
		entries = entries[i : i+1]
	}
	accounts := accountsOf(entries)
	if len(accounts) > 1 {
		accounts = d.lastWriter(accounts, addr)
	}
	if len(accounts) != 1 {
		return reader{}
	}
	return readerAt(entries, accounts[0])
}

// lastWriter is the one of the accounts whose message to the person left last; none if nobody can say.
func (d *Desk) lastWriter(accounts []gateway.AccountID, addr string) []gateway.AccountID {
	var last time.Time
	var who []gateway.AccountID
	for _, a := range accounts {
		at, whole, err := d.store.LastWrote(a, addr, d.cfg.Now().Add(-d.cfg.Lookback))
		if err != nil || !whole {
			d.cfg.Log.Error("who wrote to a person last is not known", "to", address.Mask(addr), "account", int(a), "err", err)
			return nil
		}
		switch {
		case at.IsZero() || at.Before(last):
		case at.Equal(last):
			who = append(who, a)
		default:
			last, who = at, []gateway.AccountID{a}
		}
	}
	return who
}

// concerned are the readers of an opt-out: each account whose brands were meant, with its own brands only.
func (d *Desk) concerned(to, text string, meant, taken []target) (out []reader) {
	entries := d.entries(to)
	kw := named(entries, text)
	for _, t := range meant {
		if len(out) > 0 && out[len(out)-1].account == t.account { // they are in order of accounts
			continue
		}
		at := entries
		if slices.Contains(accountsOf(kw), t.account) {
			at = kw
		}
		out = append(out, readerAt(at, t.account))
	}
	for i := range out {
		for _, t := range taken {
			if t.account == out[i].account {
				out[i].brands = append(out[i].brands, t.brand)
			}
		}
	}
	return out
}

// readerAt is an account as reader of a number's messages, by its first entry among these.
func readerAt(entries []*gateway.Number, a gateway.AccountID) reader {
	r := reader{account: a}
	seen := false
	for _, n := range entries {
		switch {
		case n.Account != a:
		case !seen:
			r.brand, r.system, seen = n.Brand, n.System, true
		case n.Brand != r.brand:
			r.brand = ""
		}
	}
	return r
}

func accountsOf(entries []*gateway.Number) (out []gateway.AccountID) {
	for _, n := range entries {
		if !slices.Contains(out, n.Account) {
			out = append(out, n.Account)
		}
	}
	return out
}

// named are the entries of a shared number whose keyword stands in the text.
func named(entries []*gateway.Number, text string) (out []*gateway.Number) {
	for _, n := range entries {
		if n.Keyword != "" && names(text, n.Keyword) {
			out = append(out, n)
		}
	}
	return out
}

// names reports whether a keyword stands in the text as words of its own.
func names(text, word string) bool {
	return strings.Contains(" "+keyword.Fold(text)+" ", " "+keyword.Fold(word)+" ")
}

// targets finds the brands (sms.md §10 step 3): named in the text, owned by the number, written to lately, all of the number.
func (d *Desk) targets(addr, to, text string, intent keyword.Intent) (out []target, review bool) {
	entries := d.entries(to)
	// A keyword of a shared number says whose customer the person is: nobody else's brands are meant. One that is a stop word
	// itself says nothing.
	kw := slices.DeleteFunc(named(entries, text), func(n *gateway.Number) bool { return d.parse(to, n.Keyword).Kind == keyword.OptOut })
	if len(kw) == 0 {
		return d.among(entries, addr, intent)
	}
	for _, n := range kw {
		ts, doubt := d.among([]*gateway.Number{n}, addr, intent)
		out, review = append(out, ts...), review || doubt || len(kw) > 1
	}
	return sorted(out), review
}

// among finds the brands of an opt-out among those of some entries of a number.
func (d *Desk) among(entries []*gateway.Number, addr string, intent keyword.Intent) (out []target, review bool) {
	dir := d.store.Directory()
	accounts := accountsOf(entries)
	if b := dir.Brands[intent.BrandCode]; b != nil && slices.Contains(accounts, b.Account) {
		return []target{{b.Account, b.Code}}, false
	}
	if len(entries) == 1 && entries[0].Brand != "" && intent.BrandCode == "" {
		return []target{{entries[0].Account, entries[0].Brand}}, false
	}
	var owns []target
	for _, n := range entries {
		if n.Brand != "" {
			owns = append(owns, target{n.Account, n.Brand})
		}
	}
	for _, a := range accounts {
		out = append(out, d.recent(a, addr)...)
	}
	if intent.BrandCode != "" {
		out = append(out, owns...) // the code is mistyped: it can stand for the number's brand as well as for one that wrote
	}
	if len(out) > 0 {
		out = sorted(out)
		return out, len(out) > 1 || intent.BrandCode != ""
	}
	if len(owns) > 0 {
		return sorted(owns), true
	}
	for _, a := range accounts {
		out = append(out, d.brandsOf(a)...)
	}
	return sorted(out), true
}

// recent are the account's brands that wrote to the person lately; all of its brands where that cannot be told for certain.
func (d *Desk) recent(a gateway.AccountID, addr string) (out []target) {
	brands, whole, err := d.store.LastBrands(a, addr, d.cfg.Now().Add(-d.cfg.Lookback))
	if err != nil || !whole {
		d.cfg.Log.Error("brands of an opt-out are not known: all of the account are taken", "from", address.Mask(addr), "account", int(a), "err", err)
		return d.brandsOf(a)
	}
	for _, b := range brands {
		if d.store.Directory().BrandOf(a, b) != nil {
			out = append(out, target{a, b})
		}
	}
	return out
}

func (d *Desk) brandsOf(a gateway.AccountID) (out []target) {
	for _, b := range d.store.Directory().BrandsOf(a) {
		out = append(out, target{a, b.Code})
	}
	return out
}

// sorted puts targets in order of accounts and brands, each once.
func sorted(ts []target) []target {
	slices.SortFunc(ts, func(x, y target) int { return cmp.Or(cmp.Compare(x.account, y.account), cmp.Compare(x.brand, y.brand)) })
	return slices.Compact(ts)
}
