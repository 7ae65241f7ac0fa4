package consent

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/mirror"
)

// maxConsents is how many consents one Add takes.
const maxConsents = 5000

// Records is the durable side of the desk.
type Records interface {
	Directories
	OptOut(ctx context.Context, b gateway.Block, entries []exchange.Entry, sync string) error
	// Unblock removes a block and keeps what lifted it, with the evidence where there is any.
	Unblock(ctx context.Context, by *iys.Consent, how, evidence string) error
	BlockOf(ctx context.Context, brand string, ch iys.Channel, addr string) (*gateway.Block, error)
	Consents(ctx context.Context, keys []iys.Key) ([]iys.Consent, error)
	History(ctx context.Context, brand string, ch iys.Channel, addr string) ([]gateway.ConsentEvent, error)
	SyncState(ctx context.Context, k iys.Key) (string, error)
	// OpenEntries are the movements of the keys that are under way to İYS.
	OpenEntries(ctx context.Context, keys []iys.Key) ([]exchange.Entry, error)
	// PutEntries queues movements; how they came and what proves them, one for each, becomes history.
	PutEntries(ctx context.Context, entries []exchange.Entry, how string, evidence []string) error
	PutBlacklist(ctx context.Context, a gateway.AccountID, addr, note string) error
	DeleteBlacklist(ctx context.Context, a gateway.AccountID, addr string) error
}

// Waker is told that the outbox has something new.
type Waker interface{ Wake() }

// Desk implements gateway.ConsentDesk.
type Desk struct {
	office *Office
	rec    Records
	waker  Waker
	cal    *iys.Calendar
	// moves keep the steps that set or lift the block or the blacklisting of an address in one piece, memory and store together. They
	// are not the office's locks: hand-off never waits for a sync.
	moves [256]sync.Mutex
	note  func(*gateway.OptOut, time.Duration)
}

// NewDesk returns a desk. waker may be nil.
func NewDesk(o *Office, rec Records, waker Waker) *Desk {
	return &Desk{office: o, rec: rec, waker: waker, cal: iys.DefaultCalendar(), note: func(*gateway.OptOut, time.Duration) {}}
}

// CountBy names the calendar by which deadlines are counted. Call it before the desk is used.
func (d *Desk) CountBy(cal *iys.Calendar) { d.cal = cal }

// Watch names the function told of every opt-out in force, and how long after it was handed in. Call it before the desk is used.
func (d *Desk) Watch(f func(*gateway.OptOut, time.Duration)) { d.note = f }

// sourceOf is the İYS source of an opt-out by its route (iys-api.md §5.2).
func sourceOf(route string) iys.Source {
	switch route {
	case "sms":
		return iys.SourceHSSMS
	case "one_click", "mailto", "complaint":
		return iys.SourceHSEmail
	case "page":
		return iys.SourceHSWeb
	}
	return iys.SourceHSElectronic
}

// OptOut implements gateway.ConsentDesk: the block is in force in memory before its commit; the caller acknowledges after it.
func (d *Desk) OptOut(ctx context.Context, o gateway.OptOut) error {
	_, err := d.optOut(ctx, o)
	return err
}

// optOut is OptOut that tells how far İYS is to be told.
func (d *Desk) optOut(ctx context.Context, o gateway.OptOut) (sync string, err error) {
	start := time.Now()
	ch := Channel(o.Channel)
	if !ch.Valid() {
		return "", gateway.Refuse(gateway.CodeInvalid, "channel", "channel must be MESAJ, EPOSTA or ARAMA")
	}
	brand := d.rec.Directory().BrandOf(o.Account, o.Brand)
	if brand == nil {
		return "", gateway.Refuse(gateway.CodeBrand, "brand", "brand %q is not known to this account", o.Brand)
	}
	addr, err := canonical(ch, o.Address, address.ParseMailbox)
	if err != nil {
		return "", err
	}
	if now := d.office.cfg.Now(); o.At.IsZero() || o.At.After(now) {
		o.At = now
	}
	src := iys.Source(o.Source)
	if !src.Sendable() {
		src = sourceOf(o.Route)
	}
	b := gateway.Block{Account: o.Account, Brand: o.Brand, Channel: string(ch), Address: addr, Route: o.Route, Source: string(src), At: o.At,
		Review: o.Review}
	d.block(o.Brand, ch, addr, o.At)
	o.Address = addr
	d.note(&o, time.Since(start))
	mu := d.move(addr)
	defer mu.Unlock()
	d.block(o.Brand, ch, addr, o.At) // again: an approval may just have lifted an older block together with this one
	entries, sync := d.owed(brand, ch, addr, src, o.At)
	if o.Local { // nobody is told but ourselves
		entries, sync = nil, string(exchange.StateNotApplicable)
	}
	if err := d.rec.OptOut(ctx, b, entries, sync); err != nil {
		return "", err // the block stays in force: to stop needs no store
	}
	if d.waker != nil && len(entries) > 0 {
		d.waker.Wake()
	}
	return sync, nil
}

