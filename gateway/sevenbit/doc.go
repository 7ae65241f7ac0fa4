// Package sevenbit turns mail with octets above 127 into mail without, for two reasons: a signature holds only as long as nobody on the
// way has to do the same (RFC 6376 §5.3), and a server without 8BITMIME must not be given such octets (RFC 6152 §3).
//
//	plan, err := sevenbit.Inspect(header, body)         // reads the message once
//	header, body, err := plan.Apply(header, bodyAgain)  // and gives it out converted, as often as it is opened
//
// Texts become quoted-printable, what else is 8-bit becomes base64; what is 7-bit stays octet for octet, and so does the structure.
// Parts that are messages (message/rfc822) must not be encoded themselves (RFC 2046 §5.2.1): the conversion goes into them. Enclosing
// parts that announced 8bit or binary announce 7bit. Fields with raw octets get encoded words (RFC 2047) or parameters (RFC 2231).
// Both readings are streams: of a message no more than a part's header and a line are held.
//
// What cannot be converted is refused whole ([ErrSealed], [ErrUnconvertible]): a multipart/signed with raw octets, whose signature would
// break (RFC 1847 §2.1), a message/delivery-status or a part in an encoding nobody knows that has some, a multipart that has some and whose
// boundary never comes, so that readers show it as one text, and parts beyond all measure. What stands around the parts of any other
// multipart nobody reads (RFC 2046 §5.1.1): there such octets become question marks.
//
// The package refuses to know who signs and which server takes what.
package sevenbit
