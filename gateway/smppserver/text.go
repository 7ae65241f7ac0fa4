package smppserver

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/sms"
)

// userOctets is the room of one short message (3GPP TS 23.040 §9.2.3.24).
const userOctets = 140

// userData is the text of a request, taken apart. Slices alias the PDU unless
// a header was made for it here.
type userData struct {
	udh    []byte // with its length octet; nil if none
	body   []byte
	concat sms.Concat // present on a part of a long message
	enc    sms.Encoding
	text   string // decoded; empty for binary data
}

// readUserData takes short_message or message_payload apart. Every error is a
// *smpp.FieldError with the status to answer.
func readUserData(m *smpp.SubmitSM, v50 bool) (userData, error) {
	var d userData
	if err := m.TLVs.CheckLengths(); err != nil {
		return d, err
	}
	payload, err := m.Payload()
	if err != nil {
		return d, err
	}
	if len(payload) == 0 {
		if m.DefaultMsgID != 0 { // no texts of ours are kept for clients
			return d, &smpp.FieldError{Status: smpp.StatusInvDefaultMsgID, Field: "sm_default_msg_id", Reason: "names no message"}
		}
		return d, &smpp.FieldError{Status: smpp.StatusInvMsgLen, Field: "sm_length", Reason: "leaves no text"}
	}
	d.body = payload
	var u sms.UDH
	if m.ESMClass&smpp.ESMUDHI != 0 {
		var n int
		if u, n, err = sms.ParseUDH(payload); err != nil {
			return d, &smpp.FieldError{Status: smpp.StatusInvESMClass, Field: "short_message", Reason: "has a malformed user data header"}
		}
		d.udh, d.body = payload[:n:n], payload[n:]
	}
	if err := d.tie(m, &u); err != nil {
		return d, err
	}
	d.address(m, &u)
	return d, d.decode(m, v50)
}

// tie finds what makes the message a part of a longer one: an element of the
// header, else the SAR parameters (SMPP 3.4 §5.3.2.22–24).
func (d *userData) tie(m *smpp.SubmitSM, u *sms.UDH) error {
	d.concat = u.Concat
	if d.concat.Present() {
		if !d.concat.Valid() {
			return &smpp.FieldError{Status: smpp.StatusInvESMClass, Field: "short_message", Reason: "is a part that does not exist"}
		}
	} else {
		ref, a := m.TLVs.Uint16(smpp.TagSarMsgRefNum)
		total, b := m.TLVs.Uint8(smpp.TagSarTotalSegments)
		seq, c := m.TLVs.Uint8(smpp.TagSarSegmentSeqnum)
		if !a && !b && !c {
			return nil
		}
		if !a || !b || !c {
			return &smpp.FieldError{Status: smpp.StatusMissingTLV, Field: "sar_msg_ref_num", Reason: "comes without its companions"}
		}
		d.concat = sms.SAR(ref, total, seq)
		if !d.concat.Valid() {
			return &smpp.FieldError{Status: smpp.StatusInvTLVValue, Field: "sar_segment_seqnum", Reason: "is a part that does not exist"}
		}
	}
	if d.concat.Total == 1 { // one of one: the message stands alone
		d.concat = sms.Concat{}
	}
	return nil
}

// address turns the port parameters into the header element that carries them
// over the air (3GPP TS 23.040 §9.2.3.24.4), unless the client did.
func (d *userData) address(m *smpp.SubmitSM, u *sms.UDH) {
	dst, ok := m.TLVs.Uint16(smpp.TagDestinationPort)
	if !ok || u.Ports {
		return
	}
	src, _ := m.TLVs.Uint16(smpp.TagSourcePort)
	d.udh = addElement(d.udh, 0x05, byte(dst>>8), byte(dst), byte(src>>8), byte(src))
}