// block puts a block in force.
func (d *Desk) block(brand string, ch iys.Channel, addr string, since time.Time) {
	mu := d.office.Lock(addr)
	d.office.mirror.Block(iys.Block{Brand: brand, Channel: ch, Recipient: addr, Since: since})
	mu.Unlock()
}

// move takes the lock under which blocks and the blacklisting of an address are set and lifted.
func (d *Desk) move(addr string) *sync.Mutex {
	mu := &d.moves[maphash.String(d.office.seed, addr)%uint64(len(d.moves))]
	mu.Lock()
	return mu
}

// modeOf is who holds İYS for a channel of a brand; nobody is known to for calls, which we do not carry.
func modeOf(b *gateway.Brand, ch iys.Channel) gateway.BrandMode {
	switch ch {
	case iys.ChannelSMS:
		return b.SMS
	case iys.ChannelEmail:
		return b.Email
	}
	return gateway.BrandMode{}
}

// owed is what İYS has to be told about an opt-out, and by whom. Of an address İYS cannot hold nobody can tell it anything.
func (d *Desk) owed(b *gateway.Brand, ch iys.Channel, addr string, src iys.Source, at time.Time) ([]exchange.Entry, string) {
	if _, unheld := iys.NormalizeRecipient(ch, addr); unheld != nil {
		return nil, string(exchange.StateNotApplicable)
	}
	mode := modeOf(b, ch)
	switch iys.Mode(mode.Mode) {
	case iys.ModeExempt:
		return nil, string(exchange.StateNotApplicable)
	case iys.ModePartner:
		entries := exchange.OptOut(b.Code, ch, addr, src, at, d.cal)
		if !mode.ReadOnly {
			return entries, string(exchange.StatePending)
		}
		return owe(entries), string(exchange.StateOwed)
	}
	return owe(exchange.OptOut(b.Code, ch, addr, src, at, d.cal)), string(exchange.StateOwed)
}

// owe marks entries that only the customer can write: one is enough, its clock runs.
func owe(entries []exchange.Entry) []exchange.Entry {
	entries = entries[:1]
	entries[0].State = exchange.StateOwed
	return entries
}

// canonical brings an address into the stored form. Whoever can be written to can refuse, be looked up and be blacklisted: that takes
// address.ParseMailbox, as acceptance does. An approval is taken by İYS's own, narrower rules: address.ParseEmail.
func canonical(ch iys.Channel, addr string, email func(string) (address.Email, error)) (string, error) {
	if ch == iys.ChannelEmail {
		e, err := email(addr)
		if err != nil {
			return "", gateway.Refuse(gateway.CodeBadAddress, "address", "")
		}
		return string(e), nil
	}
	n, err := address.Parse(addr, address.Options{})
	if err != nil {
		return "", gateway.Refuse(gateway.CodeBadNumber, "address", "")
	}
	return n.String(), nil
}

// read turns a caller's consent into a record; what is wrong with it stands in r.
func (d *Desk) read(p *gateway.Principal, c *gateway.Consent, r *gateway.ConsentResult) iys.Consent {
	if d.rec.Directory().BrandOf(p.Account, c.Brand) == nil {
		r.Code, r.Field, r.Text, r.Turkish = gateway.CodeBrand, "brand", "the brand is not known to this account", "Marka bu hesaba ait değil."
		return iys.Consent{}
	}
	ch := Channel(c.Channel)
	if !ch.Valid() {
		refuse(r, gateway.CodeInvalid, known("H117"))
		return iys.Consent{}
	}
	email := address.ParseEmail
	if iys.Status(c.Status) == iys.StatusRejected {
		email = address.ParseMailbox
	}
	addr, err := canonical(ch, c.Address, email)
	if err != nil {
		ref := known("H121")
		switch {
		case c.Address == "":
			ref = known("H114")
		case ch == iys.ChannelEmail:
			ref = known("H120")
		}
		refuse(r, err.(*gateway.Error).Code, ref)
		return iys.Consent{}
	}
	rt := iys.RecipientType(c.RecipientType)
	if rt == "" {
		rt = iys.RecipientPerson
	}
	return iys.Consent{Key: iys.Key{Brand: c.Brand, Channel: ch, RecipientType: rt, Recipient: addr}, Status: iys.Status(c.Status),
		Source: iys.Source(c.Source), ConsentDate: c.ConsentDate.Truncate(time.Second), RetailerCode: c.RetailerCode, RetailerAccess: c.RetailerAccess,
		Origin: iys.OriginAPI, ReadAt: d.office.cfg.Now()}
}

