package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"izinli/gateway"
	"izinli/gateway/iyslink"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/reconcile"
)

// IYSService is the administration of the traffic with İYS: how brands stand, what is owed, the daily reconciliation, push,
// dealers and rights. All of it needs a running server.
type IYSService interface {
	ViaService

	// IYSStatus tells how the brands in mode partner stand.
	IYSStatus(context.Context, Query) ([]IYSStatus, error)
	// RequeryBrand begins asking İYS about every consent of a brand; IYSStatus shows its progress.
	RequeryBrand(context.Context, Name) (exchange.Requery, error)
	// ReadRights reads from İYS now what a brand's company lets us do as its partner, and brings it into force.
	ReadRights(context.Context, Name) (iyslink.BrandRights, error)
	// ListOutbox lists what İYS is owed for longer than a business day, the overdue first.
	ListOutbox(context.Context, OutboxQuery) ([]OutboxEntry, error)
	// SettleOutbox ends entries the customer says he has written to İYS himself.
	SettleOutbox(context.Context, Settlement) (Nothing, error)
	// PutPush has İYS push a brand's channel to an address; an empty one ends it.
	PutPush(context.Context, PushInput) (iyslink.PushRecord, error)
	// ListNewcomers lists citizens who added themselves to a brand at İYS within the last week.
	ListNewcomers(context.Context, Query) ([]exchange.Newcomer, error)

	ListReconciledDays(context.Context, DayQuery) ([]reconcile.Day, error)
	// ReconcileDay compares a finished day with İYS now.
	ReconcileDay(context.Context, DayQuery) (reconcile.Day, error)
	// ReconcileProof returns the time stamp of an agreed day.
	ReconcileProof(context.Context, DayQuery) (Proof, error)
	RepairPlan(context.Context, PlanQuery) (PlanDetail, error)
	// ChangePlan applies, undoes or dismisses a repair plan.
	ChangePlan(context.Context, PlanAct) (PlanOutcome, error)

	ListRetailers(context.Context, Name) ([]iysapi.Retailer, error)
	AddRetailer(context.Context, RetailerInput) (iysapi.Retailer, error)
	DeleteRetailer(context.Context, RetailerInput) (Nothing, error)
	// ChangeAccess says which dealers may use consents.
	ChangeAccess(context.Context, AccessInput) (Nothing, error)
	// ListAccess asks İYS which dealers may use a consent; the answer is also what decisions go by from then on.
	ListAccess(context.Context, AccessQuery) ([]iysapi.Retailer, error)
	// ListPlaces lists İYS's provinces, or the districts of one: a dealer's address is written in their codes and names.
	ListPlaces(context.Context, PlaceQuery) ([]iysapi.Place, error)
}

// IYSOffice is what the desk needs of the traffic with İYS; the assembly puts it together.
type IYSOffice interface {
	ViaOffice

	States(context.Context) ([]exchange.BrandState, error)
	StartRequery(ctx context.Context, brand, reason string) (exchange.Requery, error)
	Aged(ctx context.Context, now time.Time, limit int) (exchange.Aged, error)
	SettleOwed(ctx context.Context, ids []uint64) error
	Register(ctx context.Context, brand string, ch iys.Channel, url string) (iyslink.PushRecord, error)
	Unregister(ctx context.Context, brand string, ch iys.Channel) error
	Records(a gateway.AccountID) ([]iyslink.PushRecord, error)
	Newcomers(ctx context.Context, a gateway.AccountID, limit int) ([]exchange.Newcomer, error)
	// Rights reads what İYS lets us do for a brand, and brings it into force where the brand is known; nil when the link is not a
	// partner's, or the brand is not among those of the company that made us their partner.
	Rights(ctx context.Context, link string, iysCode int, brand string) (*iysapi.PartnerBrand, error)
	// ReadRights reads what a brand's company lets us do; RightsOf is what was read last, false where nobody has to grant anything.
	ReadRights(ctx context.Context, brand string) (iyslink.BrandRights, error)
	RightsOf(brand string) (iyslink.BrandRights, bool, error)
	// Reclaim makes what only the customer could tell İYS ours to tell again.
	Reclaim(ctx context.Context, brand string, ch iys.Channel) (int, error)

	ReconciledDays(ctx context.Context, brand string, limit int) ([]reconcile.Day, error)
	Day(ctx context.Context, brand string, day time.Time) (reconcile.Day, error)
	Proof(ctx context.Context, brand, date string) ([]byte, bool, error)
	Plan(ctx context.Context, id uint64) (reconcile.Plan, bool, error)
	PlanItems(ctx context.Context, id uint64, after, limit int) ([]reconcile.Item, error)
	Apply(ctx context.Context, id uint64, named []int, by string) (reconcile.Plan, reconcile.Day, error)
	Undo(ctx context.Context, id uint64, by string) (reconcile.Plan, error)
	Dismiss(ctx context.Context, id uint64, by string) (reconcile.Plan, error)

	Retailers(ctx context.Context, brand string) ([]iysapi.Retailer, error)
	AddRetailer(ctx context.Context, brand string, r iysapi.Retailer) (int, error)
	DeleteRetailer(ctx context.Context, brand string, code int) error
	Access(ctx context.Context, act, brand string, a iysapi.Access) error
	AccessList(ctx context.Context, k iys.Key) ([]iysapi.Retailer, error)
	// Places lists provinces, or the districts of one; those are none where there is no such province.
	Places(ctx context.Context, brand string, city int) ([]iysapi.Place, error)
}

