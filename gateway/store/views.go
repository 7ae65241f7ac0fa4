package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/gateway/sms"
)

// Page sizes.
const (
	defaultPage = 50
	maxPage     = 500
)

func pageSize(n int) int {
	if n <= 0 {
		return defaultPage
	}
	return min(n, maxPage)
}

// notFound is the answer for anything that is not there or belongs to somebody else.
func notFound(what, id string) error {
	return gateway.Refuse(gateway.CodeNotFound, what, "%s %s does not exist", what, id)
}

// stored is one message put together from its records.
type stored struct {
	id        gateway.MessageID
	batch     *gateway.Batch
	recipient *gateway.Recipient
	progress  gateway.Progress
	accept    gateway.DecisionRef
	flags     byte
}

func readMessage(txn *badger.Txn, id gateway.MessageID) (*stored, error) {
	b, rs, at, err := readBlock(txn, id.Ref(), id.Index/gateway.BlockSize)
	if err != nil {
		return nil, err
	}
	i := int(id.Index % gateway.BlockSize)
	if b == nil || i >= len(rs) {
		return nil, nil
	}
	at.Pos += uint16(i)
	m := &stored{id: id, batch: b, recipient: &rs[i], accept: at}
	v, err := getValue(txn, progressKey(id))
	if err == nil && v != nil {
		m.progress, err = decodeProgress(v)
	}
	if err != nil {
		return nil, err
	}
	m.flags, err = readFlags(txn, id.Ref())
	return m, err
}

func readFlags(txn *badger.Txn, ref gateway.BatchRef) (byte, error) {
	v, err := getValue(txn, flagsKey(ref))
	if err != nil || len(v) == 0 {
		return 0, err
	}
	return v[0], nil
}

// state is where the message stands now: what acceptance decided until something happened to it.
func (m *stored) state(now time.Time) (gateway.State, gateway.Code) {
	if m.progress.State != gateway.StateNone {
		return m.progress.State, m.progress.Code
	}
	if m.recipient.State == gateway.StateDropped {
		return gateway.StateDropped, m.recipient.Code
	}
	if m.flags&flagPaused != 0 {
		return gateway.StateHeld, gateway.CodePaused
	}
	if m.batch.SendAt.After(now) {
		return gateway.StateScheduled, ""
	}
	if m.recipient.State == gateway.StateHeld {
		return gateway.StateHeld, m.recipient.Code
	}
	return gateway.StateQueued, ""
}

func (m *stored) view(now time.Time) gateway.MessageView {
	b, r, p := m.batch, m.recipient, &m.progress
	st, code := m.state(now)
	v := gateway.MessageView{
		ID: m.id, Batch: m.id.Ref(), Ref: r.Ref, Channel: b.Channel, Class: b.Class, Brand: b.Brand, From: b.From, To: r.Address,
		State: st, Code: code, Parts: int(r.Segments), Attempts: int(p.Attempts), Unanswered: int(p.Doubts), Operator: p.Operator,
		Encoding: sms.Encoding(r.Encoding).String(),
		Created:  b.Created(), SendAt: b.SendAt, ValidUntil: b.ValidUntil, Updated: b.Created(), NextAt: p.NextAt,
	}
	if !p.Updated.IsZero() {
		v.Updated = p.Updated
	}
	for _, s := range p.Segments {
		v.Segments = append(v.Segments, gateway.SegmentView{State: s.State, OperatorID: s.OperatorID, Error: s.Err})
	}
	return v
}

// Message tells where one message stands, with its timeline.
func (s *Store) Message(_ context.Context, a gateway.AccountID, id gateway.MessageID) (v gateway.MessageView, err error) {
	if id.Account != a {
		return v, notFound("message", id.String())
	}
	err = s.db.View(func(txn *badger.Txn) error {
		m, err := readMessage(txn, id)
		if err != nil {
			return err
		}
		if m == nil {
			return notFound("message", id.String())
		}
		v = m.view(s.opt.Now())
		ds, err := decisionsAt(txn, a, m.progress.Decisions)
		v.Timeline = timeline(m, &v, ds)
		return err
	})
	return v, err
}

// timeline tells the story of a message from its records.
func timeline(m *stored, v *gateway.MessageView, ds []gateway.DecisionView) []gateway.Moment {
	out := []gateway.Moment{{At: v.Created, State: gateway.StateAccepted}}
	if m.recipient.State == gateway.StateDropped {
		return append(out, gateway.Moment{At: v.Created, State: gateway.StateDropped, Code: m.recipient.Code})
	}
	for _, d := range ds {
		st := gateway.StateQueued
		switch d.Kind {
		case "hold":
			st = gateway.StateHeld
		case "drop":
			continue // told by the final state below
		}
		out = append(out, gateway.Moment{At: d.At, State: st, Note: d.Rule})
	}
	if !m.progress.Sent.IsZero() {
		out = append(out, gateway.Moment{At: m.progress.Sent, State: gateway.StateSent, Note: m.progress.Operator})
	}
	if v.State.Final() {
		out = append(out, gateway.Moment{At: v.Updated, State: v.State, Code: v.Code})
	}
	return out
}

