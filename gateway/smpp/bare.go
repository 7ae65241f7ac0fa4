package smpp

// The PDUs in this file are a header and nothing else. Octets after it are
// ignored: some peers send a stray NUL, and there is nothing to misread.

// Unbind closes a session; SMPP 3.4 §4.2.1.
type Unbind struct{}

// CommandID implements PDU.
func (*Unbind) CommandID() CommandID { return UnbindID }

// AppendTo implements PDU.
func (*Unbind) AppendTo(dst []byte, seq uint32) []byte {
	return begin(dst, UnbindID, 0, seq)
}

// Decode implements PDU.
func (*Unbind) Decode(Header, []byte) error { return nil }

// EnquireLink asks whether the peer is there; SMPP 3.4 §4.11.1.
type EnquireLink struct{}

// CommandID implements PDU.
func (*EnquireLink) CommandID() CommandID { return EnquireLinkID }

// AppendTo implements PDU.
func (*EnquireLink) AppendTo(dst []byte, seq uint32) []byte {
	return begin(dst, EnquireLinkID, 0, seq)
}

// Decode implements PDU.
func (*EnquireLink) Decode(Header, []byte) error { return nil }

// UnbindResp answers an Unbind.
type UnbindResp struct{ Status CommandStatus }

// CommandID implements PDU.
func (*UnbindResp) CommandID() CommandID { return UnbindRespID }

// AppendTo implements PDU.
func (p *UnbindResp) AppendTo(dst []byte, seq uint32) []byte {
	return begin(dst, UnbindRespID, p.Status, seq)
}

// Decode implements PDU.
func (p *UnbindResp) Decode(h Header, _ []byte) error {
	p.Status = h.Status
	return nil
}

// EnquireLinkResp answers an EnquireLink.
type EnquireLinkResp struct{ Status CommandStatus }

// CommandID implements PDU.
func (*EnquireLinkResp) CommandID() CommandID { return EnquireLinkRespID }

// AppendTo implements PDU.
func (p *EnquireLinkResp) AppendTo(dst []byte, seq uint32) []byte {
	return begin(dst, EnquireLinkRespID, p.Status, seq)
}

// Decode implements PDU.
func (p *EnquireLinkResp) Decode(h Header, _ []byte) error {
	p.Status = h.Status
	return nil
}

// GenericNack answers a PDU that could not be understood; SMPP 3.4 §4.3.1.
type GenericNack struct{ Status CommandStatus }

// CommandID implements PDU.
func (*GenericNack) CommandID() CommandID { return GenericNackID }

// AppendTo implements PDU.
func (p *GenericNack) AppendTo(dst []byte, seq uint32) []byte {
	return begin(dst, GenericNackID, p.Status, seq)
}

// Decode implements PDU.
func (p *GenericNack) Decode(h Header, _ []byte) error {
	p.Status = h.Status
	return nil
}

// CancelSMResp answers a CancelSM.
type CancelSMResp struct{ Status CommandStatus }

// CommandID implements PDU.
func (*CancelSMResp) CommandID() CommandID { return CancelSMRespID }

// AppendTo implements PDU.
func (p *CancelSMResp) AppendTo(dst []byte, seq uint32) []byte {
	return begin(dst, CancelSMRespID, p.Status, seq)
}

// Decode implements PDU.
func (p *CancelSMResp) Decode(h Header, _ []byte) error {
	p.Status = h.Status
	return nil
}

// ReplaceSMResp answers a ReplaceSM.
type ReplaceSMResp struct{ Status CommandStatus }

// CommandID implements PDU.
func (*ReplaceSMResp) CommandID() CommandID { return ReplaceSMRespID }

// AppendTo implements PDU.
func (p *ReplaceSMResp) AppendTo(dst []byte, seq uint32) []byte {
	return begin(dst, ReplaceSMRespID, p.Status, seq)
}

// Decode implements PDU.
func (p *ReplaceSMResp) Decode(h Header, _ []byte) error {
	p.Status = h.Status
	return nil
}
