package smpp

import "fmt"

// CommandStatus is the outcome of a request; SMPP 3.4 §5.1.3, 5.0 §4.7.6.
type CommandStatus uint32

// Statuses. The comment is the standard's name.
const (
	StatusOK                CommandStatus = 0x00000000 // ESME_ROK
	StatusInvMsgLen         CommandStatus = 0x00000001 // ESME_RINVMSGLEN
	StatusInvCmdLen         CommandStatus = 0x00000002 // ESME_RINVCMDLEN
	StatusInvCmdID          CommandStatus = 0x00000003 // ESME_RINVCMDID
	StatusInvBindStatus     CommandStatus = 0x00000004 // ESME_RINVBNDSTS
	StatusAlreadyBound      CommandStatus = 0x00000005 // ESME_RALYBND
	StatusInvPriority       CommandStatus = 0x00000006 // ESME_RINVPRTFLG
	StatusInvRegDelivery    CommandStatus = 0x00000007 // ESME_RINVREGDLVFLG
	StatusSysErr            CommandStatus = 0x00000008 // ESME_RSYSERR
	StatusInvSrcAddr        CommandStatus = 0x0000000A // ESME_RINVSRCADR
	StatusInvDstAddr        CommandStatus = 0x0000000B // ESME_RINVDSTADR
	StatusInvMsgID          CommandStatus = 0x0000000C // ESME_RINVMSGID
	StatusBindFail          CommandStatus = 0x0000000D // ESME_RBINDFAIL
	StatusInvPassword       CommandStatus = 0x0000000E // ESME_RINVPASWD
	StatusInvSystemID       CommandStatus = 0x0000000F // ESME_RINVSYSID
	StatusCancelFail        CommandStatus = 0x00000011 // ESME_RCANCELFAIL
	StatusReplaceFail       CommandStatus = 0x00000013 // ESME_RREPLACEFAIL
	StatusMsgQueueFull      CommandStatus = 0x00000014 // ESME_RMSGQFUL
	StatusInvServiceType    CommandStatus = 0x00000015 // ESME_RINVSERTYP
	StatusInvNumDests       CommandStatus = 0x00000033 // ESME_RINVNUMDESTS
	StatusInvListName       CommandStatus = 0x00000034 // ESME_RINVDLNAME
	StatusInvDestFlag       CommandStatus = 0x00000040 // ESME_RINVDESTFLAG
	StatusInvSubmitRep      CommandStatus = 0x00000042 // ESME_RINVSUBREP
	StatusInvESMClass       CommandStatus = 0x00000043 // ESME_RINVESMCLASS
	StatusCannotSubmitList  CommandStatus = 0x00000044 // ESME_RCNTSUBDL
	StatusSubmitFail        CommandStatus = 0x00000045 // ESME_RSUBMITFAIL
	StatusInvSrcTON         CommandStatus = 0x00000048 // ESME_RINVSRCTON
	StatusInvSrcNPI         CommandStatus = 0x00000049 // ESME_RINVSRCNPI
	StatusInvDstTON         CommandStatus = 0x00000050 // ESME_RINVDSTTON
	StatusInvDstNPI         CommandStatus = 0x00000051 // ESME_RINVDSTNPI
	StatusInvSystemType     CommandStatus = 0x00000053 // ESME_RINVSYSTYP
	StatusInvReplaceFlag    CommandStatus = 0x00000054 // ESME_RINVREPFLAG
	StatusInvNumMsgs        CommandStatus = 0x00000055 // ESME_RINVNUMMSGS
	StatusThrottled         CommandStatus = 0x00000058 // ESME_RTHROTTLED
	StatusInvSchedule       CommandStatus = 0x00000061 // ESME_RINVSCHED
	StatusInvExpiry         CommandStatus = 0x00000062 // ESME_RINVEXPIRY
	StatusInvDefaultMsgID   CommandStatus = 0x00000063 // ESME_RINVDFTMSGID
	StatusTempAppErr        CommandStatus = 0x00000064 // ESME_RX_T_APPN
	StatusPermAppErr        CommandStatus = 0x00000065 // ESME_RX_P_APPN
	StatusRejectAppErr      CommandStatus = 0x00000066 // ESME_RX_R_APPN
	StatusQueryFail         CommandStatus = 0x00000067 // ESME_RQUERYFAIL
	StatusInvTLVStream      CommandStatus = 0x000000C0 // ESME_RINVTLVSTREAM (3.4: RINVOPTPARSTREAM)
	StatusTLVNotAllowed     CommandStatus = 0x000000C1 // ESME_RTLVNOTALLWD (3.4: ROPTPARNOTALLWD)
	StatusInvTLVLen         CommandStatus = 0x000000C2 // ESME_RINVTLVLEN (3.4: RINVPARLEN)
	StatusMissingTLV        CommandStatus = 0x000000C3 // ESME_RMISSINGTLV (3.4: RMISSINGOPTPARAM)
	StatusInvTLVValue       CommandStatus = 0x000000C4 // ESME_RINVTLVVAL (3.4: RINVOPTPARAMVAL)
	StatusDeliveryFailure   CommandStatus = 0x000000FE // ESME_RDELIVERYFAILURE
	StatusUnknownErr        CommandStatus = 0x000000FF // ESME_RUNKNOWNERR
	StatusServiceUnauth     CommandStatus = 0x00000100 // ESME_RSERTYPUNAUTH
	StatusProhibited        CommandStatus = 0x00000101 // ESME_RPROHIBITED
	StatusServiceUnavail    CommandStatus = 0x00000102 // ESME_RSERTYPUNAVAIL
	StatusServiceDenied     CommandStatus = 0x00000103 // ESME_RSERTYPDENIED
	StatusInvDataCoding     CommandStatus = 0x00000104 // ESME_RINVDCS
	StatusInvSrcSubunit     CommandStatus = 0x00000105 // ESME_RINVSRCADDRSUBUNIT
	StatusInvDstSubunit     CommandStatus = 0x00000106 // ESME_RINVDSTADDRSUBUNIT
	StatusInvBcastFreq      CommandStatus = 0x00000107 // ESME_RINVBCASTFREQINT
	StatusInvBcastAlias     CommandStatus = 0x00000108 // ESME_RINVBCASTALIAS_NAME
	StatusInvBcastAreaFmt   CommandStatus = 0x00000109 // ESME_RINVBCASTAREAFMT
	StatusInvNumBcastAreas  CommandStatus = 0x0000010A // ESME_RINVNUMBCAST_AREAS
	StatusInvBcastContent   CommandStatus = 0x0000010B // ESME_RINVBCASTCNTTYPE
	StatusInvBcastMsgClass  CommandStatus = 0x0000010C // ESME_RINVBCASTMSGCLASS
	StatusBcastFail         CommandStatus = 0x0000010D // ESME_RBCASTFAIL
	StatusBcastQueryFail    CommandStatus = 0x0000010E // ESME_RBCASTQUERYFAIL
	StatusBcastCancelFail   CommandStatus = 0x0000010F // ESME_RBCASTCANCELFAIL
	StatusInvBcastRep       CommandStatus = 0x00000110 // ESME_RINVBCAST_REP
	StatusInvBcastService   CommandStatus = 0x00000111 // ESME_RINVBCASTSRVGRP
	StatusInvBcastChannel   CommandStatus = 0x00000112 // ESME_RINVBCASTCHANIND
	StatusPolicyRefused     CommandStatus = 0x00000401 // vendor: a policy forbids this message
	StatusInsufficientFunds CommandStatus = 0x00000402 // vendor: no credit
)

