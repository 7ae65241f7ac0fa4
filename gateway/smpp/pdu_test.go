package smpp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// every holds one well-filled value of each PDU.
func every() []PDU {
	src := Address{TONAlphanumeric, NPIUnknown, []byte("ORNEK")}
	dst := Address{TONInternational, NPIISDN, []byte("905321234567")}
	tlvs := TLVs(nil).AppendUint16(TagUserMessageReference, 77).
		Append(0x3FFF, []byte("vendor")).AppendUint8(TagMoreMessagesToSend, 1).Append(0x3FFF, nil)
	sm := SubmitSM{
		ServiceType: []byte("COMM"), Source: src, Dest: dst, ESMClass: ESMUDHI, ProtocolID: 1, Priority: 2,
		ScheduleTime: []byte("260320143000012+"), ValidityPeriod: []byte("000000020000000R"),
		RegisteredDelivery: ReceiptAlways, ReplaceIfPresent: 1, DataCoding: DCUCS2, DefaultMsgID: 9,
		ShortMessage: []byte("\x05\x00\x03\x01\x02\x01\x00M"), TLVs: tlvs,
	}
	deliver := DeliverSM(sm)
	deliver.ScheduleTime, deliver.ValidityPeriod = nil, nil
	return []PDU{
		&Bind{Mode: BindTX, SystemID: []byte("acme"), Password: []byte("secret"), SystemType: []byte("VMA"),
			InterfaceVersion: Version34, AddrTON: 1, AddrNPI: 1, AddressRange: []byte("^90")},
		&Bind{Mode: BindRX, SystemID: []byte("acme"), TLVs: tlvs},
		&Bind{Mode: BindTRX, SystemID: []byte("acme")},
		&BindResp{Mode: BindTX, SystemID: []byte("smsc"), TLVs: TLVs(nil).AppendUint8(TagSCInterfaceVersion, 0x34)},
		&BindResp{Mode: BindRX, Status: StatusInvPassword},
		&BindResp{Mode: BindTRX, SystemID: []byte("smsc")},
		&Outbind{SystemID: []byte("smsc"), Password: []byte("secret")},
		&Unbind{}, &UnbindResp{Status: StatusSysErr}, &EnquireLink{}, &EnquireLinkResp{},
		&GenericNack{Status: StatusInvCmdID},
		&sm, &SubmitSMResp{MessageID: []byte("1a2b"), TLVs: tlvs}, &SubmitSMResp{Status: StatusThrottled},
		&deliver, &DeliverSMResp{}, &DeliverSMResp{Status: StatusTempAppErr},
		&DataSM{ServiceType: []byte("TRAN"), Source: src, Dest: dst, ESMClass: ESMForward, RegisteredDelivery: 1,
			DataCoding: DCLatin1, TLVs: TLVs(nil).Append(TagMessagePayload, bytes.Repeat([]byte("x"), 60000))},
		&DataSMResp{MessageID: []byte("9"), TLVs: TLVs(nil).AppendUint8(TagDeliveryFailure, 1)},
		&SubmitMulti{Source: src, Dests: []Dest{{Address: dst}, {List: []byte("friends")}},
			ValidityPeriod: []byte("000000020000000R"), ShortMessage: []byte("hi"), TLVs: tlvs},
		&SubmitMultiResp{MessageID: []byte("5"), Unsuccess: []Unsuccess{{dst, StatusInvDstAddr}}, TLVs: tlvs},
		&SubmitMultiResp{Status: StatusSysErr},
		&QuerySM{MessageID: []byte("5"), Source: src},
		&QuerySMResp{MessageID: []byte("5"), FinalDate: []byte("260320143000012+"), State: StateDelivered, ErrorCode: 3},
		&QuerySMResp{Status: StatusQueryFail},
		&CancelSM{ServiceType: []byte("OTP"), MessageID: []byte("5"), Source: src, Dest: dst}, &CancelSMResp{Status: StatusCancelFail},
		&ReplaceSM{MessageID: []byte("5"), Source: src, ValidityPeriod: []byte("000000020000000R"), RegisteredDelivery: 1,
			DefaultMsgID: 1, ShortMessage: []byte("new")}, &ReplaceSMResp{},
		&AlertNotification{Source: dst, ESME: src, TLVs: TLVs(nil).AppendUint8(TagMSAvailabilityStatus, 0)},
	}
}

func split(t testing.TB, b []byte) (Header, []byte) {
	t.Helper()
	h, err := ParseHeader(b, MaxPDU)
	if err != nil {
		t.Fatalf("ParseHeader(%x): %v", b, err)
	}
	if int(h.Length) != len(b) {
		t.Fatalf("command_length %d, PDU has %d octets", h.Length, len(b))
	}
	return h, b[HeaderLen:]
}

