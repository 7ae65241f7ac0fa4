package customer

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/iys"
)

// rows reads everything and returns the rows with the offset and line count behind each.
func rows(t testing.TB, data []byte, delim byte, enc string, offset int64, line uint32) (recs []record, offsets []int64, lines []uint32) {
	t.Helper()
	r := newReader(bytes.NewReader(data[offset:]), delim, enc, offset, line)
	for {
		rec, err := r.next()
		if errors.Is(err, io.EOF) {
			if r.offset != int64(len(data)) {
				t.Fatalf("%d of %d octets were consumed", r.offset, len(data))
			}
			return recs, offsets, lines
		}
		if err != nil {
			t.Fatal(err)
		}
		recs, offsets, lines = append(recs, rec), append(offsets, r.offset), append(lines, r.line)
	}
}

func TestReaderRows(t *testing.T) {
	long := strings.Repeat("x", maxLine+1)
	for _, c := range []struct {
		why, in string
		want    []record
	}{
		{"plain rows, any line end, none at the end", "a;b\r\nc;d\ne", []record{{1, []string{"a", "b"}, ""}, {2, []string{"c", "d"}, ""}, {3, []string{"e"}, ""}}},
		{"quoted delimiter and doubled quote", `"a;b";"say ""hi""";c`, []record{{1, []string{"a;b", `say "hi"`, "c"}, ""}}},
		{"a quote inside a plain field is a character", `5" ekran;b`, []record{{1, []string{`5" ekran`, "b"}, ""}}},
		{"a line end inside quotes", "\"a\nb\";c\nd", []record{{1, []string{"a\nb", "c"}, ""}, {3, []string{"d"}, ""}}},
		{"an open quote costs its own line only", "\"a;b\nc;d\n\"e\";f", []record{{1, []string{`"a;b`}, "quote"}, {2, []string{"c", "d"}, ""}, {3, []string{"e", "f"}, ""}}},
		{"an open quote in the last line", "a\n\"b", []record{{1, []string{"a"}, ""}, {2, []string{`"b`}, "quote"}}},
		{"something behind a closing quote", "\"a\"b;c\nd", []record{{1, []string{`"a"b;c`}, "quote"}, {2, []string{"d"}, ""}}},
		{"blank rows are none", "a\n\n;;\n \t\nb", []record{{1, []string{"a"}, ""}, {5, []string{"b"}, ""}}},
		{"empty last field", "a;", []record{{1, []string{"a", ""}, ""}}},
		{"a line too long is one bad row", "a\n" + long + "\nb", []record{{1, []string{"a"}, ""}, {2, []string{long[:maxShown]}, "long"}, {3, []string{"b"}, ""}}},
		{"octets that are no text", "a\xFF;b", []record{{1, []string{"a\uFFFD", "b"}, ""}}},
		{"nothing", "", nil},
	} {
		got, _, _ := rows(t, []byte(c.in), ';', encodingUTF8, 0, 0)
		if !slices.EqualFunc(got, c.want, func(a, b record) bool {
			return a.line == b.line && a.bad == b.bad && slices.Equal(a.fields, b.fields)
		}) {
			t.Errorf("%s: got %+v, want %+v", c.why, got, c.want)
		}
	}
}

type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("input/output error")
	}
	return n, err
}

