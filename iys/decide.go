package iys

import "time"

// Limits of what a stored answer is worth.
const (
	// ListingLag is how far the listing of changes is behind: movements of the
	// last hour are never in it (iys-api.md §8.1). A pull is therefore true as
	// of its start less this hour, and only push, where it is set up, sees into
	// it.
	ListingLag = time.Hour
	// DefaultFreshness is the age of the last complete pull up to which the
	// mirror is believed; with the hour the listing is blind for, a decision
	// rests on what İYS knew at most four hours before. The law gives three
	// business days.
	DefaultFreshness = 3 * time.Hour
	// MaxFreshness bounds any configured limit: an approval lives hours, not
	// days (regulation.md §9).
	MaxFreshness = 24 * time.Hour
	// AHSAnswerLife is how long an intermediary may use one answer. It has no
	// listing of changes, so nothing else would tell it of a refusal.
	AHSAnswerLife = 15 * time.Minute
	// maxSkew is how far in the future a reading may seem to lie when the
	// caller took its now a moment before the answer came.
	maxSkew = time.Minute
)

// The message classes, as the gateway spells them. They are not İYS words and
// have no type here.
const (
	classCommercial    = "commercial"
	classTransactional = "transactional"
	classOTP           = "otp"
)

// Query describes the message to be judged.
type Query struct {
	Class         string // "commercial", "transactional" or "otp"
	Channel       Channel
	RecipientType RecipientType // read for commercial only
	Mode          Mode          // of the brand on this channel; read for commercial only
	BrandKnown    bool          // the brand exists and belongs to the sender's account
	BrandActive   bool          // İYS and the administrator let it send
	// Retailer is the dealer (bayi) in whose name the message goes, 0 for the
	// brand itself. Read for commercial in mode partner only: elsewhere we do
	// not hold the consents that name dealers.
	Retailer int
}

// Read says where the consent was read at the time of the decision.
type Read string

// The two places. An AHS answer is always ReadLive.
const (
	ReadMirror Read = "mirror"
	ReadLive   Read = "live"
)

// Evidence is the consent a decision rests on.
type Evidence struct {
	Status        Status // empty: nothing is known of this key
	Read          Read
	Origin        Origin
	ReadAt        time.Time // when İYS was asked, or the movement learned
	ConsentDate   time.Time
	Source        Source
	TransactionID string
}

// Facts is what the caller knows about the recipient and the brand. The zero
// value refuses everything, because nothing has been checked.
type Facts struct {
	Checked     bool // blocks and blacklist have been read
	Blacklisted bool // stops every class
	Blocked     bool // stops commercial, in every mode

	Consent Evidence

	// PulledAt is the start of the last pull that reached the end of the
	// listings of this brand and channel; zero = never.
	PulledAt time.Time
	// FreshFor is the age up to which that counts; 0 means DefaultFreshness,
	// and more than MaxFreshness counts as MaxFreshness.
	FreshFor time.Duration
	// LiveUnavailable says that İYS was asked and did not answer.
	LiveUnavailable bool

	// RetailerAccess says that the consent was taken through the dealer, or
	// grants it access. Read when Query.Retailer is set.
	RetailerAccess bool

	DeclarationPresent bool      // self_managed: the customer's declaration is stored
	ExemptUntil        time.Time // exempt: end of the basis, exclusive; zero = no basis stored
}

// Outcome is what the caller has to do.
type Outcome uint8

// The outcomes. The zero value refuses.
const (
	OutcomeRefuse Outcome = iota // final: drop
	OutcomeSend                  // may be handed off now
	OutcomeHold                  // keep, try again while valid
	OutcomeAsk                   // ask İYS live, then decide again
)

// String returns the word used in decision records.
func (o Outcome) String() string {
	switch o {
	case OutcomeSend:
		return "send"
	case OutcomeHold:
		return "hold"
	case OutcomeAsk:
		return "ask"
	}
	return "refuse"
}

// Rule is the stable code of the rule that decided.
type Rule string

