package customer

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"izinli/gateway"
	"izinli/iys"
)

// Modes of an import.
const (
	modeVerify   = "verify"
	modeRegister = "register"
)

// ImportStore keeps imports. PutImport writes job and rows in one synced commit.
type ImportStore interface {
	Directory() *gateway.Directory
	Full() bool
	NextSeq() uint64
	PutImport(ctx context.Context, j *gateway.ImportJob, rows []gateway.ImportRow) error
	Import(ctx context.Context, a gateway.AccountID, id string) (*gateway.ImportJob, error)
	OpenImports(ctx context.Context) ([]gateway.ImportJob, error)
	ListImports(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.ImportView], error)
	ImportRows(ctx context.Context, a gateway.AccountID, id string, after uint32, limit int) ([]gateway.ImportRow, error)
}

// Desk takes the consents of mode register.
type Desk interface {
	// Import takes consents of a file as Add does, noting where they came from. Dry, it judges them and does nothing.
	Import(ctx context.Context, p *gateway.Principal, consents []gateway.Consent, dry bool) ([]gateway.ConsentResult, error)
}

// Answer is what İYS said about one address.
type Answer struct {
	Approved bool
	Err      error // an *iys.Refusal concerns the address, anything else the question
}

// AskFunc asks İYS about up to 1000 addresses of a brand; the answers are in their order and in the mirror when it returns.
type AskFunc func(ctx context.Context, brand string, ch iys.Channel, rt iys.RecipientType, addresses []string) ([]Answer, error)

// Config of the imports. Zero fields take the default.
type Config struct {
	Dir     string        // of the spooled files; made with mode 0700; required
	MaxSize int64         // octets of one file; default 256 MiB
	MaxOpen int           // imports of all accounts not yet ended; default 64
	Running int           // of them at work at once; default 2
	GiveUp  time.Duration // an import that gets nowhere for so long has failed; default 24 h
	// Admit refuses a file that may bring more new approvals than the account's package takes, unless the caller said overQuota. Nil:
	// every file goes in.
	Admit func(ctx context.Context, a gateway.AccountID, channel string, rows int) error
	// Final reports that asking İYS again is no use (a missing right, for example). Nil: it always may be.
	Final func(error) bool
	Now   func() time.Time
	Log   *slog.Logger
}

// Imports implements gateway.Imports. Create it with NewImports and keep Run alive.
type Imports struct {
	cfg   Config
	store ImportStore
	desk  Desk
	ask   AskFunc
	log   *slog.Logger
	wake  chan struct{}

	mu      sync.Mutex
	open    map[gateway.AccountID]chan struct{} // accounts with an import, uploads included; a channel while its last word is written; guarded by mu
	waiting []*task                             // guarded by mu
}

var _ gateway.Imports = (*Imports)(nil)

// NewImports returns the service with what an earlier run left unfinished; spooled files nobody needs are removed.
func NewImports(ctx context.Context, cfg Config, st ImportStore, desk Desk, ask AskFunc) (*Imports, error) {
	cfg.defaults()
	m := &Imports{cfg: cfg, store: st, desk: desk, ask: ask, log: cfg.Log, wake: make(chan struct{}, 1),
		open: map[gateway.AccountID]chan struct{}{}}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("customer: spool directory: %w", err)
	}
	jobs, err := st.OpenImports(ctx)
	if err != nil {
		return nil, fmt.Errorf("customer: open imports: %w", err)
	}
	needed := map[string]bool{}
	for i := range jobs {
		needed[jobs[i].ID+spoolSuffix], needed[jobs[i].ID+bookSuffix] = true, true
		m.open[jobs[i].Account] = nil
		m.waiting = append(m.waiting, &task{job: &jobs[i], moved: cfg.Now()})
	}
	return m, m.sweep(needed)
}

