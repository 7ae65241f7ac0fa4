// Package admin is the panel: administrators run the gateway from a browser.
//
// A caller builds it with [New], prints the one-time link of [Panel.SetupLink] when there is no user yet, and lets [Panel.Serve]
// answer a listener of its own. Behind every page stands desk.Service, the same service the command line uses; the panel parses
// a form, calls and shows the answer, and decides nothing itself.
//
// Pages are written on the server and work without JavaScript; the one script of the package only keeps the dashboard moving and
// copies secrets. Whoever may see or do what stands in one table, routes.go. Pages are put together from a few blocks (view.go),
// so that layout, labels and error states are the same everywhere. All words are in messages.txt, Turkish and English beside
// each other; a log, a URL or a list never holds a whole address.
//
// The package knows neither the store nor the queue nor İYS traffic: what it shows of them is given as a [Snapshot].
package admin
