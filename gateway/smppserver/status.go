package smppserver

import (
	"errors"

	"izinli/gateway"
	"izinli/gateway/smpp"
)

// statusOf is how an error looks to the client: the row of the code table,
// the status of a malformed field, ESME_RSYSERR for anything of ours.
func statusOf(err error) smpp.CommandStatus {
	if err == nil {
		return smpp.StatusOK
	}
	var ge *gateway.Error
	if errors.As(err, &ge) {
		return codeStatus(ge.Code)
	}
	return smpp.StatusOf(err)
}

// codeStatus never returns ESME_ROK: whoever asks has a refusal in hand.
func codeStatus(c gateway.Code) smpp.CommandStatus {
	if st := smpp.CommandStatus(c.Wire().SMPP); st != smpp.StatusOK {
		return st
	}
	return smpp.StatusSubmitFail
}

// passing reports whether the same request may pass later.
func passing(err error) bool {
	switch codeOf(err) {
	case gateway.CodeUnavailable, gateway.CodeStorageFull, gateway.CodeThrottled, gateway.CodeInternal, gateway.CodeInProgress:
		return true
	}
	return false
}

// codeOf is the code of err, empty for nil; one without counts as our own
// trouble.
func codeOf(err error) gateway.Code {
	if err == nil {
		return ""
	}
	var ge *gateway.Error
	if errors.As(err, &ge) {
		return ge.Code
	}
	var fe *smpp.FieldError
	if errors.As(err, &fe) {
		return gateway.CodeMalformed
	}
	return gateway.CodeInternal
}

// messageState is how a state looks in query_sm_resp and receipts (SMPP 3.4
// §5.2.28). SCHEDULED exists in 5.0 only.
func messageState(s gateway.State, v50 bool) smpp.MessageState {
	switch s {
	case gateway.StateScheduled:
		if v50 {
			return smpp.StateScheduled
		}
		return smpp.StateEnroute
	case gateway.StateAccepted, gateway.StateHeld, gateway.StateQueued:
		return smpp.StateEnroute
	case gateway.StateSent: // taken by an operator that tells no more
		return smpp.StateAccepted
	case gateway.StateDelivered:
		return smpp.StateDelivered
	case gateway.StateExpired:
		return smpp.StateExpired
	case gateway.StateCancelled:
		return smpp.StateDeleted
	case gateway.StateUndelivered, gateway.StateFailed:
		return smpp.StateUndeliverable
	case gateway.StateRejected, gateway.StateDropped:
		return smpp.StateRejected
	}
	return smpp.StateUnknown
}

// receiptErr is the err field of a receipt: three digits. The code's own where
// the table has one, else the operator's if it is a number, else 000.
func receiptErr(r *gateway.ReceiptDue) [3]byte {
	if w := r.Code.Wire().Receipt; r.Code != "" && len(w) == 3 && r.Code != gateway.CodeOperatorRejected {
		return [3]byte([]byte(w))
	}
	out := [3]byte{'0', '0', '0'}
	if n := len(r.Err); n >= 1 && n <= 3 {
		for i := range n {
			if r.Err[i] < '0' || r.Err[i] > '9' {
				return fallbackErr(r.Code)
			}
		}
		copy(out[3-n:], r.Err)
		return out
	}
	return fallbackErr(r.Code)
}

func fallbackErr(c gateway.Code) [3]byte {
	if w := c.Wire().Receipt; c != "" && len(w) == 3 {
		return [3]byte([]byte(w))
	}
	return [3]byte{'0', '0', '0'}
}
