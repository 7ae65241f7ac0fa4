package bounce

import (
	"strings"

	"izinli/gateway/mail"
)

// feedback reads message/feedback-report (RFC 5965 §3).
func (rep *Report) feedback(b []byte) {
	groups := fields(b)
	if len(groups) == 0 || rep.Complaint != nil {
		return
	}
	g := groups[0]
	c := &Complaint{Type: strings.ToLower(firstWord(g["feedback-type"])), UserAgent: firstLine(g["user-agent"]),
		MailFrom: addressOf(firstLine(g["original-mail-from"])), SourceIP: firstLine(g["source-ip"]), Domain: firstLine(g["reported-domain"]),
		Date: firstLine(g["arrival-date"])}
	if c.Date == "" {
		c.Date = firstLine(g["received-date"]) // before RFC 5965
	}
	for v := range strings.SplitSeq(g["original-rcpt-to"], "\n") {
		if a := addressOf(v); strings.Contains(a, "@") && len(c.Rcpt) < maxRecipients {
			c.Rcpt = append(c.Rcpt, a)
		}
	}
	if v := firstLine(g["original-envelope-id"]); v != "" {
		rep.EnvelopeID = v
	}
	rep.Complaint = c
}

// complain completes a complaint from the message that caused it: what the report hides, the message may show.
func (rep *Report) complain() {
	if rep.Complaint == nil { // a feedback-report without its part says nothing
		rep.Kind = KindAutomatic
		return
	}
	if rep.Complaint.Type == "" {
		rep.Complaint.Type = "other"
	}
	if rep.Complaint.MailFrom == "" && rep.Original != nil {
		rep.Complaint.MailFrom = addressOf(rep.Original.Get("Return-Path"))
	}
	if len(rep.Complaint.Rcpt) == 0 && rep.Original != nil {
		if list, err := mail.Addresses(rep.Original.Get("To")); err == nil && len(list) == 1 {
			rep.Complaint.Rcpt = list
		}
	}
}

func firstLine(s string) string {
	l, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(l)
}
