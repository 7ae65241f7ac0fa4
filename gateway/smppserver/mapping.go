package smppserver

import (
	"strconv"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
)

// asks is what a submitting request asks for, in the door's own words and
// free of the buffer it was read from.
type asks struct {
	sub     *gateway.Submission
	part    *gateway.Part // a part of a long message; nil if the message stands alone
	replace bool          // replace_if_present_flag
}

// read turns a request into a submission. dests are those of a submit_multi;
// otherwise there is the one of m. Errors carry the status to answer.
func (c *session) read(m *smpp.SubmitSM, dests []smpp.Dest) (asks, error) {
	var a asks
	if m.ESMClass&smpp.ESMTypeMask != 0 {
		// Acknowledgements from handset to handset have no road here.
		return a, &smpp.FieldError{Status: smpp.StatusInvESMClass, Field: "esm_class", Reason: "is no message to a handset"}
	}
	if m.Priority > 4 { // 3.4 §5.2.14 has 0–3, 5.0 adds 4
		return a, &smpp.FieldError{Status: smpp.StatusInvPriority, Field: "priority_flag", Reason: "is above 4"}
	}
	if m.ReplaceIfPresent > 1 {
		return a, &smpp.FieldError{Status: smpp.StatusInvReplaceFlag, Field: "replace_if_present_flag", Reason: "is neither 0 nor 1"}
	}
	d, err := readUserData(m, c.v50())
	if err != nil {
		return a, err
	}
	a.sub = &gateway.Submission{Principal: c.principal, Door: gateway.DoorSMPP, RemoteIP: c.remote, Channel: gateway.ChannelSMS,
		Receipt: receiptWish(m.RegisteredDelivery), Priority: m.Priority, TraceID: c.trace()}
	if err := envelope(a.sub, m, c.srv.cfg.Now()); err != nil {
		return a, err
	}
	if err := addressees(a.sub, m, dests); err != nil {
		return a, err
	}
	a.replace = m.ReplaceIfPresent == 1
	if !d.concat.Present() {
		return a, d.put(a.sub, m)
	}
	if dests != nil {
		// Parts of a message to many would be as many long messages under one id.
		return a, &smpp.FieldError{Status: smpp.StatusInvESMClass, Field: "esm_class", Reason: "has a part of a long message in a submit_multi"}
	}
	if a.replace {
		return a, &smpp.FieldError{Status: smpp.StatusInvReplaceFlag, Field: "replace_if_present_flag", Reason: "is set on a part of a long message"}
	}
	a.part = c.part(a.sub, m, &d)
	return a, d.put(a.sub, m)
}

// envelope reads all that is not text and not a destination. Times that are
// relative count from now.
func envelope(sub *gateway.Submission, m *smpp.SubmitSM, now time.Time) error {
	var err error
	if sub.From, err = source(m.Source); err != nil {
		return err
	}
	if sub.From == "" && sub.Principal.Credential.From == "" {
		return gateway.Refuse(gateway.CodeSender, "source_addr", "")
	}
	sub.SourceTON, sub.SourceNPI = byte(m.Source.TON), byte(m.Source.NPI)
	sub.DestTON, sub.DestNPI = byte(m.Dest.TON), byte(m.Dest.NPI)
	if err := declared(sub, m); err != nil {
		return err
	}
	return times(sub, m, now)
}

// declared reads class, brand, recipient type and reason: our own parameters,
// then service_type, else nothing, which means the credential's default.
func declared(sub *gateway.Submission, m *smpp.SubmitSM) error {
	sub.Class = classOfService(m.ServiceType)
	for tag, v := range m.TLVs.All() {
		if tag < smpp.TagMessageClass || tag > smpp.TagReason {
			continue
		}
		s := strings.TrimSpace(strings.TrimRight(string(v), "\x00"))
		if s == "" {
			continue
		}
		ok := true
		switch tag {
		case smpp.TagMessageClass:
			sub.Class = strings.ToLower(s)
			ok = gateway.ValidClass(sub.Class)
		case smpp.TagBrandCode:
			sub.Brand = s
		case smpp.TagRecipientType:
			sub.RecipientType = strings.ToUpper(s)
			ok = sub.RecipientType == gateway.RecipientIndividual || sub.RecipientType == gateway.RecipientMerchant
		case smpp.TagReason:
			sub.Reason = strings.ToLower(s)
			ok = gateway.ValidReason(sub.Reason)
		}
		if !ok {
			return &smpp.FieldError{Status: smpp.StatusInvTLVValue, Field: "tlv", Reason: "declares what does not exist"}
		}
	}
	return nil
}

