package desk

import (
	"context"
	"slices"
	"strings"
	"time"

	"izinli/gateway"
)

// TestMessage is a message an administrator sends to see whether the way is open. It goes through the one door like any other:
// consent, quiet hours, credits and routes apply.
type TestMessage struct {
	Account gateway.AccountID `json:"account"`
	Channel string            `json:"channel,omitempty"` // default sms
	Class   string            `json:"class,omitempty"`   // default transactional
	From    string            `json:"from"`
	Brand   string            `json:"brand,omitempty"` // default: the sender's
	Address string            `json:"address"`
	Text    string            `json:"text"`
}

// testValidity is how long a test message may wait: whoever sends it looks now.
const testValidity = 15 * time.Minute

// TestClasses lists the classes in which a test message may be sent for an account with these credentials. Under [WithoutGrants] they are
// commercial and what one of them may send already: the class decides whether İYS is asked for consent.
func TestClasses(ctx context.Context, credentials []gateway.Credential) []string {
	return slices.DeleteFunc([]string{gateway.ClassTransactional, gateway.ClassCommercial, gateway.ClassOTP}, func(class string) bool {
		return !mayGrant(ctx) && class != gateway.ClassCommercial &&
			!slices.ContainsFunc(credentials, func(c gateway.Credential) bool { return !c.Revoked && c.Allows(class) })
	})
}

// SendTest sends one message and answers like the API: refused with a code, dropped with a decision, or accepted.
// CodeClassNotAllowed for a class that is none of [TestClasses].
func (a *Admin) SendTest(ctx context.Context, in TestMessage) (gateway.Verdict, error) {
	if a.deps.Submitter == nil {
		return gateway.Verdict{}, unavailable("messages")
	}
	if _, err := a.account(in.Account); err != nil {
		return gateway.Verdict{}, err
	}
	if in.Channel == "" {
		in.Channel = gateway.ChannelSMS
	}
	if in.Class == "" {
		in.Class = gateway.ClassTransactional
	}
	if err := oneOf("class", in.Class, gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP); err != nil {
		return gateway.Verdict{}, err
	}
	own, err := a.ListCredentials(ctx, Query{Account: in.Account})
	if err != nil {
		return gateway.Verdict{}, err
	}
	if !slices.Contains(TestClasses(ctx, own), in.Class) {
		return gateway.Verdict{}, gateway.Refuse(gateway.CodeClassNotAllowed, "class", "No credential of account %d may send class %s; only an administrator of "+
			"the gateway gives it one: the class decides whether İYS is asked for consent.", in.Account, in.Class)
	}
	if strings.TrimSpace(in.Address) == "" {
		return gateway.Verdict{}, gateway.Refuse(gateway.CodeBadNumber, "address", "The recipient is missing.")
	}
	s := &gateway.Submission{Principal: tester(ctx, in.Account), Door: gateway.DoorPanel, Channel: in.Channel, Class: in.Class, Brand: in.Brand, From: in.From,
		To: []gateway.Destination{{Address: in.Address, Ref: "test"}}, Text: in.Text, ValidFor: testValidity}
	if in.Channel == gateway.ChannelEmail {
		s.Subject = in.Text
	}
	if in.Class == gateway.ClassTransactional {
		s.Reason = "info_update"
	}
	if in.Class == gateway.ClassOTP {
		s.ValidFor = gateway.OTPValidity
	}
	res, err := a.deps.Submitter.Submit(ctx, s)
	if err != nil {
		return gateway.Verdict{}, err
	}
	v := res.Messages[0]
	a.audit(ctx, "SendTest", "message "+v.ID.String(), nil, &map[string]string{"from": in.From, "class": in.Class, "state": v.State.String(), "code": string(v.Code)})
	return v, nil
}

// tester stands for the administrator at the door: the account's, with every class.
func tester(ctx context.Context, a gateway.AccountID) *gateway.Principal {
	p := principal(ctx, a)
	p.Credential.Scopes = []string{gateway.ScopeSend}
	p.Credential.Classes = []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP}
	return p
}