func TestAFaultOfTheFileIsNoEnd(t *testing.T) {
	r := newReader(failing{strings.NewReader("a;b\n+90532123")}, ';', encodingUTF8, 0, 0)
	if rec, err := r.next(); err != nil || rec.line != 1 {
		t.Fatalf("got %+v %v, want the first row", rec, err)
	}
	if rec, err := r.next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("half a number was read as a row: %+v %v", rec, err)
	}
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{"a;b\n\"c;d\ne\"\n\"", "\xEF\xBB\xBFtelefon;durum\r\n+905321234567;ONAY\r\n", "\"\"\"\"\n\"\"\"\n\n\n\n\n\n\n\n\"", "\x00;\xFF\n"} {
		f.Add([]byte(s), byte(';'), false)
		f.Add([]byte(s), byte(','), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, delim byte, turkish bool) {
		if delim != ';' && delim != ',' && delim != '\t' {
			delim = ';'
		}
		enc := encodingUTF8
		if turkish {
			enc = encoding1254
		}
		recs, offsets, lines := rows(t, data, delim, enc, 0, 0)
		for i := range recs {
			if i > 0 && recs[i].line <= recs[i-1].line {
				t.Fatalf("line %d comes behind line %d", recs[i].line, recs[i-1].line)
			}
			if len(recs[i].fields) == 0 {
				t.Fatal("a row without fields")
			}
			if i > 3 && i < len(recs)-2 {
				continue
			}
			// A restart goes on behind any row as if nothing had happened.
			rest, _, _ := rows(t, data, delim, enc, offsets[i], lines[i])
			if !slices.EqualFunc(rest, recs[i+1:], func(a, b record) bool {
				return a.line == b.line && a.bad == b.bad && slices.Equal(a.fields, b.fields)
			}) {
				t.Fatalf("behind row %d: got %+v, want %+v", i, rest, recs[i+1:])
			}
		}
	})
}

