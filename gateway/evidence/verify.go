package evidence

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"izinli/gateway"
)

// Decoded is what a record of the chain says.
type Decoded struct {
	Account   gateway.AccountID
	Day       string
	Seq       int
	Hash      Hash
	Decisions []gateway.Decision
}

// Decoder reads a record of the chain.
type Decoder func(key, value []byte) (Decoded, error)

// Finding is the outcome of a verification.
type Finding struct {
	Decisions int      `json:"decisions"` // that stand in the chain as the bundle says
	Roots     int      `json:"roots"`     // of days, compared with published ones
	Problems  []string `json:"problems"`
}

func (f *Finding) problem(format string, args ...any) {
	f.Problems = append(f.Problems, fmt.Sprintf(format, args...))
}

// Verify proves a bundle from itself: nothing in it was changed since it was made, each decision stands in its record as shown, each
// record leads to its account's root of the day and that to the day's. published, by day, are roots kept elsewhere; a day's root that
// differs from its published one is a problem, and days without one are proved only as far as the bundle's maker is believed.
func Verify(b *Bundle, decode Decoder, published map[string]string) Finding {
	var f Finding
	if b.Format != Format {
		f.problem("the bundle has the format %q, this program reads %s", b.Format, Format)
		return f
	}
	if d, err := b.digest(); err != nil || d != b.Digest {
		f.problem("the bundle was changed after it was made: its digest is not %s", b.Digest)
	}
	roots := verifyDays(b, published, &f)
	records := map[[2]string]*Decoded{}
	for i := range b.Records {
		r := &b.Records[i]
		if dec := verifyRecord(b, r, decode, roots, &f); dec != nil {
			records[place(r.Day, r.Seq)] = dec
		}
	}
	for i := range b.Messages {
		m := &b.Messages[i]
		for k := range m.Decisions {
			d := &m.Decisions[k]
			rec := records[place(d.Day, int(d.Seq))]
			switch {
			case rec == nil:
				f.problem("message %s: its decision at %s/%d/%d has no sound record in the bundle", m.ID, d.Day, d.Seq, d.Pos)
			case d.Pos < 0 || d.Pos >= len(rec.Decisions) || !same(&rec.Decisions[d.Pos], m.ID, &d.DecisionView):
				f.problem("message %s: the record at %s/%d says something else than the bundle about its decision %d", m.ID, d.Day, d.Seq, d.Pos)
			default:
				f.Decisions++
			}
		}
	}
	return f
}

func place(day string, seq int) [2]string { return [2]string{day, fmt.Sprint(seq)} }

// verifyDays recomputes the day roots and returns the account's root of each day.
func verifyDays(b *Bundle, published map[string]string, f *Finding) map[string]Root {
	out := map[string]Root{}
	for i := range b.Days {
		d := b.Days[i]
		want := d.Root
		d.Accounts = slices.Clone(d.Accounts)
		if err := d.Seal(); err != nil || d.Root != want {
			f.problem("day %s: the accounts' roots do not lead to the day's root", d.Day)
			continue
		}
		if p, ok := published[d.Day]; ok {
			if f.Roots++; p != d.Root {
				f.problem("day %s: the root is %s, published was %s", d.Day, d.Root, p)
			}
		}
		for _, r := range d.Accounts {
			if r.Account == b.Account.ID {
				out[d.Day] = r
			}
		}
	}
	return out
}

func verifyRecord(b *Bundle, r *Record, decode Decoder, roots map[string]Root, f *Finding) *Decoded {
	dec, err := decode(r.Key, r.Value)
	if err != nil {
		f.problem("record %s/%d cannot be read: %v", r.Day, r.Seq, err)
		return nil
	}
	if dec.Account != b.Account.ID || dec.Day != r.Day || dec.Seq != r.Seq || hex.EncodeToString(dec.Hash[:]) != r.Hash {
		f.problem("record %s/%d is not what the bundle says it is", r.Day, r.Seq)
		return nil
	}
	root, ok := roots[r.Day]
	if !ok {
		f.problem("record %s/%d: the bundle has no root of the day", r.Day, r.Seq)
		return nil
	}
	path := make([]Hash, len(r.Path))
	for i, s := range r.Path {
		if path[i], err = parseHash(s); err != nil {
			f.problem("record %s/%d: its path cannot be read: %v", r.Day, r.Seq, err)
			return nil
		}
	}
	top, ok := climb(dec.Hash, r.Seq, r.Of, path)
	if !ok || r.Of != root.Records || hex.EncodeToString(top[:]) != root.Root {
		f.problem("record %s/%d does not lead to the root of its day: the record or a root was changed", r.Day, r.Seq)
		return nil
	}
	return &dec
}

// same holds a decision of a record against what a bundle shows of it.
func same(d *gateway.Decision, id gateway.MessageID, v *gateway.DecisionView) bool {
	return d.Message == id && d.Kind.String() == v.Kind && d.Verdict == v.Verdict && d.Rule == v.Rule && d.At.Equal(v.At) && int(d.Policy) == v.Policy &&
		d.Status == v.Status && d.Source == v.Source && d.Where == v.Where && d.ConsentDate.Equal(v.ConsentDate) &&
		d.TransactionID == v.TransactionID && int64(d.Age/time.Second) == v.AgeSeconds && slices.Equal(d.Words, v.Words)
}
