package smpp

import "encoding/binary"

const (
	// HeaderLen is the size of a PDU header in octets; SMPP 3.4 §3.2.
	HeaderLen = 16
	// MaxPDU is the default bound on command_length in octets: a
	// message_payload of 64 KiB, the mandatory fields and some TLVs.
	MaxPDU = 64<<10 + 1024
	// MaxSequence is the highest sequence_number we send; SMPP 3.4 §5.1.4.
	// The lowest is 1. Peers' numbers are echoed whatever they are.
	MaxSequence = 0x7FFFFFFF
)

// Header is the fixed start of every PDU.
type Header struct {
	Length   uint32 // command_length: octets of the whole PDU, header included
	ID       CommandID
	Status   CommandStatus // 0 in requests
	Sequence uint32
}

// ParseHeader reads the header at the start of b. It returns ErrShort if b
// holds fewer than 16 octets and a *FramingError, together with the header as
// it was read, if command_length is below 16 or above max.
func ParseHeader(b []byte, max int) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, ErrShort
	}
	_ = b[15]
	h := Header{
		Length:   binary.BigEndian.Uint32(b),
		ID:       CommandID(binary.BigEndian.Uint32(b[4:])),
		Status:   CommandStatus(binary.BigEndian.Uint32(b[8:])),
		Sequence: binary.BigEndian.Uint32(b[12:]),
	}
	if h.Length < HeaderLen || int64(h.Length) > int64(max) {
		return h, &FramingError{Length: h.Length, Sequence: h.Sequence}
	}
	return h, nil
}

// AppendHeader appends a header whose command_length is that of a PDU with
// bodyLen octets after it; h.Length is ignored.
func AppendHeader(dst []byte, h Header, bodyLen int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(HeaderLen+bodyLen))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.ID))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Status))
	return binary.BigEndian.AppendUint32(dst, h.Sequence)
}

// AppendRefusal appends the answer to the request h that could not be served:
// its response with no body and status, or generic_nack if h.ID is not known.
// Requests that have no response (outbind, alert_notification) get nothing.
func AppendRefusal(dst []byte, h Header, status CommandStatus) []byte {
	if h.ID.IsResponse() {
		return dst
	}
	id := GenericNackID
	if h.ID.Known() {
		if !h.ID.WantsResponse() {
			return dst
		}
		id = h.ID.Response()
	}
	return AppendHeader(dst, Header{ID: id, Status: status, Sequence: h.Sequence}, 0)
}

// begin appends a header with an open command_length; end closes it.
func begin(dst []byte, id CommandID, status CommandStatus, seq uint32) []byte {
	return AppendHeader(dst, Header{ID: id, Status: status, Sequence: seq}, 0)
}

func end(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}
