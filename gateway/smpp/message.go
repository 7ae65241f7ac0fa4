package smpp

// SubmitSM sends one short message to the SMSC; SMPP 3.4 §4.4.1.
type SubmitSM struct {
	ServiceType        []byte  // ≤ 5 octets
	Source             Address // ≤ 20 octets
	Dest               Address // ≤ 20 octets
	ESMClass           ESMClass
	ProtocolID         uint8
	Priority           uint8
	ScheduleTime       []byte // SMPP time: empty or 16 characters
	ValidityPeriod     []byte // SMPP time: empty or 16 characters
	RegisteredDelivery RegisteredDelivery
	ReplaceIfPresent   uint8
	DataCoding         DataCoding
	DefaultMsgID       uint8
	ShortMessage       []byte // ≤ 254 octets, user data header included
	TLVs               TLVs
}

// CommandID implements PDU.
func (*SubmitSM) CommandID() CommandID { return SubmitSMID }

// AppendTo implements PDU.
func (p *SubmitSM) AppendTo(dst []byte, seq uint32) []byte {
	return p.appendAs(dst, SubmitSMID, seq)
}

func (p *SubmitSM) appendAs(dst []byte, id CommandID, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, id, 0, seq)
	dst = appendCString(dst, p.ServiceType)
	dst = appendAddress(dst, &p.Source)
	dst = appendAddress(dst, &p.Dest)
	dst = append(dst, byte(p.ESMClass), p.ProtocolID, p.Priority)
	dst = appendCString(dst, p.ScheduleTime)
	dst = appendCString(dst, p.ValidityPeriod)
	dst = append(dst, byte(p.RegisteredDelivery), p.ReplaceIfPresent, byte(p.DataCoding), p.DefaultMsgID)
	dst = appendShortMessage(dst, p.ShortMessage)
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU.
func (p *SubmitSM) Decode(_ Header, body []byte) error {
	return p.decode(body, false)
}

// decode reads the fields submit_sm and deliver_sm share. The times of a
// deliver_sm are to be empty (SMPP 3.4 §4.6.1); operators put all sorts of
// things there, so only their size is checked.
func (p *SubmitSM) decode(body []byte, deliver bool) error {
	r := reader{b: body}
	p.ServiceType = r.cstring(maxServiceType, StatusInvServiceType, "service_type")
	p.Source = r.address(maxAddr, StatusInvSrcAddr, "source_addr")
	p.Dest = r.address(maxAddr, StatusInvDstAddr, "destination_addr")
	p.ESMClass = ESMClass(r.octet("esm_class"))
	p.ProtocolID = r.octet("protocol_id")
	p.Priority = r.octet("priority_flag")
	if deliver {
		p.ScheduleTime = r.cstring(maxTime, StatusInvSchedule, "schedule_delivery_time")
		p.ValidityPeriod = r.cstring(maxTime, StatusInvExpiry, "validity_period")
	} else {
		p.ScheduleTime = r.time(StatusInvSchedule, "schedule_delivery_time")
		p.ValidityPeriod = r.time(StatusInvExpiry, "validity_period")
	}
	p.RegisteredDelivery = RegisteredDelivery(r.octet("registered_delivery"))
	p.ReplaceIfPresent = r.octet("replace_if_present_flag")
	p.DataCoding = DataCoding(r.octet("data_coding"))
	p.DefaultMsgID = r.octet("sm_default_msg_id")
	p.ShortMessage = r.shortMessage()
	if deliver {
		p.TLVs = r.tlvsPadded()
	} else {
		p.TLVs = r.tlvs()
	}
	return r.done()
}

// Validate finds a field that may not be sent; the error is a *FieldError.
func (p *SubmitSM) Validate() error {
	var v validator
	v.cstring(p.ServiceType, maxServiceType, StatusInvServiceType, "service_type")
	v.cstring(p.Source.Addr, maxAddr, StatusInvSrcAddr, "source_addr")
	v.cstring(p.Dest.Addr, maxAddr, StatusInvDstAddr, "destination_addr")
	v.time(p.ScheduleTime, StatusInvSchedule, "schedule_delivery_time")
	v.time(p.ValidityPeriod, StatusInvExpiry, "validity_period")
	v.shortMessage(p.ShortMessage)
	v.tlvs(p.TLVs)
	return v.done()
}

// Payload returns the user data: short_message, or message_payload if that is
// empty. Both at once are a *FieldError (SMPP 3.4 §5.3.2.32).
func (p *SubmitSM) Payload() ([]byte, error) {
	long, ok := p.TLVs.Get(TagMessagePayload)
	if !ok || len(long) == 0 {
		return p.ShortMessage, nil
	}
	if len(p.ShortMessage) > 0 {
		return nil, &FieldError{StatusInvMsgLen, "message_payload", "comes beside a short_message"}
	}
	return long, nil
}

