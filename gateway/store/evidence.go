package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/gateway/evidence"
	"izinli/gateway/template"
	"izinli/iys"
)

// Evidence gathers what there is about messages of an account to one address, newest first, about the address' consents, and the proof
// that the decisions stand in the chain. Records that expired are noted in the bundle. It is not sealed yet.
func (s *Store) Evidence(ctx context.Context, a gateway.AccountID, addr string, ids []gateway.MessageID) (*evidence.Bundle, error) {
	b := &evidence.Bundle{Made: s.opt.Now(), Address: addr, Messages: []evidence.Message{}, Consents: []gateway.ConsentView{},
		Records: []evidence.Record{}, Days: []evidence.DayRoot{}}
	var refs []gateway.DecisionRef
	err := s.db.View(func(txn *badger.Txn) error {
		for _, id := range ids {
			m, err := readMessage(txn, id)
			if err != nil {
				return err
			}
			if m == nil {
				return notFound("message", id.String())
			}
			out, err := s.messageEvidence(txn, m, &refs)
			if err != nil {
				return err
			}
			if len(out.Decisions) < 1+len(m.progress.Decisions) {
				b.Notes = append(b.Notes, fmt.Sprintf("İleti %s: süresi dolan kararlar silinmiştir. / Message %s: decisions past their retention are gone.", id, id))
			}
			b.Messages = append(b.Messages, out)
		}
		return nil
	})
	if err == nil {
		b.Consents, err = s.consentEvidence(a, addr)
	}
	if err == nil {
		err = s.prove(ctx, a, refs, b)
	}
	return b, err
}

// messageEvidence is one message with its decisions, whose places it adds to refs.
func (s *Store) messageEvidence(txn *badger.Txn, m *stored, refs *[]gateway.DecisionRef) (evidence.Message, error) {
	bt := m.batch
	out := evidence.Message{MessageView: m.view(s.opt.Now()), Reason: bt.Reason, RecipientType: bt.RecipientType, Door: string(bt.Door), Credential: bt.Credential,
		RemoteIP: bt.RemoteIP, Subject: bt.Subject, Text: bt.Text, Decisions: []evidence.Decision{}}
	tmpl := template.Parse(bt.Text)
	if text, err := tmpl.Render(m.recipient.Vars); err == nil {
		out.Text = text
	}
	for _, ref := range append([]gateway.DecisionRef{m.accept}, m.progress.Decisions...) {
		ds, err := decisionsAt(txn, m.id.Account, []gateway.DecisionRef{ref})
		if err != nil {
			return out, err
		}
		if len(ds) == 1 {
			out.Decisions = append(out.Decisions, evidence.Decision{DecisionView: ds[0], Pos: int(ref.Pos)})
			*refs = append(*refs, ref)
		}
	}
	views := make([]gateway.DecisionView, 0, len(out.Decisions))
	for i := range out.Decisions {
		if d := &out.Decisions[i]; d.Kind != gateway.DecisionAccept.String() {
			views = append(views, d.DecisionView)
		}
	}
	out.Timeline = timeline(m, &out.MessageView, views)
	return out, nil
}

// consentEvidence is what is known of an address for each brand of the account.
func (s *Store) consentEvidence(a gateway.AccountID, addr string) ([]gateway.ConsentView, error) {
	channels := []iys.Channel{iys.ChannelSMS, iys.ChannelCall}
	if strings.Contains(addr, "@") {
		channels = []iys.Channel{iys.ChannelEmail}
	}
	out := []gateway.ConsentView{}
	var brands []string
	for code, b := range s.Directory().Brands {
		if b.Account == a {
			brands = append(brands, code)
		}
	}
	slices.Sort(brands)
	ctx := context.Background()
	for _, brand := range brands {
		for _, ch := range channels {
			history, err := s.History(ctx, brand, ch, addr)
			if err != nil {
				return nil, err
			}
			block, err := s.BlockOf(ctx, brand, ch, addr)
			if err != nil {
				return nil, err
			}
			for _, rt := range []iys.RecipientType{iys.RecipientPerson, iys.RecipientMerchant} {
				v, err := s.consentView(ctx, iys.Key{Brand: brand, Channel: ch, RecipientType: rt, Recipient: addr})
				if err != nil {
					return nil, err
				}
				v.Block, v.Blocked = block, block != nil
				if rt == iys.RecipientPerson {
					v.History = history // of both types: each movement names its own
				}
				if v.Known || v.History != nil || v.Blocked && rt == iys.RecipientPerson {
					out = append(out, v)
				}
			}
		}
	}
	return out, nil
}

func (s *Store) consentView(ctx context.Context, k iys.Key) (v gateway.ConsentView, err error) {
	c, ok, err := s.Consent(ctx, k)
	if !ok || err != nil {
		c = iys.Consent{Key: k}
	}
	v.Consent, v.Known, v.Where = WireConsent(&c), ok, "none"
	if ok {
		v.Where = "mirror"
	}
	if err == nil {
		v.Sync, err = s.SyncState(ctx, k)
	}
	return v, err
}

// prove adds the chain records of decisions with their paths, and the roots of their days.
func (s *Store) prove(ctx context.Context, a gateway.AccountID, refs []gateway.DecisionRef, b *evidence.Bundle) error {
	byDay := map[uint32][]uint32{}
	var days []uint32
	for _, r := range refs {
		if byDay[r.Day] == nil {
			days = append(days, r.Day)
		}
		if !slices.Contains(byDay[r.Day], r.Seq) {
			byDay[r.Day] = append(byDay[r.Day], r.Seq)
		}
	}
	slices.Sort(days)
	for _, day := range days {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, ok, err := s.sealedRoot(day)
		if err == nil && !ok {
			d, err = s.dayRoot(day)
		}
		if err != nil {
			return err
		}
		b.Days = append(b.Days, d)
		slices.Sort(byDay[day])
		if err := s.proveDay(a, day, byDay[day], b); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) proveDay(a gateway.AccountID, day uint32, seqs []uint32, b *evidence.Bundle) error {
	return s.db.View(func(txn *badger.Txn) error {
		hashes, whole, err := dayHashes(txn, a, day)
		if err != nil {
			return err
		}
		if !whole {
			b.Notes = append(b.Notes, fmt.Sprintf("%s gününün kayıtları kısmen silinmiştir; zincir ispatı yoktur. / Records of %s are gone in part: there is no proof by the chain.", dayText(day), dayText(day)))
			return nil
		}
		for _, seq := range seqs {
			k := chainKey(a, day, seq)
			v, err := getValue(txn, k)
			if err != nil {
				return err
			}
			h := chainHash(k, v)
			b.Records = append(b.Records, evidence.Record{Day: dayText(day), Seq: int(seq), Of: len(hashes), Key: k, Value: v,
				Hash: hex.EncodeToString(h[:]), Path: evidence.Hex(evidence.Path(hashes, int(seq)))})
		}
		return nil
	})
}

// DecodeRecord reads a record of the decision chain out of a bundle (evidence.Decoder).
func DecodeRecord(k, v []byte) (out evidence.Decoded, err error) {
	if len(k) != 13 || k[0] != kChain {
		return out, errors.New("store: this is no key of a decision record")
	}
	out.Account = gateway.AccountID(beUint32(k[1:]))
	day, seq := chainPlace(k)
	out.Day, out.Seq = dayText(day), int(seq)
	r, err := decodeChain(out.Account, k, v)
	out.Hash, out.Decisions = r.hash, r.decisions
	return out, err
}

var _ evidence.Decoder = DecodeRecord
