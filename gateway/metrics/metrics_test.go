package metrics

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/gateway/operators"
	"izinli/gateway/smppclient"
	"izinli/gateway/smpplink"
	"izinli/gateway/store"
	"izinli/queue"
)

func sources() Sources {
	bind := smppclient.BindSnapshot{Operator: "op1", Bind: 2, State: smppclient.Bound, Window: 100, Accepted: 7, Refused: 1, TimedOut: 2, Lost: 3,
		Link: smpplink.Stats{InFlight: 9}}
	bind.Latency[0], bind.Latency[2], bind.Latency[len(smppclient.LatencyBounds)] = 4, 2, 1
	return Sources{
		Store: func() store.Stats {
			return store.Stats{Commits: 5, Acts: 50, Keys: 500, Finals: []store.FinalCount{
				{Class: "otp", State: gateway.StateDelivered, Count: 3}, {Class: "commercial", State: gateway.StateDropped, Code: gateway.CodeNoConsent, Count: 2}}}
		},
		Queue: func() queue.Snapshot {
			var q queue.Snapshot
			q.Lanes[gateway.LaneOTP] = queue.LaneStats{Waiting: 1, Outstanding: 2, Running: 3, Oldest: 1500 * time.Millisecond, Chunks: 8}
			return q
		},
		Binds: func() []smppclient.BindSnapshot { return []smppclient.BindSnapshot{bind} },
		Carriers: func() []dispatch.CarrierState {
			return []dispatch.CarrierState{{Name: "op1", Up: true, Open: [3]int{1, 2, 3}}}
		},
		Operators: func() operators.Counts { return operators.Counts{Receipts: 10, Parked: 1, MO: 4} },
		Consent: func() Consent {
			return Consent{Asked: 1000, AskFailed: 1,
				Fresh: []Freshness{{Brand: "1", Channel: "MESAJ", Age: time.Minute}, {Brand: "2", Channel: "MESAJ", Never: true}}}
		},
		Outbox: func() (Outbox, error) { return Outbox{Open: 6, Owed: 2, Late: 1}, nil },
		Sessions: func() Sessions {
			return Sessions{Connections: 3, Binds: map[string]int{"musteri": 2, "bad\xFF": 1}, Submitted: 11}
		},
		Mail: func() MailDoor {
			return MailDoor{Open: map[string]int{"relay": 2}, Connections: map[string]uint64{"relay": 5}, TurnedAway: map[string]uint64{"address_full": 4},
				Accepted: map[string]uint64{"submission": 7}, Refused: []MailRefusals{{"RCPT", "550 5.7.1", "no_consent", 6}},
				Logins: map[string]uint64{"PLAIN": 8}, LoginFailures: map[string]uint64{"SCRAM-SHA-256": 3}, Inbox: map[string]uint64{"bounce": 9},
				Unwanted: map[string]uint64{"auth": 12}, Trouble: map[string]int{"auth": 2}}
		},
		Journal: func() Journal { return Journal{Written: 100, Lost: 1} },
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler(func() error { return nil }).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("/metrics answers %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func TestEverySourceIsShown(t *testing.T) {
	body := scrape(t, New(sources()))
	for _, want := range []string{
		`izinli_messages_final_total{class="commercial",code="no_consent",state="dropped"} 2`,
		`izinli_messages_final_total{class="otp",code="",state="delivered"} 3`,
		`izinli_store_commits_total 5`,
		`izinli_store_full 0`,
		`izinli_queue_up 1`,
		`izinli_queue_chunks{lane="otp",place="running"} 3`,
		`izinli_queue_oldest_seconds{lane="otp"} 1.5`,
		`izinli_queue_chunks_total{lane="otp",result="done"} 8`,
		`izinli_operator_bind_up{bind="2",operator="op1"} 1`,
		`izinli_operator_in_flight{bind="2",operator="op1"} 9`,
		`izinli_operator_submits_total{bind="2",operator="op1",result="lost"} 3`,
		`izinli_operator_response_seconds_bucket{bind="2",operator="op1",le="0.001"} 4`,
		`izinli_operator_response_seconds_bucket{bind="2",operator="op1",le="0.005"} 6`,
		`izinli_operator_response_seconds_bucket{bind="2",operator="op1",le="10"} 6`,
		`izinli_operator_response_seconds_count{bind="2",operator="op1"} 7`,
		`izinli_mail_unwanted_total{class="auth"} 12`,
		`izinli_mail_trouble_domains{class="auth"} 2`,
		`izinli_carrier_up{carrier="op1"} 1`,
		`izinli_carrier_open_segments{carrier="op1",lane="commercial"} 3`,
		`izinli_operator_deliveries_total{kind="mo"} 4`,
		`izinli_iys_asked_total 1000`,
		`izinli_iys_ask_failures_total 1`,
		`izinli_iys_freshness_seconds{brand="1",channel="MESAJ"} 60`,
		`izinli_iys_freshness_seconds{brand="2",channel="MESAJ"} +Inf`,
		`izinli_outbox_entries{kind="late"} 1`,
		`izinli_smpp_sessions{system_id="musteri"} 2`,
		"izinli_smpp_sessions{system_id=\"bad\uFFFD\"} 1",
		`izinli_smpp_events_total{kind="submitted"} 11`,
		`izinli_smtp_connections{listener="relay"} 2`,
		`izinli_smtp_connections_total{listener="relay"} 5`,
		`izinli_smtp_connections_refused_total{cause="address_full"} 4`,
		`izinli_smtp_messages_accepted_total{listener="submission"} 7`,
		`izinli_smtp_refusals_total{code="no_consent",command="RCPT",reply="550 5.7.1"} 6`,
		`izinli_smtp_logins_total{mechanism="PLAIN"} 8`,
		`izinli_smtp_auth_failures_total{mechanism="SCRAM-SHA-256"} 3`,
		`izinli_smtp_inbox_total{kind="bounce"} 9`,
		`izinli_journal_events_total{fate="lost"} 1`,
		`go_goroutines`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

func TestAbsentSourcesAreNoZeroes(t *testing.T) {
	body := scrape(t, New(Sources{}))
	for _, name := range []string{"izinli_store_", "izinli_queue_", "izinli_operator_", "izinli_iys_", "izinli_outbox_", "izinli_smpp_", "izinli_smtp_"} {
		if strings.Contains(body, name) {
			t.Errorf("%s is shown without a source", name)
		}
	}
	src := sources()
	src.Outbox = func() (Outbox, error) { return Outbox{}, errors.New("store: closed") }
	body = scrape(t, New(src))
	if strings.Contains(body, "izinli_outbox_entries") || !strings.Contains(body, "izinli_outbox_readable 0") {
		t.Error("an outbox that cannot be read is shown as an empty one")
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	m := New(sources())
	families, err := m.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "izinli_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	m.Registerer().MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "izinli_http_test_total", Help: "Of another package."}))
	if !strings.Contains(scrape(t, m), "izinli_http_test_total 0") {
		t.Error("a metric of another package is not shown")
	}
}

func TestAcceptedCountsReasons(t *testing.T) {
	m := New(Sources{})
	b := &gateway.Batch{Door: gateway.DoorHTTP, Channel: "sms", Class: "commercial"}
	m.Accepted(b, &gateway.Result{Accepted: 5, Segments: 10, Dropped: 2, Refused: 1, Messages: []gateway.Verdict{
		{State: gateway.StateQueued}, {State: gateway.StateDropped, Code: gateway.CodeBlocked}, {State: gateway.StateDropped, Code: gateway.CodeNoConsent},
		{Code: gateway.CodeBadNumber}}})
	m.Accepted(b, &gateway.Result{Accepted: 1, Segments: 1, Messages: []gateway.Verdict{{State: gateway.StateQueued}}})
	m.Receipt("op1", 3*time.Second)
	m.Receipt("op1", -time.Second) // clocks differ; never a negative time
	m.Silenced(200 * time.Microsecond)
	body := scrape(t, m)
	for _, want := range []string{
		`izinli_messages_accepted_total{channel="sms",class="commercial",door="http"} 6`,
		`izinli_segments_accepted_total{channel="sms",class="commercial"} 11`,
		`izinli_messages_dropped_total{channel="sms",class="commercial",code="blocked"} 1`,
		`izinli_messages_dropped_total{channel="sms",class="commercial",code="no_consent"} 1`,
		`izinli_recipients_refused_total{channel="sms",class="commercial",code="invalid_number"} 1`,
		`izinli_receipt_lag_seconds_bucket{operator="op1",le="5"} 2`,
		`izinli_receipt_lag_seconds_sum{operator="op1"} 3`,
		`izinli_optout_silence_seconds_bucket{le="0.001"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

func TestProbes(t *testing.T) {
	var down error
	srv := httptest.NewServer(New(Sources{}).Handler(func() error { return down }))
	defer srv.Close()
	for _, c := range []struct {
		why, method, path string
		down              error
		status            int
		body              string
	}{
		{"the process lives", "GET", "/healthz", errors.New("queue: redis is away"), 200, `{"status":"ok"}`},
		{"all is well", "GET", "/readyz", nil, 200, `{"status":"ready"}`},
		{"a part is missing, and which", "GET", "/readyz", errors.New("queue: redis is away"), 503, `{"status":"not ready","reason":"queue: redis is away"}`},
		{"nothing else is here", "GET", "/debug", nil, 404, ""},
		{"nothing can be changed here", "POST", "/readyz", nil, 405, ""},
	} {
		down = c.down
		req, err := http.NewRequest(c.method, srv.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != c.status || c.body != "" && strings.TrimSpace(string(got)) != c.body {
			t.Errorf("%s: got %d %s, want %d %s", c.why, res.StatusCode, got, c.status, c.body)
		}
	}
}
