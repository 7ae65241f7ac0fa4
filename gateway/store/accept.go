package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Bounds of one act of an acceptance, recipients and octets; larger ones are staged.
const (
	stageSize  = 500
	stageBytes = 512 << 10
	headerRoom = 256 // what most batches need without their text
)

// Accept writes a submission so that it survives anything, and returns after the sync. Up to 1000 recipients (and half a MiB) go
// into one commit; larger submissions are staged under a mark that nobody reads, and the last commit makes them accepted together
// with the charge and the idempotency record. An error means nothing was accepted: *gateway.Error, or *gateway.Replay.
func (s *Store) Accept(ctx context.Context, a *gateway.Acceptance) error {
	if s.full.Load() {
		return gateway.Refuse(gateway.CodeStorageFull, "", "")
	}
	if len(a.Recipients) != len(a.Decisions) {
		return fmt.Errorf("store: accept: %d recipients with %d decisions", len(a.Recipients), len(a.Decisions))
	}
	p := &pendingBatch{Acceptance: a, ref: a.Batch.Ref()}
	p.header = make(enc, 0, headerRoom+len(a.Batch.Text))
	p.header.u8(1)
	encodeBatch(&p.header, &a.Batch)
	stages := p.stages()
	if len(stages) <= 1 {
		return s.doIn(a.Batch.Lane() == gateway.LaneOTP, func(t *tx) error {
			if err := p.check(t); err != nil {
				return err
			}
			if err := p.writeRecipients(t, 0, len(a.Recipients)); err != nil {
				return err
			}
			return p.finish(t)
		})
	}
	return s.acceptStaged(ctx, p, stages)
}

// stages cuts the recipients into acts at multiples of the block size and returns the ends. What fits one block is never cut: it
// stands in the batch record itself.
func (p *pendingBatch) stages() (ends []int) {
	n, size, from := len(p.Recipients), 0, 0
	for start := 0; start < n; start += gateway.BlockSize {
		end := min(start+gateway.BlockSize, n)
		block := 0
		for i := start; i < end; i++ {
			block += recipientSize(&p.Recipients[i])
		}
		if start > from && (start-from >= stageSize || size+block > stageBytes) {
			ends, size, from = append(ends, start), 0, start
		}
		size += block
	}
	return append(ends, n)
}

// recipientSize is about what a recipient needs, with its address entry and decision.
func recipientSize(r *gateway.Recipient) int {
	n := 160 + len(r.Address) + len(r.Ref)
	for i := range r.Vars {
		n += 4 + len(r.Vars[i].Name) + len(r.Vars[i].Value)
	}
	return n
}

func (s *Store) acceptStaged(ctx context.Context, p *pendingBatch, stages []int) error {
	if err := s.do(func(t *tx) error {
		if err := p.check(t); err != nil {
			return err
		}
		return t.set(stagingKey(p.ref), nil, 0)
	}); err != nil {
		return err
	}
	// The parts are handed over together; the committer spreads them over its transactions and serves others in between.
	errs := make(chan error, len(stages))
	for i, to := range stages {
		from := 0
		if i > 0 {
			from = stages[i-1]
		}
		s.enqueueBulk(act{func(t *tx) error { return p.writeRecipients(t, from, to) }, func(err error) { errs <- err }})
	}
	var failed error
	for range stages {
		failed = errors.Join(failed, <-errs)
	}
	if failed == nil {
		failed = ctx.Err()
	}
	if failed == nil {
		failed = s.do(func(t *tx) error {
			if err := p.check(t); err != nil {
				return err
			}
			if err := p.finish(t); err != nil {
				return err
			}
			return t.del(stagingKey(p.ref))
		})
	}
	if failed != nil {
		if err := s.dropStaged(p.ref, len(p.Recipients)); err != nil {
			s.log.Warn("staged batch left behind until the next start", "batch", p.ref.String(), "err", err)
		}
	}
	return failed
}

// pendingBatch is an acceptance being written.
type pendingBatch struct {
	*gateway.Acceptance
	ref    gateway.BatchRef
	header enc
	inline enc // recipients of a batch that fits one block, in front of which its decision place stands
}

// check refuses before anything is written: replays and missing credit.
func (p *pendingBatch) check(t *tx) error {
	if err := checkKey(t.txn, p.ref.Account, p.Idempotency); err != nil || p.Credits == 0 {
		return err
	}
	l, err := t.ledger(p.ref.Account)
	if err != nil {
		return err
	}
	return l.covers(p.Credits)
}

// idempotencyLife is how long a key is remembered.
const idempotencyLife = 24 * time.Hour

