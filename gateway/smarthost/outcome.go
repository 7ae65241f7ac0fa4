package smarthost

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// Kind is what became of a recipient.
type Kind uint8

// The kinds.
const (
	TryLater  Kind = iota // not delivered, may be tried again: 4xx, no host, connection lost before the end of the data
	Delivered             // the host took responsibility
	Permanent             // refused for good: 5xx
	Doubt                 // all was sent and no answer came: delivered or not
)

var kindNames = [...]string{"try later", "delivered", "permanent", "doubt"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "none"
}

// Outcome is what became of one recipient.
type Outcome struct {
	To       string
	Kind     Kind
	Code     int    // of the reply; 0 without one
	Enhanced string // enhanced status code (RFC 3463), where there was one
	Text     string // of the reply, one line, without codes; or what went wrong here
	Host     string
	// Command is what the reply answered: MAIL, RCPT, or DATA for all of the message. Empty: no server said it.
	Command string
	QueueID string // what the host calls the message, of Delivered ones
	// DSN says that the host took over the wishes for notices (RFC 3461): of Delivered ones. Otherwise telling the sender
	// of a delivery stays with us.
	DSN bool
	// hostless: nothing was said about the recipient; another host may be tried.
	hostless bool
}

// Unasked reports whether the host was never asked about the recipient: another host may be tried at once.
func (o Outcome) Unasked() bool { return o.hostless }

// Reply is what the host said, code and text in one line.
func (o Outcome) Reply() string {
	if o.Code == 0 {
		return o.Text
	}
	return reply{o.Code, o.Enhanced, o.Text}.String()
}

// Result of a delivery: an outcome for every recipient, in order.
type Result struct {
	Outcomes []Outcome
	// Held is the error of HandOff, when it stopped the message; the outcomes are TryLater then and nothing was sent.
	Held error
	// RetryAfter is when a host will be tried again, when all of them rest.
	RetryAfter time.Time
}

// Recipient is one envelope recipient.
type Recipient struct {
	Addr   string
	Notify string // NOTIFY value (RFC 3461 §4.1); empty: not said
	ORcpt  string // type;address, decoded (§4.2)
}

// Message is one message and its envelope.
type Message struct {
	From string // reverse-path; empty: the null one
	To   []Recipient
	Body func() (io.ReadCloser, error) // canonical lines; opened once per attempt
	Size int64                         // of the body, for SIZE; 0: unknown
	UTF8 bool                          // needs SMTPUTF8: the header has octets above 127
	// EightBit: needs 8BITMIME: the body has octets above 127.
	EightBit bool
	// Lower makes the message that needs neither, for a host that lacks one of them; nil: there is none, and the host is not asked.
	Lower  func() (*Composed, error)
	EnvID  string // ENVID (RFC 3461 §4.4), decoded
	Return string // FULL or HDRS
	// HandOff is called directly before the write that begins the data; an error stops the message. Nil: none.
	HandOff func(ctx context.Context) error
}

// reply is an answer of the host.
type reply struct {
	code     int
	enhanced string
	text     string
}

func (r reply) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.code, strings.TrimSpace(r.enhanced+" "+r.text)))
}

// kind sorts by the first digit (RFC 5321 §4.2.1).
func (r reply) kind() Kind {
	switch r.code / 100 {
	case 2:
		return Delivered
	case 5:
		return Permanent
	}
	return TryLater
}

func (r reply) outcome(to, host, command string) Outcome {
	return Outcome{To: to, Kind: r.kind(), Code: r.code, Enhanced: r.enhanced, Text: r.text, Host: host, Command: command}
}

// queueIDs are the ways servers name a message they took, the surest first.
var queueIDs = []*regexp.Regexp{
	regexp.MustCompile(`(?i)queued as ([A-Za-z0-9._-]{3,64})`), // Postfix, go-smtp, izinli
	regexp.MustCompile(`\bid=([A-Za-z0-9._-]{3,64})`),          // Exim
	regexp.MustCompile(`(?i)^(?:OK|Ok:)?\s+\d{9,}\s+([A-Za-z0-9._-]{8,64}) - gsmtp`),
	regexp.MustCompile(`^([A-Za-z0-9]{8,32}) Message accepted`), // Sendmail
	regexp.MustCompile(`<([^<>\s]{3,200})> \[InternalId`),       // Exchange
	regexp.MustCompile(`(?i)message id[ :]+<?([A-Za-z0-9._@-]{3,200})`),
}

// queueID finds it, or takes the text.
func queueID(text string) string {
	for _, re := range queueIDs {
		if m := re.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	if len(text) > 64 {
		text = text[:64]
	}
	return text
}
