package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"izinli/gateway"
	"izinli/gateway/smppclient"
)

// descs are the metrics made of snapshots.
var descs []*prometheus.Desc

func desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("izinli_"+name, help, labels, nil)
	descs = append(descs, d)
	return d
}

var (
	finals      = desc("messages_final_total", "Messages that reached a final state, by class, state and code.", "class", "state", "code")
	commits     = desc("store_commits_total", "Synced transactions of the store.")
	acts        = desc("store_acts_total", "Atomic changes gathered in the store's transactions.")
	storeKeys   = desc("store_keys_total", "Records written or deleted.")
	storeFull   = desc("store_full", "1 while acceptance is stopped for lack of space.")
	queueUp     = desc("queue_up", "1 while the queue's broker answers.")
	queueDepth  = desc("queue_chunks", "Chunks by lane and place: waiting, outstanding (in the broker), running.", "lane", "place")
	queueAge    = desc("queue_oldest_seconds", "How long the oldest entry in hand has been due.", "lane")
	queuePaused = desc("queue_paused_accounts", "Accounts whose lane rests.", "lane")
	queueMsgs   = desc("queue_messages_total", "Messages in processed chunks.", "lane")
	queueChunks = desc("queue_chunks_total", "Processed chunks by result: done, failed, requeued, stale.", "lane", "result")

	bindState   = desc("operator_bind_up", "1 while the bind is bound.", "operator", "bind")
	bindWindow  = desc("operator_window", "Places of the bind's window.", "operator", "bind")
	bindFlight  = desc("operator_in_flight", "Requests without a response.", "operator", "bind")
	bindPaused  = desc("operator_throttled", "1 while the operator's throttling pauses the bind.", "operator", "bind")
	bindUnacked = desc("operator_deliveries_unacked", "Deliveries not acknowledged yet.", "operator", "bind")
	bindSubmits = desc("operator_submits_total", "submit_sm by result: accepted, refused, timed_out, lost.", "operator", "bind", "result")
	bindBinds   = desc("operator_binds_total", "Successful binds.", "operator", "bind")
	bindPauses  = desc("operator_pauses_total", "Pauses after throttling by the operator.", "operator", "bind")
	bindLatency = desc("operator_response_seconds", "Time to the operator's response.", "operator", "bind")

	carrierUp   = desc("carrier_up", "1 while the carrier can take messages.", "carrier")
	carrierOpen = desc("carrier_open_segments", "Segments under open intents.", "carrier", "lane")
	carrierWait = desc("carrier_waiting_messages", "Messages that wait for a place or a permit.", "carrier", "lane")
	delivered   = desc("operator_deliveries_total", "Deliveries of operators by kind: receipt, parked (receipt before its id), mo, refused.", "kind")

	iysAsked   = desc("iys_asked_total", "Addresses İYS was asked about.")
	iysFailed  = desc("iys_ask_failures_total", "Questions to İYS without an answer.")
	iysAge     = desc("iys_freshness_seconds", "Age of the last complete pull; +Inf before the first.", "brand", "channel")
	iysBrand   = desc("iys_brand_trouble", "1 while a brand has trouble with İYS by kind: stale (lost movements are being asked for), writes_stopped, push_down, rights_missing (the company withholds what its partner needs).", "brand", "kind")
	iysRecords = desc("mirror_records", "Records of the local copy by kind: consent, block.", "kind")
	outboxOpen = desc("outbox_entries", "Entries owed to İYS by kind: open, owed_by_customer, warning (past one business day), late (past three).", "kind")
	outboxUp   = desc("outbox_readable", "1 if the outbox could be read for this scrape.")

	smppConns    = desc("smpp_connections", "Connections to the SMPP server, bound or not.")
	smppBinds    = desc("smpp_sessions", "Bound sessions by system_id.", "system_id")
	smppFlight   = desc("smpp_in_flight", "Requests of clients without an answer.")
	smppRequests = desc("smpp_events_total", "Events of the SMPP server by kind.", "kind")
	mailConns    = desc("smtp_connections", "Connections to the SMTP server by listener: submission, submissions (TLS from the start), relay.", "listener")
	mailIn       = desc("smtp_connections_total", "Connections let in by listener.", "listener")
	mailAway     = desc("smtp_connections_refused_total", "Connections answered 421 by cause: server_full, address_full, peer_full.", "cause")
	mailAccepted = desc("smtp_messages_accepted_total", "Messages answered 250 by listener.", "listener")
	mailRefused  = desc("smtp_refusals_total", "Commands refused (MAIL: senders, RCPT: recipients, DATA: messages) by reply and reason.", "command", "reply", "code")
	mailLogins   = desc("smtp_logins_total", "Logins by mechanism.", "mechanism")
	mailFailures = desc("smtp_auth_failures_total", "Failed logins by mechanism.", "mechanism")
	mailInbox    = desc("smtp_inbox_total", "Mails for ourselves by meaning: bounce, delivered, complaint, unsubscribe, ignored.", "kind")
	mailUnwanted = desc("mail_unwanted_total", "Mails refused or returned as unwanted by class: block (we are listed, limited or taken for spam), auth (SPF, DKIM, DMARC, the sender).", "class")
	mailTrouble  = desc("mail_trouble_domains", "Domains of recipients that said so within the last hour, by class.", "class")
	journalLines = desc("journal_events_total", "Events of the message journal by fate: written, lost.", "fate")
)

