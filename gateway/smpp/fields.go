package smpp

import (
	"bytes"
	"fmt"
)

// TON is a type of number; SMPP 3.4 §5.2.5.
type TON uint8

// Types of number.
const (
	TONUnknown         TON = 0
	TONInternational   TON = 1
	TONNational        TON = 2
	TONNetworkSpecific TON = 3
	TONSubscriber      TON = 4
	TONAlphanumeric    TON = 5
	TONAbbreviated     TON = 6
)

// NPI is a numbering plan; SMPP 3.4 §5.2.6.
type NPI uint8

// Numbering plans.
const (
	NPIUnknown    NPI = 0
	NPIISDN       NPI = 1 // E.164
	NPIData       NPI = 3
	NPITelex      NPI = 4
	NPILandMobile NPI = 6
	NPINational   NPI = 8
	NPIPrivate    NPI = 9
	NPIERMES      NPI = 10
	NPIInternet   NPI = 14
	NPIWAP        NPI = 18
)

// Address is a source or destination. Addr is at most 20 octets (64 in
// data_sm and alert_notification).
type Address struct {
	TON  TON
	NPI  NPI
	Addr []byte
}

// ESMClass is the message mode, type and GSM features; SMPP 3.4 §5.2.12.
type ESMClass uint8

// esm_class bits. Modes and types are values under a mask, not flags.
const (
	ESMModeMask     ESMClass = 0x03
	ESMModeDefault  ESMClass = 0x00
	ESMDatagram     ESMClass = 0x01
	ESMForward      ESMClass = 0x02
	ESMStoreForward ESMClass = 0x03

	ESMTypeMask     ESMClass = 0x3C
	ESMReceipt      ESMClass = 0x04 // deliver_sm: delivery receipt
	ESMDeliveryAck  ESMClass = 0x08
	ESMManualAck    ESMClass = 0x10
	ESMConvAbort    ESMClass = 0x18
	ESMIntermediate ESMClass = 0x20 // deliver_sm: intermediate notification

	ESMUDHI      ESMClass = 0x40 // short_message starts with a user data header
	ESMReplyPath ESMClass = 0x80
)

// IsReceipt reports a delivery receipt or intermediate notification.
func (c ESMClass) IsReceipt() bool {
	t := c & ESMTypeMask
	return t == ESMReceipt || t == ESMIntermediate
}

// RegisteredDelivery asks for receipts; SMPP 3.4 §5.2.17.
type RegisteredDelivery uint8

// registered_delivery bits. The first four are values under ReceiptMask.
const (
	ReceiptMask         RegisteredDelivery = 0x03
	ReceiptNone         RegisteredDelivery = 0x00
	ReceiptAlways       RegisteredDelivery = 0x01 // success or failure
	ReceiptFailure      RegisteredDelivery = 0x02
	ReceiptSuccess      RegisteredDelivery = 0x03 // 5.0
	AckDelivery         RegisteredDelivery = 0x04
	AckManual           RegisteredDelivery = 0x08
	ReceiptIntermediate RegisteredDelivery = 0x10
)

// Wants reports whether a receipt is due for a final state.
func (r RegisteredDelivery) Wants(delivered bool) bool {
	switch r & ReceiptMask {
	case ReceiptAlways:
		return true
	case ReceiptFailure:
		return !delivered
	case ReceiptSuccess:
		return delivered
	}
	return false
}

// DataCoding is the alphabet of a text; SMPP 3.4 §5.2.19.
type DataCoding uint8

// Data codings.
const (
	DCDefault  DataCoding = 0x00 // the SMSC's own: usually GSM 03.38, one septet per octet
	DCASCII    DataCoding = 0x01 // IA5
	DCBinary   DataCoding = 0x02
	DCLatin1   DataCoding = 0x03
	DCBinary4  DataCoding = 0x04
	DCJIS      DataCoding = 0x05
	DCCyrillic DataCoding = 0x06
	DCHebrew   DataCoding = 0x07
	DCUCS2     DataCoding = 0x08 // big endian
)

// MessageState is where a message stands; SMPP 3.4 §5.2.28.
type MessageState uint8

// Message states. Scheduled and Skipped are 5.0. StateNone is not on the
// wire: it stands for a receipt that tells no state.
const (
	StateScheduled     MessageState = 0
	StateEnroute       MessageState = 1
	StateDelivered     MessageState = 2
	StateExpired       MessageState = 3
	StateDeleted       MessageState = 4
	StateUndeliverable MessageState = 5
	StateAccepted      MessageState = 6
	StateUnknown       MessageState = 7
	StateRejected      MessageState = 8
	StateSkipped       MessageState = 9
	StateNone          MessageState = 0xFF
)

var stateStats = [...]string{
	"SCHEDUL", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD", "SKIPPED",
}

// Stat returns the seven letters that stand for s in a receipt's text.
func (s MessageState) Stat() string {
	if int(s) < len(stateStats) {
		return stateStats[s]
	}
	return "UNKNOWN"
}

// String is Stat, save for states that do not exist.
func (s MessageState) String() string {
	switch {
	case int(s) < len(stateStats):
		return stateStats[s]
	case s == StateNone:
		return "NONE"
	}
	return fmt.Sprintf("message_state(%d)", uint8(s))
}

// Final reports whether no other state follows. ACCEPTED is not: operators
// send it on the way.
func (s MessageState) Final() bool {
	switch s {
	case StateDelivered, StateExpired, StateDeleted, StateUndeliverable, StateUnknown, StateRejected, StateSkipped:
		return true
	}
	return false
}

// ParseStat reads the stat of a receipt, in any case, written short or in
// full; StateNone if it is none.
func ParseStat(b []byte) MessageState {
	var up [16]byte
	if len(b) < 3 || len(b) > len(up) {
		return StateNone
	}
	u := up[:len(b)]
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		u[i] = c
	}
	for _, p := range statPrefixes {
		if bytes.HasPrefix(u, []byte(p.prefix)) {
			return p.state
		}
	}
	return StateNone
}

// statPrefixes sorts what operators write: DELIVRD, DELIVERED, DELIVERD;
// UNDELIV, UNDELIVERABLE, UNDELIVRD; REJECTD, REJECTED; BUFFERED, FAILED.
var statPrefixes = []struct {
	prefix string
	state  MessageState
}{
	{"DELIV", StateDelivered},
	{"UNDEL", StateUndeliverable},
	{"EXPIR", StateExpired},
	{"REJEC", StateRejected},
	{"ACCEP", StateAccepted},
	{"ENROU", StateEnroute},
	{"EN_ROUTE", StateEnroute},
	{"BUFFER", StateEnroute},
	{"UNKNO", StateUnknown},
	{"DELET", StateDeleted},
	{"SCHED", StateScheduled},
	{"SKIPP", StateSkipped},
	{"FAIL", StateUndeliverable},
}
