package sms

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 20, 14, 30, 0, 0, time.UTC)

// inbound turns sent parts into received ones.
func inbound(t testing.TB, parts []Segment) []Part {
	t.Helper()
	out := make([]Part, len(parts))
	for i, s := range parts {
		out[i] = Part{
			Source: "+905321234567", Destination: "3347", Concat: s.Concat,
			DataCoding: s.DataCoding, UDH: s.UDH, Body: s.Body, ID: fmt.Sprint(i + 1),
		}
		if s.Concat.Width != RefSAR && len(s.UDH) > 0 {
			u, _, err := ParseUDH(s.UDH)
			if err != nil {
				t.Fatal(err)
			}
			out[i].Concat = u.Concat
		}
	}
	return out
}

func TestReassembleAnyOrder(t *testing.T) {
	text := strings.Repeat("Değerli müşterimiz [€] 🎉 ", 20)
	letters := strings.ReplaceAll(text, "🎉", "!")
	rng := rand.New(rand.NewPCG(1, 2))
	for _, e := range []Encoding{TRSingle, TRLocking, UCS2} {
		for _, ref := range []RefWidth{Ref8, Ref16, RefSAR} {
			want := text
			if e != UCS2 {
				want = letters
			}
			p := forced(e)
			p.Ref = ref
			parts := inbound(t, mustSplit(t, want, p, 0xCAFE))
			rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			r := NewReassembler(Limits{})
			for i, part := range parts {
				got, status := r.Add(nil, part, t0)
				if i < len(parts)-1 {
					if status != PartHeld || len(got) != 0 {
						t.Fatalf("%v part %d: %v, %d messages", e, i, status, len(got))
					}
					if _, status = r.Add(nil, part, t0); status != PartDuplicate {
						t.Fatalf("%v part %d again: %v, want duplicate", e, i, status)
					}
					continue
				}
				if status != PartCompleted || len(got) != 1 || got[0].Text != want || !got[0].Complete || got[0].Err != nil {
					t.Fatalf("%v last part: %v, %+v", e, status, got)
				}
				for j, p := range got[0].Parts {
					if int(p.Concat.Seq) != j+1 {
						t.Fatalf("part %d has number %d", j, p.Concat.Seq)
					}
				}
			}
			if _, octets := r.Waiting(); octets != 0 {
				t.Errorf("%d octets stay behind", octets)
			}
			// A response was lost and the operator repeats a part.
			if got, status := r.Add(nil, parts[0], t0.Add(time.Minute)); status != PartDuplicate || len(got) != 0 {
				t.Errorf("part of a finished message: %v, %d messages", status, len(got))
			}
		}
	}
}

func TestReassembleKeysApart(t *testing.T) {
	r := NewReassembler(Limits{})
	base := Part{Source: "a", Destination: "b", Concat: Concat{Ref: 7, Total: 2, Seq: 1, Width: Ref8}, Body: []byte("one")}
	r.Add(nil, base, t0)
	for why, change := range map[string]func(*Part){
		"source":      func(p *Part) { p.Source = "x" },
		"destination": func(p *Part) { p.Destination = "x" },
		"reference":   func(p *Part) { p.Concat.Ref = 8 },
		"width":       func(p *Part) { p.Concat.Width = Ref16 },
		"total":       func(p *Part) { p.Concat.Total = 3 },
	} {
		p := base
		p.Concat.Seq, p.Body = 2, []byte("two")
		change(&p)
		if got, status := r.Add(nil, p, t0); status != PartHeld || len(got) != 0 {
			t.Errorf("another %s joins the message: %v, %+v", why, status, got)
		}
	}
	p := base
	p.Concat.Seq, p.Body = 2, []byte("two")
	if got, status := r.Add(nil, p, t0); status != PartCompleted || got[0].Text != "onetwo" {
		t.Errorf("the same key does not: %v, %+v", status, got)
	}
}

func TestReassembleRefusesNumbers(t *testing.T) {
	r := NewReassembler(Limits{})
	for _, c := range []Concat{{}, {Ref: 1, Total: 2, Seq: 0}, {Ref: 1, Total: 2, Seq: 3}, {Ref: 1, Total: 0, Seq: 1}} {
		if got, status := r.Add(nil, Part{Concat: c}, t0); status != PartRefused || len(got) != 0 {
			t.Errorf("%+v: %v, %d messages", c, status, len(got))
		}
	}
	if sets, octets := r.Waiting(); sets != 0 || octets != 0 || !r.Next().IsZero() {
		t.Errorf("refused parts are kept: %d sets, %d octets", sets, octets)
	}
}

