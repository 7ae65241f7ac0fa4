package customer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/mirror"
)

const brand = "675403"

var (
	ctx  = context.Background()
	who  = &gateway.Principal{Account: 1, Credential: gateway.Credential{ID: "k1", Account: 1}}
	noon = time.Date(2026, 12, 1, 12, 0, 0, 0, iys.Istanbul)
)

// openStore opens a store in dir and, when it is new, puts two accounts with brands into it.
func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	st, err := store.Open(store.Options{Dir: dir, Key: bytes.Repeat([]byte{7}, 32), Reserve: 1, Gather: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if len(st.Directory().Accounts) > 0 {
		return st
	}
	for i, b := range []gateway.Brand{
		{Code: brand, SMS: gateway.BrandMode{Mode: "partner"}, Email: gateway.BrandMode{Mode: "ahs"}},
		{Code: "700001", SMS: gateway.BrandMode{Mode: "self_managed"}},
	} {
		a := &gateway.Account{Name: fmt.Sprint("account ", i)}
		err := st.PutAccount(ctx, a)
		b.Account = a.ID
		if err := errors.Join(err, st.PutBrand(ctx, &b)); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

// asked is an İYS that approves addresses by their last digit and keeps what it was asked.
type asked struct {
	mu    sync.Mutex
	times map[string]int // by address
	calls []int          // sizes
	fail  func(call int) error
	hang  int           // the call, from 1, that lasts until its context ends
	hangs chan struct{} // closed when that call has begun
}

func (a *asked) ask(ctx context.Context, _ string, _ iys.Channel, rt iys.RecipientType, addresses []string) ([]Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, len(addresses))
	if len(a.calls) == a.hang {
		close(a.hangs)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if a.fail != nil {
		if err := a.fail(len(a.calls)); err != nil {
			return nil, err
		}
	}
	if a.times == nil {
		a.times = map[string]int{}
	}
	out := make([]Answer, len(addresses))
	for i, addr := range addresses {
		a.times[addr]++
		out[i].Approved = even(addr)
	}
	return out, nil
}

func even(addr string) bool { return strings.IndexByte("02468", addr[len(addr)-1]) >= 0 }

// watched is a store that tells when an import has ended.
type watched struct {
	ImportStore
	ended chan gateway.ImportJob
	quiet chan struct{}                  // the file of one that ended is gone and its account free
	put   func(*gateway.ImportJob) error // may refuse a writing
	last  func(gateway.ImportJob) error  // called when the last word stands, before the writer knows
}

func watch(st ImportStore) *watched {
	return &watched{ImportStore: st, ended: make(chan gateway.ImportJob, 100), quiet: make(chan struct{}, 100)}
}

// listener is a log handler that hears the last line of an import.
type listener struct {
	slog.Handler
	quiet chan struct{}
}

func (l listener) Enabled(context.Context, slog.Level) bool { return true }

func (l listener) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "consent import ended" {
		l.quiet <- struct{}{}
	}
	return nil
}

func (w *watched) PutImport(ctx context.Context, j *gateway.ImportJob, rows []gateway.ImportRow) error {
	if w.put != nil {
		if err := w.put(j); err != nil {
			return err
		}
	}
	err := w.ImportStore.PutImport(ctx, j, rows)
	if err == nil && w.last != nil && j.State != gateway.ImportRunning {
		err = w.last(*j)
	}
	if err == nil && j.State != gateway.ImportRunning {
		w.ended <- *j
	}
	return err
}

// start makes the service and runs it until the test ends or stop is called.
func start(t testing.TB, cfg Config, st ImportStore, desk Desk, ask AskFunc) (m *Imports, stop func()) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "imports")
	}
	if w, ok := st.(*watched); ok {
		cfg.Log = slog.New(listener{slog.DiscardHandler, w.quiet})
	}
	m, err := NewImports(ctx, cfg, st, desk, ask)
	if err != nil {
		t.Fatal(err)
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); m.Run(run) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return m, stop
}

func request(mode, file string) gateway.ImportRequest {
	return gateway.ImportRequest{Brand: brand, Channel: "MESAJ", RecipientType: "BIREYSEL", Mode: mode, File: strings.NewReader(file), Name: "izinler.csv"}
}

