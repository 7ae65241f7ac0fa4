package gateway

import (
	"errors"
	"fmt"
)

// Code is the stable name of a refusal or failure. Callers compare codes, never texts.
type Code string

// The codes. Each has one row in the table below.
const (
	CodeInvalid             Code = "invalid"
	CodeMalformed           Code = "malformed"
	CodeUnknownField        Code = "unknown_field"
	CodeTooLarge            Code = "too_large"
	CodeTooManyRecipients   Code = "too_many_recipients"
	CodeUnauthorized        Code = "unauthorized"
	CodeForbiddenAddress    Code = "address_not_allowed"
	CodeMissingScope        Code = "missing_scope"
	CodeClassNotAllowed     Code = "class_not_allowed"
	CodeReason              Code = "reason_required"
	CodeNotFound            Code = "not_found"
	CodeConflict            Code = "conflict"
	CodeThrottled           Code = "throttled"
	CodeUnavailable         Code = "unavailable"
	CodeStorageFull         Code = "storage_full"
	CodeInternal            Code = "internal"
	CodeBadNumber           Code = "invalid_number"
	CodeNotMobile           Code = "not_mobile"
	CodeForeign             Code = "foreign_number"
	CodeBadAddress          Code = "invalid_address"
	CodeSender              Code = "sender_not_approved"
	CodeBrand               Code = "unknown_brand"
	CodeSendAt              Code = "send_at_out_of_range"
	CodeValidity            Code = "validity_out_of_range"
	CodeEmptyText           Code = "empty_text"
	CodeTextTooLong         Code = "text_too_long"
	CodeUnencodable         Code = "unencodable_text"
	CodeTemplateVariable    Code = "unknown_variable"
	CodeNoCredit            Code = "no_credit"
	CodeIdempotencyMismatch Code = "idempotency_mismatch"
	CodeInProgress          Code = "in_progress"
	CodePromotional         Code = "promotional_text"
	CodeNoConsent           Code = "no_consent"
	CodeBlocked             Code = "blocked"
	CodeBlacklisted         Code = "blacklisted"
	CodeQuietHours          Code = "quiet_hours"
	CodeConsentUnavailable  Code = "consent_unavailable"
	CodeExemptExpired       Code = "exempt_expired"
	CodeDeclaration         Code = "declaration_missing"
	CodePartsIncomplete     Code = "parts_incomplete"
	CodeExpired             Code = "expired"
	CodeCancelled           Code = "cancelled"
	CodePaused              Code = "paused"
	CodeNoRoute             Code = "no_route"
	CodeOperatorDown        Code = "operator_down"
	CodeOperatorRejected    Code = "operator_rejected"
	CodeDoubt               Code = "in_doubt"
	CodeTooLate             Code = "too_late"
	CodeContent             Code = "content_missing"
	CodeRefusalsOnly        Code = "refusals_only"
	CodeSuppressed          Code = "suppressed"
	CodeBounced             Code = "bounced"
	CodeDeferred            Code = "deferred"
)

// SMPP command_status values of the table (SMPP 3.4 §5.1.3; 0x400 and up are vendor specific).
const (
	smppROK        = 0x00
	smppInvLen     = 0x01
	smppSysErr     = 0x08
	smppInvSrc     = 0x0A
	smppInvDst     = 0x0B
	smppInvMsgID   = 0x0C
	smppBindFail   = 0x0D
	smppCancelFail = 0x11
	smppQueueFull  = 0x14
	smppSubmitFail = 0x45
	smppThrottled  = 0x58
	smppInvSched   = 0x61
	smppInvExpiry  = 0x62
	smppOptParam   = 0xC4
	smppPolicy     = 0x401
	smppNoCredit   = 0x402
)

// Wire is one row of the code table: how a code looks on each wire.
type Wire struct {
	HTTP     int    // status
	SMPP     uint32 // command_status
	SMTP     int    // reply code
	Enhanced string // enhanced status code (RFC 3463)
	Receipt  string // three digits for the err field of a delivery receipt; empty where no receipt carries it
	Title    string // one English sentence fit for the sender's eyes
}

