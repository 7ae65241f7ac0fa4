package bounce

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // reports come in every character set

	"izinli/gateway/mail"
)

// Kind is what a returned mail is.
type Kind string

// The kinds.
const (
	KindDSN       Kind = "dsn"       // RFC 3464
	KindPlain     Kind = "plain"     // a bounce in free text
	KindComplaint Kind = "complaint" // RFC 5965
	KindAutoReply Kind = "autoreply" // out of office and the like: an answer to a mail (auto-replied, RFC 3834 §5)
	KindAutomatic Kind = "automatic" // written by a machine, and no answer (auto-generated)
	KindOther     Kind = "other"     // a person, perhaps
)

// Actions of a DSN (RFC 3464 §2.3.3).
const (
	ActionFailed    = "failed"
	ActionDelayed   = "delayed"
	ActionDelivered = "delivered"
	ActionRelayed   = "relayed"
	ActionExpanded  = "expanded"
)

// Bounds of a report.
const (
	maxReport     = 2 << 20 // octets read
	maxPart       = 64 << 10
	maxParts      = 30
	maxRecipients = 1000
	maxDiagnostic = 2000
)

// ErrMalformed refuses what is no mail.
var ErrMalformed = errors.New("bounce: malformed mail")

// Report is one returned mail.
type Report struct {
	Kind       Kind
	EnvelopeID string // Original-Envelope-Id: what we gave as ENVID
	MessageID  string // of the original message, without brackets, where the report holds its header
	Reporting  string // Reporting-MTA
	Recipients []Recipient
	Complaint  *Complaint  // of KindComplaint
	Original   mail.Header // of the original message; nil without
	Subject    string      // decoded
	Text       string      // the beginning of what a person would read
}

// Recipient is what the report says about one recipient.
type Recipient struct {
	Address    string // Final-Recipient, or Original-Recipient
	Original   string // Original-Recipient: what we gave as ORCPT
	Action     string
	Status     string // enhanced code; empty without one
	Code       int    // reply code found in the diagnostic; 0 without
	Remote     string // Remote-MTA
	Diagnostic string
	Class      Class // of failed and delayed ones
}

// Complaint is a feedback report.
type Complaint struct {
	Type      string // abuse, auth-failure, fraud, not-spam, other, virus …; other where the report names none
	UserAgent string
	MailFrom  string // Original-Mail-From: our return path, often
	Rcpt      []string
	SourceIP  string
	Domain    string // Reported-Domain
	Date      string // Arrival-Date or Received-Date, as written
}

// Meaning is what a feedback report says of the person who got the mail.
type Meaning uint8

// The meanings.
const (
	MeansNothing   Meaning = iota // of the person: a machine's finding (auth-failure, RFC 6591; virus), not-spam (RFC 6430), or a type nobody registered
	MeansFeedback                 // something that fits no type (other): perhaps a complaint
	MeansComplaint                // abuse, fraud (RFC 5965 §7.3)
	MeansOptOut                   // wants no more of it: opt-out and opt-out-list, which drafts of RFC 5965 had and some loops send
)

// Means sorts a report by its type.
func (c *Complaint) Means() Meaning {
	switch c.Type {
	case "abuse", "fraud":
		return MeansComplaint
	case "opt-out", "opt-out-list":
		return MeansOptOut
	case "other":
		return MeansFeedback
	}
	return MeansNothing
}

// Parse reads a returned mail. The error is ErrMalformed, or that of r.
func Parse(r io.Reader) (*Report, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxReport))
	if err != nil {
		return nil, err
	}
	e, err := message.Read(bytes.NewReader(raw))
	if e == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return nil, ErrMalformed
	}
	rep := &Report{Kind: KindOther, Subject: text(e, "Subject")}
	media, params, _ := e.Header.ContentType()
	if strings.EqualFold(media, "multipart/report") {
		switch strings.ToLower(params["report-type"]) {
		case "delivery-status", "global-delivery-status": // RFC 6533
			rep.Kind = KindDSN
		case "feedback-report":
			rep.Kind = KindComplaint
		}
	}
	rep.parts(e)
	switch rep.Kind {
	case KindDSN:
		if len(rep.Recipients) == 0 { // a status part without recipients tells no more than the text
			rep.Kind = KindPlain
			rep.plain(e)
		}
	case KindComplaint:
		rep.complain()
	default:
		rep.unmarked(e)
	}
	for i := range rep.Recipients {
		rep.Recipients[i].judge()
	}
	return rep, nil
}

// parts collects what the parts hold, whatever the mail calls itself.
func (rep *Report) parts(e *message.Entity) {
	n := 0
	_ = e.Walk(func(_ []int, p *message.Entity, err error) error {
		if n++; n > maxParts {
			return errEnough
		}
		if err != nil || p == nil {
			return nil
		}
		media, _, _ := p.Header.ContentType()
		if strings.HasPrefix(media, "multipart/") {
			return nil
		}
		body, _ := io.ReadAll(io.LimitReader(p.Body, maxPart))
		switch strings.ToLower(media) {
		case "message/delivery-status", "message/global-delivery-status":
			rep.status(body)
			if rep.Kind == KindOther && len(rep.Recipients) > 0 { // sent as multipart/mixed by some
				rep.Kind = KindDSN
			}
		case "message/feedback-report":
			rep.feedback(body)
		case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers":
			rep.original(body)
		case "text/plain", "":
			if rep.Text == "" {
				rep.Text = strings.ReplaceAll(string(body), "\r\n", "\n")
			}
		}
		return nil
	})
}

