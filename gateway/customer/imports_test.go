package customer

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
}

func (a *asked) ask(_ context.Context, _ string, _ iys.Channel, rt iys.RecipientType, addresses []string) ([]Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, len(addresses))
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
	put   func(*gateway.ImportJob) error // may refuse a writing
}

func watch(st ImportStore) *watched {
	return &watched{ImportStore: st, ended: make(chan gateway.ImportJob, 10)}
}

func (w *watched) PutImport(ctx context.Context, j *gateway.ImportJob, rows []gateway.ImportRow) error {
	if w.put != nil {
		if err := w.put(j); err != nil {
			return err
		}
	}
	err := w.ImportStore.PutImport(ctx, j, rows)
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
	want := "\uFEFFİsim;Telefon;Alıcı Tipi;izinli_satir;izinli_kod;iys_kod;hata;error\r\n" +
		"Çağla;0212 123 45 67;Bireysel;5;not_mobile;;Alıcı bir cep telefonu numarası değil.;The recipient is not a mobile number.\r\n" +
		"\"\"\"Ali;0532 123 45 64;Bireysel\";;;6;malformed;;Satır okunamadı: tırnak işaretleri eşleşmiyor.;The row could not be read: its quotes do not match.\r\n" +
		"Veli;yok;Bireysel;7;invalid_number;H121;"
	if got := failures(t, m, v.ID); !strings.HasPrefix(got, want) {
		t.Errorf("refused rows:\n got %q\nwant %q", got, want)
	}
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
		"05321234501,ONAY,2026-12-01 11:00:00,HS_WEB,2,blocked,,Kişi ret vermiş; içe aktarma bu engeli kaldıramaz.,The person has opted out; an import does not lift that.\r\n",
		"05321234504,ONAY,2026-11-01 11:00:00,HS_WEB,5,invalid,H467,Üç iş günü öncesinde alınan izinler kaydedilemez.,consent is older than three business days\r\n",
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
		{"no such channel", func(r *gateway.ImportRequest) { r.Channel = "ARAMA" }, gateway.CodeInvalid, "MESAJ"},
		{"no such type", func(r *gateway.ImportRequest) { r.RecipientType = "X" }, gateway.CodeInvalid, "BIREYSEL"},
		{"no file", func(r *gateway.ImportRequest) { r.File = nil }, gateway.CodeInvalid, "required"},
		{"an empty file", func(r *gateway.ImportRequest) { r.File = strings.NewReader("\xEF\xBB\xBF\r\n") }, gateway.CodeInvalid, "empty"},
		{"a workbook", func(r *gateway.ImportRequest) { r.File = strings.NewReader("PK\x03\x04…") }, gateway.CodeInvalid, "spreadsheet"},
		{"UTF-16", func(r *gateway.ImportRequest) { r.File = strings.NewReader("\xFF\xFEt\x00") }, gateway.CodeInvalid, "UTF-8"},
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
	for { // the slot is free a moment after the last word is written
		_, err := m.StartImport(ctx, who, request("verify", "tel\n"))
		if err == nil {
			break
		}
		if !refused(err, gateway.CodeConflict) {
			t.Fatal(err)
		}
	}
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

func (d *fakeDesk) Add(_ context.Context, p *gateway.Principal, cs []gateway.Consent) ([]gateway.ConsentResult, error) {
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

func list(n int) string {
	var b strings.Builder
	b.WriteString("telefon;ad\n")
	for i := range n {
		fmt.Fprintf(&b, "0532%07d;Ayşe %d\n", i, i)
	}
	return b.String()
}

func TestARestartGoesOnBehindTheLastPiece(t *testing.T) {
	data, dir := t.TempDir(), filepath.Join(t.TempDir(), "imports")
	st := openStore(t, data)
	a := &asked{}
	third := make(chan struct{})
	hang := make(chan struct{})
	a.fail = func(call int) error {
		if call == 3 {
			close(third)
			<-hang
			return context.Canceled
		}
		return nil
	}
	m, stop := start(t, Config{Dir: dir}, st, nil, a.ask)
	v := begin(t, m, request("verify", list(3500)))
	<-third
	spool := filepath.Join(dir, v.ID+spoolSuffix)
	if s, err := os.Stat(spool); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("the spooled file: %v %v, want mode 0600", s, err)
	}
	go func() { close(hang) }()
	stop()
	if got, err := m.Import(ctx, 1, v.ID); err != nil || got.State != "running" || got.Rows != 2000 {
		t.Errorf("after the stop: %+v %v, want 2000 rows and running", got, err)
	}
	if err := errors.Join(st.Close(), os.WriteFile(filepath.Join(dir, "stray"+spoolSuffix), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}

	st = openStore(t, data)
	w, b := watch(st), &asked{}
	m, _ = start(t, Config{Dir: dir}, w, nil, b.ask)
	if _, err := m.StartImport(ctx, who, request("verify", "tel\n")); err == nil {
		t.Error("the account's import was forgotten at the restart")
	}
	j := <-w.ended
	if j.ID != v.ID || j.State != "done" || j.Rows != 3500 || j.Good != 3500 || j.Approved != 1750 {
		t.Errorf("got %+v, want all 3500 rows, half of them approved", j)
	}
	if !slices.Equal(b.calls, []int{1000, 500}) {
		t.Errorf("calls after the restart: %v, want what was left and no more", b.calls)
	}
	for i := range 3500 {
		addr := fmt.Sprintf("+90532%07d", i)
		if n := a.times[addr] + b.times[addr]; n != 1 {
			t.Fatalf("%s was answered %d times", addr, n)
		}
	}
	for _, name := range []string{spool, filepath.Join(dir, "stray"+spoolSuffix)} {
		for {
			if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
				break // the end is told a moment before the file goes
			}
		}
	}
}

func TestACrashRepeatsOnePieceAtMost(t *testing.T) {
	data, dir := t.TempDir(), filepath.Join(t.TempDir(), "imports")
	st := openStore(t, data)
	dead := make(chan struct{})
	w := watch(st)
	w.put = func(j *gateway.ImportJob) error {
		if j.Rows < 2000 {
			return nil
		}
		select {
		case <-dead:
		default:
			close(dead)
		}
		return errors.New("power lost") // between the desk's answer and our commit
	}
	d := &fakeDesk{}
	file := "telefon;durum;izin tarihi;kaynak\n"
	for i := range 2500 {
		file += fmt.Sprintf("0532%07d;ONAY;%s;HS_WEB\n", i, noon.Format("02.01.2006 15:04"))
	}
	now := func() time.Time { return noon.Add(time.Hour) }
	m, stop := start(t, Config{Dir: dir, Now: now}, w, d, nil)
	begin(t, m, request("register", file))
	<-dead
	stop()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	st = openStore(t, data)
	w = watch(st)
	start(t, Config{Dir: dir, Now: now}, w, d, nil)
	if j := <-w.ended; j.Rows != 2500 || j.Good != 2500 || j.State != "done" {
		t.Errorf("got %+v", j)
	}
	times := map[string]int{}
	for _, c := range d.all {
		times[c.Address]++
		if c.OverrideBlock || !strings.HasPrefix(c.Evidence, "import ") {
			t.Fatalf("the desk got %+v", c)
		}
	}
	for i := range 2500 {
		want := 1
		if i >= 1000 && i < 2000 {
			want = 2
		}
		if got := times[fmt.Sprintf("+90532%07d", i)]; got != want {
			t.Fatalf("row %d was handed in %d times, want %d", i, got, want)
		}
	}
	for _, n := range d.calls {
		if n > 1000 {
			t.Errorf("a call of %d consents", n)
		}
	}
}

// TestGoodAndBadAreAll makes files of all sorts of rows: every row is counted once, refused rows are all given back, and what is
// given back can be imported again with the same result.
func TestGoodAndBadAreAll(t *testing.T) {
	st := openStore(t, t.TempDir())
	w, a := watch(st), &asked{}
	m, _ := start(t, Config{}, w, nil, a.ask)
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		delim := []string{";", ",", "\t"}[rng.IntN(3)]
		end := []string{"\n", "\r\n"}[rng.IntN(2)]
		var b strings.Builder
		b.WriteString("ad" + delim + "telefon" + delim + "not" + end)
		good, bad := 0, 0
		for range rng.IntN(2500) {
			switch n := rng.IntN(100); {
			case n < 80:
				fmt.Fprintf(&b, "\"Ayşe%s Ğ\"%s+9053%d%07d%s", delim, delim, rng.IntN(5), rng.IntN(1e7), delim)
				good++
			case n < 85:
				b.WriteString("x" + delim + "12" + delim)
				bad++
			case n < 88:
				b.WriteString("\"x\"y" + delim + "05321234567") // behind the quote
				bad++
			case n < 91:
				b.WriteString("a" + delim + "05321234567" + delim + "b" + delim + "c")
				bad++
			case n < 94:
				b.WriteString("x" + delim + "05321234567" + delim + "\"iki" + end + "satır\"")
				good++
			case n < 97:
				b.WriteString("x") // too few columns: no address
				bad++
			default:
				b.WriteString(delim) // blank
			}
			b.WriteString(end)
		}
		v := begin(t, m, request("verify", b.String()))
		j := <-w.ended
		if j.Rows != j.Good+j.Bad || j.Good != good || j.Bad != bad {
			t.Fatalf("round %d: %d rows, %d good, %d bad; want %d and %d", round, j.Rows, j.Good, j.Bad, good, bad)
		}
		back := failures(t, m, v.ID)
		rd := csv.NewReader(strings.NewReader(back))
		rd.Comma = rune(delim[0])
		all, err := rd.ReadAll()
		if err != nil || len(all) != bad+1 {
			t.Fatalf("round %d: %d rows given back, want %d (%v)", round, len(all)-1, bad, err)
		}
		awaitFree(m)
		again := begin(t, m, request("verify", back))
		if k := <-w.ended; k.Bad != bad || k.Good != 0 {
			t.Fatalf("round %d: imported again: %d good, %d bad; want all %d bad", round, k.Good, k.Bad, bad)
		}
		if head, _, _ := strings.Cut(failures(t, m, again.ID), "\n"); head != strings.SplitN(back, "\n", 2)[0] {
			t.Fatalf("round %d: the header grows: %s", round, head)
		}
		awaitFree(m)
	}
}

