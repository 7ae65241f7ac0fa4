package mailback

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/bounce"
	"izinli/gateway/inbound/keyword"
	"izinli/gateway/smarthost"
)

// Store is what the inbox needs of the store.
type Store interface {
	Directory() *gateway.Directory
	// Mail returns a message's batch and recipient; CodeNotFound without it.
	Mail(ctx context.Context, id gateway.MessageID) (*gateway.Batch, *gateway.Recipient, error)
	// Return returns after the sync; false when the message is not one that news could change.
	Return(ctx context.Context, r gateway.MailReturn) (bool, error)
	// Delayed passes word of a delay on to the submitter, once and if he wants it.
	Delayed(ctx context.Context, id gateway.MessageID, diagnostic string) (bool, error)
}

// Config of an inbox. Zero fields take the default.
type Config struct {
	Log *slog.Logger
	Now func() time.Time
	// Slow is told of a domain that says our mail is unwanted.
	Slow func(domain, diagnostic string)
}

// Counts are what came in since the start.
type Counts struct{ Bounces, Delivered, Complaints, Unsubscribes, Ignored uint64 }

// Inbox takes mail for ourselves.
type Inbox struct {
	cfg   Config
	store Store
	desk  gateway.ConsentDesk
	verp  *smarthost.VERP
	words *keyword.Lexicon

	bounces, delivered, complaints, unsubscribes, ignored atomic.Uint64
}

// New returns an inbox for the addresses verp makes.
func New(cfg Config, st Store, desk gateway.ConsentDesk, verp *smarthost.VERP) *Inbox {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Slow == nil {
		cfg.Slow = func(string, string) {}
	}
	words, err := keyword.Compile(keyword.Config{})
	if err != nil { // the built-in words are part of the program; a test compiles them
		panic(err)
	}
	return &Inbox{cfg: cfg, store: st, desk: desk, verp: verp, words: words}
}

// Counts returns the counters.
func (in *Inbox) Counts() Counts {
	return Counts{in.bounces.Load(), in.delivered.Load(), in.complaints.Load(), in.unsubscribes.Load(), in.ignored.Load()}
}

// roles are addresses every mail domain has (RFC 2142), and the one to give to feedback loops.
var roles = map[string]bool{"postmaster": true, "abuse": true, "fbl": true, "mailer-daemon": true}

// Accepts reports whether an address (lower case) is ours: signed by us, or a role.
func (in *Inbox) Accepts(addr string) bool {
	if _, err := in.verp.Parse(addr); err == nil {
		return true
	}
	if _, err := in.verp.ParseLeave(addr); err == nil {
		return true
	}
	local, domain, _ := strings.Cut(addr, "@")
	return domain == in.verp.Domain() && roles[local]
}

// Deliver reads a mail to its end and returns when what it means is stored. A mail that means nothing is taken and forgotten.
func (in *Inbox) Deliver(ctx context.Context, to []string, body io.Reader) error {
	rep, err := bounce.Parse(body)
	if errors.Is(err, bounce.ErrMalformed) {
		rep, err = &bounce.Report{Kind: bounce.KindOther}, nil
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil { // what Parse left
		return err
	}
	for _, addr := range to {
		if err := in.one(ctx, addr, rep); err != nil {
			return err
		}
	}
	return nil
}

func (in *Inbox) one(ctx context.Context, addr string, rep *bounce.Report) error {
	if id, err := in.verp.ParseLeave(addr); err == nil {
		if rep.Kind == bounce.KindAutoReply || rep.Kind == bounce.KindDSN { // a machine's answer is nobody's wish
			in.ignored.Add(1)
			return nil
		}
		in.unsubscribes.Add(1)
		return in.optOut(ctx, id, "mailto", false)
	}
	id, err := in.verp.Parse(addr)
	if err != nil {
		id = gateway.MessageID{}
	}
	switch rep.Kind {
	case bounce.KindComplaint:
		return in.complaint(ctx, id, rep)
	case bounce.KindDSN, bounce.KindPlain:
		if !id.IsZero() {
			return in.returned(ctx, id, rep)
		}
	case bounce.KindOther:
		if !id.IsZero() && in.refuses(rep) {
			in.unsubscribes.Add(1)
			return in.optOut(ctx, id, "mailto", false)
		}
	}
	in.ignored.Add(1)
	in.cfg.Log.Info("mail for ourselves ignored", "kind", string(rep.Kind))
	return nil
}

// refuses reports whether a reply asks for no more, by its subject or by what the person wrote himself.
func (in *Inbox) refuses(rep *bounce.Report) bool {
	for _, s := range [...]string{replyRE.ReplaceAllString(rep.Subject, ""), ownWords(rep.Text)} {
		if keyword.Parse(s, in.words).Kind == keyword.OptOut {
			return true
		}
	}
	return false
}

// What mail programs write in front of a reply's subject and of the words they quote: our own mail, which names the way to refuse.
var (
	replyRE = regexp.MustCompile(`(?i)^\s*((re|ynt|yan|cvp|fwd?|ilt)\s*:\s*)+.*`)
	quoteRE = regexp.MustCompile(`(?im)^\s*(>|-{2,} ?(original message|orijinal ileti|özgün ileti|yönlendirilen ileti|forwarded message)|_{10,}\s*$|` +
		`(from|kimden|gönderen)\s*:.*@|.{0,300}(wrote|yazdı)\s*:\s*$)`)
)

// ownWords cuts a reply off where it begins to quote.
func ownWords(text string) string {
	if at := quoteRE.FindStringIndex(text); at != nil {
		return text[:at[0]]
	}
	return text
}

// returned applies a bounce or a notice of delivery to the message its return path names. The report has one recipient, since the
// message had; of several, as forwarders write them, a failure decides.
func (in *Inbox) returned(ctx context.Context, id gateway.MessageID, rep *bounce.Report) error {
	b, r, err := in.store.Mail(ctx, id)
	if err != nil {
		return in.unknown(err)
	}
	for i := range rep.Recipients {
		x := &rep.Recipients[i]
		switch x.Action {
		case bounce.ActionFailed:
			return in.failed(ctx, id, b, r, x)
		case bounce.ActionDelivered:
			in.delivered.Add(1)
			_, err := in.store.Return(ctx, gateway.MailReturn{Message: id, State: gateway.StateDelivered})
			return in.unknown(err)
		case bounce.ActionDelayed:
			told, err := in.store.Delayed(ctx, id, oneLine(cmp.Or(strings.TrimSpace(x.Diagnostic), x.Status)))
			if !told {
				in.ignored.Add(1)
			}
			return in.unknown(err)
		}
	}
	in.ignored.Add(1) // relayed, expanded: nothing is decided
	return nil
}

func (in *Inbox) failed(ctx context.Context, id gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, x *bounce.Recipient) error {
	in.bounces.Add(1)
	text := strings.TrimSpace(x.Diagnostic)
	if text == "" {
		text = x.Status
	}
	ret := gateway.MailReturn{Message: id, State: gateway.StateUndelivered, Code: gateway.CodeBounced, Err: oneLine(text)}
	// A recipient who forwards is not the address that failed: only a report about our own recipient suppresses it.
	own := strings.EqualFold(x.Address, r.Address) || strings.EqualFold(x.Original, r.Address) || x.Address == ""
	if own && (x.Class.Suppress() || x.Class == bounce.ClassFull) {
		ret.Suppress = &gateway.Suppression{Account: b.Account, Address: r.Address, Class: string(x.Class), Text: ret.Err, Message: id, At: in.cfg.Now()}
	}
	if x.Class.Blocks() {
		in.cfg.Slow(r.Address[strings.LastIndexByte(r.Address, '@')+1:], ret.Err)
	}
	changed, err := in.store.Return(ctx, ret)
	in.cfg.Log.Info("mail came back", "msg_id", id.String(), "class", string(x.Class), "status", x.Status, "changed", changed)
	return in.unknown(err)
}

// maxErr bounds the diagnostic kept with a message, in octets.
const maxErr = 500

func oneLine(s string) string {
	s = strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), "?")
	if len(s) > maxErr {
		s = strings.ToValidUTF8(s[:maxErr], "")
	}
	return s
}

