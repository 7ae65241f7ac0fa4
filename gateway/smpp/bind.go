package smpp

// BindMode is the direction of a session.
type BindMode uint8

// Bind modes.
const (
	BindTRX BindMode = iota // bind_transceiver
	BindTX                  // bind_transmitter: submits only
	BindRX                  // bind_receiver: deliveries only
)

func (m BindMode) String() string {
	switch m {
	case BindTX:
		return "tx"
	case BindRX:
		return "rx"
	}
	return "trx"
}

// CommandID returns the bind request of the mode.
func (m BindMode) CommandID() CommandID {
	switch m {
	case BindTX:
		return BindTransmitterID
	case BindRX:
		return BindReceiverID
	}
	return BindTransceiverID
}

// CanTransmit reports whether the ESME may submit.
func (m BindMode) CanTransmit() bool { return m != BindRX }

// CanReceive reports whether the SMSC may deliver.
func (m BindMode) CanReceive() bool { return m != BindTX }

func modeOf(id CommandID) BindMode {
	switch id &^ respBit {
	case BindTransmitterID:
		return BindTX
	case BindReceiverID:
		return BindRX
	}
	return BindTRX
}

// Interface versions.
const (
	Version33 = 0x33 // and anything below 0x34: no TLVs may be sent
	Version34 = 0x34
	Version50 = 0x50
)

// Limits bounds the credentials of a bind, in octets with the NUL.
type Limits struct {
	SystemID int
	Password int
}

// StandardLimits are those of SMPP 3.4 §4.1; RelaxedLimits are what a server
// does well to accept, since the eight characters of a password are often
// ignored in practice.
var (
	StandardLimits = Limits{SystemID: maxSystemID, Password: maxPassword}
	RelaxedLimits  = Limits{SystemID: 65, Password: 65}
)

// Bind opens a session; SMPP 3.4 §4.1.
type Bind struct {
	Mode             BindMode
	SystemID         []byte // ≤ 15 octets
	Password         []byte // ≤ 8 octets
	SystemType       []byte // ≤ 12 octets
	InterfaceVersion uint8
	AddrTON          TON
	AddrNPI          NPI
	AddressRange     []byte // ≤ 40 octets
	TLVs             TLVs   // not in 3.4; tolerated
}

// CommandID follows Mode.
func (p *Bind) CommandID() CommandID { return p.Mode.CommandID() }

// AppendTo implements PDU.
func (p *Bind) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, p.CommandID(), 0, seq)
	dst = appendCString(dst, p.SystemID)
	dst = appendCString(dst, p.Password)
	dst = appendCString(dst, p.SystemType)
	dst = append(dst, p.InterfaceVersion, byte(p.AddrTON), byte(p.AddrNPI))
	dst = appendCString(dst, p.AddressRange)
	dst = append(dst, p.TLVs...)
	return end(dst, start)
}

// Decode implements PDU with StandardLimits.
func (p *Bind) Decode(h Header, body []byte) error {
	return p.DecodeLimits(h, body, StandardLimits)
}

// DecodeLimits is Decode with other bounds on the credentials.
func (p *Bind) DecodeLimits(h Header, body []byte, l Limits) error {
	r := reader{b: body}
	*p = Bind{
		Mode:             modeOf(h.ID),
		SystemID:         r.cstring(l.SystemID, StatusInvSystemID, "system_id"),
		Password:         r.cstring(l.Password, StatusInvPassword, "password"),
		SystemType:       r.cstring(maxSystemType, StatusInvSystemType, "system_type"),
		InterfaceVersion: r.octet("interface_version"),
		AddrTON:          TON(r.octet("addr_ton")),
		AddrNPI:          NPI(r.octet("addr_npi")),
		AddressRange:     r.cstring(maxAddressRange, StatusBindFail, "address_range"),
		TLVs:             r.tlvs(),
	}
	return r.done()
}

// Validate finds a field that may not be sent.
func (p *Bind) Validate(l Limits) error {
	var v validator
	v.cstring(p.SystemID, l.SystemID, StatusInvSystemID, "system_id")
	v.cstring(p.Password, l.Password, StatusInvPassword, "password")
	v.cstring(p.SystemType, maxSystemType, StatusInvSystemType, "system_type")
	v.cstring(p.AddressRange, maxAddressRange, StatusBindFail, "address_range")
	v.tlvs(p.TLVs)
	return v.done()
}

// BindResp answers a Bind. A refusal may come without a body.
type BindResp struct {
	Mode     BindMode
	Status   CommandStatus
	SystemID []byte // of the SMSC
	TLVs     TLVs   // sc_interface_version
}

// CommandID follows Mode.
func (p *BindResp) CommandID() CommandID { return p.Mode.CommandID().Response() }

// AppendTo implements PDU.
func (p *BindResp) AppendTo(dst []byte, seq uint32) []byte {
	return appendIDResp(dst, p.CommandID(), p.Status, seq, p.SystemID, p.TLVs)
}

// Decode implements PDU. A system_id of up to 64 octets is accepted.
func (p *BindResp) Decode(h Header, body []byte) error {
	r := reader{b: body}
	*p = BindResp{
		Mode:     modeOf(h.ID),
		Status:   h.Status,
		SystemID: r.lenientID(RelaxedLimits.SystemID, StatusInvSystemID, "system_id"),
		TLVs:     r.tlvsOfAnswer(),
	}
	return r.done()
}

// Outbind asks an ESME to bind as receiver; SMPP 3.4 §4.1.7. It has no answer.
type Outbind struct {
	SystemID []byte // ≤ 15 octets
	Password []byte // ≤ 8 octets
}

// CommandID implements PDU.
func (*Outbind) CommandID() CommandID { return OutbindID }

// AppendTo implements PDU.
func (p *Outbind) AppendTo(dst []byte, seq uint32) []byte {
	start := len(dst)
	dst = begin(dst, OutbindID, 0, seq)
	dst = appendCString(dst, p.SystemID)
	dst = appendCString(dst, p.Password)
	return end(dst, start)
}

// Decode implements PDU.
func (p *Outbind) Decode(_ Header, body []byte) error {
	r := reader{b: body}
	*p = Outbind{
		SystemID: r.cstring(maxSystemID, StatusInvSystemID, "system_id"),
		Password: r.cstring(maxPassword, StatusInvPassword, "password"),
	}
	return r.done()
}

// lenientID reads the leading C-octet string of a response. A missing body
// (refusals, SMPP 3.4 §4.4.2) and a forgotten NUL at its end are understood:
// an answer that cannot be read would leave its request in doubt.
func (r *reader) lenientID(limit int, status CommandStatus, field string) []byte {
	if len(r.b) == 0 {
		return nil
	}
	if len(r.b) < limit && indexNUL(r.b) < 0 {
		v := r.b[:len(r.b):len(r.b)]
		r.b = nil
		return v
	}
	return r.cstring(limit, status, field)
}

func indexNUL(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return -1
}

// appendIDResp appends a response that is a C-octet string and TLVs. A
// refusal without either has no body.
func appendIDResp(dst []byte, id CommandID, st CommandStatus, seq uint32, s []byte, t TLVs) []byte {
	if st != StatusOK && len(s) == 0 && len(t) == 0 {
		return AppendHeader(dst, Header{ID: id, Status: st, Sequence: seq}, 0)
	}
	start := len(dst)
	dst = begin(dst, id, st, seq)
	dst = appendCString(dst, s)
	dst = append(dst, t...)
	return end(dst, start)
}
