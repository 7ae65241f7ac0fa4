package customer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/iys"
)

// Bounds of the work.
const (
	pieceRows  = 1000            // rows of one call and one commit
	pieceBytes = 1 << 20         // octets of the file after which a piece is full
	turnPieces = 16              // pieces after which another import has its turn
	askTime    = 2 * time.Minute // one question
	firstRest  = time.Second     // after a failure; doubles
	lastRest   = 2 * time.Minute
)

// task is an open import in memory. It belongs to the queue or to one worker.
type task struct {
	job   *gateway.ImportJob
	notBy time.Time // rests until then
	tries int       // failures in a row
	moved time.Time // last progress
}

// Run works on open imports until ctx ends; what is not finished then goes on with the next run.
func (m *Imports) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range m.cfg.Running {
		wg.Go(func() {
			for t := m.pick(ctx); t != nil; t = m.pick(ctx) {
				m.turn(ctx, t)
			}
		})
	}
}

// put gives a task (back) to the queue.
func (m *Imports) put(t *task) {
	m.mu.Lock()
	m.waiting = append(m.waiting, t)
	m.mu.Unlock()
	m.rouse()
}

func (m *Imports) rouse() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// pick waits for the first task that does not rest; nil when ctx has ended.
func (m *Imports) pick(ctx context.Context) *task {
	for ctx.Err() == nil {
		t, more, wait := m.first()
		if t != nil {
			if more {
				m.rouse() // the wake-up that brought us here may have been meant for two
			}
			return t
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-m.wake:
		}
		timer.Stop()
	}
	return nil
}

func (m *Imports) first() (t *task, more bool, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.cfg.Now()
	wait = time.Hour
	for i, w := range m.waiting {
		if d := w.notBy.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
		return w, len(m.waiting) > 0, 0
	}
	return nil, false, wait
}

// turn works on a task for some pieces and puts it back, or ends it.
func (m *Imports) turn(ctx context.Context, t *task) {
	done, err := m.work(ctx, t)
	var stop *stopError
	switch {
	case ctx.Err() != nil && !done:
		m.put(t) // nobody takes it any more; the record says where to go on
		return
	case errors.As(err, &stop):
		m.end(ctx, t, gateway.ImportFailed, stop.text, stop.err)
	case err != nil && m.cfg.Now().Sub(t.moved) > m.cfg.GiveUp:
		m.end(ctx, t, gateway.ImportFailed, "The import got nowhere for too long.", err)
	case err != nil:
		m.rest(ctx, t, err)
	case done:
		m.end(ctx, t, gateway.ImportDone, "", nil)
	default:
		m.put(t)
	}
}

// stopError ends an import; text is for the customer.
type stopError struct {
	text string
	err  error
}

func (e *stopError) Error() string { return e.text }
func (e *stopError) Unwrap() error { return e.err }

// rest puts a task aside after a passing failure. The customer sees why it does not move.
func (m *Imports) rest(ctx context.Context, t *task, err error) {
	pause := min(firstRest<<min(t.tries, 10), lastRest)
	if t.tries++; t.tries == 1 {
		m.log.Warn("consent import rests", "account", t.job.Account, "import", t.job.ID, "pause", pause, "err", err)
		j := *t.job
		j.Error = "The import waits for a service that does not answer; it goes on by itself."
		if err := m.store.PutImport(context.WithoutCancel(ctx), &j, nil); err == nil {
			*t.job = j
		}
	}
	t.notBy = m.cfg.Now().Add(pause)
	m.put(t)
}

// end writes the last word about an import and removes its file; when it cannot be written, it is tried again.
func (m *Imports) end(ctx context.Context, t *task, state, text string, cause error) {
	j := *t.job
	j.State, j.Error, j.Updated = state, text, m.cfg.Now()
	ended := m.ending(j.Account)
	err := m.store.PutImport(context.WithoutCancel(ctx), &j, nil)
	ended(err == nil)
	if err != nil {
		m.rest(ctx, t, err)
		return
	}
	for _, path := range []string{m.path(&j), m.bookPath(&j)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			m.log.Error("upload not removed", "import", j.ID, "err", err) // the next start removes it
		}
	}
	m.log.Info("consent import ended", "account", j.Account, "import", j.ID, "state", state, "rows", j.Rows, "bad", j.Bad,
		"approved", j.Approved, "err", cause)
}