// table is the one mapping of codes to wires (design: one table in gateway). Unknown codes read as CodeInternal.
var table = map[Code]Wire{
	CodeInvalid:             {400, smppSubmitFail, 550, "5.5.4", "", "The request is not valid."},
	CodeMalformed:           {400, smppSubmitFail, 501, "5.5.2", "", "The request could not be read."},
	CodeUnknownField:        {400, smppOptParam, 501, "5.5.4", "", "The request has a field that does not exist."},
	CodeTooLarge:            {413, smppInvLen, 552, "5.3.4", "", "The request is too large."},
	CodeTooManyRecipients:   {422, smppSubmitFail, 452, "4.5.3", "", "One request takes at most 10000 recipients."},
	CodeUnauthorized:        {401, smppBindFail, 535, "5.7.8", "", "The credentials are not valid."},
	CodeForbiddenAddress:    {403, smppBindFail, 550, "5.7.1", "", "This credential may not be used from your address."},
	CodeMissingScope:        {403, smppSubmitFail, 550, "5.7.1", "", "This credential lacks the scope for the call."},
	CodeClassNotAllowed:     {403, smppSubmitFail, 550, "5.7.1", "", "This credential may not send that class of message."},
	CodeReason:              {422, smppOptParam, 550, "5.7.1", "", "A transactional message needs one of the known reasons."},
	CodeNotFound:            {404, smppInvMsgID, 550, "5.1.1", "", "Nothing of that id exists."},
	CodeConflict:            {409, smppSubmitFail, 550, "5.5.0", "", "The request does not fit the present state."},
	CodeThrottled:           {429, smppThrottled, 450, "4.7.1", "", "Too many requests; try again later."},
	CodeUnavailable:         {503, smppSysErr, 451, "4.3.0", "", "The service cannot take the request right now; try again."},
	CodeStorageFull:         {503, smppQueueFull, 452, "4.3.1", "", "The service is short of storage; try again later."},
	CodeInternal:            {500, smppSysErr, 451, "4.3.0", "", "Something went wrong on our side."},
	CodeBadNumber:           {422, smppInvDst, 550, "5.1.3", "", "The recipient is not a valid phone number."},
	CodeNotMobile:           {422, smppInvDst, 550, "5.1.3", "", "The recipient is not a mobile number."},
	CodeForeign:             {422, smppInvDst, 550, "5.1.3", "", "This account may not send abroad."},
	CodeBadAddress:          {422, smppInvDst, 550, "5.1.3", "", "The recipient is not a valid e-mail address."},
	CodeSender:              {422, smppInvSrc, 550, "5.7.1", "904", "The sender is not approved for this account."},
	CodeBrand:               {422, smppPolicy, 550, "5.7.1", "905", "The brand is not known to this account."},
	CodeSendAt:              {422, smppInvSched, 550, "5.5.4", "", "sendAt lies more than 5 minutes in the past or 400 days ahead."},
	CodeValidity:            {422, smppInvExpiry, 550, "5.5.4", "", "validFor must lie between 1 minute and 72 hours."},
	CodeEmptyText:           {422, smppInvLen, 550, "5.6.0", "", "The text is empty."},
	CodeTextTooLong:         {422, smppInvLen, 552, "5.3.4", "", "The text needs more segments than allowed."},
	CodeUnencodable:         {422, smppSubmitFail, 550, "5.6.0", "", "The text cannot be written in the encoding asked for."},
	CodeTemplateVariable:    {422, smppSubmitFail, 550, "5.6.0", "", "The text names a variable the recipient does not have."},
	CodeNoCredit:            {402, smppNoCredit, 452, "4.7.0", "", "The account's credits do not cover the request."},
	CodeIdempotencyMismatch: {422, smppSubmitFail, 550, "5.5.0", "", "This Idempotency-Key was used with another request."},
	CodeInProgress:          {409, smppThrottled, 450, "4.5.0", "", "A request with this Idempotency-Key is in progress."},
	CodePromotional:         {422, smppPolicy, 550, "5.7.1", "", "A transactional text contains promotional words."},
	CodeNoConsent:           {422, smppPolicy, 550, "5.7.1", "901", "The recipient has not consented at İYS."},
	CodeBlocked:             {422, smppPolicy, 550, "5.7.1", "902", "The recipient opted out."},
	CodeBlacklisted:         {422, smppPolicy, 550, "5.7.1", "902", "The recipient is on the account's blacklist."},
	CodeQuietHours:          {422, smppPolicy, 550, "5.7.1", "903", "The validity ended within quiet hours."},
	CodeConsentUnavailable:  {422, smppPolicy, 451, "4.7.1", "907", "Consent could not be confirmed."},
	CodeExemptExpired:       {422, smppPolicy, 550, "5.7.1", "905", "The brand's exemption has expired."},
	CodeDeclaration:         {422, smppPolicy, 550, "5.7.1", "905", "The brand's declaration is missing."},
	CodePartsIncomplete:     {422, smppSubmitFail, 550, "5.6.0", "906", "Parts of the long message never arrived."},
	CodeExpired:             {422, smppInvExpiry, 550, "5.4.7", "000", "The validity ended before delivery."},
	CodeCancelled:           {409, smppCancelFail, 550, "5.5.0", "000", "The message was cancelled."},
	CodePaused:              {409, smppSubmitFail, 450, "4.5.0", "", "The batch is paused."},
	CodeNoRoute:             {422, smppSubmitFail, 550, "5.4.4", "908", "No route leads to the recipient."},
	CodeOperatorDown:        {503, smppSysErr, 451, "4.4.1", "", "The operator cannot be reached."},
	CodeOperatorRejected:    {422, smppSubmitFail, 550, "5.0.0", "909", "The operator refused the message."},
	CodeDoubt:               {422, smppSysErr, 451, "4.4.2", "", "The operator's answer was lost."},
	CodeContent:             {422, smppSubmitFail, 554, "5.6.0", "", "The commercial mail lacks required sender details."},
	CodeRefusalsOnly:        {422, smppSubmitFail, 550, "5.7.1", "", "This address takes refusals only."},
	CodeSuppressed:          {422, smppSubmitFail, 550, "5.1.6", "", "Mail to the address came back before; it is suppressed."},
	CodeBounced:             {422, smppSubmitFail, 550, "5.0.0", "", "The mail came back."},
	CodeDeferred:            {503, smppSysErr, 451, "4.0.0", "", "The receiving server asked to try again later."},
	CodeTooLate:             {409, smppCancelFail, 550, "5.5.0", "", "The message has already left."},
}

