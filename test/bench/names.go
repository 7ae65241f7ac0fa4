package main

import (
	"fmt"

	"izinli/gateway"
	"izinli/iys"
)

// The made-up world of the measurements.
const (
	senderName   = "ORNEK"
	brandCode    = "675403"
	iysCode      = 675403
	integrator   = "700001"
	partnerUser  = "partner@izinli.example"
	partnerPass  = "playground"
	systemID     = "ornek"
	operatorName = "bench"
	replyNumber  = "+908501234567"

	numberPrefix = "+9053"
	numberDigits = 8
)

// numberOf is the i-th number of the pool; there are 100 million.
func numberOf(i int) string { return fmt.Sprintf("%s%0*d", numberPrefix, numberDigits, i) }

// indexOf is the reverse of numberOf, with or without the plus sign.
func indexOf(number []byte) (int, bool) {
	if len(number) > 0 && number[0] == '+' {
		number = number[1:]
	}
	if len(number) != len(numberPrefix)-1+numberDigits {
		return 0, false
	}
	return readDigits(number[len(numberPrefix)-1:])
}

// classes a credential of the measurements may send.
var classes = []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP}

// consentKey is the consent of the i-th number.
func consentKey(i int) iys.Key {
	return iys.Key{Brand: brandCode, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: numberOf(i)}
}
