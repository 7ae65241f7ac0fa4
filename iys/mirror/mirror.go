// Package mirror is the local copy of what İYS says, held in memory so that a
// decision takes less than a microsecond, with the blocks and blacklists that
// stop messages whatever İYS says.
//
// Fill it at start-up with [Mirror.Load] from the durable copy, keep it current
// with [Mirror.Put], [Mirror.Block] and their likes, and ask [Mirror.Facts]
// before every message; the answer goes straight into iys.Decide. Until a Load
// has ended Facts says that nothing was checked, which refuses everything.
//
// Records are 16-byte slots under a 64-bit hash with a random seed per brand,
// channel and recipient type, drawn anew at every start: no address is in
// memory, and nobody can prepare addresses that collide. With ten million
// records an absent address is taken for a stored one with a chance of 5·10⁻¹³
// a look-up.
//
// The package does not judge: it neither resolves conflicts (iys.Resolve) nor
// lifts blocks (iys.Lifts), it does not write to disk, and it never asks İYS.
package mirror

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"izinli/iys"
)

// Mirror is safe for concurrent use.
type Mirror struct {
	consents  table
	blocks    table
	blacklist table
	brands    registry[brandScope]
	accounts  registry[accountScope]
	ready     atomic.Bool
}

// brandScope is what the mirror keeps for one brand.
type brandScope struct {
	seeds    [channels][types]maphash.Seed
	blocks   [channels]maphash.Seed
	pulled   [channels]atomic.Int64  // start of the last complete pull, Unix ns; 0 = never
	trust    [channels]atomic.Int64  // answers read before this do not count, Unix ns
	trustGen [channels]atomic.Uint32 // counts losses of trust; an entry of another count (modulo maxGen+1) is void
	trusting [channels]atomic.Bool   // something may have been put under the present count
}

type accountScope struct{ seed maphash.Seed }

const (
	channels = 3
	types    = 2
)

// New returns an empty mirror that is not ready.
func New() *Mirror {
	return &Mirror{
		brands: newRegistry(func() *brandScope {
			b := &brandScope{}
			for c := range b.seeds {
				b.blocks[c] = maphash.MakeSeed()
				for t := range b.seeds[c] {
					b.seeds[c][t] = maphash.MakeSeed()
				}
			}
			return b
		}),
		accounts: newRegistry(func() *accountScope { return &accountScope{maphash.MakeSeed()} }),
	}
}

func channelIndex(c iys.Channel) (int, bool) {
	switch c {
	case iys.ChannelSMS:
		return 0, true
	case iys.ChannelEmail:
		return 1, true
	case iys.ChannelCall:
		return 2, true
	}
	return 0, false
}

func typeIndex(t iys.RecipientType) (int, bool) {
	switch t {
	case iys.RecipientPerson:
		return 0, true
	case iys.RecipientMerchant:
		return 1, true
	}
	return 0, false
}

// hash places an address within its scope. Capitals in an e-mail address make no difference: one
// spelling must not slip past a block of the other.
func hash(seed maphash.Seed, address string) uint64 {
	// ToLower returns its argument without a copy when it is lower already.
	return maphash.String(seed, strings.ToLower(address))
}

// Entry is what the mirror knows of one consent.
type Entry struct {
	Status      iys.Status
	Source      iys.Source // empty when unknown
	Origin      iys.Origin
	ConsentDate time.Time // zero for look-up answers
	ReadAt      time.Time // look-up answers only: when İYS was asked; others are kept by pull
}

// Lookup returns the record of an address, false when there is none, or none
// that can be trusted any more.
func (m *Mirror) Lookup(brand string, ch iys.Channel, rt iys.RecipientType, address string) (Entry, bool) {
	c, okc := channelIndex(ch)
	t, okt := typeIndex(rt)
	b := m.brands.get(brand)
	if !okc || !okt || b == nil {
		return Entry{}, false
	}
	return m.lookup(b, c, t, address)
}

func (m *Mirror) lookup(b *brandScope, c, t int, address string) (Entry, bool) {
	v, ok := m.consents.get(hash(b.seeds[c][t], address))
	if !ok {
		return Entry{}, false
	}
	return b.entry(v, c)
}

