package mail

import (
	"bytes"
	"maps"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strings"
	"time"
)

// Letter is a mail given as texts.
type Letter struct {
	From      string // display name and address (RFC 5322 §3.4)
	To        string // address
	ReplyTo   string // empty: none
	Subject   string
	Text      string // empty: HTML alone
	HTML      string // empty: text alone
	MessageID string // without brackets; the parts' boundary is made of it, so that every attempt writes the same octets
	Date      time.Time
	Headers   map[string]string // further fields; names with a colon are marks and left out
	Bulk      bool              // Precedence: bulk
}

// Bytes writes the letter in canonical form: UTF-8 in quoted-printable, the header in US-ASCII with encoded words (RFC 2047).
func (l *Letter) Bytes() []byte {
	h := make(Header, 0, 12+len(l.Headers))
	h = append(h, encodedAddress("From", l.From), NewField("To", "<"+l.To+">"))
	if l.ReplyTo != "" {
		h = append(h, encodedAddress("Reply-To", l.ReplyTo))
	}
	h = h.With("Subject", encoded(l.Subject)).With("Date", l.Date.Format(DateLayout)).With("Message-ID", "<"+l.MessageID+">")
	if l.Bulk {
		h = h.With("Precedence", "bulk")
	}
	for _, name := range slices.Sorted(maps.Keys(l.Headers)) {
		if validName([]byte(name)) {
			h = h.With(name, encoded(l.Headers[name]))
		}
	}
	h = h.With("MIME-Version", "1.0")
	var b bytes.Buffer
	switch {
	case l.HTML == "":
		leaf(&b, h, "text/plain", l.Text)
	case l.Text == "":
		leaf(&b, h, "text/html", l.HTML)
	default:
		boundary := "=_" + strings.NewReplacer("@", "_", "<", "", ">", "").Replace(l.MessageID) // "=_" cannot stand in quoted-printable
		b.Write(h.With("Content-Type", `multipart/alternative; boundary="`+boundary+`"`).Bytes())
		for _, part := range [...]struct{ media, text string }{{"text/plain", l.Text}, {"text/html", l.HTML}} {
			b.WriteString("--" + boundary + "\r\n")
			leaf(&b, nil, part.media, part.text)
		}
		b.WriteString("--" + boundary + "--\r\n")
	}
	return b.Bytes()
}

// DateLayout is the form of Date (RFC 5322 §3.3).
const DateLayout = "Mon, 02 Jan 2006 15:04:05 -0700"

func leaf(b *bytes.Buffer, h Header, media, text string) {
	b.Write(h.With("Content-Type", media+"; charset=utf-8").With("Content-Transfer-Encoding", "quoted-printable").Bytes())
	w := quotedprintable.NewWriter(b)
	_, _ = w.Write([]byte(text)) // a buffer takes everything
	_ = w.Close()
	if !bytes.HasSuffix(b.Bytes(), []byte("\r\n")) {
		b.WriteString("\r\n")
	}
}

func encoded(s string) string { return mime.QEncoding.Encode("utf-8", s) }

// encodedAddress writes an address with its display name encoded.
func encodedAddress(name, s string) Field {
	if a, err := netmail.ParseAddress(s); err == nil {
		s = a.String()
	}
	return NewField(name, s)
}
