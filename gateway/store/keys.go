package store

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"izinli/gateway"
)

// version of the key layout and value encodings. A store written by a newer version is refused; one of an older version is read, and
// belongs to this one from its opening on. 2: pages of batches and addresses, bodies in a log.
const version = 2

// Key layout. Integers are big endian, so that keys sort by them; times are Unix milliseconds. The first octet is the kind:
//
//	v                                        store header: version, instance id
//	b account4 batch8                        batch, with its recipients when they fit one block
//	7 account4 batch8                        page of small batches that one transaction accepted, under the first of them
//	r account4 batch8 block4                 recipients [block*100, block*100+100) of a larger batch
//	t account4 batch8                        staging mark: blocks written, batch not yet accepted
//	f account4 batch8                        flags of a batch: paused, cancelled, released; a second octet once it is settled
//	s account4 batch8 index4                 progress of a message
//	a account4 hash8 batch8 index4           address index: entry of one message, of older stores and for messages under legal hold
//	4 account4 seq8                          address index: page, the messages of one transaction
//	5 account4 run8 hash5 chunk4             address index: chunk of a run
//	6 account4 run8                          address index: run
//	d lane1 account4 due8 batch8 first4      due index; value: count from first, further spans (batch, first, count)
//	z due8 account4 batch8                   batches whose open ends are settled at due (validity other than the default)
//	c account4 day4 seq4                     decision chain record
//	C account4                               end of the decision chain: day4 seq4 hash32 of its last record
//	o operator 00 id                         operator's message id → message, segment, whether of a copy
//	p operator 00 id                         receipt that came before its message id was known
//	P account4 set16 turn8 seq1              part of a long message that is not accepted yet; older stores: without turn. The highest bit of
//	                                         the turn marks a set that is closed
//	q id                                     further ids of a message (parts of a long SMPP message) → message
//	g account4                               balance
//	l account4 day4                          ledger of the batches of a day: charged, refunded
//	G account4 seq8                          credits added by hand
//	i account4 key                           idempotency record
//	w system 00 seq8                         receipt or MO owed to an SMPP client
//	e account4 next8 seq8                    event owed to a webhook
//	E account4 seq8                          where in time an event stands
//	Z account4 seq8                          event that was given up
//	n account4 seq8                          inbound message
//	M account4 brand 00 channel1 type1 addr  consent
//	H account4 brand 00 channel1 addr 00 seq8   history of an address
//	B account4 brand 00 channel1 addr        block
//	L account4 addr                          blacklist: time, note (absent in old ones)
//	x seq8                                   İYS outbox entry that is open
//	y seq8                                   İYS outbox entry that is finished
//	X brand 00 channel1 type1 addr 00        open outbox entries of an address: seq8 each
//	W status1 next8 seq8                     open outbox entries in the order in which they are due
//	u name                                   small named values: pull cursors, tokens, sweep positions
//	D kind 00 id                             directory record
//	A seq8                                   audit trail of the administration
//	R day4                                   roots of a day's decisions, JSON
//	h account4 what                          legal hold on an account, a message (m id) or an address (a addr), JSON
//	j account4 id8                           consent import job
//	J account4 id8 row4                      refused row of an import
//	U name                                   user of the panel
//	k code                                   short link of a text message
//	T brand 00 day4 creation8 transaction 00 channel1 type1 status1 addr   movement İYS has registered, in the order of its daily file
//	I id8                                    repair plan of a reconciliation
//	Q id8 n4                                 item of a repair plan
//	Y brand 00 date                          reconciliation of a day
//	V brand 00 date                          time stamp of an agreed day (.tsr)
//	F account4 brand 00 channel1 type1 addr  name of a citizen who added himself
//	O code                                   opt-in: a request made at a consent form
//	m body                                   octets of a small mail body
//	3 body                                   place of a small mail body in the log of bodies
//	K body                                   use of a body: batch, messages that still need it; none of a small body of one recipient
//	S account4 addr                          address mail does not go to (bounces)
//	2 account4 id8                           question put to a person over ViA
//	N account4 batch8 index4                 delivery status notification owed to a submitter of mail
//	1 at8 account4 batch8 index4             wish for word of a delay: accepted at, or for good when the next hop has to tell
const (
	kHeader      = 'v'
	kBatch       = 'b'
	kBatchPage   = '7'
	kBlock       = 'r'
	kStaging     = 't'
	kFlags       = 'f'
	kProgress    = 's'
	kAddress     = 'a'
	kAddressPage = '4'
	kAddressRun  = '6'
	kDue         = 'd'
	kSettle      = 'z'
	kChain       = 'c'
	kChainEnd    = 'C'
	kOperatorID  = 'o'
	kParked      = 'p'
	kPart        = 'P'
	kPartID      = 'q'
	kBalance     = 'g'
	kLedgerDay   = 'l'
	kCredit      = 'G'
	kIdempotency = 'i'
	kOwed        = 'w'
	kEvent       = 'e'
	kEventPlace  = 'E'
	kEventFailed = 'Z'
	kInbound     = 'n'
	kConsent     = 'M'
	kHistory     = 'H'
	kBlockMark   = 'B'
	kBlacklist   = 'L'
	kOutbox      = 'x'
	kOutboxDone  = 'y'
	kOutboxOpen  = 'X'
	kOutboxDue   = 'W'
	kNamed       = 'u'
	kDirectory   = 'D'
	kAudit       = 'A'
	kRoot        = 'R'
	kHold        = 'h'
	kImport      = 'j'
	kImportRow   = 'J'
	kUser        = 'U'
	kLink        = 'k'
	kMovement    = 'T'
	kNewcomer    = 'F'
	kOptIn       = 'O'
	kBody        = 'm'
	kBodyPlace   = '3'

	kAddressChunk = '5'
	kBodyUse      = 'K'
	kSuppressed   = 'S'
	kNotice       = 'N'
	kDelay        = '1'
	kPlan         = 'I'
	kPlanItem     = 'Q'
	kDay          = 'Y'
	kProof        = 'V'
	kVia          = '2'
)

