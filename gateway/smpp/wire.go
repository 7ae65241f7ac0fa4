package smpp

import "bytes"

// Field sizes in octets, the closing NUL included; SMPP 3.4 §4.
const (
	maxSystemID     = 16
	maxPassword     = 9
	maxSystemType   = 13
	maxAddressRange = 41
	maxServiceType  = 6
	maxAddr         = 21
	maxLongAddr     = 65 // data_sm and alert_notification
	maxTime         = 17
	maxMessageID    = 65
	maxListName     = 21
	// MaxShortMessage is the bound on short_message in octets: 254 in 3.4
	// §5.2.22; 5.0 allows 255, which is tolerated when reading.
	MaxShortMessage = 254
	readShortMax    = 255
)

// PDU is what every struct of this package does.
type PDU interface {
	// CommandID names the PDU.
	CommandID() CommandID
	// AppendTo appends the whole PDU, header included, to dst. Values that
	// the PDU's Validate refuses are not made valid: a C-octet string ends at
	// its first NUL, a short_message at 255 octets.
	AppendTo(dst []byte, seq uint32) []byte
	// Decode replaces the receiver by the PDU read from h and body, the
	// octets after the header. The receiver keeps slices of body. Errors are
	// *FieldError, in which case the receiver's fields mean nothing.
	Decode(h Header, body []byte) error
}

// Decode reads any PDU this package knows into a new struct; a reader that
// minds allocations calls the struct's own Decode. It returns
// ErrUnknownCommand for other ids.
func Decode(h Header, body []byte) (PDU, error) {
	p := newPDU(h.ID)
	if p == nil {
		return nil, ErrUnknownCommand
	}
	if err := p.Decode(h, body); err != nil {
		return nil, err
	}
	return p, nil
}

func newPDU(id CommandID) PDU {
	switch id {
	case BindReceiverID, BindTransmitterID, BindTransceiverID:
		return new(Bind)
	case BindReceiverRespID, BindTransmitterRespID, BindTransceiverRespID:
		return new(BindResp)
	case OutbindID:
		return new(Outbind)
	case UnbindID:
		return new(Unbind)
	case UnbindRespID:
		return new(UnbindResp)
	case EnquireLinkID:
		return new(EnquireLink)
	case EnquireLinkRespID:
		return new(EnquireLinkResp)
	case GenericNackID:
		return new(GenericNack)
	case SubmitSMID:
		return new(SubmitSM)
	case SubmitSMRespID:
		return new(SubmitSMResp)
	case DeliverSMID:
		return new(DeliverSM)
	case DeliverSMRespID:
		return new(DeliverSMResp)
	case DataSMID:
		return new(DataSM)
	case DataSMRespID:
		return new(DataSMResp)
	}
	return newRarePDU(id)
}

func newRarePDU(id CommandID) PDU {
	switch id {
	case SubmitMultiID:
		return new(SubmitMulti)
	case SubmitMultiRespID:
		return new(SubmitMultiResp)
	case QuerySMID:
		return new(QuerySM)
	case QuerySMRespID:
		return new(QuerySMResp)
	case CancelSMID:
		return new(CancelSM)
	case CancelSMRespID:
		return new(CancelSMResp)
	case ReplaceSMID:
		return new(ReplaceSM)
	case ReplaceSMRespID:
		return new(ReplaceSMResp)
	case AlertNotificationID:
		return new(AlertNotification)
	}
	return nil
}

// reader walks a body. The first fault sticks; after it every read is empty.
type reader struct {
	b   []byte
	err *FieldError
}

func (r *reader) fail(status CommandStatus, field, reason string) {
	if r.err == nil {
		r.err = &FieldError{Status: status, Field: field, Reason: reason}
	}
	r.b = nil
}

// cstring reads a C-octet string of at most limit octets with its NUL.
func (r *reader) cstring(limit int, status CommandStatus, field string) []byte {
	if len(r.b) > 0 && r.b[0] == 0 { // most fields are empty
		r.b = r.b[1:]
		return nil
	}
	i := bytes.IndexByte(r.b[:min(limit, len(r.b))], 0)
	if i < 0 {
		r.noNUL(limit, status, field)
		return nil
	}
	v := r.b[:i:i]
	r.b = r.b[i+1:]
	return v
}

