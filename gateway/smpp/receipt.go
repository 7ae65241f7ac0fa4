package smpp

import (
	"bytes"
	"strconv"
	"time"
)

// Receipt is what a delivery receipt tells. Its text form is no standard but
// an example in SMPP 3.4 Appendix B that everyone follows, more or less:
//
//	id:IIIIIIIIII sub:SSS dlvrd:DDD submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DDDDDDD err:E text:…
//
// Slices alias the PDU it was read from.
type Receipt struct {
	MessageID    []byte // as the operator wrote it; see IDRule
	Sub          int    // messages submitted; -1 if absent
	Delivered    int    // messages delivered; -1 if absent
	SubmitDate   time.Time
	DoneDate     time.Time
	State        MessageState // StateNone if it is not told
	Err          []byte       // operator's own code, often not a number
	Text         []byte       // start of the message, if the operator repeats it
	NetworkType  uint8        // of network_error_code: 1 ANSI-136, 2 IS-95, 3 GSM; 0 if absent
	NetworkError uint16       // of network_error_code
}

// receiptTextMax is how much of the message a receipt repeats, in octets.
const receiptTextMax = 20

// AppendText appends the text form: dates in their own location, counts and
// err padded to three characters, text cut to 20 octets. Counts of -1 are
// written as 001 for sub and as 001 or 000, by State, for dlvrd; a zero date
// as ten zeros.
func (r *Receipt) AppendText(dst []byte) []byte {
	sub, delivered := r.Sub, r.Delivered
	if sub < 0 {
		sub = 1
	}
	if delivered < 0 {
		delivered = 0
		if r.State == StateDelivered {
			delivered = 1
		}
	}
	dst = append(append(dst, "id:"...), r.MessageID...)
	dst = appendPadded(append(dst, " sub:"...), strconv.AppendInt(nil, int64(sub), 10))
	dst = appendPadded(append(dst, " dlvrd:"...), strconv.AppendInt(nil, int64(delivered), 10))
	dst = appendReceiptDate(append(dst, " submit date:"...), r.SubmitDate)
	dst = appendReceiptDate(append(dst, " done date:"...), r.DoneDate)
	dst = append(append(dst, " stat:"...), r.State.Stat()...)
	dst = appendPadded(append(dst, " err:"...), r.Err)
	dst = append(dst, " text:"...)
	return append(dst, r.Text[:min(len(r.Text), receiptTextMax)]...)
}

// AppendTLVs appends receipted_message_id, message_state and, if there is
// one, network_error_code.
func (r *Receipt) AppendTLVs(t TLVs) TLVs {
	t = t.AppendCString(TagReceiptedMessageID, string(r.MessageID))
	if r.State != StateNone {
		t = t.AppendUint8(TagMessageState, uint8(r.State))
	}
	if r.NetworkType != 0 {
		t = t.Append(TagNetworkErrorCode, []byte{r.NetworkType, byte(r.NetworkError >> 8), byte(r.NetworkError)})
	}
	return t
}

func appendPadded(dst, v []byte) []byte {
	for n := len(v); n < 3; n++ {
		dst = append(dst, '0')
	}
	return append(dst, v...)
}

func appendReceiptDate(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "0000000000"...)
	}
	return appendDate(dst, t, false)
}

// ParseReceipt reads the receipt in d: TLVs first, the text for what they do
// not tell. Dates are taken to be in loc, since the form has no zone. It
// reports false if neither gives a message id; whether d claims to be a
// receipt at all is for its esm_class to say ([ESMClass.IsReceipt]), and some
// operators forget to set it.
func ParseReceipt(d *DeliverSM, loc *time.Location) (Receipt, bool) {
	text := d.ShortMessage
	if len(text) == 0 {
		text, _ = d.TLVs.Get(TagMessagePayload)
	}
	if d.ESMClass&ESMUDHI != 0 && len(text) > int(first(text)) {
		text = text[1+int(text[0]):]
	}
	if d.DataCoding == DCUCS2 {
		text = narrow(text)
	}
	r := ParseReceiptText(text, loc)
	if id, ok := d.TLVs.CString(TagReceiptedMessageID); ok && len(id) > 0 {
		r.MessageID = id
	}
	if st, ok := d.TLVs.Uint8(TagMessageState); ok && int(st) < len(stateStats) {
		r.State = MessageState(st)
	}
	if ne, ok := d.TLVs.Get(TagNetworkErrorCode); ok && len(ne) == 3 {
		r.NetworkType, r.NetworkError = ne[0], uint16(ne[1])<<8|uint16(ne[2])
	}
	return r, len(r.MessageID) > 0
}

