package sevenbit

import (
	"bytes"
	"errors"
	"mime"
	netmail "net/mail"
	"strings"

	"izinli/gateway/mail"
)

// errField: a field whose raw octets cannot be encoded.
var errField = errors.New("sevenbit: a header field has 8-bit octets where none can be encoded")

// Lower returns a header without octets above 127: names and texts as encoded words (RFC 2047), parameters as RFC 2231 has them. Octets
// that are not UTF-8 are taken for [mail.GuessedCharset]. Addresses outside ASCII, and fields of machines, cannot be lowered: errField.
func Lower(h mail.Header) (mail.Header, error) {
	if !h.NonASCII() {
		return h, nil
	}
	out := make(mail.Header, len(h))
	for i, f := range h {
		if out[i] = f; !mail.High(f.Raw) {
			continue
		}
		var err error
		if out[i], err = lowerField(f); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// lowerBlock is Lower of a part's header as it stands there.
func lowerBlock(head []byte) ([]byte, error) {
	h, rest, err := mail.Split(head)
	if err != nil || len(rest) > 0 {
		return nil, errField
	}
	if h, err = Lower(h); err != nil {
		return nil, err
	}
	out := h.Bytes()
	if !bytes.HasSuffix(head, []byte("\r\n\r\n")) && len(head) != len(crlf) { // cut short
		out = out[:len(out)-len(crlf)]
	}
	return out, nil
}

func lowerField(f mail.Field) (mail.Field, error) {
	value := mail.ToUTF8(f.Value())
	low := ""
	switch name := strings.ToLower(f.Name); {
	case addresses[name]:
		low = lowerAddresses(value)
	case name == "content-type" || name == "content-disposition":
		low = lowerParameters(value)
	case texts[name] || strings.HasPrefix(name, "x-"):
		low = mime.QEncoding.Encode("utf-8", mail.Text(value))
	}
	if low == "" {
		return f, errField
	}
	return mail.NewField(f.Name, low), nil
}

// lowerParameters encodes what stands in parameters, a file name; "" when there is more to do.
func lowerParameters(value string) string {
	kind, _, _ := strings.Cut(value, ";")
	media, params, err := mime.ParseMediaType(value)
	if err != nil || mail.High([]byte(kind)) || mail.High([]byte(params["boundary"])) {
		return ""
	}
	return mime.FormatMediaType(media, params)
}

// addresses are the fields that hold address lists, texts those that hold words for people.
var (
	addresses = nameSet("from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc",
		"disposition-notification-to")
	texts = nameSet("subject", "comments", "keywords", "content-description", "thread-topic", "organization", "organisation", "user-agent")
)

func nameSet(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// lowerAddresses encodes the display names; "" when that is not all there is to do.
func lowerAddresses(value string) string {
	if strings.Contains(value, ";") { // a group, whose name would be lost
		return ""
	}
	list, err := netmail.ParseAddressList(value)
	if err != nil {
		return ""
	}
	out := make([]string, len(list))
	for i, a := range list {
		if out[i] = a.String(); mail.High([]byte(out[i])) {
			return ""
		}
	}
	return strings.Join(out, ", ")
}
