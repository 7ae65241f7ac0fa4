// Package inbound receives what comes from handsets: it joins the parts of long messages, finds whose number was written to,
// recognises opt-outs and carries them out, and keeps the message for the customer.
//
// A caller (the operator side) hands each MO to Receive and answers its deliver_sm only when Receive has returned without an
// error: by then the opt-out blocks, and block and message are synced. An opt-out is understood generously: where the brand
// is not clear, every brand that can have been meant is blocked, and a person is asked to look. Who reads a message is judged
// strictly: one account never sees what was written to another, and where that is not clear only the administrator does. Of an
// opt-out that stops brands of several accounts each is told that it came, by its stop word alone: whom the rest of the text was
// for nobody knows. The words are read by package keyword; what follows from an opt-out (block, İYS outbox) is the ConsentDesk's.
package inbound

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/inbound/keyword"
	"izinli/gateway/sms"
)

// Store keeps inbound messages and parts.
type Store interface {
	Directory() *gateway.Directory
	// Receive stores the message and returns after the sync.
	Receive(ctx context.Context, in *gateway.Inbound, system string) error
	// LastBrands are the account's brands whose commercial messages may have reached the address since then; whole is false if
	// there may be more of them.
	LastBrands(a gateway.AccountID, address string, since time.Time) (brands []string, whole bool, err error)
	// LastWrote is when a message of the account was last handed off to the address, zero if none was since then; whole is false if
	// one may have been later.
	LastWrote(a gateway.AccountID, address string, since time.Time) (last time.Time, whole bool, err error)
	// PutPart returns when the part is synced; all is the whole set, in order, for the part that completed it and for one that
	// repeats a part of a whole set. One that says something else than the part that is there closes the set and begins another.
	PutPart(ctx context.Context, p *gateway.Part) (all []gateway.Part, err error)
	// OpenMO are the sets of MO parts that are closed or have a part older than the given time.
	OpenMO(ctx context.Context, before time.Time) ([][]gateway.Part, error)
	// Parts are those of a set as it stands, none if it is gone.
	Parts(ctx context.Context, set gateway.PartSet) ([]gateway.Part, error)
	// FailParts removes these parts, and no other that came meanwhile.
	FailParts(ctx context.Context, parts []gateway.Part, receipts []gateway.ReceiptDue) error
}

// Config of the desk. Zero fields take the default.
type Config struct {
	Lookback time.Duration // how far back an opt-out without a brand looks for one; default 30 days
	PartWait time.Duration // how long parts wait for the others; default 5 min
	// Confirm is the text sent to a person whose opt-out was taken; {{marka}} is the brand. Empty: none.
	Confirm string
	Now     func() time.Time
	Log     *slog.Logger
	// Note is told of every stored message. It must not block.
	Note func(*gateway.Inbound)
}

// DefaultConfirm is the confirmation of an opt-out, free of charge and at most once a day. It says what is true when it leaves:
// the refusal is in force here; whether and when İYS is told, and by whom, depends on the brand's mode.
const DefaultConfirm = "{{marka}} ticari SMS listesinden ciktiniz. Reddiniz kaydedildi."

// MO is one message or part from a handset, as the operator delivered it.
type MO struct {
	Operator   string
	From, To   string
	DataCoding byte
	Alphabet   sms.Alphabet // what data_coding 0 means for the operator
	UDH, Body  []byte
	SAR        sms.Concat // from TLVs; zero without
}

// Desk receives inbound messages.
type Desk struct {
	cfg    Config
	store  Store
	desk   gateway.ConsentDesk
	submit gateway.Submitter

	// A set is stored, joined and expired by one goroutine at a time: each holds the lock its name falls on.
	sets [64]sync.Mutex
	seed maphash.Seed

	mu       sync.Mutex
	version  uint64                      // of the directory the lexicons were made from; guarded by mu
	lexicons map[string]*keyword.Lexicon // by number; guarded by mu
}

