package smpp

import (
	"errors"
	"fmt"
)

// ErrShort says that more octets are needed to go on; it is not a fault.
var ErrShort = errors.New("smpp: more octets needed")

// ErrUnknownCommand says that this package has no struct for the command_id.
var ErrUnknownCommand = errors.New("smpp: unknown command_id")

// FieldError is a field that breaks the standard. The PDU was framed
// correctly, so the session answers with Status and goes on.
type FieldError struct {
	Status CommandStatus // what to answer with
	Field  string        // the standard's name of the field
	Reason string        // constant text, fit for a log
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("smpp: %s %s (%s)", e.Field, e.Reason, e.Status)
}

// StatusOf returns the command_status that answers err: its own if it is a
// *FieldError, ESME_ROK for nil, ESME_RSYSERR for anything else.
func StatusOf(err error) CommandStatus {
	if err == nil {
		return StatusOK
	}
	var fe *FieldError
	if errors.As(err, &fe) {
		return fe.Status
	}
	return StatusSysErr
}

// FramingError is a command_length that cannot be: the start of the next PDU
// is unknown. The session answers generic_nack with ESME_RINVCMDLEN and closes.
type FramingError struct {
	Length   uint32 // as received
	Sequence uint32 // as received
}

func (e *FramingError) Error() string {
	return fmt.Sprintf("smpp: command_length %d is impossible", e.Length)
}
