// Package smpp turns SMPP PDUs into Go values and back. It knows bytes and
// times that it is given; it knows no socket, no clock, no policy and no text
// alphabet.
//
// One struct stands for one PDU (bind_transmitter, bind_receiver and
// bind_transceiver share [Bind]). Reading goes in two steps, so that a session
// can always answer with the right sequence number: [ParseHeader] looks at the
// first 16 octets, then the struct's Decode looks at the body:
//
//	h, err := smpp.ParseHeader(buf, smpp.MaxPDU) // an error here means framing is lost
//	var m smpp.SubmitSM
//	err = m.Decode(h, buf[smpp.HeaderLen:h.Length]) // an error here is a *FieldError: answer its Status
//
// Writing appends a whole PDU, header included, to a buffer of the caller's:
//
//	buf = m.AppendTo(buf, seq)
//
// # Who owns the bytes
//
// Byte slices in a decoded struct alias the body that was passed to Decode.
// They are deliberately []byte and not string: a string would promise that it
// never changes, and these change when the reader reuses its buffer. Copy what
// outlives the buffer. Decoding submit_sm, deliver_sm, data_sm and all
// responses save submit_multi_resp allocates nothing.
//
// # Bad input
//
// Field sizes are those of SMPP 3.4 §4 and §5 (5.0 where it is wider). A field
// that breaks one is a [*FieldError] whose Status is the command_status to
// answer with; the session goes on. Only a command_length below 16 or above the
// reader's maximum is a [*FramingError]: nothing after it can be trusted.
// Optional parameters are kept as they came ([TLVs]): unknown ones survive a
// round trip, in order.
//
// Beside the PDUs the package holds what belongs to the protocol and needs no
// socket: SMPP time ([ParseTime]), the receipt text ([ParseReceipt]), message
// id habits ([IDRule]), the session's clockwork ([Timers]) and the table of
// requests in flight ([Window]).
package smpp
