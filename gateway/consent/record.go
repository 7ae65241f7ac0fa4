package consent

import (
	"time"

	"izinli/gateway"
	"izinli/iys"
)

// Record turns a verdict into the decision that is written down.
func Record(kind gateway.DecisionKind, v iys.Verdict, now time.Time) gateway.Decision {
	d := gateway.Decision{
		Kind: kind, Rule: string(v.Rule), At: now, Policy: v.PolicyVersion, Status: string(v.Consent.Status),
		Source: string(v.Consent.Source), Where: string(v.Consent.Read), ConsentDate: v.Consent.ConsentDate,
		TransactionID: v.Consent.TransactionID, Age: max(0, v.Age),
	}
	if v.Consent.Origin == iys.OriginLive {
		d.Where = string(iys.ReadLive) // İYS's answer to a question, kept in the mirror since
	}
	switch v.Outcome {
	case iys.OutcomeSend:
		d.Verdict = "send"
	case iys.OutcomeHold, iys.OutcomeAsk:
		d.Verdict = "hold"
	default:
		d.Verdict = "drop"
	}
	return d
}