func (c *Config) defaults() {
	if c.MaxSize == 0 {
		c.MaxSize = 256 << 20
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = 64
	}
	if c.Running == 0 {
		c.Running = 2
	}
	if c.GiveUp == 0 {
		c.GiveUp = 24 * time.Hour
	}
	if c.Final == nil {
		c.Final = func(error) bool { return false }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// sweep removes spooled files of imports that have ended or never began.
func (m *Imports) sweep(needed map[string]bool) error {
	list, err := os.ReadDir(m.cfg.Dir)
	if err != nil {
		return fmt.Errorf("customer: spool directory: %w", err)
	}
	for _, e := range list {
		if e.Type().IsRegular() && spooled(e.Name()) && !needed[e.Name()] {
			if err := os.Remove(filepath.Join(m.cfg.Dir, e.Name())); err != nil {
				return fmt.Errorf("customer: remove an old upload: %w", err)
			}
		}
	}
	return nil
}

func spooled(name string) bool {
	return strings.HasSuffix(name, spoolSuffix) || strings.HasSuffix(name, bookSuffix) || strings.HasSuffix(name, newSuffix) ||
		strings.HasPrefix(name, unpacked)
}

// path is where the text of a file is, bookPath the workbook it was made of.
func (m *Imports) path(j *gateway.ImportJob) string {
	return filepath.Join(m.cfg.Dir, j.ID+spoolSuffix)
}

func (m *Imports) bookPath(j *gateway.ImportJob) string {
	return filepath.Join(m.cfg.Dir, j.ID+bookSuffix)
}

// StartImport implements gateway.Imports. It returns when file and job are safe. CodeConflict while another import of the
// account is open, CodeThrottled while too many of all are, CodeInvalid for a file that cannot be read as one, CodeTooLarge and
// CodeStorageFull.
func (m *Imports) StartImport(ctx context.Context, p *gateway.Principal, r gateway.ImportRequest) (gateway.ImportView, error) {
	j, err := m.draft(p, &r)
	if err != nil {
		return gateway.ImportView{}, err
	}
	if err := m.claim(ctx, p.Account); err != nil {
		return gateway.ImportView{}, err
	}
	if err := m.take(ctx, j, &r); err != nil {
		m.release(p.Account)
		return gateway.ImportView{}, err
	}
	view := j.ImportView // a worker owns the job from here on
	m.put(&task{job: j, moved: m.cfg.Now()})
	m.log.Info("consent import begins", "account", p.Account, "import", view.ID, "brand", view.Brand, "mode", view.Mode)
	return view, nil
}

// draft judges what is asked for and fills the job.
func (m *Imports) draft(p *gateway.Principal, r *gateway.ImportRequest) (*gateway.ImportJob, error) {
	brand := m.store.Directory().BrandOf(p.Account, r.Brand)
	if brand == nil {
		return nil, gateway.Refuse(gateway.CodeBrand, "brand", "brand %q is not known to this account", r.Brand)
	}
	ch := wireChannel(r.Channel)
	if ch != string(iys.ChannelSMS) && ch != string(iys.ChannelEmail) {
		return nil, gateway.Refuse(gateway.CodeInvalid, "channel", gateway.ImportChannels)
	}
	rt := gateway.RecipientIndividual
	if r.RecipientType != "" {
		if rt = wireType(r.RecipientType); rt == "" {
			return nil, gateway.Refuse(gateway.CodeInvalid, "recipientType", "recipientType must be BIREYSEL or TACIR")
		}
	}
	switch mode := iys.Mode(modeOf(brand, ch).Mode); {
	case r.Mode != modeVerify && r.Mode != modeRegister:
		return nil, gateway.Refuse(gateway.CodeInvalid, "mode", "The field must be verify (already at İYS) or register (to be written there).")
	case mode == "":
		return nil, gateway.Refuse(gateway.CodeConflict, "brand", "brand %s is not open for this channel", r.Brand)
	case r.Mode == modeVerify && mode != iys.ModePartner && mode != iys.ModeAHS:
		return nil, gateway.Refuse(gateway.CodeConflict, "mode", "There is nothing to verify: İYS is not asked for brand %s.", r.Brand)
	case r.File == nil:
		return nil, gateway.Refuse(gateway.CodeInvalid, "file", "The field is required.")
	}
	now := m.cfg.Now()
	j := &gateway.ImportJob{
		ImportView: gateway.ImportView{ID: strconv.FormatUint(m.store.NextSeq(), 36), Brand: r.Brand, Mode: r.Mode,
			State: gateway.ImportRunning, Format: formatOf(r.Name), DryRun: r.DryRun, Created: now, Updated: now, Name: shortName(r.Name)},
		Account: p.Account, Credential: p.Credential.ID, Channel: ch, RecipientType: rt,
	}
	if err := reading(j, r); err != nil {
		return nil, err
	}
	return j, defaults(j, r.Defaults, now)
}

// maxFileName is how much of a file's name is kept, in characters.
const maxFileName = 200

// shortName is what is kept of a file's name: no path, no control characters.
func shortName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if r := []rune(name); len(r) > maxFileName {
		name = string(r[:maxFileName])
	}
	return name
}

// formatOf tells text files apart by their name; a workbook is known by its octets.
func formatOf(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".txt", ".tsv", ".tab":
		return gateway.FormatTXT
	}
	return gateway.FormatCSV
}

// reading takes what the caller says of how the file is written.
func reading(j *gateway.ImportJob, r *gateway.ImportRequest) error {
	switch r.Encoding {
	case "", encodingUTF8, encoding1254:
		j.Encoding = r.Encoding
	default:
		return gateway.Refuse(gateway.CodeInvalid, "encoding", "The field must be utf-8 or windows-1254, or stay away.")
	}
	switch {
	case r.Delimiter == "":
	case len(r.Delimiter) == 1 && strings.Contains(delimiters, r.Delimiter):
		j.Delimiter = r.Delimiter[0]
	case r.Delimiter == "tab", r.Delimiter == `\t`:
		j.Delimiter = '\t'
	default:
		return gateway.Refuse(gateway.CodeInvalid, "delimiter", "The field must be one of ; , | and tab, or stay away.")
	}
	return nil
}

