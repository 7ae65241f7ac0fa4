package mail

import (
	"bytes"
	"encoding/binary"
)

// Split cuts a message held whole into its header and what stands behind the empty line. It takes what [NewReader] and [ReadHeader]
// take and refuses with their errors, but looks at every octet once and copies none: the fields and the body lie in raw, which must
// not change afterwards. Only a last line without an end makes a copy, which has one.
func Split(raw []byte) (Header, []byte, error) {
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		raw = append(raw[:len(raw):len(raw)], '\r', '\n')
	}
	if err := canonical(raw); err != nil {
		return nil, nil, err
	}
	h := make(Header, 0, 20)
	at := 0
	for at < len(raw) {
		end := at + bytes.IndexByte(raw[at:], '\n') + 1
		if end > MaxHeader {
			return nil, nil, ErrHeaderTooLarge
		}
		line := raw[at:end:end]
		switch {
		case len(line) == 2:
			return h, raw[end:], nil
		case line[0] == ' ' || line[0] == '\t':
			if len(h) == 0 {
				return nil, nil, ErrMalformedHeader
			}
			last := &h[len(h)-1]
			last.Raw = raw[at-len(last.Raw) : end : end]
		default:
			name, ok := fieldName(line)
			if !ok {
				return nil, nil, ErrMalformedHeader
			}
			if len(h) >= MaxFields {
				return nil, nil, ErrHeaderTooLarge
			}
			h = append(h, Field{Name: nameText(name), Raw: line})
		}
		at = end
	}
	return h, nil, nil
}

// canonical reports why octets that end in LF are not lines as the strict reader passes them.
func canonical(raw []byte) error {
	if bytes.IndexByte(raw, 0) >= 0 {
		return ErrNUL
	}
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n') + 1
		if cr := bytes.IndexByte(raw[:end], '\r'); cr < 0 || cr != end-2 {
			return ErrBareNewline
		}
		if end-2 > MaxLine {
			return ErrLineTooLong
		}
		raw = raw[end:]
	}
	return nil
}

// fieldName reads the name of a field off its first line.
func fieldName(line []byte) ([]byte, bool) {
	name, _, ok := bytes.Cut(line, []byte{':'})
	name = bytes.TrimRight(name, " \t") // RFC 5322 §4.5: obsolete blanks before the colon
	return name, ok && validName(name)
}

// High reports whether an octet is above 127.
func High(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return true
		}
		b = b[8:]
	}
	for _, c := range b {
		if c > 127 {
			return true
		}
	}
	return false
}
