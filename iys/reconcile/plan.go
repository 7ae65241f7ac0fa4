package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
)

// itemsAtOnce is how many items are written, read and carried out together.
const itemsAtOnce = 500

// maker makes a plan while the files are compared.
type maker struct {
	r     *Reconciler
	ctx   context.Context // of the one comparison it serves
	plan  Plan
	items []Item // not written yet
	n     int
}

// begin makes room for a plan. One that is open for the day is replaced: it describes differences that may be gone.
func (r *Reconciler) begin(ctx context.Context, d *Day) (*maker, error) {
	m := &maker{r: r, ctx: ctx, plan: Plan{Brand: d.Brand, Date: d.Date, State: Open, Made: time.Now()}}
	if err := r.closeOpen(ctx, d); err != nil {
		return nil, err
	}
	d.Plan = 0
	return m, nil
}

// closeOpen ends the open plan of a day, if there is one.
func (r *Reconciler) closeOpen(ctx context.Context, d *Day) error {
	if d.Plan == 0 {
		return nil
	}
	old, ok, err := r.cfg.Store.Plan(ctx, d.Plan)
	if err != nil || !ok || old.State != Open {
		return err
	}
	old.State, old.Changed, old.By = Dismissed, time.Now(), "a newer comparison"
	_, err = r.cfg.Store.PutPlan(ctx, old)
	return err
}

func (m *maker) total() int { return m.plan.Here + m.plan.There + m.plan.Different }

func (m *maker) add(d difference) error {
	switch d.kind {
	case MissingHere:
		m.plan.Here++
	case MissingThere:
		m.plan.There++
	case Different:
		m.plan.Different++
	}
	if m.n == MaxItems {
		m.plan.Cut = true
		return nil
	}
	m.n++
	m.items = append(m.items, Item{N: m.n, Kind: d.kind, Ours: d.ours, Theirs: d.theirs})
	if len(m.items) == itemsAtOnce {
		return m.flush()
	}
	return nil
}

// flush decides what the gathered items would do and writes them.
func (m *maker) flush() error {
	if len(m.items) == 0 {
		return nil
	}
	if m.plan.ID == 0 {
		p, err := m.r.cfg.Store.PutPlan(m.ctx, m.plan)
		if err != nil {
			return err
		}
		m.plan = p
	}
	held, err := m.r.held(m.ctx, m.items)
	if err != nil {
		return err
	}
	for i := range m.items {
		m.items[i].Action = action(&m.items[i], held[i])
		if m.items[i].Action == ActionReview {
			m.plan.Review++
		}
	}
	if err := m.r.cfg.Store.PutPlanItems(m.ctx, m.plan.ID, m.items); err != nil {
		return err
	}
	m.items = m.items[:0]
	return nil
}

func (m *maker) end() (Plan, error) { return m.r.cfg.Store.PutPlan(m.ctx, m.plan) }

// drop ends the plan of a comparison that broke off: it tells of a part of the day only.
func (m *maker) drop() error {
	if m.plan.ID == 0 {
		return nil
	}
	m.plan.State, m.plan.Changed, m.plan.By = Dismissed, time.Now(), "a comparison that broke off"
	_, err := m.r.cfg.Store.PutPlan(m.ctx, m.plan)
	return err
}

func (r *Reconciler) held(ctx context.Context, items []Item) ([]iys.Consent, error) {
	keys := make([]iys.Key, len(items))
	for i := range items {
		keys[i] = items[i].Key()
	}
	return r.cfg.Store.Consents(ctx, keys)
}

// action says what applying an item does while we hold the given record of its address.
func action(it *Item, held iys.Consent) Action {
	switch {
	case it.Kind == MissingThere && it.Ours.Status == iys.StatusRejected:
		return ActionAgain
	case it.Kind == MissingThere:
		return ActionAsk
	case it.Theirs.Status != iys.StatusApproved:
		return ActionTake
	}
	theirs := it.Theirs
	theirs.Origin = iys.OriginReconcile
	switch after := iys.Resolve(held, theirs); {
	case after.Status != iys.StatusApproved || held.Status == iys.StatusApproved || held.Status == "":
		return ActionTake // changes no refusal
	case held.Status == iys.StatusNotApproved:
		return ActionAsk // RET or no record: only İYS knows
	}
	return ActionReview
}