// known is a refusal of İYS with its sentences.
func known(code string) *iys.Refusal {
	r, _ := iys.RefusalFor(code)
	return &r
}

// refuse writes what İYS would have said into a result.
func refuse(r *gateway.ConsentResult, code gateway.Code, ref *iys.Refusal) {
	r.Code = code
	say(r, ref)
}

// say notes a refusal of İYS and leaves the consent taken.
func say(r *gateway.ConsentResult, ref *iys.Refusal) {
	r.IYS, r.Field, r.Text, r.Turkish = ref.Code, ref.Field, ref.English, ref.Turkish
	if r.Field == "type" {
		r.Field = "channel" // as our callers write it
	}
}

func laterZero(t, def time.Time) time.Time {
	if t.IsZero() {
		return def
	}
	return t
}

// lift ends a block where the consent may (iys.Lifts); where it may not, the consent is refused as blocked.
func (d *Desk) lift(ctx context.Context, c *gateway.Consent, rec *iys.Consent, dry bool, r *gateway.ConsentResult) error {
	mu := d.move(rec.Recipient)
	defer mu.Unlock()
	since, blocked := d.office.mirror.Blocked(rec.Brand, rec.Channel, rec.Recipient)
	if !blocked {
		return nil
	}
	ok := iys.Lifts(iys.Block{Brand: rec.Brand, Channel: rec.Channel, Recipient: rec.Recipient, Since: since},
		iys.Lift{Status: rec.Status, Source: rec.Source, Origin: rec.Origin, ConsentDate: rec.ConsentDate, Evidence: c.Evidence != "",
			Override: c.OverrideBlock})
	if !ok {
		r.Code, r.Field = gateway.CodeBlocked, "recipient"
		r.Turkish = "Kişi ret vermiş; bu engeli yalnızca daha sonra verilmiş, kanıtı ve overrideBlock alanı olan bir onay kaldırır."
		r.Text = "the person opted out; only a later consent with evidence and overrideBlock lifts the block"
		return nil
	}
	if dry {
		return nil
	}
	return d.unblock(ctx, rec, "api", c.Evidence)
}

// unblock removes a block: from the store first, so that a crash errs on the side of silence. It is called with the move lock.
func (d *Desk) unblock(ctx context.Context, by *iys.Consent, how, evidence string) error {
	if err := d.rec.Unblock(ctx, by, how, evidence); err != nil {
		return err
	}
	d.office.mirror.Unblock(by.Brand, by.Channel, by.Recipient)
	return nil
}

