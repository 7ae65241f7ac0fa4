package customer

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"

	"izinli/gateway"
	"izinli/iys"
)

// workbook makes an XLSX file of rows of any values.
func workbook(t testing.TB, rows ...[]any) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	s, err := f.NewStreamWriter("Sheet1")
	for i, r := range rows {
		if r != nil {
			err = errors.Join(err, s.SetRow(fmt.Sprintf("A%d", i+1), r))
		}
	}
	var out bytes.Buffer
	if err = errors.Join(err, s.Flush(), f.Write(&out)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func sheetRows(t testing.TB, data string) [][]string {
	t.Helper()
	f, err := excelize.OpenReader(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestAWorkbookIsImported: numbers and dates as a spreadsheet stores them, empty rows, and the refused rows as a workbook that can be
// corrected and imported again.
func TestAWorkbookIsImported(t *testing.T) {
	st, d := openStore(t, t.TempDir()), &fakeDesk{}
	w := watch(st)
	dir := filepath.Join(t.TempDir(), "imports")
	m, _ := start(t, Config{Dir: dir, Now: func() time.Time { return noon.Add(time.Hour) }}, w, d, nil)
	r := request("register", workbook(t,
		nil,
		[]any{"Telefon", "İzin Tarihi", "Durum", "Kaynak", "Not"},
		[]any{5321234501, 46357.5, "ONAY", "HS_WEB", "bir\nsatır; \"iki\""}, // 2026-12-01 12:00 as a spreadsheet counts days
		nil,
		[]any{"0532 123 45 02", "01.12.2026 11:30", "Onay", "hs_fiziksel_ortam"},
		[]any{"yok", 46357.5, "ONAY", "HS_WEB"},
		[]any{"5.321234503E9", "2026-12-01T11:30:00", "RET", "HS_WEB"}, // Java's way to write a number
		[]any{"5,32123E+09", 46357.5, "ONAY", "HS_WEB"},
	))
	r.Name = "izinler.xlsx"
	v := begin(t, m, r)
	if v.Format != "xlsx" {
		t.Errorf("the format is %q", v.Format)
	}
	j := <-w.ended
	if j.State != "done" || j.Rows != 5 || j.Good != 3 || j.Bad != 2 || j.Error != "" {
		t.Fatalf("got %+v, want 5 rows, 3 of them good", j)
	}
	for i, want := range []gateway.Consent{
		{Address: "+905321234501", Status: "ONAY", Source: "HS_WEB", ConsentDate: noon},
		{Address: "+905321234502", Status: "ONAY", Source: "HS_FIZIKSEL_ORTAM", ConsentDate: noon.Add(-30 * time.Minute)},
		{Address: "+905321234503", Status: "RET", Source: "HS_WEB", ConsentDate: noon.Add(-30 * time.Minute)},
	} {
		got := d.all[i]
		if got.Address != want.Address || got.Status != want.Status || got.Source != want.Source || !got.ConsentDate.Equal(want.ConsentDate) {
			t.Errorf("row %d: got %+v, want %+v", i, got, want)
		}
	}
	back := failures(t, m, v.ID)
	rows := sheetRows(t, back)
	if len(rows) != 3 || rows[0][0] != "Telefon" || rows[0][5] != "izinli_satir" || rows[1][0] != "yok" || rows[1][1] != "2026-12-01 12:00:00" ||
		rows[1][5] != "6" || rows[1][7] != "H121" || rows[2][5] != "8" || rows[1][8] != "Telefon" || !strings.Contains(rows[2][9], "hesap tablosunda") {
		t.Errorf("refused rows: %q", rows)
	}
	<-w.quiet
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v %v", left, err)
	}
	r.File = strings.NewReader(back)
	begin(t, m, r)
	if j := <-w.ended; j.Bad != 2 || j.Good != 0 {
		t.Errorf("imported again: %+v, want both refused again", j)
	}
}

// TestAWorkbookGoesOnAfterACrash: half way in, the process ends; the next one goes on behind the last piece, and an interrupted
// conversion is no obstacle.
func TestAWorkbookGoesOnAfterACrash(t *testing.T) {
	data, dir := t.TempDir(), filepath.Join(t.TempDir(), "imports")
	st := openStore(t, data)
	rows := [][]any{{"telefon"}}
	for i := range 2500 {
		rows = append(rows, []any{fmt.Sprintf("0532%07d", i)})
	}
	a := &asked{hang: 2, hangs: make(chan struct{})}
	m, stop := start(t, Config{Dir: dir}, st, nil, a.ask)
	r := request("verify", workbook(t, rows...))
	v := begin(t, m, r)
	<-a.hangs
	stop()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, v.ID+spoolSuffix)
	for _, err := range []error{os.Remove(text), os.WriteFile(text+newSuffix, []byte("tele"), 0o600), os.WriteFile(filepath.Join(dir, "excelize-1"), nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	st = openStore(t, data)
	w, b := watch(st), &asked{}
	start(t, Config{Dir: dir}, w, nil, b.ask)
	if j := <-w.ended; j.State != "done" || j.Rows != 2500 || j.Good != 2500 {
		t.Errorf("got %+v, want all rows", j)
	}
	for i := range 2500 {
		addr := fmt.Sprintf("+90532%07d", i)
		if n := a.times[addr] + b.times[addr]; n != 1 {
			t.Fatalf("%s was answered %d times", addr, n)
		}
	}
	<-w.quiet
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v %v", left, err)
	}
}

// zipped makes a workbook of given parts, for what no spreadsheet would write.
func zipped(t testing.TB, parts map[string]func(io.Writer)) string {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	fixed := map[string]string{
		"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>`,
		"_rels/.rels":         `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml":     `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Sayfa1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>` +
			`<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/></Relationships>`,
	}
	for name, s := range fixed {
		if parts[name] == nil {
			parts[name] = func(w io.Writer) { _, _ = io.WriteString(w, s) }
		}
	}
	for name, write := range parts {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		write(f)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func text(s ...string) func(io.Writer) {
	return func(w io.Writer) { _, _ = io.WriteString(w, strings.Join(s, "")) }
}

// fill writes s until about n octets are out.
func fill(head, s string, n int, tail string) func(io.Writer) {
	return func(w io.Writer) {
		_, _ = io.WriteString(w, head)
		block := strings.Repeat(s, 1+(1<<20)/len(s))
		for written := 0; written < n; written += len(block) {
			_, _ = io.WriteString(w, block)
		}
		_, _ = io.WriteString(w, tail)
	}
}

const sheetHead = `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>` +
	`<row r="1"><c r="A1" t="inlineStr"><is><t>telefon</t></is></c></row>`

func TestWorkbooksThatAreTraps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "imports")
	m, _ := start(t, Config{Dir: dir}, openStore(t, t.TempDir()), nil, (&asked{}).ask)
	sheet := func(body func(io.Writer)) map[string]func(io.Writer) {
		return map[string]func(io.Writer){"xl/worksheets/sheet1.xml": body}
	}
	for _, c := range []struct {
		why   string
		parts map[string]func(io.Writer)
		text  string
	}{
		{"a cell of megabytes", sheet(fill(sheetHead+`<row r="2"><c r="A2" t="inlineStr"><is><t>`, "x", 8<<20, `</t></is></c></row></sheetData></worksheet>`)), "row or a cell"},
		{"a row of a million cells", sheet(fill(sheetHead+`<row r="2">`, "<c/>", 8<<20, `</row></sheetData></worksheet>`)), "row or a cell"},
		{"a shared string of megabytes", map[string]func(io.Writer){"xl/worksheets/sheet1.xml": text(sheetHead, "</sheetData></worksheet>"),
			"xl/sharedStrings.xml": fill("<sst><si><t>", "x", 8<<20, "</t></si></sst>")}, "row or a cell"},
		{"pictures", map[string]func(io.Writer){"xl/worksheets/sheet1.xml": text(sheetHead, "</sheetData></worksheet>"),
			"xl/media/image1.png": fill("", "x", 33<<20, "")}, "pictures"},
		{"no sheet", map[string]func(io.Writer){"xl/worksheets/_rels/sheet1.xml.rels": text("")}, "damaged"},
		{"an empty sheet", sheet(text(`<worksheet><sheetData></sheetData></worksheet>`)), "empty"},
		{"a sheet cut short", sheet(text(sheetHead[:len(sheetHead)-30])), "damaged"},
	} {
		r := request("verify", zipped(t, c.parts))
		_, err := m.StartImport(ctx, who, r)
		if !refused(err, gateway.CodeInvalid) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v, want %q", c.why, err, c.text)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Fatalf("%s: left in the spool: %v %v", c.why, left, err)
		}
	}
}

// TestASheetThatBreaksOffIsNoEnd: what the parser cannot read in the middle is not taken for the end of the list.
func TestASheetThatBreaksOffIsNoEnd(t *testing.T) {
	w, a := watch(openStore(t, t.TempDir())), &asked{}
	m, _ := start(t, Config{}, w, nil, a.ask)
	row := `<row r="%d"><c r="A%d" t="inlineStr"><is><t>0532123450%d</t></is></c></row>`
	begin(t, m, request("verify", zipped(t, map[string]func(io.Writer){"xl/worksheets/sheet1.xml": text(sheetHead, fmt.Sprintf(row, 2, 2, 1),
		`<row r="3"><c r="A3" t="inlineStr"><is><t>A & B</t></is></c></row>`, fmt.Sprintf(row, 4, 4, 2), "</sheetData></worksheet>")})))
	if j := <-w.ended; j.State != "failed" || !strings.Contains(j.Error, "damaged") || j.Rows != 0 {
		t.Errorf("got %+v, want failed", j)
	}
}

// TestTextFiles: delimiters, alphabets and names of every kind give the same rows, and the refused ones come back in the same form.
func TestTextFiles(t *testing.T) {
	w, d := watch(openStore(t, t.TempDir())), &fakeDesk{}
	m, _ := start(t, Config{Now: func() time.Time { return noon }}, w, d, nil)
	const rows = "telefon|durum|izin tarihi|kaynak|ad\n05321234501|ONAY|2026-12-01 11:00:00|HS_WEB|Şule\nyok|ONAY|2026-12-01 11:00:00|HS_WEB|Çağrı\n"
	wide := func(s string) string {
		var b strings.Builder
		b.WriteString("\xFF\xFE")
		for _, u := range utf16.Encode([]rune(s)) {
			b.WriteByte(byte(u))
			b.WriteByte(byte(u >> 8))
		}
		return b.String()
	}
	for _, c := range []struct {
		why, name, delim, file, format string
		edit                           func(*gateway.ImportRequest)
	}{
		{why: "bars", name: "a.txt", delim: "|", file: rows, format: "txt"},
		{why: "semicolons", name: "a.csv", delim: ";", file: strings.ReplaceAll(rows, "|", ";"), format: "csv"},
		{why: "commas", delim: ",", file: strings.ReplaceAll(rows, "|", ","), format: "csv"},
		{why: "tabs", name: "A.TSV", delim: "\t", file: strings.ReplaceAll(rows, "|", "\t"), format: "txt"},
		{why: "a byte order mark", name: "a.csv", delim: ";", file: "\uFEFF" + strings.ReplaceAll(rows, "|", ";"), format: "csv"},
		{why: "the Unicode text of a spreadsheet", name: "a.txt", delim: "\t", file: wide(strings.ReplaceAll(rows, "|", "\t")), format: "txt"},
		{why: "the caller knows better", name: "a.csv", delim: ",", file: strings.ReplaceAll(strings.NewReplacer("Ş", "\xDE", "Ç", "\xC7", "ğ", "\xF0", "ı", "\xFD").Replace(rows), "|", ","),
			format: "csv", edit: func(r *gateway.ImportRequest) { r.Encoding, r.Delimiter = "windows-1254", "," }},
	} {
		r := request("register", c.file)
		r.Name = c.name
		if c.edit != nil {
			c.edit(&r)
		}
		v := begin(t, m, r)
		j := <-w.ended
		if j.Good != 1 || j.Bad != 1 || v.Format != c.format {
			t.Errorf("%s: got %+v (%s), want one good and one bad row", c.why, j, v.Format)
		}
		got := strings.TrimPrefix(failures(t, m, v.ID), "\uFEFF")
		want := strings.ReplaceAll("yok|ONAY|2026-12-01 11:00:00|HS_WEB|Çağrı|3|invalid_number|H121|", "|", c.delim)
		if !strings.Contains(got, want) {
			t.Errorf("%s: refused rows %q, want %q", c.why, got, want)
		}
		<-w.quiet
	}
}

// TestABareListIsRegistered: a list of addresses with everything else said for all of them.
func TestABareListIsRegistered(t *testing.T) {
	w, d := watch(openStore(t, t.TempDir())), &fakeDesk{}
	m, _ := start(t, Config{Now: func() time.Time { return noon }}, w, d, nil)
	r := request("register", "05321234501\n05321234502\nyok\n")
	if _, err := m.StartImport(ctx, who, r); !refused(err, gateway.CodeInvalid) {
		t.Errorf("without a status: got %v, want invalid", err)
	}
	r.File, r.Defaults = strings.NewReader("05321234501\n05321234502\nyok\n"), gateway.ImportDefaults{Status: "onay", Source: "hs_web", ConsentDate: "01.12.2026 11:00", RetailerCode: 12345678}
	begin(t, m, r)
	if j := <-w.ended; j.Good != 2 || j.Bad != 1 {
		t.Errorf("got %+v, want two good rows", j)
	}
	want := gateway.Consent{Brand: brand, Channel: "MESAJ", Address: "+905321234502", RecipientType: "BIREYSEL", Status: "ONAY", Source: "HS_WEB",
		ConsentDate: noon.Add(-time.Hour), RetailerCode: 12345678, Evidence: d.all[1].Evidence}
	if !reflect.DeepEqual(d.all[1], want) {
		t.Errorf("got %+v, want %+v", d.all[1], want)
	}
}

// TestADryRunDoesNothing: the same answers, and nothing behind them.
func TestADryRunDoesNothing(t *testing.T) {
	st := openStore(t, t.TempDir())
	now := func() time.Time { return noon }
	desk, mi := office(t, st, now)
	w, a := watch(st), &asked{}
	m, _ := start(t, Config{Now: now}, w, desk, a.ask)
	file := "telefon,durum,izin tarihi,kaynak,kanıt\n05321234501,ONAY,2026-12-01 11:00:00,HS_WEB,form 3\n05321234502,RET,2026-12-01 11:00:00,HS_WEB\n" +
		"05321234503,ONAY,2026-11-01 11:00:00,HS_WEB\n05321234501,ONAY,2026-12-01 11:00:00,HS_WEB\n05321234501,ONAY,2026-12-01 10:00:00,HS_WEB\n"
	for _, dry := range []bool{true, false} {
		r := request("register", file)
		r.DryRun = dry
		v := begin(t, m, r)
		if j := <-w.ended; j.Good != 3 || j.Bad != 2 || j.Known != 1 || j.DryRun != dry {
			t.Errorf("dry %v: got %+v, want 3 good rows, one of them known, and 2 bad", dry, j)
		}
		if got := failures(t, m, v.ID); !strings.Contains(got, ",4,invalid,H467,") || !strings.Contains(got, ",6,invalid,H178,") {
			t.Errorf("dry %v: refused rows %s", dry, got)
		}
		<-w.quiet
		_, blocked := mi.Blocked(brand, iys.ChannelSMS, "+905321234502")
		h, err := st.History(ctx, brand, iys.ChannelSMS, "+905321234501")
		if blocked == dry || err != nil || (len(h) == 0) != dry {
			t.Errorf("dry %v: blocked %v, history %v %v", dry, blocked, h, err)
		}
		if !dry && (h[0].How != "import" || h[0].Evidence != "import "+v.ID+" line 2: form 3") {
			t.Errorf("the history is %+v, want the file and the line", h[0])
		}
	}
	r := request("verify", "telefon\n05321234501\n")
	r.DryRun = true
	begin(t, m, r)
	if j := <-w.ended; j.Good != 1 || j.Approved != 0 || len(a.calls) != 0 {
		t.Errorf("a dry run of verify: %+v after %d questions", j, len(a.calls))
	}
	<-w.quiet
	// The whole file again changes nothing: every good row is known.
	begin(t, m, request("register", file))
	if j := <-w.ended; j.Good != 3 || j.Known != 3 {
		t.Errorf("the file again: %+v, want all good rows known", j)
	}
}

// FuzzWorkbook: whatever the octets, opening and reading ends, in an error or in rows within bounds.
func FuzzWorkbook(f *testing.F) {
	f.Add([]byte(workbook(f, []any{"telefon", "tarih"}, []any{5321234501, 46357.5}, []any{"x"})), "")
	f.Add([]byte(zipped(f, map[string]func(io.Writer){"xl/worksheets/sheet1.xml": text(sheetHead, "</sheetData></worksheet>")})), "")
	f.Add([]byte(nil), sheetHead+`<row r="1048577"><c r="XFE1"><v>1</v></c></row></sheetData></worksheet>`)
	f.Add([]byte(nil), sheetHead+`<row r="0"/><row r="5"><c t="s"><v>9999999</v></c></row><x:row xmlns:x="y"/></sheetData></worksheet>`)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, body string) {
		if body != "" {
			data = []byte(zipped(t, map[string]func(io.Writer){"xl/worksheets/sheet1.xml": text(body)}))
		}
		path := filepath.Join(dir, "f.xlsx")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := openBook(path, dir)
		if err != nil {
			return
		}
		defer b.Close()
		for n := 0; ; n++ {
			fields, err := b.next()
			if err != nil {
				break
			}
			if n > excelize.TotalRows || len(fields) > 16384 {
				t.Fatalf("row %d has %d cells", n, len(fields))
			}
			for _, s := range fields {
				b.text(s, true)
				b.text(s, false)
			}
		}
	})
}

// TestAFileThatCrossesThePackage: refused before anything happens, unless the caller insists, it writes nothing, or it takes back.
func TestAFileThatCrossesThePackage(t *testing.T) {
	var counts []int
	admit := func(_ context.Context, a gateway.AccountID, channel string, rows int) error {
		if a != 1 || channel != "MESAJ" {
			t.Errorf("asked about account %d, %s", a, channel)
		}
		counts = append(counts, rows)
		return gateway.Refuse(gateway.CodeConflict, "overQuota", "H525")
	}
	dir := filepath.Join(t.TempDir(), "imports")
	w := watch(openStore(t, t.TempDir()))
	m, _ := start(t, Config{Dir: dir, Admit: admit, Now: func() time.Time { return noon }}, w, &fakeDesk{}, (&asked{}).ask)
	file := "telefon;durum;izin tarihi;kaynak\n05321234501;ONAY;2026-12-01 11:00;HS_WEB\n05321234502;ONAY;2026-12-01 11:00;HS_WEB\n"
	r := request("register", file)
	if _, err := m.StartImport(ctx, who, r); !refused(err, gateway.CodeConflict) {
		t.Errorf("got %v, want conflict", err)
	}
	r.File = strings.NewReader(workbook(t, []any{"telefon", "durum", "izin tarihi", "kaynak"}, []any{"05321234501", "ONAY", "2026-12-01 11:00", "HS_WEB"}))
	if _, err := m.StartImport(ctx, who, r); !refused(err, gateway.CodeConflict) {
		t.Errorf("a workbook: got %v, want conflict", err)
	}
	if fmt.Sprint(counts) != "[2 1]" {
		t.Errorf("asked about %v rows, want 2 and 1", counts)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v %v", left, err)
	}
	for why, edit := range map[string]func(*gateway.ImportRequest){
		"insisted":   func(r *gateway.ImportRequest) { r.OverQuota = true },
		"dry run":    func(r *gateway.ImportRequest) { r.DryRun = true },
		"takes back": func(r *gateway.ImportRequest) { r.Defaults.Status = "RET" },
		"verify":     func(r *gateway.ImportRequest) { r.Mode = "verify" },
	} {
		r := request("register", file)
		edit(&r)
		if _, err := m.StartImport(ctx, who, r); err != nil {
			t.Errorf("%s: %v", why, err)
			continue
		}
		<-w.ended
		<-w.quiet
	}
}
