package smppserver

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
	"izinli/gateway/sms"
)

// networkGSM is the network type of network_error_code (SMPP 3.4 §5.3.2.31).
const networkGSM = 3

// fate is what a client's answers make of a delivery, that of the part which
// is to be repeated most.
type fate uint8

const (
	fateTaken   fate = iota
	fateNever        // refused for good
	fateRefused      // refused by a status that says neither that nor that it passes
	fateAgain        // no answer, or none for now
)

// delivery is one thing owed on its way to a client: a receipt, or a message
// from a handset of one or more parts. It is its own callback for the link.
type delivery struct {
	pump  *pump
	due   gateway.ReceiptDue
	parts []sms.Segment // of a message; nil for receipts
	tries int
	next  time.Time // not before

	refusals int // by fateRefused

	// The PDUs as written for the bind it went out on; owned by the pump until
	// sent, by the link until the last answer.
	buf  []byte
	ends []int

	// Guarded by the pump's mu.
	left int
	fate fate
}

// AppendPDU implements smpplink.Requests.
func (d *delivery) AppendPDU(dst []byte, i int, seq uint32) []byte {
	start := 0
	if i > 0 {
		start = d.ends[i-1]
	}
	at := len(dst)
	dst = append(dst, d.buf[start:d.ends[i]]...)
	binary.BigEndian.PutUint32(dst[at+12:], seq) // sequence_number, SMPP 3.4 §3.2
	return dst
}

// Answered implements smpplink.Requests.
func (d *delivery) Answered(_ int, r smpplink.Result) {
	f := fateAgain
	if r.Kind == smpplink.Answered {
		f = fateOf(r.Header)
	}
	d.pump.answered(d, f, r)
}

// fateOf reads the answer to a deliver_sm.
func fateOf(h smpp.Header) fate {
	switch {
	case h.Status == smpp.StatusOK && h.ID != smpp.GenericNackID:
		return fateTaken
	case h.Status == smpp.StatusOK:
		return fateAgain
	case h.Status == smpp.StatusPermAppErr || h.Status == smpp.StatusRejectAppErr: // SMPP 3.4 §4.6.2
		return fateNever
	}
	switch h.Status.Advice() {
	case smpp.AdviceNever, smpp.AdviceLimited:
		return fateRefused
	}
	return fateAgain
}

// since is when the delivery came to be owed; zero if that is not known.
func (d *delivery) since() time.Time {
	if d.due.MO != nil {
		return d.due.MO.At
	}
	return d.due.Done
}

// count is how many PDUs the delivery takes.
func (d *delivery) count() int { return max(len(d.parts), 1) }

// writer builds deliveries. Its buffers are used again; one goroutine uses it.
type writer struct {
	loc  *time.Location
	text []byte
	tlvs smpp.TLVs
}

// write builds the PDUs of d for a bind of that version. 3.3 knows no TLVs.
func (w *writer) write(d *delivery, version uint8) {
	d.buf, d.ends = d.buf[:0], d.ends[:0]
	if d.due.MO == nil {
		w.receipt(d, version)
		return
	}
	mo := d.due.MO
	m := smpp.DeliverSM{Source: guessAddress(mo.From), Dest: guessAddress(mo.To)}
	for i := range d.parts {
		p := &d.parts[i]
		m.ESMClass, m.DataCoding = smpp.ESMClass(p.ESMClass()), smpp.DataCoding(p.DataCoding)
		w.text = p.AppendShortMessage(w.text[:0])
		m.ShortMessage = w.text
		d.add(&m)
	}
	if len(d.parts) == 0 { // an empty message is a message
		d.add(&m)
	}
}

func (d *delivery) add(m *smpp.DeliverSM) {
	d.buf = m.AppendTo(d.buf, 0)
	d.ends = append(d.ends, len(d.buf))
}

// receipt builds the receipt: source and destination swapped, text form and
// TLVs saying the same, nothing of the message's text (sms.md §3).
func (w *writer) receipt(d *delivery, version uint8) {
	due := &d.due
	code := receiptErr(due)
	r := smpp.Receipt{MessageID: []byte(receiptID(due)), Sub: -1, Delivered: -1, SubmitDate: in(due.Submitted, w.loc),
		DoneDate: in(due.Done, w.loc), State: messageState(due.State, false), Err: code[:]}
	w.text = r.AppendText(w.text[:0])
	m := smpp.DeliverSM{Source: wireAddress(due.To, due.DestTON, due.DestNPI), Dest: wireAddress(due.From, due.SourceTON, due.SourceNPI),
		ESMClass: smpp.ESMReceipt, ShortMessage: w.text}
	if version >= smpp.Version34 {
		if n, err := strconv.ParseUint(string(code[:]), 10, 16); err == nil {
			r.NetworkType, r.NetworkError = networkGSM, uint16(n)
		}
		w.tlvs = r.AppendTLVs(w.tlvs[:0])
		m.TLVs = w.tlvs
	}
	d.add(&m)
}

// receiptID is the id the client holds: that of its part, or of the message. A
// submit_multi was answered with the id of its first message.
func receiptID(due *gateway.ReceiptDue) string {
	if due.Part != "" {
		return due.Part
	}
	return due.Message.Ref().Message(0).String()
}

func in(t time.Time, loc *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(loc)
}

// segments cuts the text of a message from a handset into as many parts as it
// needs, at most limit: the letters stay, and what is no text is shown as such.
func segments(text string, ref uint16, limit int) []sms.Segment {
	text = strings.ToValidUTF8(text, "\uFFFD")
	for text != "" {
		parts, err := sms.Split(text, sms.Policy{MaxSegments: limit}, ref)
		if err == nil {
			return parts
		}
		if len(text) < 16 { // nothing to be cut
			return nil
		}
		// Longer than a client's window: a cut message beats none.
		text = strings.ToValidUTF8(text[:len(text)*3/4], "")
	}
	return nil
}
