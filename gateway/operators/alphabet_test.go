package operators_test

import (
	"bytes"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/inbound"
	"izinli/gateway/smpp"
	"izinli/gateway/smpptest"
	"izinli/gateway/sms"
)

// userData parts a short_message into header and rest.
func userData(t *testing.T, m *smpp.SubmitSM) (udh, body []byte) {
	t.Helper()
	body = m.ShortMessage
	if m.ESMClass&sms.UDHI == 0 {
		return nil, body
	}
	if len(body) == 0 || int(body[0])+1 > len(body) {
		t.Fatalf("short_message %x has no whole header", body)
	}
	return body[:body[0]+1], body[body[0]+1:]
}

// An operator gets 7-bit text in the octets it asks for: a septet in each, or packed, behind a header from the next septet on. What has
// a data_coding of its own is the same for both.
func TestSevenBitTextOut(t *testing.T) {
	raw := &gateway.RawSMS{DataCoding: 0x04, Parts: []gateway.RawPart{{Body: []byte{0x80, 1, 2, 0xFF}}}}
	for _, c := range []struct {
		name, text string
		raw        *gateway.RawSMS
		parts      int
	}{
		{"short", "RET", nil, 1},
		{"with escapes", "{a} [b] €", nil, 1},
		{"seven spare bits", "merhaba", nil, 1},
		{"full", strings.Repeat("a", 160), nil, 1},
		{"in parts", strings.Repeat("uzun bir metin ", 24), nil, 3},
		{"with shift tables", "Şişli'de akşam, ığdır", nil, 1},
		{"with shift tables, in parts", strings.Repeat("şığ", 60), nil, 2},
		{"UCS-2", "Привет", nil, 1},
		{"binary of a client", "", raw, 1},
	} {
		for _, alphabet := range []string{"", "packed"} {
			t.Run(c.name+"/"+alphabet, func(t *testing.T) {
				b := newBench(t)
				s := b.smsc(smpptest.Config{})
				b.operator(gateway.Operator{Alphabet: alphabet, National: true}, s)
				b.sendText("+905321234567", c.text, c.raw)
				b.must(s.WaitCount(b.ctx, c.parts))
				b.must(b.d.Wait(b.ctx))
				var got strings.Builder
				for _, r := range s.Submits() {
					udh, body := userData(t, r.Submit)
					if c.raw != nil {
						if !bytes.Equal(body, raw.Parts[0].Body) {
							t.Errorf("octets %x, want %x", body, raw.Parts[0].Body)
						}
						return
					}
					var text string
					var err error
					if alphabet == "packed" && r.Submit.DataCoding == smpp.DCDefault {
						if n := len(r.Submit.ShortMessage); n > 140 {
							t.Errorf("%d octets, more than a short message holds", n)
						}
						text, err = sms.DecodePacked(udh, body, -1)
					} else {
						text, err = sms.Decode(byte(r.Submit.DataCoding), udh, body, sms.AlphabetGSM7)
					}
					b.must(err)
					got.WriteString(text)
				}
				if got.String() != c.text || len(s.Submits()) != c.parts {
					t.Errorf("%d parts read %q, want %d of %q", len(s.Submits()), got.String(), c.parts, c.text)
				}
			})
		}
	}
}

// What a handset writes is read in the octets its operator delivers, alone and in parts: an opt-out must not be lost in them.
func TestSevenBitTextIn(t *testing.T) {
	unpacked := func(s sms.Segment) []byte { return s.AppendShortMessage(nil) }
	packed := func(s sms.Segment) []byte { return s.AppendPacked(nil) }
	latin1 := func(text string) func(sms.Segment) []byte {
		var b []byte
		for _, r := range text {
			b = append(b, byte(r))
		}
		return func(sms.Segment) []byte { return b }
	}
	long := strings.Repeat("artık istemiyorum, lütfen şunu durdurun ", 6) + "RET"
	for name, c := range map[string]struct {
		alphabet string
		dcs      smpp.DataCoding // of what goes as 7-bit text
		text     string
		octets   func(sms.Segment) []byte
	}{
		"an octet each":              {"", smpp.DCDefault, "RET", unpacked},
		"packed":                     {"packed", smpp.DCDefault, "RET", packed},
		"packed, seven spare bits":   {"packed", smpp.DCDefault, "RET RET", packed},
		"packed, no spare bits":      {"packed", smpp.DCDefault, "RET EDER", packed},
		"packed, in parts":           {"packed", smpp.DCDefault, long, packed},
		"in parts":                   {"", smpp.DCDefault, long, unpacked},
		"packed operator, UCS-2":     {"packed", smpp.DCUCS2, "РЕТ", packed},
		"Latin-1":                    {"", smpp.DCLatin1, "RET lütfen", latin1("RET lütfen")},
		"packed operator, Latin-1":   {"packed", smpp.DCLatin1, "RET lütfen", latin1("RET lütfen")},
		"data_coding 0 as Latin-1":   {"latin1", smpp.DCDefault, "RET lütfen", latin1("RET lütfen")},
		"Latin-1 operator, Latin-1":  {"latin1", smpp.DCLatin1, "RET lütfen", latin1("RET lütfen")},
		"Latin-1 operator, in parts": {"latin1", smpp.DCDefault, long, unpacked}, // shift tables say that it is 7-bit text
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			s := b.smsc(smpptest.Config{})
			b.operator(gateway.Operator{Alphabet: c.alphabet}, s)
			segs, err := sms.Split(c.text, sms.Policy{NationalTables: true}, 7)
			b.must(err)
			for _, seg := range segs {
				s.Deliver("izinli", &smpp.DeliverSM{Source: smpp.Address{TON: 1, NPI: 1, Addr: []byte("905321234567")},
					Dest: smpp.Address{Addr: []byte("3333")}, ESMClass: smpp.ESMClass(seg.ESMClass()), DataCoding: c.dcs, ShortMessage: c.octets(seg)})
			}
			got := make([]string, len(segs))
			for range segs {
				var mo inbound.MO
				select {
				case mo = <-b.inbox.got:
				case <-b.ctx.Done():
					t.Fatal("a part is missing")
				}
				text, err := sms.Decode(mo.DataCoding, mo.UDH, mo.Body, mo.Alphabet)
				b.must(err)
				part := 0
				if h, _, err := sms.ParseUDH(mo.UDH); err == nil && h.Concat.Present() {
					part = int(h.Concat.Seq) - 1
				}
				got[part] = text
			}
			if text := strings.Join(got, ""); text != c.text {
				t.Errorf("%q was read as %q", c.text, text)
			}
		})
	}
}
