package metrics

import (
	"math"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

func bindName(n int) string { return strconv.Itoa(n) }

func (c *collector) consent(s sink) {
	if c.src.Consent != nil {
		i := c.src.Consent()
		s.count(iysAsked, i.Asked)
		s.count(iysFailed, i.AskFailed)
		for _, f := range i.Fresh {
			age := f.Age.Seconds()
			if f.Never {
				age = math.Inf(1)
			}
			s.gauge(iysAge, age, f.Brand, f.Channel)
		}
		for _, b := range i.Brands {
			s.flag(iysBrand, b.Stale, b.Code, "stale")
			s.flag(iysBrand, b.Shut, b.Code, "writes_stopped")
			s.flag(iysBrand, b.PushesFail, b.Code, "push_down")
			s.flag(iysBrand, b.RightsGone, b.Code, "rights_missing")
		}
		s.gauge(iysRecords, float64(i.Records), "consent")
		s.gauge(iysRecords, float64(i.Blocks), "block")
	}
	if c.src.Outbox != nil {
		o, err := c.src.Outbox()
		s.flag(outboxUp, err == nil)
		if err != nil {
			return // no number is better than a wrong one
		}
		s.gauge(outboxOpen, float64(o.Open), "open")
		s.gauge(outboxOpen, float64(o.Owed), "owed_by_customer")
		s.gauge(outboxOpen, float64(o.Warning), "warning")
		s.gauge(outboxOpen, float64(o.Late), "late")
	}
}

func (c *collector) sessions(s sink) {
	if c.src.Sessions != nil {
		n := c.src.Sessions()
		s.gauge(smppConns, float64(n.Connections))
		s.gauge(smppFlight, float64(n.InFlight))
		for system, k := range n.Binds {
			s.gauge(smppBinds, float64(k), system)
		}
		for kind, k := range map[string]uint64{"submitted": n.Submitted, "refused": n.Refused, "throttled": n.Throttled,
			"bind_failed": n.BindFailures, "delivered": n.Delivered, "undeliverable": n.Undeliverable, "panic": n.Panics} {
			s.count(smppRequests, k, kind)
		}
	}
	if c.src.Journal != nil {
		j := c.src.Journal()
		s.count(journalLines, j.Written, "written")
		s.count(journalLines, j.Lost, "lost")
	}
}

func (c *collector) mail(s sink) {
	if c.src.Mail == nil {
		return
	}
	d := c.src.Mail()
	for listener, n := range d.Open {
		s.gauge(mailConns, float64(n), listener)
	}
	for class, n := range d.Trouble {
		s.gauge(mailTrouble, float64(n), class)
	}
	for desc, counts := range map[*prometheus.Desc]map[string]uint64{mailIn: d.Connections, mailAway: d.TurnedAway, mailAccepted: d.Accepted,
		mailLogins: d.Logins, mailFailures: d.LoginFailures, mailInbox: d.Inbox, mailUnwanted: d.Unwanted} {
		for label, n := range counts {
			s.count(desc, n, label)
		}
	}
	for _, r := range d.Refused {
		s.count(mailRefused, r.Count, r.Command, r.Reply, r.Code)
	}
}
