package reconcile

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

// Config of a Reconciler.
type Config struct {
	Store     Store
	Exchange  Exchange
	Directory exchange.Directory
	Calendar  *iys.Calendar // nil = iys.DefaultCalendar
	Log       *slog.Logger  // nil = silent
	Every     time.Duration // between two looks at what is to be reconciled, default 30 min
	// After is how long after the end of a day İYS is first asked about it. When its files are ready is not documented; default
	// 3 h, that is 03:00 in Istanbul.
	After time.Duration
}

// daysBack is how many finished days İYS lets be reconciled (iys-api.md §11).
const daysBack = 7

// Reconciler reconciles all brands in mode partner. It is safe for concurrent use.
type Reconciler struct {
	cfg  Config
	cal  *iys.Calendar
	log  *slog.Logger
	turn sync.Mutex // one day or plan at a time
}

// New returns a Reconciler that does nothing yet.
func New(cfg Config) *Reconciler {
	if cfg.Every <= 0 {
		cfg.Every = 30 * time.Minute
	}
	if cfg.After <= 0 {
		cfg.After = 3 * time.Hour
	}
	if cfg.Calendar == nil {
		cfg.Calendar = iys.DefaultCalendar()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{cfg: cfg, cal: cfg.Calendar, log: cfg.Log}
}

// Run reconciles every night until ctx ends.
func (r *Reconciler) Run(ctx context.Context) {
	t := time.NewTicker(r.cfg.Every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := r.Sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
				r.log.Warn("iys reconciliation not done for all brands, it goes on later", "err", err)
			}
		}
	}
}

// Sweep reconciles what is due at now: of each brand the finished days within İYS's reach that are not settled, oldest first.
// A day with a plan that waits for a person, or without the right, is not due again before the next day, and one that failed for a
// reason of its own not before some hours. What is wrong with one day keeps no other from being reconciled.
func (r *Reconciler) Sweep(ctx context.Context, now time.Time) error {
	brands, err := r.cfg.Directory.Brands(ctx)
	if err != nil {
		return fmt.Errorf("reconcile: brands: %w", err)
	}
	var errs []error
	for _, b := range brands {
		if partner(b) {
			errs = append(errs, r.sweep(ctx, b.BrandCode, now))
		}
	}
	return errors.Join(errs...)
}

// sweep reconciles the days of a brand that are due.
func (r *Reconciler) sweep(ctx context.Context, brand string, now time.Time) error {
	var errs []error
	passing := 0 // failures that may be over with the next call
	for back := daysBack; back >= 1 && ctx.Err() == nil; back-- {
		day := midnight(now).AddDate(0, 0, -back)
		if now.Sub(day.AddDate(0, 0, 1)) < r.cfg.After {
			continue
		}
		old, known, err := r.cfg.Store.ReconciledDay(ctx, brand, date(day))
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("reconcile: %w", err))...)
		}
		if known && !due(old, now) {
			continue
		}
		d, err := r.Day(ctx, brand, day)
		if err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("brand %s, %s: %w", brand, d.Date, err))
		if ofDay(err) {
			continue
		}
		// What keeps one day from being asked keeps the next as well: a right, an hour's limit, an outage. That İYS fails for one day alone
		// and answers for another is told apart from an outage by asking for one more.
		if passing++; iysapi.RetryOf(err) != iysapi.RetryAgain || passing > 1 {
			break
		}
	}
	return errors.Join(errs...)
}

// failedRest is how long a day that failed for a reason of its own is left alone: its file is downloaded whole each time, and İYS may
// write another.
const failedRest = 6 * time.Hour

// ofDay reports whether an error is about the day asked for and says nothing about others.
func ofDay(err error) bool {
	return errors.Is(err, errFile) || iysapi.RetryOf(err) == iysapi.RetryFinal
}

func due(d Day, now time.Time) bool {
	switch d.Result {
	case Agreed, Empty:
		return false
	case Differs, NoRight:
		return midnight(now).After(midnight(d.At))
	}
	return !now.Before(d.Again)
}

func partner(b exchange.Brand) bool {
	for _, m := range b.Modes {
		if m == iys.ModePartner && b.API != nil {
			return true
		}
	}
	return false
}

