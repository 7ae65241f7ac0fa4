package smppserver

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
)

func TestSubmissionFields(t *testing.T) {
	now := time.Date(2026, 3, 20, 11, 0, 0, 0, time.UTC)
	w := newWorld()
	r := serve(t, w, Config{Now: func() time.Time { return now }}, nil)
	c := r.bound(smpp.BindTRX)
	cases := []struct {
		why    string
		change func(*smpp.SubmitSM)
		check  func(*gateway.Submission) bool
	}{
		{"as most clients send", func(*smpp.SubmitSM) {}, func(s *gateway.Submission) bool {
			return s.To[0].Address == "+905321234567" && s.From == "ORNEK" && s.Class == "" && s.Receipt == gateway.ReceiptAll &&
				s.Door == gateway.DoorSMPP && s.RemoteIP.IsLoopback() && s.SourceTON == 5 && s.DestTON == 1 && s.DestNPI == 1 && s.SendAt.IsZero()
		}},
		{"TON 0, local form", func(m *smpp.SubmitSM) { m.Dest = smpp.Address{Addr: []byte("05321234567")} },
			func(s *gateway.Submission) bool { return s.To[0].Address == "+905321234567" && s.DestTON == 0 }},
		{"TON 0, no zero", func(m *smpp.SubmitSM) { m.Dest = smpp.Address{Addr: []byte("5321234567")} },
			func(s *gateway.Submission) bool { return s.To[0].Address == "+905321234567" }},
		{"TON 0, international digits", func(m *smpp.SubmitSM) { m.Dest = smpp.Address{Addr: []byte("491711234567")} },
			func(s *gateway.Submission) bool { return s.To[0].Address == "+491711234567" }},
		{"with its plus", func(m *smpp.SubmitSM) { m.Dest.Addr = []byte("+905321234567") },
			func(s *gateway.Submission) bool { return s.To[0].Address == "+905321234567" }},
		{"numeric source", func(m *smpp.SubmitSM) { m.Source = smpp.Address{TON: 1, NPI: 1, Addr: []byte("908501234567")} },
			func(s *gateway.Submission) bool { return s.From == "+908501234567" }},
		{"class by service_type", func(m *smpp.SubmitSM) { m.ServiceType = []byte("TRAN") },
			func(s *gateway.Submission) bool { return s.Class == gateway.ClassTransactional }},
		{"other service types say nothing", func(m *smpp.SubmitSM) { m.ServiceType = []byte("CMT") },
			func(s *gateway.Submission) bool { return s.Class == "" }},
		{"TLVs win", func(m *smpp.SubmitSM) {
			m.ServiceType = []byte("COMM")
			m.TLVs = m.TLVs.AppendCString(smpp.TagMessageClass, "otp").AppendCString(smpp.TagBrandCode, "675403").
				AppendCString(smpp.TagRecipientType, "TACIR").Append(smpp.TagReason, []byte("order"))
		}, func(s *gateway.Submission) bool {
			return s.Class == "otp" && s.Brand == "675403" && s.RecipientType == "TACIR" && s.Reason == "order"
		}},
		{"absolute times in Turkey's zone", func(m *smpp.SubmitSM) {
			m.ScheduleTime, m.ValidityPeriod = []byte("260320150000012+"), []byte("260320160000012+")
		}, func(s *gateway.Submission) bool {
			return s.SendAt.Equal(now.Add(time.Hour)) && s.ValidFor == time.Hour
		}},
		{"relative times", func(m *smpp.SubmitSM) {
			m.ScheduleTime, m.ValidityPeriod = []byte("000000020000000R"), []byte("000000000500000R")
		}, func(s *gateway.Submission) bool {
			return s.SendAt.Equal(now.Add(2*time.Hour)) && s.ValidFor == 5*time.Minute
		}},
		{"no time at all", func(m *smpp.SubmitSM) {
			m.ScheduleTime, m.ValidityPeriod = []byte("000000000000000R"), []byte("000000000000000R")
		}, func(s *gateway.Submission) bool { return s.SendAt.IsZero() && s.ValidFor == 0 }},
		{"failures only", func(m *smpp.SubmitSM) { m.RegisteredDelivery = smpp.ReceiptFailure },
			func(s *gateway.Submission) bool { return s.Receipt == gateway.ReceiptFailure }},
		{"no receipt, handset acknowledgement ignored", func(m *smpp.SubmitSM) { m.RegisteredDelivery = smpp.AckDelivery },
			func(s *gateway.Submission) bool { return s.Receipt == gateway.ReceiptNone }},
		{"priority and protocol id", func(m *smpp.SubmitSM) { m.Priority, m.ProtocolID = 3, 0x41 },
			func(s *gateway.Submission) bool { return s.Priority == 3 && s.Raw.ProtocolID == 0x41 }},
		{"caller's reference", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendUint16(smpp.TagUserMessageReference, 777) },
			func(s *gateway.Submission) bool { return s.To[0].Ref == "777" }},
	}
	for _, tc := range cases {
		if st, id := c.submit(newSubmit("Merhaba", tc.change)); st != smpp.StatusOK || len(id) != 26 {
			t.Errorf("%s: got %v %q", tc.why, st, id)
			continue
		}
		subs := w.submissions()
		if s := subs[len(subs)-1]; !tc.check(s) {
			t.Errorf("%s: got %+v", tc.why, s)
		}
	}
}

