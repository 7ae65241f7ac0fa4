package metrics

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/gateway/operators"
	"izinli/gateway/smppclient"
	"izinli/gateway/store"
	"izinli/queue"
)

// Sources describe the parts. Any may be nil.
type Sources struct {
	Store     func() store.Stats
	Queue     func() queue.Snapshot
	Binds     func() []smppclient.BindSnapshot
	Carriers  func() []dispatch.CarrierState
	Operators func() operators.Counts
	Consent   func() Consent
	Outbox    func() (Outbox, error)
	Sessions  func() Sessions
	Mail      func() MailDoor
	Journal   func() Journal
}

// Consent is the traffic with İYS and how current the local copy is.
type Consent struct {
	Asked, AskFailed uint64 // addresses asked about, questions without an answer; since the start
	Fresh            []Freshness
	Brands           []Brand
	Records, Blocks  int // of the mirror
}

// Brand is how the exchange with İYS stands for one brand: movements were lost and are asked for anew, İYS refuses our writes, its
// pushes do not arrive.
type Brand struct {
	Code                    string
	Stale, Shut, PushesFail bool
	RightsGone              bool
}

// Freshness is how long ago the last complete pull of a brand's movements began; Never when there was none.
type Freshness struct {
	Brand, Channel string
	Age            time.Duration
	Never          bool
}

// Outbox is what is owed to İYS.
type Outbox struct {
	Open    int // entries whose clock runs
	Owed    int // of them, those only the customer can write
	Warning int // past the first business day
	Late    int // past the third
}

// Sessions are the clients of the SMPP server. Counters run since the start.
type Sessions struct {
	Connections  int
	Binds        map[string]int // by system_id
	InFlight     int
	Submitted    uint64
	Refused      uint64
	Throttled    uint64
	BindFailures uint64
	Delivered    uint64
	// Undeliverable are receipts and messages a client refused for good, too often or for too long.
	Undeliverable uint64
	Panics        uint64
}

// MailDoor is the SMTP server and what came back to ourselves. Open is now, everything else runs since the start.
type MailDoor struct {
	Open          map[string]int    // connections by listener
	Connections   map[string]uint64 // by listener
	TurnedAway    map[string]uint64 // connections by cause
	Accepted      map[string]uint64 // messages by listener
	Refused       []MailRefusals
	Logins        map[string]uint64 // by mechanism
	LoginFailures map[string]uint64 // by mechanism
	Inbox         map[string]uint64 // mails for ourselves by what they meant
	Unwanted      map[string]uint64 // mails refused or returned as unwanted, by class
	Trouble       map[string]int    // domains that want none now, by class
}

// MailRefusals counts what was refused in one way.
type MailRefusals struct {
	Command, Reply, Code string
	Count                uint64
}

// Journal is how much of the message journal was written.
type Journal struct{ Written, Lost uint64 }

// Metrics is the registry with the counters that have no snapshot.
type Metrics struct {
	reg      *prometheus.Registry
	accepted *prometheus.CounterVec
	segments *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	refused  *prometheus.CounterVec
	receipts *prometheus.HistogramVec
	silence  prometheus.Histogram
}

// New returns metrics over the sources.
func New(src Sources) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		reg:      prometheus.NewRegistry(),
		accepted: counter("izinli_messages_accepted_total", "Messages accepted to be sent.", "door", "channel", "class"),
		segments: counter("izinli_segments_accepted_total", "Segments of accepted messages.", "channel", "class"),
		dropped:  counter("izinli_messages_dropped_total", "Messages stored and dropped by policy at the door, by reason.", "channel", "class", "code"),
		refused:  counter("izinli_recipients_refused_total", "Recipients that were not stored, by reason.", "channel", "class", "code"),
		receipts: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "izinli_receipt_lag_seconds",
			Help:    "Time from the operator's acceptance of a message to its final receipt.",
			Buckets: []float64{1, 2, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400, 259200}}, []string{"operator"}),
		silence: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "izinli_optout_silence_seconds",
			Help:    "Time from the receipt of an opt-out to the block that enforces it.",
			Buckets: []float64{.0001, .001, .005, .01, .05, .1, .5, 1, 5, 30}}),
	}
	m.reg.MustRegister(m.accepted, m.segments, m.dropped, m.refused, m.receipts, m.silence, &collector{src: src},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Registerer is where other packages add metrics.
func (m *Metrics) Registerer() prometheus.Registerer { return m.reg }

// Accepted counts an answered submission. It implements intake.Observer.
func (m *Metrics) Accepted(b *gateway.Batch, r *gateway.Result) {
	m.accepted.WithLabelValues(string(b.Door), b.Channel, b.Class).Add(float64(r.Accepted))
	m.segments.WithLabelValues(b.Channel, b.Class).Add(float64(r.Segments))
	if r.Dropped+r.Refused == 0 {
		return
	}
	for i := range r.Messages {
		switch v := &r.Messages[i]; {
		case v.State == gateway.StateDropped:
			m.dropped.WithLabelValues(b.Channel, b.Class, string(v.Code)).Inc()
		case v.Refused():
			m.refused.WithLabelValues(b.Channel, b.Class, string(v.Code)).Inc()
		}
	}
}

// Receipt notes how long after the operator took a message its receipt came.
func (m *Metrics) Receipt(operator string, lag time.Duration) {
	m.receipts.WithLabelValues(operator).Observe(max(0, lag.Seconds()))
}

// Silenced notes how long an opt-out took to be in force.
func (m *Metrics) Silenced(took time.Duration) { m.silence.Observe(max(0, took.Seconds())) }

// Handler serves /metrics, /healthz (the process answers) and /readyz (it can do its work: ready returns nil) for the operations
// listener, which is not for the public: the reason of an unready gateway is told as it is.
func (m *Metrics) Handler(ready func() error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{Registry: m.reg,
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 30 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, health{Status: "ok"}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, health{Status: "not ready", Reason: err.Error()})
			return
		}
		answer(w, http.StatusOK, health{Status: "ready"})
	})
	return mux
}

type health struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

func answer(w http.ResponseWriter, status int, h health) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // the prober has gone: nobody to tell
}
