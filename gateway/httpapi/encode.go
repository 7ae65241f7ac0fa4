package httpapi

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"izinli/gateway"
)

// quote appends s as a JSON string. Octets that are not UTF-8 become U+FFFD, which is all the error says.
func quote(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// member appends `"name":"value",` unless value is empty. Names are ours and need no escaping.
func member(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return append(quote(append(append(append(b, '"'), name...), `":`...), value), ',')
}

func number(b []byte, name string, n int) []byte {
	b = append(append(append(b, '"'), name...), `":`...)
	return append(strconv.AppendInt(b, int64(n), 10), ',')
}

// closed turns a trailing comma into the end of the object.
func closed(b []byte) []byte {
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}

// appendResult writes a Result as its json tags say (a test compares the two), without reflection.
func appendResult(b []byte, r *gateway.Result) []byte {
	b = append(b, '{')
	if r.Batch != (gateway.BatchRef{}) {
		b = member(b, "batch", r.Batch.String())
	}
	b = number(b, "accepted", r.Accepted)
	b = number(b, "dropped", r.Dropped)
	b = number(b, "refused", r.Refused)
	b = number(b, "segments", r.Segments)
	b = number(b, "credits", r.Credits)
	b = append(b, `"messages":[`...)
	for i := range r.Messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendVerdict(b, &r.Messages[i])
	}
	return append(b, "]}"...)
}

func appendVerdict(b []byte, v *gateway.Verdict) []byte {
	b = append(b, '{')
	if !v.ID.IsZero() {
		b = member(b, "id", v.ID.String())
	}
	b = member(b, "ref", v.Ref)
	b = append(quote(append(b, `"to":`...), v.To), ',')
	if v.State != gateway.StateNone {
		b = member(b, "state", v.State.String())
	}
	b = member(b, "code", string(v.Code))
	b = member(b, "text", v.Text)
	if v.Segments != 0 {
		b = number(b, "segments", v.Segments)
	}
	b = member(b, "encoding", v.Encoding)
	if len(v.Words) > 0 {
		b = append(b, `"words":[`...)
		for i, w := range v.Words {
			if i > 0 {
				b = append(b, ',')
			}
			b = quote(b, w)
		}
		b = append(b, "],"...)
	}
	return closed(b)
}

// appendProblem writes a problem document (RFC 9457 §3). `code`, `field`, `offset` and `requestId` are our extension members.
func appendProblem(b []byte, p problem, requestID string) []byte {
	b = append(b, '{')
	b = member(b, "type", "urn:izinli:problem:"+string(p.err.Code))
	b = member(b, "title", p.err.Code.Wire().Title)
	b = number(b, "status", p.status)
	if p.err.Text != p.err.Code.Wire().Title {
		b = member(b, "detail", p.err.Text)
	}
	b = member(b, "code", string(p.err.Code))
	b = member(b, "field", p.err.Field)
	if p.offset >= 0 {
		b = number(b, "offset", int(p.offset))
	}
	b = member(b, "requestId", requestID)
	return closed(b)
}
