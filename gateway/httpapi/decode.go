package httpapi

import (
	"net/textproto"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"izinli/gateway"
)

// Bounds of a submission's form, beside those of package gateway.
const (
	maxRef       = 64 // characters of a caller's reference
	maxVars      = 50 // variables of one recipient
	maxHeaders   = 50
	maxHeaderLen = 998 // octets of a header's value (RFC 5322 §2.1.1)
	maxShort     = 320 // octets of an address, a sender, a brand
)

// Encodings a caller may ask for.
var encodings = map[string]bool{"": true, "auto": true, "gsm7": true, "gsm7-translit": true, "tr-single": true, "tr-locking": true, "ucs2": true}

// decodeSubmission reads the body of POST /v1/messages into s. It checks form only (types, words, lengths that the document
// states); whether a number, a brand or a date is good is the Submitter's to say.
func decodeSubmission(body []byte, s *gateway.Submission) error {
	d := submissionReader{s: s}
	if err := readJSON(body, func(r *reader) error {
		d.reader = r
		return r.object(d.field)
	}); err != nil {
		return err
	}
	return d.complete()
}

type submissionReader struct {
	*reader
	s *gateway.Submission
	// vars is the chunk from which recipients' variables are cut.
	vars    []gateway.Var
	scratch []gateway.Var
}

func (d *submissionReader) field(name string) (err error) {
	s := d.s
	switch name {
	case "channel":
		s.Channel, err = d.word(gateway.ChannelSMS, gateway.ChannelEmail)
	case "class":
		s.Class, err = d.word(gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP)
	case "brand":
		s.Brand, err = d.short(maxShort)
	case "recipientType":
		s.RecipientType, err = d.word(gateway.RecipientIndividual, gateway.RecipientMerchant)
	case "from":
		s.From, err = d.short(maxShort)
	case "reason":
		if s.Reason, err = d.str(); err == nil && s.Reason != "" && !gateway.ValidReason(s.Reason) {
			err = d.refuse(gateway.CodeReason, "")
		}
	case "to":
		err = d.array(d.destination)
	case "text":
		s.Text, err = d.str()
	case "encoding":
		if s.Encoding, err = d.str(); err == nil && !encodings[s.Encoding] {
			err = d.refuse(gateway.CodeInvalid, "The field must be auto, gsm7, gsm7-translit, tr-single, tr-locking or ucs2.")
		}
	case "sendAt":
		s.SendAt, err = d.instant()
	case "validFor":
		s.ValidFor, err = d.duration()
	case "dryRun":
		s.DryRun, err = d.boolean()
	default:
		err = d.mailField(name)
	}
	return err
}

func (d *submissionReader) mailField(name string) (err error) {
	s := d.s
	switch name {
	case "subject":
		s.Subject, err = d.short(maxHeaderLen)
	case "html":
		s.HTML, err = d.str()
	case "replyTo":
		s.ReplyTo, err = d.short(maxShort)
	case "headers":
		err = d.headers()
	default:
		err = d.unknown(name)
	}
	return err
}

// complete judges what only the whole body shows.
func (d *submissionReader) complete() error {
	s := d.s
	if s.Channel == "" {
		s.Channel = gateway.ChannelSMS
	}
	if len(s.To) == 0 {
		return gateway.Refuse(gateway.CodeInvalid, "to", "The field must list 1 to %d recipients.", gateway.MaxRecipients)
	}
	if s.Channel == gateway.ChannelEmail {
		if s.Encoding != "" && s.Encoding != "auto" {
			return gateway.Refuse(gateway.CodeInvalid, "encoding", "The field belongs to SMS.")
		}
		return nil
	}
	for _, f := range [...]struct {
		name string
		set  bool
	}{{"subject", s.Subject != ""}, {"html", s.HTML != ""}, {"replyTo", s.ReplyTo != ""}, {"headers", len(s.Headers) > 0}} {
		if f.set {
			return gateway.Refuse(gateway.CodeInvalid, f.name, "The field belongs to e-mail; set channel to \"email\".")
		}
	}
	return nil
}

// destination reads one item of `to`: an address, or an object.
func (d *submissionReader) destination() error {
	if len(d.s.To) >= gateway.MaxRecipients {
		return gateway.Refuse(gateway.CodeTooManyRecipients, "to", "")
	}
	var to gateway.Destination
	var err error
	switch d.dec.PeekKind() {
	case '"':
		to.Address, err = d.short(maxShort)
	case '{':
		if err = d.object(func(name string) error { return d.destinationField(&to, name) }); err == nil && to.Address == "" {
			err = d.refuse(gateway.CodeInvalid, "The recipient has no address.")
		}
	default:
		err = d.wrong("an address or an object with one")
	}
	d.s.To = append(d.s.To, to)
	return err
}

func (d *submissionReader) destinationField(to *gateway.Destination, name string) (err error) {
	switch name {
	case "address":
		to.Address, err = d.short(maxShort)
	case "ref":
		to.Ref, err = d.str()
		// The octets are counted first: most references are short in any count.
		if err == nil && len(to.Ref) > maxRef && utf8.RuneCountInString(to.Ref) > maxRef {
			err = d.refuse(gateway.CodeInvalid, "The field takes at most %d characters.", maxRef)
		}
	case "vars":
		to.Vars, err = d.variables()
	default:
		err = d.unknown(name)
	}
	return err
}

