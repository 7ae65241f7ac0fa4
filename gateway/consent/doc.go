// Package consent is the gateway's office for consent: it judges messages by what the mirror knows, asks İYS where the mirror
// is silent, and is the door through which consents and opt-outs enter.
//
// Office.Decide is asked at the door and again at the instant of hand-off; it reads memory only. Office.Lock gives the lock of
// an address: hand-off holds it while it decides and appends, an opt-out holds it while it blocks, so that nothing leaves to
// an address after its opt-out was acknowledged. The law itself is package iys; what is asked and told to İYS is
// iys/exchange; what is written down is the store's.
package consent
