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
		x.log.Warn("iys rights not read around a pull", "err", err)
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
			x.cfg.Mirror.Pulled(b.BrandCode, ch, l.start)
		}
	}
	return errors.Join(errs...)
}

// errUnvouched says that a listing was read and nothing became fresh by it.
var errUnvouched = errors.New("the listing was read, but not what the company lets us read: nothing counts as fresh by it")

// unasked reports whether the last answer about the brand's rights is older than
// t, or there never was one.
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

// missed notes the channels a listing does not tell us of any more, by the
// administrator's word or by the company's: the cursor goes past what is left
// out. It reports whether there was something to note.
func missed(cur Cursor, b Brand) (_ Cursor, noted bool) {
	for _, ch := range allChannels {
		_, known := cur.Missed[ch]
		if known || b.listed(ch) || !cur.follows(ch) {
			continue
		}
		if !noted {
			cur.Missed, noted = maps.Clone(cur.Missed), true
		}
		cur.miss(ch)
	}
	return cur, noted
}

// follows reports whether a channel is in the listing, or was when it was begun.
func (c *Cursor) follows(ch iys.Channel) bool {
	_, begun := c.First[ch]
	return begun || !c.ListedTo(ch).IsZero()
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
		if since.IsZero() || !b.listed(ch) {
			continue
		}
		cur.After = ""
		if since.Before(cur.EndAt) {
			cur.EndAt = since
		}
	}
	return cur
}

// begun begins a listing anew for channels that come into it for the first time
// and names them. The cursor is past movements of theirs, and what is known of
// them, an intermediary's answers above all, was never followed. A listing of
// theirs that broke off goes on where it was.
func begun(cur Cursor, b Brand, start time.Time) (Cursor, []iys.Channel) {
	var first []iys.Channel
	for _, ch := range listedChannels(b) {
		_, away := cur.Missed[ch]
		if !cur.ListedTo(ch).IsZero() || cur.follows(ch) && !away {
			continue
		}
		first = append(first, ch)
	}
	if len(first) == 0 {
		return cur, nil
	}
	cur.After, cur.First, cur.Missed = "", maps.Clone(cur.First), maps.Clone(cur.Missed)
	if cur.First == nil {
		cur.First = map[iys.Channel]time.Time{}
	}
	for _, ch := range first {
		cur.First[ch] = start
		delete(cur.Missed, ch)
	}
	return cur, first
}

// ended notes that a listing was read to its end by a pull begun at start. A
// channel listed before that is not ours any more counts as missed.
func (c Cursor) ended(b Brand, start time.Time) Cursor {
	next, _ := missed(c, b)
	next.EndAt, next.Channels, next.Missed = start, map[iys.Channel]time.Time{}, maps.Clone(next.Missed)
	for _, ch := range allChannels {
		switch to := c.ListedTo(ch); {
		case b.listed(ch):
			next.Channels[ch] = start
			delete(next.Missed, ch)
		case !to.IsZero():
			next.Channels[ch] = to
		}
	}
	return next
}