// The rules. Codes are stored and shown; never reuse one.
const (
	// Refusals.
	RuleUnchecked          Rule = "unchecked"           // suppressions were not read
	RuleInvalidClass       Rule = "invalid_class"       // unknown class
	RuleInvalidChannel     Rule = "invalid_channel"     // unknown channel
	RuleInvalidRecipient   Rule = "invalid_recipient"   // unknown recipient type
	RuleInvalidMode        Rule = "invalid_mode"        // unknown mode
	RuleBlacklisted        Rule = "blacklisted"         // account blacklist
	RuleBlocked            Rule = "blocked"             // opt-out of the brand
	RuleBrandUnknown       Rule = "brand_unknown"       // no such brand
	RuleBrandInactive      Rule = "brand_inactive"      // brand may not send
	RuleNoConsent          Rule = "no_consent"          // RET, or not among the approved
	RuleDeclarationMissing Rule = "declaration_missing" // self_managed without declaration
	RuleExemptMissing      Rule = "exempt_missing"      // exempt without a basis
	RuleExemptExpired      Rule = "exempt_expired"      // basis has ended
	RuleRetailerNoAccess   Rule = "retailer_no_access"  // the consent does not let this dealer write
	// Questions and holds.
	RuleConsentAbsent      Rule = "consent_absent"      // not in the mirror: ask
	RuleConsentStale       Rule = "consent_stale"       // known, but too old: ask
	RuleConsentUnavailable Rule = "consent_unavailable" // İYS does not answer: hold
	// Permissions.
	RuleConsentApproved Rule = "consent_onay"
	RuleSelfManaged     Rule = "self_managed"
	RuleExempt          Rule = "exempt"
	RuleTransactional   Rule = "transactional"
	RuleOTP             Rule = "otp"
)

// Verdict is the answer of Decide. The zero Verdict refuses and names no rule.
type Verdict struct {
	Outcome       Outcome
	Rule          Rule
	PolicyVersion uint16
	// Consent is what the decision rests on; empty when none was needed.
	Consent Evidence
	// Age is how old that knowledge is; negative when it has no age.
	Age time.Duration
}

// Send reports whether the message may leave now.
func (v Verdict) Send() bool { return v.Outcome == OutcomeSend }

// Decide says whether q may be sent at now. It reads nothing but its
// arguments, answers every input and allocates nothing. Whatever it does not
// know refuses.
//
// The order is the law's: what stops every class, then classes that need no
// consent and never wait for İYS, then what stops commercial messages, then
// the right of the brand's mode.
func Decide(q Query, f Facts, now time.Time) Verdict {
	if !f.Checked {
		return refuse(RuleUnchecked)
	}
	if !q.Channel.Valid() {
		return refuse(RuleInvalidChannel)
	}
	switch q.Class {
	case classCommercial, classTransactional, classOTP:
	default:
		return refuse(RuleInvalidClass)
	}
	if f.Blacklisted {
		return refuse(RuleBlacklisted)
	}
	switch q.Class {
	case classTransactional:
		return verdict(OutcomeSend, RuleTransactional)
	case classOTP:
		return verdict(OutcomeSend, RuleOTP)
	}
	return decideCommercial(q, f, now)
}

func decideCommercial(q Query, f Facts, now time.Time) Verdict {
	switch {
	case !q.RecipientType.Valid():
		return refuse(RuleInvalidRecipient)
	case !q.Mode.Valid():
		return refuse(RuleInvalidMode)
	case !q.BrandKnown:
		return refuse(RuleBrandUnknown)
	case !q.BrandActive:
		return refuse(RuleBrandInactive)
	case f.Blocked:
		return refuse(RuleBlocked)
	}
	switch q.Mode {
	case ModePartner:
		v := decidePartner(f, now)
		if v.Outcome == OutcomeSend && q.Retailer != 0 && !f.RetailerAccess {
			v.Outcome, v.Rule = OutcomeRefuse, RuleRetailerNoAccess
		}
		return v
	case ModeAHS:
		return decideAHS(f, now)
	case ModeSelfManaged:
		if !f.DeclarationPresent {
			return refuse(RuleDeclarationMissing)
		}
		return verdict(OutcomeSend, RuleSelfManaged)
	case ModeExempt:
		if f.ExemptUntil.IsZero() {
			return refuse(RuleExemptMissing)
		}
		if !now.Before(f.ExemptUntil) {
			return refuse(RuleExemptExpired)
		}
		return verdict(OutcomeSend, RuleExempt)
	}
	return refuse(RuleInvalidMode)
}