// entry reads a stored value; false when what it says can no longer be trusted.
func (b *brandScope) entry(v uint64, c int) (Entry, bool) {
	e := unpack(v)
	if e.Status != iys.StatusRejected && generation(v) != b.trustGen[c].Load()&maxGen {
		return Entry{}, false
	}
	return e, true
}

// Put stores a record, whatever was there before: the caller has resolved
// conflicts. A record that says nothing certain (unknown channel, type or
// status, or an approval read before the last Distrust) removes the entry, so
// that İYS is asked. Put reports whether the record is now held.
func (m *Mirror) Put(r iys.Consent) bool {
	in, known := m.slotOf(&r)
	switch {
	case !known:
		return false
	case in.value == 0:
		m.consents.del(in.hash)
		return false
	}
	m.consents.put(in.hash, in.value, true)
	return true
}

// slotOf is what a record becomes. Its value is 0 when the record says nothing certain; known is false for a channel or a type
// that has no place.
func (m *Mirror) slotOf(r *iys.Consent) (in slot, known bool) {
	c, okc := channelIndex(r.Channel)
	t, okt := typeIndex(r.RecipientType)
	if !okc || !okt {
		return slot{}, false
	}
	b := m.brands.add(r.Brand)
	in.hash = hash(b.seeds[c][t], r.Recipient)
	gen := b.trustGen[c].Load() // first of all: see Distrust
	if r.Status != iys.StatusRejected && !b.trusting[c].Load() {
		b.trusting[c].Store(true)
	}
	v, ok := pack(r, gen)
	if trust := b.trust[c].Load(); trust != 0 && r.Status != iys.StatusRejected {
		ok = ok && !r.ReadAt.IsZero() && r.ReadAt.UnixNano() >= trust
	}
	if ok {
		in.value = v
	}
	return in, true
}

// Forget removes a record.
func (m *Mirror) Forget(k iys.Key) {
	c, okc := channelIndex(k.Channel)
	t, okt := typeIndex(k.RecipientType)
	if b := m.brands.get(k.Brand); b != nil && okc && okt {
		m.consents.del(hash(b.seeds[c][t], k.Recipient))
	}
}

// Distrust makes every approval and every look-up answer of a brand's channel
// read before from count as absent; refusals stay. It is for the case that
// movements were lost: the listing of changes reaches seven days back, and
// nobody pulled for longer.
func (m *Mirror) Distrust(brand string, ch iys.Channel, from time.Time) {
	c, ok := channelIndex(ch)
	if !ok {
		return
	}
	b := m.brands.add(brand)
	b.trust[c].Store(from.UnixNano())
	// A brand that cannot be pulled is distrusted every hour: where nothing was
	// put since, all there is bears an older count already. Who puts something
	// meanwhile bears the count of before, which this or an earlier call made
	// void, or says so behind this one and sees from.
	if b.trusting[c].Swap(false) {
		b.trustGen[c].Add(1)
	}
	b.pulled[c].Store(0)
}

// Pulled notes that a pull begun at start has reached the end of the listings
// of a brand's channel. An older start than the one noted changes nothing.
func (m *Mirror) Pulled(brand string, ch iys.Channel, start time.Time) {
	c, ok := channelIndex(ch)
	if !ok || start.IsZero() {
		return
	}
	p := &m.brands.add(brand).pulled[c]
	for ns := start.UnixNano(); ; {
		old := p.Load()
		if old >= ns || p.CompareAndSwap(old, ns) {
			return
		}
	}
}

// PulledAt returns the start of the last complete pull, zero when there is none.
func (m *Mirror) PulledAt(brand string, ch iys.Channel) time.Time {
	c, ok := channelIndex(ch)
	if b := m.brands.get(brand); ok && b != nil {
		return instant(b.pulled[c].Load())
	}
	return time.Time{}
}

func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// Block stops commercial messages to an address, for both recipient types. It
// acts at once; the caller commits it afterwards and acknowledges only then.
// Of two blocks the later Since holds, because a lift must follow the last
// refusal.
func (m *Mirror) Block(b iys.Block) {
	c, ok := channelIndex(b.Channel)
	if !ok {
		return
	}
	h := hash(m.brands.add(b.Brand).blocks[c], b.Recipient)
	since := uint64(max(b.Since.Unix(), 1))
	if old, ok := m.blocks.get(h); ok && old > since {
		return
	}
	m.blocks.put(h, since, true)
}

