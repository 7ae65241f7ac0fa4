package exchange

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"izinli/iys"
)

// What a company lets its partner read can change at hs.iys.org.tr, channel by
// channel, at any time. İYS then leaves the channel out of the listings, by
// which a refusal would be overlooked. It filters by the rights of the moment,
// and the cursor goes past what is left out: a right that is back before anybody
// asks for it has cost movements all the same. So rights are read on both sides
// of every pull, which is one call for a company, or for a hundred brands of
// one partner, and no limit of İYS's but the ten requests a second (iys-api.md
// §8.1, §9.2, §18).

// rightsFor is how long a reading counts as the one before a listing, and how
// long brands are listed before the one after: in that time a right taken away
// and given back goes unseen.
const rightsFor = time.Minute

// renewed returns brands with their rights read at since or later. When İYS does
// not answer they come as they are known: what refusals are listed is not lost
// over it.
func (x *Exchange) renewed(ctx context.Context, brands []Brand, since time.Time) []Brand {
	if x.cfg.Rights == nil {
		return brands
	}
	if err := x.cfg.Rights.Renew(ctx, codes(brands), since); err != nil && ctx.Err() == nil {
		x.log.Warn("iys rights not read before a pull", "err", err)
	}
	out := slices.Clone(brands)
	for i, b := range out {
		// One that is gone, or cannot be read, is listed once more as it was.
		if now, ok, err := x.cfg.Directory.Brand(ctx, b.BrandCode); ok && err == nil {
			out[i] = now
		}
	}
	return out
}

func codes(brands []Brand) []string {
	out := make([]string, len(brands))
	for i, b := range brands {
		out[i] = b.BrandCode
	}
	return out
}

// vouch makes fresh what listings told, once İYS has said that we may still read
// it.
func (x *Exchange) vouch(ctx context.Context, list []listing) error {
	read := time.Now()
	brands := make([]Brand, len(list))
	for i, l := range list {
		brands[i] = l.b
	}
	after := x.renewed(ctx, brands, read)
	var errs []error
	for i, l := range list {
		if x.cfg.Rights != nil && after[i].unasked(read) {
			errs = append(errs, fmt.Errorf("brand %s: %w", l.b.BrandCode, errUnvouched))
			continue
		}
		b := between(l.b, after[i])
		for i := range l.cursors {
			l.cursors[i] = l.cursors[i].ended(b, l.start)
		}
		if err := x.commitCursors(ctx, l.cursors); err != nil {
			errs = append(errs, fmt.Errorf("brand %s: exchange: pull: %w", b.BrandCode, err))
			continue
		}
		for _, ch := range listedChannels(b) {
			x.cfg.Mirror.Pulled(b.BrandCode, ch, b.vouched(ch, l.start))
		}
	}
	return errors.Join(errs...)
}

// errUnvouched says that a listing was read and nothing became fresh by it.
var errUnvouched = errors.New("the listing was read, but not what the company lets us read: nothing counts as fresh by it")

// unasked reports whether the last answer about the brand's rights is older than
// t. Where there never was one, nobody has to grant us anything, or nobody could
// be asked yet.
func (b Brand) unasked(t time.Time) bool {
	for _, at := range b.Granted {
		if at.Before(t) {
			return true
		}
	}
	return false
}

// between is a brand as it was around a listing: what was not ours on one side
// of it may have been left out.
func between(before, after Brand) Brand {
	b := before
	b.Granted, b.Withheld = after.Granted, maps.Clone(before.Withheld)
	for _, ch := range partnerChannels(before) {
		if !after.listed(ch) {
			if b.Withheld == nil {
				b.Withheld = map[iys.Channel]bool{}
			}
			b.Withheld[ch] = true
		}
	}
	return b
}

// listedChannels are the partner's channels of which İYS's listings tell us.
func listedChannels(b Brand) []iys.Channel {
	return slices.DeleteFunc(partnerChannels(b), func(ch iys.Channel) bool { return !b.listed(ch) })
}

// noteWithheld writes down up to when a channel was listed that the company
// withholds now: the cursor goes past what is left out.
func (x *Exchange) noteWithheld(ctx context.Context, b Brand) error {
	var changed []Cursor
	for _, ch := range partnerChannels(b) {
		if b.listed(ch) {
			continue
		}
		for _, src := range bothListings {
			cur, err := x.cfg.Store.Cursor(ctx, b.BrandCode, src)
			if err != nil {
				return fmt.Errorf("cursor: %w", err)
			}
			if _, noted := cur.Missed[ch]; noted || cur.EndAt.IsZero() {
				continue
			}
			cur.Brand, cur.Source, cur.Missed = b.BrandCode, src, maps.Clone(cur.Missed)
			cur.miss(ch)
			changed = append(changed, cur)
		}
		if err := x.commitCursors(ctx, changed); err != nil {
			return err
		}
		changed = nil // the next channel reads what this one wrote
	}
	return nil
}

// miss notes that a channel is not listed any more; the first note holds.
func (c *Cursor) miss(ch iys.Channel) {
	if c.Missed == nil {
		c.Missed = map[iys.Channel]time.Time{}
	}
	if _, noted := c.Missed[ch]; !noted {
		c.Missed[ch] = c.ListedTo(ch)
	}
}

// regained prepares a cursor for channels that are ours again: what was left
// out is listed once more, from the begin of the listing's reach.
func regained(cur Cursor, b Brand) Cursor {
	for ch, since := range cur.Missed {
		if !b.listed(ch) {
			continue
		}
		cur.After = ""
		if since.Before(cur.EndAt) {
			cur.EndAt = since
		}
	}
	return cur
}

// ended notes that a listing was read to its end by a pull begun at start. A
// channel listed before that is not ours at present counts as withheld.
func (c Cursor) ended(b Brand, start time.Time) Cursor {
	next := c
	next.EndAt, next.Channels, next.Missed = start, map[iys.Channel]time.Time{}, maps.Clone(c.Missed)
	for _, ch := range allChannels {
		_, before := c.Channels[ch]
		switch {
		case b.listed(ch):
			next.Channels[ch] = b.vouched(ch, start)
			delete(next.Missed, ch)
		case before || b.partner(ch):
			next.Channels[ch] = c.ListedTo(ch)
			next.miss(ch)
		}
	}
	return next
}