// New returns a desk.
func New(cfg Config, st Store, d gateway.ConsentDesk, s gateway.Submitter) *Desk {
	if cfg.Lookback == 0 {
		cfg.Lookback = 30 * 24 * time.Hour
	}
	if cfg.PartWait == 0 {
		cfg.PartWait = 5 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Note == nil {
		cfg.Note = func(*gateway.Inbound) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Desk{cfg: cfg, store: st, desk: d, submit: s, seed: maphash.MakeSeed()}
}

// Receive takes one MO. When it returns nil the MO may be acknowledged: an opt-out in it is effective and everything is
// synced. After an error the operator should deliver it again.
func (d *Desk) Receive(ctx context.Context, mo MO) error {
	part := sms.Part{Source: mo.From, Destination: mo.To, Concat: mo.SAR, DataCoding: mo.DataCoding, Alphabet: mo.Alphabet, UDH: mo.UDH,
		Body: mo.Body}
	if h, _, err := sms.ParseUDH(mo.UDH); err == nil && h.Concat.Present() {
		part.Concat = h.Concat
	}
	if !part.Concat.Present() || !part.Concat.Valid() || part.Concat.Total == 1 {
		return d.message(ctx, mo.Operator, mo.From, mo.To, decode(mo), false)
	}
	return d.part(ctx, mo, part)
}

func decode(mo MO) string {
	text, _ := sms.Decode(mo.DataCoding, mo.UDH, mo.Body, mo.Alphabet) // damaged text comes with marks in place
	return text
}

// part stores one part of a long message; the last one makes it a message. A first part that is an opt-out by itself counts
// at once: the person must not wait for the rest.
func (d *Desk) part(ctx context.Context, mo MO, p sms.Part) error {
	if p.Concat.Seq == 1 {
		if in := d.parse(mo.To, decode(mo)); in.Kind == keyword.OptOut {
			if _, _, err := d.optOut(ctx, canonical(mo.From), mo.To, decode(mo), in); err != nil {
				return err
			}
		}
	}
	set := gateway.PartSet{Source: mo.From, Dest: mo.To, Reference: p.Concat.Ref, Wide: p.Concat.Width == sms.Ref16, Total: p.Concat.Total}
	rec := &gateway.Part{Set: set, Seq: p.Concat.Seq, System: mo.Operator, At: d.cfg.Now(), PDU: encodePart(p),
		Content: gateway.PartContent(p.DataCoding, p.UDH, p.Body)}
	defer d.lock(set)()
	all, err := d.store.PutPart(ctx, rec)
	if err != nil || all == nil {
		return err
	}
	return d.join(ctx, all)
}

// lock takes a set by its name, and returns what lets it go.
func (d *Desk) lock(set gateway.PartSet) (unlock func()) {
	m := &d.sets[maphash.Comparable(d.seed, set.Name())%uint64(len(d.sets))]
	m.Lock()
	return m.Unlock
}

// join makes one message of stored parts and forgets them. The caller holds the set's lock.
func (d *Desk) join(ctx context.Context, parts []gateway.Part) error {
	r := sms.NewReassembler(sms.Limits{})
	now := d.cfg.Now()
	var whole []sms.Whole
	for i := range parts {
		p, err := decodePart(&parts[i])
		if err != nil {
			d.cfg.Log.Warn("inbound part unreadable", "err", err)
			continue
		}
		whole, _ = r.Add(whole, p, now)
	}
	whole = r.Flush(whole)
	for _, w := range whole {
		if err := d.message(ctx, parts[0].System, parts[0].Set.Source, parts[0].Set.Dest, w.Text, len(parts) < int(parts[0].Set.Total)); err != nil {
			return err
		}
	}
	return d.store.FailParts(ctx, parts, nil)
}

// Run hands out messages whose parts did not all come, until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	tick := time.NewTicker(min(time.Minute, d.cfg.PartWait))
	defer tick.Stop()
	for {
		if err := d.Expire(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("inbound parts", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Expire makes messages of the parts that have waited long enough, or whose reference another message has taken over. What cannot
// be made one keeps no other waiting.
func (d *Desk) Expire(ctx context.Context) error {
	sets, err := d.store.OpenMO(ctx, d.cfg.Now().Add(-d.cfg.PartWait))
	if err != nil {
		return err
	}
	var errs []error
	for _, parts := range sets {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := d.expire(ctx, parts[0].Set); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// expire looks a second time, with the set in hand: it may have got another part since, or been joined.
func (d *Desk) expire(ctx context.Context, set gateway.PartSet) error {
	defer d.lock(set)()
	parts, err := d.store.Parts(ctx, set)
	if err != nil || len(parts) == 0 {
		return err
	}
	return d.join(ctx, parts)
}

// message carries out and stores a whole message, once for each account that is to read it.
func (d *Desk) message(ctx context.Context, operator, from, to, text string, partial bool) error {
	addr := canonical(from)
	in := gateway.Inbound{From: addr, To: to, Text: text, Operator: operator, At: d.cfg.Now(), Partial: partial, Kind: "message"}
	intent := d.parse(to, text)
	in.Keyword = intent.Keyword
	var readers []reader
	switch intent.Kind {
	case keyword.OptOut:
		in.Kind = "optout"
		meant, taken, err := d.optOut(ctx, addr, to, text, intent)
		if err != nil {
			return err
		}
		for _, t := range taken {
			d.confirm(ctx, t, addr)
		}
		if readers = d.concerned(to, text, meant, taken); len(readers) > 1 {
			in.Text, in.Keyword = intent.Matched, ""
		}
	case keyword.OptIn:
		in.Kind = "optin"
	}
	if len(readers) == 0 {
		readers = []reader{d.owner(addr, to, text)}
	}
	for _, r := range readers {
		if r.account == 0 {
			d.cfg.Log.Warn("inbound message that is clearly nobody's is kept for the administrator", "from", address.Mask(addr), "to", to,
				"operator", operator)
		}
		one := in
		one.Account, one.Brand, one.Brands = r.account, r.brand, r.brands
		if err := d.store.Receive(ctx, &one, r.system); err != nil {
			return err
		}
		d.cfg.Note(&one)
	}
	return nil
}

// canonical is the number with plus where it is one; anything else stays as it is.
func canonical(from string) string {
	if n, err := address.Parse(from, address.Options{}); err == nil {
		return n.String()
	}
	if !strings.HasPrefix(from, "+") {
		if n, err := address.Parse("+"+from, address.Options{}); err == nil {
			return n.String()
		}
	}
	return from
}

func (d *Desk) parse(to, text string) keyword.Intent {
	l := d.lexicon(to)
	if l == nil {
		return keyword.Intent{}
	}
	return keyword.Parse(text, l)
}

// lexicon compiles the words of a number once per version of the directory.
func (d *Desk) lexicon(to string) *keyword.Lexicon {
	entries := d.entries(to)
	if len(entries) == 0 {
		return nil
	}
	dir := d.store.Directory()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lexicons == nil || d.version != dir.Version {
		d.lexicons, d.version = map[string]*keyword.Lexicon{}, dir.Version
	}
	if l := d.lexicons[to]; l != nil {
		return l
	}
	var cfg keyword.Config
	seen := map[string]bool{}
	for _, n := range entries {
		for _, b := range dir.BrandsOf(n.Account) {
			if seen[b.Code] {
				continue
			}
			seen[b.Code] = true
			kb := keyword.Brand{Code: b.Code}
			if b.Short != "" {
				kb.Names = append(kb.Names, b.Short)
			}
			if n.Brand == b.Code && n.Keyword != "" {
				kb.Names = append(kb.Names, n.Keyword)
			}
			cfg.Brands = append(cfg.Brands, kb)
		}
	}
	l, err := keyword.Compile(cfg)
	if err != nil {
		d.cfg.Log.Error("words of an inbound number", "number", to, "err", err)
		if l, err = keyword.Compile(keyword.Config{}); err != nil {
			return nil
		}
	}
	d.lexicons[to] = l
	return l
}

// optOut blocks every brand the person can have meant. It returns these, and those for which the opt-out was taken.
func (d *Desk) optOut(ctx context.Context, addr, to, text string, intent keyword.Intent) (meant, taken []target, err error) {
	meant, review := d.targets(addr, to, text, intent)
	for _, t := range meant {
		err := d.desk.OptOut(ctx, gateway.OptOut{Account: t.account, Brand: t.brand, Channel: gateway.ChannelSMS, Address: addr, Route: "sms",
			At: d.cfg.Now(), Text: text, Review: review || intent.Doubtful})
		if refused(err) {
			// Nobody we could write to (a service of the operator, say). Asking the operator to deliver it again would not help.
			d.cfg.Log.Warn("opt-out from something that is no number of a person", "from", address.Mask(addr), "err", err)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("inbound: opt-out: %w", err)
		}
		taken = append(taken, t)
	}
	return meant, taken, nil
}

// refused reports whether the desk will never take the opt-out, as opposed to a failure that passes.
func refused(err error) bool {
	var e *gateway.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case gateway.CodeBadNumber, gateway.CodeNotMobile, gateway.CodeForeign, gateway.CodeBrand, gateway.CodeInvalid:
		return true
	}
	return false
}

// istanbul is fixed at UTC+3 since 2016 (iys-api.md §19.8).
var istanbul = time.FixedZone("Europe/Istanbul", 3*3600)

// confirm tells the person, free and at most once a day: the day is in the idempotency key. It is a courtesy; its failure is
// logged and changes nothing.
func (d *Desk) confirm(ctx context.Context, t target, addr string) {
	if d.cfg.Confirm == "" {
		return
	}
	dir := d.store.Directory()
	b := dir.BrandOf(t.account, t.brand)
	from := senderOf(dir, t)
	if b == nil || from == "" {
		return
	}
	key := fmt.Sprintf("optout-confirm/%s/%s/%s", t.brand, addr, d.cfg.Now().In(istanbul).Format(time.DateOnly))
	sub := &gateway.Submission{
		Principal: &gateway.Principal{Account: t.account, Credential: gateway.Credential{ID: "system", Account: t.account,
			Classes: []string{gateway.ClassTransactional}, Reason: "legal"}},
		Door: gateway.DoorSystem, Channel: gateway.ChannelSMS, Class: gateway.ClassTransactional, Brand: t.brand, From: from,
		Text: d.cfg.Confirm, To: []gateway.Destination{{Address: addr, Vars: []gateway.Var{{Name: "marka", Value: b.Name}}}},
		Encoding: sms.GSM7Translit.String(), Idempotency: &gateway.IdempotencyKey{Key: key, Hash: sha256.Sum256([]byte(key))},
	}
	if _, err := d.submit.Submit(ctx, sub); err != nil {
		d.cfg.Log.Warn("opt-out not confirmed", "to", address.Mask(addr), "err", err)
	}
}

func senderOf(dir *gateway.Directory, t target) string {
	name := ""
	for k, s := range dir.Senders {
		if k.Account == t.account && k.Channel == gateway.ChannelSMS && s.Brand == t.brand && s.Approved && (name == "" || s.Name < name) {
			name = s.Name
		}
	}
	return name
}