// key builds a key front to back.
type key []byte

func newKey(kind byte, room int) key { return append(make(key, 0, 1+room), kind) }

func (k key) u8(v byte) key                   { return append(k, v) }
func (k key) u32(v uint32) key                { return binary.BigEndian.AppendUint32(k, v) }
func (k key) u64(v uint64) key                { return binary.BigEndian.AppendUint64(k, v) }
func (k key) account(a gateway.AccountID) key { return k.u32(uint32(a)) }
func (k key) text(s string) key               { return append(k, s...) }
func (k key) textZ(s string) key              { return append(append(k, s...), 0) }
func (k key) at(t time.Time) key              { return k.u64(uint64(max(0, t.UnixMilli()))) }
func (k key) batch(b gateway.BatchRef) key    { return k.account(b.Account).u64(uint64(b.Batch)) }

func optInKey(code string) key { return newKey(kOptIn, len(code)).text(code) }

func linkKey(code string) key { return newKey(kLink, len(code)).text(code) }

func batchKey(b gateway.BatchRef) key     { return newKey(kBatch, 12).batch(b) }
func batchPageKey(b gateway.BatchRef) key { return newKey(kBatchPage, 12).batch(b) }
func stagingKey(b gateway.BatchRef) key   { return newKey(kStaging, 12).batch(b) }
func flagsKey(b gateway.BatchRef) key     { return newKey(kFlags, 12).batch(b) }

func blockKey(b gateway.BatchRef, block uint32) key {
	return newKey(kBlock, 16).batch(b).u32(block)
}

func progressKey(m gateway.MessageID) key {
	return newKey(kProgress, 16).batch(m.Ref()).u32(m.Index)
}

func addressKey(a gateway.AccountID, hash uint64, b gateway.BatchID, index uint32) key {
	return newKey(kAddress, 24).account(a).u64(hash).u64(uint64(b)).u32(index)
}

func addressPageKey(a gateway.AccountID, seq uint64) key {
	return newKey(kAddressPage, 12).account(a).u64(seq)
}

func addressRunKey(a gateway.AccountID, run uint64) key {
	return newKey(kAddressRun, 12).account(a).u64(run)
}

func addressChunkPrefix(a gateway.AccountID, run uint64) key {
	return newKey(kAddressChunk, 21).account(a).u64(run)
}

func addressChunkKey(a gateway.AccountID, run, hash uint64, chunk uint32) key {
	return addressChunkPrefix(a, run).u8(byte(hash >> 32)).u32(uint32(hash)).u32(chunk)
}

func dueKey(r gateway.DueRef) key {
	return newKey(kDue, 25).u8(byte(r.Lane)).account(r.Account).at(r.Due).u64(uint64(r.Batch)).u32(r.First)
}

func duePrefix(l gateway.Lane, a gateway.AccountID) key {
	return newKey(kDue, 25).u8(byte(l)).account(a)
}

// parseDue reads a due entry back.
func parseDue(k, v []byte) (gateway.DueRef, error) {
	d := dec{b: v}
	r := gateway.DueRef{
		Lane:    gateway.Lane(k[1]),
		Account: gateway.AccountID(binary.BigEndian.Uint32(k[2:])),
		Due:     time.UnixMilli(int64(binary.BigEndian.Uint64(k[6:]))),
		Batch:   gateway.BatchID(binary.BigEndian.Uint64(k[14:])),
		First:   binary.BigEndian.Uint32(k[22:]),
		Count:   uint32(d.uint()),
	}
	if n := d.count(3); n > 0 {
		r.More = make([]gateway.Span, n)
		for i := range r.More {
			r.More[i] = gateway.Span{Batch: gateway.BatchID(d.uint()), First: uint32(d.uint()), Count: uint32(d.uint())}
		}
	}
	return r, d.err("due entry")
}