// Lookup resolves any id a client can hold: a message id or the id of a part of a long message.
func (s *Store) Lookup(a gateway.AccountID, id string) (gateway.MessageID, error) {
	// The id of a part looks like that of a message, so parts come first.
	var m gateway.MessageID
	err := s.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, partIDKey(id))
		if err != nil {
			return err
		}
		text := id
		if v != nil {
			d := dec{b: v}
			text = d.text()
		}
		m, err = gateway.ParseMessageID(text)
		if errors.Is(err, gateway.ErrBadID) && v == nil {
			return notFound("message", id)
		}
		return err
	})
	if err == nil && m.Account != a {
		err = notFound("message", id)
	}
	return m, err
}

// Decisions returns every decision about a message, newest first: the first is the one in effect.
func (s *Store) Decisions(_ context.Context, a gateway.AccountID, id gateway.MessageID) (out []gateway.DecisionView, err error) {
	if id.Account != a {
		return nil, notFound("message", id.String())
	}
	err = s.db.View(func(txn *badger.Txn) error {
		m, err := readMessage(txn, id)
		if err != nil {
			return err
		}
		if m == nil {
			return notFound("message", id.String())
		}
		out, err = decisionsAt(txn, a, append([]gateway.DecisionRef{m.accept}, m.progress.Decisions...))
		return err
	})
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out, err
}

// Batch returns a batch with its counts, taken now.
func (s *Store) Batch(_ context.Context, a gateway.AccountID, ref gateway.BatchRef) (v gateway.BatchView, err error) {
	if ref.Account != a {
		return v, notFound("batch", ref.String())
	}
	now := s.opt.Now()
	err = s.db.View(func(txn *badger.Txn) error {
		raw, err := getBatch(txn, ref)
		if err != nil {
			return err
		}
		if raw == nil {
			return notFound("batch", ref.String())
		}
		b, _, err := decodeHeader(raw, ref)
		if err != nil {
			return err
		}
		flags, err := readFlags(txn, ref)
		if err != nil {
			return err
		}
		v = gateway.BatchView{ID: ref, Channel: b.Channel, Class: b.Class, Brand: b.Brand, From: b.From, Created: b.Created(),
			SendAt: b.SendAt, ValidUntil: b.ValidUntil, Count: b.Count, Paused: flags&flagPaused != 0, Cancelled: flags&flagCancelled != 0,
			States: map[string]int{}, Reasons: map[string]int{}}
		return eachStored(txn, ref, 0, func(m *stored) bool {
			m.flags = flags
			st, code := m.state(now)
			v.States[st.String()]++
			if code != "" {
				v.Reasons[string(code)]++
			}
			return true
		})
	})
	return v, err
}

// eachStored visits the messages of a batch in order, from the given block on, until f says stop.
func eachStored(txn *badger.Txn, ref gateway.BatchRef, from uint32, f func(*stored) bool) error {
	r := &batchReader{txn: txn}
	for block := from; ; block++ {
		b, rs, at, err := r.block(ref, block)
		if err != nil || b == nil {
			return err
		}
		ps := make([]gateway.Progress, len(rs))
		if err := readProgress(txn, ref, block*gateway.BlockSize, ps); err != nil {
			return err
		}
		for i := range rs {
			place := at
			place.Pos += uint16(i)
			m := &stored{id: ref.Message(block*gateway.BlockSize + uint32(i)), batch: b, recipient: &rs[i], progress: ps[i], accept: place}
			if !f(m) {
				return nil
			}
		}
		if int(block+1)*gateway.BlockSize >= b.Count {
			return nil
		}
	}
}

// Messages lists messages newest first. The cursor is the id of the last message of the page before.
func (s *Store) Messages(_ context.Context, a gateway.AccountID, f gateway.MessageFilter) (page gateway.Page[gateway.MessageView], err error) {
	limit := pageSize(f.Limit)
	page.Items = []gateway.MessageView{}
	var after gateway.MessageID
	if f.Cursor != "" {
		if after, err = gateway.ParseMessageID(f.Cursor); err != nil || after.Account != a {
			return page, gateway.Refuse(gateway.CodeInvalid, "cursor", "the cursor is not one of ours")
		}
	}
	now := s.opt.Now()
	scanned, began := 0, time.Now()
	take := func(m *stored) bool {
		scanned++
		st, _ := m.state(now)
		if (f.State == gateway.StateNone || st == f.State) && (f.To == "" || m.recipient.Address == f.To) {
			page.Items = append(page.Items, m.view(now))
		}
		// A rare state in a large store must not hold the caller for ever: the page ends early with a cursor to go on.
		if len(page.Items) == limit || scanned >= maxScan || scanned%scanLook == 0 && time.Since(began) > scanTime {
			page.Next = m.id.String()
			return false
		}
		return true
	}
	err = s.db.View(func(txn *badger.Txn) error {
		switch {
		case f.Batch != (gateway.BatchRef{}):
			if f.Batch.Account != a {
				return notFound("batch", f.Batch.String())
			}
			return listBatch(txn, f.Batch, after, take)
		case f.To != "":
			return listAddress(txn, a, &f, after, take)
		default:
			return listAccount(txn, a, &f, after, take)
		}
	})
	return page, err
}