func TestWindows1254(t *testing.T) {
	if got, want := decode([]byte("\xDD\xFEte \xF0\xD0\xDE\xFD\xFC\xD6 \x80 \x81"), encoding1254), "İşte ğĞŞıüÖ € \uFFFD"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEncodingIsFound(t *testing.T) {
	for _, c := range []struct{ why, in, want string }{
		{"ASCII is UTF-8", "telefon\n", encodingUTF8},
		{"Turkish letters in UTF-8", "alıcı tipi;şehir\n", encodingUTF8},
		{"Turkish letters in windows-1254", "al\xFDc\xFD tipi;\xFEehir\n", encoding1254},
		{"one stray octet in UTF-8", "alıcı tipi;şehir\xFF\n", encodingUTF8},
		{"a mark decides", "\xEF\xBB\xBFa\xFF\xFF\n", encodingUTF8},
		{"cut in the middle of a letter", "aü"[:2], encoding1254},
	} {
		for _, piece := range []int{1, 2, 3, len(c.in)} {
			s := &sniffer{}
			for b := []byte(c.in); len(b) > 0; b = b[min(piece, len(b)):] {
				s.see(b[:min(piece, len(b))])
			}
			if got := s.encoding(); got != c.want {
				t.Errorf("%s, in pieces of %d: got %s, want %s", c.why, piece, got, c.want)
			}
		}
	}
}

func TestLinesAreCounted(t *testing.T) {
	for in, want := range map[string]int{"": 0, "a": 1, "a\n": 1, "a\nb": 2, "a\r\nb\r\n": 2, "\n\n": 2} {
		for piece := 1; piece <= max(1, len(in)); piece++ {
			s := &sniffer{}
			for b := []byte(in); len(b) > 0; b = b[min(piece, len(b)):] {
				s.see(b[:min(piece, len(b))])
			}
			if s.see(nil); s.lines != want {
				t.Errorf("%q in pieces of %d: %d lines, want %d", in, piece, s.lines, want)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		why, header string
		channel     string
		want        map[column]int // the others are absent
		err         string
	}{
		{"İYS's own names", "recipient,type,source,status,consentDate,recipientType", "MESAJ",
			map[column]int{colRecipient: 0, colChannel: 1, colSource: 2, colStatus: 3, colDate: 4, colType: 5}, ""},
		{"Turkish, with its letters", "Telefon,İzin Tarihi,Kaynak,Durum,Alıcı Tipi", "MESAJ",
			map[column]int{colRecipient: 0, colDate: 1, colSource: 2, colStatus: 3, colType: 4}, ""},
		{"Turkish in capitals and without marks", "ADRES,IZIN TARIHI,KAYNAK,DURUM,ALICI_TIPI,İZİN TİPİ,MARKA KODU,BAYİ KODU", "EPOSTA",
			map[column]int{colRecipient: 0, colDate: 1, colSource: 2, colStatus: 3, colType: 4, colChannel: 5, colBrand: 6, colRetailer: 7}, ""},
		{"columns nobody knows are left alone", "ad,soyad,GSM No,not", "MESAJ", map[column]int{colRecipient: 2}, ""},
		{"both kinds of address, telephone wanted", "E-posta,Telefon", "MESAJ", map[column]int{colRecipient: 1}, ""},
		{"both kinds of address, e-mail wanted", "E-posta,Telefon", "EPOSTA", map[column]int{colRecipient: 0}, ""},
		{"the kind wanted goes before the general name", "recipient,phone", "MESAJ", map[column]int{colRecipient: 1}, ""},
		{"only the other kind", "e-mail,status", "MESAJ", nil, "must name the columns"},
		{"nothing known", "a,b", "MESAJ", nil, "must name the columns"},
		{"two telephones", "telefon,cep", "MESAJ", nil, `"telefon" and "cep" mean the same`},
		{"two dates", "telefon,tarih,izin tarihi", "MESAJ", nil, `"tarih" and "izin tarihi" mean the same`},
	} {
		l, err := mapHeader(strings.Split(c.header, ","), c.channel)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v, want an error with %q", c.why, err, c.err)
			}
			continue
		}
		for col := range columns {
			want, ok := c.want[col]
			if !ok {
				want = -1
			}
			if l[col] != want {
				t.Errorf("%s: column %d is %d (%v), want %d", c.why, col, l[col], err, want)
			}
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add("telefon;durum;izin tarihi;kaynak", "MESAJ")
	f.Add("sep=;\ne-posta\tstatus", "EPOSTA")
	f.Add("\"telefon\",\"Alıcı Tipi\"", "MESAJ")
	f.Fuzz(func(t *testing.T, line, channel string) {
		d := delimiter(line)
		fields, state := split(line, d)
		if state != splitWhole {
			return
		}
		l, err := mapHeader(fields, channel)
		seen := map[int]bool{}
		for _, i := range l {
			if i >= len(fields) || i >= 0 && seen[i] {
				t.Fatalf("columns %v of %q", l, fields)
			}
			seen[i] = true
		}
		if err == nil && l[colRecipient] < 0 {
			t.Fatalf("%q was taken without an address column", fields)
		}
	})
}

func TestDelimiters(t *testing.T) {
	for _, c := range []struct {
		why, line string
		want      byte
	}{
		{"semicolons", "telefon;durum", ';'},
		{"commas", "telefon,durum", ','},
		{"tabs", "telefon\tdurum", '\t'},
		{"a comma in a name does not win", `telefon;"ad, soyad, unvan";durum`, ';'},
		{"known columns count for more than many", "ad,soyad,il,ilçe telefon;durum", ';'},
		{"one column", "telefon", ';'},
	} {
		if got := delimiter(c.line); got != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}

func TestDates(t *testing.T) {
	day := func(h, m, s int) time.Time { return time.Date(2026, 12, 1, h, m, s, 0, iys.Istanbul) }
	for _, c := range []struct {
		in   string
		want time.Time
		code string
	}{
		{"2026-12-01 10:11:12", day(10, 11, 12), ""},
		{"2026-12-01T10:11:12", day(10, 11, 12), ""},
		{"2026-12-01T07:11:12Z", day(10, 11, 12), ""},
		{"2026-12-01T10:11:12+03:00", day(10, 11, 12), ""},
		{"2026-12-01 10:11", day(10, 11, 0), ""},
		{"2026-12-01", day(0, 0, 0), ""},
		{"01.12.2026 10:11:12", day(10, 11, 12), ""},
		{"1.12.2026 9:05", day(9, 5, 0), ""},
		{"1.12.2026", day(0, 0, 0), ""},
		{"01/12/2026", day(0, 0, 0), ""}, // Turkish order, never the American
		{"2026-13-01 10:11:12", time.Time{}, "H157"},
		{"31.02.2026", time.Time{}, "H157"},
		{"dün", time.Time{}, "H158"},
		{"46000", time.Time{}, "H158"},
		{"Aralık 2026", time.Time{}, "H158"},
	} {
		got, code := readDate(c.in)
		if !got.Equal(c.want) || code != c.code {
			t.Errorf("%s: got %v %s, want %v %s", c.in, got, code, c.want, c.code)
		}
	}
}

func TestRowsAreJudged(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, iys.Istanbul)
	header := []string{"telefon", "izin tarihi", "kaynak", "durum", "alıcı tipi", "izin tipi", "marka kodu", "bayi kodu", "İzin Kanıtı"}
	l, err := mapHeader(header, "MESAJ")
	if err != nil {
		t.Fatal(err)
	}
	good := []string{"0532 123 45 67", "2026-12-01 10:00:00", "hs_web", "Onay", "Tacir", "sms", "675403", "12345678", "form 3, 192.0.2.1"}
	for _, c := range []struct {
		why       string
		col       column
		value     string
		code      gateway.Code
		iys       string
		onlyWrite bool // a check of register alone
	}{
		{"as it is", colRecipient, good[0], "", "", false},
		{"a text mark of a spreadsheet and invisible characters", colRecipient, "'\u202a+905321234567\u202c ", "", "", false},
		{"no address", colRecipient, " ", gateway.CodeInvalid, "H114", false},
		{"no number", colRecipient, "ali@example.com", gateway.CodeBadNumber, "H121", false},
		{"a land line", colRecipient, "02121234567", gateway.CodeNotMobile, "", false},
		{"spoilt by a spreadsheet", colRecipient, "9,05321E+11", gateway.CodeBadNumber, "H121", false},
		{"no such type", colType, "kurumsal", gateway.CodeInvalid, "H116", false},
		{"another channel", colChannel, "ARAMA", gateway.CodeInvalid, "", false},
		{"no such channel", colChannel, "faks", gateway.CodeInvalid, "H117", false},
		{"another brand", colBrand, "675404", gateway.CodeBrand, "", false},
		{"no status", colStatus, "", gateway.CodeInvalid, "H110", true},
		{"no such status", colStatus, "belki", gateway.CodeInvalid, "H115", true},
		{"no such day", colDate, "2026-11-31 10:00:00", gateway.CodeInvalid, "H157", true},
		{"no date at all", colDate, "yakında", gateway.CodeInvalid, "H158", true},
		{"tomorrow", colDate, "2026-12-02 10:00:00", gateway.CodeInvalid, "H162", true},
		{"no retailer", colRetailer, "x", gateway.CodeInvalid, "", true},
		{"a novel for a proof", colEvidence, strings.Repeat("ş", 1001), gateway.CodeInvalid, "", true},
	} {
		for _, mode := range []string{modeRegister, modeVerify} {
			j := &gateway.ImportJob{ImportView: gateway.ImportView{Brand: "675403", Mode: mode}, Channel: "MESAJ", RecipientType: "BIREYSEL", Header: header}
			row := slices.Clone(good)
			row[l[c.col]] = c.value
			got, bad := l.consent(j, row, now)
			if c.code == "" || c.onlyWrite && mode == modeVerify {
				if bad != nil {
					t.Errorf("%s, %s: refused: %+v", c.why, mode, bad)
				} else if got.Address != "+905321234567" || got.RecipientType != "TACIR" && c.col != colType {
					t.Errorf("%s, %s: read as %+v", c.why, mode, got)
				}
				continue
			}
			if bad == nil || bad.code != c.code || bad.iys != c.iys || bad.turkish == "" || bad.english == "" {
				t.Errorf("%s, %s: got %+v, want %s %s with a sentence in both languages", c.why, mode, bad, c.code, c.iys)
			}
		}
	}
	j := &gateway.ImportJob{ImportView: gateway.ImportView{Brand: "675403", Mode: modeRegister}, Channel: "MESAJ", RecipientType: "BIREYSEL", Header: header}
	if _, bad := l.consent(j, append(slices.Clone(good), "ONAY"), now); bad == nil || bad.code != gateway.CodeMalformed {
		t.Errorf("a row with more columns than the header was taken: %+v", bad)
	}
	if _, bad := l.consent(j, append(slices.Clone(good), " "), now); bad != nil {
		t.Errorf("an empty column at the end cost the row: %+v", bad)
	}
	want := gateway.Consent{Brand: "675403", Channel: "MESAJ", Address: "+905321234567", RecipientType: "TACIR", Status: "ONAY", Source: "HS_WEB",
		ConsentDate: time.Date(2026, 12, 1, 10, 0, 0, 0, iys.Istanbul), RetailerCode: 12345678, Evidence: "form 3, 192.0.2.1"}
	if got, bad := l.consent(j, good, now); bad != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %+v, want %+v", got, bad, want)
	}
}