// defaults judges what is to stand for missing columns by the rules of a row.
func defaults(j *gateway.ImportJob, d gateway.ImportDefaults, now time.Time) error {
	if d == (gateway.ImportDefaults{}) {
		return nil
	}
	if j.Mode != modeRegister {
		return gateway.Refuse(gateway.CodeInvalid, "mode", "status, source, consentDate and retailerCode are for files to be registered; verify takes none of them.")
	}
	refuse := func(field string, bad *refusal) error {
		return gateway.Refuse(gateway.CodeInvalid, field, "%s %s", bad.iys, bad.english)
	}
	if d.Status != "" {
		if d.Status = wireStatus(d.Status); d.Status == "" {
			return refuse("status", iysFault("H115", gateway.CodeInvalid))
		}
	}
	if d.Source != "" {
		if d.Source = wireSource(d.Source); !iys.Source(d.Source).Sendable() {
			return refuse("source", iysFault("H119", gateway.CodeInvalid))
		}
	}
	if d.ConsentDate != "" {
		t, code := readDate(d.ConsentDate)
		if code == "" && t.After(now) {
			code = "H162"
		}
		if code != "" {
			return refuse("consentDate", iysFault(code, gateway.CodeInvalid))
		}
	}
	if d.RetailerCode < 0 || d.RetailerCode > maxRetailer {
		return refuse("retailerCode", rowFault("retailer"))
	}
	j.Defaults = d
	return nil
}

func modeOf(b *gateway.Brand, ch string) gateway.BrandMode {
	if ch == string(iys.ChannelEmail) {
		return b.Email
	}
	return b.SMS
}

// take spools the file, reads its header and stores the job.
func (m *Imports) take(ctx context.Context, j *gateway.ImportJob, r *gateway.ImportRequest) error {
	path := m.path(j)
	s, err := m.spool(ctx, path, r.File)
	if err != nil {
		return err
	}
	if s.book() {
		j.Format = gateway.FormatXLSX
		if err = os.Rename(path, m.bookPath(j)); err != nil {
			err = diskError(err)
		} else {
			path = m.bookPath(j)
			s.lines, err = m.inspectBook(j)
		}
	} else {
		err = inspect(path, s, j)
	}
	// Rows that take an approval back cost nothing; of the others none may be new, but that is known only when each was looked at.
	if err == nil && m.cfg.Admit != nil && j.Mode == modeRegister && !j.DryRun && !r.OverQuota && j.Defaults.Status != string(iys.StatusRejected) {
		err = m.cfg.Admit(ctx, j.Account, j.Channel, max(0, s.lines-int(j.HeaderLine)))
	}
	if err == nil {
		if err = m.store.PutImport(ctx, j, nil); err != nil {
			err = unavailable(err)
		}
	}
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

// claim gives the account its one import. One whose last word is being written is waited for: whoever has read that word may
// start the next.
func (m *Imports) claim(ctx context.Context, a gateway.AccountID) error {
	for {
		ending, err := m.tryClaim(a)
		if ending == nil {
			return err
		}
		select {
		case <-ending:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryClaim claims, or tells why not; ending closes when the account's import has ended or has to go on.
func (m *Imports) tryClaim(a gateway.AccountID) (ending <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ch, busy := m.open[a]; ch != nil {
		return ch, nil
	} else if busy {
		return nil, gateway.Refuse(gateway.CodeConflict, "", "Another import of this account is under way; wait for its end.")
	}
	if len(m.open) >= m.cfg.MaxOpen {
		return nil, gateway.Refuse(gateway.CodeThrottled, "", "Too many imports are under way; try again later.")
	}
	m.open[a] = nil
	return nil, nil
}

// ending notes that the last word of the account's import is about to be written; the func it returns tells whether it was.
func (m *Imports) ending(a gateway.AccountID) func(ended bool) {
	ch := make(chan struct{})
	m.mu.Lock()
	m.open[a] = ch
	m.mu.Unlock()
	return func(ended bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.open[a] = nil; ended {
			delete(m.open, a)
		}
		close(ch)
	}
}

func (m *Imports) release(a gateway.AccountID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, a)
}

// Import implements gateway.Imports. The counts are those of the last finished piece.
func (m *Imports) Import(ctx context.Context, a gateway.AccountID, id string) (gateway.ImportView, error) {
	j, err := m.store.Import(ctx, a, id)
	if err != nil {
		return gateway.ImportView{}, unavailable(err)
	}
	return j.ImportView, nil
}

// ListImports implements gateway.Imports.
func (m *Imports) ListImports(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.ImportView], error) {
	page, err := m.store.ListImports(ctx, a, cursor, limit)
	if err != nil {
		err = unavailable(err)
	}
	return page, err
}
