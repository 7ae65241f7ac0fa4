package exchange

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"izinli/iys"
)

// What a company lets its partner read can change at hs.iys.org.tr, channel by
// channel, at any time. İYS then leaves the channel out of the listings, by
// which a refusal would be overlooked.

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
