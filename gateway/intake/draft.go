package intake

import (
	"cmp"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/iys"
)

// draft is a submission on its way to being accepted.
type draft struct {
	in   *Intake
	sub  *gateway.Submission
	dir  *gateway.Directory
	acct *gateway.Account
	cred *gateway.Credential
	now  time.Time

	accept *gateway.Acceptance
	batch  *gateway.Batch // of accept
	texts  texts
	letter letter // of a mail
	// refuseAll, when set, drops every recipient for a reason of policy (sender, brand) where the door tells by receipt.
	refuseAll gateway.Code

	recipients []gateway.Recipient // stored ones
	decisions  []gateway.Decision  // of the stored ones
	verdicts   []gateway.Verdict   // of all, in the order of sub.To
	places     []int               // verdicts[places[i]] belongs to recipients[i]
}

// draft checks what concerns the submission as a whole and fills in defaults.
func (in *Intake) draft(s *gateway.Submission) (*draft, error) {
	d := &draft{in: in, sub: s, dir: in.store.Directory(), now: in.cfg.Now()}
	if s.Principal == nil {
		return nil, gateway.Refuse(gateway.CodeUnauthorized, "", "")
	}
	d.cred = &s.Principal.Credential
	d.acct = d.dir.Accounts[s.Principal.Account]
	if d.acct == nil || d.acct.Suspended {
		return nil, gateway.Refuse(gateway.CodeUnauthorized, "", "the account is suspended")
	}
	d.accept = &gateway.Acceptance{Batch: gateway.Batch{
		Account: d.acct.ID, ID: s.ID, Credential: d.cred.ID, Door: s.Door, TraceID: s.TraceID,
		Raw: s.Raw, Encoding: s.Encoding, Receipt: s.Receipt, Priority: s.Priority,
		SourceTON: s.SourceTON, SourceNPI: s.SourceNPI, DestTON: s.DestTON, DestNPI: s.DestNPI, Text: s.Text,
	}}
	d.batch = &d.accept.Batch
	if s.RemoteIP.IsValid() {
		d.batch.RemoteIP = s.RemoteIP.String()
	}
	for _, step := range []func() error{d.channel, d.class, d.count, d.sender, d.brand, d.times, d.text} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if d.batch.ID == 0 {
		d.batch.ID = in.ids.Next(d.now)
	}
	return d, nil
}

func (d *draft) channel() error {
	d.batch.Channel = d.sub.Channel
	switch d.sub.Channel {
	case "", gateway.ChannelSMS:
		d.batch.Channel = gateway.ChannelSMS
	case gateway.ChannelEmail:
	default:
		return gateway.Refuse(gateway.CodeInvalid, "channel", "channel must be \"sms\" or \"email\", not %q", d.sub.Channel)
	}
	switch t := cmp.Or(d.sub.RecipientType, d.cred.RecipientType, gateway.RecipientIndividual); t {
	case gateway.RecipientIndividual, gateway.RecipientMerchant:
		d.batch.RecipientType = t
	default:
		return gateway.Refuse(gateway.CodeInvalid, "recipientType", "recipientType must be BIREYSEL or TACIR, not %q", t)
	}
	return nil
}

func (d *draft) class() error {
	class := d.cred.Class(d.sub.Class)
	if !gateway.ValidClass(class) {
		return gateway.Refuse(gateway.CodeInvalid, "class", "class must be commercial, transactional or otp, not %q", class)
	}
	if !d.cred.Allows(class) {
		return gateway.Refuse(gateway.CodeClassNotAllowed, "class", "this credential may not send class %s", class)
	}
	d.batch.Class = class
	if class != gateway.ClassTransactional {
		return nil
	}
	d.batch.Reason = d.sub.Reason
	if d.batch.Reason == "" {
		d.batch.Reason = d.cred.Reason
	}
	if !gateway.ValidReason(d.batch.Reason) {
		return gateway.Refuse(gateway.CodeReason, "reason", "a transactional message needs a reason: %v", gateway.Reasons)
	}
	return nil
}