// collector turns snapshots into metrics.
type collector struct{ src Sources }

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := sink(ch)
	c.store(s)
	c.queue(s)
	c.binds(s)
	c.carriers(s)
	c.consent(s)
	c.sessions(s)
	c.mail(s)
}

type sink chan<- prometheus.Metric

func (s sink) count(d *prometheus.Desc, v uint64, labels ...string) {
	s.put(d, prometheus.CounterValue, float64(v), labels)
}

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.put(d, prometheus.GaugeValue, v, labels)
}

// put sends a metric on. Some labels come from outside (system_id), and one that is no UTF-8 must not cost the scrape.
func (s sink) put(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels []string) {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD")
	}
	s <- prometheus.MustNewConstMetric(d, kind, v, labels...)
}

func (s sink) flag(d *prometheus.Desc, v bool, labels ...string) {
	n := 0.0
	if v {
		n = 1
	}
	s.gauge(d, n, labels...)
}

func (c *collector) store(s sink) {
	if c.src.Store == nil {
		return
	}
	st := c.src.Store()
	s.count(commits, st.Commits)
	s.count(acts, st.Acts)
	s.count(storeKeys, st.Keys)
	s.flag(storeFull, st.Full)
	for _, f := range st.Finals {
		s.count(finals, f.Count, f.Class, f.State.String(), string(f.Code))
	}
}

func (c *collector) queue(s sink) {
	if c.src.Queue == nil {
		return
	}
	q := c.src.Queue()
	s.flag(queueUp, q.Err == nil)
	for i, l := range q.Lanes {
		lane := gateway.Lane(i).String()
		s.gauge(queueDepth, float64(l.Waiting), lane, "waiting")
		s.gauge(queueDepth, float64(l.Outstanding), lane, "outstanding")
		s.gauge(queueDepth, float64(l.Running), lane, "running")
		s.gauge(queueAge, l.Oldest.Seconds(), lane)
		s.gauge(queuePaused, float64(l.Paused), lane)
		s.count(queueMsgs, l.Messages, lane)
		s.count(queueChunks, l.Chunks, lane, "done")
		s.count(queueChunks, l.Failed, lane, "failed")
		s.count(queueChunks, l.Requeued, lane, "requeued")
		s.count(queueChunks, l.Stale, lane, "stale")
	}
}

func (c *collector) binds(s sink) {
	if c.src.Binds == nil {
		return
	}
	for _, b := range c.src.Binds() {
		l := []string{b.Operator, bindName(b.Bind)}
		s.flag(bindState, b.State == smppclient.Bound, l...)
		s.gauge(bindWindow, float64(b.Window), l...)
		s.gauge(bindFlight, float64(b.Link.InFlight), l...)
		s.flag(bindPaused, !b.ThrottledUntil.IsZero(), l...)
		s.gauge(bindUnacked, float64(b.Unacked), l...)
		s.count(bindBinds, b.Binds, l...)
		s.count(bindPauses, b.Pauses, l...)
		s.count(bindSubmits, b.Accepted, l[0], l[1], "accepted")
		s.count(bindSubmits, b.Refused, l[0], l[1], "refused")
		s.count(bindSubmits, b.TimedOut, l[0], l[1], "timed_out")
		s.count(bindSubmits, b.Lost, l[0], l[1], "lost")
		s <- latency(&b, l)
	}
}

// latency makes a histogram of a bind's buckets. They have no sum of their own: it is put together from the middles of the
// buckets, good enough for a mean.
func latency(b *smppclient.BindSnapshot, labels []string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(smppclient.LatencyBounds))
	var total uint64
	var sum, low float64
	for i, n := range b.Latency {
		total += n
		if i == len(smppclient.LatencyBounds) {
			sum += low * float64(n)
			break
		}
		high := smppclient.LatencyBounds[i].Seconds()
		sum += (low + high) / 2 * float64(n)
		buckets[high], low = total, high
	}
	return prometheus.MustNewConstHistogram(bindLatency, total, sum, buckets, labels...)
}

func (c *collector) carriers(s sink) {
	if c.src.Carriers != nil {
		for _, k := range c.src.Carriers() {
			s.flag(carrierUp, k.Up, k.Name)
			for l := range gateway.Lane(gateway.Lanes) {
				s.gauge(carrierOpen, float64(k.Open[l]), k.Name, l.String())
				s.gauge(carrierWait, float64(k.Waiting[l]), k.Name, l.String())
			}
		}
	}
	if c.src.Operators != nil {
		n := c.src.Operators()
		s.count(delivered, n.Receipts, "receipt")
		s.count(delivered, n.Parked, "parked")
		s.count(delivered, n.MO, "mo")
		s.count(delivered, n.Refused, "refused")
	}
}