var statusNames = map[CommandStatus]string{
	StatusOK:                "ESME_ROK",
	StatusInvMsgLen:         "ESME_RINVMSGLEN",
	StatusInvCmdLen:         "ESME_RINVCMDLEN",
	StatusInvCmdID:          "ESME_RINVCMDID",
	StatusInvBindStatus:     "ESME_RINVBNDSTS",
	StatusAlreadyBound:      "ESME_RALYBND",
	StatusInvPriority:       "ESME_RINVPRTFLG",
	StatusInvRegDelivery:    "ESME_RINVREGDLVFLG",
	StatusSysErr:            "ESME_RSYSERR",
	StatusInvSrcAddr:        "ESME_RINVSRCADR",
	StatusInvDstAddr:        "ESME_RINVDSTADR",
	StatusInvMsgID:          "ESME_RINVMSGID",
	StatusBindFail:          "ESME_RBINDFAIL",
	StatusInvPassword:       "ESME_RINVPASWD",
	StatusInvSystemID:       "ESME_RINVSYSID",
	StatusCancelFail:        "ESME_RCANCELFAIL",
	StatusReplaceFail:       "ESME_RREPLACEFAIL",
	StatusMsgQueueFull:      "ESME_RMSGQFUL",
	StatusInvServiceType:    "ESME_RINVSERTYP",
	StatusInvNumDests:       "ESME_RINVNUMDESTS",
	StatusInvListName:       "ESME_RINVDLNAME",
	StatusInvDestFlag:       "ESME_RINVDESTFLAG",
	StatusInvSubmitRep:      "ESME_RINVSUBREP",
	StatusInvESMClass:       "ESME_RINVESMCLASS",
	StatusCannotSubmitList:  "ESME_RCNTSUBDL",
	StatusSubmitFail:        "ESME_RSUBMITFAIL",
	StatusInvSrcTON:         "ESME_RINVSRCTON",
	StatusInvSrcNPI:         "ESME_RINVSRCNPI",
	StatusInvDstTON:         "ESME_RINVDSTTON",
	StatusInvDstNPI:         "ESME_RINVDSTNPI",
	StatusInvSystemType:     "ESME_RINVSYSTYP",
	StatusInvReplaceFlag:    "ESME_RINVREPFLAG",
	StatusInvNumMsgs:        "ESME_RINVNUMMSGS",
	StatusThrottled:         "ESME_RTHROTTLED",
	StatusInvSchedule:       "ESME_RINVSCHED",
	StatusInvExpiry:         "ESME_RINVEXPIRY",
	StatusInvDefaultMsgID:   "ESME_RINVDFTMSGID",
	StatusTempAppErr:        "ESME_RX_T_APPN",
	StatusPermAppErr:        "ESME_RX_P_APPN",
	StatusRejectAppErr:      "ESME_RX_R_APPN",
	StatusQueryFail:         "ESME_RQUERYFAIL",
	StatusInvTLVStream:      "ESME_RINVTLVSTREAM",
	StatusTLVNotAllowed:     "ESME_RTLVNOTALLWD",
	StatusInvTLVLen:         "ESME_RINVTLVLEN",
	StatusMissingTLV:        "ESME_RMISSINGTLV",
	StatusInvTLVValue:       "ESME_RINVTLVVAL",
	StatusDeliveryFailure:   "ESME_RDELIVERYFAILURE",
	StatusUnknownErr:        "ESME_RUNKNOWNERR",
	StatusServiceUnauth:     "ESME_RSERTYPUNAUTH",
	StatusProhibited:        "ESME_RPROHIBITED",
	StatusServiceUnavail:    "ESME_RSERTYPUNAVAIL",
	StatusServiceDenied:     "ESME_RSERTYPDENIED",
	StatusInvDataCoding:     "ESME_RINVDCS",
	StatusInvSrcSubunit:     "ESME_RINVSRCADDRSUBUNIT",
	StatusInvDstSubunit:     "ESME_RINVDSTADDRSUBUNIT",
	StatusInvBcastFreq:      "ESME_RINVBCASTFREQINT",
	StatusInvBcastAlias:     "ESME_RINVBCASTALIAS_NAME",
	StatusInvBcastAreaFmt:   "ESME_RINVBCASTAREAFMT",
	StatusInvNumBcastAreas:  "ESME_RINVNUMBCAST_AREAS",
	StatusInvBcastContent:   "ESME_RINVBCASTCNTTYPE",
	StatusInvBcastMsgClass:  "ESME_RINVBCASTMSGCLASS",
	StatusBcastFail:         "ESME_RBCASTFAIL",
	StatusBcastQueryFail:    "ESME_RBCASTQUERYFAIL",
	StatusBcastCancelFail:   "ESME_RBCASTCANCELFAIL",
	StatusInvBcastRep:       "ESME_RINVBCAST_REP",
	StatusInvBcastService:   "ESME_RINVBCASTSRVGRP",
	StatusInvBcastChannel:   "ESME_RINVBCASTCHANIND",
	StatusPolicyRefused:     "VENDOR_POLICY_REFUSED",
	StatusInsufficientFunds: "VENDOR_INSUFFICIENT_FUNDS",
}