// unknown takes what can never be applied for done: telling the sender of a bounce would help nobody.
func (in *Inbox) unknown(err error) error {
	var e *gateway.Error
	if errors.As(err, &e) && e.Code == gateway.CodeNotFound {
		in.ignored.Add(1)
		return nil
	}
	return err
}

// complaint blocks the address for the brand at once; İYS is told by the account's policy.
func (in *Inbox) complaint(ctx context.Context, id gateway.MessageID, rep *bounce.Report) error {
	if rep.Complaint == nil || rep.Complaint.Wanted() {
		in.ignored.Add(1)
		return nil
	}
	if id.IsZero() {
		id = in.about(rep)
	}
	if id.IsZero() {
		in.ignored.Add(1)
		in.cfg.Log.Warn("complaint about no message of ours", "type", rep.Complaint.Type, "agent", rep.Complaint.UserAgent)
		return nil
	}
	in.complaints.Add(1)
	acct := in.store.Directory().Accounts[id.Account]
	return in.optOut(ctx, id, "complaint", acct == nil || !acct.Policy.ComplaintRET)
}

var mailtoRE = regexp.MustCompile(`(?i)mailto:([^>?\s,]+)`)

// about finds the message of a complaint by what only we can have signed: its return path, or its unsubscribe address.
func (in *Inbox) about(rep *bounce.Report) gateway.MessageID {
	if id, err := in.verp.Parse(rep.Complaint.MailFrom); err == nil {
		return id
	}
	if rep.Original != nil {
		if m := mailtoRE.FindStringSubmatch(rep.Original.Get("List-Unsubscribe")); m != nil {
			if id, err := in.verp.ParseLeave(m[1]); err == nil {
				return id
			}
		}
	}
	return gateway.MessageID{}
}

// optOut refuses for the recipient of a message. Mail without a brand has nobody to refuse: the person is blocked for none.
func (in *Inbox) optOut(ctx context.Context, id gateway.MessageID, route string, local bool) error {
	b, r, err := in.store.Mail(ctx, id)
	if err != nil {
		return in.unknown(err)
	}
	if b.Brand == "" {
		in.ignored.Add(1)
		return nil
	}
	err = in.desk.OptOut(ctx, gateway.OptOut{Account: b.Account, Brand: b.Brand, Channel: gateway.ChannelEmail, Address: r.Address,
		Route: route, At: in.cfg.Now(), Local: local})
	var e *gateway.Error
	if errors.As(err, &e) && (e.Code == gateway.CodeBrand || e.Code == gateway.CodeBadAddress || e.Code == gateway.CodeInvalid) {
		in.cfg.Log.Error("opt-out cannot be applied", "msg_id", id.String(), "route", route, "err", err)
		return nil
	}
	return err
}