func (r *reader) noNUL(limit int, status CommandStatus, field string) {
	if len(r.b) < limit {
		r.fail(StatusInvCmdLen, field, "is cut short by the end of the PDU")
		return
	}
	r.fail(status, field, "is longer than the standard allows")
}

// time reads an SMPP time: 1 or 17 octets with the NUL (SMPP 3.4 §5.2.15).
func (r *reader) time(status CommandStatus, field string) []byte {
	v := r.cstring(maxTime, status, field)
	if len(v) != 0 && len(v) != maxTime-1 && r.err == nil {
		r.fail(status, field, "is neither empty nor 16 characters long")
		return nil
	}
	return v
}

func (r *reader) octet(field string) byte {
	if len(r.b) == 0 {
		r.fail(StatusInvCmdLen, field, "is missing")
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) address(limit int, status CommandStatus, field string) Address {
	return Address{
		TON:  TON(r.octet(field)),
		NPI:  NPI(r.octet(field)),
		Addr: r.cstring(limit, status, field),
	}
}

// shortMessage reads sm_length and that many octets.
func (r *reader) shortMessage() []byte {
	n := int(r.octet("sm_length"))
	if n == 0 {
		return nil
	}
	if n > len(r.b) {
		r.fail(StatusInvMsgLen, "sm_length", "counts more octets than follow")
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// tlvs reads the rest of the body.
func (r *reader) tlvs() TLVs {
	if len(r.b) == 0 {
		return nil
	}
	t, err := ParseTLVs(r.b)
	if err != nil {
		r.fail(err.Status, err.Field, err.Reason)
		return nil
	}
	r.b = nil
	return t
}

// tlvsPadded is tlvs for what operators deliver: one to three octets that can
// be no parameter are padding. A parameter that is cut remains a fault, since
// it may be the message itself.
func (r *reader) tlvsPadded() TLVs {
	if t, rest := wholeTLVs(r.b); rest > 0 && rest < 4 {
		r.b = r.b[:len(t)]
	}
	return r.tlvs()
}

// tlvsOfAnswer is tlvs for responses: whatever is whole is taken and the rest
// is not minded, because an answer that cannot be read would leave its request
// in doubt.
func (r *reader) tlvsOfAnswer() TLVs {
	t, _ := wholeTLVs(r.b)
	r.b = r.b[:len(t)]
	return r.tlvs()
}

func (r *reader) done() error {
	if r.err != nil {
		return r.err
	}
	return nil
}

func appendCString(dst, v []byte) []byte {
	if len(v) == 0 {
		return append(dst, 0)
	}
	if i := bytes.IndexByte(v, 0); i >= 0 {
		v = v[:i]
	}
	dst = append(dst, v...)
	return append(dst, 0)
}

func appendAddress(dst []byte, a *Address) []byte {
	dst = append(dst, byte(a.TON), byte(a.NPI))
	return appendCString(dst, a.Addr)
}

func appendShortMessage(dst, v []byte) []byte {
	if len(v) > readShortMax {
		v = v[:readShortMax]
	}
	dst = append(dst, byte(len(v)))
	return append(dst, v...)
}

// validator collects the first fault of a struct that is about to be sent.
type validator struct{ err *FieldError }

func (v *validator) cstring(b []byte, limit int, status CommandStatus, field string) {
	if len(b) == 0 || v.err != nil {
		return
	}
	if len(b) >= limit {
		v.err = &FieldError{status, field, "is longer than the standard allows"}
	} else if bytes.IndexByte(b, 0) >= 0 {
		v.err = &FieldError{status, field, "holds a NUL"}
	}
}

func (v *validator) time(b []byte, status CommandStatus, field string) {
	v.cstring(b, maxTime, status, field)
	if len(b) != 0 && len(b) != maxTime-1 && v.err == nil {
		v.err = &FieldError{status, field, "is neither empty nor 16 characters long"}
	}
}

func (v *validator) shortMessage(b []byte) {
	if len(b) > MaxShortMessage && v.err == nil {
		v.err = &FieldError{StatusInvMsgLen, "short_message", "is longer than 254 octets"}
	}
}

func (v *validator) tlvs(t TLVs) {
	if len(t) == 0 || v.err != nil {
		return
	}
	if _, err := ParseTLVs(t); err != nil {
		v.err = err
	}
}

func (v *validator) done() error {
	if v.err != nil {
		return v.err
	}
	return nil
}
