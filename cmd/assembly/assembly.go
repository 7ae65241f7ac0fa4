// Package assembly puts the parts of the gateway together: it alone, with the programs and tests that use it, knows everyone.
//
// Build makes all parts around an open store, Run gives them life until its context ends and stops them in the order of flow:
// doors close, the queue drains, answers of operators are written, operators unbind, events and exchange stop, and only then
// may the caller close the store.
package assembly

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/account"
	"izinli/gateway/consent"
	"izinli/gateway/dispatch"
	"izinli/gateway/inbound"
	"izinli/gateway/intake"
	"izinli/gateway/iyslink"
	"izinli/gateway/operators"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/mirror"
	"izinli/iys/reconcile"
	"izinli/queue"
)

// Options say how the parts are put together. Zero fields take the default.
type Options struct {
	Redis      string // URL; empty: embedded queue
	QuietHours bool
	FreshFor   time.Duration
	Confirm    string // text that confirms an opt-out; empty: none
	Now        func() time.Time
	Log        *slog.Logger
	// Of the queue; zero fields take its defaults.
	Workers, OTPWorkers, MaxTasks int
	DrainTimeout                  time.Duration
	// Told of what happens to messages; may be nil.
	Journal  dispatch.Journal
	Observer intake.Observer
	Inbound  func(*gateway.Inbound)
	OptOut   func(*gateway.OptOut, time.Duration)
	// Towards İYS.
	IYSLimits    iysapi.Limits
	PullEvery    time.Duration
	OutboxEvery  time.Duration
	AskTimeout   time.Duration
	RequestAfter time.Duration
	Calendar     *iys.Calendar // nil: the built-in one
	Mail         MailOptions
}

// Gateway is the assembled gateway.
type Gateway struct {
	Store     *store.Store
	Mirror    *mirror.Mirror
	Office    *consent.Office
	Desk      *consent.Desk
	Intake    *intake.Intake
	Dispatch  *dispatch.Dispatcher
	Operators *operators.Manager
	Inbound   *inbound.Desk
	Queue     *queue.Queue
	Exchange  *exchange.Exchange
	Links     *iyslink.Directory
	Pushes    *iyslink.Pushes
	Rights    *iyslink.Rights
	Reconcile *reconcile.Reconciler
	Auth      *account.Authenticator
	Limits    *account.Limits
	Mail      *Mail // nil without

	opt Options
}

// Build makes the parts and loads the mirror. Nothing runs yet.
func Build(ctx context.Context, st *store.Store, o Options) (*Gateway, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &Gateway{Store: st, Mirror: mirror.New(), opt: o}
	if err := g.Mirror.Load(ctx, st); err != nil {
		return nil, err
	}
	if err := st.NoteConsentCount(g.Mirror.Size().Consents); err != nil {
		return nil, err
	}
	late := &lateListener{}
	var err error
	g.Links = iyslink.New(st, o.IYSLimits, o.Log)
	g.Rights = iyslink.NewRights(g.Links, iyslink.RightsConfig{Every: min(30*time.Minute, o.FreshFor/6), Log: o.Log})
	g.Exchange, err = exchange.New(exchange.Config{Store: st, Mirror: g.Mirror, Directory: g.Links, Rights: g.Rights, Listener: late,
		Log: o.Log, PullEvery: o.PullEvery, OutboxEvery: o.OutboxEvery, RequestAfter: o.RequestAfter, FreshFor: o.FreshFor, Calendar: o.Calendar})
	if err != nil {
		return nil, err
	}
	g.Pushes = iyslink.NewPushes(g.Links, g.Exchange, o.Log)
	g.Reconcile = reconcile.New(reconcile.Config{Store: st, Exchange: g.Exchange, Directory: g.Links, Calendar: o.Calendar, Log: o.Log})
	g.Office = consent.New(consent.Config{FreshFor: o.FreshFor, AskTimeout: o.AskTimeout, Now: o.Now, Log: o.Log, Records: st}, st, g.Mirror, g.Exchange)
	g.Intake = intake.New(intake.Config{Now: o.Now, Log: o.Log, LastBatch: st.LastBatch(), Observer: o.Observer,
		Suppressed: st.Suppressed, Bodies: lateBodies{g}}, st, g.Office)
	g.Dispatch = dispatch.New(dispatch.Config{QuietHours: o.QuietHours, Now: o.Now, Log: o.Log, Journal: o.Journal, Suppressed: st.Suppressed}, st, g.Office)
	g.Desk = consent.NewDesk(g.Office, st, g.Exchange)
	late.Listener = g.Desk
	if o.Calendar != nil {
		g.Desk.CountBy(o.Calendar)
	}
	if o.OptOut != nil {
		g.Desk.Watch(o.OptOut)
	}
	g.Inbound = inbound.New(inbound.Config{Confirm: o.Confirm, Now: o.Now, Log: o.Log, Note: o.Inbound}, st, g.Desk, g.Intake)
	g.Operators = operators.New(operators.Config{Log: o.Log}, st, g.Dispatch, g.Inbound)
	g.Auth = account.New(st, account.Options{})
	g.Limits = account.NewLimits(st, o.Now)
	g.Queue, err = queue.New(queue.Config{Instance: st.Instance(), Redis: o.Redis, Logger: o.Log, Workers: o.Workers,
		OTPWorkers: o.OTPWorkers, MaxTasks: o.MaxTasks, DrainTimeout: o.DrainTimeout})
	if err != nil {
		return nil, err
	}
	st.Watch(g.Queue.Wake)
	return g, g.buildMail(&o)
}

