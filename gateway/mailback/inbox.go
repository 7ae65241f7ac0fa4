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
	// Relayed passes word on to the submitter that nothing more will be heard of the mail, once and if he wants word of success.
	Relayed(ctx context.Context, id gateway.MessageID) (bool, error)
}

// Config of an inbox. Zero fields take the default.
type Config struct {
	Log *slog.Logger
	Now func() time.Time
	// Slow is told of a domain that says our mail is unwanted.
	Slow func(domain string, class bounce.Class, diagnostic string)
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
		cfg.Slow = func(string, bounce.Class, string) {}
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

// Deliver reads a mail from an envelope sender to its end and returns when what it means is stored. A mail that means nothing is taken
// and forgotten, save a person's words that nobody would read: those are refused with [gateway.CodeRefusalsOnly], so that his own server
// tells him. Other errors are those of the store and the desk.
func (in *Inbox) Deliver(ctx context.Context, from string, to []string, body io.Reader) error {
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
	var unread error
	for _, addr := range to {
		err := in.one(ctx, from, addr, rep)
		var e *gateway.Error
		if errors.As(err, &e) && e.Code == gateway.CodeRefusalsOnly { // the others first
			unread = err
		} else if err != nil {
			return err
		}
	}
	return unread
}

func (in *Inbox) one(ctx context.Context, from, addr string, rep *bounce.Report) error {
	if id, err := in.verp.ParseLeave(addr); err == nil {
		return in.leave(ctx, id, rep)
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
		if !id.IsZero() {
			return in.written(ctx, from, id, rep)
		}
	}
	in.ignored.Add(1)
	in.cfg.Log.Info("mail for ourselves ignored", "kind", string(rep.Kind))
	return nil
}

// leave takes a mail to the unsubscribe address, whatever it says: a provider's own way to unsubscribe may be marked auto-generated. Only
// a machine's answer or report is nobody's wish.
func (in *Inbox) leave(ctx context.Context, id gateway.MessageID, rep *bounce.Report) error {
	switch rep.Kind {
	case bounce.KindAutoReply, bounce.KindDSN, bounce.KindPlain:
		in.ignored.Add(1)
		return nil
	case bounce.KindComplaint:
		return in.complaint(ctx, id, rep)
	}
	in.unsubscribes.Add(1)
	return in.optOut(ctx, id, "mailto", false)
}

// returned applies a bounce or a notice of delivery to the message its return path names. The message had one recipient; a report may
// have several, as forwarders and lists write them.
func (in *Inbox) returned(ctx context.Context, id gateway.MessageID, rep *bounce.Report) error {
	b, r, err := in.store.Mail(ctx, id)
	if err != nil {
		return in.unknown(err)
	}
	x := decisive(rep.Recipients, r.Address)
	told := false
	switch {
	case x == nil: // nothing is decided
	case x.Action == bounce.ActionFailed:
		return in.failed(ctx, id, b, r, x)
	case x.Action == bounce.ActionDelivered:
		in.delivered.Add(1)
		_, err := in.store.Return(ctx, gateway.MailReturn{Message: id, State: gateway.StateDelivered})
		return in.unknown(err)
	case x.Action == bounce.ActionRelayed:
		told, err = in.store.Relayed(ctx, id)
	case x.Action == bounce.ActionDelayed:
		told, err = in.store.Delayed(ctx, id, oneLine(cmp.Or(strings.TrimSpace(x.Diagnostic), x.Status)))
	}
	if !told {
		in.ignored.Add(1)
	}
	return in.unknown(err)
}

// weight orders what a report says of its recipients: a failure before all, since the person may not have it, then what is surest. The
// list may expand or forward: expanded is no end of anything.
var weight = map[string]int{bounce.ActionFailed: 4, bounce.ActionDelivered: 3, bounce.ActionRelayed: 2, bounce.ActionDelayed: 1}

// decisive returns the recipient of a report that says most about ours, whose own entry goes before those of equal weight; nil: none does.
func decisive(list []bounce.Recipient, own string) (best *bounce.Recipient) {
	for i := range list {
		x := &list[i]
		switch w := weight[x.Action]; {
		case w == 0:
		case best == nil, w > weight[best.Action], w == weight[best.Action] && about(x, own) && !about(best, own):
			best = x
		}
	}
	return best
}

// about reports whether an entry of a report is of our recipient.
func about(x *bounce.Recipient, own string) bool {
	return strings.EqualFold(x.Address, own) || strings.EqualFold(x.Original, own)
}

func (in *Inbox) failed(ctx context.Context, id gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, x *bounce.Recipient) error {
	in.bounces.Add(1)
	text := strings.TrimSpace(x.Diagnostic)
	if text == "" {
		text = x.Status
	}
	ret := gateway.MailReturn{Message: id, State: gateway.StateUndelivered, Code: gateway.CodeBounced, Err: oneLine(text)}
	// A recipient who forwards is not the address that failed: only a report about our own recipient suppresses it.
	own := about(x, r.Address) || x.Address == ""
	if own && (x.Class.Suppress() || x.Class == bounce.ClassFull) {
		ret.Suppress = &gateway.Suppression{Account: b.Account, Address: r.Address, Class: string(x.Class), Text: ret.Err, Message: id, At: in.cfg.Now()}
	}
	if x.Class.Blocks() {
		in.cfg.Slow(r.Address[strings.LastIndexByte(r.Address, '@')+1:], x.Class, ret.Err)
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

// complaint blocks the address for the brand at once; İYS is told by the account's policy, and of an opt-out always.
func (in *Inbox) complaint(ctx context.Context, id gateway.MessageID, rep *bounce.Report) error {
	means := bounce.MeansNothing
	if rep.Complaint != nil {
		means = rep.Complaint.Means()
	}
	if means == bounce.MeansNothing {
		in.ignored.Add(1)
		if rep.Complaint != nil && rep.Complaint.Type != "not-spam" {
			in.cfg.Log.Warn("feedback report that is no complaint", "type", rep.Complaint.Type, "agent", rep.Complaint.UserAgent, "domain", rep.Complaint.Domain)
		}
		return nil
	}
	if id.IsZero() {
		id = in.messageOf(rep)
	}
	if id.IsZero() {
		in.ignored.Add(1)
		in.cfg.Log.Warn("complaint about no message of ours", "type", rep.Complaint.Type, "agent", rep.Complaint.UserAgent)
		return nil
	}
	in.complaints.Add(1)
	acct := in.store.Directory().Accounts[id.Account]
	tell := means == bounce.MeansOptOut || means == bounce.MeansComplaint && acct != nil && acct.Policy.ComplaintRET
	return in.optOut(ctx, id, "complaint", !tell)
}

var mailtoRE = regexp.MustCompile(`(?i)mailto:([^>?\s,]+)`)

// messageOf finds the message of a complaint by what only we can have signed: its return path, or its unsubscribe address.
func (in *Inbox) messageOf(rep *bounce.Report) gateway.MessageID {
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
