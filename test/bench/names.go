package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"izinli/gateway"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/iysapi"
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

// pulled is a consent as a pull leaves it in memory; its movement is some days older.
func pulled(i int, k iys.Key, s iys.Status, at time.Time) iys.Consent {
	made := at.Add(-time.Duration(1+i%1000) * 24 * time.Hour).Truncate(time.Second)
	return iys.Consent{Key: k, Status: s, Source: iys.SourceHSWeb, ConsentDate: made, CreationDate: made.Add(time.Minute), Origin: iys.OriginPull, ReadAt: at}
}

// stored is the same as a pull leaves it on disk, with the number İYS gave the movement.
func stored(i int, k iys.Key, s iys.Status, at time.Time) iys.Consent {
	c, id := pulled(i, k, s, at), sha256.Sum256([]byte(k.Recipient))
	c.TransactionID = hex.EncodeToString(id[:])
	return c
}

// putConsents stores n consents of a channel as pulls leave them.
func putConsents(ctx context.Context, st *store.Store, n int, consent func(i int, now time.Time) iys.Consent) error {
	now := time.Now()
	page := make([]iys.Consent, 0, iysapi.MaxChanges)
	for i := range n {
		if page = append(page, consent(i, now)); len(page) < cap(page) && i < n-1 {
			continue
		}
		if err := st.PutConsents(ctx, page, "pull"); err != nil {
			return err
		}
		page = page[:0]
	}
	return nil
}