// SubmitSMResp answers a SubmitSM. A refusal may come without a body.
type SubmitSMResp struct {
	Status    CommandStatus
	MessageID []byte // ≤ 64 octets
	TLVs      TLVs   // 5.0, and operators' own
}

// CommandID implements PDU.
func (*SubmitSMResp) CommandID() CommandID { return SubmitSMRespID }

// AppendTo implements PDU.
func (p *SubmitSMResp) AppendTo(dst []byte, seq uint32) []byte {
	return appendIDResp(dst, SubmitSMRespID, p.Status, seq, p.MessageID, p.TLVs)
}

// Decode implements PDU.
func (p *SubmitSMResp) Decode(h Header, body []byte) error {
	r := reader{b: body}
	p.Status = h.Status
	p.MessageID = r.lenientID(maxMessageID, StatusInvMsgID, "message_id")
	p.TLVs = r.tlvsOfAnswer()
	return r.done()
}

// DeliverSM brings a message from a handset, or a receipt, to the ESME;
// SMPP 3.4 §4.6.1. Its fields are those of submit_sm.
type DeliverSM SubmitSM

// CommandID implements PDU.
func (*DeliverSM) CommandID() CommandID { return DeliverSMID }

// AppendTo implements PDU.
func (p *DeliverSM) AppendTo(dst []byte, seq uint32) []byte {
	return (*SubmitSM)(p).appendAs(dst, DeliverSMID, seq)
}

// Decode implements PDU.
func (p *DeliverSM) Decode(_ Header, body []byte) error {
	return (*SubmitSM)(p).decode(body, true)
}

// Validate finds a field that may not be sent; the error is a *FieldError.
func (p *DeliverSM) Validate() error { return (*SubmitSM)(p).Validate() }

// Payload is that of SubmitSM.
func (p *DeliverSM) Payload() ([]byte, error) { return (*SubmitSM)(p).Payload() }

// DeliverSMResp answers a DeliverSM; its message_id is unused (SMPP 3.4 §4.6.2).
type DeliverSMResp struct {
	Status    CommandStatus
	MessageID []byte
	TLVs      TLVs
}

// CommandID implements PDU.
func (*DeliverSMResp) CommandID() CommandID { return DeliverSMRespID }

// AppendTo implements PDU.
func (p *DeliverSMResp) AppendTo(dst []byte, seq uint32) []byte {
	return appendIDResp(dst, DeliverSMRespID, p.Status, seq, p.MessageID, p.TLVs)
}

// Decode implements PDU.
func (p *DeliverSMResp) Decode(h Header, body []byte) error {
	return (*SubmitSMResp)(p).Decode(h, body)
}

// DataSM carries data in either direction; its text is the message_payload;
// SMPP 3.4 §4.7.1.
type DataSM struct {
	ServiceType        []byte
	Source             Address // ≤ 64 octets
	Dest               Address // ≤ 64 octets
	ESMClass           ESMClass
	RegisteredDelivery RegisteredDelivery
	DataCoding         DataCoding
	TLVs               TLVs
}

// CommandID implements PDU.
func (*DataSM) CommandID() CommandID { return DataSMID }

// AppendTo implements PDU.
func (p *DataSM) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, DataSMID, 0, seq)
	dst = appendCString(dst, p.ServiceType)
	dst = appendAddress(dst, &p.Source)
	dst = appendAddress(dst, &p.Dest)
	dst = append(dst, byte(p.ESMClass), byte(p.RegisteredDelivery), byte(p.DataCoding))
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU.
func (p *DataSM) Decode(_ Header, body []byte) error {
	r := reader{b: body}
	p.ServiceType = r.cstring(maxServiceType, StatusInvServiceType, "service_type")
	p.Source = r.address(maxLongAddr, StatusInvSrcAddr, "source_addr")
	p.Dest = r.address(maxLongAddr, StatusInvDstAddr, "destination_addr")
	p.ESMClass = ESMClass(r.octet("esm_class"))
	p.RegisteredDelivery = RegisteredDelivery(r.octet("registered_delivery"))
	p.DataCoding = DataCoding(r.octet("data_coding"))
	p.TLVs = r.tlvs()
	return r.done()
}

// DataSMResp answers a DataSM.
type DataSMResp struct {
	Status    CommandStatus
	MessageID []byte
	TLVs      TLVs // delivery_failure_reason, network_error_code, …
}

// CommandID implements PDU.
func (*DataSMResp) CommandID() CommandID { return DataSMRespID }

// AppendTo implements PDU.
func (p *DataSMResp) AppendTo(dst []byte, seq uint32) []byte {
	return appendIDResp(dst, DataSMRespID, p.Status, seq, p.MessageID, p.TLVs)
}

// Decode implements PDU.
func (p *DataSMResp) Decode(h Header, body []byte) error {
	return (*SubmitSMResp)(p).Decode(h, body)
}
