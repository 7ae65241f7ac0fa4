package reconcile

import (
	"bufio"
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"

	"izinli/iys"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, iys.Istanbul)

func row(second, tx int, status iys.Status) iys.Consent {
	return iys.Consent{Key: iys.Key{Brand: "1", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: fmt.Sprintf("+90532%07d", tx)},
		Status: status, Source: iys.SourceIYSWeb, ConsentDate: noon, CreationDate: noon.Add(time.Duration(second) * time.Second), TransactionID: fmt.Sprintf("%064x", tx),
		Origin: iys.OriginReconcile}
}

func fileOf(list ...iys.Consent) string {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	w.WriteString(header)
	for i := range list {
		writeRow(w, &list[i])
	}
	w.Flush()
	return b.String()
}

func eachOf(list []iys.Consent) each {
	return func(yield func(iys.Consent) error) error {
		for _, m := range list {
			if err := yield(m); err != nil {
				return err
			}
		}
		return nil
	}
}

func diff(t *testing.T, theirs string, ours ...iys.Consent) string {
	t.Helper()
	var out []string
	_, _, err := compare("1", strings.NewReader(theirs), eachOf(ours), func(d difference) error {
		out = append(out, fmt.Sprintf("%s %.3s>%.3s", d.kind, d.ours.Status, d.theirs.Status))
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return strings.Join(out, ", ")
}

// The form of the file is that of iys-api.md §11, to the octet.
func TestFileForm(t *testing.T) {
	a := row(0, 1, "ONAY")
	closed := row(1, 2, "RET")
	closed.ConsentDate, closed.Source = time.Time{}, iys.SourceIYSLineClosed
	want := "creationDate,transactionId,recipient,recipientType,type,status,consentDate,source\n" +
		"2026-11-20 12:00:00," + a.TransactionID + ",+905320000001,BIREYSEL,MESAJ,ONAY,2026-11-20 12:00:00,IYS_WEB\n" +
		"2026-11-20 12:00:01," + closed.TransactionID + ",+905320000002,BIREYSEL,MESAJ,RET,,IYS_AHS_HAT_KAPATMA\n"
	if got := fileOf(a, closed); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s := newSums(sha512.New384())
	s.add(&a)
	s.add(&closed)
	sum := sha512.Sum384([]byte(want))
	if got, err := s.hex(); err != nil || got != fmt.Sprintf("%x", sum) {
		t.Errorf("hash %s %v", got, err)
	}
}

func TestCompare(t *testing.T) {
	a, b, c := row(0, 1, "ONAY"), row(0, 2, "RET"), row(5, 3, "ONAY")
	other := b
	other.Status = "ONAY"
	twice := b
	twice.Status = "ONAY" // same second, same id
	for name, tt := range map[string]struct {
		theirs, ours []iys.Consent
		want         string
	}{
		"equal":             {[]iys.Consent{a, b, c}, []iys.Consent{a, b, c}, ""},
		"nothing":           {nil, nil, ""},
		"missing here":      {[]iys.Consent{a, b, c}, []iys.Consent{a, c}, "missing_here >RET"},
		"missing at begin":  {[]iys.Consent{a, b, c}, []iys.Consent{b, c}, "missing_here >ONA"},
		"missing at end":    {[]iys.Consent{a, b, c}, []iys.Consent{a, b}, "missing_here >ONA"},
		"all missing here":  {[]iys.Consent{a, c}, nil, "missing_here >ONA, missing_here >ONA"},
		"missing there":     {[]iys.Consent{a, c}, []iys.Consent{a, b, c}, "missing_there RET>"},
		"all missing there": {nil, []iys.Consent{a, c}, "missing_there ONA>, missing_there ONA>"},
		"different":         {[]iys.Consent{a, b}, []iys.Consent{a, other}, "different ONA>RET"},
		"one second, equal": {[]iys.Consent{b, twice}, []iys.Consent{twice, b}, ""},
		"one second, half":  {[]iys.Consent{b, twice}, []iys.Consent{twice}, "missing_here >RET"},
	} {
		if got := diff(t, fileOf(tt.theirs...), tt.ours...); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// Other spellings of the same file are the same rows.
func TestTolerantReading(t *testing.T) {
	a, b := row(0, 1, "ONAY"), row(1, 2, "RET")
	plain := fileOf(a, b)
	for name, f := range map[string]string{
		"crlf": strings.ReplaceAll(plain, "\n", "\r\n"), "bom": "\xef\xbb\xbf" + plain, "no last line end": strings.TrimSuffix(plain, "\n"),
		"quotes": strings.ReplaceAll(strings.ReplaceAll(plain, ",", `","`), "\n", "\"\n\""),
	} {
		if name == "quotes" {
			f = `"` + strings.TrimSuffix(f, `"`)
		}
		if got := diff(t, f, a, b); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, f := range map[string]string{
		"empty": "", "no header": strings.TrimPrefix(plain, header), "cut": plain[:len(plain)-40], "unsorted": fileOf(b, a),
		"a word": strings.Replace(plain, "RET", "BEKLIYOR", 1), "a day that is none": strings.Replace(plain, "2026-11-20 12:00:01", "2026-13-20 12:00:01", 1),
	} {
		if got := diff(t, f, a, b); !strings.Contains(got, errFile.Error()) || strings.Contains(got, "90532") {
			t.Errorf("%s: got %q, want that it cannot be read, without an address", name, got)
		}
	}
}

// A random divergence is found exactly.
func TestCompareFindsAll(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 50 {
		var theirs, ours []iys.Consent
		want := map[Kind]int{}
		for i := range 300 {
			m := row(r.IntN(40), i, "ONAY")
			switch r.IntN(8) {
			case 0:
				theirs = append(theirs, m)
				want[MissingHere]++
			case 1:
				ours = append(ours, m)
				want[MissingThere]++
			case 2:
				theirs = append(theirs, m)
				m.Status = "RET"
				ours = append(ours, m)
				want[Different]++
			default:
				theirs, ours = append(theirs, m), append(ours, m)
			}
		}
		sort.Slice(theirs, func(i, j int) bool { return order(&theirs[i], &theirs[j]) < 0 })
		sort.Slice(ours, func(i, j int) bool { return order(&ours[i], &ours[j]) < 0 })
		got := map[Kind]int{}
		if _, _, err := compare("1", strings.NewReader(fileOf(theirs...)), eachOf(ours), func(d difference) error { got[d.kind]++; return nil }); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte(fileOf(row(0, 1, "ONAY"), row(1, 2, "RET"))))
	f.Add([]byte("a,b\n\"x"))
	f.Add([]byte(header + strings.Repeat(",", 7)))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := newRows("1", bytes.NewReader(body))
		if err != nil {
			return
		}
		for range 1000 {
			c, err := r.next()
			if err != nil {
				if err != io.EOF && !errors.Is(err, errFile) {
					t.Errorf("an error of another kind: %v", err)
				}
				return
			}
			if !c.Status.Valid() || c.CreationDate.IsZero() || c.Recipient == "" {
				t.Errorf("a row that says nothing: %+v", c)
			}
		}
	})
}
