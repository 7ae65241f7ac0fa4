package smpp

import (
	"encoding/binary"
	"iter"
)

// Tag names an optional parameter; SMPP 3.4 §5.3.2, 5.0 §4.8.1.
type Tag uint16

// Tags used by this program. The comment is the value's form.
const (
	TagDestAddrSubunit      Tag = 0x0005 // 1 octet
	TagSourceAddrSubunit    Tag = 0x000D // 1 octet
	TagQosTimeToLive        Tag = 0x0017 // 4 octets, seconds
	TagPayloadType          Tag = 0x0019 // 1 octet
	TagAdditionalStatusText Tag = 0x001D // C-octet string, ≤ 256
	TagReceiptedMessageID   Tag = 0x001E // C-octet string, ≤ 65
	TagMSMsgWaitFacilities  Tag = 0x0030 // 1 octet
	TagPrivacyIndicator     Tag = 0x0201 // 1 octet
	TagUserMessageReference Tag = 0x0204 // 2 octets
	TagUserResponseCode     Tag = 0x0205 // 1 octet
	TagSourcePort           Tag = 0x020A // 2 octets
	TagDestinationPort      Tag = 0x020B // 2 octets
	TagSarMsgRefNum         Tag = 0x020C // 2 octets
	TagLanguageIndicator    Tag = 0x020D // 1 octet
	TagSarTotalSegments     Tag = 0x020E // 1 octet
	TagSarSegmentSeqnum     Tag = 0x020F // 1 octet
	TagSCInterfaceVersion   Tag = 0x0210 // 1 octet
	TagCallbackNum          Tag = 0x0381 // 4–19 octets
	TagDPFResult            Tag = 0x0420 // 1 octet
	TagSetDPF               Tag = 0x0421 // 1 octet
	TagMSAvailabilityStatus Tag = 0x0422 // 1 octet
	TagNetworkErrorCode     Tag = 0x0423 // 3 octets: network type, error code
	TagMessagePayload       Tag = 0x0424 // octets
	TagDeliveryFailure      Tag = 0x0425 // 1 octet
	TagMoreMessagesToSend   Tag = 0x0426 // 1 octet
	TagMessageState         Tag = 0x0427 // 1 octet
	TagCongestionState      Tag = 0x0428 // 1 octet, 0–100 (5.0)
	TagUSSDServiceOp        Tag = 0x0501 // 1 octet
	TagDisplayTime          Tag = 0x1201 // 1 octet
	TagSMSSignal            Tag = 0x1203 // 2 octets
	TagMSValidity           Tag = 0x1204 // 1 octet (5.0: up to 4)
	TagAlertOnDelivery      Tag = 0x130C // no octets
	TagITSReplyType         Tag = 0x1380 // 1 octet

	// This program's own parameters, in the vendor range: C-octet strings
	// with which a client declares what SMPP has no field for.
	TagMessageClass  Tag = 0x1400 // commercial, transactional, otp
	TagBrandCode     Tag = 0x1401 // İYS brand code
	TagRecipientType Tag = 0x1402 // BIREYSEL, TACIR
	TagReason        Tag = 0x1403 // reason of a transactional message
)

// fixedLen is the length the standard demands of a tag's value, -1 if it varies.
func (t Tag) fixedLen() int {
	switch t {
	case TagDestAddrSubunit, TagSourceAddrSubunit, TagPayloadType, TagMSMsgWaitFacilities,
		TagPrivacyIndicator, TagUserResponseCode, TagLanguageIndicator, TagSarTotalSegments,
		TagSarSegmentSeqnum, TagSCInterfaceVersion, TagDPFResult, TagSetDPF,
		TagMSAvailabilityStatus, TagDeliveryFailure, TagMoreMessagesToSend, TagMessageState,
		TagCongestionState, TagUSSDServiceOp, TagDisplayTime, TagITSReplyType:
		return 1
	case TagUserMessageReference, TagSourcePort, TagDestinationPort, TagSarMsgRefNum, TagSMSSignal:
		return 2
	case TagNetworkErrorCode:
		return 3
	case TagQosTimeToLive:
		return 4
	}
	return -1
}

// TLVs is a run of optional parameters in wire form: tag (2 octets), length
// (2 octets), value. Order, repeats and unknown tags are kept. The zero value
// is empty and ready for the Append methods, which work like append:
//
//	t = t.AppendUint16(smpp.TagSourcePort, 5000)
type TLVs []byte