// IYSStatus is how one brand stands towards İYS.
type IYSStatus struct {
	exchange.BrandState
	Account gateway.AccountID    `json:"account"`
	Push    []iyslink.PushRecord `json:"push"`
	// Rights are what the company lets us do as its partner, with the time of the last reading; nil where nobody has to grant it.
	Rights *iyslink.BrandRights `json:"rights,omitempty"`
}

// OutboxQuery narrows the list of what is owed.
type OutboxQuery struct {
	Account gateway.AccountID `json:"account,omitempty"`
	Late    bool              `json:"late,omitempty"`  // only what is past its deadline
	Limit   int               `json:"limit,omitempty"` // default 100, at most 10000
}

// OutboxEntry is a movement İYS is owed. The address is masked.
type OutboxEntry struct {
	ID       uint64            `json:"id"`
	Account  gateway.AccountID `json:"account"`
	Brand    string            `json:"brand"`
	Channel  iys.Channel       `json:"channel"`
	Address  string            `json:"address"`
	Status   iys.Status        `json:"status"`
	State    exchange.State    `json:"state"` // owed_by_customer: only the customer can write it
	Code     string            `json:"code,omitempty"`
	Received time.Time         `json:"received"`
	Deadline time.Time         `json:"deadline"`
	Late     bool              `json:"late"`
	Attempts int               `json:"attempts"`
}

// Settlement names entries in state owed_by_customer that the customer has written to İYS himself.
type Settlement struct {
	IDs []uint64 `json:"ids"`
}

// PushInput names a push connection. The address leads to this gateway's receiver from outside, over https.
type PushInput struct {
	Brand   string `json:"brand"`
	Channel string `json:"channel"` // sms, email or an İYS wire value
	URL     string `json:"url"`
}

// DayQuery names a brand and, where one is meant, a day (YYYY-MM-DD, Istanbul).
type DayQuery struct {
	Brand string `json:"brand"`
	Date  string `json:"date,omitempty"`
	Limit int    `json:"limit,omitempty"` // default 31
}

// Proof is a time stamp of İYS (RFC 3161).
type Proof struct {
	TSR []byte `json:"tsr"`
}

// PlanQuery asks for a plan and a page of its items.
type PlanQuery struct {
	ID    uint64 `json:"id"`
	After int    `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"` // default 100, at most 1000
}

// PlanDetail is a plan with a page of its items.
type PlanDetail struct {
	Plan  reconcile.Plan   `json:"plan"`
	Items []reconcile.Item `json:"items"`
}

// PlanAct changes a plan. Act is apply, undo or dismiss; Items are the numbers of items that wait for a person's word and are
// to be carried out.
type PlanAct struct {
	ID    uint64 `json:"id"`
	Act   string `json:"act"`
	Items []int  `json:"items,omitempty"`
}

