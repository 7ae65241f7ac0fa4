package smpptest

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"izinli/gateway/smpp"
)

// IDFormat is how a message id is written.
type IDFormat uint8

// Formats of the ids, which count from 0x1000000A.
const (
	IDDecimal  IDFormat = iota // 268435466
	IDHex                      // 1000000a
	IDHexUpper                 // 1000000A
	IDPadded                   // 0000000268435466
)

// format writes an id.
func (f IDFormat) appendTo(dst []byte, id uint64) []byte {
	switch f {
	case IDHex:
		return strconv.AppendUint(dst, id, 16)
	case IDHexUpper:
		return append(dst, strings.ToUpper(strconv.FormatUint(id, 16))...)
	case IDPadded:
		return fmt.Appendf(dst, "%016d", id)
	}
	return strconv.AppendUint(dst, id, 10)
}

// ReceiptForm is where a receipt tells its story.
type ReceiptForm uint8

// Forms.
const (
	TextAndTLVs ReceiptForm = iota
	TextOnly
	TLVsOnly
)

// Receipts is the policy for delivery receipts. They are sent only for
// messages whose registered_delivery asks for the state they end in.
type Receipts struct {
	Off   bool
	Delay time.Duration // from acceptance to receipt
	Form  ReceiptForm
	ID    IDFormat
	// Location of the dates in the text. Default UTC+3.
	Location *time.Location
	// RetryDelay is how long after a failed delivery the next try comes.
	// Default 1 s.
	RetryDelay time.Duration
}

// Rule says what happens to messages whose destination fits.
type Rule struct {
	// Prefix and Suffix of the destination; empty ones always fit.
	Prefix, Suffix string
	// Chance that the rule applies to a message that fits, 0 to 1; 0 is
	// always, so that a rule is always meant.
	Chance float64
	// Status to refuse with; smpp.StatusOK accepts.
	Status smpp.CommandStatus
	// Silent: the message is taken and never answered.
	Silent bool
	// State the message ends in, as the receipt tells it. Default DELIVRD.
	State smpp.MessageState
	// Err of the receipt. Default 000.
	Err string
	// NoReceipt: none comes, although it was asked for.
	NoReceipt bool
	// Reply, if set, is a text the handset answers with, to the message's
	// source or, if that is no number, to ReplyTo.
	Reply, ReplyTo string
	ReplyDelay     time.Duration
}

func (r *Rule) fits(dest string, chance func() float64) bool {
	return strings.HasPrefix(dest, r.Prefix) && strings.HasSuffix(dest, r.Suffix) &&
		(r.Chance == 0 || chance() < r.Chance)
}

// Config of an operator. The zero value takes everybody and everything.
type Config struct {
	// Addr to listen on. Default 127.0.0.1:0.
	Addr string
	// NoListen opens no socket: connections are made with Server.Dial. A test
	// inside a synctest bubble needs that, since a listener never idles there.
	NoListen bool
	// TLS, if set, is spoken from the first octet.
	TLS *tls.Config
	// SystemID of the operator in bind responses. Default SMSC.
	SystemID string
	// Accounts are passwords by system_id; nil takes anybody.
	Accounts map[string]string
	// Latency from a request to its response.
	Latency time.Duration
	// TPS bounds submits per system_id and second; more get
	// ESME_RTHROTTLED. 0: no bound.
	TPS int
	// Rules, of which the first that fits counts.
	Rules []Rule
	// ID is how submit_sm_resp writes message ids.
	ID       IDFormat
	Receipts Receipts
	// Window bounds deliveries in flight per session. Default 100.
	Window int
	// Record keeps every PDU; see Received. It costs memory.
	Record bool
	// Dedupe counts messages by hash of addresses and text; see Stats.
	Dedupe bool
	// Tap, if set, is called with every accepted message, before it is
	// answered. It must neither block nor keep what it is given.
	Tap func(*smpp.SubmitSM)
	// Watch, if set, is called with every message that could be read and the
	// status it gets, refusals too, as it comes. What it returns, if anything,
	// is called once the answer was written to the connection; never, if it was
	// not. Neither may block or keep what it is given.
	Watch func(m *smpp.SubmitSM, status smpp.CommandStatus) (answered func())
	// OnDrop, if set, is told before DropAll or DropAfter cut the connections.
	OnDrop func()
	// Seed of the rules' chances.
	Seed uint64
	// Timers of the sessions; zero fields take smpplink's defaults.
	Timers smpp.TimerConfig
	// Logger, if set, is told about binds and their ends.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.SystemID == "" {
		c.SystemID = "SMSC"
	}
	if c.Window == 0 {
		c.Window = 100
	}
	if c.Receipts.Location == nil {
		c.Receipts.Location = time.FixedZone("+03", 3*60*60)
	}
	if c.Receipts.RetryDelay == 0 {
		c.Receipts.RetryDelay = time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for i := range c.Rules {
		if c.Rules[i].State == smpp.StateScheduled {
			c.Rules[i].State = smpp.StateDelivered
		}
		if c.Rules[i].Err == "" {
			c.Rules[i].Err = "000"
		}
	}
	return c
}