func midnight(t time.Time) time.Time {
	y, m, d := t.In(iys.Istanbul).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, iys.Istanbul)
}

func date(day time.Time) string { return day.In(iys.Istanbul).Format(time.DateOnly) }

// ParseDay reads a day (YYYY-MM-DD, Istanbul) and refuses one that cannot be reconciled at now.
func ParseDay(s string, now time.Time) (time.Time, error) {
	day, err := time.ParseInLocation(time.DateOnly, s, iys.Istanbul)
	if err != nil {
		return day, fmt.Errorf("%w: %q is no day (YYYY-MM-DD)", ErrDay, s)
	}
	if !day.Before(midnight(now)) || day.Before(midnight(now).AddDate(0, 0, -daysBack)) {
		return day, ErrDay
	}
	return day, nil
}

// Day reconciles one brand and day now. The error is İYS's or the store's; how the day stands is in the result and kept.
func (r *Reconciler) Day(ctx context.Context, brand string, day time.Time) (Day, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	return r.day(ctx, brand, midnight(day))
}

func (r *Reconciler) day(ctx context.Context, brand string, day time.Time) (Day, error) {
	d := Day{Brand: brand, Date: date(day), At: time.Now()}
	b, ok, err := r.cfg.Directory.Brand(ctx, brand)
	if err != nil {
		return d, err
	}
	api, able := b.API.(API)
	if !ok || !able || !partner(b) {
		return d, ErrBrand
	}
	old, _, err := r.cfg.Store.ReconciledDay(ctx, brand, d.Date)
	if err != nil {
		return d, err
	}
	d.Plan, d.Proof = old.Plan, old.Proof
	ctx = iysapi.WithPriority(ctx, iysapi.PriorityBackground)
	err = r.work(ctx, api, b, day, &d)
	if err != nil && ctx.Err() != nil {
		return d, err
	}
	if err != nil {
		d.Result, d.Note = Failed, err.Error()
		if iysapi.RetryOf(err) == iysapi.RetryOperator {
			d.Result = NoRight
			r.log.Error("iys does not let us reconcile", "brand", brand, "day", d.Date, "err", err)
		}
		if ofDay(err) {
			d.Again = d.At.Add(failedRest)
		}
	}
	if kept := r.cfg.Store.PutReconciledDay(ctx, d); kept != nil {
		return d, kept
	}
	r.log.Info("iys day reconciled", "brand", brand, "day", d.Date, "result", string(d.Result), "rows", d.Rows)
	return d, err
}

// work is the road of a day: ours complete? İYS's ready? equal? then agree, else lay side by side.
func (r *Reconciler) work(ctx context.Context, api API, b exchange.Brand, day time.Time, d *Day) error {
	if known := r.cfg.Exchange.KnownTo(b); known.Before(day.AddDate(0, 0, 1)) {
		d.Result, d.Note = Waiting, "the listing of changes has not been read to the end of the day yet"
		return nil
	}
	if err := r.summary(ctx, api, b, day, d); err != nil {
		return err
	}
	ag, any, err := api.Agreement(ctx, b.Brand, day)
	if err != nil {
		return err
	}
	if any && ag.Process != iysapi.AgreementCompleted {
		d.Result, d.Note = Waiting, "İYS's file is "+ag.Process
		return nil
	}
	d.Hash, d.Method = ag.Hash, ag.Method
	if err := r.ourHash(ctx, day, d); err != nil {
		return err
	}
	switch {
	case !any && d.Rows == 0:
		d.Result = Empty
		return nil
	case any && d.Hash != "" && d.Hash == d.OurHash:
		return r.agree(ctx, api, b, day, d, ag.Agreed)
	}
	n, theirHash, err := r.differences(ctx, api, b, day, d, any)
	if err != nil {
		return err
	}
	if n == 0 && theirHash == d.Hash {
		d.Note = "the rows are the same; İYS writes the file in another form than expected"
		return r.agree(ctx, api, b, day, d, ag.Agreed)
	}
	if n == 0 {
		return fmt.Errorf("%w: it does not have the hash İYS names, though its rows are ours", errFile)
	}
	d.Result = Differs
	return nil
}