// checkKey answers a repeat; nil when the key is new or there is none.
func checkKey(txn *badger.Txn, a gateway.AccountID, key *gateway.IdempotencyKey) error {
	if key == nil {
		return nil
	}
	v, err := getValue(txn, idempotencyKey(a, key.Key))
	if err != nil || v == nil {
		return err
	}
	if len(v) < 32 || [32]byte(v[:32]) != key.Hash {
		return gateway.Refuse(gateway.CodeIdempotencyMismatch, "Idempotency-Key", "")
	}
	return &gateway.Replay{Answer: v[32:]}
}

// Precheck says beforehand what Accept would say to an idempotency key (nil: none) and a number of credits: *gateway.Replay,
// *gateway.Error or nil. It stores nothing and promises nothing.
func (s *Store) Precheck(_ context.Context, a gateway.AccountID, key *gateway.IdempotencyKey, credits int64) error {
	return s.db.View(func(txn *badger.Txn) error {
		if err := checkKey(txn, a, key); err != nil || credits == 0 {
			return err
		}
		v, err := getValue(txn, balanceKey(a))
		if err != nil {
			return err
		}
		var l ledger
		if err := l.decode(v); err != nil {
			return err
		}
		return l.covers(credits)
	})
}

// writeRecipients writes blocks and address index of the recipients [from, to); from is a multiple of the block size.
func (p *pendingBatch) writeRecipients(t *tx, from, to int) error {
	single := len(p.Recipients) <= gateway.BlockSize
	for start := from; start < to; start += gateway.BlockSize {
		end := min(start+gateway.BlockSize, to)
		v := make(enc, decisionRefLen, decisionRefLen+(end-start)*48)
		first, err := p.decideAll(t, start, end)
		if err != nil {
			return err
		}
		putDecisionRef(v, first)
		encodeRecipients(&v, p.Recipients[start:end])
		if single {
			p.inline = v
		} else if err := t.set(blockKey(p.ref, uint32(start/gateway.BlockSize)), v, p.ttl(t)); err != nil {
			return err
		}
		for i := start; i < end; i++ {
			t.indexAddress(p.ref.Message(uint32(i)), p.Recipients[i].Address, p.ttl(t))
		}
	}
	return nil
}

// decideAll appends the acceptance decisions of a block, contiguous in one chain record.
func (p *pendingBatch) decideAll(t *tx, start, end int) (first gateway.DecisionRef, err error) {
	if err := t.chainRoom(p.ref.Account, end-start); err != nil {
		return first, err
	}
	for i := start; i < end; i++ {
		d := &p.Decisions[i]
		d.Message = p.ref.Message(uint32(i))
		ref, err := t.decide(p.ref.Account, d)
		if err != nil {
			return first, err
		}
		if i == start {
			first = ref
		}
	}
	return first, nil
}

// ttl is how long the batch is kept: the retention counts from when it is due.
func (p *pendingBatch) ttl(t *tx) time.Duration {
	if t.s.opt.Retention == 0 {
		return 0
	}
	return t.s.opt.Retention + max(0, p.Batch.SendAt.Sub(t.now))
}

// finish makes the batch accepted: header, due entries, charge, idempotency record.
func (p *pendingBatch) finish(t *tx) error {
	v := append(make(enc, 0, len(p.header)+len(p.inline)+binary.MaxVarintLen32), p.header...)
	v.bytes(p.inline)
	if err := t.putBatch(p, v); err != nil {
		return err
	}
	for i := range p.Refused {
		if _, err := t.decide(p.ref.Account, &p.Refused[i]); err != nil {
			return err
		}
	}
	if err := p.writeDue(t); err != nil {
		return err
	}
	if err := t.move(p.ref.Account, p.ref.Batch.Time(), p.Credits); err != nil {
		return err
	}
	for _, id := range p.PartIDs {
		var e enc
		e.text(p.ref.Message(0).String())
		if err := t.set(partIDKey(id), e, 7*24*time.Hour+max(0, p.Batch.SendAt.Sub(t.now))); err != nil {
			return err
		}
	}
	if p.Parts != nil {
		if err := t.dropParts(*p.Parts); err != nil {
			return fatal(err)
		}
	}
	if err := p.keepBody(t); err != nil {
		return fatal(err)
	}
	if err := p.oweDropped(t); err != nil {
		return fatal(err)
	}
	if err := p.settleEntry(t); err != nil {
		return err
	}
	t.accepted = append(t.accepted, p)
	if p.Idempotency != nil {
		v := append(append(make([]byte, 0, 32+len(p.Answer)), p.Idempotency.Hash[:]...), p.Answer...)
		return t.set(idempotencyKey(p.ref.Account, p.Idempotency.Key), v, idempotencyLife)
	}
	return nil
}

