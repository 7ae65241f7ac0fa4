// Package address reads and writes the addresses messages go to and come
// from: phone numbers ([Parse]), e-mail addresses ([ParseEmail]) and the
// sender field of a short message ([ParseSender]).
//
// A caller parses what a person or a program typed once, at the door, and
// keeps the canonical value: a [Number] is the E.164 number itself and prints
// as İYS wants it, +905XXXXXXXXX. [Mask] makes either kind fit for logs and
// lists, and a Number masks itself in slog.
//
// Turkish mobile numbers are recognised by own code; all others go through
// libphonenumber's data. The package knows no consent, no route and no
// subscriber: a prefix hints at an operator and never proves one, since
// numbers are portable.
package address