// Moved implements exchange.Listener: movements read from İYS set and lift blocks.
func (d *Desk) Moved(ctx context.Context, moves []iys.Consent) error {
	for i := range moves {
		if err := d.moved(ctx, &moves[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) moved(ctx context.Context, m *iys.Consent) error {
	b := d.rec.Directory().Brands[m.Brand]
	if b == nil {
		return nil
	}
	mu := d.move(m.Recipient)
	defer mu.Unlock()
	since, blocked := d.office.mirror.Blocked(m.Brand, m.Channel, m.Recipient)
	switch {
	case m.Status == iys.StatusApproved:
		if blocked && iys.Lifts(iys.Block{Brand: m.Brand, Channel: m.Channel, Recipient: m.Recipient, Since: since},
			iys.Lift{Status: m.Status, Source: m.Source, Origin: m.Origin, ConsentDate: m.ConsentDate}) {
			return d.unblock(ctx, m, string(m.Origin), "")
		}
	case m.Source.FromPerson() && (!blocked || since.Before(m.ConsentDate)):
		d.block(m.Brand, m.Channel, m.Recipient, m.ConsentDate)
		return d.rec.OptOut(ctx, gateway.Block{Account: b.Account, Brand: m.Brand, Channel: string(m.Channel), Address: m.Recipient,
			Route: "iys", Source: string(m.Source), At: m.ConsentDate}, nil, string(exchange.StateAccepted))
	}
	return nil
}

// Lookup implements gateway.ConsentDesk.
func (d *Desk) Lookup(ctx context.Context, p *gateway.Principal, brand, channel, recipientType, addr string) (gateway.ConsentView, error) {
	var v gateway.ConsentView
	if d.rec.Directory().BrandOf(p.Account, brand) == nil {
		return v, gateway.Refuse(gateway.CodeBrand, "brand", "brand %q is not known to this account", brand)
	}
	ch := Channel(channel)
	if !ch.Valid() {
		return v, gateway.Refuse(gateway.CodeInvalid, "channel", "channel must be MESAJ, EPOSTA or ARAMA")
	}
	a, err := canonical(ch, addr, address.ParseMailbox)
	if err != nil {
		return v, err
	}
	rt := iys.RecipientType(recipientType)
	if rt == "" {
		rt = iys.RecipientPerson
	}
	if !rt.Valid() {
		return v, gateway.Refuse(gateway.CodeInvalid, "recipientType", "recipientType must be BIREYSEL or TACIR")
	}
	key := iys.Key{Brand: brand, Channel: ch, RecipientType: rt, Recipient: a}
	v.Consent = gateway.Consent{Brand: brand, Channel: string(ch), Address: a, RecipientType: string(rt)}
	v.Where = "none"
	if err := d.fill(ctx, key, &v); err != nil {
		return v, &gateway.Error{Code: gateway.CodeUnavailable, Text: gateway.CodeUnavailable.Wire().Title, Err: err}
	}
	return v, nil
}

func (d *Desk) fill(ctx context.Context, key iys.Key, v *gateway.ConsentView) error {
	recs, err := d.rec.Consents(ctx, []iys.Key{key})
	if err != nil {
		return err
	}
	if c := recs[0]; c.Status != "" {
		v.Known, v.Where = true, "mirror"
		v.Status, v.Source, v.ConsentDate, v.CreationDate = string(c.Status), string(c.Source), c.ConsentDate, c.CreationDate
		v.TransactionID, v.RetailerCode = c.TransactionID, c.RetailerCode
		at := c.ReadAt
		if pulled := d.office.mirror.PulledAt(key.Brand, key.Channel); pulled.After(at) {
			at = pulled
		}
		if !at.IsZero() {
			v.AgeS = int64(d.office.cfg.Now().Sub(at) / time.Second)
		}
	}
	if _, v.Blocked = d.office.mirror.Blocked(key.Brand, key.Channel, key.Recipient); v.Blocked {
		if v.Block, err = d.rec.BlockOf(ctx, key.Brand, key.Channel, key.Recipient); err != nil {
			return err
		}
	}
	if v.Sync, err = d.rec.SyncState(ctx, key); err != nil {
		return err
	}
	v.History, err = d.rec.History(ctx, key.Brand, key.Channel, key.Recipient)
	return err
}

// Blacklist puts an address on the account's blacklist (all classes stop), with a note that says why.
func (d *Desk) Blacklist(ctx context.Context, a gateway.AccountID, addr, note string) error {
	c, err := eitherAddress(addr)
	if err != nil {
		return err
	}
	d.blacklist(a, c) // in force before anything is waited for
	mu := d.move(c)
	defer mu.Unlock()
	d.blacklist(a, c) // again: somebody may just have taken it off
	return d.rec.PutBlacklist(ctx, a, c, note)
}

// Unblacklist takes an address off the account's blacklist.
func (d *Desk) Unblacklist(ctx context.Context, a gateway.AccountID, addr string) error {
	c, err := eitherAddress(addr)
	if err != nil {
		return err
	}
	mu := d.move(c)
	defer mu.Unlock()
	if err := d.rec.DeleteBlacklist(ctx, a, c); err != nil {
		return err
	}
	d.office.mirror.Unblacklist(accountKey(a), c)
	return nil
}

// blacklist puts an entry of the blacklist in force.
func (d *Desk) blacklist(a gateway.AccountID, addr string) {
	mu := d.office.Lock(addr)
	d.office.mirror.Blacklist(accountKey(a), addr)
	mu.Unlock()
}

// eitherAddress is a telephone number or an e-mail address in its canonical form.
func eitherAddress(addr string) (string, error) {
	c, err := canonical(iys.ChannelSMS, addr, nil)
	if err != nil {
		if c, err = canonical(iys.ChannelEmail, addr, address.ParseMailbox); err != nil {
			return "", gateway.Refuse(gateway.CodeInvalid, "address", "neither a phone number nor an e-mail address")
		}
	}
	return c, nil
}

var _ gateway.ConsentDesk = (*Desk)(nil)
var _ exchange.Mirror = (*mirror.Mirror)(nil)