func (r *Reconciler) summary(ctx context.Context, api API, b exchange.Brand, day time.Time, d *Day) error {
	for _, rt := range []iys.RecipientType{iys.RecipientPerson, iys.RecipientMerchant} {
		list, err := api.DaySummary(ctx, b.Brand, day, rt)
		if err != nil {
			return err
		}
		d.Summary = append(d.Summary, list...)
	}
	return nil
}

func (r *Reconciler) ourHash(ctx context.Context, day time.Time, d *Day) error {
	h, err := hasher(d.Method)
	if err != nil {
		return err
	}
	s := newSums(h)
	d.Rows = 0
	if err := r.cfg.Store.EachMovement(ctx, d.Brand, day, func(m iys.Consent) error {
		d.Rows++
		return s.add(&m)
	}); err != nil {
		return err
	}
	d.OurHash, err = s.hex()
	return err
}

// maxProof bounds a time stamp; a true one has a few kilobytes.
const maxProof = 1 << 20

// agree tells İYS that the files are equal and keeps its time stamp.
func (r *Reconciler) agree(ctx context.Context, api API, b exchange.Brand, day time.Time, d *Day, already bool) error {
	if err := r.closeOpen(ctx, d); err != nil {
		return err
	}
	if !already {
		if _, err := api.Agree(ctx, b.Brand, day); err != nil {
			return err
		}
	}
	d.Result = Agreed
	proof := &bounded{left: maxProof}
	ok, err := api.Timestamp(ctx, b.Brand, day, proof)
	if err != nil {
		// The agreement stands; the proof is asked for again.
		d.Result, d.Note = Waiting, "agreed, but the time stamp could not be fetched: "+err.Error()
		return nil
	}
	if !ok || len(proof.b) == 0 {
		d.Note = "agreed; İYS gave no time stamp"
		return nil
	}
	if err := r.cfg.Store.PutProof(ctx, d.Brand, d.Date, proof.b); err != nil {
		return err
	}
	d.Proof = true
	return nil
}

type bounded struct {
	b    []byte
	left int
}

func (w *bounded) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, errors.New("reconcile: the time stamp is too long")
	}
	w.left -= len(p)
	w.b = append(w.b, p...)
	return len(p), nil
}

// differences reads İYS's file beside our movements and makes the plan. It returns how many rows differ, and the hash of the
// bytes İYS sent.
func (r *Reconciler) differences(ctx context.Context, api API, b exchange.Brand, day time.Time, d *Day, any bool) (int, string, error) {
	h, err := hasher(d.Method)
	if err != nil {
		return 0, "", err
	}
	m, err := r.begin(ctx, d)
	if err != nil {
		return 0, "", err
	}
	theirs, wait := r.download(ctx, api, b, day, h, any)
	here, there, err := compare(d.Brand, theirs, func(yield func(iys.Consent) error) error {
		return r.cfg.Store.EachMovement(ctx, d.Brand, day, yield)
	}, m.add)
	theirs.Close() // a comparison that broke off ends the download
	if got := wait(); err == nil || errors.Is(err, errFile) && got != nil && !errors.Is(got, io.ErrClosedPipe) {
		err = got
	}
	if err == nil {
		err = m.flush()
	}
	if err != nil {
		return 0, "", errors.Join(err, m.drop())
	}
	d.Rows = here
	if m.total() > 0 {
		p, err := m.end()
		if err != nil {
			return 0, "", err
		}
		d.Plan = p.ID
		r.log.Warn("iys has other movements than we do", "brand", d.Brand, "day", d.Date, "rows", there, "missing_here", p.Here,
			"missing_there", p.There, "different", p.Different, "plan", p.ID)
	}
	return m.total(), hexOf(h), nil
}

// download streams İYS's file through h; nothing of it is kept. wait returns when the download has ended.
func (r *Reconciler) download(ctx context.Context, api API, b exchange.Brand, day time.Time, h hash.Hash, any bool) (*io.PipeReader, func() error) {
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		got, err := false, error(nil)
		if any {
			got, err = api.DayFile(ctx, b.Brand, day, io.MultiWriter(h, pw))
		}
		if err == nil && !got {
			_, err = io.WriteString(pw, header) // no movements there at all
		}
		pw.CloseWithError(err)
		done <- err
	}()
	return pr, func() error { return <-done }
}
