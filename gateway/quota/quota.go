// Package quota tells how much of its İYS package an account uses, on which day it will have outgrown it, and whether a file may go in.
//
// İYS bills by addresses: the larger of approved telephone numbers and approved e-mail addresses (iys-api.md §1). The limit comes from
// the subscription call; a partner is not told the numbers there, so the name of the package or, failing that, the package that holds
// the present count stands for it. Our own count is that of the consents we know, an approval for each address, brand and recipient type:
// who lists one person under two brands is warned a little early.
//
// [Service.Run] takes a sample a day, from which the forecast is drawn. The package refuses to know how İYS is spoken to and how
// consents are kept.
package quota

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/iys"
)

// Store is what the service reads and remembers.
type Store interface {
	Directory() *gateway.Directory
	// AddressCounts counts approvals by kind of address.
	AddressCounts(ctx context.Context, a gateway.AccountID) (phones, emails int, err error)
	Named(name string) ([]byte, bool, error)
	PutNamed(name string, v []byte) error
}

// Subscription is what İYS says of an account's package. Zero numbers are not told.
type Subscription struct {
	Package     string
	Limit, Used int
	Exceed      bool // adding beyond the limit is allowed
}

// AskFunc asks İYS about an account's package; nil when İYS cannot be asked about it.
type AskFunc func(ctx context.Context, a *gateway.Account) (*Subscription, error)

// Bounds.
const (
	fresh      = time.Hour       // how long a report is good
	askTime    = 5 * time.Second // for İYS to answer
	samples    = 120             // days remembered
	sampleTick = time.Hour
)

// Where a limit is known from.
const (
	fromIYS   = "iys"
	fromName  = "name"
	fromCount = "count"
)

// Service answers for all accounts. It is safe for concurrent use.
type Service struct {
	store Store
	ask   AskFunc
	now   func() time.Time
	log   *slog.Logger

	mu   sync.Mutex // held while an account is counted: the second caller gets the first one's answer
	last map[gateway.AccountID]counted
}

// counted is a report with what came behind it.
type counted struct {
	gateway.PackageReport
	surplus int            // addresses İYS knows more than we do
	under   map[string]int // rows of files let in since, by channel: İYS accepts them one after the other
}

// New returns a service. ask may be nil.
func New(st Store, ask AskFunc, now func() time.Time, log *slog.Logger) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{store: st, ask: ask, now: now, log: log, last: map[gateway.AccountID]counted{}}
}

// Run takes a sample of every account once a day until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(sampleTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for id := range s.store.Directory().Accounts {
			if _, err := s.Report(ctx, id); err != nil && ctx.Err() == nil {
				s.log.Warn("addresses of an account could not be counted", "account", id, "err", err)
			}
		}
	}
}

// Report tells how an account stands. It is at most an hour old; what İYS does not answer is left out.
func (s *Service) Report(ctx context.Context, id gateway.AccountID) (gateway.PackageReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.countLocked(ctx, id)
	return c.PackageReport, err
}

func (s *Service) countLocked(ctx context.Context, id gateway.AccountID) (counted, error) {
	r := counted{PackageReport: gateway.PackageReport{Account: id, At: s.now()}, under: map[string]int{}}
	acct := s.store.Directory().Accounts[id]
	if acct == nil {
		return r, gateway.Refuse(gateway.CodeNotFound, "account", "Account %d does not exist.", id)
	}
	if have, ok := s.last[id]; ok && r.At.Sub(have.At) < fresh {
		return have, nil
	}
	var err error
	if r.Phones, r.Emails, err = s.store.AddressCounts(ctx, id); err != nil {
		return r, err
	}
	r.Addresses = iys.AddressCount(r.Phones, r.Emails)
	s.limit(ctx, acct, &r)
	series, err := s.sample(&r.PackageReport)
	if err != nil {
		return r, err
	}
	if r.Limit > 0 && !r.Exceed {
		if day, ok := iys.Forecast(series, r.Limit); ok {
			r.Crosses = day
		}
	}
	s.last[id] = r
	return r, nil
}

// limit finds the package an account has.
func (s *Service) limit(ctx context.Context, acct *gateway.Account, r *counted) {
	pkg := iys.PackageFor(r.Addresses)
	r.Package, r.Limit, r.From = pkg.Name, pkg.Limit, fromCount
	if s.ask == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	sub, err := s.ask(ctx, acct)
	switch {
	case err != nil:
		s.log.Warn("İYS does not tell an account's package", "account", acct.ID, "err", err)
	case sub == nil:
	case sub.Limit > 0:
		r.Package, r.Limit, r.Exceed, r.From = sub.Package, sub.Limit, sub.Exceed, fromIYS
		if r.surplus = max(0, sub.Used-r.Addresses); r.surplus > 0 { // İYS may know consents that we do not
			r.Addresses = sub.Used
		}
	default:
		if named, ok := iys.PackageNamed(sub.Package); ok {
			r.Package, r.Limit, r.From = sub.Package, named.Limit, fromName
		}
	}
}

func sampleName(a gateway.AccountID) string { return fmt.Sprintf("addresses/%d", a) }

// sample adds today's count to those of the last days.
func (s *Service) sample(r *gateway.PackageReport) ([]iys.Sample, error) {
	name := sampleName(r.Account)
	v, ok, err := s.store.Named(name)
	if err != nil {
		return nil, err
	}
	var series []iys.Sample
	if ok {
		if err := json.Unmarshal(v, &series); err != nil {
			series = nil // a forecast less
		}
	}
	today := r.At.In(iys.Istanbul).Format(time.DateOnly)
	if n := len(series); n > 0 && series[n-1].At.In(iys.Istanbul).Format(time.DateOnly) == today {
		return series, nil
	}
	if series = append(series, iys.Sample{At: r.At, Addresses: r.Addresses}); len(series) > samples {
		series = series[len(series)-samples:]
	}
	if v, err = json.Marshal(series); err != nil {
		return nil, err
	}
	return series, s.store.PutNamed(name, v)
}

// Admit says whether a file with up to so many new approvals fits the account's package, together with the files of the last hour. It
// refuses with CodeConflict and İYS's H525 in words; a package that nobody told us is no reason to refuse.
func (s *Service) Admit(ctx context.Context, a gateway.AccountID, channel string, rows int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.countLocked(ctx, a)
	if err != nil {
		s.log.Warn("an import goes on without knowing the package", "account", a, "err", err)
		return nil
	}
	kind := r.Phones
	if channel == string(iys.ChannelEmail) {
		kind = r.Emails
	}
	// Of which kind the addresses are that İYS alone knows, nobody tells: they are taken to be of the file's.
	after := max(r.Addresses, kind+r.surplus+r.under[channel]+rows)
	if r.Limit == 0 || r.Exceed || r.From == fromCount || after <= r.Limit {
		r.under[channel] += rows
		return nil
	}
	refusal, _ := iys.RefusalFor("H525")
	waiting := ""
	if n := r.under[channel]; n > 0 {
		waiting = fmt.Sprintf(", files of the last hour may bring %d", n)
	}
	return gateway.Refuse(gateway.CodeConflict, "overQuota",
		"H525: the file may cross the package %s: %d of %d addresses are used%s, and it has up to %d more (%s). A dry run counts them; overQuota=true goes on.",
		r.Package, r.Addresses, r.Limit, waiting, rows, strings.TrimSuffix(refusal.Turkish, "."))
}