// Bounds of the search for one page: how many messages it may look at, how long it may take, and after how many messages the
// clock is looked at.
const (
	maxScan  = 20_000
	scanTime = 20 * time.Millisecond
	scanLook = 200
)

func listBatch(txn *badger.Txn, ref gateway.BatchRef, after gateway.MessageID, take func(*stored) bool) error {
	skip := !after.IsZero()
	flags, err := readFlags(txn, ref)
	if err != nil {
		return err
	}
	return eachStored(txn, ref, after.Index/gateway.BlockSize, func(m *stored) bool {
		if skip && m.id.Index <= after.Index {
			return true
		}
		m.flags = flags
		return take(m)
	})
}

// listAddress walks the messages to an address backwards: the newest batch first.
func listAddress(txn *badger.Txn, a gateway.AccountID, f *gateway.MessageFilter, after gateway.MessageID, take func(*stored) bool) error {
	ids, err := addressRefs(txn, a, f.To, f.Since)
	if err != nil {
		return err
	}
	if !after.IsZero() { // they fall
		i, found := slices.BinarySearchFunc(ids, after, func(x, y gateway.MessageID) int {
			return -cmp.Or(cmp.Compare(x.Batch, y.Batch), cmp.Compare(x.Index, y.Index))
		})
		if found {
			i++
		}
		ids = ids[i:]
	}
	for _, id := range ids {
		m, err := readMessage(txn, id)
		if err != nil {
			return err
		}
		if m != nil && m.recipient.Address == f.To && !take(m) {
			return nil
		}
	}
	return nil
}

// listAccount walks the account's batches newest first, within a batch by index.
func listAccount(txn *badger.Txn, a gateway.AccountID, f *gateway.MessageFilter, after gateway.MessageID, take func(*stored) bool) error {
	newest := ^gateway.BatchID(0)
	if !after.IsZero() {
		newest = after.Batch
	}
	c := newBatchCursor(txn, a, newest, true)
	defer c.close()
	for c.next() {
		ref := c.ref()
		if ref.Batch.Time().Before(f.Since) {
			return nil
		}
		from := gateway.MessageID{}
		if ref == after.Ref() {
			from = after
		}
		stop := false
		if err := listBatch(txn, ref, from, func(m *stored) bool { stop = !take(m); return !stop }); err != nil || stop {
			return err
		}
	}
	return c.err
}

// Inbound lists inbound messages oldest first, so that a client can poll with the cursor it got last.
func (s *Store) Inbound(_ context.Context, a gateway.AccountID, cursor string, limit int) (page gateway.Page[gateway.Inbound], err error) {
	limit = pageSize(limit)
	page.Items = []gateway.Inbound{}
	page.Next = cursor
	var after uint64
	if cursor != "" {
		if after, err = strconv.ParseUint(cursor, 36, 64); err != nil {
			return page, gateway.Refuse(gateway.CodeInvalid, "cursor", "the cursor is not one of ours")
		}
	}
	err = s.db.View(func(txn *badger.Txn) error {
		prefix := newKey(kInbound, 4).account(a)
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: limit})
		defer it.Close()
		for it.Seek(inboundKey(a, after+1)); it.ValidForPrefix(prefix) && len(page.Items) < limit; it.Next() {
			var in gateway.Inbound
			if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &in) }); err != nil {
				return err
			}
			page.Items = append(page.Items, in)
			page.Next = in.ID
		}
		return nil
	})
	return page, err
}

// Balance returns the account's credits.
func (s *Store) Balance(_ context.Context, a gateway.AccountID) (out gateway.Balance, err error) {
	acct := s.Directory().Accounts[a]
	if acct == nil {
		return out, notFound("account", strconv.Itoa(int(a)))
	}
	err = s.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, balanceKey(a))
		if err != nil {
			return err
		}
		var l ledger
		err = l.decode(v)
		out = l.view()
		return err
	})
	out.Warning = acct.Policy.CreditWarning
	return out, err
}

// Named reads a small named value; ok is false when there is none.
func (s *Store) Named(name string) (v []byte, ok bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		v, err = getValue(txn, namedKey(name))
		return err
	})
	return v, v != nil, err
}

// PutNamed writes a small named value and returns after the sync; nil removes it.
func (s *Store) PutNamed(name string, v []byte) error {
	return s.do(func(t *tx) error {
		if v == nil {
			return t.del(namedKey(name))
		}
		return t.set(namedKey(name), append([]byte(nil), v...), 0)
	})
}

// IsRefusal reports whether err is meant for the caller's eyes.
func IsRefusal(err error) bool {
	var e *gateway.Error
	return errors.As(err, &e)
}