// work opens the file where the last commit left it and handles some pieces. done says that the file is at its end.
func (m *Imports) work(ctx context.Context, t *task) (done bool, err error) {
	j := t.job
	brand := m.store.Directory().BrandOf(j.Account, j.Brand)
	if brand == nil {
		return false, &stopError{text: "The brand does not belong to the account any more."}
	}
	f, err := m.openText(ctx, t)
	if errors.Is(err, os.ErrNotExist) {
		return false, &stopError{"The uploaded file is gone.", err}
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err := f.Seek(j.Offset, io.SeekStart); err != nil {
		return false, err
	}
	l := bareLayout()
	if len(j.Header) > 0 {
		if l, err = mapHeader(j.Header, j.Channel); err != nil {
			return false, &stopError{"The header cannot be used: " + err.Error() + ".", err}
		}
	}
	mode := modeOf(brand, j.Channel)
	write := iys.Mode(mode.Mode) == iys.ModePartner && !mode.ReadOnly
	rd := newReader(f, j.Delimiter, j.Encoding, j.Offset, j.Line)
	for range turnPieces {
		if ctx.Err() != nil {
			return false, nil
		}
		p := &piece{imports: m, job: *j, layout: &l, write: write}
		if done, err = p.read(rd); err != nil {
			return false, err
		}
		if p.rows > 0 {
			if err := p.handle(ctx); err != nil {
				return false, err
			}
		}
		if p.rows > 0 || !done {
			if err := p.commit(ctx, rd); err != nil {
				return false, err
			}
			*j = p.job
			t.tries, t.moved = 0, m.cfg.Now()
		}
		if done {
			return true, nil
		}
	}
	return false, nil
}

// openText opens the text of a file, which a workbook has to be turned into first.
func (m *Imports) openText(ctx context.Context, t *task) (*os.File, error) {
	f, err := os.Open(m.path(t.job))
	if !errors.Is(err, os.ErrNotExist) || t.job.Format != gateway.FormatXLSX {
		return f, err
	}
	if err := m.convert(ctx, t.job); err != nil {
		if bad := (*errBook)(nil); errors.As(err, &bad) {
			return nil, &stopError{bad.text, err}
		}
		return nil, err
	}
	if f, err = os.Open(m.path(t.job)); err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	t.job.Size, t.moved = st.Size(), m.cfg.Now()
	return f, nil
}

// piece is what is handled and written together.
type piece struct {
	imports *Imports
	job     gateway.ImportJob // a copy: it becomes the task's with the commit
	layout  *layout
	write   bool // we may register for the brand

	rows     int
	good     []record
	consents []gateway.Consent // of good
	refused  []gateway.ImportRow
}

// read takes rows until the piece is full; done at the end of the file.
func (p *piece) read(rd *reader) (done bool, err error) {
	from, now := rd.offset, p.imports.cfg.Now()
	for p.rows < pieceRows && rd.offset-from < pieceBytes {
		rec, err := rd.next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("customer: read spool: %w", err)
		}
		p.rows++
		if rec.bad != "" {
			p.refuse(rec, rowFault(rec.bad))
			continue
		}
		c, bad := p.layout.consent(&p.job, rec.fields, now)
		if bad == nil && p.job.Mode == modeRegister && !p.write && c.Status == string(iys.StatusApproved) {
			bad = rowFault("write")
		}
		if bad != nil {
			p.refuse(rec, bad)
			continue
		}
		p.good, p.consents = append(p.good, rec), append(p.consents, c)
	}
	return false, nil
}