func TestText(t *testing.T) {
	w := newWorld()
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	long := strings.Repeat("0123456789", 40)
	ucs2 := func(s string) []byte {
		var b []byte
		for _, r := range s {
			b = append(b, byte(r>>8), byte(r))
		}
		return b
	}
	payload := func(b []byte) func(*smpp.SubmitSM) {
		return func(m *smpp.SubmitSM) { m.ShortMessage, m.TLVs = nil, m.TLVs.Append(smpp.TagMessagePayload, b) }
	}
	cases := []struct {
		why      string
		change   func(*smpp.SubmitSM)
		text     string
		encoding string
		parts    int // of Raw; 0: none
	}{
		{"default alphabet", func(m *smpp.SubmitSM) { m.ShortMessage = []byte{0x09, 'a', 0x1B, 0x65} }, "Ça€", "", 1},
		{"UCS-2", func(m *smpp.SubmitSM) { m.DataCoding, m.ShortMessage = 8, ucs2("ığüş") }, "ığüş", "", 1},
		{"Latin-1 passes unchanged", func(m *smpp.SubmitSM) { m.DataCoding, m.ShortMessage = 3, []byte{0xFC} }, "ü", "", 1},
		{"flash passes unchanged", func(m *smpp.SubmitSM) { m.DataCoding = 0x10 }, "Merhaba", "", 1},
		{"national single shift", func(m *smpp.SubmitSM) {
			m.ESMClass, m.ShortMessage = 0x40, []byte{3, 0x24, 1, 1, 0x1B, 0x73}
		}, "ş", "", 1},
		{"binary to a port passes unchanged", func(m *smpp.SubmitSM) {
			m.ESMClass, m.DataCoding, m.ShortMessage = 0x40, 4, []byte{6, 5, 4, 0x0B, 0x84, 0, 0, 1, 2, 3}
		}, "", "", 1},
		{"one of one is no part", func(m *smpp.SubmitSM) {
			m.ESMClass, m.ShortMessage = 0x40, []byte{5, 0, 3, 9, 1, 1, 'x'}
		}, "x", "", 1},
		{"payload of one part", payload([]byte("kisa")), "kisa", "", 1},
		{"long payload is cut by the road in", payload([]byte(long)), long, "gsm7", 0},
		{"long short_message too", func(m *smpp.SubmitSM) { m.ShortMessage = []byte(long[:200]) }, long[:200], "gsm7", 0},
		{"long UCS-2 payload", func(m *smpp.SubmitSM) { m.DataCoding = 8; payload(ucs2(long))(m) }, long, "ucs2", 0},
		{"long flash keeps its class", func(m *smpp.SubmitSM) { m.DataCoding = 0x10; payload([]byte(long))(m) }, long, "", 3},
		{"braces are no variables", func(m *smpp.SubmitSM) { payload(append([]byte{0x1B, 0x28, 0x1B, 0x28}, long...))(m) }, "{{" + long, "", 3},
	}
	for _, tc := range cases {
		if st, _ := c.submit(newSubmit("Merhaba", tc.change)); st != smpp.StatusOK {
			t.Errorf("%s: got %v", tc.why, st)
			continue
		}
		subs := w.submissions()
		s := subs[len(subs)-1]
		parts := 0
		if s.Raw != nil {
			parts = len(s.Raw.Parts)
		}
		if s.Text != tc.text || s.Encoding != tc.encoding || parts != tc.parts {
			t.Errorf("%s: got %q %q %d parts, want %q %q %d", tc.why, s.Text, s.Encoding, parts, tc.text, tc.encoding, tc.parts)
		}
	}
	// The octets themselves.
	c.submit(newSubmit("", func(m *smpp.SubmitSM) {
		m.ESMClass, m.DataCoding, m.ShortMessage = 0x40, 4, []byte{6, 5, 4, 0x0B, 0x84, 0, 0, 1, 2, 3}
	}))
	c.submit(newSubmit("wap", func(m *smpp.SubmitSM) {
		m.TLVs = m.TLVs.AppendUint16(smpp.TagDestinationPort, 2948).AppendUint16(smpp.TagSourcePort, 9200)
	}))
	subs := w.submissions()
	if p := subs[len(subs)-2].Raw; p.DataCoding != 4 || !bytes.Equal(p.Parts[0].UDH, []byte{6, 5, 4, 0x0B, 0x84, 0, 0}) || !bytes.Equal(p.Parts[0].Body, []byte{1, 2, 3}) {
		t.Errorf("binary: got %+v", p)
	}
	if p := subs[len(subs)-1].Raw; !bytes.Equal(p.Parts[0].UDH, []byte{6, 5, 4, 0x0B, 0x84, 0x23, 0xF0}) || string(p.Parts[0].Body) != "wap" {
		t.Errorf("port parameters: got %+v", p)
	}
}