func first(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// narrow takes UCS-2 that holds only Latin-1 apart; anything else is returned
// as it is and will not parse.
func narrow(b []byte) []byte {
	if len(b)%2 != 0 {
		return b
	}
	out := make([]byte, 0, len(b)/2)
	for i := 0; i < len(b); i += 2 {
		if b[i] != 0 {
			return b
		}
		out = append(out, b[i+1])
	}
	return out
}

// label of a receipt's text. The order is that of labelForms.
type label uint8

const (
	labelID label = iota
	labelSub
	labelDelivered
	labelSubmitDate
	labelDoneDate
	labelStat
	labelErr
	labelText
	labelNone
)

// labelForms are the labels as they are met, lower case.
var labelForms = []struct {
	form  string
	label label
}{
	{"id:", labelID},
	{"sub:", labelSub},
	{"dlvrd:", labelDelivered},
	{"submit date:", labelSubmitDate},
	{"submit_date:", labelSubmitDate},
	{"submitdate:", labelSubmitDate},
	{"done date:", labelDoneDate},
	{"done_date:", labelDoneDate},
	{"donedate:", labelDoneDate},
	{"stat:", labelStat},
	{"status:", labelStat},
	{"err:", labelErr},
	{"error:", labelErr},
	{"text:", labelText},
}

// ParseReceiptText reads the text form as leniently as operators write it:
// labels in any case and order, any of them missing, blanks after the colon,
// dates of 10, 12 or 14 digits, err and id that are not numbers. The first of
// a repeated label counts, and once id and stat are known everything after
// "text:" is the message's, so that a text that looks like a receipt cannot
// change one.
func ParseReceiptText(b []byte, loc *time.Location) Receipt {
	r := Receipt{Sub: -1, Delivered: -1, State: StateNone}
	var seen [labelNone]bool
	for i := 0; i < len(b); {
		l, n := labelAt(b, i)
		if l == labelNone {
			i++
			continue
		}
		i += n
		if l == labelText && seen[labelID] && seen[labelStat] {
			r.Text = b[i:]
			break
		}
		v, next := valueAt(b, i, l == labelText)
		i = next
		if seen[l] {
			continue
		}
		seen[l] = true
		r.set(l, v, loc)
	}
	return r
}

func (r *Receipt) set(l label, v []byte, loc *time.Location) {
	switch l {
	case labelID:
		r.MessageID = v
	case labelSub:
		r.Sub = count(v)
	case labelDelivered:
		r.Delivered = count(v)
	case labelSubmitDate:
		r.SubmitDate = parseReceiptDate(v, loc)
	case labelDoneDate:
		r.DoneDate = parseReceiptDate(v, loc)
	case labelStat:
		r.State = ParseStat(v)
	case labelErr:
		r.Err = v
	case labelText:
		r.Text = v
	}
}

// labelAt finds the label that starts at i, which must be the start of a word.
func labelAt(b []byte, i int) (label, int) {
	if i > 0 && !blank(b[i-1]) && !separator(b[i-1]) {
		return labelNone, 0
	}
	for k := range labelForms {
		if f := labelForms[k].form; len(b)-i >= len(f) && foldEqual(b[i:i+len(f)], f) {
			return labelForms[k].label, len(f)
		}
	}
	return labelNone, 0
}

// valueAt returns the word at i, empty if a label stands there, and where to
// go on. A text that is not last goes up to the next label.
func valueAt(b []byte, i int, text bool) ([]byte, int) {
	if text {
		for j := i; j < len(b); j++ {
			if l, _ := labelAt(b, j); l != labelNone {
				return bytes.TrimRight(b[i:j], " "), j
			}
		}
		return b[i:], len(b)
	}
	for i < len(b) && blank(b[i]) {
		i++
	}
	if l, _ := labelAt(b, i); l != labelNone {
		return nil, i
	}
	start := i
	for ; i < len(b) && !blank(b[i]); i++ {
		if separator(b[i]) {
			if l, _ := labelAt(b, i+1); l != labelNone {
				break
			}
		}
	}
	return b[start:i:i], i
}

// parseReceiptDate reads 10 (YYMMDDhhmm), 12 (with seconds, or a four-digit
// year without) or 14 (yyyyMMddHHmmss) digits; the zero time otherwise.
func parseReceiptDate(v []byte, loc *time.Location) time.Time {
	if !digits(v) {
		return time.Time{}
	}
	switch len(v) {
	case 10, 12:
		sec := 0
		if len(v) == 12 {
			sec = two(v[10:])
		}
		t, ok := date(2000+two(v), two(v[2:]), two(v[4:]), two(v[6:]), two(v[8:]), sec, loc)
		if ok || len(v) == 10 {
			return zeroUnless(t, ok)
		}
		return zeroUnless(date(two(v)*100+two(v[2:]), two(v[4:]), two(v[6:]), two(v[8:]), two(v[10:]), 0, loc))
	case 14:
		return zeroUnless(date(two(v)*100+two(v[2:]), two(v[4:]), two(v[6:]), two(v[8:]), two(v[10:]), two(v[12:]), loc))
	}
	return time.Time{}
}

func zeroUnless(t time.Time, ok bool) time.Time {
	if !ok {
		return time.Time{}
	}
	return t
}

// count reads up to five digits; -1 otherwise.
func count(v []byte) int {
	if len(v) == 0 || len(v) > 5 || !digits(v) {
		return -1
	}
	n := 0
	for _, c := range v {
		n = n*10 + int(c-'0')
	}
	return n
}

func blank(c byte) bool     { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0 }
func separator(c byte) bool { return c == ',' || c == ';' || c == '|' }

// foldEqual compares b with lower-case ASCII.
func foldEqual(b []byte, lower string) bool {
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