// Apply carries out an open plan, in by's name. Items that wait for a person's word are carried out only when named by their
// numbers. An item that fails leaves the plan open; applying again goes on with what is left. Afterwards the day is compared
// anew, and agreed to when it is equal.
func (r *Reconciler) Apply(ctx context.Context, id uint64, named []int, by string) (Plan, Day, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	p, err := r.inState(ctx, id, Open)
	if err != nil {
		return p, Day{}, err
	}
	left := 0
	for after := 0; ; {
		items, err := r.cfg.Store.PlanItems(ctx, id, after, itemsAtOnce)
		if err != nil {
			return p, Day{}, err
		}
		if len(items) == 0 {
			break
		}
		after = items[len(items)-1].N
		n, err := r.applyPart(ctx, id, items, named)
		if err != nil {
			return p, Day{}, err
		}
		left += n
	}
	if left > 0 {
		return p, Day{}, fmt.Errorf("%w: %d", ErrProceed, left)
	}
	p.State, p.Changed, p.By = Applied, time.Now(), by
	if p, err = r.cfg.Store.PutPlan(ctx, p); err != nil {
		return p, Day{}, err
	}
	r.log.Info("iys repair plan applied", "plan", id, "brand", p.Brand, "day", p.Date, "by", by)
	return p, r.again(ctx, p), nil
}

// again compares the day of a plan anew; that this fails is no failure of the plan.
func (r *Reconciler) again(ctx context.Context, p Plan) Day {
	day, err := ParseDay(p.Date, time.Now())
	if err != nil {
		return Day{Brand: p.Brand, Date: p.Date, Result: Failed, Note: err.Error()}
	}
	d, err := r.day(ctx, p.Brand, day)
	if err != nil && d.Note == "" {
		d.Result, d.Note = Failed, err.Error()
	}
	return d
}

func (r *Reconciler) inState(ctx context.Context, id uint64, want State) (Plan, error) {
	p, ok, err := r.cfg.Store.Plan(ctx, id)
	switch {
	case err != nil:
		return p, err
	case !ok:
		return p, ErrNoPlan
	case p.State != want:
		return p, fmt.Errorf("%w: it is %s", ErrState, p.State)
	}
	return p, nil
}

// applyPart carries out a part of a plan and returns how many items could not be.
func (r *Reconciler) applyPart(ctx context.Context, id uint64, items []Item, named []int) (left int, err error) {
	held, err := r.held(ctx, items)
	if err != nil {
		return 0, err
	}
	var take, ask, drop, add []iys.Consent
	var again []exchange.Entry
	var doing []int
	for i := range items {
		it := &items[i]
		if it.Done {
			continue
		}
		it.Action = action(it, held[i]) // what we hold may have changed since
		switch {
		case it.Action == ActionReview && !slices.Contains(named, it.N):
			continue
		case it.Action == ActionTake:
			take = append(take, it.Theirs)
		default: // İYS's answer decides, and for our refusal whether there is something to refuse
			ask = append(ask, iys.Consent{Key: it.Key()})
		}
		if it.Action == ActionAgain {
			rec := it.Ours
			again = append(again, exchange.NewEntry(iys.Consent{Key: rec.Key, Status: iys.StatusRejected, Source: source(rec.Source), ConsentDate: rec.ConsentDate},
				time.Now(), r.cal))
		}
		if it.Kind != MissingHere {
			drop = append(drop, it.Ours)
		}
		if it.Kind != MissingThere && it.Action != ActionTake {
			add = append(add, it.Theirs) // Adopt keeps the others
		}
		it.Before = held[i]
		doing = append(doing, i)
	}
	if len(doing) == 0 {
		return 0, nil
	}
	if err := r.cfg.Exchange.Adopt(ctx, take); err != nil {
		return 0, err
	}
	failed, err := r.ask(ctx, ask)
	if err != nil {
		return 0, err
	}
	if len(again) > 0 {
		if err := r.cfg.Store.PutEntries(ctx, again, "reconcile", nil); err != nil {
			return 0, err
		}
		r.cfg.Exchange.Wake()
	}
	if err := r.cfg.Store.ReplaceMovements(ctx, drop, add); err != nil {
		return 0, err
	}
	now, err := r.held(ctx, items)
	if err != nil {
		return 0, err
	}
	for _, i := range doing {
		if failed[items[i].Key()] && items[i].Action != ActionTake && items[i].Action != ActionAgain {
			left++
			continue
		}
		items[i].Done, items[i].After = true, now[i]
	}
	return left, r.cfg.Store.PutPlanItems(ctx, id, items)
}