// Each refusal is followed by a good request, which must pass.
func TestRefusals(t *testing.T) {
	w := newWorld()
	w.judge = func(_ *gateway.Submission, d gateway.Destination) gateway.Verdict {
		if strings.HasPrefix(d.Address, "+90212") {
			return gateway.Verdict{Code: gateway.CodeNotMobile}
		}
		return gateway.Verdict{State: gateway.StateQueued}
	}
	w.submit = func(s *gateway.Submission) error {
		switch s.From {
		case "FAKIR":
			return gateway.Refuse(gateway.CodeNoCredit, "", "")
		case "DOLU":
			return gateway.Refuse(gateway.CodeStorageFull, "", "")
		}
		return nil
	}
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	cases := []struct {
		why    string
		change func(*smpp.SubmitSM)
		want   smpp.CommandStatus
	}{
		{"both texts", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.Append(smpp.TagMessagePayload, []byte("x")) }, smpp.StatusInvMsgLen},
		{"no text", func(m *smpp.SubmitSM) { m.ShortMessage = nil }, smpp.StatusInvMsgLen},
		{"a stored text we do not have", func(m *smpp.SubmitSM) { m.ShortMessage, m.DefaultMsgID = nil, 3 }, smpp.StatusInvDefaultMsgID},
		{"header longer than the text", func(m *smpp.SubmitSM) { m.ESMClass, m.ShortMessage = 0x40, []byte{9, 0} }, smpp.StatusInvESMClass},
		{"element cut short", func(m *smpp.SubmitSM) { m.ESMClass, m.ShortMessage = 0x40, []byte{3, 0, 9, 1, 'x'} }, smpp.StatusInvESMClass},
		{"part 3 of 2", func(m *smpp.SubmitSM) { m.ESMClass, m.ShortMessage = 0x40, []byte{5, 0, 3, 1, 2, 3, 'x'} }, smpp.StatusInvESMClass},
		{"part 0", func(m *smpp.SubmitSM) { m.ESMClass, m.ShortMessage = 0x40, []byte{5, 0, 3, 1, 2, 0, 'x'} }, smpp.StatusInvESMClass},
		{"SAR without its number", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendUint16(smpp.TagSarMsgRefNum, 1) }, smpp.StatusMissingTLV},
		{"SAR part 0", func(m *smpp.SubmitSM) {
			m.TLVs = m.TLVs.AppendUint16(smpp.TagSarMsgRefNum, 1).AppendUint8(smpp.TagSarTotalSegments, 2).AppendUint8(smpp.TagSarSegmentSeqnum, 0)
		}, smpp.StatusInvTLVValue},
		{"TLV of a wrong length", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendUint8(smpp.TagSarMsgRefNum, 1) }, smpp.StatusInvTLVLen},
		{"unknown class", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendCString(smpp.TagMessageClass, "spam") }, smpp.StatusInvTLVValue},
		{"unknown recipient type", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendCString(smpp.TagRecipientType, "KEDI") }, smpp.StatusInvTLVValue},
		{"unknown reason", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendCString(smpp.TagReason, "fun") }, smpp.StatusInvTLVValue},
		{"unreadable data_coding", func(m *smpp.SubmitSM) { m.DataCoding = 0x05 }, smpp.StatusInvTLVValue},
		{"not in its data_coding", func(m *smpp.SubmitSM) { m.ShortMessage = []byte("\xC4\x9F") }, smpp.StatusSubmitFail},
		{"half a UCS-2 character", func(m *smpp.SubmitSM) { m.DataCoding, m.ShortMessage = 8, []byte{0, 'a', 0} }, smpp.StatusSubmitFail},
		{"long binary", func(m *smpp.SubmitSM) { m.DataCoding, m.ShortMessage = 4, make([]byte, 141) }, smpp.StatusInvMsgLen},
		{"long part", func(m *smpp.SubmitSM) {
			m.ESMClass, m.ShortMessage = 0x40, append([]byte{5, 0, 3, 1, 2, 1}, make([]byte, 154)...)
		}, smpp.StatusInvMsgLen},
		{"bad schedule", func(m *smpp.SubmitSM) { m.ScheduleTime = []byte("269920143000012+") }, smpp.StatusInvSchedule},
		{"validity before schedule", func(m *smpp.SubmitSM) {
			m.ScheduleTime, m.ValidityPeriod = []byte("000001000000000R"), []byte("200101000000000+")
		}, smpp.StatusInvExpiry},
		{"priority 5", func(m *smpp.SubmitSM) { m.Priority = 5 }, smpp.StatusInvPriority},
		{"replace flag 2", func(m *smpp.SubmitSM) { m.ReplaceIfPresent = 2 }, smpp.StatusInvReplaceFlag},
		{"handset acknowledgement", func(m *smpp.SubmitSM) { m.ESMClass = 0x08 }, smpp.StatusInvESMClass},
		{"no sender anywhere", func(m *smpp.SubmitSM) { m.Source = smpp.Address{} }, smpp.StatusInvSrcAddr},
		{"title as destination", func(m *smpp.SubmitSM) { m.Dest = smpp.Address{TON: 5, Addr: []byte("ALICI")} }, smpp.StatusInvDstAddr},
		{"no destination", func(m *smpp.SubmitSM) { m.Dest.Addr = nil }, smpp.StatusInvDstAddr},
		{"land line, judged behind the door", func(m *smpp.SubmitSM) { m.Dest.Addr = []byte("902121234567") }, smpp.StatusInvDstAddr},
		{"no credit", func(m *smpp.SubmitSM) { m.Source.Addr = []byte("FAKIR") }, smpp.StatusInsufficientFunds},
		{"disk full", func(m *smpp.SubmitSM) { m.Source.Addr = []byte("DOLU") }, smpp.StatusMsgQueueFull},
	}
	for _, tc := range cases {
		if st, id := c.submit(newSubmit("Merhaba", tc.change)); st != tc.want || id != "" {
			t.Errorf("%s: got %v %q, want %v", tc.why, st, id, tc.want)
		}
		if st, id := c.submit(newSubmit("Merhaba")); st != smpp.StatusOK || id == "" {
			t.Fatalf("after %s: got %v", tc.why, st)
		}
	}
	if n := w.submissions(); len(n) != len(cases)+1 { // the land line was submitted and refused
		t.Errorf("submitted %d, want %d", len(n), len(cases)+1)
	}
}

