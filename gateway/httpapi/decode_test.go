package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"izinli/gateway"
)

func TestDecodeWholeSubmission(t *testing.T) {
	const body = `{"channel":"sms","class":"commercial","brand":"675403","recipientType":"BIREYSEL","from":"ORNEK","reason":null,
	 "text":"Merhaba {{ad}}, \u0131\u015f\u0131k \"x\"","to":[{"address":"05321234567","ref":"caller-1","vars":{"ad":"Ayşe","tutar":12.50}}, "+905\u0033"],
	 "sendAt":"2026-12-01T10:00:00+03:00","validFor":"24h","encoding":"auto","dryRun":false}`
	var got gateway.Submission
	if err := decodeSubmission([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 12, 1, 7, 0, 0, 0, time.UTC); !got.SendAt.Equal(want) {
		t.Errorf("sendAt %v, want %v", got.SendAt, want)
	}
	got.SendAt = time.Time{}
	want := gateway.Submission{Channel: "sms", Class: "commercial", Brand: "675403", RecipientType: "BIREYSEL", From: "ORNEK",
		Text: `Merhaba {{ad}}, ışık "x"`, Encoding: "auto", ValidFor: 24 * time.Hour,
		To: []gateway.Destination{{Address: "05321234567", Ref: "caller-1", Vars: []gateway.Var{{Name: "ad", Value: "Ayşe"}, {Name: "tutar", Value: "12.50"}}}, {Address: "+9053"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	mail := `{"channel":"email","subject":"S","text":"t","html":"<p>h</p>","replyTo":"a@b.c","headers":{"x-campaign":"k"},"to":["a@b.c"]}`
	got = gateway.Submission{}
	if err := decodeSubmission([]byte(mail), &got); err != nil {
		t.Fatal(err)
	}
	want = gateway.Submission{Channel: "email", Subject: "S", Text: "t", HTML: "<p>h</p>", ReplyTo: "a@b.c",
		Headers: map[string]string{"X-Campaign": "k"}, To: []gateway.Destination{{Address: "a@b.c"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Nulls mean "not given" everywhere at the top.
func TestNullsAreAbsence(t *testing.T) {
	var nulled, absent gateway.Submission
	names := []string{"channel", "class", "brand", "recipientType", "from", "reason", "text", "encoding", "sendAt", "validFor", "dryRun", "subject", "html", "replyTo", "headers"}
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, `"%s":null,`, n)
	}
	if err := decodeSubmission([]byte(`{`+b.String()+`"to":[{"address":"1","ref":null,"vars":null}]}`), &nulled); err != nil {
		t.Fatal(err)
	}
	if err := decodeSubmission([]byte(`{"to":["1"]}`), &absent); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(nulled, absent) {
		t.Errorf("nulls %+v, absent %+v", nulled, absent)
	}
}

// The strings handed on must not change when the pooled buffer is used for the next request.
func TestStringsSurviveTheBuffer(t *testing.T) {
	body := []byte(bulkBody(300, true))
	var s gateway.Submission
	if err := decodeSubmission(body, &s); err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = '#'
	}
	for i, to := range s.To {
		if to.Address != bulkAddress(i) || to.Ref != fmt.Sprintf("r%d", i) || len(to.Vars) != 2 || to.Vars[0] != (gateway.Var{Name: "ad", Value: fmt.Sprintf("Ayşe %d", i)}) {
			t.Fatalf("recipient %d is now %+v", i, to)
		}
	}
	// Appending to one recipient's variables must not reach the next one's.
	for i := range len(s.To) - 1 {
		_ = append(s.To[i].Vars, gateway.Var{Name: "x"})
		if s.To[i+1].Vars[0].Name != "ad" {
			t.Fatalf("recipients %d and %d share the room behind their variables", i, i+1)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"24h": 24 * time.Hour, "90m": 90 * time.Minute, "30s": 30 * time.Second, "7d": 168 * time.Hour, "1h30m": 90 * time.Minute,
		"1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute, "1d0s": 24 * time.Hour,
		"": 0, "0s": 0, "0d": 0, "24": 0, "-1h": 0, "+1h": 0, "1d-1h": 0, "1d+1h": 0, "d": 0, "1dd": 0, "1w": 0, "P1D": 0, "1.5d": 0, "99999999d": 0,
		"999999h": 0, "1h1d": 0, " 1h": 0, "１h": 0,
	} {
		got, ok := time.Duration(0), false
		if in != "" {
			got, ok = parseDuration(in)
		}
		if ok != (want > 0) || ok && got != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", in, got, ok, want)
		}
	}
}

// The hand-written encoder says what the json tags of the vocabulary say.
func TestEncoderAgreesWithTags(t *testing.T) {
	for _, r := range []gateway.Result{
		{},
		{Messages: []gateway.Verdict{}},
		{Batch: mineBatch, Accepted: 2, Dropped: 1, Refused: 1, Segments: 4, Credits: 4, Replayed: true, Messages: []gateway.Verdict{
			{Index: 0, ID: mineMsg, Ref: "a\"b\\c\u2028<", To: "+905321234567", State: gateway.StateQueued, Segments: 2, Encoding: "gsm7"},
			{Index: 1, To: "yanlış", Code: gateway.CodeBadNumber, Text: "Not a number.\n"},
			{Index: 2, ID: mineBatch.Message(2), To: "x", State: gateway.StateDropped, Code: gateway.CodeNoConsent, Words: []string{"indirim", "fırsat"}},
			{},
		}},
	} {
		got := appendResult(nil, &r)
		if r.Messages == nil {
			r.Messages = []gateway.Verdict{}
		}
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var g, w any
		if err := json.Unmarshal(got, &g); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		if err := json.Unmarshal(want, &w); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	// What is not UTF-8 still makes valid JSON.
	if got := quote(nil, "a\xffb"); string(got) != "\"a\ufffdb\"" {
		t.Errorf("quote: %s", got)
	}
}

func FuzzSubmission(f *testing.F) {
	f.Add([]byte(sms))
	f.Add([]byte(bulkBody(3, true)))
	f.Add([]byte(`{"channel":"email","headers":{"X-A":"b"},"to":[{"address":"a@b","vars":{"x":1e5}}],"sendAt":"2026-12-01T10:00:00Z","validFor":"1d"}`))
	f.Add([]byte(`{"to":["\ud83d\ude00"]}`))
	f.Add([]byte(`{"to":[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var s gateway.Submission
		if err := decodeSubmission(body, &s); err != nil {
			var e *gateway.Error
			if !errors.As(err, &e) {
				t.Fatalf("not a refusal: %v", err)
			}
			if w := e.Code.Wire().HTTP; w < 400 || w >= 500 {
				t.Fatalf("a bad body is answered with %d: %v", w, err)
			}
			if doc := appendProblem(nil, problemOf(err), "r"); !json.Valid(doc) {
				t.Fatalf("the problem is not JSON: %s", doc)
			}
			return
		}
		// Whatever is taken is what a plain reader would have read.
		var plain struct{ To []json.RawMessage }
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Fatalf("taken, but not JSON: %v", err)
		}
		if len(plain.To) != len(s.To) || len(s.To) == 0 || len(s.To) > gateway.MaxRecipients {
			t.Fatalf("%d recipients, a plain reader finds %d", len(s.To), len(plain.To))
		}
		for i, to := range s.To {
			var want struct {
				Address, Ref string
				Vars         map[string]any
			}
			if plain.To[i][0] == '"' {
				_ = json.Unmarshal(plain.To[i], &want.Address)
			} else if err := json.Unmarshal(plain.To[i], &want); err != nil {
				t.Fatal(err)
			}
			if to.Address != want.Address || to.Ref != want.Ref || len(to.Vars) != len(want.Vars) {
				t.Fatalf("recipient %d is %+v, a plain reader finds %+v", i, to, want)
			}
			if !utf8.ValidString(to.Address) {
				t.Fatalf("recipient %d is not UTF-8", i)
			}
		}
	})
}

// The whole door, over bodies and routes: it must always answer, and never with 500.
func FuzzDoor(f *testing.F) {
	for _, c := range good() {
		f.Add(c.a.method, c.a.path, c.a.body)
	}
	api := newAPI(&world{}, Config{MaxBody: 1 << 16})
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequest(method, "http://x/", strings.NewReader(body))
		if err != nil {
			return
		}
		if r.URL, err = r.URL.Parse(path); err != nil || r.URL.Host != "x" {
			return
		}
		r.Header.Set("Authorization", "Bearer "+goodKey)
		r.Header.Set("Content-Type", "application/json")
		r.RemoteAddr = "192.0.2.1:1"
		rec := httptest.NewRecorder()
		func() {
			defer func() { // the torn file drops its connection
				if p := recover(); p != nil && p != http.ErrAbortHandler {
					panic(p)
				}
			}()
			api.Handler().ServeHTTP(rec, r)
		}()
		if rec.Code >= 500 {
			t.Errorf("%s %s: %d %s", method, path, rec.Code, rec.Body)
		}
	})
}

func bulkAddress(i int) string { return fmt.Sprintf("+90532%07d", i) }

func bulkBody(n int, vars bool) string {
	return `{"channel":"sms","class":"commercial","brand":"675403","from":"ORNEK","text":"Merhaba {{ad}}","to":[` + repeat(n, func(i int) string {
		if vars {
			return fmt.Sprintf(`{"address":"%s","ref":"r%d","vars":{"ad":"Ayşe %d","tutar":"%d,50 TL"}}`, bulkAddress(i), i, i, i)
		}
		return `"` + bulkAddress(i) + `"`
	}) + `]}`
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
		vars bool
	}{{"one", 1, false}, {"bulk10k", 10_000, false}, {"bulk10kVars", 10_000, true}} {
		b.Run(c.name, func(b *testing.B) {
			body := []byte(bulkBody(c.n, c.vars))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var s gateway.Submission
				if err := decodeSubmission(body, &s); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.n), "ns/recipient")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := gateway.Result{Batch: mineBatch, Accepted: n}
			for i := range n {
				r.Messages = append(r.Messages, gateway.Verdict{ID: mineBatch.Message(uint32(i)), Ref: "caller-1", To: bulkAddress(i),
					State: gateway.StateQueued, Segments: 1, Encoding: "gsm7"})
			}
			b.ReportAllocs()
			for b.Loop() {
				appendResult(make([]byte, 0, 256+160*n), &r)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/recipient")
		})
	}
}

// quick answers at once, so that the benchmark sees the door alone.
func quick() *world {
	res := gateway.Result{Batch: mineBatch, Accepted: 1, Messages: []gateway.Verdict{{ID: mineMsg, To: "+905321234567", State: gateway.StateQueued, Segments: 1, Encoding: "gsm7"}}}
	return &world{submit: func(*gateway.Submission) (gateway.Result, error) { return res, nil }}
}

func BenchmarkHandler(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
		vars bool
	}{{"one", 1, false}, {"bulk10k", 10_000, false}, {"bulk10kVars", 10_000, true}} {
		b.Run(c.name, func(b *testing.B) {
			w := quick()
			h := newAPI(w, Config{}).Handler()
			body := bulkBody(c.n, c.vars)
			b.ReportAllocs()
			for b.Loop() {
				r := ask{method: "POST", path: "/v1/messages", body: body}.request()
				rec := httptest.NewRecorder()
				if h.ServeHTTP(rec, r); rec.Code != 202 {
					b.Fatal(rec.Body)
				}
				w.got = w.got[:0]
			}
			b.ReportMetric(float64(c.n)*float64(b.N)/b.Elapsed().Seconds(), "recipients/s")
		})
	}
}

// Requests over real sockets, client and server sharing the cores: single messages a second.
func BenchmarkSocket(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	w := quick()
	w.got = make([]*gateway.Submission, 0, 1)
	inner := w.submit
	w.submit = func(s *gateway.Submission) (gateway.Result, error) {
		w.mu.Lock()
		w.got = w.got[:0]
		w.mu.Unlock()
		return inner(s)
	}
	api := newAPI(w, Config{})
	api.deps.Limits = nil
	go func() { _ = api.Serve(b.Context(), ln) }()
	var raw bytes.Buffer
	r := ask{method: "POST", path: "http://" + ln.Addr().String() + "/v1/messages", body: sms}.request()
	if err := r.Write(&raw); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		buf := make([]byte, 4096)
		for pb.Next() {
			if _, err := c.Write(raw.Bytes()); err != nil {
				b.Error(err)
				return
			}
			n, err := c.Read(buf)
			if err != nil && err != io.EOF || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 202")) {
				b.Errorf("%v %s", err, buf[:n])
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
