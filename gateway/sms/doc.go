// Package sms turns text into short message parts and back: the GSM 03.38
// default alphabet with its extension, the Turkish national language tables,
// UCS-2, the user data header, segmentation, and the reassembly of inbound
// parts.
//
// A sender goes through three calls. [Measure] says what a text costs under a
// [Policy], without building a byte. [Split] (or a reused [Splitter], on hot
// paths) builds the parts, and [Segment.AppendShortMessage] writes each one as
// the SMPP short_message field. A receiver calls [ParseUDH] on what arrives
// with the UDH indicator set, [Decode] on a message that stands alone, and
// feeds the others to a [Reassembler].
//
// Everything here is a pure function or a value without locks; time comes in
// as an argument. The package knows no socket, no PDU, no number plan, no
// price and no consent, and imports the standard library alone.
package sms