// Codes lists every code of the table, in no order.
func Codes() []Code {
	out := make([]Code, 0, len(table))
	for c := range table {
		out = append(out, c)
	}
	return out
}

// Known reports whether c stands in the table.
func (c Code) Known() bool {
	_, ok := table[c]
	return ok
}

// Wire returns the row of c; an unknown code reads as internal.
func (c Code) Wire() Wire {
	if w, ok := table[c]; ok {
		return w
	}
	return table[CodeInternal]
}

// Error is a refusal fit for the sender: Code is stable, Text says what happened, to what, and what to do. Err, if set, is
// for our logs and never leaves the house.
type Error struct {
	Code  Code
	Text  string
	Field string // the request field at fault, in the request's own spelling; may be empty
	Err   error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Text, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Text)
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// Refuse returns an *Error; with no text it takes the table's sentence.
func Refuse(code Code, field, format string, args ...any) *Error {
	if format == "" {
		return &Error{Code: code, Field: field, Text: code.Wire().Title}
	}
	return &Error{Code: code, Field: field, Text: fmt.Sprintf(format, args...)}
}

// ErrClosed is matched by the errors of a store that is closed for good: asking again is no use.
var ErrClosed = errors.New("gateway: the store is closed")

// CodeOfRule names the code under which a consent rule (package iys, Rule) reaches a sender. An unknown rule reads as a
// missing consent: it stopped a message, and that is the safe thing to say.
func CodeOfRule(rule string) Code {
	switch rule {
	case "blocked":
		return CodeBlocked
	case "blacklisted":
		return CodeBlacklisted
	case "brand_unknown", "brand_inactive", "invalid_mode":
		return CodeBrand
	case "declaration_missing":
		return CodeDeclaration
	case "exempt_missing", "exempt_expired":
		return CodeExemptExpired
	case "consent_absent", "consent_stale", "consent_unavailable":
		return CodeConsentUnavailable
	}
	return CodeNoConsent
}