// awaitFree waits until no import is open.
func awaitFree(m *Imports) {
	for {
		m.mu.Lock()
		n := len(m.open)
		m.mu.Unlock()
		if n == 0 {
			return
		}
	}
}

// memory is a store for tests on fake time.
type memory struct {
	mu   sync.Mutex
	dir  *gateway.Directory
	seq  uint64
	jobs map[string]gateway.ImportJob
	full bool
}

func newMemory() *memory {
	d := gateway.NewDirectory()
	d.Brands[brand] = &gateway.Brand{Code: brand, Account: 1, SMS: gateway.BrandMode{Mode: "partner"}}
	return &memory{dir: d, jobs: map[string]gateway.ImportJob{}}
}

func (s *memory) Directory() *gateway.Directory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dir
}

func (s *memory) Full() bool      { return s.full }
func (s *memory) NextSeq() uint64 { s.seq++; return s.seq }

func (s *memory) PutImport(_ context.Context, j *gateway.ImportJob, _ []gateway.ImportRow) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[j.ID] = *j
	return nil
}

func (s *memory) Import(_ context.Context, _ gateway.AccountID, id string) (*gateway.ImportJob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[id]
	return &j, nil
}

func (s *memory) OpenImports(context.Context) ([]gateway.ImportJob, error) { return nil, nil }

