// Package metrics shows what the gateway does to Prometheus, and its health to whoever probes it.
//
// New takes [Sources], functions that describe a part at one instant; each is called once per scrape, and one that is nil leaves
// its metrics out. What no snapshot can tell is counted by the methods of [Metrics]: Accepted (intake.Observer), Receipt and
// Silenced. Handler serves /metrics, /healthz and /readyz for the operations listener; Registerer is where the HTTP door adds its
// own. Names begin with izinli_, durations are seconds, and no label carries the address, text or id of a message.
//
// The package keeps no state of its own beyond those counters and decides nothing; only it and the HTTP door know Prometheus.
package metrics