var errEnough = errors.New("enough")

// fields reads groups of fields parted by empty lines, leniently: what is no field is skipped.
func fields(b []byte) (groups []map[string]string) {
	group := map[string]string{}
	last := ""
	flush := func() {
		if len(group) > 0 {
			groups = append(groups, group)
			group, last = map[string]string{}, ""
		}
	}
	for line := range strings.SplitSeq(lineEnds.Replace(string(b)), "\n") {
		switch {
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			if last != "" && len(group[last]) < maxDiagnostic {
				group[last] += " " + strings.TrimSpace(line)
			}
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				continue
			}
			last = strings.ToLower(strings.TrimSpace(name))
			value = strings.TrimSpace(value)
			if old, again := group[last]; again {
				value = old + "\n" + value
			}
			group[last] = value
		}
		if len(groups) > maxRecipients {
			return groups
		}
	}
	flush()
	return groups
}

// status reads message/delivery-status (RFC 3464 §2.1): fields of the message, then a group per recipient. Servers that forget
// the first group are understood too.
func (rep *Report) status(b []byte) {
	for _, g := range fields(b) {
		if v := firstLine(g["original-envelope-id"]); v != "" {
			rep.EnvelopeID = v
		}
		if v := firstLine(g["reporting-mta"]); v != "" {
			rep.Reporting = untyped(v)
		}
		// Of a field that stands there twice the first counts: both would make an address of two lines.
		final, orig := untyped(firstLine(g["final-recipient"])), untyped(firstLine(g["original-recipient"]))
		if final == "" && orig == "" || len(rep.Recipients) >= maxRecipients {
			continue
		}
		r := Recipient{Address: addressOf(final), Original: addressOf(orig), Action: strings.ToLower(firstWord(firstLine(g["action"]))),
			Status: statusOf(g["status"]), Remote: untyped(firstLine(g["remote-mta"])), Diagnostic: untyped(g["diagnostic-code"])}
		if r.Address == "" {
			r.Address = r.Original
		}
		rep.Recipients = append(rep.Recipients, r)
	}
}

// untyped drops the type in front of a typed value: "rfc822; a@b" (RFC 3464 §2.1.2).
func untyped(s string) string {
	if kind, v, ok := strings.Cut(s, ";"); ok && !strings.ContainsAny(kind, " @") {
		return strings.TrimSpace(v)
	}
	return strings.TrimSpace(s)
}

// addressOf drops brackets and comments; what has no @ stays as it is.
func addressOf(s string) string {
	if i, j := strings.IndexByte(s, '<'), strings.LastIndexByte(s, '>'); i >= 0 && j > i {
		s = s[i+1 : j]
	}
	return strings.Trim(firstWord(s), "<>\"")
}

func firstWord(s string) string {
	w, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return w
}

// lineEnds makes lines of CRLF; a bare CR, which a decoded part may hold, ends none and must not reach a log.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", " ")

var (
	statusRE = regexp.MustCompile(`\b[245]\.\d{1,3}\.\d{1,3}\b`)
	codeRE   = regexp.MustCompile(`(?:^|[^\d.])([45]\d\d)(?:[ -]|$)`)
	addrRE   = regexp.MustCompile(`[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}`)
)

func statusOf(s string) string { return statusRE.FindString(s) }

// original reads the header of the message the report is about.
func (rep *Report) original(b []byte) {
	if rep.Original != nil {
		return
	}
	b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	h, err := mail.ReadHeader(bufio.NewReaderSize(bytes.NewReader(b), maxPart))
	if err != nil || len(h) == 0 {
		return
	}
	rep.Original = h
	rep.MessageID = strings.Trim(h.Get("Message-ID"), "<> ")
}

// judge completes a recipient of a DSN: codes from the text where the fields lack them, and the class.
func (r *Recipient) judge() {
	if len(r.Diagnostic) > maxDiagnostic {
		r.Diagnostic = r.Diagnostic[:maxDiagnostic]
	}
	if m := codeRE.FindStringSubmatch(r.Diagnostic); m != nil {
		r.Code, _ = strconv.Atoi(m[1])
	}
	// A vague status gives way to what the remote server said.
	if s := statusOf(r.Diagnostic); s != "" && (r.Status == "" || strings.HasSuffix(r.Status, ".0.0")) && (r.Status == "" || s[0] == r.Status[0]) {
		r.Status = s
	}
	if r.Action == "" {
		r.Action = ActionFailed
		if strings.HasPrefix(r.Status, "4") || r.Status == "" && r.Code/100 == 4 {
			r.Action = ActionDelayed
		}
	}
	if r.Action == ActionFailed || r.Action == ActionDelayed {
		r.Class = ClassifyReply(commandOf(r.Diagnostic), r.Status, r.Code, r.Diagnostic)
	}
}

// inReplyRE finds what a server says its next hop refused: Postfix "(in reply to MAIL FROM command)", Exim "after MAIL FROM:<…>".
var inReplyRE = regexp.MustCompile(`(?i)\b(?:in reply to|remote mail server after) (?:pipelined |sending )?(mail|rcpt|data|end of data|initial connection|ehlo|helo|message body)\b`)

// commandOf returns the command a diagnostic names; empty: none.
func commandOf(diagnostic string) string {
	m := inReplyRE.FindStringSubmatch(diagnostic)
	if m == nil {
		return ""
	}
	switch strings.ToLower(m[1]) {
	case "rcpt":
		return CommandRcpt
	case "data", "end of data", "message body":
		return CommandData
	}
	return CommandMail // or the greeting: nobody was named
}