// PlanOutcome is a plan after an act and, after applying, how its day stands now.
type PlanOutcome struct {
	Plan reconcile.Plan `json:"plan"`
	Day  reconcile.Day  `json:"day,omitzero"`
}

// RetailerInput names a dealer of a brand.
type RetailerInput struct {
	Brand    string          `json:"brand"`
	Retailer iysapi.Retailer `json:"retailer"`
}

// AccessInput changes which dealers may use the consents of addresses. Act is grant, replace, remove or remove_all.
type AccessInput struct {
	Brand         string   `json:"brand"`
	Channel       string   `json:"channel"`
	RecipientType string   `json:"recipientType,omitempty"`
	Addresses     []string `json:"addresses"`
	Retailers     []int    `json:"retailers,omitempty"`
	Act           string   `json:"act"`
}

// AccessQuery names a consent.
type AccessQuery struct {
	Brand         string `json:"brand"`
	Channel       string `json:"channel"`
	RecipientType string `json:"recipientType,omitempty"`
	Address       string `json:"address"`
}

// PlaceQuery asks for provinces, with City for the districts of one.
type PlaceQuery struct {
	Brand string `json:"brand"` // in whose name İYS is asked
	City  int    `json:"city,omitempty"`
}

// iysOf returns the office and the brand, or refuses.
func (a *Admin) iysOf(brand string) (*gateway.Brand, error) {
	if a.deps.IYS == nil {
		return nil, unavailable("İYS and its records")
	}
	b := a.store.Directory().Brands[brand]
	if b == nil {
		return nil, gateway.Refuse(gateway.CodeNotFound, "brand", "Brand %q does not exist (see \"izinli brand list\").", brand)
	}
	return b, nil
}

// iysError puts a failure of the traffic with İYS into words for people.
func iysError(err error) error {
	var e *iysapi.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exchange.ErrNoPartner), errors.Is(err, reconcile.ErrBrand):
		return gateway.Refuse(gateway.CodeInvalid, "brand", "The brand is in mode partner on no channel; only then do we read and write İYS for it.")
	case errors.Is(err, reconcile.ErrNoPlan):
		return gateway.Refuse(gateway.CodeNotFound, "id", "There is no such repair plan (see \"izinli reconcile days\").")
	case errors.Is(err, reconcile.ErrState), errors.Is(err, reconcile.ErrDay):
		return gateway.Refuse(gateway.CodeConflict, "", "%v.", err)
	case errors.Is(err, iysapi.ErrInvalid):
		return gateway.Refuse(gateway.CodeInvalid, "", "%v.", err)
	case errors.As(err, &e) && e.Retry != iysapi.RetryAgain:
		return gateway.Refuse(gateway.CodeInvalid, "", "İYS refused: %s", e.Error())
	}
	return &gateway.Error{Code: gateway.CodeUnavailable, Text: "İYS did not answer; try again. " + err.Error(), Err: err}
}

// noted reports a change to the trail.
func (a *Admin) noted(ctx context.Context, what, target string, after any, err error) error {
	if err == nil {
		a.audit(ctx, what, target, nil, after)
	}
	return iysError(err)
}

// IYSStatus is Service.IYSStatus.
func (a *Admin) IYSStatus(ctx context.Context, q Query) ([]IYSStatus, error) {
	if a.deps.IYS == nil {
		return nil, unavailable("İYS and its records")
	}
	states, err := a.deps.IYS.States(ctx)
	if err != nil {
		return nil, iysError(err)
	}
	push, err := a.deps.IYS.Records(q.Account)
	if err != nil {
		return nil, iysError(err)
	}
	dir := a.store.Directory()
	out := []IYSStatus{}
	for _, s := range states {
		b := dir.Brands[s.Brand]
		if b == nil || q.Account != 0 && b.Account != q.Account {
			continue
		}
		st := IYSStatus{BrandState: s, Account: b.Account, Push: []iyslink.PushRecord{}}
		for _, p := range push {
			if p.Brand == s.Brand {
				st.Push = append(st.Push, p)
			}
		}
		if r, known, err := a.deps.IYS.RightsOf(s.Brand); err != nil {
			return nil, iysError(err)
		} else if known {
			st.Rights = &r
		}
		out = append(out, st)
	}
	return out, nil
}

