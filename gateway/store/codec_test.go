package store

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/iys"
)

var someTime = time.UnixMilli(1_790_000_000_123)

func sampleBatch() *gateway.Batch {
	return &gateway.Batch{Account: 3, ID: 77, Credential: "k", Door: gateway.DoorSMPP, RemoteIP: "10.0.0.1", TraceID: "t", Channel: "sms",
		Class: "commercial", Brand: "675403", RecipientType: "TACIR", Reason: "order", From: "ORNEK", Text: "Merhaba {{ad}}", Subject: "s",
		HTML: "<p>", ReplyTo: "a@b.cc", Headers: map[string]string{"X": "y"}, Body: gateway.BodyRef{ID: "b", Size: 9}, Encoding: "auto",
		Raw:     &gateway.RawSMS{DataCoding: 4, ProtocolID: 1, Parts: []gateway.RawPart{{UDH: []byte{1, 2}, Body: []byte{3}, ID: "p"}}},
		Receipt: gateway.ReceiptAll, Priority: 2, SourceTON: 5, SourceNPI: 1, DestTON: 1, DestNPI: 1, Count: 100, SendAt: someTime,
		ValidUntil: someTime.Add(time.Hour)}
}

func sampleRecipients() []gateway.Recipient {
	return []gateway.Recipient{
		{Address: "+905321234567", Ref: "r", Vars: []gateway.Var{{Name: "ad", Value: "Ayşe"}}, Segments: 2, Encoding: 1, State: gateway.StateHeld,
			Code: gateway.CodePromotional},
		{Address: "+905321234568", State: gateway.StateDropped, Code: gateway.CodeNoConsent},
	}
}

func sampleProgress() gateway.Progress {
	return gateway.Progress{State: gateway.StateSent, Code: gateway.CodeDoubt, Attempts: 3, Operator: "op1", Bind: "b", Updated: someTime,
		NextAt: someTime, Sent: someTime, Open: true, Doubts: gateway.MaxDoubts, Refunded: true,
		Segments:  []gateway.Segment{{State: gateway.StateSent, OperatorID: "x", Err: "e"}, {}},
		Decisions: []gateway.DecisionRef{{Day: 20000, Seq: 5, Pos: 255}}}
}

func sampleDecisions() []gateway.Decision {
	return []gateway.Decision{
		{Message: gateway.MessageID{Account: 3, Batch: 9, Index: 1}, Kind: gateway.DecisionIntent, Verdict: "send", Rule: "consent_onay", At: someTime,
			Policy: 4, Status: "ONAY", Source: "HS_WEB", Where: "mirror", ConsentDate: someTime, TransactionID: "t", Age: 90 * time.Second,
			Words: []string{"indirim"}, Address: "+90"},
		{Message: gateway.MessageID{Account: 3, Batch: 9, Index: 2}, Kind: gateway.DecisionDrop, Verdict: "drop", Rule: "blocked", At: someTime},
	}
}

func chainValue(ds []gateway.Decision) []byte {
	var c chain
	for i := range ds {
		c.append(&ds[i])
	}
	v := enc{1}
	v = append(v, c.prev[:]...)
	v.uint(uint64(len(c.words)))
	for _, w := range c.words {
		v.text(w)
	}
	v.uint(uint64(c.entries))
	return append(v, c.body...)
}

var chainAt = chainKey(3, 20000, 1)

func sampleOwed() []gateway.ReceiptDue {
	return []gateway.ReceiptDue{
		{Seq: 8, Account: 3, System: "esme1", Message: gateway.MessageID{Account: 3, Batch: 9, Index: 1}, Part: "p", State: gateway.StateDelivered,
			Code: gateway.CodeExpired, Err: "001", From: "ORNEK", To: "+90", Submitted: someTime, Done: someTime, SourceTON: 5, DestTON: 1},
		{Seq: 9, Account: 3, System: "esme1", MO: &gateway.Inbound{ID: "1", From: "+90", Text: "iptal", At: someTime.UTC()}},
	}
}

