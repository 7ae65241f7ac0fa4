// Package desk is where an administrator sits. [Admin] holds every act of administration: accounts, brands, senders, inbound
// numbers, credentials, operators, routes, ways to İYS, webhooks, credits, and the reading and stopping of messages. The panel
// and the command line use the same [Service]; nothing is edited on another road.
//
//	admin := desk.New(desk.Deps{Store: st, Verify: …, Audit: …})
//	issued, err := admin.CreateCredential(ctx, desk.NewCredential{Credential: c}) // issued.Secret is shown this once
//
// A running server offers the service on a Unix socket of mode 0600 in its data directory ([Listen], [ServeSocket]). A command
// goes through [Reach]: it gets a [Client] of that socket, or, when no server runs, the service over the store it opens itself.
//
// Every refusal is a *gateway.Error that names the field and says what to do. Secrets come in as plain text, are hashed or
// sealed here and are never read back; every change is reported to Deps.Audit with secrets left out.
//
// The package refuses to know how records are stored, how a page or a table looks, and whether a message may be sent: consents
// and blacklists are handed to those who know (Deps.Consents, Deps.Blacklist) and are refused while nobody does.
package desk