// variables reads the variables of one recipient into the current chunk.
func (d *submissionReader) variables() ([]gateway.Var, error) {
	if null, err := d.null(); null || err != nil {
		return nil, err
	}
	d.scratch = d.scratch[:0]
	err := d.object(func(name string) error {
		if len(d.scratch) >= maxVars {
			return d.refuse(gateway.CodeInvalid, "A recipient takes at most %d variables.", maxVars)
		}
		v, err := d.scalar()
		d.scratch = append(d.scratch, gateway.Var{Name: name, Value: v})
		return err
	})
	if err != nil || len(d.scratch) == 0 {
		return nil, err
	}
	n := len(d.scratch)
	if cap(d.vars)-len(d.vars) < n {
		// Small at first, so that a single message does not pay for a campaign.
		d.vars = make([]gateway.Var, 0, max(n, min(4*len(d.s.To)*n, 1024)))
	}
	d.vars = append(d.vars, d.scratch...)
	return d.vars[len(d.vars)-n : len(d.vars) : len(d.vars)], nil
}

// word reads one of a few words; absent and null stay empty.
func (d *submissionReader) word(words ...string) (string, error) {
	s, err := d.str()
	if err != nil || s == "" {
		return s, err
	}
	for _, w := range words {
		if s == w {
			return s, nil
		}
	}
	return "", d.refuse(gateway.CodeInvalid, "The field must be one of %s.", strings.Join(words, ", "))
}

func (r *reader) short(most int) (string, error) {
	s, err := r.str()
	if err == nil && len(s) > most {
		err = r.refuse(gateway.CodeInvalid, "The field takes at most %d octets.", most)
	}
	return s, err
}

// instant reads a moment in the form of RFC 3339, whose offset is required there (§5.6); null is the zero time.
func (r *reader) instant() (time.Time, error) {
	s, err := r.str()
	if err != nil || s == "" {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, r.refuse(gateway.CodeInvalid, "The field must be a time with its offset, like 2026-12-01T10:00:00+03:00.")
	}
	return t, nil
}

func (r *reader) duration() (time.Duration, error) {
	s, err := r.str()
	if err != nil || s == "" {
		return 0, err
	}
	d, ok := parseDuration(s)
	if !ok {
		return 0, r.refuse(gateway.CodeInvalid, "The field must be a duration like 30s, 90m, 24h, 1h30m or 3d.")
	}
	return d, nil
}

// parseDuration reads Go's form of durations, and whole days: "90m", "1h30m", "3d", "1d12h". Only positive ones are good.
func parseDuration(s string) (time.Duration, bool) {
	var days time.Duration
	if n, rest, ok := strings.Cut(s, "d"); ok {
		v, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return 0, false
		}
		days, s = time.Duration(v)*24*time.Hour, rest
		if s == "" {
			return days, days > 0
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || s[0] == '+' || s[0] == '-' || d > 10_000*time.Hour {
		return 0, false
	}
	return days + d, days+d > 0
}

// headers reads the caller's own mail headers.
func (d *submissionReader) headers() error {
	if null, err := d.null(); null || err != nil {
		return err
	}
	h := map[string]string{}
	err := d.object(func(name string) error {
		if !headerAllowed(name) {
			return d.refuse(gateway.CodeInvalid, "The header %q may not be set.", limitRunes(name, 64))
		}
		if len(h) >= maxHeaders {
			return d.refuse(gateway.CodeInvalid, "A message takes at most %d headers.", maxHeaders)
		}
		v, err := d.short(maxHeaderLen)
		if err != nil {
			return err
		}
		// A line break would let the value forge headers; other controls have no place in one (RFC 5322 §2.2).
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F }) {
			return d.refuse(gateway.CodeInvalid, "A header's value may not contain control characters.")
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if _, twice := h[key]; twice {
			return d.refuse(gateway.CodeInvalid, "The header %q is given twice.", key)
		}
		h[key] = v
		return nil
	})
	d.s.Headers = h
	return err
}

// ownHeaders are written by the gateway itself, or steer it.
var ownHeaders = map[string]bool{"From": true, "To": true, "Cc": true, "Bcc": true, "Sender": true, "Reply-To": true, "Subject": true,
	"Date": true, "Message-Id": true, "Return-Path": true, "Received": true, "Mime-Version": true, "Dkim-Signature": true,
	"List-Unsubscribe": true, "List-Unsubscribe-Post": true, "Feedback-Id": true, "X-Message-Class": true, "X-Message-Reason": true}

func headerAllowed(name string) bool {
	if name == "" || len(name) > 76 {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && c != '-' && c != '_' {
			return false
		}
	}
	key := textproto.CanonicalMIMEHeaderKey(name)
	for _, p := range [...]string{"Content-", "Resent-", "Arc-", "X-Iys-"} {
		if strings.HasPrefix(key, p) {
			return false
		}
	}
	return !ownHeaders[key]
}
