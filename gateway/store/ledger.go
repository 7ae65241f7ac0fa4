package store

import (
	"context"
	"time"

	"izinli/gateway"
)

// ledger is an account's money. A charge is keyed by its message (it stands in the recipient's stored segments), a refund by
// the message too (Progress.Refunded), so neither can happen twice; per day of acceptance their sums are kept, which lets
// verify prove the balance even after old messages have expired.
type ledger struct {
	credits, charged, refunded, added int64
	seq                               uint64
	days                              map[uint32]ledgerDay // touched in this transaction
}

type ledgerDay struct{ charged, refunded int64 }

func (t *tx) ledger(a gateway.AccountID) (*ledger, error) {
	if l := t.ledgers[a]; l != nil {
		return l, nil
	}
	var l ledger
	if have := t.s.ledgers[a]; have != nil {
		l = *have
	} else {
		v, err := t.get(balanceKey(a))
		if err != nil {
			return nil, err
		}
		if err := l.decode(v); err != nil {
			return nil, errFatal{err}
		}
	}
	l.days = nil
	if t.ledgers == nil {
		t.ledgers = map[gateway.AccountID]*ledger{}
	}
	t.ledgers[a] = &l
	return &l, nil
}

func (l *ledger) decode(v []byte) error {
	if v == nil {
		return nil
	}
	d := dec{b: v}
	l.credits, l.charged, l.refunded, l.added, l.seq = d.int(), d.int(), d.int(), d.int(), d.uint()
	return d.err("balance")
}

func (t *tx) ledgerDay(a gateway.AccountID, l *ledger, day uint32) (ledgerDay, error) {
	if d, ok := l.days[day]; ok {
		return d, nil
	}
	v, err := t.get(ledgerDayKey(a, day))
	if err != nil || v == nil {
		return ledgerDay{}, err
	}
	d := dec{b: v}
	out := ledgerDay{charged: d.int(), refunded: d.int()}
	if err := d.err("ledger day"); err != nil {
		return out, errFatal{err}
	}
	return out, nil
}

// covers refuses what the balance does not.
func (l *ledger) covers(credits int64) error {
	if l.credits < credits {
		return gateway.Refuse(gateway.CodeNoCredit, "", "the request needs %d credits, the account has %d", credits, max(0, l.credits))
	}
	return nil
}

// move books a charge (positive) or refund (negative) for messages of a batch accepted at the given time.
func (t *tx) move(a gateway.AccountID, accepted time.Time, credits int64) error {
	return t.book(a, accepted, max(0, credits), max(0, -credits))
}

// book adds to what was charged and refunded. A charge is negative where a replaced message costs less than before.
func (t *tx) book(a gateway.AccountID, accepted time.Time, charge, refund int64) error {
	if charge == 0 && refund == 0 {
		return nil
	}
	l, err := t.ledger(a)
	if err != nil {
		return err
	}
	day := dayOf(accepted)
	d, err := t.ledgerDay(a, l, day)
	if err != nil {
		return err
	}
	before := l.credits
	l.credits += refund - charge
	if err := t.warnCredit(a, before, l.credits); err != nil {
		return err
	}
	l.charged += charge
	d.charged += charge
	l.refunded += refund
	d.refunded += refund
	if l.days == nil {
		l.days = map[uint32]ledgerDay{}
	}
	l.days[day] = d
	return nil
}

// warnCredit owes the account's webhook an event when the balance falls below its threshold.
func (t *tx) warnCredit(a gateway.AccountID, before, after int64) error {
	acct := t.s.Directory().Accounts[a]
	if acct == nil || before < acct.Policy.CreditWarning || after >= acct.Policy.CreditWarning || !t.wantsEvent(a, gateway.EventCreditLow) {
		return nil
	}
	return fatal(t.oweEvent(a, gateway.EventCreditLow, gateway.CreditLow{Credits: after, Warning: acct.Policy.CreditWarning, At: t.now.UTC()}))
}

func (t *tx) flushLedger(a gateway.AccountID, l *ledger) error {
	var e enc
	for _, v := range []int64{l.credits, l.charged, l.refunded, l.added} {
		e.int(v)
	}
	e.uint(l.seq)
	if err := t.set(balanceKey(a), e, 0); err != nil {
		return err
	}
	for day, d := range l.days {
		var e enc
		e.int(d.charged)
		e.int(d.refunded)
		if err := t.set(ledgerDayKey(a, day), e, 0); err != nil {
			return err
		}
	}
	l.days = nil
	return nil
}

// AddCredits books credits bought (or taken back, negative) with a note, and returns the new balance.
func (s *Store) AddCredits(_ context.Context, a gateway.AccountID, credits int64, note string) (gateway.Balance, error) {
	var out gateway.Balance
	err := s.do(func(t *tx) error {
		if t.s.Directory().Accounts[a] == nil {
			return gateway.Refuse(gateway.CodeNotFound, "account", "account %d does not exist", a)
		}
		l, err := t.ledger(a)
		if err != nil {
			return err
		}
		l.credits += credits
		l.added += credits
		l.seq++
		var e enc
		e.time(t.now)
		e.int(credits)
		e.text(note)
		if err := t.set(creditKey(a, l.seq), e, 0); err != nil {
			return err
		}
		out = l.view()
		return nil
	})
	return out, err
}

func (l *ledger) view() gateway.Balance {
	return gateway.Balance{Credits: l.credits, Charged: l.charged, Refund: l.refunded, Added: l.added}
}
