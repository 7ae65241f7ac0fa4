// Package smtptest is a smarthost to test against and to demonstrate with: a mail sink that records envelopes and bodies and can
// be told to misbehave.
//
//	sink, err := smtptest.Listen(smtptest.Config{})
//	defer sink.Close()
//	… deliver to sink.Addr() …
//	msgs, err := sink.Wait(ctx, 1)
//
// A [Script] answers per command: refuse a sender or a recipient, wait, cut the connection after the data. Without one, [ByName]
// reads the wish from the recipient's name, so that a demonstration needs no program: fail-550@, later-451@, slow-2s@, drop@.
//
// It is a simulator: it delivers nothing, checks no consent and must never stand behind a door in production.
package smtptest