func dueValue(r *gateway.DueRef) enc {
	e := make(enc, 0, 4+12*len(r.More))
	e.uint(uint64(r.Count))
	e.uint(uint64(len(r.More)))
	for _, m := range r.More {
		e.uint(uint64(m.Batch))
		e.uint(uint64(m.First))
		e.uint(uint64(m.Count))
	}
	return e
}

func settleKey(due time.Time, b gateway.BatchRef) key {
	return newKey(kSettle, 20).at(due).batch(b)
}

func chainKey(a gateway.AccountID, day, seq uint32) key {
	return newKey(kChain, 12).account(a).u32(day).u32(seq)
}

func chainEndKey(a gateway.AccountID) key { return newKey(kChainEnd, 4).account(a) }

func operatorIDKey(operator, id string) key {
	return newKey(kOperatorID, len(operator)+1+len(id)).textZ(operator).text(id)
}

func parkedKey(operator, id string) key {
	return newKey(kParked, len(operator)+1+len(id)).textZ(operator).text(id)
}

func partIDKey(id string) key { return newKey(kPartID, len(id)).text(id) }

func balanceKey(a gateway.AccountID) key { return newKey(kBalance, 4).account(a) }

func ledgerDayKey(a gateway.AccountID, day uint32) key {
	return newKey(kLedgerDay, 8).account(a).u32(day)
}

func creditKey(a gateway.AccountID, seq uint64) key {
	return newKey(kCredit, 12).account(a).u64(seq)
}

func idempotencyKey(a gateway.AccountID, k string) key {
	return newKey(kIdempotency, 4+len(k)).account(a).text(k)
}

func owedKey(system string, seq uint64) key {
	return newKey(kOwed, len(system)+9).textZ(system).u64(seq)
}

func eventKey(a gateway.AccountID, next time.Time, seq uint64) key {
	return newKey(kEvent, 20).account(a).at(next).u64(seq)
}

func eventPlaceKey(a gateway.AccountID, seq uint64) key {
	return newKey(kEventPlace, 12).account(a).u64(seq)
}

func eventFailedKey(a gateway.AccountID, seq uint64) key {
	return newKey(kEventFailed, 12).account(a).u64(seq)
}

func inboundKey(a gateway.AccountID, seq uint64) key {
	return newKey(kInbound, 12).account(a).u64(seq)
}

func consentKey(a gateway.AccountID, brand string, channel, rtype byte, addr string) key {
	return newKey(kConsent, 8+len(brand)+len(addr)).account(a).textZ(brand).u8(channel).u8(rtype).text(addr)
}

func historyPrefix(a gateway.AccountID, brand string, channel byte, addr string) key {
	return newKey(kHistory, 16+len(brand)+len(addr)).account(a).textZ(brand).u8(channel).textZ(addr)
}

func blockMarkKey(a gateway.AccountID, brand string, channel byte, addr string) key {
	return newKey(kBlockMark, 8+len(brand)+len(addr)).account(a).textZ(brand).u8(channel).text(addr)
}

func blacklistKey(a gateway.AccountID, addr string) key {
	return newKey(kBlacklist, 4+len(addr)).account(a).text(addr)
}

func namedKey(name string) key { return newKey(kNamed, len(name)).text(name) }

func userKey(name string) key { return newKey(kUser, len(name)).text(name) }

func bodyKey(id string) key    { return newKey(kBody, len(id)).text(id) }
func bodyUseKey(id string) key { return newKey(kBodyUse, len(id)).text(id) }

func bodyPlaceKey(id string) key { return newKey(kBodyPlace, len(id)).text(id) }

func suppressedKey(a gateway.AccountID, addr string) key {
	return newKey(kSuppressed, 4+len(addr)).account(a).text(addr)
}

func delayKey(at uint64, m gateway.MessageID) key {
	return newKey(kDelay, 24).u64(at).batch(m.Ref()).u32(m.Index)
}

func noticeKey(m gateway.MessageID) key {
	return newKey(kNotice, 16).batch(m.Ref()).u32(m.Index)
}

func directoryKey(kind, id string) key {
	return newKey(kDirectory, len(kind)+1+len(id)).textZ(kind).text(id)
}

func importKey(a gateway.AccountID, id uint64) key {
	return newKey(kImport, 12).account(a).u64(id)
}

func importRowPrefix(a gateway.AccountID, id uint64) key {
	return newKey(kImportRow, 16).account(a).u64(id)
}

func importRowKey(a gateway.AccountID, id uint64, line uint32) key {
	return importRowPrefix(a, id).u32(line)
}

// dayOf numbers the Istanbul day of t, from 1970-01-01. Türkiye is at UTC+3 all year since 2016 (iys-api.md §19.8).
func dayOf(t time.Time) uint32 { return uint32((t.Unix() + 3*3600) / 86400) }

// dayText writes a day number as YYYY-MM-DD.
func dayText(day uint32) string {
	return time.Unix(int64(day)*86400, 0).UTC().Format(time.DateOnly)
}

// addressHash spreads addresses over the address index. The store is encrypted as a whole; the hash only bounds key length.
func addressHash(addr string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(addr))
	return h.Sum64()
}