func TestRoundTripEveryPDU(t *testing.T) {
	kinds := map[CommandID]bool{}
	for _, p := range every() {
		prefix := []byte("before")
		b := p.AppendTo(bytes.Clone(prefix), 42)
		if !bytes.HasPrefix(b, prefix) {
			t.Fatalf("%s: AppendTo changed what stood before", p.CommandID())
		}
		h, body := split(t, b[len(prefix):])
		if h.ID != p.CommandID() || h.Sequence != 42 {
			t.Errorf("%s: header %+v", p.CommandID(), h)
		}
		got, err := Decode(h, body)
		if err != nil {
			t.Errorf("%s: %v", p.CommandID(), err)
			continue
		}
		if !reflect.DeepEqual(got, p) {
			t.Errorf("%s:\n got %+v\nwant %+v", p.CommandID(), got, p)
		}
		kinds[p.CommandID()] = true
	}
	for id := range commandNames {
		if id.Known() && !kinds[id] {
			t.Errorf("no sample of %s", id)
		}
		if id.Known() != (newPDU(id) != nil) {
			t.Errorf("%s: Known is %v, newPDU disagrees", id, id.Known())
		}
	}
}

// TestGoldenSubmit pins the wire form against the layout of SMPP 3.4 §4.4.1.
func TestGoldenSubmit(t *testing.T) {
	m := SubmitSM{
		Source: Address{TONAlphanumeric, NPIUnknown, []byte("ORNEK")}, Dest: Address{1, 1, []byte("90532")},
		RegisteredDelivery: 1, ShortMessage: []byte("Selam"), TLVs: TLVs(nil).AppendUint16(TagUserMessageReference, 0x1234),
	}
	got := m.AppendTo(nil, 7)
	want := unhex(t, "00000036 00000004 00000000 00000007"+
		"00 05 00 4f524e454b00 01 01 393035333200 00 00 00 00 00 01 00 00 00 05 53656c616d 0204 0002 1234")
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestHeader(t *testing.T) {
	for _, c := range []struct {
		why  string
		in   string
		want any
	}{
		{"nothing yet", "", ErrShort},
		{"fifteen octets", "000000100000001500000000000000", ErrShort},
		{"length below a header", "0000000f000000150000000000000009", &FramingError{15, 9}},
		{"length of text sent to the port", "474554202f20485454502f312e310d0a", &FramingError{0x47455420, 0x312e310d}},
		{"one above the bound", "00010401000000150000000000000001", &FramingError{MaxPDU + 1, 1}},
		{"just at the bound", "00010400000000150000000000000001", nil},
		{"a good one", "00000010000000150000000000000001", nil},
	} {
		_, err := ParseHeader(unhex(t, c.in), MaxPDU)
		switch want := c.want.(type) {
		case nil:
			if err != nil {
				t.Errorf("%s: %v", c.why, err)
			}
		case *FramingError:
			var fe *FramingError
			if !errors.As(err, &fe) || fe.Length != want.Length {
				t.Errorf("%s: got %v, want %v", c.why, err, want)
			}
		case error:
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", c.why, err, want)
			}
		}
	}
}

const goodSubmit = "00 0500 4f524e454b00 0101 393035333200 00 00 00 00 00 01 00 00 00"

