package intake

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/iys"
)

// listLimit is the size up to which an answer names every message; above it, only those not accepted.
const listLimit = 1000

// Store accepts submissions and knows what administrators edited.
type Store interface {
	Accept(ctx context.Context, a *gateway.Acceptance) error
	// Precheck says beforehand what Accept would say to an idempotency key (nil: none) and a number of credits. It stores nothing.
	Precheck(ctx context.Context, a gateway.AccountID, key *gateway.IdempotencyKey, credits int64) error
	Directory() *gateway.Directory
	// Replace changes a single waiting message in one commit.
	Replace(ctx context.Context, id gateway.MessageID, change func(*gateway.Batch, *gateway.Recipient) error, d *gateway.Decision) error
}

// Office judges consent.
type Office interface {
	Decide(b *gateway.Batch, address string, now time.Time) iys.Verdict
	Ask(ctx context.Context, b *gateway.Batch, addresses []string)
	// Cite completes decisions with what the consent they rest on says of itself.
	Cite(ctx context.Context, list []consent.Citation)
}

// Observer is told of every answered submission, for metrics and journal. It must not block.
type Observer interface {
	Accepted(b *gateway.Batch, r *gateway.Result)
}

// Config of the intake. Zero fields take the default.
type Config struct {
	Now      func() time.Time
	Log      *slog.Logger
	Observer Observer
	// LastBatch is the highest batch id ever handed out.
	LastBatch gateway.BatchID
	// Suppressed tells, from memory, whether mail of an account to an address came back for good; nil: never.
	Suppressed func(a gateway.AccountID, addr string) bool
	// Bodies yields mails too large to come along; nil: there are none.
	Bodies Bodies
	// AskTimeout bounds the question to İYS in Check and dryRun. Default 3 s.
	AskTimeout time.Duration
}

// Intake implements gateway.Submitter.
type Intake struct {
	cfg    Config
	store  Store
	office Office
	ids    *gateway.BatchIDs

	mu       sync.Mutex
	inFlight map[flightKey]struct{} // idempotency keys under way; guarded by mu
}

type flightKey struct {
	account gateway.AccountID
	key     string
}

// New returns an intake.
func New(cfg Config, st Store, o Office) *Intake {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.AskTimeout == 0 {
		cfg.AskTimeout = 3 * time.Second
	}
	return &Intake{cfg: cfg, store: st, office: o, ids: gateway.NewBatchIDs(cfg.LastBatch), inFlight: map[flightKey]struct{}{}}
}

// NewID hands out an id before its message exists, for parts that are answered one by one.
func (in *Intake) NewID(a gateway.AccountID) gateway.MessageID {
	return gateway.MessageID{Account: a, Batch: in.ids.Next(in.cfg.Now())}
}

// Submit implements gateway.Submitter.
func (in *Intake) Submit(ctx context.Context, s *gateway.Submission) (gateway.Result, error) {
	release, err := in.claim(s)
	if err != nil {
		return gateway.Result{}, err
	}
	defer release()
	// A repeat gets the stored answer whatever has changed since: its sendAt may have passed, its sender may be gone.
	if s.Idempotency != nil && s.Principal != nil && !s.DryRun {
		if err := in.store.Precheck(ctx, s.Principal.Account, s.Idempotency, 0); err != nil {
			return replayed(err)
		}
	}
	d, err := in.draft(s)
	if err != nil {
		return gateway.Result{}, err
	}
	if err := d.content(ctx); err != nil {
		return gateway.Result{}, err
	}
	// A mail server waits minutes for its answer and can tell its sender at once: what is not known is asked (RFC 5321 §4.5.3.2.6).
	if err := d.judgeAll(ctx, s.DryRun || s.Door == gateway.DoorSMTP && s.Channel == gateway.ChannelEmail); err != nil {
		return gateway.Result{}, err
	}
	res := d.result()
	if s.DryRun {
		if err := in.store.Precheck(ctx, d.acct.ID, nil, int64(res.Credits)); err != nil {
			return replayed(err)
		}
	}
	if s.DryRun || res.Accepted+res.Dropped == 0 {
		res.Batch = gateway.BatchRef{}
		for i := range res.Messages {
			res.Messages[i].ID = gateway.MessageID{}
		}
		return res, nil
	}
	return in.accept(ctx, d, res)
}

// Check implements gateway.Submitter.
func (in *Intake) Check(ctx context.Context, s *gateway.Submission) ([]gateway.Verdict, error) {
	d, err := in.draft(s)
	if err != nil {
		return nil, err
	}
	if err := d.judgeAll(ctx, true); err != nil {
		return nil, err
	}
	for i := range d.verdicts {
		d.verdicts[i].ID = gateway.MessageID{} // nothing of that id exists
	}
	return d.verdicts, nil
}

// claim keeps two requests with the same idempotency key from running at once.
func (in *Intake) claim(s *gateway.Submission) (func(), error) {
	if s.Idempotency == nil || s.Principal == nil {
		return func() {}, nil
	}
	k := flightKey{s.Principal.Account, s.Idempotency.Key}
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, busy := in.inFlight[k]; busy {
		return nil, gateway.Refuse(gateway.CodeInProgress, "Idempotency-Key", "")
	}
	in.inFlight[k] = struct{}{}
	return func() {
		in.mu.Lock()
		delete(in.inFlight, k)
		in.mu.Unlock()
	}, nil
}

// accept writes the acceptance. From here on the answer is a promise.
func (in *Intake) accept(ctx context.Context, d *draft, res gateway.Result) (gateway.Result, error) {
	a := d.accept
	a.Recipients, a.Decisions, a.Credits, a.Segments = d.recipients, d.decisions, int64(res.Credits), int64(res.Segments)
	a.Idempotency, a.Parts, a.Body = d.sub.Idempotency, d.sub.Parts, d.sub.Body.Inline
	if d.sub.Raw != nil {
		for _, p := range d.sub.Raw.Parts {
			if p.ID != "" {
				a.PartIDs = append(a.PartIDs, p.ID)
			}
		}
	}
	if a.Idempotency != nil {
		var err error
		if a.Answer, err = json.Marshal(res); err != nil {
			return gateway.Result{}, &gateway.Error{Code: gateway.CodeInternal, Text: gateway.CodeInternal.Wire().Title, Err: err}
		}
	}
	if err := in.store.Accept(ctx, a); err != nil {
		return replayed(err)
	}
	// The store keeps the batch for a while and with it all of a: what it does not need any more goes now.
	a.Decisions, a.Refused, a.Answer, a.Body = nil, nil, nil, nil
	if in.cfg.Observer != nil {
		in.cfg.Observer.Accepted(&a.Batch, &res)
	}
	return res, nil
}

// replayed turns the error of an acceptance into the stored answer where it is a repeat, else into a refusal.
func replayed(err error) (gateway.Result, error) {
	var replay *gateway.Replay
	if !errors.As(err, &replay) {
		return gateway.Result{}, asRefusal(err)
	}
	var old gateway.Result
	if err := json.Unmarshal(replay.Answer, &old); err != nil {
		return gateway.Result{}, &gateway.Error{Code: gateway.CodeInternal, Text: gateway.CodeInternal.Wire().Title, Err: err}
	}
	old.Replayed = true
	return old, nil
}

// asRefusal turns a store's failure into one fit for the sender.
func asRefusal(err error) error {
	var e *gateway.Error
	if errors.As(err, &e) {
		return e
	}
	return &gateway.Error{Code: gateway.CodeUnavailable, Text: gateway.CodeUnavailable.Wire().Title, Err: err}
}