// RequeryBrand is Service.RequeryBrand.
func (a *Admin) RequeryBrand(ctx context.Context, n Name) (exchange.Requery, error) {
	if _, err := a.iysOf(n.Name); err != nil {
		return exchange.Requery{}, err
	}
	r, err := a.deps.IYS.StartRequery(ctx, n.Name, "asked for by "+ActorOf(ctx))
	return r, a.noted(ctx, "RequeryBrand", "brand "+n.Name, r, err)
}

// ListOutbox is Service.ListOutbox.
func (a *Admin) ListOutbox(ctx context.Context, q OutboxQuery) ([]OutboxEntry, error) {
	if a.deps.IYS == nil {
		return nil, unavailable("İYS and its records")
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	if err := within("limit", q.Limit, 1, maxOutbox); err != nil {
		return nil, err
	}
	aged, err := a.deps.IYS.Aged(ctx, a.deps.Now(), maxOutbox)
	if err != nil {
		return nil, iysError(err)
	}
	dir := a.store.Directory()
	out := []OutboxEntry{}
	add := func(list []exchange.Entry, late bool) {
		for _, e := range list {
			b := dir.Brands[e.Brand]
			if b == nil || q.Account != 0 && b.Account != q.Account || len(out) == q.Limit {
				continue
			}
			out = append(out, OutboxEntry{ID: e.ID, Account: b.Account, Brand: e.Brand, Channel: e.Channel, Address: iys.Mask(e.Recipient),
				Status: e.Status, State: e.State, Code: e.Code, Received: e.Received, Deadline: e.Deadline, Late: late, Attempts: e.Attempts})
		}
	}
	add(aged.Late, true)
	if !q.Late {
		add(aged.Warning, false)
	}
	return out, nil
}

const maxOutbox = 10_000

// SettleOutbox is Service.SettleOutbox.
func (a *Admin) SettleOutbox(ctx context.Context, in Settlement) (Nothing, error) {
	if a.deps.IYS == nil {
		return Nothing{}, unavailable("İYS and its records")
	}
	if len(in.IDs) == 0 || len(in.IDs) > 1000 {
		return Nothing{}, invalid("ids", "Name 1 to 1000 entries (see \"izinli iys outbox\").")
	}
	err := a.deps.IYS.SettleOwed(ctx, in.IDs)
	if errors.Is(err, exchange.ErrNotOwed) {
		return Nothing{}, gateway.Refuse(gateway.CodeConflict, "ids", "%v; nothing was changed.", err)
	}
	return Nothing{}, a.noted(ctx, "SettleOutbox", fmt.Sprintf("%d entries owed to İYS", len(in.IDs)), &in, err)
}

// channelOf reads a channel as a person types it.
func channelOf(s string) (iys.Channel, error) {
	switch s {
	case gateway.ChannelSMS, "":
		return iys.ChannelSMS, nil
	case gateway.ChannelEmail:
		return iys.ChannelEmail, nil
	}
	if ch := iys.Channel(s); ch.Valid() {
		return ch, nil
	}
	return "", invalid("channel", "%q is no channel; choose one of sms, email, ARAMA.", s)
}

// PutPush is Service.PutPush.
func (a *Admin) PutPush(ctx context.Context, in PushInput) (iyslink.PushRecord, error) {
	ch, err := channelOf(in.Channel)
	if err != nil {
		return iyslink.PushRecord{}, err
	}
	if _, err := a.iysOf(in.Brand); err != nil {
		return iyslink.PushRecord{}, err
	}
	target := fmt.Sprintf("push of brand %s, %s", in.Brand, ch)
	if in.URL == "" {
		return iyslink.PushRecord{}, a.noted(ctx, "PutPush", target, nil, a.deps.IYS.Unregister(ctx, in.Brand, ch))
	}
	rec, err := a.deps.IYS.Register(ctx, in.Brand, ch, in.URL)
	return rec, a.noted(ctx, "PutPush", target, rec, err)
}

// ListNewcomers is Service.ListNewcomers.
func (a *Admin) ListNewcomers(ctx context.Context, q Query) ([]exchange.Newcomer, error) {
	if a.deps.IYS == nil {
		return nil, unavailable("İYS and its records")
	}
	if _, err := a.account(q.Account); err != nil {
		return nil, err
	}
	list, err := a.deps.IYS.Newcomers(ctx, q.Account, 1000)
	return list, iysError(err)
}

// ListReconciledDays is Service.ListReconciledDays.
func (a *Admin) ListReconciledDays(ctx context.Context, q DayQuery) ([]reconcile.Day, error) {
	if _, err := a.iysOf(q.Brand); err != nil {
		return nil, err
	}
	if q.Limit == 0 {
		q.Limit = 31
	}
	if err := within("limit", q.Limit, 1, 1200); err != nil {
		return nil, err
	}
	list, err := a.deps.IYS.ReconciledDays(ctx, q.Brand, q.Limit)
	return list, iysError(err)
}

// ReconcileDay is Service.ReconcileDay.
func (a *Admin) ReconcileDay(ctx context.Context, q DayQuery) (reconcile.Day, error) {
	if _, err := a.iysOf(q.Brand); err != nil {
		return reconcile.Day{}, err
	}
	day, err := reconcile.ParseDay(q.Date, a.deps.Now())
	if err != nil {
		return reconcile.Day{}, iysError(err)
	}
	d, err := a.deps.IYS.Day(ctx, q.Brand, day)
	return d, a.noted(ctx, "ReconcileDay", "brand "+q.Brand+", "+q.Date, d, err)
}

// ReconcileProof is Service.ReconcileProof.
func (a *Admin) ReconcileProof(ctx context.Context, q DayQuery) (Proof, error) {
	if _, err := a.iysOf(q.Brand); err != nil {
		return Proof{}, err
	}
	b, ok, err := a.deps.IYS.Proof(ctx, q.Brand, q.Date)
	if err == nil && !ok {
		err = gateway.Refuse(gateway.CodeNotFound, "date", "There is no time stamp of brand %s for %s.", q.Brand, q.Date)
		return Proof{}, err
	}
	return Proof{b}, iysError(err)
}

// RepairPlan is Service.RepairPlan.
func (a *Admin) RepairPlan(ctx context.Context, q PlanQuery) (PlanDetail, error) {
	if a.deps.IYS == nil {
		return PlanDetail{}, unavailable("İYS and its records")
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	if err := within("limit", q.Limit, 1, 1000); err != nil {
		return PlanDetail{}, err
	}
	p, ok, err := a.deps.IYS.Plan(ctx, q.ID)
	if err == nil && !ok {
		err = reconcile.ErrNoPlan
	}
	if err != nil {
		return PlanDetail{}, iysError(err)
	}
	items, err := a.deps.IYS.PlanItems(ctx, q.ID, q.After, q.Limit)
	return PlanDetail{p, items}, iysError(err)
}

// ChangePlan is Service.ChangePlan.
func (a *Admin) ChangePlan(ctx context.Context, in PlanAct) (out PlanOutcome, err error) {
	if a.deps.IYS == nil {
		return out, unavailable("İYS and its records")
	}
	switch by := ActorOf(ctx); in.Act {
	case "apply":
		out.Plan, out.Day, err = a.deps.IYS.Apply(ctx, in.ID, in.Items, by)
	case "undo":
		out.Plan, err = a.deps.IYS.Undo(ctx, in.ID, by)
	case "dismiss":
		out.Plan, err = a.deps.IYS.Dismiss(ctx, in.ID, by)
	default:
		return out, invalid("act", "%q is not possible; choose one of apply, undo, dismiss.", in.Act)
	}
	return out, a.noted(ctx, "ChangePlan", fmt.Sprintf("repair plan %d: %s", in.ID, in.Act), &out.Plan, err)
}

// ListRetailers is Service.ListRetailers.
func (a *Admin) ListRetailers(ctx context.Context, n Name) ([]iysapi.Retailer, error) {
	if _, err := a.iysOf(n.Name); err != nil {
		return nil, err
	}
	list, err := a.deps.IYS.Retailers(ctx, n.Name)
	return list, iysError(err)
}

// AddRetailer is Service.AddRetailer.
func (a *Admin) AddRetailer(ctx context.Context, in RetailerInput) (iysapi.Retailer, error) {
	if _, err := a.iysOf(in.Brand); err != nil {
		return in.Retailer, err
	}
	code, err := a.deps.IYS.AddRetailer(ctx, in.Brand, in.Retailer)
	in.Retailer.Code = code
	// The trail keeps who it is by number; the identity number stays with İYS.
	return in.Retailer, a.noted(ctx, "AddRetailer", fmt.Sprintf("dealer %d of brand %s", code, in.Brand), map[string]string{"title": in.Retailer.Title}, err)
}

// DeleteRetailer is Service.DeleteRetailer.
func (a *Admin) DeleteRetailer(ctx context.Context, in RetailerInput) (Nothing, error) {
	if _, err := a.iysOf(in.Brand); err != nil {
		return Nothing{}, err
	}
	err := a.deps.IYS.DeleteRetailer(ctx, in.Brand, in.Retailer.Code)
	return Nothing{}, a.noted(ctx, "DeleteRetailer", fmt.Sprintf("dealer %d of brand %s", in.Retailer.Code, in.Brand), nil, err)
}

// ChangeAccess is Service.ChangeAccess.
func (a *Admin) ChangeAccess(ctx context.Context, in AccessInput) (Nothing, error) {
	if _, err := a.iysOf(in.Brand); err != nil {
		return Nothing{}, err
	}
	ch, err := channelOf(in.Channel)
	if err != nil {
		return Nothing{}, err
	}
	acc := iysapi.Access{Channel: ch, RecipientType: iys.RecipientType(in.RecipientType), Recipients: in.Addresses, Retailers: in.Retailers}
	if acc.RecipientType == "" {
		acc.RecipientType = iys.RecipientPerson
	}
	if !slices.Contains([]string{"grant", "replace", "remove", "remove_all"}, in.Act) {
		return Nothing{}, invalid("act", "%q is not possible; choose one of grant, replace, remove, remove_all.", in.Act)
	}
	err = a.deps.IYS.Access(ctx, in.Act, in.Brand, acc)
	return Nothing{}, a.noted(ctx, "ChangeAccess", fmt.Sprintf("%s %d addresses of brand %s", in.Act, len(in.Addresses), in.Brand), in.Retailers, err)
}

// ListAccess is Service.ListAccess.
func (a *Admin) ListAccess(ctx context.Context, q AccessQuery) ([]iysapi.Retailer, error) {
	if _, err := a.iysOf(q.Brand); err != nil {
		return nil, err
	}
	ch, err := channelOf(q.Channel)
	if err != nil {
		return nil, err
	}
	k := iys.Key{Brand: q.Brand, Channel: ch, RecipientType: iys.RecipientType(q.RecipientType)}
	if k.RecipientType == "" {
		k.RecipientType = iys.RecipientPerson
	}
	if !k.RecipientType.Valid() {
		return nil, invalid("recipientType", "%q is not possible; choose BIREYSEL or TACIR.", q.RecipientType)
	}
	n, refusal := iys.NormalizeRecipient(ch, q.Address)
	if refusal != nil {
		return nil, invalid("address", "%s: %s", refusal.Code, refusal.English)
	}
	k.Recipient = n
	list, err := a.deps.IYS.AccessList(ctx, k)
	return list, iysError(err)
}

// ListPlaces is Service.ListPlaces.
func (a *Admin) ListPlaces(ctx context.Context, q PlaceQuery) ([]iysapi.Place, error) {
	if _, err := a.iysOf(q.Brand); err != nil {
		return nil, err
	}
	list, err := a.deps.IYS.Places(ctx, q.Brand, q.City)
	if err == nil && q.City != 0 && len(list) == 0 {
		return nil, gateway.Refuse(gateway.CodeNotFound, "city", "İYS lists no district of a province %d; provinces go by plate number.", q.City)
	}
	return list, iysError(err)
}