func TestFaultsHaveTheirStatus(t *testing.T) {
	long := func(n int) string { return strings.Repeat("41", n) + "00" }
	for _, c := range []struct {
		why    string
		id     CommandID
		body   string
		status CommandStatus
		field  string
	}{
		{"empty body", SubmitSMID, "", StatusInvCmdLen, "service_type"},
		{"three octets, as go-smpp accepts", SubmitSMID, "00 05 00", StatusInvCmdLen, "source_addr"},
		{"service_type of six letters", SubmitSMID, long(6), StatusInvServiceType, "service_type"},
		{"source of 21 letters", SubmitSMID, "00 0500" + long(21) + "0101 3900 00", StatusInvSrcAddr, "source_addr"},
		{"destination of 21 letters", SubmitSMID, "00 0500 00 0101" + long(21), StatusInvDstAddr, "destination_addr"},
		{"schedule of three letters", SubmitSMID, "00 0500 00 0101 3900 00 00 00" + long(3) + "00 00 00 00 00 00", StatusInvSchedule, "schedule_delivery_time"},
		{"validity of 17 letters", SubmitSMID, "00 0500 00 0101 3900 00 00 00 00" + long(17), StatusInvExpiry, "validity_period"},
		{"no sm_length", SubmitSMID, goodSubmit, StatusInvCmdLen, "sm_length"},
		{"sm_length lies by one", SubmitSMID, goodSubmit + "03 4142", StatusInvMsgLen, "sm_length"},
		{"trailing octet", SubmitSMID, goodSubmit + "01 41 00", StatusInvTLVStream, "tlv"},
		{"TLV runs over", SubmitSMID, goodSubmit + "01 41 0424 0005 41424344", StatusInvTLVStream, "tlv"},
		{"TLV head is cut", SubmitSMID, goodSubmit + "01 41 0424 00", StatusInvTLVStream, "tlv"},
		{"deliver_sm with a cut payload", DeliverSMID, goodSubmit + "00 0424 0005 41424344", StatusInvTLVStream, "tlv"},
		{"deliver_sm too", DeliverSMID, goodSubmit + "03 4142", StatusInvMsgLen, "sm_length"},
		{"system_id of 16", BindTransceiverID, long(16), StatusInvSystemID, "system_id"},
		{"password of 9", BindTransmitterID, "4100" + long(9), StatusInvPassword, "password"},
		{"system_type of 13", BindReceiverID, "4100 4100" + long(13), StatusInvSystemType, "system_type"},
		{"bind cut", BindReceiverID, "4100 4100 00 34", StatusInvCmdLen, "addr_ton"},
		{"no destinations", SubmitMultiID, "00 0500 00 00", StatusInvNumDests, "number_of_dests"},
		{"255 destinations", SubmitMultiID, "00 0500 00 ff", StatusInvNumDests, "number_of_dests"},
		{"dest_flag 3", SubmitMultiID, "00 0500 00 01 03", StatusInvDestFlag, "dest_flag"},
		{"254 promised, none there", SubmitMultiID, "00 0500 00 fe", StatusInvCmdLen, "dest_flag"},
		{"list without a name", SubmitMultiID, "00 0500 00 01 02 00", StatusInvListName, "dl_name"},
		{"list name of 21", SubmitMultiID, "00 0500 00 01 02" + long(21), StatusInvListName, "dl_name"},
		{"message_id of 65", QuerySMID, long(65), StatusInvMsgID, "message_id"},
		{"cancel without destination", CancelSMID, "00 00 0500 4100", StatusInvCmdLen, "destination_addr"},
		{"replace: sm_length lies", ReplaceSMID, "4100 0101 3900 00 00 00 00 05 41", StatusInvMsgLen, "sm_length"},
		{"data_sm: source of 65", DataSMID, "00 0101" + long(65), StatusInvSrcAddr, "source_addr"},
		{"alert without esme", AlertNotificationID, "0101 3900", StatusInvCmdLen, "esme_addr"},
		{"unsuccess list cut", SubmitMultiRespID, "3500 02 0101 3900 0000000b", StatusInvCmdLen, "destination_addr"},
		{"response id of 65", SubmitSMRespID, long(65), StatusInvMsgID, "message_id"},
	} {
		_, err := Decode(Header{ID: c.id}, unhex(t, c.body))
		var fe *FieldError
		if !errors.As(err, &fe) {
			t.Errorf("%s: got %v, want a FieldError", c.why, err)
			continue
		}
		if fe.Status != c.status || fe.Field != c.field || StatusOf(err) != c.status {
			t.Errorf("%s: got %s %s, want %s %s", c.why, fe.Field, fe.Status, c.field, c.status)
		}
	}
}

// TestJustInside is the passing twin of the faults above.
func TestJustInside(t *testing.T) {
	full := func(n int) string { return strings.Repeat("41", n) + "00" }
	for _, c := range []struct {
		why  string
		id   CommandID
		body string
	}{
		{"all at their longest", SubmitSMID, full(5) + "0500" + full(20) + "0101" + full(20) + "000000" +
			full(16) + full(16) + "01000000 fe" + strings.Repeat("41", 254)},
		{"255 octets, SMPP 5.0", SubmitSMID, goodSubmit + "ff" + strings.Repeat("41", 255)},
		{"a TLV that fills its length", SubmitSMID, goodSubmit + "01 41 0424 0004 41424344"},
		{"an empty TLV", SubmitSMID, goodSubmit + "00 130c 0000"},
		{"receipt with an odd date", DeliverSMID, "00 0101 3900 0101 3900 04 00 00" + "32363033" + "00 00 00 00 00 00 00"},
		{"bind at its longest", BindTransceiverID, full(15) + full(8) + full(12) + "340101" + full(40)},
		{"one address, one list", SubmitMultiID, "00 0500 00 02 01 0101 3900 02" + full(20) + "000000 00 00 01000000 00"},
		{"refusal without body", SubmitSMRespID, ""},
		{"id without NUL", SubmitSMRespID, "3132"},
		{"id and rubbish", SubmitSMRespID, "313200 0424 0009 41"},
		{"bind_resp and rubbish", BindTransceiverRespID, "4100 02"},
		{"deliver_sm with padding", DeliverSMID, goodSubmit + "01 41 130c 0000 0000"},
		{"id at its longest", SubmitSMRespID, full(64)},
		{"unbind with a stray octet", UnbindID, "00"},
	} {
		if _, err := Decode(Header{ID: c.id}, unhex(t, c.body)); err != nil {
			t.Errorf("%s: %v", c.why, err)
		}
	}
}

