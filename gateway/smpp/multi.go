package smpp

import "encoding/binary"

// MaxDests is the bound on destinations of one submit_multi; SMPP 3.4 §5.2.24.
const MaxDests = 254

// dest_flag values; SMPP 3.4 §5.2.25.
const (
	destFlagAddress = 1
	destFlagList    = 2
)

// Dest is one destination of a submit_multi: an address, or the name of a
// distribution list if List is not empty.
type Dest struct {
	Address Address
	List    []byte // ≤ 20 octets
}

// SubmitMulti sends one message to many; SMPP 3.4 §4.5.1.
type SubmitMulti struct {
	ServiceType        []byte
	Source             Address
	Dests              []Dest // 1–254
	ESMClass           ESMClass
	ProtocolID         uint8
	Priority           uint8
	ScheduleTime       []byte
	ValidityPeriod     []byte
	RegisteredDelivery RegisteredDelivery
	ReplaceIfPresent   uint8
	DataCoding         DataCoding
	DefaultMsgID       uint8
	ShortMessage       []byte
	TLVs               TLVs
}

// CommandID implements PDU.
func (*SubmitMulti) CommandID() CommandID { return SubmitMultiID }

// AppendTo implements PDU. At most 255 destinations are written.
func (p *SubmitMulti) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, SubmitMultiID, 0, seq)
	dst = appendCString(dst, p.ServiceType)
	dst = appendAddress(dst, &p.Source)
	dests := p.Dests[:min(len(p.Dests), 255)]
	dst = append(dst, byte(len(dests)))
	for i := range dests {
		if d := &dests[i]; len(d.List) > 0 {
			dst = append(dst, destFlagList)
			dst = appendCString(dst, d.List)
		} else {
			dst = append(dst, destFlagAddress)
			dst = appendAddress(dst, &d.Address)
		}
	}
	dst = append(dst, byte(p.ESMClass), p.ProtocolID, p.Priority)
	dst = appendCString(dst, p.ScheduleTime)
	dst = appendCString(dst, p.ValidityPeriod)
	dst = append(dst, byte(p.RegisteredDelivery), p.ReplaceIfPresent, byte(p.DataCoding), p.DefaultMsgID)
	dst = appendShortMessage(dst, p.ShortMessage)
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU. It allocates the list of destinations, whose length
// an octet bounds.
func (p *SubmitMulti) Decode(_ Header, body []byte) error {
	r := reader{b: body}
	p.ServiceType = r.cstring(maxServiceType, StatusInvServiceType, "service_type")
	p.Source = r.address(maxAddr, StatusInvSrcAddr, "source_addr")
	p.Dests = r.dests()
	p.ESMClass = ESMClass(r.octet("esm_class"))
	p.ProtocolID = r.octet("protocol_id")
	p.Priority = r.octet("priority_flag")
	p.ScheduleTime = r.time(StatusInvSchedule, "schedule_delivery_time")
	p.ValidityPeriod = r.time(StatusInvExpiry, "validity_period")
	p.RegisteredDelivery = RegisteredDelivery(r.octet("registered_delivery"))
	p.ReplaceIfPresent = r.octet("replace_if_present_flag")
	p.DataCoding = DataCoding(r.octet("data_coding"))
	p.DefaultMsgID = r.octet("sm_default_msg_id")
	p.ShortMessage = r.shortMessage()
	p.TLVs = r.tlvs()
	return r.done()
}

func (r *reader) dests() []Dest {
	n := int(r.octet("number_of_dests"))
	if r.err != nil {
		return nil
	}
	if n == 0 || n > MaxDests {
		r.fail(StatusInvNumDests, "number_of_dests", "is not 1 to 254")
		return nil
	}
	list := make([]Dest, n)
	for i := range list {
		switch flag := r.octet("dest_flag"); {
		case r.err != nil:
			return nil
		case flag == destFlagAddress:
			list[i].Address = r.address(maxAddr, StatusInvDstAddr, "destination_addr")
		case flag == destFlagList:
			list[i].List = r.cstring(maxListName, StatusInvListName, "dl_name")
			if len(list[i].List) == 0 && r.err == nil {
				r.fail(StatusInvListName, "dl_name", "is empty")
			}
		default:
			r.fail(StatusInvDestFlag, "dest_flag", "is neither 1 nor 2")
		}
	}
	return list
}

// Payload is that of SubmitSM.
func (p *SubmitMulti) Payload() ([]byte, error) {
	m := SubmitSM{ShortMessage: p.ShortMessage, TLVs: p.TLVs}
	return m.Payload()
}

// Unsuccess is one destination of a submit_multi that was refused.
type Unsuccess struct {
	Address Address
	Status  CommandStatus
}

// SubmitMultiResp answers a SubmitMulti. A refusal may come without a body.
type SubmitMultiResp struct {
	Status    CommandStatus
	MessageID []byte
	Unsuccess []Unsuccess // ≤ 255
	TLVs      TLVs
}

// CommandID implements PDU.
func (*SubmitMultiResp) CommandID() CommandID { return SubmitMultiRespID }

// AppendTo implements PDU.
func (p *SubmitMultiResp) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, SubmitMultiRespID, p.Status, seq)
	if p.Status != StatusOK && len(p.MessageID) == 0 && len(p.Unsuccess) == 0 && len(p.TLVs) == 0 {
		return dst
	}
	dst = appendCString(dst, p.MessageID)
	list := p.Unsuccess[:min(len(p.Unsuccess), 255)]
	dst = append(dst, byte(len(list)))
	for i := range list {
		dst = appendAddress(dst, &list[i].Address)
		dst = binary.BigEndian.AppendUint32(dst, uint32(list[i].Status))
	}
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU.
func (p *SubmitMultiResp) Decode(h Header, body []byte) error {
	*p = SubmitMultiResp{Status: h.Status}
	if len(body) == 0 {
		return nil
	}
	r := reader{b: body}
	p.MessageID = r.cstring(maxMessageID, StatusInvMsgID, "message_id")
	n := int(r.octet("no_unsuccess"))
	if n > 0 && r.err == nil {
		p.Unsuccess = make([]Unsuccess, n)
	}
	for i := range p.Unsuccess {
		p.Unsuccess[i].Address = r.address(maxAddr, StatusInvDstAddr, "destination_addr")
		if len(r.b) < 4 {
			r.fail(StatusInvCmdLen, "error_status_code", "is missing")
			break
		}
		p.Unsuccess[i].Status = CommandStatus(binary.BigEndian.Uint32(r.b))
		r.b = r.b[4:]
	}
	p.TLVs = r.tlvs()
	return r.done()
}
