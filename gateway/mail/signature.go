package mail

import "strings"

// Signature is what a DKIM-Signature field says of itself (RFC 6376 §3.5): who signs, and which header fields.
type Signature struct {
	Domain string   // d=, in lower case
	Fields []string // h=, as written; one that is named and absent is signed as absent (§5.4.2)
}

const signatureField = "DKIM-Signature"

// Signature reads the field; false when it is no DKIM-Signature. Tags that are missing or malformed leave their part empty.
func (f Field) Signature() (s Signature, ok bool) {
	if !strings.EqualFold(f.Name, signatureField) {
		return s, false
	}
	for tag := range strings.SplitSeq(f.Value(), ";") {
		name, value, _ := strings.Cut(tag, "=")
		switch value = strings.Join(strings.Fields(value), ""); strings.TrimSpace(name) {
		case "d":
			s.Domain = strings.ToLower(value)
		case "h":
			s.Fields = strings.Split(value, ":")
		}
	}
	return s, true
}

// Covers reports whether a header field of the name, in any case, is signed: changed, added or taken away it breaks the signature.
func (s *Signature) Covers(name string) bool {
	for _, f := range s.Fields {
		if strings.EqualFold(f, name) {
			return true
		}
	}
	return false
}

// Aligned reports whether the signature speaks for a From domain, in lower case: its own or one above or below it (relaxed alignment,
// RFC 7489 §3.1.1, without a list of public suffixes: nobody but their owner signs for domains below one another).
func (s *Signature) Aligned(from string) bool {
	d := s.Domain
	return d != "" && (d == from || strings.HasSuffix(from, "."+d) || strings.HasSuffix(d, "."+from))
}

// Signatures are those of a header, in its order.
func (h Header) Signatures() (out []Signature) {
	for i := range h {
		if s, ok := h[i].Signature(); ok {
			out = append(out, s)
		}
	}
	return out
}
