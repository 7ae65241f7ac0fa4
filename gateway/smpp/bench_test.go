package smpp

import (
	"bytes"
	"testing"
)

func benchSubmit() *SubmitSM {
	return &SubmitSM{
		Source: Address{TONAlphanumeric, NPIUnknown, []byte("ORNEK")}, Dest: Address{1, 1, []byte("905321234567")},
		RegisteredDelivery: 1, ShortMessage: bytes.Repeat([]byte("x"), 160), TLVs: TLVs(nil).AppendUint16(TagUserMessageReference, 1),
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	m := benchSubmit()
	buf := m.AppendTo(nil, 1)
	h, _ := ParseHeader(buf, MaxPDU)
	resp := &SubmitSMResp{MessageID: []byte("0123456789")}
	rbuf := resp.AppendTo(nil, 1)
	rh, _ := ParseHeader(rbuf, MaxPDU)
	var got SubmitSM
	var gotResp SubmitSMResp
	for why, f := range map[string]func(){
		"encode submit_sm":      func() { buf = m.AppendTo(buf[:0], 1) },
		"decode submit_sm":      func() { _ = got.Decode(h, buf[HeaderLen:]) },
		"decode deliver_sm":     func() { _ = (*DeliverSM)(&got).Decode(h, buf[HeaderLen:]) },
		"encode submit_sm_resp": func() { rbuf = resp.AppendTo(rbuf[:0], 1) },
		"decode submit_sm_resp": func() { _ = gotResp.Decode(rh, rbuf[HeaderLen:]) },
		"validate submit_sm":    func() { _ = m.Validate() },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", why, n)
		}
	}
}

func BenchmarkEncodeSubmit(b *testing.B) {
	m := benchSubmit()
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		buf = m.AppendTo(buf[:0], 1)
	}
}

func BenchmarkDecodeSubmit(b *testing.B) {
	buf := benchSubmit().AppendTo(nil, 1)
	var m SubmitSM
	b.ReportAllocs()
	for b.Loop() {
		h, _ := ParseHeader(buf, MaxPDU)
		if err := m.Decode(h, buf[HeaderLen:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeSubmitResp(b *testing.B) {
	buf := (&SubmitSMResp{MessageID: []byte("0123456789")}).AppendTo(nil, 1)
	var m SubmitSMResp
	b.ReportAllocs()
	for b.Loop() {
		h, _ := ParseHeader(buf, MaxPDU)
		if err := m.Decode(h, buf[HeaderLen:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidateSubmit(b *testing.B) {
	m := benchSubmit()
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Validate(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWindow(b *testing.B) {
	w := NewWindow[int](100)
	b.ReportAllocs()
	for b.Loop() {
		w.Reserve(1)
		w.Take(Header{ID: SubmitSMRespID, Sequence: w.Put(SubmitSMID, 0, 1)})
	}
}

func BenchmarkParseReceiptText(b *testing.B) {
	text := []byte("id:0123456789 sub:001 dlvrd:001 submit date:2603201430 done date:2603201431 stat:DELIVRD err:000 text:Merhaba")
	b.ReportAllocs()
	for b.Loop() {
		if r := ParseReceiptText(text, istanbul); r.State != StateDelivered {
			b.Fatal(r)
		}
	}
}