func (p *piece) refuse(rec record, r *refusal) { p.refused = append(p.refused, r.row(rec)) }

func (p *piece) handle(ctx context.Context) error {
	switch {
	case len(p.good) == 0:
		return nil
	case p.job.Mode == modeRegister:
		return p.register(ctx)
	case p.job.DryRun: // a question is an act: it counts at İYS, and its answers are kept
		return nil
	}
	return p.verify(ctx)
}

// verify asks İYS, which keeps the two types of recipients apart.
func (p *piece) verify(ctx context.Context) error {
	for _, rt := range []string{gateway.RecipientIndividual, gateway.RecipientMerchant} {
		var addresses []string
		var of []int
		for i := range p.consents {
			if p.consents[i].RecipientType == rt {
				addresses, of = append(addresses, p.consents[i].Address), append(of, i)
			}
		}
		if len(addresses) == 0 {
			continue
		}
		answers, err := p.question(ctx, rt, addresses)
		if err != nil {
			return err
		}
		for k, a := range answers {
			var ref *iys.Refusal
			switch {
			case errors.As(a.Err, &ref):
				p.refuse(p.good[of[k]], iysRefusal(ref, gateway.CodeInvalid))
			case a.Approved:
				p.job.Approved++
			}
		}
	}
	return nil
}

func (p *piece) question(ctx context.Context, rt string, addresses []string) ([]Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answers, err := p.imports.ask(ctx, p.job.Brand, iys.Channel(p.job.Channel), iys.RecipientType(rt), addresses)
	if err == nil && len(answers) != len(addresses) {
		err = errors.New("customer: another number of answers than addresses")
	}
	for i := 0; err == nil && i < len(answers); i++ {
		var ref *iys.Refusal
		if !errors.As(answers[i].Err, &ref) {
			err = answers[i].Err
		}
	}
	if err != nil && p.imports.cfg.Final(err) {
		return nil, &stopError{"İYS does not answer questions about this brand; see the settings of its link.", err}
	}
	return answers, err
}

// register hands the rows to the desk. Which line of which file it was stands before what the row itself says proves the consent. An approval that the desk was told before a crash is known the second time: nothing is
// written twice.
func (p *piece) register(ctx context.Context) error {
	for i := range p.consents {
		said := p.consents[i].Evidence
		p.consents[i].Evidence = fmt.Sprintf("import %s line %d", p.job.ID, p.good[i].line)
		if said != "" {
			p.consents[i].Evidence += ": " + said
		}
		p.consents[i].OverrideBlock = false // never by a file (design: words)
	}
	who := &gateway.Principal{Account: p.job.Account, Credential: gateway.Credential{ID: p.job.Credential, Account: p.job.Account}}
	// Half a call cannot be taken back: it is not cut by a stop.
	results, err := p.imports.desk.Import(context.WithoutCancel(ctx), who, p.consents, p.job.DryRun)
	if err == nil && len(results) != len(p.consents) {
		err = errors.New("customer: another number of results than consents")
	}
	if err != nil {
		if !passing(err) {
			return &stopError{"The consents were not taken.", err}
		}
		return err
	}
	for i := range results {
		switch {
		case results[i].Code != "":
			p.refuse(p.good[i], deskFault(results[i]))
		case results[i].Known:
			p.job.Known++
		}
	}
	return nil
}

// commit writes counts, refused rows and the place where the file goes on.
func (p *piece) commit(ctx context.Context, rd *reader) error {
	j := &p.job
	j.Rows += p.rows
	j.Bad += len(p.refused)
	j.Good = j.Rows - j.Bad
	j.Offset, j.Line, j.Error, j.Updated = rd.offset, rd.line, "", p.imports.cfg.Now()
	slices.SortFunc(p.refused, func(a, b gateway.ImportRow) int { return cmp.Compare(a.Line, b.Line) })
	return p.imports.store.PutImport(context.WithoutCancel(ctx), j, p.refused)
}
