package smarthost

import (
	"fmt"
	"strconv"
	"strings"

	"izinli/gateway/mail"
)

// fit takes the message's other form for a host that lacks what this one needs.
func (t *transaction) fit() error {
	if t.m.Lower == nil || t.takes8Bit() && t.takesUTF8() {
		return nil
	}
	c, err := t.m.Lower()
	if err != nil {
		return err
	}
	m := *t.m
	m.Body, m.Size, m.UTF8, m.EightBit, m.Lower = c.Open, c.Size, c.UTF8, c.EightBit, nil
	t.m = &m
	return nil
}

func (t *transaction) takes8Bit() bool {
	_, ok := t.c.ext["8BITMIME"]
	return ok || !t.m.EightBit
}

func (t *transaction) takesUTF8() bool {
	_, ok := t.c.ext["SMTPUTF8"]
	return ok || !t.m.UTF8
}

// unable finds what this host cannot do for the message, before it is asked.
func (t *transaction) unable() *reply {
	if limit, err := strconv.ParseInt(t.c.ext["SIZE"], 10, 64); err == nil && limit > 0 && t.m.Size > limit {
		return &reply{552, "5.3.4", fmt.Sprintf("message of %d octets exceeds the host's limit of %d", t.m.Size, limit)}
	}
	_, utf8 := t.c.ext["SMTPUTF8"]
	for _, a := range append([]string{t.m.From}, addrs(t.m.To)...) {
		if !validPath(a) {
			return &reply{501, "5.1.3", "an address of the envelope cannot be written"}
		}
		if !utf8 && mail.High([]byte(a)) { // RFC 6531 §3.5
			return &reply{553, "5.6.7", "an address outside ASCII needs SMTPUTF8, which the host does not offer"}
		}
	}
	if !t.takesUTF8() {
		return &reply{550, "5.6.9", "the header of the message needs SMTPUTF8, which the host does not offer"}
	}
	if !t.takes8Bit() { // RFC 6152 §3
		return &reply{554, "5.6.3", "the message is 8-bit and must not be converted, and the host does not offer 8BITMIME"}
	}
	return nil
}

func addrs(to []Recipient) []string {
	out := make([]string, len(to))
	for i := range to {
		out[i] = to[i].Addr
	}
	return out
}

// validPath keeps an address from ending its command or beginning another.
func validPath(a string) bool {
	return len(a) <= 320 && !strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r == '<' || r == '>' || r == 0x7f || r == 0xfffd })
}