func begin(t testing.TB, m *Imports, r gateway.ImportRequest) gateway.ImportView {
	t.Helper()
	v, err := m.StartImport(ctx, who, r)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func failures(t testing.TB, m *Imports, id string) string {
	t.Helper()
	var out bytes.Buffer
	if err := m.ImportErrors(ctx, 1, id, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestVerify(t *testing.T) {
	w, a := watch(openStore(t, t.TempDir())), &asked{}
	dir := filepath.Join(t.TempDir(), "imports")
	m, _ := start(t, Config{Dir: dir}, w, nil, a.ask)
	// A Turkish spreadsheet: windows-1254, semicolons.
	v := begin(t, m, request("verify", "\xDDsim;Telefon;Al\xFDc\xFD Tipi\r\n"+
		"\xDEule;0532 123 45 60;Bireysel\r\n"+
		"\xD6mer;0532 123 45 61;Bireysel\r\n"+
		"\"Esin;A\";0532 123 45 62;Tacir\r\n"+
		"\xC7a\xF0la;0212 123 45 67;Bireysel\r\n"+
		"\"Ali;0532 123 45 64;Bireysel\r\n"+
		"Veli;yok;Bireysel\r\n"))
	if v.State != "running" || v.ID == "" || v.Mode != "verify" {
		t.Errorf("the answer is %+v", v)
	}
	j := <-w.ended
	if j.State != "done" || j.Rows != 6 || j.Good != 3 || j.Bad != 3 || j.Approved != 2 || j.Encoding != encoding1254 {
		t.Errorf("got %+v, want 6 rows, 3 good, 3 bad, 2 approved", j)
	}
	if got, err := m.Import(ctx, 1, v.ID); err != nil || got.Good != 3 || got.State != "done" {
		t.Errorf("the view is %+v %v", got, err)
	}
	want := "\uFEFFİsim;Telefon;Alıcı Tipi;izinli_satir;izinli_kod;iys_kod;izinli_alan;hata;error\r\n" +
		"Çağla;0212 123 45 67;Bireysel;5;not_mobile;;Telefon;Alıcı bir cep telefonu numarası değil.;The recipient is not a mobile number.\r\n" +
		"\"\"\"Ali;0532 123 45 64;Bireysel\";;;6;malformed;;;Satır okunamadı: tırnak işaretleri eşleşmiyor.;The row could not be read: its quotes do not match.\r\n" +
		"Veli;yok;Bireysel;7;invalid_number;H121;Telefon;"
	if got := failures(t, m, v.ID); !strings.HasPrefix(got, want) {
		t.Errorf("refused rows:\n got %q\nwant %q", got, want)
	}
	<-w.quiet
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in the spool: %v %v", left, err)
	}
}

// office is the real desk over a real store.
func office(t *testing.T, st *store.Store, now func() time.Time) (*consent.Desk, *mirror.Mirror) {
	t.Helper()
	mi := mirror.New()
	if err := mi.Load(ctx, st); err != nil {
		t.Fatal(err)
	}
	return consent.NewDesk(consent.New(consent.Config{Now: now}, st, mi, nil), st, nil), mi
}

func TestRegisterNeverLiftsABlock(t *testing.T) {
	st := openStore(t, t.TempDir())
	now := func() time.Time { return noon }
	desk, mi := office(t, st, now)
	if err := desk.OptOut(ctx, gateway.OptOut{Account: 1, Brand: brand, Channel: "MESAJ", Address: "+905321234501", Route: "sms", At: noon.AddDate(0, 0, -1)}); err != nil {
		t.Fatal(err)
	}
	w := watch(st)
	m, _ := start(t, Config{Now: now}, w, desk, nil)
	v := begin(t, m, request("register", "telefon,durum,izin tarihi,kaynak\n"+
		"05321234501,ONAY,2026-12-01 11:00:00,HS_WEB\n"+ // opted out yesterday
		"05321234502,ONAY,2026-12-01 11:00:00,HS_WEB\n"+
		"05321234503,RET,2026-12-01 11:00:00,HS_WEB\n"+
		"05321234504,ONAY,2026-11-01 11:00:00,HS_WEB\n"+ // too old
		"05321234505,ONAY,2026-12-01 11:00:00,IYS_WEB\n"))
	j := <-w.ended
	if j.State != "done" || j.Rows != 5 || j.Good != 2 || j.Bad != 3 {
		t.Errorf("got %+v, want 5 rows, 2 good, 3 bad", j)
	}
	if _, blocked := mi.Blocked(brand, iys.ChannelSMS, "+905321234501"); !blocked {
		t.Error("the import lifted a block")
	}
	if _, blocked := mi.Blocked(brand, iys.ChannelSMS, "+905321234503"); !blocked {
		t.Error("a RET of the import does not block")
	}
	got := failures(t, m, v.ID)
	for _, want := range []string{
		"05321234501,ONAY,2026-12-01 11:00:00,HS_WEB,2,blocked,,telefon,Kişi ret vermiş; içe aktarma bu engeli kaldıramaz.,The person has opted out; an import does not lift that.\r\n",
		"05321234504,ONAY,2026-11-01 11:00:00,HS_WEB,5,invalid,H467,izin tarihi,Üç iş günü öncesinde alınan izinler kaydedilemez.,consent is older than three business days\r\n",
		",IYS_WEB,6,invalid,H119,",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the refused rows lack %q:\n%s", want, got)
		}
	}
	if sync, err := st.SyncState(ctx, iys.Key{Brand: brand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: "+905321234502"}); err != nil || sync != "pending" {
		t.Errorf("the approval's way to İYS is %q %v, want pending", sync, err)
	}
}

func TestRegisterWithoutWriteRight(t *testing.T) {
	st := openStore(t, t.TempDir())
	desk, mi := office(t, st, func() time.Time { return noon })
	w := watch(st)
	m, _ := start(t, Config{Now: func() time.Time { return noon }}, w, desk, nil)
	other := &gateway.Principal{Account: 2}
	r := request("register", "telefon,durum,izin tarihi,kaynak\n05321234501,ONAY,2026-12-01 11:00:00,HS_WEB\n05321234502,RET,2026-12-01 11:00:00,HS_WEB\n")
	r.Brand = "700001"
	if _, err := m.StartImport(ctx, other, r); err != nil {
		t.Fatal(err)
	}
	if j := <-w.ended; j.Good != 1 || j.Bad != 1 {
		t.Errorf("got %+v, want the refusal taken and the approval not", j)
	}
	if _, blocked := mi.Blocked("700001", iys.ChannelSMS, "+905321234502"); !blocked {
		t.Error("a RET does not block")
	}
	r.Mode, r.File = "verify", strings.NewReader("telefon\n05321234501\n")
	if _, err := m.StartImport(ctx, other, r); !refused(err, gateway.CodeConflict) {
		t.Errorf("verify without İYS: got %v, want conflict", err)
	}
}

func refused(err error, code gateway.Code) bool {
	var e *gateway.Error
	return errors.As(err, &e) && e.Code == code
}

func TestRefusedAtTheDoor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "imports")
	m, _ := start(t, Config{Dir: dir, MaxSize: 1000}, openStore(t, t.TempDir()), nil, (&asked{}).ask)
	for _, c := range []struct {
		why  string
		edit func(*gateway.ImportRequest)
		code gateway.Code
		text string
	}{
		{"another account's brand", func(r *gateway.ImportRequest) { r.Brand = "700001" }, gateway.CodeBrand, ""},
		{"no such mode", func(r *gateway.ImportRequest) { r.Mode = "both" }, gateway.CodeInvalid, "verify"},
		{"no such channel", func(r *gateway.ImportRequest) { r.Channel = "ARAMA" }, gateway.CodeInvalid, "sms or email"},
		{"no such type", func(r *gateway.ImportRequest) { r.RecipientType = "X" }, gateway.CodeInvalid, "BIREYSEL"},
		{"no file", func(r *gateway.ImportRequest) { r.File = nil }, gateway.CodeInvalid, "required"},
		{"an empty file", func(r *gateway.ImportRequest) { r.File = strings.NewReader("\xEF\xBB\xBF\r\n") }, gateway.CodeInvalid, "empty"},
		{"half a workbook", func(r *gateway.ImportRequest) { r.File = strings.NewReader("PK\x03\x04…") }, gateway.CodeInvalid, "damaged"},
		{"an old workbook", func(r *gateway.ImportRequest) { r.File = strings.NewReader("\xD0\xCF\x11\xE0…") }, gateway.CodeInvalid, "XLSX"},
		{"octets of something else", func(r *gateway.ImportRequest) { r.File = strings.NewReader("t\x00e\x00l\x00") }, gateway.CodeInvalid, "UTF-8"},
		{"no such alphabet", func(r *gateway.ImportRequest) { r.Encoding = "latin5" }, gateway.CodeInvalid, "windows-1254"},
		{"no such delimiter", func(r *gateway.ImportRequest) { r.Delimiter = "x" }, gateway.CodeInvalid, "tab"},
		{"verify takes no defaults", func(r *gateway.ImportRequest) { r.Defaults.Status = "ONAY" }, gateway.CodeInvalid, "verify"},
		{"a default İYS would refuse", func(r *gateway.ImportRequest) { r.Mode, r.Defaults.Source = "register", "IYS_WEB" }, gateway.CodeInvalid, "H119"},
		{"a default from tomorrow", func(r *gateway.ImportRequest) { r.Mode, r.Defaults.ConsentDate = "register", "2099-01-01" }, gateway.CodeInvalid, "H162"},
		{"no address column", func(r *gateway.ImportRequest) { r.File = strings.NewReader("ad;soyad\na;b\n") }, gateway.CodeInvalid, "must name the columns"},
		{"the same column twice", func(r *gateway.ImportRequest) { r.File = strings.NewReader("tel;gsm\n") }, gateway.CodeInvalid, "mean the same"},
		{"old Macintosh line ends", func(r *gateway.ImportRequest) { r.File = strings.NewReader("tel\r05321234567\r") }, gateway.CodeInvalid, "line ends"},
		{"register guesses no status", func(r *gateway.ImportRequest) {
			r.Mode, r.File = "register", strings.NewReader("tel;izin tarihi;kaynak\n")
		}, gateway.CodeInvalid, "never guessed"},
		{"register needs a date", func(r *gateway.ImportRequest) {
			r.Mode, r.File = "register", strings.NewReader("tel;durum;kaynak\n")
		}, gateway.CodeInvalid, "consentDate"},
		{"too large", func(r *gateway.ImportRequest) {
			r.File = strings.NewReader("tel\n" + strings.Repeat("05321234567\n", 100))
		}, gateway.CodeTooLarge, "1000"},
		{"cut short", func(r *gateway.ImportRequest) { r.File = failing{strings.NewReader("tel\n0532")} }, gateway.CodeMalformed, "ended before"},
	} {
		r := request("verify", "telefon\n05321234567\n")
		c.edit(&r)
		_, err := m.StartImport(ctx, who, r)
		if !refused(err, c.code) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v, want %s with %q", c.why, err, c.code, c.text)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Fatalf("%s: left in the spool: %v %v", c.why, left, err)
		}
	}
	begin(t, m, request("verify", "telefon\n05321234567\n")) // the account is free all the same
}