// String returns the standard's name, or the number of an unknown status.
func (s CommandStatus) String() string {
	if n, ok := statusNames[s]; ok {
		return n
	}
	return fmt.Sprintf("command_status(0x%08X)", uint32(s))
}

// Advice is what a sender does after a response: errors sorted by what
// happens next, not by where they arose.
type Advice uint8

// Advices.
const (
	AdviceAccepted  Advice = iota // the message was taken
	AdviceNever                   // the same message will be refused again
	AdviceLimited                 // may pass: retry a few times
	AdviceLater                   // passing trouble at the other side: retry
	AdviceSlowDown                // over the agreed rate: pause the bind, then retry
	AdviceQueueFull               // the other side is full: pause longer, then retry
	AdviceRebind                  // the session is not in the state we think: bind again
	AdviceAlarm                   // the other side does not know us: a person must look
)

// Advice sorts s for the sender of a request. A status it does not know is
// AdviceLimited: on the way out an unknown error counts as passing, so that
// nothing is lost, but not for ever.
func (s CommandStatus) Advice() Advice {
	switch s {
	case StatusOK:
		return AdviceAccepted
	case StatusThrottled:
		return AdviceSlowDown
	case StatusMsgQueueFull:
		return AdviceQueueFull
	case StatusSysErr, StatusTempAppErr, StatusServiceUnavail, StatusBindFail, StatusAlreadyBound:
		return AdviceLater
	case StatusInvBindStatus:
		return AdviceRebind
	case StatusInvPassword, StatusInvSystemID, StatusInvSystemType:
		return AdviceAlarm
	case StatusSubmitFail, StatusUnknownErr, StatusDeliveryFailure:
		return AdviceLimited
	}
	if _, known := statusNames[s]; known {
		return AdviceNever
	}
	return AdviceLimited
}
