package desk

import (
	"context"
	"fmt"
	"time"

	"izinli/gateway"
)

// EventQuery lists the events of an account's webhook: those that wait, or with Failed those that were given up.
type EventQuery struct {
	Account gateway.AccountID `json:"account"`
	Failed  bool              `json:"failed,omitempty"`
	Cursor  string            `json:"cursor,omitempty"`
	Limit   int               `json:"limit,omitempty"` // default 50, at most 500
}

// Replay names events to be sent again; without ids all that wait or were given up, at most 1000.
type Replay struct {
	Account gateway.AccountID `json:"account"`
	IDs     []string          `json:"ids,omitempty"`
}

// Replayed says how many events are sent again.
type Replayed struct {
	Events int `json:"events"`
}

// ListQuery pages through a list of one account.
type ListQuery struct {
	Account gateway.AccountID `json:"account"`
	Cursor  string            `json:"cursor,omitempty"`
	Limit   int               `json:"limit,omitempty"` // default 50, at most 500
}

// BrandQuery names a brand of an account.
type BrandQuery struct {
	Account gateway.AccountID `json:"account"`
	Brand   string            `json:"brand"`
}

// BrandTotals are the consents of a brand as they are known here, beside what İYS counts over all channels.
type BrandTotals struct {
	Here []ChannelTotals `json:"here"`
	// İYS's totals are known for brands in mode partner, when it answers; İYSError says why they are not.
	IYS      *ConsentTotals `json:"iys,omitempty"`
	IYSError string         `json:"iysError,omitempty"`
	At       time.Time      `json:"at"`
}

// ChannelTotals are the consents of one channel.
type ChannelTotals struct {
	Channel string `json:"channel"` // MESAJ, EPOSTA, ARAMA
	ConsentTotals
}

// ConsentTotals counts consents.
type ConsentTotals struct {
	Approved int `json:"approved"`
	Rejected int `json:"rejected"`
}

// LaneView is one lane of the queue.
type LaneView struct {
	Lane    string        `json:"lane"` // otp, transactional, commercial
	Paused  bool          `json:"paused,omitempty"`
	Waiting int           `json:"waiting"` // entries read from the store and chunks cut
	Running int           `json:"running"`
	Oldest  time.Duration `json:"oldest"`   // how long the oldest of them has been due
	Resting int           `json:"resting"`  // accounts left alone for now, e.g. because no operator is up
	Done    uint64        `json:"done"`     // messages handled since the start of the process
	Failed  uint64        `json:"failed"`   // chunks that came back with an error
	Lost    uint64        `json:"requeued"` // tasks the queue lost and got again
}

// LanePause stops or resumes a lane.
type LanePause struct {
	Lane   string `json:"lane"`
	Paused bool   `json:"paused"`
}

// Setting is one line of the process configuration, without secrets.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Lanes is the queue as an administrator sees it.
type Lanes interface {
	Lanes() []LaneView
	// PauseLane returns after it is known to outlive the process.
	PauseLane(ctx context.Context, l gateway.Lane, paused bool) error
}

// ListEvents lists events of an account's webhook, bodies left out.
func (a *Admin) ListEvents(ctx context.Context, q EventQuery) (page gateway.Page[gateway.Event], err error) {
	if _, err := a.account(q.Account); err != nil {
		return page, err
	}
	return a.store.Events(ctx, q.Account, q.Failed, q.Cursor, q.Limit)
}

// ReplayEvents makes events due now.
func (a *Admin) ReplayEvents(ctx context.Context, in Replay) (out Replayed, err error) {
	if _, err := a.account(in.Account); err != nil {
		return out, err
	}
	if w := a.store.Directory().Webhooks[in.Account]; w == nil || w.URL == "" || w.Paused {
		return out, gateway.Refuse(gateway.CodeConflict, "account", "Account %d has no webhook, or it is paused: set it first.", in.Account)
	}
	if out.Events, err = a.store.ReplayEvents(ctx, in.Account, in.IDs); err != nil {
		return out, err
	}
	a.audit(ctx, "ReplayEvents", fmt.Sprintf("webhook of account %d", in.Account), nil, &out)
	if a.deps.Replayed != nil {
		a.deps.Replayed(in.Account)
	}
	return out, nil
}

// ListBlocks lists an account's blocks by brand, channel and address.
func (a *Admin) ListBlocks(ctx context.Context, q ListQuery) (page gateway.Page[gateway.Block], err error) {
	if _, err := a.account(q.Account); err != nil {
		return page, err
	}
	return a.store.Blocks(ctx, q.Account, q.Cursor, q.Limit)
}

// ListBookings lists the credits booked by hand, newest first.
func (a *Admin) ListBookings(ctx context.Context, q ListQuery) (page gateway.Page[gateway.Booking], err error) {
	if _, err := a.account(q.Account); err != nil {
		return page, err
	}
	return a.store.Bookings(ctx, q.Account, q.Cursor, q.Limit)
}

// CountBrand counts a brand's consents and asks İYS for its own count.
func (a *Admin) CountBrand(ctx context.Context, q BrandQuery) (out BrandTotals, err error) {
	if err := a.checkBrand(q.Account, q.Brand, true); err != nil {
		return out, err
	}
	if a.deps.Totals == nil {
		return out, unavailable("totals of consents")
	}
	return a.deps.Totals(ctx, q.Brand)
}

// ListLanes shows the queue.
func (a *Admin) ListLanes(context.Context, Nothing) ([]LaneView, error) {
	if a.deps.Lanes == nil {
		return nil, unavailable("lanes of the queue")
	}
	return a.deps.Lanes.Lanes(), nil
}

// PauseLane keeps a lane from handing anything off, or lets it go on. Acceptance goes on, and validity runs.
func (a *Admin) PauseLane(ctx context.Context, in LanePause) ([]LaneView, error) {
	if a.deps.Lanes == nil {
		return nil, unavailable("lanes of the queue")
	}
	var lane gateway.Lane
	for lane.String() != in.Lane {
		if lane++; lane == gateway.Lanes {
			return nil, invalid("lane", "%q is not a lane; choose otp, transactional or commercial.", in.Lane)
		}
	}
	if err := a.deps.Lanes.PauseLane(ctx, lane, in.Paused); err != nil {
		return nil, err
	}
	before, after := LanePause{in.Lane, !in.Paused}, in
	a.audit(ctx, "PauseLane", "lane "+in.Lane, &before, &after)
	return a.deps.Lanes.Lanes(), nil
}

// Settings lists the configuration of the process.
func (a *Admin) Settings(context.Context, Nothing) ([]Setting, error) {
	if a.deps.Settings == nil {
		return nil, unavailable("settings of the process")
	}
	return a.deps.Settings(), nil
}