func owedValue(t testing.TB, rs []gateway.ReceiptDue) []byte {
	e := enc{1}
	e.uint(uint64(len(rs)))
	for i := range rs {
		if err := encodeOwed(&e, &rs[i]); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func sampleConsent() iys.Consent {
	return iys.Consent{Key: consentAt, Status: iys.StatusApproved, Source: iys.SourceHSWeb, Origin: iys.OriginPull, ConsentDate: someTime,
		CreationDate: someTime, ReadAt: someTime, TransactionID: "t", RetailerCode: 7, RetailerAccess: []int{1, 2}}
}

var consentAt = iys.Key{Brand: "675403", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: "+90"}

// codecs decode a value and give it back encoded; ok is false when it is refused.
var codecs = map[string]func(t testing.TB, v []byte) (value any, again []byte, ok bool){
	"batch": func(_ testing.TB, v []byte) (any, []byte, bool) {
		d := dec{b: v}
		b := decodeBatch(&d, gateway.BatchRef{Account: 3, Batch: 77})
		if d.err("") != nil || len(b.Headers) > 1 {
			return nil, nil, false // the order of headers is not kept
		}
		var e enc
		encodeBatch(&e, b)
		return b, e, true
	},
	"recipients": func(_ testing.TB, v []byte) (any, []byte, bool) {
		rs, ref, err := decodeBlock(v)
		if err != nil {
			return nil, nil, false
		}
		e := make(enc, decisionRefLen)
		putDecisionRef(e, ref)
		encodeRecipients(&e, rs)
		return rs, e, true
	},
	"progress": func(_ testing.TB, v []byte) (any, []byte, bool) {
		p, err := decodeProgress(v)
		if err != nil {
			return nil, nil, false
		}
		var e enc
		encodeProgress(&e, &p)
		return p, e, true
	},
	"chain": func(_ testing.TB, v []byte) (any, []byte, bool) {
		r, err := decodeChain(3, chainAt, v)
		if err != nil || len(r.decisions) > chainLimit {
			return nil, nil, false
		}
		return r.decisions, chainValue(r.decisions), true
	},
	"owed": func(t testing.TB, v []byte) (any, []byte, bool) {
		rs, err := decodeOwed(owedKey("esme1", 8), v)
		if err != nil {
			return nil, nil, false
		}
		return rs, owedValue(t, rs), true
	},
	"consent": func(_ testing.TB, v []byte) (any, []byte, bool) {
		c, err := decodeConsent(consentAt, v)
		if err != nil {
			return nil, nil, false
		}
		return c, encodeConsent(&c), true
	},
	"due": func(_ testing.TB, v []byte) (any, []byte, bool) {
		r, err := parseDue(dueKey(sampleDue()), v)
		if err != nil {
			return nil, nil, false
		}
		return r, dueValue(&r), true
	},
}

func sampleDue() gateway.DueRef {
	return gateway.DueRef{Lane: gateway.LaneOTP, Account: 3, Batch: 9, First: 100, Count: 7, Due: someTime,
		More: []gateway.Span{{Batch: 10, First: 0, Count: 1}}}
}

func samples(t testing.TB) map[string]struct {
	want  any
	bytes []byte
} {
	var b, p enc
	r := make(enc, decisionRefLen)
	encodeBatch(&b, sampleBatch())
	encodeRecipients(&r, sampleRecipients())
	pr := sampleProgress()
	encodeProgress(&p, &pr)
	c, due := sampleConsent(), sampleDue()
	return map[string]struct {
		want  any
		bytes []byte
	}{
		"batch": {sampleBatch(), b}, "recipients": {sampleRecipients(), r}, "progress": {pr, p},
		"chain": {sampleDecisions(), chainValue(sampleDecisions())}, "owed": {sampleOwed(), owedValue(t, sampleOwed())},
		"consent": {c, encodeConsent(&c)}, "due": {due, dueValue(&due)},
	}
}

// What is written is read back the same; every shorter piece of it is refused and harms nothing.
func TestCodecs(t *testing.T) {
	for name, s := range samples(t) {
		got, again, ok := codecs[name](t, s.bytes)
		if !ok || !reflect.DeepEqual(got, s.want) {
			t.Errorf("%s: got %+v (ok %t), want %+v", name, got, ok, s.want)
		}
		if !bytes.Equal(again, s.bytes) {
			t.Errorf("%s: encoded again as %x, want %x", name, again, s.bytes)
		}
		for n := range s.bytes {
			if _, _, ok := codecs[name](t, s.bytes[:n]); ok {
				t.Errorf("%s: %d of %d octets were taken for a whole", name, n, len(s.bytes))
			}
		}
	}
}

// A record of the time when doubt was a flag alone counts one attempt without an answer; the count needs no room of its own.
func TestDoubtsInOlderRecords(t *testing.T) {
	for doubts := range uint8(gateway.MaxDoubts + 1) {
		p := gateway.Progress{State: gateway.StateQueued, Open: true, Doubts: doubts}
		var e enc
		encodeProgress(&e, &p)
		if got, err := decodeProgress(e); err != nil || got.Doubts != doubts || !got.Open || got.Refunded {
			t.Errorf("%d doubts were read back as %+v, %v", doubts, got, err)
		}
	}
	var older enc
	encodeProgress(&older, &gateway.Progress{State: gateway.StateQueued})
	older[len(older)-3] = 4 | 2 // the flags stand before the counts of segments and decisions
	if got, err := decodeProgress(older); err != nil || got.Doubts != 1 || got.Open || !got.Refunded {
		t.Errorf("an older record in doubt was read as %+v, %v; want one doubt", got, err)
	}
}

func fuzzCodec(f *testing.F, name string) {
	f.Add(samples(f)[name].bytes)
	f.Fuzz(func(t *testing.T, v []byte) {
		value, again, ok := codecs[name](t, v)
		if !ok {
			return
		}
		back, twice, ok := codecs[name](t, again)
		if !ok || !reflect.DeepEqual(back, value) || !bytes.Equal(twice, again) {
			t.Errorf("%x was read as %+v, and after encoding as %+v", v, value, back)
		}
	})
}

func FuzzBatch(f *testing.F)      { fuzzCodec(f, "batch") }
func FuzzRecipients(f *testing.F) { fuzzCodec(f, "recipients") }
func FuzzProgress(f *testing.F)   { fuzzCodec(f, "progress") }
func FuzzChain(f *testing.F)      { fuzzCodec(f, "chain") }
func FuzzOwed(f *testing.F)       { fuzzCodec(f, "owed") }
func FuzzConsent(f *testing.F)    { fuzzCodec(f, "consent") }
func FuzzDue(f *testing.F)        { fuzzCodec(f, "due") }
