package exchange

import (
	"context"
	"fmt"
	"sort"
	"time"

	"izinli/iys"
)

// Shut says that İYS refuses our writes for a brand (a right, the subscription,
// the package): nothing is sent until then, what is known is still enforced.
type Shut struct {
	Code  string // İYS code, e.g. H353; empty when it gave none
	Since time.Time
	Until time.Time // when it is tried again
	// Reading says that İYS refuses the listing of changes as well: what is
	// known ages, and is believed up to the freshness limit.
	Reading bool
	// Updates says of a full package (H525) that İYS refused approvals of
	// addresses it knows as well, which need no room by what is known of it.
	Updates bool
}

// Full reports whether it is the package that is full: addresses İYS does not
// know yet wait, refusals and, save for Updates, approvals of known ones do not.
func (s *Shut) Full() bool { return s.Code == codeQuota }

// codeQuota is İYS's refusal of new addresses once the package is full. It
// concerns approvals alone: a refusal needs no room, nor does the update of a
// record İYS holds (iys-api.md §9.3, §16.2).
const codeQuota = "H525"

func (s *Shut) stops(e Entry) bool {
	return !s.Full() || e.Status == iys.StatusApproved && (s.Updates || !e.known)
}

func (x *Exchange) shutBrand(brand string, s Shut) {
	x.restMu.Lock()
	defer x.restMu.Unlock()
	s.Since = time.Now()
	if old, ok := x.shut[brand]; ok && old.Code == s.Code {
		s.Since, s.Reading = old.Since, s.Reading || old.Reading
	}
	x.shut[brand] = s
}

// stopped postpones an entry of a brand that is not to be written now. A shut
// brand whose time has come is tried with its next entry.
func (x *Exchange) stopped(brand string, e *Entry) bool {
	x.restMu.Lock()
	defer x.restMu.Unlock()
	s, ok := x.shut[brand]
	if !ok || !s.stops(*e) || !time.Now().Before(s.Until) {
		return false
	}
	e.NextAt, e.Code = s.Until, s.Code
	return true
}

// openBrand notes that İYS took entries of the brand. What a full package lets
// through says nothing about room for what it stops.
func (x *Exchange) openBrand(brand string, list []Entry) {
	x.restMu.Lock()
	defer x.restMu.Unlock()
	s, ok := x.shut[brand]
	if !ok {
		return
	}
	for _, e := range list {
		switch {
		case !s.stops(e):
		case s.Full() && e.known:
			s.Updates = false
			x.shut[brand] = s
		default:
			delete(x.shut, brand)
			return
		}
	}
}

// full reports whether İYS has said that the brand's package is full.
func (x *Exchange) full(brand string) bool {
	x.restMu.Lock()
	defer x.restMu.Unlock()
	s, ok := x.shut[brand]
	return ok && s.Full()
}

// listed notes that İYS lists changes for the brand: what it refused for that
// reason may be tried again.
func (x *Exchange) listed(brand string) {
	x.restMu.Lock()
	defer x.restMu.Unlock()
	if x.shut[brand].Reading {
		delete(x.shut, brand)
	}
}

// BrandState is how the exchange of one brand stands.
type BrandState struct {
	Brand string
	// PulledAt is the start of the last complete pull by channel; KnownTo is
	// the moment up to which the listing then told everything.
	PulledAt map[iys.Channel]time.Time
	KnownTo  time.Time
	// Stale says that movements were lost and the re-query has not ended.
	Stale   bool
	Requery Requery
	Shut    *Shut // nil: writes are open
	// Withheld are channels the company no longer lets us read.
	Withheld []iys.Channel
}

// States tells how the brands in mode partner stand, by code.
func (x *Exchange) States(ctx context.Context) ([]BrandState, error) {
	brands, err := x.cfg.Directory.Brands(ctx)
	if err != nil {
		return nil, fmt.Errorf("exchange: states: %w", err)
	}
	var out []BrandState
	for _, b := range brands {
		channels := partnerChannels(b)
		if len(channels) == 0 {
			continue
		}
		s := BrandState{Brand: b.BrandCode, PulledAt: map[iys.Channel]time.Time{}}
		for _, ch := range channels {
			s.PulledAt[ch] = x.cfg.Mirror.PulledAt(b.BrandCode, ch)
			if !b.listed(ch) {
				s.Withheld = append(s.Withheld, ch)
			}
		}
		s.KnownTo = x.KnownTo(b)
		if s.Requery, err = x.cfg.Store.Requery(ctx, b.BrandCode); err != nil {
			return nil, fmt.Errorf("exchange: states: %w", err)
		}
		s.Stale = s.Requery.Open()
		x.restMu.Lock()
		if shut, ok := x.shut[b.BrandCode]; ok {
			s.Shut = &shut
		}
		x.restMu.Unlock()
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Brand < out[j].Brand })
	return out, nil
}