func (d *draft) count() error {
	switch n := len(d.sub.To); {
	case n == 0:
		return gateway.Refuse(gateway.CodeInvalid, "to", "at least one recipient is needed")
	case n > gateway.MaxRecipients:
		return gateway.Refuse(gateway.CodeTooManyRecipients, "to", "one request takes at most %d recipients, this one has %d",
			gateway.MaxRecipients, n)
	}
	return nil
}

// sender resolves the sender ID; for the SMPP door an unapproved one is told by receipt, like every verdict of policy.
func (d *draft) sender() error {
	if d.batch.Channel == gateway.ChannelEmail {
		return d.mailSender()
	}
	from := d.sub.From
	if from == "" {
		from = d.cred.From
	}
	d.batch.From = from
	s := d.dir.Senders[gateway.SenderKey{Account: d.acct.ID, Channel: d.batch.Channel, Name: from}]
	if s == nil {
		if p, err := address.ParseSender(from); err == nil {
			s = d.dir.Senders[gateway.SenderKey{Account: d.acct.ID, Channel: d.batch.Channel, Name: p.Address}]
		}
	}
	if s == nil || !s.Approved {
		return d.policy(gateway.CodeSender, "from", "sender %q is not approved for this account", from)
	}
	d.batch.From = s.Name
	d.batch.Brand = s.Brand
	return nil
}

// brand resolves the brand: the one asked for, the sender's, the credential's. A sender belongs to one brand.
func (d *draft) brand() error {
	asked := d.sub.Brand
	if asked == "" && d.batch.Brand == "" {
		asked = d.cred.Brand
	}
	if asked != "" && d.dir.BrandOf(d.acct.ID, asked) == nil {
		return d.policy(gateway.CodeBrand, "brand", "brand %q is not known to this account", asked)
	}
	if asked != "" && d.batch.Brand != "" && asked != d.batch.Brand {
		return d.policy(gateway.CodeSender, "from", "sender %q belongs to brand %s, not to %s", d.batch.From, d.batch.Brand, asked)
	}
	if asked != "" {
		d.batch.Brand = asked
	}
	if d.batch.Brand == "" && d.batch.Class == gateway.ClassCommercial {
		return d.policy(gateway.CodeBrand, "brand", "a commercial message needs a brand")
	}
	return nil
}

// policy refuses the request, or at the SMPP door marks all its recipients as dropped.
func (d *draft) policy(code gateway.Code, field, format string, args ...any) error {
	if d.sub.Door == gateway.DoorSMPP {
		if d.refuseAll == "" {
			d.refuseAll = code
		}
		return nil
	}
	return gateway.Refuse(code, field, format, args...)
}

func (d *draft) times() error {
	d.batch.SendAt = d.now
	if at := d.sub.SendAt; !at.IsZero() {
		if at.Before(d.now.Add(-gateway.MaxPast)) || at.After(d.now.Add(gateway.MaxAhead)) {
			return gateway.Refuse(gateway.CodeSendAt, "sendAt", "sendAt %s lies more than 5 minutes in the past or 400 days ahead",
				at.In(iys.Istanbul).Format(time.RFC3339))
		}
		if at.After(d.now) {
			d.batch.SendAt = at
		}
	}
	v := d.sub.ValidFor
	switch {
	case v == 0 && d.batch.Class == gateway.ClassOTP:
		v = gateway.OTPValidity
	case v == 0:
		v = gateway.DefaultValidity
	case v < gateway.MinValidity || v > gateway.MaxValidity:
		return gateway.Refuse(gateway.CodeValidity, "validFor", "validFor must lie between 1 minute and 72 hours, not %s", v)
	}
	d.batch.ValidUntil = d.batch.SendAt.Add(v)
	return nil
}
