package smpp

import "fmt"

// CommandID names a PDU type; SMPP 3.4 §5.1.2.1.
type CommandID uint32

// respBit marks a response: its id is the request's with this bit set.
const respBit CommandID = 0x80000000

// Command ids; the broadcast family is SMPP 5.0 and has no struct here.
const (
	BindReceiverID        CommandID = 0x00000001
	BindTransmitterID     CommandID = 0x00000002
	QuerySMID             CommandID = 0x00000003
	SubmitSMID            CommandID = 0x00000004
	DeliverSMID           CommandID = 0x00000005
	UnbindID              CommandID = 0x00000006
	ReplaceSMID           CommandID = 0x00000007
	CancelSMID            CommandID = 0x00000008
	BindTransceiverID     CommandID = 0x00000009
	OutbindID             CommandID = 0x0000000B
	EnquireLinkID         CommandID = 0x00000015
	SubmitMultiID         CommandID = 0x00000021
	AlertNotificationID   CommandID = 0x00000102
	DataSMID              CommandID = 0x00000103
	BroadcastSMID         CommandID = 0x00000111
	QueryBroadcastSMID    CommandID = 0x00000112
	CancelBroadcastSMID   CommandID = 0x00000113
	GenericNackID         CommandID = 0x80000000
	BindReceiverRespID    CommandID = 0x80000001
	BindTransmitterRespID CommandID = 0x80000002
	QuerySMRespID         CommandID = 0x80000003
	SubmitSMRespID        CommandID = 0x80000004
	DeliverSMRespID       CommandID = 0x80000005
	UnbindRespID          CommandID = 0x80000006
	ReplaceSMRespID       CommandID = 0x80000007
	CancelSMRespID        CommandID = 0x80000008
	BindTransceiverRespID CommandID = 0x80000009
	EnquireLinkRespID     CommandID = 0x80000015
	SubmitMultiRespID     CommandID = 0x80000021
	DataSMRespID          CommandID = 0x80000103
	BroadcastSMRespID     CommandID = 0x80000111
	QueryBroadcastRespID  CommandID = 0x80000112
	CancelBroadcastRespID CommandID = 0x80000113
)

var commandNames = map[CommandID]string{
	BindReceiverID:        "bind_receiver",
	BindTransmitterID:     "bind_transmitter",
	QuerySMID:             "query_sm",
	SubmitSMID:            "submit_sm",
	DeliverSMID:           "deliver_sm",
	UnbindID:              "unbind",
	ReplaceSMID:           "replace_sm",
	CancelSMID:            "cancel_sm",
	BindTransceiverID:     "bind_transceiver",
	OutbindID:             "outbind",
	EnquireLinkID:         "enquire_link",
	SubmitMultiID:         "submit_multi",
	AlertNotificationID:   "alert_notification",
	DataSMID:              "data_sm",
	BroadcastSMID:         "broadcast_sm",
	QueryBroadcastSMID:    "query_broadcast_sm",
	CancelBroadcastSMID:   "cancel_broadcast_sm",
	GenericNackID:         "generic_nack",
	BindReceiverRespID:    "bind_receiver_resp",
	BindTransmitterRespID: "bind_transmitter_resp",
	QuerySMRespID:         "query_sm_resp",
	SubmitSMRespID:        "submit_sm_resp",
	DeliverSMRespID:       "deliver_sm_resp",
	UnbindRespID:          "unbind_resp",
	ReplaceSMRespID:       "replace_sm_resp",
	CancelSMRespID:        "cancel_sm_resp",
	BindTransceiverRespID: "bind_transceiver_resp",
	EnquireLinkRespID:     "enquire_link_resp",
	SubmitMultiRespID:     "submit_multi_resp",
	DataSMRespID:          "data_sm_resp",
	BroadcastSMRespID:     "broadcast_sm_resp",
	QueryBroadcastRespID:  "query_broadcast_sm_resp",
	CancelBroadcastRespID: "cancel_broadcast_sm_resp",
}

// String returns the standard's name, or the number of an unknown id.
func (c CommandID) String() string {
	if s, ok := commandNames[c]; ok {
		return s
	}
	return fmt.Sprintf("command_id(0x%08X)", uint32(c))
}

// IsResponse reports whether c answers something; generic_nack does.
func (c CommandID) IsResponse() bool { return c&respBit != 0 }

// Response returns the id that answers the request c.
func (c CommandID) Response() CommandID { return c | respBit }

// WantsResponse reports whether the standard has an answer to c:
// outbind and alert_notification have none (SMPP 3.4 §4.1.7, §4.12).
func (c CommandID) WantsResponse() bool {
	return !c.IsResponse() && c != OutbindID && c != AlertNotificationID
}

// Known reports whether this package has a struct for c. A request that is
// not known is answered with generic_nack, ESME_RINVCMDID.
func (c CommandID) Known() bool {
	switch c &^ respBit {
	case BindReceiverID, BindTransmitterID, QuerySMID, SubmitSMID, DeliverSMID, UnbindID,
		ReplaceSMID, CancelSMID, BindTransceiverID, EnquireLinkID, SubmitMultiID, DataSMID:
		return true
	case OutbindID, AlertNotificationID:
		return !c.IsResponse()
	case 0:
		return c == GenericNackID
	}
	return false
}

// IsBind reports whether c is one of the three bind requests.
func (c CommandID) IsBind() bool {
	return c == BindReceiverID || c == BindTransmitterID || c == BindTransceiverID
}
