// Package customer is what an account looks after itself beside messages and consents: its webhook and its consent files.
//
// [Webhooks] implements gateway.Webhooks: it judges an address before it is stored, makes the secret and shows it once.
//
// [Imports] implements gateway.Imports. StartImport spools the upload to a file of mode 0600, finds out how it is written
// (delimiter, alphabet, columns) and answers; a few workers, alive while Run is, take the open imports in turn, a piece of a
// thousand rows at a time. Mode verify asks İYS whether the addresses are approved there and writes nothing to it; mode register
// hands the rows to the consent desk, with their evidence but without override, so that no file ever lifts a block. Refused rows
// are kept with their reason in Turkish and English and come back in the form of the file: CSV, text or XLSX. Position, counts and
// refused rows are one commit per piece: a restart goes on behind the last finished one, and memory does not grow with the file.
//
// The package refuses to know what a consent means (package iys and the desk do), how İYS is reached, and how records are kept.
package customer
