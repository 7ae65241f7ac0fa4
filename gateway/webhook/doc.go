// Package webhook tells customers what happened: it POSTs the events owed to an account's webhook, signed, until the endpoint
// answers 2xx or 72 hours have passed.
//
//	s := webhook.New(webhook.Config{}, store, store, admin)
//	err := s.Run(ctx) // until ctx ends; what is on the wire is waited for
//
// A request carries the event's JSON as it is, its id (the same on every repeat: delivery is at least once and in no order)
// and a signature that [Verify] checks; customers may copy that function. Each account has its own few connections and its own
// back-off, so a dead endpoint holds up nobody else. Where a request may go is decided when the connection is made, after the
// name was resolved ([Guard]): no redirect and no DNS trick leads to addresses inside.
//
// The package refuses to know how events come about and how they are stored.
package webhook
