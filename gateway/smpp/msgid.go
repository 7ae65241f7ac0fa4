package smpp

import (
	"fmt"
	"math/big"
	"strings"
)

// IDRule makes the two ways an operator writes one message id alike: many
// give hexadecimal in the submit_sm_resp and decimal in the receipt, or pad
// with zeros, or change case. Each of the two places has its own rule; the
// zero rule changes nothing. Rules combine with |.
type IDRule uint8

// Rules, in the order in which they are applied.
const (
	IDAsIs     IDRule = 0
	IDLower    IDRule = 1 << 0 // letters to lower case
	IDTrim     IDRule = 1 << 1 // drop leading zeros
	IDHexToDec IDRule = 1 << 2 // hexadecimal (0x allowed) to decimal
	IDDecToHex IDRule = 1 << 3 // decimal to lower-case hexadecimal
)

var idRuleNames = []struct {
	name string
	rule IDRule
}{
	{"lower", IDLower},
	{"trim-zeros", IDTrim},
	{"hex->dec", IDHexToDec},
	{"dec->hex", IDDecToHex},
}

// ParseIDRule reads names joined by commas: as-is, lower, trim-zeros,
// hex->dec, dec->hex. Empty is as-is; the two conversions exclude each other.
func ParseIDRule(s string) (IDRule, error) {
	var r IDRule
next:
	for name := range strings.SplitSeq(s, ",") {
		name = strings.ReplaceAll(strings.TrimSpace(name), " ", "-")
		if name == "" || name == "as-is" {
			continue
		}
		for _, k := range idRuleNames {
			if k.name == name {
				r |= k.rule
				continue next
			}
		}
		return 0, fmt.Errorf("smpp: unknown message id rule %q", name)
	}
	if r&IDHexToDec != 0 && r&IDDecToHex != 0 {
		return 0, fmt.Errorf("smpp: message id rules hex->dec and dec->hex exclude each other")
	}
	return r, nil
}

// String is the form ParseIDRule reads.
func (r IDRule) String() string {
	var names []string
	for _, k := range idRuleNames {
		if r&k.rule != 0 {
			names = append(names, k.name)
		}
	}
	if names == nil {
		return "as-is"
	}
	return strings.Join(names, ",")
}

// Apply returns id in the rule's form. What is not a number in the base the
// rule expects is left as the other rules made it: a wrong guess must not
// make two ids alike.
func (r IDRule) Apply(id string) string {
	if r&IDLower != 0 {
		id = strings.ToLower(id)
	}
	if r&IDTrim != 0 {
		if t := strings.TrimLeft(id, "0"); t != "" {
			id = t
		} else if id != "" {
			id = "0"
		}
	}
	switch {
	case r&IDHexToDec != 0:
		return rebase(id, 16, 10)
	case r&IDDecToHex != 0:
		return rebase(id, 10, 16)
	}
	return id
}

func rebase(id string, from, to int) string {
	num := id
	if from == 16 {
		num = strings.TrimPrefix(strings.TrimPrefix(num, "0x"), "0X")
	}
	if num == "" || len(num) > maxMessageID || !isNumber(num, from) {
		return id
	}
	n, ok := new(big.Int).SetString(num, from)
	if !ok {
		return id
	}
	return n.Text(to)
}

func isNumber(s string, base int) bool {
	for _, c := range []byte(s) {
		dec := '0' <= c && c <= '9'
		hex := 'a' <= c|0x20 && c|0x20 <= 'f'
		if !dec && (base != 16 || !hex) {
			return false
		}
	}
	return true
}