// A drop by policy is told once: by a receipt or by the response.
func TestPolicyRefusal(t *testing.T) {
	for _, tc := range []struct {
		why        string
		inline     bool
		registered smpp.RegisteredDelivery
		want       smpp.CommandStatus
		receipts   int
	}{
		{"receipt mode", false, smpp.ReceiptAlways, smpp.StatusOK, 1},
		{"receipt mode, failures only", false, smpp.ReceiptFailure, smpp.StatusOK, 1},
		{"no receipt asked", false, smpp.ReceiptNone, smpp.StatusPolicyRefused, 0},
		{"success receipts only", false, smpp.ReceiptSuccess, smpp.StatusPolicyRefused, 0},
		{"inline mode", true, smpp.ReceiptAlways, smpp.StatusPolicyRefused, 0},
		{"inline mode, no receipt", true, smpp.ReceiptNone, smpp.StatusPolicyRefused, 0},
	} {
		w := newWorld()
		w.credential(gateway.Credential{Inline: tc.inline})
		w.judge = func(_ *gateway.Submission, d gateway.Destination) gateway.Verdict {
			if d.Address == "+905320000000" {
				return gateway.Verdict{State: gateway.StateDropped, Code: gateway.CodeNoConsent}
			}
			return gateway.Verdict{State: gateway.StateQueued}
		}
		r := serve(t, w, Config{}, nil)
		c := r.bound(smpp.BindTX)
		reg := func(m *smpp.SubmitSM) { m.RegisteredDelivery = tc.registered }
		st, id := c.submit(newSubmit("Kampanya", numbered(0), reg))
		if st != tc.want || (id != "") != (st == smpp.StatusOK) {
			t.Errorf("%s: got %v %q, want %v", tc.why, st, id, tc.want)
		}
		if got := w.left(); got != tc.receipts {
			t.Errorf("%s: %d receipts owed, want %d", tc.why, got, tc.receipts)
		}
		if n := len(w.submissions()); n != 1 { // recorded in any case
			t.Errorf("%s: %d submissions, want 1", tc.why, n)
		}
		st, id = c.submit(newSubmit("Kampanya", numbered(1), reg))
		if st != smpp.StatusOK || id == "" {
			t.Errorf("%s: the permitted one got %v", tc.why, st)
		}
		subs := w.submissions()
		if want := receiptWish(tc.registered); subs[1].Receipt != want { // an accepted one keeps its wish
			t.Errorf("%s: receipt wish %v, want %v", tc.why, subs[1].Receipt, want)
		}
		r.stop()
	}
}

