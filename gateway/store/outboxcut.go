package store

import (
	"izinli/iys"
	"izinli/iys/exchange"
)

// What the exchange and the desk hand over at once may be larger than a transaction: the results of a batch of a thousand are two
// megabytes, and Badger takes 15 % of a memtable (1.26 MB where memory is short). It is cut by size here, once for all of them.

// maxPart bounds the octets of one piece, so that it can be the last act of a transaction (txLimits) with a third to spare.
func (s *Store) maxPart() int { return min(maxTxBytes/2, int(s.db.MaxBatchSize()/3)) }

// Octets a record costs with its places in the indexes and its line of history, at most, before what grows with its content: an
// address (JSON writes some signs of one in six octets) and the numbers of dealers.
const (
	entryOctets    = 2600
	consentOctets  = 1200
	moveOctets     = 400
	newcomerOctets = 400
	planOctets     = 1600
)

func entrySize(e *exchange.Entry) int {
	return entryOctets + 16*len(e.Recipient) + 24*len(e.RetailerAccess)
}

func consentSize(c *iys.Consent) int {
	return consentOctets + 8*len(c.Recipient) + 16*len(c.RetailerAccess)
}

func moveSize(m *iys.Consent) int { return moveOctets + len(m.Recipient) + 6*len(m.RetailerAccess) }

func newcomerSize(n *exchange.Newcomer) int {
	return newcomerOctets + 8*len(n.Recipient) + 6*len(n.Name)
}

// cutter fills pieces of limited size.
type cutter struct {
	limit, size int
	parts       []exchange.Changes
}

// cut adds a kind of records to the pieces; field is where a piece keeps them. The pieces share the records with all.
func cut[T any](c *cutter, all []T, field func(*exchange.Changes) *[]T, size func(*T) int) {
	from := 0 // of the records in the last piece
	for i := range all {
		n := size(&all[i])
		if len(c.parts) == 0 || c.size+n > c.limit {
			c.parts, c.size, from = append(c.parts, exchange.Changes{}), 0, i
		}
		c.size += n
		*field(&c.parts[len(c.parts)-1]) = all[from : i+1]
	}
}

// cutChanges cuts changes into pieces that are written one after another. What says that work is done comes behind the work: where only
// a beginning was written, work is done once more, never left out.
func cutChanges(all *exchange.Changes, limit int) []exchange.Changes {
	c := &cutter{limit: limit}
	cut(c, all.Consents, func(p *exchange.Changes) *[]iys.Consent { return &p.Consents }, consentSize)
	cut(c, all.Moves, func(p *exchange.Changes) *[]iys.Consent { return &p.Moves }, moveSize)
	cut(c, all.Newcomers, func(p *exchange.Changes) *[]exchange.Newcomer { return &p.Newcomers }, newcomerSize)
	cut(c, all.Entries, func(p *exchange.Changes) *[]exchange.Entry { return &p.Entries }, entrySize)
	cut(c, all.Requeries, func(p *exchange.Changes) *[]exchange.Requery { return &p.Requeries }, func(*exchange.Requery) int { return planOctets })
	cut(c, all.Cursors, func(p *exchange.Changes) *[]exchange.Cursor { return &p.Cursors }, func(*exchange.Cursor) int { return planOctets })
	return c.parts
}