// source is one we may send: the person's own act at İYS that İYS does not have any more is written as the brand's.
func source(s iys.Source) iys.Source {
	if s.Sendable() {
		return s
	}
	return iys.SourceHSElectronic
}

// ask asks İYS about addresses; the answers become what we hold. It returns the addresses without an answer.
func (r *Reconciler) ask(ctx context.Context, list []iys.Consent) (map[iys.Key]bool, error) {
	type group struct {
		brand string
		ch    iys.Channel
		rt    iys.RecipientType
	}
	groups := map[group][]string{}
	for _, c := range list {
		g := group{c.Brand, c.Channel, c.RecipientType}
		if !slices.Contains(groups[g], c.Recipient) {
			groups[g] = append(groups[g], c.Recipient)
		}
	}
	failed := map[iys.Key]bool{}
	for g, addresses := range groups {
		answers, err := r.cfg.Exchange.Ask(ctx, g.brand, g.ch, g.rt, addresses)
		if err != nil {
			return nil, err
		}
		for i, a := range answers {
			if refusal := (*iys.Refusal)(nil); a.Err != nil && !errors.As(a.Err, &refusal) { // an address İYS cannot have stays as it is
				failed[iys.Key{Brand: g.brand, Channel: g.ch, RecipientType: g.rt, Recipient: addresses[i]}] = true
			}
		}
	}
	return failed, nil
}

// Dismiss leaves an open plan alone, in by's name; the next comparison of its day makes another while it differs.
func (r *Reconciler) Dismiss(ctx context.Context, id uint64, by string) (Plan, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	p, err := r.inState(ctx, id, Open)
	if err != nil {
		return p, err
	}
	p.State, p.Changed, p.By = Dismissed, time.Now(), by
	return r.cfg.Store.PutPlan(ctx, p)
}

// Undo takes an applied plan back, in by's name: what we held before is held again. Where that would turn a refusal into an
// approval, or where nothing was held, İYS is asked, and its answer counts. Blocks that were set stay, and refusals written to
// İYS stay written: the person's word is not undone.
func (r *Reconciler) Undo(ctx context.Context, id uint64, by string) (Plan, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	p, err := r.inState(ctx, id, Applied)
	if err != nil {
		return p, err
	}
	for after := 0; ; {
		items, err := r.cfg.Store.PlanItems(ctx, id, after, itemsAtOnce)
		if err != nil {
			return p, err
		}
		if len(items) == 0 {
			break
		}
		after = items[len(items)-1].N
		if err := r.undoPart(ctx, id, items); err != nil {
			return p, err
		}
	}
	p.State, p.Changed, p.By = Undone, time.Now(), by
	r.log.Info("iys repair plan undone", "plan", id, "brand", p.Brand, "day", p.Date, "by", by)
	return r.cfg.Store.PutPlan(ctx, p)
}

func (r *Reconciler) undoPart(ctx context.Context, id uint64, items []Item) error {
	held, err := r.held(ctx, items)
	if err != nil {
		return err
	}
	var back, ask, drop, add []iys.Consent
	for i := range items {
		it := &items[i]
		if !it.Done {
			continue
		}
		switch refuses := held[i].Status != iys.StatusApproved; {
		case it.Before.Status == "", it.Before.Status == iys.StatusApproved && refuses:
			ask = append(ask, iys.Consent{Key: it.Key()})
		default:
			back = append(back, it.Before)
		}
		if it.Kind != MissingThere {
			drop = append(drop, it.Theirs)
		}
		if it.Kind != MissingHere {
			add = append(add, it.Ours)
		}
		it.Done = false
	}
	if err := r.cfg.Exchange.Restore(ctx, back); err != nil {
		return err
	}
	failed, err := r.ask(ctx, ask)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("%w: İYS did not answer about %d addresses", ErrProceed, len(failed))
	}
	if err := r.cfg.Store.ReplaceMovements(ctx, drop, add); err != nil {
		return err
	}
	return r.cfg.Store.PutPlanItems(ctx, id, items)
}
