// Package gateway holds izinli's words: accounts, brands, credentials, batches, messages, their states, the decisions made
// about them, the codes a refusal can carry, and the two doors through which everything enters.
//
// Every other package meets here. A front end (HTTP, SMPP, SMTP, panel) authenticates a caller with an [Authenticator],
// fills a [Submission] and hands it to the [Submitter]; it decides nothing itself and turns the answer into its own protocol
// with the one table in codes.go. The road in (gateway/intake) and the road out (gateway/dispatch) speak the same records
// ([Batch], [Recipient], [Progress], [Decision]), and gateway/store writes them down.
//
// The package imports only the standard library and knows neither İYS nor Badger, asynq or Echo. Class, channel, recipient
// type and brand code are therefore plain strings holding their wire values; package iys gives them their legal meaning.
package gateway
