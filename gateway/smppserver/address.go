package smppserver

import (
	"strings"
	"unicode/utf8"

	"izinli/gateway/smpp"
)

// destination is a destination as the road in reads numbers: +… where the
// client made clear that it is international. TON 0 is guessed from the
// digits, since half the clients leave it so (sms.md §3).
func destination(a smpp.Address) (string, error) {
	s := string(a.Addr)
	if s == "" || a.TON == smpp.TONAlphanumeric {
		return "", &smpp.FieldError{Status: smpp.StatusInvDstAddr, Field: "destination_addr", Reason: "is not a number"}
	}
	if !allDigits(s) { // with its plus, or for the road in to refuse
		return s, nil
	}
	switch {
	case a.TON == smpp.TONInternational:
		return "+" + strings.TrimPrefix(s, "00"), nil
	case strings.HasPrefix(s, "00"):
		return "+" + s[2:], nil
	case len(s) == 11 && s[:2] == "05":
		return "+9" + s, nil
	case len(s) == 10 && s[0] == '5':
		return "+90" + s, nil
	case a.TON != smpp.TONNational && s[0] != '0' && len(s) > 10:
		return "+" + s, nil
	}
	return s, nil
}

// source is a sender as the road in reads it; empty means the credential's.
func source(a smpp.Address) (string, error) {
	s := string(a.Addr)
	if !utf8.ValidString(s) {
		return "", &smpp.FieldError{Status: smpp.StatusInvSrcAddr, Field: "source_addr", Reason: "is not text"}
	}
	if a.TON == smpp.TONInternational && s != "" && allDigits(s) {
		return "+" + strings.TrimPrefix(s, "00"), nil
	}
	return s, nil
}

// sameSource compares senders in whatever form they are written: titles as
// they are, numbers without plus, 00 and trunk zero.
func sameSource(a, b string) bool { return a == b || plainNumber(a) == plainNumber(b) }

func plainNumber(s string) string {
	d := strings.TrimPrefix(s, "+")
	if !allDigits(d) {
		return s
	}
	switch {
	case strings.HasPrefix(d, "00"):
		return d[2:]
	case len(d) == 11 && d[0] == '0':
		return "9" + d
	case len(d) == 10 && d == s:
		return "90" + d
	}
	return d
}

// wireAddress writes a stored number or title the way the client wrote it:
// its TON and NPI, digits without plus, national digits under TON 2.
func wireAddress(s string, ton, npi byte) smpp.Address {
	a := smpp.Address{TON: smpp.TON(ton), NPI: smpp.NPI(npi)}
	d := strings.TrimPrefix(s, "+")
	if a.TON == smpp.TONNational && strings.HasPrefix(d, "90") && len(d) == 12 && allDigits(d) {
		d = d[2:]
	}
	a.Addr = []byte(d)
	return a
}

// guessAddress chooses TON and NPI for an address no client ever wrote: those
// of a message from a handset.
func guessAddress(s string) smpp.Address {
	d := strings.TrimPrefix(s, "+")
	switch {
	case d == "":
		return smpp.Address{}
	case !allDigits(d):
		return smpp.Address{TON: smpp.TONAlphanumeric, Addr: []byte(d)}
	case len(d) <= 6 && d == s:
		return smpp.Address{TON: smpp.TONNetworkSpecific, Addr: []byte(d)}
	case d != s || len(d) == 12 && strings.HasPrefix(d, "90"):
		return smpp.Address{TON: smpp.TONInternational, NPI: smpp.NPIISDN, Addr: []byte(d)}
	}
	return smpp.Address{NPI: smpp.NPIISDN, Addr: []byte(d)}
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
