package smtpserver

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"izinli/gateway"
	"izinli/gateway/mail"
)

// Replies that are SMTP's own and no code of the table.
var (
	errAuthRequired = reply(530, "5.7.0", "Authentication required")                      // RFC 4954 §6
	errTLSRequired  = reply(530, "5.7.0", "Must issue a STARTTLS command first")          // RFC 3207 §4
	errRelay        = reply(550, "5.7.1", "Relay access denied")                          // RFC 5321 §3.6.2
	errNested       = reply(503, "5.5.1", "Nested MAIL command")                          // RFC 5321 §4.1.4
	errAuthOrder    = reply(503, "5.5.1", "AUTH not permitted during a mail transaction") // RFC 4954 §4
	errMixed        = reply(452, "4.5.3", "Send this recipient in a transaction of its own")
	errTooMany      = reply(421, "4.7.0", "Too many messages on this connection")
	errRefusedMail  = reply(452, "4.5.3", "Too many recipients refused, send the others in another message")
	errRefusedConn  = reply(421, "4.7.0", "Too many recipients refused on this connection")
	errPeerGone     = reply(421, "4.7.0", "What this server may relay has changed, connect again")
	errThrottled    = replyOfCode(gateway.CodeThrottled, "")
	errSessions     = reply(454, "4.7.0", "Too many sessions of this account")
	errLoginsFailed = reply(421, "4.7.0", "Too many failed logins")
	errUTF8Local    = reply(553, "5.6.7", "Non-ASCII mailbox names are not supported") // RFC 6531 §3.5
	errLoop         = reply(554, "5.4.6", "Too many hops")
	errBareNewline  = reply(550, "5.5.2", "Bare CR or LF in message data")
	errNUL          = reply(550, "5.6.0", "NUL in message data")
	errLongLine     = reply(550, "5.6.0", "Line longer than 998 octets")
	errHeader       = reply(550, "5.6.0", "Malformed message header")
	errLargeHeader  = reply(552, "5.3.4", "Message header too large")
	errAborted      = reply(421, "4.4.2", "Message transfer aborted")
	errSlow         = reply(421, "4.4.2", "Message transfer too slow")
)

func reply(code int, enhanced, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhancedOf(enhanced), Message: mail.ASCII(text)}
}

func enhancedOf(s string) (e smtp.EnhancedCode) {
	for i, part := range strings.SplitN(s, ".", 3) {
		e[i], _ = strconv.Atoi(part)
	}
	return e
}

// replyOf turns any error into an answer by the one table of gateway; nil stays nil. Unknown errors are ours and passing.
func replyOf(err error) error {
	if err == nil {
		return nil
	}
	var se *smtp.SMTPError
	if errors.As(err, &se) {
		return se
	}
	var ge *gateway.Error
	if errors.As(err, &ge) {
		return replyOfCode(ge.Code, ge.Text)
	}
	return replyOfCode(gateway.CodeUnavailable, "")
}

func replyOfCode(c gateway.Code, text string) *smtp.SMTPError {
	w := c.Wire()
	if text == "" {
		text = w.Title
	}
	return reply(w.SMTP, w.Enhanced, text+" ("+string(c)+")")
}

// replyOfVerdict answers for one recipient; nil when it may be sent to.
func replyOfVerdict(v gateway.Verdict) error {
	if !v.Refused() && v.State != gateway.StateDropped {
		return nil
	}
	code := v.Code
	if code == "" {
		code = gateway.CodeInternal
	}
	return replyOfCode(code, v.Text)
}

// replyOfAuth keeps AUTH to the codes of RFC 4954 §6: what passes is 454, the rest 535.
func replyOfAuth(err error) error {
	var ge *gateway.Error
	if !errors.As(err, &ge) {
		return reply(454, "4.7.0", "Temporary authentication failure")
	}
	w := ge.Code.Wire()
	switch {
	case ge.Code == gateway.CodeThrottled:
		return reply(454, "4.7.0", ge.Text)
	case w.SMTP/100 == 4:
		return reply(454, "4.7.0", "Temporary authentication failure")
	}
	return reply(535, "5.7.8", ge.Text)
}

// replyOfData answers for a body that could not be taken.
func replyOfData(err error) error {
	switch {
	case errors.Is(err, mail.ErrBareNewline):
		return errBareNewline
	case errors.Is(err, mail.ErrNUL):
		return errNUL
	case errors.Is(err, mail.ErrLineTooLong):
		return errLongLine
	case errors.Is(err, mail.ErrHeaderTooLarge):
		return errLargeHeader
	case errors.Is(err, mail.ErrMalformedHeader):
		return errHeader
	case errors.Is(err, smtp.ErrDataReset), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return errAborted
	case isTimeout(err):
		return errSlow
	}
	return replyOf(err)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