// oweDropped tells an SMPP client at once of the recipients that policy dropped at the door, and a submitter of mail of those
// dropped beside accepted ones: when none is left, the door itself refuses.
func (p *pendingBatch) oweDropped(t *tx) error {
	if p.Batch.Door == gateway.DoorSMTP {
		if err := p.wishDelays(t); err != nil {
			return err
		}
		return p.oweDroppedMail(t)
	}
	if p.Batch.Door != gateway.DoorSMPP {
		return nil
	}
	for i := range p.Recipients {
		if r := &p.Recipients[i]; r.State == gateway.StateDropped {
			if err := t.oweReceipt(p.ref.Message(uint32(i)), &p.Batch, r, gateway.StateDropped, r.Code, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// settleEntry makes sure somebody looks at the batch when its messages can no longer change by themselves. Batches sent at
// once with the default validity need no entry: the sweep finds them in the order of their ids.
func (p *pendingBatch) settleEntry(t *tx) error {
	if defaultSettle(&p.Batch) {
		return nil
	}
	due := p.Batch.ValidUntil.Add(gateway.UnknownAfter)
	return t.set(settleKey(due, p.ref), nil, 0)
}

func defaultSettle(b *gateway.Batch) bool {
	return b.ValidUntil.Sub(b.Created()) <= gateway.DefaultValidity+gateway.MaxPast &&
		b.ValidUntil.Sub(b.Created()) >= gateway.DefaultValidity-gateway.MaxPast
}

// writeDue makes the blocks due. Immediate ones become due at the transaction's own instant, so that keys of one account rise
// in the order of commits.
func (p *pendingBatch) writeDue(t *tx) error {
	due := t.now
	if p.Batch.SendAt.After(due) {
		due = p.Batch.SendAt.Truncate(time.Millisecond)
	}
	for start := 0; start < len(p.Recipients); start += gateway.BlockSize {
		end := min(start+gateway.BlockSize, len(p.Recipients))
		waiting := false
		for i := start; i < end && !waiting; i++ {
			waiting = p.Recipients[i].State != gateway.StateDropped
		}
		if !waiting {
			continue
		}
		ref := gateway.DueRef{Account: p.ref.Account, Batch: p.ref.Batch, First: uint32(start), Count: uint32(end - start), Due: due,
			Lane: p.Batch.Lane()}
		put := t.putDue
		if due.Equal(t.now) {
			put = t.shareDue
		}
		if err := put(ref); err != nil {
			return err
		}
	}
	return nil
}

// putDue writes a due entry and tells the feeder after the sync.
func (t *tx) putDue(r gateway.DueRef) error {
	if err := t.set(dueKey(r), dueValue(&r), 0); err != nil {
		return err
	}
	t.wake(r.Lane, r.Account, r.Due)
	return nil
}

// shareDue puts messages that were accepted now into an entry shared with others of this transaction: a stream of single
// submissions then costs an entry per chunk and not one per message.
func (t *tx) shareDue(r gateway.DueRef) error {
	k := laneAccount{r.Lane, r.Account}
	head := t.dues[k]
	if head != nil && head.Messages()+int(r.Count) <= r.Lane.ChunkLimit() {
		head.More = append(head.More, gateway.Span{Batch: r.Batch, First: r.First, Count: r.Count})
		return nil
	}
	if head != nil {
		if err := t.putDue(*head); err != nil {
			return err
		}
	}
	if t.dues == nil {
		t.dues = map[laneAccount]*gateway.DueRef{}
	}
	t.dues[k] = &r
	return nil
}

// dropStaged removes what an acceptance wrote before it failed. The decisions it appended stay: a chain is never shortened.
func (s *Store) dropStaged(ref gateway.BatchRef, recipients int) error {
	for from := 0; from < recipients; from += stageSize {
		if err := s.do(func(t *tx) error { return t.deleteBlocks(ref, from, min(from+stageSize, recipients)) }); err != nil {
			return err
		}
	}
	return s.do(func(t *tx) error { return t.del(stagingKey(ref)) })
}

// deleteBlocks removes the blocks of [from, to). Their address entries lead nowhere then.
func (t *tx) deleteBlocks(ref gateway.BatchRef, from, to int) error {
	for start := from; start < to; start += gateway.BlockSize {
		k := blockKey(ref, uint32(start/gateway.BlockSize))
		v, err := t.get(k)
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		if err := t.del(k); err != nil {
			return err
		}
	}
	return nil
}

func decodeBlock(v []byte) ([]gateway.Recipient, gateway.DecisionRef, error) {
	if len(v) < decisionRefLen {
		return nil, gateway.DecisionRef{}, fmt.Errorf("%w: recipients", errCorrupt)
	}
	ref := getDecisionRef(v)
	d := dec{b: v[decisionRefLen:]}
	rs := decodeRecipients(&d)
	return rs, ref, d.err("recipients")
}
