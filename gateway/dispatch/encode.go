package dispatch

import (
	"time"

	"izinli/gateway"
	"izinli/gateway/sms"
	"izinli/gateway/template"
)

// Profile says how an operator wants its texts.
type Profile struct {
	National bool // takes Turkish shift tables
	Suffix   int  // characters it appends to the last part
}

// Outgoing is one message ready for a carrier. It is read-only: messages with the same text share their segments.
type Outgoing struct {
	Batch     *gateway.Batch
	Recipient *gateway.Recipient
	ID        gateway.MessageID
	Segments  []sms.Segment
	Sending   []int // which segments leave now
	Validity  time.Duration
	Attempt   int   // from 1
	Place     Place // at the recipient's site; nil: the carrier keeps none
}

// encodeAll renders and cuts the texts. Recipients of one batch without variables share one encoding.
func (c *chunk) encodeAll() {
	keep := c.jobs[:0]
	var (
		last     *gateway.Batch
		lastFor  Profile
		tmpl     template.Template
		shared   []sms.Segment
		lastEnc  uint8
		policies sms.Policy
	)
	for _, j := range c.jobs {
		if j.batch.Channel == gateway.ChannelEmail {
			c.prepare(j, wholeMail)
			keep = append(keep, j)
			continue
		}
		prof := j.carrier.c.Profile()
		if j.batch != last || prof != lastFor || j.rcpt.Encoding != lastEnc {
			last, lastFor, shared, lastEnc = j.batch, prof, nil, j.rcpt.Encoding
			tmpl = template.Parse(j.batch.Text)
			policies = c.smsPolicy(j, prof)
		}
		segs := shared
		if segs == nil {
			var err error
			if segs, err = segments(j, &tmpl, policies); err != nil {
				c.d.cfg.Log.Warn("message cannot be encoded", "msg_id", j.id.String(), "err", err)
				c.end(j, rule(gateway.DecisionDrop, gateway.StateFailed, gateway.CodeUnencodable, time.Time{}, c.now))
				continue
			}
			// A concatenated message carries its own reference; only single parts are the same for everybody.
			if len(segs) == 1 && tmpl.Fixed() {
				shared = segs
			}
		}
		if len(segs) > j.carrier.c.MaxSegments() {
			c.end(j, rule(gateway.DecisionDrop, gateway.StateFailed, gateway.CodeTextTooLong, time.Time{}, c.now))
			continue
		}
		c.prepare(j, segs)
		keep = append(keep, j)
	}
	c.jobs = keep
}

func (c *chunk) prepare(j *job, segs []sms.Segment) {
	j.sending = j.sending[:0]
	for i := range segs {
		if len(j.progress.Segments) == len(segs) && j.progress.Segments[i].Taken() {
			continue // at an earlier attempt
		}
		j.sending = append(j.sending, i)
	}
	j.out = &Outgoing{Batch: j.batch, Recipient: j.rcpt, ID: j.id, Segments: segs, Sending: j.sending,
		Validity: j.batch.ValidUntil.Sub(c.now), Attempt: int(j.progress.Attempts) + 1}
}

// smsPolicy repeats the choice made at acceptance: the encoding was billed, so it stays unless the operator cannot carry it.
func (c *chunk) smsPolicy(j *job, prof Profile) sms.Policy {
	p := sms.Policy{Encoding: sms.Encoding(j.rcpt.Encoding), NationalTables: prof.National, ReserveSuffix: prof.Suffix, Typographic: true}
	if acct := c.dir.Accounts[j.batch.Account]; acct != nil {
		p.Transliterate = acct.Policy.Transliterate
	}
	if j.batch.Encoding == sms.GSM7Translit.String() {
		p.Encoding = sms.GSM7Translit
	}
	if (p.Encoding == sms.TRLocking || p.Encoding == sms.TRSingle) && !prof.National {
		p.Encoding = sms.EncodingAuto
	}
	return p
}

func segments(j *job, tmpl *template.Template, p sms.Policy) ([]sms.Segment, error) {
	if raw := j.batch.Raw; raw != nil {
		out := make([]sms.Segment, len(raw.Parts))
		for i, part := range raw.Parts {
			out[i] = sms.Segment{UDH: part.UDH, Body: part.Body, DataCoding: raw.DataCoding}
		}
		return out, nil
	}
	text, err := tmpl.Render(j.rcpt.Vars)
	if err != nil {
		return nil, err
	}
	return sms.Split(text, p, reference(j.id))
}

// reference is the concatenation reference of a message: the same at every attempt, so that parts sent at different attempts
// still belong together, and spread well over the messages to one recipient.
func reference(id gateway.MessageID) uint16 {
	h := uint64(id.Batch)*0x9E3779B97F4A7C15 + uint64(id.Index)*0xC2B2AE3D27D4EB4F
	h ^= h >> 29
	return uint16(h ^ h>>16 ^ h>>32)
}