func (s *memory) ImportRows(context.Context, gateway.AccountID, string, uint32, int) ([]gateway.ImportRow, error) {
	return nil, nil
}

func TestPassingFailuresPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, a, d := newMemory(), &asked{}, &fakeDesk{}
		w := watch(st)
		a.fail = func(call int) error {
			if call <= 5 {
				return errors.New("connection refused")
			}
			return nil
		}
		d.err = func(call int) error {
			if call == 1 {
				return gateway.Refuse(gateway.CodeUnavailable, "", "")
			}
			return nil
		}
		m, _ := start(t, Config{}, w, d, a.ask)
		v := begin(t, m, request("verify", "telefon\n05321234560\n"))
		synctest.Wait()
		if got, _ := m.Import(ctx, 1, v.ID); !strings.Contains(got.Error, "waits") || got.State != "running" {
			t.Errorf("while İYS is away: %+v", got)
		}
		before := time.Now()
		if j := <-w.ended; j.State != "done" || j.Approved != 1 || j.Error != "" || len(a.calls) != 6 {
			t.Errorf("got %+v after %d calls, want done after 6", j, len(a.calls))
		}
		if took := time.Since(before); took != 31*time.Second {
			t.Errorf("the pauses took %v, want 1+2+4+8+16 s", took)
		}
		synctest.Wait()
		begin(t, m, request("register", "telefon;durum;izin tarihi;kaynak\n05321234560;ONAY;2000-01-01 00:00:00;HS_WEB\n"))
		if j := <-w.ended; j.State != "done" || j.Good != 1 || len(d.calls) != 2 {
			t.Errorf("got %+v after %d calls, want done after 2", j, len(d.calls))
		}
	})
}