func TestOneImportForEachAccount(t *testing.T) {
	st := openStore(t, t.TempDir())
	w, a := watch(st), &asked{}
	entered, release := make(chan struct{}), make(chan struct{})
	a.fail = func(int) error { entered <- struct{}{}; <-release; return nil }
	m, _ := start(t, Config{MaxOpen: 1}, w, &fakeDesk{}, a.ask)
	v := begin(t, m, request("verify", "05321234567\n")) // a bare list needs no header
	<-entered
	if _, err := m.StartImport(ctx, who, request("verify", "tel\n")); !refused(err, gateway.CodeConflict) {
		t.Errorf("a second import: got %v, want conflict", err)
	}
	r := request("register", "tel;durum;izin tarihi;kaynak\n")
	r.Brand = "700001"
	if _, err := m.StartImport(ctx, &gateway.Principal{Account: 2}, r); !refused(err, gateway.CodeThrottled) {
		t.Errorf("one more than all may have: got %v, want throttled", err)
	}
	if _, err := m.Import(ctx, 2, v.ID); !refused(err, gateway.CodeNotFound) {
		t.Errorf("another account's import: got %v, want not_found", err)
	}
	if err := m.ImportErrors(ctx, 2, v.ID, io.Discard); !refused(err, gateway.CodeNotFound) {
		t.Errorf("another account's rows: got %v, want not_found", err)
	}
	if _, err := m.Import(ctx, 1, "not-an-id"); !refused(err, gateway.CodeNotFound) {
		t.Errorf("no id: got %v, want not_found", err)
	}
	close(release)
	if j := <-w.ended; j.Rows != 1 || j.Good != 1 {
		t.Errorf("got %+v", j)
	}
	<-w.quiet
	begin(t, m, request("verify", "tel\n"))
	if j := <-w.ended; j.Rows != 0 || j.State != "done" {
		t.Errorf("a header alone: got %+v", j)
	}
}

// fakeDesk takes everything.
type fakeDesk struct {
	mu    sync.Mutex
	calls []int
	all   []gateway.Consent
	err   func(call int) error
}

func (d *fakeDesk) Import(_ context.Context, p *gateway.Principal, cs []gateway.Consent, _ bool) ([]gateway.ConsentResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, len(cs))
	if d.err != nil {
		if err := d.err(len(d.calls)); err != nil {
			return nil, err
		}
	}
	d.all = append(d.all, cs...)
	return make([]gateway.ConsentResult, len(cs)), nil
}
