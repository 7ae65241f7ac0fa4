// Package mailback handles what comes back to us by mail, and what we owe to who submitted mail.
//
// The [Inbox] takes mail for our own addresses: bounces to signed return paths (VERP) make the message undelivered and suppress
// addresses that do not exist; complaints (ARF) and mail to a signed unsubscribe address become opt-outs; notices of delivery
// make a message delivered. A person's reply to a return path is an opt-out by its words (RET), and refused with where to
// write instead if it says anything else. An address nobody signed is refused, so strangers cannot bounce a message or refuse for another.
//
// The [Notifier] writes the delivery status notifications owed to submitters (RFC 3461, RFC 3464) from records of the store, and
// submits them as messages of our own: they wait, are tried again and survive a crash like any other.
//
// The package knows neither the store nor SMTP: it names what it needs.
package mailback
