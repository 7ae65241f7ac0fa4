package journal

import (
	"strconv"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
)

const timeForm = "2006-01-02T15:04:05.000Z07:00"

// append writes an event as one line, or several for a batch with dropped recipients.
func (e *event) append(b []byte) []byte {
	b = head(b, e.at, kindNames[e.kind])
	switch e.kind {
	case kindAccepted:
		return e.appendAccepted(b)
	case kindHandedOff:
		b = message(b, e.id, e.address)
		b = pair(b, "operator", e.name)
		b = number(b, "segments", int64(e.n))
		b = number(b, "attempt", int64(e.m))
	case kindEnded:
		b = message(b, e.id, e.address)
		b = pair(b, "state", e.state.String())
		b = pair(b, "code", string(e.code))
	case kindAnswered, kindReceipt:
		b = message(b, e.id, "")
		b = pair(b, "operator", e.name)
		if e.kind == kindAnswered {
			b = number(b, "segment", int64(e.n))
		}
		b = pair(b, "operator_id", e.text)
		b = pair(b, "state", e.state.String())
		b = pair(b, "reason", e.other)
	case kindOptOut:
		b = number(b, "account", int64(e.id.Account))
		b = pair(b, "brand", e.name)
		b = pair(b, "channel", e.other)
		b = pair(b, "from", masked(e.address))
		b = pair(b, "route", e.text)
	case kindInbound:
		b = number(b, "account", int64(e.id.Account))
		b = pair(b, "from", masked(e.address))
		b = pair(b, "to", e.other)
		b = pair(b, "operator", e.name)
		b = pair(b, "kind", e.text)
	}
	return append(b, '\n')
}

func (e *event) appendAccepted(b []byte) []byte {
	a, ref := e.batch, e.id.Ref()
	if ref.Batch != 0 {
		b = pair(b, "batch", ref.String())
	}
	b = number(b, "account", int64(ref.Account))
	b = pair(b, "door", a.door)
	b = pair(b, "credential", e.name)
	b = pair(b, "channel", a.channel)
	b = pair(b, "class", a.class)
	b = pair(b, "brand", a.brand)
	b = number(b, "accepted", int64(a.accepted))
	b = number(b, "dropped", int64(a.dropped))
	b = number(b, "refused", int64(a.refused))
	b = number(b, "segments", int64(a.segs))
	b = number(b, "credits", int64(a.pay))
	b = append(pair(b, "trace", e.text), '\n')
	for _, d := range a.drops {
		b = head(b, e.at, "dropped")
		b = message(b, d.id, d.to)
		b = append(pair(b, "code", string(d.code)), '\n')
	}
	return b
}

func appendLost(b []byte, at time.Time, n uint64) []byte {
	return append(strconv.AppendUint(append(head(b, at, "lost"), " count="...), n, 10), '\n')
}

func head(b []byte, at time.Time, name string) []byte {
	b = at.UTC().AppendFormat(append(b, "time="...), timeForm)
	return append(append(b, " event="...), name...)
}

func message(b []byte, id gateway.MessageID, to string) []byte {
	if !id.IsZero() {
		b = pair(b, "msg_id", id.String())
		b = number(b, "account", int64(id.Account))
	}
	if to != "" {
		b = pair(b, "to", masked(to))
	}
	return b
}

func masked(addr string) string { return address.Mask(addr) }

func number(b []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(append(append(b, ' '), key...), '='), n, 10)
}

// pair writes one fact; an empty one is left out. A value that could be taken for more than itself is quoted.
func pair(b []byte, key, v string) []byte {
	if v == "" {
		return b
	}
	b = append(append(append(b, ' '), key...), '=')
	for i := range len(v) {
		if c := v[i]; c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F {
			return strconv.AppendQuote(b, v)
		}
	}
	return append(b, v...)
}
