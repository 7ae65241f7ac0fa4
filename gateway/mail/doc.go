// Package mail reads and edits messages as they travel: the strict reader that lets only canonical lines pass, the header
// block as an ordered list of fields kept octet for octet, and the envelope marks by which a door tells the road what SMTP
// said beside the message.
//
// A door wraps what a client sends with [NewReader], takes the header off with [ReadHeader], edits it and stores header and
// rest; delivery does the same on the way out. Nothing here holds a body: only the header block, at most [MaxHeader] octets,
// is ever in memory.
//
// The package refuses to know sockets, SMTP replies, consent and signatures.
package mail