func TestRelaxedBind(t *testing.T) {
	b := &Bind{SystemID: bytes.Repeat([]byte("s"), 64), Password: bytes.Repeat([]byte("p"), 64)}
	h, body := split(t, b.AppendTo(nil, 1))
	var got Bind
	if err := got.Decode(h, body); StatusOf(err) != StatusInvSystemID {
		t.Errorf("standard limits: got %v, want %v", err, StatusInvSystemID)
	}
	if err := got.DecodeLimits(h, body, RelaxedLimits); err != nil {
		t.Errorf("relaxed limits: %v", err)
	}
	b.Password = append(b.Password, 'p')
	h, body = split(t, b.AppendTo(nil, 1))
	if err := got.DecodeLimits(h, body, RelaxedLimits); StatusOf(err) != StatusInvPassword {
		t.Errorf("65 octets: got %v, want %v", err, StatusInvPassword)
	}
}

func TestUnknownCommand(t *testing.T) {
	for _, id := range []CommandID{0, 0x10000, BroadcastSMID, 0x80000102, 0xFFFFFFFF} {
		if _, err := Decode(Header{ID: id}, nil); !errors.Is(err, ErrUnknownCommand) {
			t.Errorf("%s: got %v, want ErrUnknownCommand", id, err)
		}
	}
}

func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		req  CommandID
		want string
	}{
		{SubmitSMID, "00000010 80000004 00000008 00000005"},
		{BroadcastSMID, "00000010 80000000 00000008 00000005"},
		{0x0000ABCD, "00000010 80000000 00000008 00000005"},
		{AlertNotificationID, ""}, // has no response
		{SubmitSMRespID, ""},      // one does not answer answers
		{0x8000ABCD, ""},
	} {
		got := AppendRefusal(nil, Header{ID: c.req, Sequence: 5}, StatusSysErr)
		if !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("%s: got %x, want %s", c.req, got, c.want)
		}
	}
}

func TestNULCannotInjectFields(t *testing.T) {
	m := SubmitSM{Source: Address{Addr: []byte("A\x00\x01\x01evil")}, Dest: Address{Addr: []byte("90532")}}
	h, body := split(t, m.AppendTo(nil, 1))
	var got SubmitSM
	if err := got.Decode(h, body); err != nil {
		t.Fatal(err)
	}
	if string(got.Source.Addr) != "A" || string(got.Dest.Addr) != "90532" {
		t.Errorf("got %q → %q, want A → 90532", got.Source.Addr, got.Dest.Addr)
	}
	if err := m.Validate(); StatusOf(err) != StatusInvSrcAddr {
		t.Errorf("Validate: got %v, want %v", err, StatusInvSrcAddr)
	}
}

func TestValidate(t *testing.T) {
	good := every()[12].(*SubmitSM)
	if err := good.Validate(); err != nil {
		t.Fatalf("a good submit_sm: %v", err)
	}
	for _, c := range []struct {
		why   string
		spoil func(*SubmitSM)
		want  CommandStatus
	}{
		{"short_message of 255", func(m *SubmitSM) { m.ShortMessage = make([]byte, 255) }, StatusInvMsgLen},
		{"destination of 21", func(m *SubmitSM) { m.Dest.Addr = bytes.Repeat([]byte("9"), 21) }, StatusInvDstAddr},
		{"schedule of 3", func(m *SubmitSM) { m.ScheduleTime = []byte("260") }, StatusInvSchedule},
		{"broken TLVs", func(m *SubmitSM) { m.TLVs = TLVs{1} }, StatusInvTLVStream},
	} {
		m := *good
		c.spoil(&m)
		if got := StatusOf(m.Validate()); got != c.want {
			t.Errorf("%s: got %s, want %s", c.why, got, c.want)
		}
	}
	if err := (&Bind{Password: []byte("123456789")}).Validate(StandardLimits); StatusOf(err) != StatusInvPassword {
		t.Errorf("password of nine: got %v", err)
	}
	if err := (&Bind{Password: []byte("12345678")}).Validate(StandardLimits); err != nil {
		t.Errorf("password of eight: %v", err)
	}
}