func TestLastingFailuresEnd(t *testing.T) {
	final := errors.New("no right to ask")
	for _, c := range []struct {
		why  string
		ask  error
		add  error
		prep func(*memory, *Imports)
		text string
		took time.Duration
	}{
		{"İYS will never answer", final, nil, nil, "İYS does not answer", 0},
		{"İYS does not come back", errors.New("connection refused"), nil, nil, "got nowhere", 24 * time.Hour},
		{"the brand went", errors.New("connection refused"), nil, func(s *memory, _ *Imports) {
			s.mu.Lock()
			s.dir = gateway.NewDirectory()
			s.mu.Unlock()
		}, "brand does not belong", 0},
		{"the file went", errors.New("connection refused"), nil, func(_ *memory, m *Imports) {
			_ = os.RemoveAll(m.cfg.Dir)
		}, "file is gone", 0},
		{"the desk refuses for good", nil, gateway.Refuse(gateway.CodeInvalid, "consents", ""), nil, "not taken", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			st, a := newMemory(), &asked{fail: func(int) error { return c.ask }}
			w := watch(st)
			m, _ := start(t, Config{Final: func(err error) bool { return errors.Is(err, final) }}, w, &fakeDesk{err: func(int) error { return c.add }}, a.ask)
			began := time.Now()
			if c.add != nil {
				begin(t, m, request("register", "telefon;durum;izin tarihi;kaynak\n05321234560;ONAY;1999-12-31 00:00:00;HS_WEB\n"))
			} else {
				begin(t, m, request("verify", "telefon\n05321234560\n"))
			}
			synctest.Wait()
			if c.prep != nil {
				c.prep(st, m)
			}
			if j := <-w.ended; j.State != "failed" || !strings.Contains(j.Error, c.text) {
				t.Errorf("%s: got %s %q, want failed with %q", c.why, j.State, j.Error, c.text)
			}
			if took := time.Since(began); took < c.took || took > c.took+time.Hour {
				t.Errorf("%s: it took %v, want about %v", c.why, took, c.took)
			}
			synctest.Wait()
			if left, err := os.ReadDir(m.cfg.Dir); len(left) > 0 {
				t.Errorf("%s: left in the spool: %v %v", c.why, left, err)
			}
		})
	}
}

func TestAFullDiskTakesNoFile(t *testing.T) {
	st := newMemory()
	st.full = true
	m, _ := start(t, Config{}, st, nil, (&asked{}).ask)
	if _, err := m.StartImport(ctx, who, request("verify", "telefon\n")); !refused(err, gateway.CodeStorageFull) {
		t.Errorf("got %v, want storage_full", err)
	}
}

// TestARestingImportHoldsNobodyUp: with one worker, an import whose İYS is away lets another account's go on.
func TestARestingImportHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, d := newMemory(), &fakeDesk{}
		st.dir.Brands["2"] = &gateway.Brand{Code: "2", Account: 2, SMS: gateway.BrandMode{Mode: "partner"}}
		w := watch(st)
		a := &asked{fail: func(int) error { return errors.New("connection refused") }}
		m, _ := start(t, Config{Running: 1}, w, d, a.ask)
		begin(t, m, request("verify", "telefon\n05321234560\n"))
		synctest.Wait()
		r := request("register", "telefon;durum;izin tarihi;kaynak\n05321234560;ONAY;1999-12-31 00:00:00;HS_WEB\n")
		r.Brand = "2"
		if _, err := m.StartImport(ctx, &gateway.Principal{Account: 2}, r); err != nil {
			t.Fatal(err)
		}
		if j := <-w.ended; j.Account != 2 || j.State != "done" {
			t.Errorf("got %+v, want the other account's", j)
		}
	})
}

// BenchmarkRows is the cost of a row of a verify import without İYS and disk syncs; the heap must not grow with the file.
func BenchmarkRows(b *testing.B) {
	w, m := watch(newMemory()), (*Imports)(nil)
	m, _ = start(b, Config{}, w, nil, func(_ context.Context, _ string, _ iys.Channel, _ iys.RecipientType, addrs []string) ([]Answer, error) {
		return make([]Answer, len(addrs)), nil
	})
	file := list(max(b.N, 1))
	b.SetBytes(int64(len(file) / b.N))
	b.ReportAllocs()
	b.ResetTimer()
	begin(b, m, request("verify", file))
	if j := <-w.ended; j.Good != b.N {
		b.Fatalf("got %+v, want %d rows", j, b.N)
	}
}