// Unblock ends a block. Whether it may end is iys.Lifts' to say.
func (m *Mirror) Unblock(brand string, ch iys.Channel, address string) {
	c, ok := channelIndex(ch)
	if b := m.brands.get(brand); ok && b != nil {
		m.blocks.del(hash(b.blocks[c], address))
	}
}

// Blocked reports a block and since when (whole seconds).
func (m *Mirror) Blocked(brand string, ch iys.Channel, address string) (time.Time, bool) {
	c, ok := channelIndex(ch)
	b := m.brands.get(brand)
	if !ok || b == nil {
		return time.Time{}, false
	}
	v, blocked := m.blocks.get(hash(b.blocks[c], address))
	if !blocked {
		return time.Time{}, false
	}
	return time.Unix(int64(v), 0), true
}

// Blacklist stops every message of an account to an address.
func (m *Mirror) Blacklist(account, address string) {
	m.blacklist.put(hash(m.accounts.add(account).seed, address), 1, true)
}

// Unblacklist takes an address off the list.
func (m *Mirror) Unblacklist(account, address string) {
	if a := m.accounts.get(account); a != nil {
		m.blacklist.del(hash(a.seed, address))
	}
}

// Blacklisted reports whether an address is on the account's list.
func (m *Mirror) Blacklisted(account, address string) bool {
	if m.blacklist.empty() {
		return false
	}
	a := m.accounts.get(account)
	if a == nil {
		return false
	}
	_, ok := m.blacklist.get(hash(a.seed, address))
	return ok
}

// Question names one recipient.
type Question struct {
	Account       string
	Brand         string
	Channel       iys.Channel
	RecipientType iys.RecipientType
	Address       string
}

// Facts gathers what the mirror knows for iys.Decide: suppressions, consent
// and freshness. The rest of iys.Facts (declaration, exemption, a failed live
// look-up, another freshness limit) is the caller's to add. It allocates
// nothing. Before the first Load has ended it returns the zero Facts, which
// refuse.
func (m *Mirror) Facts(q Question) iys.Facts {
	if !m.ready.Load() {
		return iys.Facts{}
	}
	f := iys.Facts{Checked: true}
	b := m.brands.get(q.Brand)
	c, okc := channelIndex(q.Channel)
	t, okt := typeIndex(q.RecipientType)
	var blacklisted, blocked, held look
	if a := m.accounts.get(q.Account); a != nil {
		blacklisted = m.blacklist.begin(hash(a.seed, q.Address))
	}
	if b != nil && okc {
		// The freshness is read before the record: if a pull ends in between, the
		// record may be newer than its age says, never older.
		f.PulledAt = instant(b.pulled[c].Load())
		blocked = m.blocks.begin(hash(b.blocks[c], q.Address))
		if okt {
			held = m.consents.begin(hash(b.seeds[c][t], q.Address))
		}
	}
	blacklisted.fetch()
	blocked.fetch()
	held.fetch()
	_, f.Blacklisted = blacklisted.end()
	_, f.Blocked = blocked.end()
	v, ok := held.end()
	if !ok {
		return f
	}
	if e, ok := b.entry(v, c); ok {
		f.Consent = iys.Evidence{
			Status: e.Status, Read: iys.ReadMirror, Origin: e.Origin,
			ReadAt: e.ReadAt, ConsentDate: e.ConsentDate, Source: e.Source,
		}
	}
	return f
}

// Size counts records and the bytes of their arrays.
type Size struct {
	Consents, Blocks, Blacklisted int
	Bytes                         int
}

// Size returns the present counts.
func (m *Mirror) Size() Size {
	return Size{
		m.consents.len(), m.blocks.len(), m.blacklist.len(),
		m.consents.bytes() + m.blocks.bytes() + m.blacklist.bytes(),
	}
}

// Pull is the durable note of a brand's freshness.
type Pull struct {
	Brand   string
	Channel iys.Channel
	Start   time.Time // of the last complete pull
	Trust   time.Time // of the last Distrust; zero = never
}

// Ready reports whether a Load has ended.
func (m *Mirror) Ready() bool { return m.ready.Load() }
