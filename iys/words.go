package iys

import "time"

// PolicyVersion names the revision of Decide and its rules. It is stored in
// every decision record, so that an old verdict can be read with the rules of
// its day. Raise it with every change of behaviour.
const PolicyVersion uint16 = 3

// Istanbul is Turkey's wall clock: UTC+3 all year since September 2016. İYS
// sends and expects local time without an offset (iys-api.md §19 item 8), so a
// fixed zone is enough and does not depend on the machine's zone files.
var Istanbul = time.FixedZone("+03", 3*60*60)

// TimeLayout is the only date form İYS knows: Istanbul time, whole seconds
// (iys-api.md §5.1).
const TimeLayout = "2006-01-02 15:04:05"

// FormatTime writes t as İYS expects it.
func FormatTime(t time.Time) string { return t.In(Istanbul).Format(TimeLayout) }

// Status says what a recipient answered.
type Status string

// The two wire values, and the one İYS has no word for.
const (
	StatusApproved Status = "ONAY"
	StatusRejected Status = "RET"
	// StatusNotApproved is ours: a look-up answered, and the address is not
	// among the approved ones. RET and "no record" look alike there
	// (iys-api.md §7.2). It is never sent to İYS.
	StatusNotApproved Status = "NOT_ONAY"
)

// Valid reports whether s is a value İYS accepts.
func (s Status) Valid() bool { return s == StatusApproved || s == StatusRejected }

// Channel is the kind of message a consent is for (İYS "type").
type Channel string

// The channels of iys-api.md §5.2.
const (
	ChannelSMS   Channel = "MESAJ"
	ChannelEmail Channel = "EPOSTA"
	ChannelCall  Channel = "ARAMA"
)

// Valid reports whether c is one of the three channels.
func (c Channel) Valid() bool {
	return c == ChannelSMS || c == ChannelEmail || c == ChannelCall
}

// RecipientType tells a consumer from a merchant; it is part of the consent's
// key, and one address may have a record of each.
type RecipientType string

// The recipient types of iys-api.md §5.2.
const (
	RecipientPerson   RecipientType = "BIREYSEL"
	RecipientMerchant RecipientType = "TACIR"
)

// Valid reports whether r is one of the two types.
func (r RecipientType) Valid() bool { return r == RecipientPerson || r == RecipientMerchant }

// Mode says who holds İYS for a brand on one channel (design: words).
type Mode string

// The four modes. Every other string, the empty one included, refuses
// commercial traffic.
const (
	ModePartner     Mode = "partner"      // we read, write and pull
	ModeAHS         Mode = "ahs"          // we may only ask before sending
	ModeSelfManaged Mode = "self_managed" // the customer declared it manages İYS
	ModeExempt      Mode = "exempt"       // muaf: outside İYS
)

// Valid reports whether m is one of the four modes.
func (m Mode) Valid() bool {
	return m == ModePartner || m == ModeAHS || m == ModeSelfManaged || m == ModeExempt
}

// Source says where a consent or refusal was taken.
type Source string

// Sources a service provider may send (iys-api.md §5.2).
const (
	SourceHS2015        Source = "HS_2015" // approved before 1 May 2015
	SourceHSDecision    Source = "HS_KARAR"
	SourceHSPhysical    Source = "HS_FIZIKSEL_ORTAM"
	SourceHSSigned      Source = "HS_ISLAK_IMZA"
	SourceHSEvent       Source = "HS_ETKINLIK"
	SourceHSATM         Source = "HS_ATM"
	SourceHSElectronic  Source = "HS_EORTAM"
	SourceHSWeb         Source = "HS_WEB"
	SourceHSMobile      Source = "HS_MOBIL"
	SourceHSSMS         Source = "HS_MESAJ"
	SourceHSEmail       Source = "HS_EPOSTA"
	SourceHSCallCenter  Source = "HS_CAGRI_MERKEZI"
	SourceHSSocialMedia Source = "HS_SOSYAL_MEDYA"
)

// Sources only İYS sets. The last two are older names still seen on the wire.
const (
	SourceIYSSMS        Source = "IYS_KISAMESAJ"
	SourceIYSCall       Source = "IYS_CM"
	SourceIYSWeb        Source = "IYS_WEB"
	SourceIYSWebNew     Source = "IYS_WEB_YENI"
	SourceIYSMobile     Source = "IYS_MOBIL"
	SourceIYSEmail      Source = "IYS_EPOSTA"
	SourceIYSLineClosed Source = "IYS_AHS_HAT_KAPATMA" // an operator's report, not the person's act
	SourceIYSFrameEmail Source = "IYS_FRAME_EPOSTA"
	SourceIYSFrameSMS   Source = "IYS_FRAME_SMS"
	SourceIYS3338       Source = "IYS_3338"
	SourceIYSShortLink  Source = "IYS_KISA_LINK"
)

// Sendable reports whether a service provider may send s; İYS answers H119 to
// every other value.
func (s Source) Sendable() bool {
	switch s {
	case SourceHS2015, SourceHSDecision, SourceHSPhysical, SourceHSSigned, SourceHSEvent,
		SourceHSATM, SourceHSElectronic, SourceHSWeb, SourceHSMobile, SourceHSSMS,
		SourceHSEmail, SourceHSCallCenter, SourceHSSocialMedia:
		return true
	}
	return false
}

// FromPerson reports whether s marks an act of the recipient over İYS. A line
// closed by an operator is not one, and a value we do not know is doubt: it is
// not taken for the person's word.
func (s Source) FromPerson() bool {
	switch s {
	case SourceIYSSMS, SourceIYSCall, SourceIYSWeb, SourceIYSWebNew, SourceIYSMobile,
		SourceIYSEmail, SourceIYSFrameEmail, SourceIYSFrameSMS, SourceIYS3338, SourceIYSShortLink:
		return true
	}
	return false
}

// Origin says how a consent came to be known here.
type Origin string

// The origins. OriginPull and OriginLive are İYS's own words; the others are
// what we did or were told.
const (
	OriginPull      Origin = "pull"      // a listed movement
	OriginPush      Origin = "push"      // a pushed movement
	OriginLive      Origin = "live"      // an answer to a question
	OriginAPI       Origin = "api"       // sent by us and accepted by İYS
	OriginImport    Origin = "import"    // a customer's file
	OriginForm      Origin = "form"      // our hosted form
	OriginDouble    Origin = "double"    // double opt-in
	OriginReconcile Origin = "reconcile" // the daily file of movements
)

// Valid reports whether o is one of the origins.
func (o Origin) Valid() bool {
	switch o {
	case OriginPull, OriginPush, OriginLive, OriginAPI, OriginImport, OriginForm, OriginDouble, OriginReconcile:
		return true
	}
	return false
}