func TestPayload(t *testing.T) {
	payload := TLVs(nil).Append(TagMessagePayload, []byte("long"))
	for _, c := range []struct {
		why  string
		m    SubmitSM
		want string
		st   CommandStatus
	}{
		{"short", SubmitSM{ShortMessage: []byte("s")}, "s", StatusOK},
		{"payload", SubmitSM{TLVs: payload}, "long", StatusOK},
		{"empty payload beside short", SubmitSM{ShortMessage: []byte("s"), TLVs: TLVs(nil).Append(TagMessagePayload, nil)}, "s", StatusOK},
		{"both", SubmitSM{ShortMessage: []byte("s"), TLVs: payload}, "", StatusInvMsgLen},
		{"neither", SubmitSM{}, "", StatusOK},
	} {
		got, err := c.m.Payload()
		if string(got) != c.want || StatusOf(err) != c.st {
			t.Errorf("%s: got %q %v, want %q %s", c.why, got, err, c.want, c.st)
		}
	}
}

func TestTLVs(t *testing.T) {
	tl := TLVs(nil).AppendUint8(TagMessageState, 2).AppendCString(TagBrandCode, "675403").
		AppendUint16(TagSourcePort, 5000).Append(TagBrandCode, []byte("second")).Append(TagMessageClass, []byte("otp"))
	if v, ok := tl.Uint8(TagMessageState); !ok || v != 2 {
		t.Errorf("Uint8: %d %v", v, ok)
	}
	if v, ok := tl.CString(TagBrandCode); !ok || string(v) != "675403" {
		t.Errorf("the first of two counts: %q %v", v, ok)
	}
	if v, ok := tl.CString(TagMessageClass); !ok || string(v) != "otp" {
		t.Errorf("a forgotten NUL: %q %v", v, ok)
	}
	if _, ok := tl.Uint8(TagSourcePort); ok {
		t.Error("Uint8 took two octets")
	}
	if _, ok := tl.Get(0x3FFF); ok {
		t.Error("Get found what is not there")
	}
	var order []Tag
	for tag := range tl.All() {
		order = append(order, tag)
	}
	if want := []Tag{TagMessageState, TagBrandCode, TagSourcePort, TagBrandCode, TagMessageClass}; !reflect.DeepEqual(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if err := tl.CheckLengths(); err != nil {
		t.Errorf("good lengths: %v", err)
	}
	if err := tl.Append(TagSarMsgRefNum, []byte{1}).CheckLengths(); StatusOf(err) != StatusInvTLVLen {
		t.Errorf("one octet of sar_msg_ref_num: %v", err)
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		SubmitSMID.String():           "submit_sm",
		CommandID(0x99).String():      "command_id(0x00000099)",
		StatusThrottled.String():      "ESME_RTHROTTLED",
		CommandStatus(0x4FF).String(): "command_status(0x000004FF)",
		StateDelivered.String():       "DELIVRD",
		MessageState(77).String():     "message_state(77)",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for s, want := range map[CommandStatus]Advice{
		StatusOK: AdviceAccepted, StatusThrottled: AdviceSlowDown, StatusMsgQueueFull: AdviceQueueFull,
		StatusInvDstAddr: AdviceNever, StatusSysErr: AdviceLater, StatusInvPassword: AdviceAlarm,
		StatusSubmitFail: AdviceLimited, 0x4FF: AdviceLimited, StatusInvBindStatus: AdviceRebind,
	} {
		if got := s.Advice(); got != want {
			t.Errorf("%s: advice %d, want %d", s, got, want)
		}
	}
}

func TestReceiptBits(t *testing.T) {
	for c, want := range map[ESMClass]bool{0x04: true, 0x20: true, 0x00: false, 0x40: false, 0x44: true, 0x08: false, 0x24: false} {
		if got := c.IsReceipt(); got != want {
			t.Errorf("esm_class %#x: got %v, want %v", uint8(c), got, want)
		}
	}
	for _, c := range []struct {
		r         RegisteredDelivery
		good, bad bool
	}{{0, false, false}, {1, true, true}, {2, false, true}, {3, true, false}, {0x10, false, false}} {
		if c.r.Wants(true) != c.good || c.r.Wants(false) != c.bad {
			t.Errorf("registered_delivery %#x", uint8(c.r))
		}
	}
}
