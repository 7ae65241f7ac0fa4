// Package mailer keeps the smarthosts that the directory asks for and gives each to dispatch as a carrier, as package operators
// does with SMPP binds.
//
// A carrier's window is the connections it may have; each holds one message of one recipient, because the return path (VERP) and
// the unsubscribe token name the message. What leaves is composed at hand-off: the stored body or the rendered templates, the
// sender's details, the unsubscribe fields, the signatures. The hand-off itself is the instant the data begins
// (smarthost.Message.HandOff): there dispatch looks for the last time.
//
// Refusals are read by package bounce: one that says nobody is there suppresses the address, one that says our mail is unwanted
// slows what goes to that domain. When a server asks to be tried again, the schedule belongs to the message (schedule.go).
//
// A smarthost with Direct delivers to the mail exchangers of each domain. Sites are told apart by their set of exchangers; each
// has connections, rate and back-off of its own (sites.tsv), so that one dead site does not hold up the others. What a domain demands
// of TLS (package mtasts) is kept to or the mail waits. An exchanger of our own name or on this machine is none: mail would come back.
//
// The package decides nothing about consent and knows neither Badger nor asynq.
package mailer