// classOfService reads the service types that declare a class; others are the
// usual CMT, WAP and so on, which say nothing here.
func classOfService(t []byte) string {
	switch strings.ToUpper(string(t)) {
	case "COMM":
		return gateway.ClassCommercial
	case "TRAN":
		return gateway.ClassTransactional
	case "OTP":
		return gateway.ClassOTP
	}
	return ""
}

// times reads schedule and validity. A relative validity counts from the
// schedule, like that of the other doors; one that ends before it is refused.
func times(sub *gateway.Submission, m *smpp.SubmitSM, now time.Time) error {
	ttl, hasTTL := m.TLVs.Get(smpp.TagQosTimeToLive)
	if len(m.ScheduleTime) == 0 && len(m.ValidityPeriod) == 0 && !hasTTL {
		return nil
	}
	start := now
	if len(m.ScheduleTime) > 0 {
		t, err := smpp.ParseTime(m.ScheduleTime, now)
		if err != nil {
			return &smpp.FieldError{Status: smpp.StatusInvSchedule, Field: "schedule_delivery_time", Reason: "is not an SMPP time"}
		}
		if !t.Equal(now) { // "in no time" means now
			sub.SendAt, start = t, t
		}
	}
	var err error
	sub.ValidFor, err = validity(m.ValidityPeriod, start)
	if err == nil && len(m.ValidityPeriod) == 0 && hasTTL { // data_sm, SMPP 3.4 §5.3.2.9
		seconds := uint32(ttl[0])<<24 | uint32(ttl[1])<<16 | uint32(ttl[2])<<8 | uint32(ttl[3])
		sub.ValidFor = time.Duration(seconds) * time.Second
	}
	return err
}

func validity(b []byte, start time.Time) (time.Duration, error) {
	if len(b) == 0 {
		return 0, nil
	}
	t, err := smpp.ParseTime(b, start)
	if err != nil {
		return 0, &smpp.FieldError{Status: smpp.StatusInvExpiry, Field: "validity_period", Reason: "is not an SMPP time"}
	}
	d := t.Sub(start)
	if d == 0 && b[15] == 'R' {
		return 0, nil // no time at all stands for the default
	}
	if d <= 0 {
		return 0, &smpp.FieldError{Status: smpp.StatusInvExpiry, Field: "validity_period", Reason: "ends before the message is due"}
	}
	return d, nil
}

func addressees(sub *gateway.Submission, m *smpp.SubmitSM, dests []smpp.Dest) error {
	ref := ""
	if n, ok := m.TLVs.Uint16(smpp.TagUserMessageReference); ok {
		ref = strconv.Itoa(int(n))
	}
	if dests == nil {
		to, err := destination(m.Dest)
		if err != nil {
			return err
		}
		sub.To = []gateway.Destination{{Address: to, Ref: ref}}
		return nil
	}
	sub.To = make([]gateway.Destination, len(dests))
	for i := range dests {
		if len(dests[i].List) > 0 {
			return &smpp.FieldError{Status: smpp.StatusCannotSubmitList, Field: "dest_flag", Reason: "names a distribution list"}
		}
		to, err := destination(dests[i].Address)
		if err != nil {
			to = string(dests[i].Address.Addr) // the road in refuses this one and keeps the others
		}
		sub.To[i] = gateway.Destination{Address: to, Ref: ref}
	}
	sub.DestTON, sub.DestNPI = byte(dests[0].Address.TON), byte(dests[0].Address.NPI)
	return nil
}

// receiptWish reads registered_delivery (SMPP 3.4 §5.2.17, 5.0 §4.7.21).
// Acknowledgements by the handset and intermediate notices are not offered.
func receiptWish(r smpp.RegisteredDelivery) gateway.Receipt {
	switch r & smpp.ReceiptMask {
	case smpp.ReceiptAlways:
		return gateway.ReceiptAll
	case smpp.ReceiptFailure:
		return gateway.ReceiptFailure
	case smpp.ReceiptSuccess:
		return gateway.ReceiptSuccess
	}
	return gateway.ReceiptNone
}
