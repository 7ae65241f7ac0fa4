package smpp

// QuerySM asks for the state of a message; SMPP 3.4 §4.8.1.
type QuerySM struct {
	MessageID []byte
	Source    Address // as in the submit_sm
	TLVs      TLVs    // not in 3.4; tolerated
}

// CommandID implements PDU.
func (*QuerySM) CommandID() CommandID { return QuerySMID }

// AppendTo implements PDU.
func (p *QuerySM) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, QuerySMID, 0, seq)
	dst = appendCString(dst, p.MessageID)
	dst = appendAddress(dst, &p.Source)
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU.
func (p *QuerySM) Decode(_ Header, body []byte) error {
	r := reader{b: body}
	p.MessageID = r.cstring(maxMessageID, StatusInvMsgID, "message_id")
	p.Source = r.address(maxAddr, StatusInvSrcAddr, "source_addr")
	p.TLVs = r.tlvs()
	return r.done()
}

// QuerySMResp answers a QuerySM. A refusal may come without a body.
type QuerySMResp struct {
	Status    CommandStatus
	MessageID []byte
	FinalDate []byte // SMPP time, empty while the state is not final
	State     MessageState
	ErrorCode uint8
	TLVs      TLVs
}

// CommandID implements PDU.
func (*QuerySMResp) CommandID() CommandID { return QuerySMRespID }

// AppendTo implements PDU. A refusal is written without its body.
func (p *QuerySMResp) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, QuerySMRespID, p.Status, seq)
	if p.Status != StatusOK {
		return dst
	}
	dst = appendCString(dst, p.MessageID)
	dst = appendCString(dst, p.FinalDate)
	dst = append(dst, byte(p.State), p.ErrorCode)
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU.
func (p *QuerySMResp) Decode(h Header, body []byte) error {
	*p = QuerySMResp{Status: h.Status}
	if len(body) == 0 && h.Status != StatusOK {
		return nil
	}
	r := reader{b: body}
	p.MessageID = r.cstring(maxMessageID, StatusInvMsgID, "message_id")
	p.FinalDate = r.cstring(maxTime, StatusInvExpiry, "final_date")
	p.State = MessageState(r.octet("message_state"))
	p.ErrorCode = r.octet("error_code")
	p.TLVs = r.tlvs()
	return r.done()
}

// CancelSM withdraws waiting messages: the one with MessageID, or, if that is
// empty, all between Source and Dest (of ServiceType, if given); SMPP 3.4 §4.9.1.
type CancelSM struct {
	ServiceType []byte
	MessageID   []byte
	Source      Address
	Dest        Address
	TLVs        TLVs
}

// CommandID implements PDU.
func (*CancelSM) CommandID() CommandID { return CancelSMID }

// AppendTo implements PDU.
func (p *CancelSM) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, CancelSMID, 0, seq)
	dst = appendCString(dst, p.ServiceType)
	dst = appendCString(dst, p.MessageID)
	dst = appendAddress(dst, &p.Source)
	dst = appendAddress(dst, &p.Dest)
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU.
func (p *CancelSM) Decode(_ Header, body []byte) error {
	r := reader{b: body}
	p.ServiceType = r.cstring(maxServiceType, StatusInvServiceType, "service_type")
	p.MessageID = r.cstring(maxMessageID, StatusInvMsgID, "message_id")
	p.Source = r.address(maxAddr, StatusInvSrcAddr, "source_addr")
	p.Dest = r.address(maxAddr, StatusInvDstAddr, "destination_addr")
	p.TLVs = r.tlvs()
	return r.done()
}

// ReplaceSM changes a waiting message; SMPP 3.4 §4.10.1.
type ReplaceSM struct {
	MessageID          []byte
	Source             Address
	ScheduleTime       []byte
	ValidityPeriod     []byte
	RegisteredDelivery RegisteredDelivery
	DefaultMsgID       uint8
	ShortMessage       []byte
	TLVs               TLVs // 5.0: message_payload
}

// CommandID implements PDU.
func (*ReplaceSM) CommandID() CommandID { return ReplaceSMID }

// AppendTo implements PDU.
func (p *ReplaceSM) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, ReplaceSMID, 0, seq)
	dst = appendCString(dst, p.MessageID)
	dst = appendAddress(dst, &p.Source)
	dst = appendCString(dst, p.ScheduleTime)
	dst = appendCString(dst, p.ValidityPeriod)
	dst = append(dst, byte(p.RegisteredDelivery), p.DefaultMsgID)
	dst = appendShortMessage(dst, p.ShortMessage)
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU.
func (p *ReplaceSM) Decode(_ Header, body []byte) error {
	r := reader{b: body}
	p.MessageID = r.cstring(maxMessageID, StatusInvMsgID, "message_id")
	p.Source = r.address(maxAddr, StatusInvSrcAddr, "source_addr")
	p.ScheduleTime = r.time(StatusInvSchedule, "schedule_delivery_time")
	p.ValidityPeriod = r.time(StatusInvExpiry, "validity_period")
	p.RegisteredDelivery = RegisteredDelivery(r.octet("registered_delivery"))
	p.DefaultMsgID = r.octet("sm_default_msg_id")
	p.ShortMessage = r.shortMessage()
	p.TLVs = r.tlvs()
	return r.done()
}

// AlertNotification tells that a handset is reachable again; SMPP 3.4 §4.12.
// It has no answer.
type AlertNotification struct {
	Source Address // ≤ 64 octets
	ESME   Address // ≤ 64 octets
	TLVs   TLVs    // ms_availability_status
}

// CommandID implements PDU.
func (*AlertNotification) CommandID() CommandID { return AlertNotificationID }

// AppendTo implements PDU.
func (p *AlertNotification) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, AlertNotificationID, 0, seq)
	dst = appendAddress(dst, &p.Source)
	dst = appendAddress(dst, &p.ESME)
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU.
func (p *AlertNotification) Decode(_ Header, body []byte) error {
	r := reader{b: body}
	p.Source = r.address(maxLongAddr, StatusInvSrcAddr, "source_addr")
	p.ESME = r.address(maxLongAddr, StatusInvDstAddr, "esme_addr")
	p.TLVs = r.tlvs()
	return r.done()
}