func TestReassembleExpires(t *testing.T) {
	r := NewReassembler(Limits{TTL: 5 * time.Minute})
	first := Part{Source: "a", Destination: "b", Concat: SAR(1, 4, 1), Body: []byte("RET"), ID: "k1"}
	last := Part{Source: "a", Destination: "b", Concat: SAR(1, 4, 4), Body: []byte("end"), ID: "k4"}
	r.Add(nil, last, t0)
	r.Add(nil, first, t0.Add(4*time.Minute))
	if got := r.Next(); !got.Equal(t0.Add(5 * time.Minute)) {
		t.Errorf("Next = %v", got)
	}
	if got := r.Expire(nil, t0.Add(5*time.Minute-1)); len(got) != 0 {
		t.Errorf("expired early: %+v", got)
	}
	got := r.Expire(nil, t0.Add(5*time.Minute))
	if len(got) != 1 {
		t.Fatalf("%d messages, want 1", len(got))
	}
	w := got[0]
	if w.Complete || w.Text != "RET"+Gap+"end" || w.Total != 4 || len(w.Parts) != 2 || w.Parts[0].ID != "k1" || !w.First.Equal(t0) {
		t.Errorf("incomplete message = %+v", w)
	}
	if sets, octets := r.Waiting(); sets != 0 || octets != 0 {
		t.Errorf("%d sets, %d octets stay behind", sets, octets)
	}
}

func TestReassembleNeverLoses(t *testing.T) {
	// A reference used again before the first message is complete.
	r := NewReassembler(Limits{})
	old := Part{Concat: SAR(1, 2, 1), Body: []byte("RET")}
	r.Add(nil, old, t0)
	fresh := Part{Concat: SAR(1, 2, 1), Body: []byte("hello ")}
	got, status := r.Add(nil, fresh, t0)
	if status != PartHeld || len(got) != 1 || got[0].Text != "RET"+Gap || got[0].Complete {
		t.Errorf("reused reference: %v, %+v", status, got)
	}
	got, status = r.Add(nil, Part{Concat: SAR(1, 2, 2), Body: []byte("world")}, t0)
	if status != PartCompleted || got[0].Text != "hello world" {
		t.Errorf("message that took the reference over: %v, %+v", status, got)
	}
	// And after it is: another text is no duplicate.
	if got, status = r.Add(nil, Part{Concat: SAR(1, 2, 2), Body: []byte("other")}, t0); status != PartHeld || len(got) != 0 {
		t.Errorf("reference of a finished message: %v, %+v", status, got)
	}

	// Bounds hand out the oldest.
	for _, l := range []Limits{{MaxSets: 3}, {MaxSize: 3 * 10}} {
		r := NewReassembler(l)
		out := 0
		for i := range 10 {
			p := Part{Source: fmt.Sprint(i), Concat: SAR(uint16(i), 2, 1), Body: []byte("0123456789")}
			got, status := r.Add(nil, p, t0)
			if status != PartHeld {
				t.Fatalf("part %d: %v", i, status)
			}
			for _, w := range got {
				if w.Source != fmt.Sprint(out) {
					t.Errorf("%+v: handed out %s, want %d", l, w.Source, out)
				}
				out++
			}
			if sets, octets := r.Waiting(); sets > 3 || octets > 30 {
				t.Fatalf("%+v: %d sets, %d octets", l, sets, octets)
			}
		}
		if out != 7 {
			t.Errorf("%+v: %d messages handed out, want 7", l, out)
		}
		if rest := r.Flush(nil); len(rest) != 3 {
			t.Errorf("%+v: Flush gives %d, want 3", l, len(rest))
		}
	}

	// A message never evicts itself.
	r = NewReassembler(Limits{MaxSize: 5})
	r.Add(nil, Part{Concat: SAR(1, 2, 1), Body: []byte("0123")}, t0)
	got, status = r.Add(nil, Part{Concat: SAR(1, 2, 2), Body: []byte("4567")}, t0)
	if status != PartCompleted || len(got) != 1 || got[0].Text != "01234567" {
		t.Errorf("message over MaxSize: %v, %+v", status, got)
	}
}

