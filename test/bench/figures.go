package main

// figures in the order in which they run. The targets are those the project set itself for a machine with two cores that
// generator and operator share.
var figures = []figure{
	{id: "T1", what: "SMPP in (4 binds, window 100) → consent → queue → SMPP out, receipts back to the client, real Redis",
		target: "≥ 12 000 messages/s, ≤ 0.12 CPU-s per 1000 (gateway + Redis)", run: roadRedis,
		met: func(r *result) bool { return r.Value >= 12_000 && r.CPU.Gateway+r.CPU.Redis <= 0.12 }},
	{id: "T2", what: "the same with the embedded queue", target: "≥ 10 000 messages/s", run: roadEmbedded,
		met: func(r *result) bool { return r.Value >= 10_000 }},
	{id: "T3", what: "HTTP bulk accept, 10 000 recipients a request, without and with variables", target: "≥ 60 000 recipients/s, both ways",
		run: bulkAccept, met: func(r *result) bool { return r.Value >= 60_000 && r.Values["withVariables"] >= 60_000 }},
	{id: "T4", what: "HTTP accept, one message a request, 64 kept-alive connections", target: "≥ 8 000/s, p99 ≤ 30 ms", run: singleAccept,
		met: func(r *result) bool { return r.Value >= 8_000 && r.Values["responseP99ms"] <= 30 }},
	{id: "T5", what: "SMPP accept alone, 4 binds × window 100: full windows, then a steady 26 000/s whose responses are timed", run: smppAccept,
		target: "≥ 25 000/s, p99 of submit_sm_resp ≤ 20 ms with full windows; beside it the steady rate's, counted from when each message was due",
		met: func(r *result) bool {
			return min(r.Value, r.Values["steadyPerSecond"]) >= 25_000 && r.Values["responseP99ms"] <= 20
		}},
	{id: "T6", what: "SMTP accept → smarthost, 2 kB commercial mail, 1 recipient, Ed25519 DKIM (RSA-2048 beside it)",
		target: "≥ 3 000 mails/s", run: mailRoad, met: func(r *result) bool { return r.Value >= 3_000 }},
	{id: "T7", what: "OTP over HTTP to PDU at the operator while a 500 000-message campaign runs", target: "p99 ≤ 100 ms", run: otpUnderLoad,
		met: func(r *result) bool { return r.Value <= 100 }},
	{id: "T8", what: "one million messages waiting (scheduled): memory once they rest, and acceptance beside them", run: millionWaiting,
		target: "RSS ≤ 400 MB; accept rate ≥ 80 % of that on an empty store, bulk and single",
		met: func(r *result) bool {
			return r.Value <= 400 && r.Values["singleRatio"] >= 0.8 && r.Values["bulkRatio"] >= 0.8 && r.Messages >= 1_000_000
		}},
	{id: "T9", what: "consent decisions on a 10 M-record mirror, one goroutine, beside 100 k records; memory, and disk of the durable copy", run: decisions,
		target: "≥ 1 000 000/s per core, alone and with all of them busy; RSS added ≤ 400 MB; ≤ 2× slower than at 100 k records",
		met: func(r *result) bool {
			return r.Value >= 1e6 && r.Values["perCoreAllBusy"] >= 1e6 && r.Values["rssAddedMB"] <= 400 && r.Values["slowdown"] <= 2 && r.atLeast("records", 10_000_000)
		}},
	{id: "T10", what: "start-up with 10 M consents and 1 M waiting messages, after a kill", target: "ready ≤ 15 s", extra: true, big: true,
		run: startUp, met: func(r *result) bool {
			return r.Value <= 15 && r.Values["afterStopSeconds"] <= 15 && r.atLeast("consents", 10_000_000) && r.Messages >= 1_000_000
		}},
	{id: "T11", what: "MO opt-out received → last PDU to that number, under full load, each number with ≥ 3 messages waiting",
		target: "≤ 100 ms over 1000 opt-outs; PDUs after the acknowledgement 0", run: optOuts,
		met: func(r *result) bool { return r.Value <= 100 && r.Leaks == 0 && r.Values["optOuts"] >= 1000 }},
	{id: "T13", what: "sync system calls per 1000 messages under T1's load (strace); the same load with 2 ms added to each", run: syncs,
		target: "≤ 60 calls per 1000, and no fewer than commits; with 2 ms more for each, T1's ≥ 12 000 messages/s",
		met: func(r *result) bool {
			return r.SyncsPer1000 <= 60 && r.SyncsPer1000 >= r.CommitsPer1000 && r.Values["slowDiskPerSecond"] >= 12_000
		}},
	{id: "panel", what: "pages of the panel that list something, one million messages stored", target: "median of each page ≤ 50 ms", extra: true,
		run: listPages, met: func(r *result) bool { return r.Value <= 50 }},
	{id: "import", what: "a consent file of 1 M rows (half ONAY with dates, RET, repeats, 1 % bad) registered, its changes at the simulated İYS",
		target: "peak of memory (anonymous) ≤ the 768 MiB the collector works towards and a tenth; what is left in the heap at the end ≤ that of 100 000 rows and 100 octets a row; quality ≥ 99.9 %; every refused row with its code", extra: true, run: importCSV, met: importMet},
	{id: "xlsx", what: "the same as a spreadsheet", target: "the same", extra: true, run: importXLSX, met: importMet},
	{id: "mailqueue", what: "100 000 mails of 20 kB wait while every site is away",
		target: "anonymous memory of the gateway with 100 000 waiting ≤ 1.25× that with 10 000; on arrival not above the 768 MiB the collector works towards, and a tenth",
		extra:  true, run: mailQueue,
		met: func(r *result) bool {
			return r.Values["acceptPeakMB"] <= 1.1*tightHeapMB && r.Values["waitingMB"] <= 1.25*r.Values["small_waitingMB"]
		}},
	{id: "mailoutage", what: "10 000 mails of 20 kB wait while every site is away; then the sites come back, all but one, which takes connections and never answers",
		target: "every mail to a live site delivered, once", extra: true, run: mailOutage},
	{id: "mailsites", what: "mails of 20 kB wait for four sites, and for a fifth that takes connections and never answers; what each gets once all may leave",
		target: "each live site ≥ 0.9× its rate without the dead one", extra: true, run: mailSites,
		met: func(r *result) bool { return r.Value >= 0.9 }},
	{id: "kannel", what: "T1's road against Kannel's HTTP → SMPP with receipts and spool store, in turns", target: "≥ 9 × Kannel", extra: true,
		run: kannel, met: func(r *result) bool { return r.Value >= 9 }},
}
