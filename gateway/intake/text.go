package intake

import (
	"errors"

	"izinli/gateway"
	"izinli/gateway/inbound/keyword"
	"izinli/gateway/sms"
	"izinli/gateway/template"
)

// texts measures the message text: once for all recipients where it has no variables, per recipient otherwise.
type texts struct {
	tmpl   template.Template
	fixed  bool
	wish   sms.Encoding
	route  *gateway.Route // of the plan below
	policy sms.Policy
	plan   sms.Plan // of a fixed text on route
	known  bool     // plan is valid
	words  []string // promotional words of a fixed transactional text
}

// text checks what concerns the text as a whole.
func (d *draft) text() error {
	if d.batch.Channel == gateway.ChannelEmail {
		return d.mailText()
	}
	if d.mailed() {
		d.batch.Headers = d.sub.Headers
	}
	if d.sub.Raw != nil {
		return d.rawText()
	}
	if d.unwritten() {
		d.texts.fixed, d.texts.known, d.texts.plan = true, true, sms.Plan{Segments: 1}
		return nil
	}
	wish, err := sms.ParseEncoding(d.sub.Encoding)
	if err != nil {
		return gateway.Refuse(gateway.CodeInvalid, "encoding",
			"encoding must be auto, gsm7, gsm7-translit, tr-single, tr-locking or ucs2, not %q", d.sub.Encoding)
	}
	if d.sub.Text == "" {
		return gateway.Refuse(gateway.CodeEmptyText, "text", "")
	}
	d.texts = texts{tmpl: template.Parse(d.sub.Text), wish: wish}
	d.texts.fixed = d.texts.tmpl.Fixed()
	if d.texts.fixed {
		d.texts.words = d.promotional(d.sub.Text)
		// A text nobody can get refuses the request at once. What a route has no room or no tables for concerns its recipients alone.
		p := d.policyFor(nil)
		p.NationalTables = true
		if _, err := sms.Measure(d.sub.Text, p); err != nil {
			return textError(err)
		}
	}
	return nil
}

func (d *draft) rawText() error {
	parts := d.sub.Raw.Parts
	if len(parts) == 0 {
		return gateway.Refuse(gateway.CodeTextTooLong, "text", "the message has no part")
	}
	d.texts.fixed, d.texts.known = true, true
	e, _ := sms.Describe(d.sub.Raw.DataCoding, parts[0].UDH, sms.AlphabetGSM7)
	d.texts.plan = sms.Plan{Encoding: e, Segments: len(parts)}
	d.texts.words = d.promotional(d.sub.Text)
	return nil
}

// promotional finds advertising words where the class does not allow any.
func (d *draft) promotional(text string) []string {
	if d.batch.Class != gateway.ClassTransactional || d.acct.Policy.Promotional == "off" {
		return nil
	}
	return keyword.Promotional(text, nil)
}

// segmentLimit is the most segments the account may send and every operator of the route has room for.
func (d *draft) segmentLimit(r *gateway.Route) int {
	limit := d.acct.Policy.SegmentLimit()
	if r != nil {
		for _, st := range r.Operators {
			if o := d.dir.Operators[st.Operator]; o != nil {
				limit = min(limit, o.SegmentRoom())
			}
		}
	}
	return limit
}

// policyFor says how a text may be written on a route: what every operator of it can carry.
func (d *draft) policyFor(r *gateway.Route) sms.Policy {
	p := sms.Policy{Encoding: d.texts.wish, Transliterate: d.acct.Policy.Transliterate, Typographic: true,
		MaxSegments: d.segmentLimit(r)}
	if r == nil {
		return p
	}
	p.NationalTables = len(r.Operators) > 0
	for _, st := range r.Operators {
		o := d.dir.Operators[st.Operator]
		if o == nil {
			continue
		}
		p.NationalTables = p.NationalTables && o.National
		p.ReserveSuffix = max(p.ReserveSuffix, o.Suffix)
	}
	return p
}

// measure returns what the text costs on the route; the answer for a fixed text is remembered.
func (d *draft) measure(text string, r *gateway.Route) (sms.Plan, error) {
	t := &d.texts
	if t.known && d.sub.Raw != nil {
		if limit := d.segmentLimit(r); t.plan.Segments > limit {
			return t.plan, textError(&sms.TooLongError{Segments: t.plan.Segments, Max: limit})
		}
		return t.plan, nil
	}
	if t.known && (t.route == r || d.unwritten()) {
		return t.plan, nil
	}
	if t.route != r || r == nil {
		t.route, t.policy = r, d.policyFor(r)
	}
	plan, err := sms.Measure(text, t.policy)
	if err != nil {
		return plan, textError(err)
	}
	if t.fixed {
		t.plan, t.known = plan, true
	}
	return plan, nil
}

// planFor renders and measures the text for one recipient.
func (d *draft) planFor(to *gateway.Destination, r *gateway.Route) (sms.Plan, []string, error) {
	if d.texts.fixed {
		plan, err := d.measure(d.sub.Text, r)
		return plan, d.texts.words, err
	}
	text, err := d.texts.tmpl.Render(to.Vars)
	if err != nil {
		var m *template.MissingError
		if errors.As(err, &m) {
			return sms.Plan{}, nil, gateway.Refuse(gateway.CodeTemplateVariable, "vars", "the text names variable %q, which this recipient lacks", m.Name)
		}
		return sms.Plan{}, nil, err
	}
	plan, err := d.measure(text, r)
	return plan, d.promotional(text), err
}

// textError names what is wrong with a text in the table's codes.
func textError(err error) error {
	var long *sms.TooLongError
	var bad *sms.UnencodableError
	switch {
	case errors.As(err, &long):
		return gateway.Refuse(gateway.CodeTextTooLong, "text", "%s", long.Error())
	case errors.As(err, &bad):
		return gateway.Refuse(gateway.CodeUnencodable, "text", "character %q cannot be written in the encoding asked for", bad.Rune)
	case errors.Is(err, sms.ErrEmpty):
		return gateway.Refuse(gateway.CodeEmptyText, "text", "")
	case errors.Is(err, sms.ErrTables):
		return gateway.Refuse(gateway.CodeUnencodable, "encoding", "no operator on this route carries Turkish shift tables; use auto or ucs2")
	}
	return &gateway.Error{Code: gateway.CodeInvalid, Field: "text", Text: "the text cannot be encoded", Err: err}
}