func (d *userData) decode(m *smpp.SubmitSM, v50 bool) error {
	var known bool
	d.enc, known = sms.Describe(byte(m.DataCoding), d.udh, sms.AlphabetGSM7)
	if !known {
		status := smpp.StatusInvTLVValue // what 3.4 has for it
		if v50 {
			status = smpp.StatusInvDataCoding
		}
		return &smpp.FieldError{Status: status, Field: "data_coding", Reason: "is not one we can read"}
	}
	var err error
	d.text, err = sms.Decode(byte(m.DataCoding), d.udh, d.body, sms.AlphabetGSM7)
	switch {
	case err == nil || errors.Is(err, sms.ErrBinary):
	case errors.Is(err, sms.ErrDamaged):
		// A part may end inside an escape or surrogate pair, which its
		// neighbour completes; a message that stands alone may not.
		if !d.concat.Present() {
			return &smpp.FieldError{Status: smpp.StatusSubmitFail, Field: "short_message", Reason: "is not written in its data_coding"}
		}
	default:
		return &smpp.FieldError{Status: smpp.StatusInvESMClass, Field: "short_message", Reason: "cannot be read"}
	}
	if d.concat.Present() && !d.fits() {
		return &smpp.FieldError{Status: smpp.StatusInvMsgLen, Field: "sm_length", Reason: "is more than a part can hold"}
	}
	return nil
}

// fits reports whether the data is one short message.
func (d *userData) fits() bool { return fitsIn(d.enc, len(d.udh), len(d.body)) }

func fitsIn(e sms.Encoding, udh, body int) bool {
	if e == sms.UCS2 || e == sms.Binary {
		return udh+body <= userOctets
	}
	return udh <= userOctets && body <= 160-(udh*8+6)/7
}

// put writes the text into the submission: as the client's own octets where
// they are one short message, else as text for the road in to cut.
func (d *userData) put(sub *gateway.Submission, m *smpp.SubmitSM) error {
	if d.fits() {
		sub.Text = d.text
		sub.Raw = &gateway.RawSMS{DataCoding: byte(m.DataCoding), ProtocolID: m.ProtocolID,
			Parts: []gateway.RawPart{{UDH: bytes.Clone(d.udh), Body: bytes.Clone(d.body)}}}
		return nil
	}
	national := d.enc == sms.TRSingle || d.enc == sms.TRLocking
	if d.enc == sms.Binary || len(d.udh) > 0 && (!national || len(d.udh) > 7) {
		// Octets cannot be cut without a plan of whoever reads them.
		return &smpp.FieldError{Status: smpp.StatusInvMsgLen, Field: "message_payload", Reason: "is more than one short message can hold"}
	}
	sub.Text, sub.Encoding = d.text, d.enc.String()
	switch m.DataCoding {
	case smpp.DCASCII, smpp.DCLatin1: // neither is an alphabet of the air interface
		sub.Encoding = sms.EncodingAuto.String()
	}
	if d.plain(m) {
		return nil
	}
	return d.cut(sub, m)
}

// plain reports whether the text says all there is: a message class or
// protocol id would be lost on the way, and braces would read as a variable.
func (d *userData) plain(m *smpp.SubmitSM) bool {
	switch m.DataCoding {
	case smpp.DCDefault, smpp.DCASCII, smpp.DCLatin1, smpp.DCUCS2:
		return m.ProtocolID == 0 && !strings.Contains(d.text, "{{")
	}
	return false
}

// cut makes the parts here, for texts that cannot be handed over as text.
func (d *userData) cut(sub *gateway.Submission, m *smpp.SubmitSM) error {
	e, err := sms.ParseEncoding(sub.Encoding)
	if err != nil {
		return err
	}
	segments, err := sms.Split(d.text, sms.Policy{Encoding: e, NationalTables: e == sms.TRSingle || e == sms.TRLocking},
		uint16(rand.Uint32()))
	switch {
	case errors.Is(err, sms.ErrTooLong):
		return gateway.Refuse(gateway.CodeTextTooLong, "short_message", "")
	case err != nil:
		return gateway.Refuse(gateway.CodeUnencodable, "short_message", "")
	}
	raw := &gateway.RawSMS{DataCoding: byte(m.DataCoding), ProtocolID: m.ProtocolID}
	if e == sms.EncodingAuto {
		raw.DataCoding = segments[0].DataCoding
	}
	for _, s := range segments {
		raw.Parts = append(raw.Parts, gateway.RawPart{UDH: s.UDH, Body: s.Body})
	}
	sub.Raw, sub.Encoding = raw, ""
	return nil
}

// addElement returns the header with one element more, in memory of its own.
func addElement(udh []byte, iei byte, data ...byte) []byte {
	out := make([]byte, 0, len(udh)+len(data)+3)
	out = append(out, byte(len(data)+2), iei, byte(len(data)))
	out = append(out, data...)
	if len(udh) > 0 {
		out[0] += udh[0]
		out = append(out, udh[1:]...)
	}
	return out
}