// ParseTLVs checks that b is a whole run of parameters and returns it as
// such, without copying. The status of the error is ESME_RINVTLVSTREAM.
func ParseTLVs(b []byte) (TLVs, *FieldError) {
	for rest := b; len(rest) > 0; {
		if len(rest) < 4 {
			return nil, &FieldError{StatusInvTLVStream, "tlv", "leaves octets that are no parameter"}
		}
		n := 4 + int(binary.BigEndian.Uint16(rest[2:]))
		if n > len(rest) {
			return nil, &FieldError{StatusInvTLVStream, "tlv", "runs past the end of the PDU"}
		}
		rest = rest[n:]
	}
	return TLVs(b[:len(b):len(b)]), nil
}

// wholeTLVs returns the parameters at the start of b that are whole, and how
// many octets follow that are not.
func wholeTLVs(b []byte) (TLVs, int) {
	n := 0
	for len(b)-n >= 4 {
		size := 4 + int(binary.BigEndian.Uint16(b[n+2:]))
		if size > len(b)-n {
			break
		}
		n += size
	}
	return TLVs(b[:n:n]), len(b) - n
}

// All yields the parameters in wire order. Values alias t.
func (t TLVs) All() iter.Seq2[Tag, []byte] {
	return func(yield func(Tag, []byte) bool) {
		for b := []byte(t); len(b) >= 4; {
			n := 4 + int(binary.BigEndian.Uint16(b[2:]))
			if n > len(b) {
				return
			}
			if !yield(Tag(binary.BigEndian.Uint16(b)), b[4:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// Get returns the value of the first parameter with tag. The value aliases t.
func (t TLVs) Get(tag Tag) ([]byte, bool) {
	for b := []byte(t); len(b) >= 4; {
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			break
		}
		if Tag(binary.BigEndian.Uint16(b)) == tag {
			return b[4:n:n], true
		}
		b = b[n:]
	}
	return nil, false
}

// Uint8 returns a one-octet value; false if it is absent or of another length.
func (t TLVs) Uint8(tag Tag) (uint8, bool) {
	v, ok := t.Get(tag)
	if !ok || len(v) != 1 {
		return 0, false
	}
	return v[0], true
}

// Uint16 returns a two-octet value; false if it is absent or of another length.
func (t TLVs) Uint16(tag Tag) (uint16, bool) {
	v, ok := t.Get(tag)
	if !ok || len(v) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(v), true
}

// CString returns a C-octet string without its NUL; peers that forget the NUL
// are understood.
func (t TLVs) CString(tag Tag) ([]byte, bool) {
	v, ok := t.Get(tag)
	if !ok {
		return nil, false
	}
	for i, c := range v {
		if c == 0 {
			return v[:i:i], true
		}
	}
	return v, true
}

// CheckLengths finds a known parameter whose value has a length the standard
// does not allow; the status of the *FieldError is ESME_RINVTLVLEN. Decode
// does not call it: towards operators one is lenient.
func (t TLVs) CheckLengths() error {
	for tag, v := range t.All() {
		if n := tag.fixedLen(); n >= 0 && n != len(v) {
			return &FieldError{StatusInvTLVLen, "tlv", "has a value of the wrong length"}
		}
	}
	return nil
}

// Append adds a parameter. A value over 65 535 octets is cut.
func (t TLVs) Append(tag Tag, value []byte) TLVs {
	value = value[:min(len(value), 0xFFFF)]
	t = t.appendHead(tag, len(value))
	return append(t, value...)
}

// AppendUint8 adds a one-octet parameter.
func (t TLVs) AppendUint8(tag Tag, v uint8) TLVs {
	return append(t.appendHead(tag, 1), v)
}

// AppendUint16 adds a two-octet parameter.
func (t TLVs) AppendUint16(tag Tag, v uint16) TLVs {
	return binary.BigEndian.AppendUint16(t.appendHead(tag, 2), v)
}

// AppendCString adds a C-octet string; its NUL is added here.
func (t TLVs) AppendCString(tag Tag, v string) TLVs {
	v = v[:min(len(v), 0xFFFE)]
	t = append(t.appendHead(tag, len(v)+1), v...)
	return append(t, 0)
}

func (t TLVs) appendHead(tag Tag, n int) TLVs {
	t = binary.BigEndian.AppendUint16(t, uint16(tag))
	return binary.BigEndian.AppendUint16(t, uint16(n))
}