// Between check and submit the answer may change; the submit's counts.
func TestInlineRace(t *testing.T) {
	w := newWorld()
	w.credential(gateway.Credential{Inline: true})
	calls := 0
	w.judge = func(*gateway.Submission, gateway.Destination) gateway.Verdict {
		if calls++; calls > 1 {
			return gateway.Verdict{State: gateway.StateDropped, Code: gateway.CodeBlocked}
		}
		return gateway.Verdict{State: gateway.StateQueued}
	}
	c := serve(t, w, Config{}, nil).bound(smpp.BindTX)
	if st, id := c.submit(newSubmit("x")); st != smpp.StatusOK || id == "" || w.left() != 1 {
		t.Errorf("got %v %q with %d receipts, want ROK and one receipt", st, id, w.left())
	}
}

func TestSubmitMulti(t *testing.T) {
	for _, inline := range []bool{false, true} {
		w := newWorld()
		w.credential(gateway.Credential{Inline: inline})
		w.judge = func(_ *gateway.Submission, d gateway.Destination) gateway.Verdict {
			switch d.Address {
			case "+902121234567", "ALICI":
				return gateway.Verdict{Code: gateway.CodeNotMobile}
			case "+905320000000":
				return gateway.Verdict{State: gateway.StateDropped, Code: gateway.CodeBlocked}
			}
			return gateway.Verdict{State: gateway.StateQueued}
		}
		r := serve(t, w, Config{}, nil)
		c := r.bound(smpp.BindTRX)
		m := &smpp.SubmitMulti{Source: smpp.Address{TON: 5, Addr: []byte("ORNEK")}, RegisteredDelivery: 1, ShortMessage: []byte("Merhaba")}
		for _, a := range []string{"902121234567", "905320000000", "905321234567", "905321234568"} {
			m.Dests = append(m.Dests, smpp.Dest{Address: smpp.Address{TON: 1, NPI: 1, Addr: []byte(a)}})
		}
		m.Dests = append(m.Dests, smpp.Dest{Address: smpp.Address{TON: 5, Addr: []byte("ALICI")}})
		h, body := c.call(m)
		var resp smpp.SubmitMultiResp
		if err := resp.Decode(h, body); err != nil || resp.Status != smpp.StatusOK {
			t.Fatalf("inline=%v: got %v %v", inline, resp.Status, err)
		}
		id, err := gateway.ParseMessageID(string(resp.MessageID))
		if err != nil || id.Index != 0 {
			t.Errorf("inline=%v: id %q", inline, resp.MessageID)
		}
		var refused []string
		for _, u := range resp.Unsuccess {
			refused = append(refused, string(u.Address.Addr)+" "+u.Status.String())
		}
		want := "902121234567 ESME_RINVDSTADR,ALICI ESME_RINVDSTADR"
		if inline {
			want = "902121234567 ESME_RINVDSTADR,905320000000 VENDOR_POLICY_REFUSED,ALICI ESME_RINVDSTADR"
		}
		if got := strings.Join(refused, ","); got != want {
			t.Errorf("inline=%v: unsuccess %s, want %s", inline, got, want)
		}
		if got, want := len(w.submissions()), map[bool]int{false: 1, true: 2}[inline]; got != want {
			t.Errorf("inline=%v: %d submissions, want %d", inline, got, want)
		}

		m.Dests = []smpp.Dest{{List: []byte("personel")}}
		if h, _ := c.call(m); h.Status != smpp.StatusCannotSubmitList {
			t.Errorf("list: got %v", h.Status)
		}
		m.Dests = []smpp.Dest{{Address: smpp.Address{TON: 1, Addr: []byte("902121234567")}}}
		if h, _ := c.call(m); h.Status != smpp.StatusSubmitFail {
			t.Errorf("nobody left: got %v", h.Status)
		}
		r.stop()
	}
}

func TestDataSM(t *testing.T) {
	w := newWorld()
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	m := &smpp.DataSM{Source: smpp.Address{TON: 5, Addr: []byte("ORNEK")}, Dest: smpp.Address{TON: 1, Addr: []byte("905321234567")}, RegisteredDelivery: 1}
	m.TLVs = m.TLVs.Append(smpp.TagMessagePayload, []byte("Merhaba")).Append(smpp.TagQosTimeToLive, []byte{0, 0, 0x0E, 0x10})
	h, body := c.call(m)
	var resp smpp.DataSMResp
	if err := resp.Decode(h, body); err != nil || h.ID != smpp.DataSMRespID || h.Status != 0 || len(resp.MessageID) != 26 {
		t.Fatalf("got %+v %q %v", h, resp.MessageID, err)
	}
	if s := w.submissions()[0]; s.Text != "Merhaba" || s.ValidFor != time.Hour {
		t.Errorf("got %+v", s)
	}
	m.Dest.Addr = bytes.Repeat([]byte("1"), 40)
	if h, _ := c.call(m); h.Status != smpp.StatusInvDstAddr {
		t.Errorf("long destination: got %v", h.Status)
	}
}