// decidePartner judges by the mirror, kept fresh by pulling, or by an answer
// just given.
func decidePartner(f Facts, now time.Time) Verdict {
	limit := f.FreshFor
	if limit <= 0 {
		limit = DefaultFreshness
	}
	limit = min(limit, MaxFreshness)
	asked, askedAge := age(f.Consent.ReadAt, now)
	pulled, pulledAge := age(f.PulledAt, now)

	best := time.Duration(-1)
	if f.Consent.Read == ReadLive || f.Consent.Origin == OriginLive {
		if asked {
			best = askedAge
		}
	}
	if f.Consent.Read == ReadMirror && pulled && (best < 0 || pulledAge < best) {
		best = pulledAge
	}
	if f.Consent.Status == StatusRejected {
		// A refusal needs no freshness: an old RET stops as well as a new one, and
		// the listing tells of an approval that follows it.
		return withConsent(OutcomeRefuse, RuleNoConsent, f.Consent, best)
	}
	return judge(f, best, limit)
}

// decideAHS judges by the last answer alone: an intermediary has no listing. A
// RET of the time when we were the brand's partner is no answer: nothing would
// ever tell that the person has consented again at İYS, so İYS is asked. What
// the person told us stands as a block and stops before this.
func decideAHS(f Facts, now time.Time) Verdict {
	best := time.Duration(-1)
	if f.Consent.Origin == OriginLive || f.Consent.Read == ReadLive {
		if ok, a := age(f.Consent.ReadAt, now); ok {
			best = a
		}
	}
	return judge(f, best, AHSAnswerLife)
}

// judge turns a consent of the given age (negative: no age) into a verdict: a
// yes and a no count alike while they are fresh. The look-up's NOT_ONAY may long
// since have become an approval.
func judge(f Facts, old, limit time.Duration) Verdict {
	c := f.Consent
	fresh := old >= 0 && old <= limit
	switch {
	case fresh && (c.Status == StatusRejected || c.Status == StatusNotApproved):
		return withConsent(OutcomeRefuse, RuleNoConsent, c, old)
	case c.Status == StatusApproved && fresh:
		return withConsent(OutcomeSend, RuleConsentApproved, c, old)
	case f.LiveUnavailable:
		return withConsent(OutcomeHold, RuleConsentUnavailable, c, old)
	case c.Status == StatusApproved, c.Status == StatusRejected, c.Status == StatusNotApproved:
		return withConsent(OutcomeAsk, RuleConsentStale, c, old)
	}
	// Nothing known, or a status no version of İYS has told us about: absence
	// from the mirror is never an answer.
	return withConsent(OutcomeAsk, RuleConsentAbsent, c, old)
}

// age returns how long before now t lies; false when t is zero or lies in the
// future by more than clocks may differ.
func age(t, now time.Time) (bool, time.Duration) {
	if t.IsZero() {
		return false, -1
	}
	d := now.Sub(t)
	if d < -maxSkew {
		return false, -1
	}
	return true, max(d, 0)
}

func refuse(r Rule) Verdict { return verdict(OutcomeRefuse, r) }

func verdict(o Outcome, r Rule) Verdict {
	return Verdict{Outcome: o, Rule: r, PolicyVersion: PolicyVersion, Age: -1}
}

func withConsent(o Outcome, r Rule, c Evidence, old time.Duration) Verdict {
	return Verdict{Outcome: o, Rule: r, PolicyVersion: PolicyVersion, Consent: c, Age: old}
}
