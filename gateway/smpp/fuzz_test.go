package smpp

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// FuzzPDU: what decodes encodes to something that decodes to the same octets.
func FuzzPDU(f *testing.F) {
	for _, p := range every() {
		f.Add(p.AppendTo(nil, 1))
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ParseHeader(in, MaxPDU)
		if err != nil || int(h.Length) > len(in) {
			return
		}
		p, err := Decode(h, in[HeaderLen:h.Length])
		if err != nil {
			var fe *FieldError
			if !errors.Is(err, ErrUnknownCommand) && (!errors.As(err, &fe) || fe.Status == StatusOK) {
				t.Fatalf("%s: untyped error %v", h.ID, err)
			}
			return
		}
		one := p.AppendTo(nil, h.Sequence)
		h2, body2 := split(t, one)
		if h2.ID != h.ID || h2.Sequence != h.Sequence {
			t.Fatalf("header %+v became %+v", h, h2)
		}
		p2, err := Decode(h2, body2)
		if err != nil {
			t.Fatalf("%s: own encoding refused: %v\n%x", h.ID, err, one)
		}
		if two := p2.AppendTo(nil, h.Sequence); !bytes.Equal(one, two) {
			t.Fatalf("%s: not a fixed point\n%x\n%x", h.ID, one, two)
		}
	})
}

func FuzzTLVs(f *testing.F) {
	f.Add([]byte(TLVs(nil).AppendUint8(TagMessageState, 1).AppendCString(TagBrandCode, "1")))
	f.Add([]byte{4, 36, 0, 9, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		tl, err := ParseTLVs(in)
		if err != nil {
			return
		}
		var again TLVs
		for tag, v := range tl.All() {
			if got, ok := tl.Get(tag); !ok || cap(got) != len(got) {
				t.Fatalf("Get(%#x) = %x %v, cap %d", tag, got, ok, cap(got))
			}
			again = again.Append(tag, v)
		}
		if !bytes.Equal(again, in) {
			t.Fatalf("order or unknown tags lost\n%x\n%x", in, again)
		}
		_ = tl.CheckLengths()
	})
}

func FuzzReceiptText(f *testing.F) {
	f.Add([]byte("id:0123456789 sub:001 dlvrd:001 submit date:2603201430 done date:2603201431 stat:DELIVRD err:000 text:Merhaba"))
	f.Add([]byte("ID: a,stat: x text:id:"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := ParseReceiptText(in, time.UTC)
		if bytes.ContainsAny(r.MessageID, " \t\r\n\x00") {
			t.Fatalf("id %q holds a blank", r.MessageID)
		}
		if len(r.MessageID) == 0 || bytes.ContainsAny(r.MessageID, ":,;|") || bytes.ContainsAny(r.Err, ":,;|") {
			return // such values cannot be told from the form itself
		}
		one := r.AppendText(nil)
		back := ParseReceiptText(one, time.UTC)
		if two := back.AppendText(nil); !bytes.Equal(one, two) {
			t.Fatalf("not a fixed point\n%q\n%q", one, two)
		}
	})
}

func FuzzTime(f *testing.F) {
	f.Add([]byte("260320143000012+"))
	f.Add([]byte("010203040506000R"))
	f.Fuzz(func(t *testing.T, in []byte) {
		now := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
		at, err := ParseTime(in, now)
		if err != nil || len(in) == 0 || in[15] == 'R' || at.Year() < 2000 || at.Year() > 2099 {
			return
		}
		back, err := ParseTime(AppendTime(nil, at), now)
		if err != nil || !back.Equal(at) {
			t.Fatalf("%s: %v became %v, %v", in, at, back, err)
		}
	})
}
