package smtpserver

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // Turkish mail still comes in iso-8859-9 and windows-1254

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/mail"
)

// Bounds of a mail that becomes an SMS.
const (
	maxSMSMail  = 256 << 10 // octets; a signature picture fits, a newsletter does not
	maxSMSParts = 50        // MIME parts looked at
)

// acceptSMS submits the plain text of a mail as a short message. The sender is X-SMS-Sender or the credential's own.
func (s *session) acceptSMS(tx *transaction, sub *gateway.Submission, head mail.Header, body io.Reader) error {
	text, err := plainText(head, &capped{r: body, left: maxSMSMail})
	if err != nil {
		return replyOfData(err)
	}
	if text == "" {
		return replyOfCode(gateway.CodeEmptyText, "")
	}
	if tx.trusted {
		sub.From = mail.Text(head.Get(mail.HeaderSMSSender))
	}
	sub.Text = text
	res, err := s.srv.deps.Submit.Submit(s.ctx, sub)
	if err != nil {
		return replyOf(err)
	}
	return s.answer(sub, res)
}

// numbers says which numbers the account may write to: what is wrong with one is told at RCPT, where it concerns nobody else.
func (s *session) numbers(tx *transaction) address.Options {
	a := s.srv.deps.Directory().Accounts[tx.principal.Account]
	return address.Options{DomesticOnly: a == nil || !a.Policy.AllowForeign}
}

func replyOfNumber(err error) error {
	code := gateway.CodeBadNumber
	switch {
	case errors.Is(err, address.ErrForeign):
		code = gateway.CodeForeign
	case errors.Is(err, address.ErrNotMobile):
		code = gateway.CodeNotMobile
	}
	return replyOfCode(code, "")
}

// plainText finds the first text/plain part and decodes it: transfer encoding, character set, CRLF to LF. What follows a line of
// "-- " is a signature (RFC 3676 §4.3) and not sent.
func plainText(head mail.Header, body io.Reader) (string, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	e, err := message.Read(io.MultiReader(bytes.NewReader(head.Bytes()), bytes.NewReader(raw)))
	if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return "", mail.ErrMalformedHeader
	}
	var text string
	parts := 0
	found := errors.New("found")
	err = e.Walk(func(_ []int, part *message.Entity, partErr error) error {
		if parts++; parts > maxSMSParts {
			return found
		}
		if partErr != nil || part == nil {
			return nil
		}
		media, _, _ := part.Header.ContentType()
		disposition, _, _ := part.Header.ContentDisposition()
		if media != "text/plain" || strings.EqualFold(disposition, "attachment") {
			return nil
		}
		b, err := io.ReadAll(part.Body)
		if err != nil {
			return mail.ErrMalformedHeader
		}
		text = string(b)
		return found
	})
	if err != nil && !errors.Is(err, found) {
		return "", mail.ErrMalformedHeader
	}
	if !utf8.ValidString(text) {
		return "", gateway.Refuse(gateway.CodeUnencodable, "", "The text is not in a character set we can read.")
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if i := strings.Index("\n"+text, "\n-- \n"); i >= 0 {
		text = text[:max(i-1, 0)]
	}
	return strings.TrimSpace(text), nil
}