// lateListener breaks the circle of exchange (tells the desk) and desk (wakes the exchange).
type lateListener struct{ exchange.Listener }

// process lets the queue call dispatch, which does not know chunks.
type process struct{ d *dispatch.Dispatcher }

func (p process) Process(ctx context.Context, c queue.Chunk) (time.Duration, error) {
	return p.d.Process(ctx, c.Refs)
}

// drainAnswers is how long open answers of operators may take at a stop; what is later in doubt is told by the next start.
const drainAnswers = 15 * time.Second

// Run gives the parts life until ctx ends and then stops them in the order of flow. doors are served until ctx ends; each must
// return soon after.
func (g *Gateway) Run(ctx context.Context, doors ...func(context.Context) error) error {
	// Parts behind the doors outlive ctx until their turn comes.
	ops, stopOps := context.WithCancel(context.WithoutCancel(ctx))
	queueCtx, stopQueue := context.WithCancel(context.WithoutCancel(ctx))
	back, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	defer stopQueue()
	defer stopOps()

	var opsDone, queueDone, backDone, doorsDone sync.WaitGroup
	var mu sync.Mutex
	var errs error
	note := func(err error) {
		mu.Lock()
		errs = errors.Join(errs, err)
		mu.Unlock()
	}
	backDone.Go(func() { g.Dispatch.Run(back) })
	backDone.Go(func() { g.Inbound.Run(back) })
	backDone.Go(func() { note(g.Exchange.Run(back)) })
	backDone.Go(func() { g.Pushes.Run(back) })
	backDone.Go(func() { g.Rights.Run(back) })
	backDone.Go(func() { g.Reconcile.Run(back) })
	opsDone.Go(func() { g.Operators.Run(ops) })
	if m := g.Mail; m != nil {
		opsDone.Go(func() { m.Mailer.Run(ops) })
		backDone.Go(func() { m.Notifier.Run(back) })
		backDone.Go(func() { m.keepBodies(back, func(msg string, err error) { g.opt.Log.Error(msg, "err", err) }) })
	}
	queueDone.Go(func() { note(g.Queue.Run(queueCtx, g.Store, process{g.Dispatch})) })
	doorCtx, stopDoors := context.WithCancel(ctx)
	defer stopDoors()
	for _, door := range doors {
		doorsDone.Go(func() {
			if err := door(doorCtx); err != nil {
				note(err)
				stopDoors() // a door that cannot serve ends the whole: half a gateway is a trap
			}
		})
	}
	<-doorCtx.Done()
	doorsDone.Wait()
	stopQueue()
	queueDone.Wait()
	drain, cancel := context.WithTimeout(back, drainAnswers)
	if err := g.Dispatch.Wait(drain); err != nil {
		g.opt.Log.Warn("some answers of operators did not come in time; those messages are in doubt")
	}
	cancel()
	stopOps()
	opsDone.Wait()
	stopBack()
	backDone.Wait()
	g.Exchange.Close()
	return errs
}

// Steering is what doors need to stop, resume and replace messages.
func (g *Gateway) Steering() gateway.Steering { return steering{g.Store, g.Intake} }

type steering struct {
	*store.Store
	*intake.Intake
}
