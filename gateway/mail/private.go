package mail

import "strings"

// Private header fields: instructions of an authenticated sender to the gateway (design §5). They never leave the house.
const (
	HeaderClass         = "X-Message-Class"      // commercial, transactional, otp
	HeaderBrand         = "X-IYS-Brand-Code"     // brandCode
	HeaderRecipientType = "X-IYS-Recipient-Type" // BIREYSEL, TACIR
	HeaderReason        = "X-Message-Reason"     // of a transactional message
	HeaderSMSSender     = "X-SMS-Sender"         // title of a message that becomes an SMS
)

// privatePrefix names what is ours alone and never accepted from anyone.
const privatePrefix = "x-izinli-"

// private are the names never relayed: instructions to us, the blind copies, and the return path, which only the final delivery
// may write (RFC 5321 §4.4).
var private = [...]string{HeaderClass, HeaderBrand, HeaderRecipientType, HeaderReason, HeaderSMSSender, "Bcc", "Resent-Bcc", "Return-Path"}

// Private reports whether a field of that name, in any case, must not be relayed.
func Private(name string) bool {
	for _, p := range private {
		if len(p) == len(name) && strings.EqualFold(p, name) {
			return true
		}
	}
	return len(name) >= len(privatePrefix) && strings.EqualFold(name[:len(privatePrefix)], privatePrefix)
}

// Envelope marks. A mail travels as a gateway.Submission with its Body; what SMTP said beside the message stands in Headers and
// in the Vars of each recipient under names no header field and no template variable can have. They are absent where the
// client said nothing. A mail that becomes an SMS has them too: its submitter is told by notifications like any other.
const (
	MarkFrom   = ":mail-from" // in Headers: the reverse-path; "" is the null one
	MarkEnvID  = ":envid"     // in Headers: ENVID (RFC 3461 §4.4), decoded
	MarkReturn = ":ret"       // in Headers: FULL or HDRS (§4.3)
	MarkHead   = ":head"      // in Headers: the fields a notification quotes, at most MaxQuoted octets
	MarkFooter = ":footer"    // in Headers: "1" when the sender's details have to be added at hand-off
	MarkLink   = ":link"      // in Headers: "1" when a text names VarUnsubscribe, which has to be filled in at hand-off
	MarkUTF8   = ":smtputf8"  // in Headers: "1" when declared (RFC 6531)
	MarkNotify = ":notify"    // in Vars: NEVER, or a list of SUCCESS FAILURE DELAY with commas (RFC 3461 §4.1)
	MarkORcpt  = ":orcpt"     // in Vars: type;address as the client wrote it, decoded (§4.2)
	MarkRcpt   = ":rcpt"      // in Vars: the address of RCPT where the recipient has another: a number
)

// VarUnsubscribe is the template variable that stands for the recipient's unsubscribe link; it is filled in at hand-off.
const VarUnsubscribe = "unsubscribe_url"

// ValidName reports whether a field can have the name (RFC 5322 §2.2).
func ValidName(name string) bool { return validName([]byte(name)) }

// Notifies reports whether a NOTIFY value names a wish: SUCCESS, FAILURE, DELAY.
func Notifies(value, wish string) bool {
	for w := range strings.SplitSeq(value, ",") {
		if strings.EqualFold(strings.TrimSpace(w), wish) {
			return true
		}
	}
	return false
}

// MaxQuoted bounds what is kept of a header for notifications about the message.
const MaxQuoted = 4 << 10

// MaxReturned bounds what a notification returns of a whole message (RET=FULL, RFC 3461 §4.3), in octets; of a larger one it is the
// header. So much is kept until the notification has gone, and leaves in it.
const MaxReturned = 64 << 10

// Quoted is the part of a header that tells its author which message a notification is about.
func (h Header) Quoted() string {
	var b strings.Builder
	for _, f := range h {
		switch strings.ToLower(f.Name) {
		case "from", "to", "cc", "subject", "date", "message-id", "reply-to", "in-reply-to", "sender", "list-id":
			if b.Len()+len(f.Raw) <= MaxQuoted {
				b.Write(f.Raw)
			}
		}
	}
	return b.String()
}