// Parts cut by a careless sender in the middle of a pair.
func TestReassembleJoinsBeforeDecoding(t *testing.T) {
	run := func(parts ...Part) Whole {
		r := NewReassembler(Limits{})
		for i, p := range parts {
			p.Concat = SAR(9, uint8(len(parts)), uint8(i+1))
			if got, _ := r.Add(nil, p, t0); len(got) == 1 {
				return got[0]
			}
		}
		t.Fatal("no message came out")
		return Whole{}
	}
	shift := []byte{3, 0x25, 1, 1}
	for _, v := range []struct {
		why   string
		parts []Part
		want  string
		err   error
	}{
		{"surrogate pair", []Part{{DataCoding: 8, Body: unhex(t, "0041d83c")}, {DataCoding: 8, Body: unhex(t, "df890042")}}, "A🎉B", nil},
		{"octets of one unit", []Part{{DataCoding: 8, Body: unhex(t, "004101")}, {DataCoding: 8, Body: unhex(t, "5f")}}, "Aş", nil},
		{"escape pair", []Part{{Body: unhex(t, "411b")}, {Body: unhex(t, "3c")}}, "A[", nil},
		{"each part has its own table", []Part{{UDH: shift, Body: unhex(t, "1d")}, {Body: unhex(t, "1d")}}, "şæ", nil},
		{"each part has its own coding", []Part{{Body: unhex(t, "41")}, {DataCoding: 8, Body: unhex(t, "015f")}}, "Aş", nil},
		{"a bad part does not spoil the others", []Part{{Body: unhex(t, "41")}, {DataCoding: 6, Body: unhex(t, "41")}, {Body: unhex(t, "42")}}, "AB", ErrDataCoding},
		{"a bad header neither", []Part{{Body: unhex(t, "41")}, {UDH: []byte{9}, Body: unhex(t, "41")}, {Body: unhex(t, "42")}}, "AB", ErrUDH},
		{"an empty part", []Part{{Body: nil}, {DataCoding: 8, Body: unhex(t, "015f")}}, "ş", nil},
	} {
		w := run(v.parts...)
		if w.Text != v.want || !errors.Is(w.Err, v.err) || (w.Err == nil) != (v.err == nil) {
			t.Errorf("%s: %q, %v, want %q, %v", v.why, w.Text, w.Err, v.want, v.err)
		}
	}
}

// Whatever arrives, in whatever order: bounds hold, and every held part comes
// out exactly once.
func TestReassemblerConservesParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		l := Limits{TTL: time.Minute, MaxSets: 1 + rng.IntN(5), MaxSize: 20 + rng.IntN(60)}
		r := NewReassembler(l)
		in, out := map[string]bool{}, map[string]bool{}
		collect := func(ws []Whole) {
			for _, w := range ws {
				if w.Complete != (len(w.Parts) == w.Total) {
					t.Fatalf("Complete = %v with %d of %d parts", w.Complete, len(w.Parts), w.Total)
				}
				for _, p := range w.Parts {
					if out[p.ID] || !in[p.ID] {
						t.Fatalf("part %s comes out twice or from nowhere", p.ID)
					}
					out[p.ID] = true
				}
			}
		}
		now := t0
		for i := range 200 {
			now = now.Add(time.Duration(rng.IntN(5000)) * time.Millisecond)
			p := Part{
				Source: fmt.Sprint(rng.IntN(3)),
				Concat: SAR(uint16(rng.IntN(3)), uint8(1+rng.IntN(4)), uint8(rng.IntN(5))),
				Body:   []byte(fmt.Sprint(rng.IntN(4))), ID: fmt.Sprint(i),
			}
			got, status := r.Add(nil, p, now)
			if status == PartHeld || status == PartCompleted {
				in[p.ID] = true
			}
			collect(got)
			if sets, octets := r.Waiting(); sets > l.MaxSets || octets > l.MaxSize {
				t.Fatalf("%d sets, %d octets with %+v", sets, octets, l)
			}
		}
		collect(r.Flush(nil))
		if len(in) != len(out) {
			t.Fatalf("%d parts went in, %d came out", len(in), len(out))
		}
	}
}
