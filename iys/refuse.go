package iys

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Refusal is İYS's answer known beforehand. Every avoidable error counts
// against the quality score of the caller's IP (iys-api.md §18), so a record
// that would be refused is not sent.
type Refusal struct {
	Code    string // İYS code, for example "H175"
	Field   string // wire name of the field, or empty
	Turkish string // İYS's own sentence where it is known
	English string
}

// Error makes a Refusal usable as an error.
func (r *Refusal) Error() string { return "iys: " + r.Code + ": " + r.English }

// Stored is what İYS holds for the key of a record about to be sent.
type Stored struct {
	// Known says İYS has been asked or has told us; without it the rules that
	// compare with the stored record are not judged.
	Known       bool
	Status      Status    // StatusNotApproved when a look-up could not tell RET from nothing
	ConsentDate time.Time // zero = not known
	// NoRecord says that İYS certainly has no record. A look-up by list
	// cannot tell; the single query can.
	NoRecord bool
}

var refusals = map[string]Refusal{
	"H110": {"", "status", "Durum (status) bulunamadı.", "status is missing"},
	"H111": {"", "type", "İzin tipi (type) bulunamadı.", "channel is missing"},
	"H112": {"", "consentDate", "İzin tarihi (consentDate) bulunamadı.", "consent date is missing"},
	"H113": {"", "source", "İzin kaynağı (source) bulunamadı.", "source is missing"},
	"H114": {"", "recipient", "Alıcı (recipient) bulunamadı.", "recipient is missing"},
	"H115": {"", "status", "Durum (status) için uygun değerler: ONAY, RET", "status must be ONAY or RET"},
	"H116": {"", "recipientType", "Alıcı tipi (recipientType) için uygun değerler: BIREYSEL, TACIR", "recipient type must be BIREYSEL or TACIR"},
	"H117": {"", "type", "İzin tipi (type) için uygun değerler: ARAMA, MESAJ, EPOSTA", "channel must be ARAMA, MESAJ or EPOSTA"},
	"H119": {"", "source", "İzin kaynağı (source) için uygun bir HS_ değeri girilmelidir.", "source must be one of the HS_ values; IYS_ sources are set by İYS only"},
	"H120": {"", "recipient", "Alıcı (recipient) kabul edilemedi. Geçerli bir eposta adresi giriniz.", "recipient is not a valid e-mail address"},
	"H121": {"", "recipient", "Alıcı (recipient) için E164 uluslararası([+][country code][area code][local phone number]) formatına uygun bir telefon numarası girilmelidir. (örn. +905992000000)", "recipient is not an E.164 telephone number"},
	"H126": {"", "retailerAccess", "Bayi listesi en fazla 3000 elemanlı olabilir.", "retailerAccess names more than 3000 dealers"},
	"H155": {"", "consentDate", "İzin kaynağı “1 Mayıs 2015 öncesi” olan izinler için, izin tarihi sadece 2015-05-01 00:00:00 olabilir.", "source HS_2015 takes the date 2015-05-01 00:00:00 only"},
	"H156": {"", "consentDate", "İzinler için 1 Mayıs 2015’den önceki tarihler kabul edilmemektedir.", "consent date is before 1 May 2015"},
	"H157": {"", "consentDate", "Geçerli bir tarih girilmelidir.", "no such date"},
	"H158": {"", "consentDate", "İzin tarihi yyyy-mm-dd hh:mm:ss formatında olmalıdır.", "consent date must be YYYY-MM-DD HH:MM:SS"},
	"H162": {"", "consentDate", "Mevcut tarih ve saatten ileri bir tarih ve saat girilmemelidir.", "consent date is in the future"},
	"H174": {"", "status", "İzin durumu (status) güncellemesi için farklı bir durum girilmelidir. İzin durumu: RET", "the stored status is RET already"},
	"H175": {"", "status", "İlk defa kaydedilen bir iznin durum (status) bilgisi RET olmamalıdır.", "a first record must not be RET"},
	"H178": {"", "consentDate", "Sistemdeki iznin tarihinden önceki tarihli izinlerle güncelleme yapılamaz.", "consent date is not later than the stored one"},
	"H408": {"", "source", "HS_KARAR kaynağından iletilen izinler için durum bilgisi RET olmalıdır.", "source HS_KARAR takes status RET only"},
	"H462": {"", "consentDate", "Tacir izinlerinin güncellenmesi için izin tarihi (consentDate) girilmelidir.", "an update of a TACIR record needs a consent date"},
	"H463": {"", "source", "Tacir izinlerinin güncellenmesi için izin kaynağı (source) girilmelidir.", "an update of a TACIR record needs a source"},
	"H467": {"", "consentDate", "Üç iş günü öncesinde alınan izinler kaydedilemez.", "consent is older than three business days"},
	"H525": {"", "", "Kullanılan izin sayısı maksimum sayıya ulaştığı için yeni izin eklenememektedir.", "the package's quota of addresses is used up"},
	"H486": {"", "source", "İlk defa kaydedilen izinler için HS_KARAR kaynağı kullanılamaz.", "source HS_KARAR is not allowed for a first record"},
}

// RefusalFor returns the refusal with its sentences for an İYS code, false for
// codes that are not judged here.
func RefusalFor(code string) (Refusal, bool) {
	r, ok := refusals[code]
	r.Code = code
	return r, ok
}

func refusal(code string) *Refusal {
	r, _ := RefusalFor(code)
	return &r
}

// MaxRetailerAccess is how many dealers one consent may name (iys-api.md §18).
const MaxRetailerAccess = 3000

// earliest is the day commercial consent law begins (H156), and the only date
// HS_2015 may carry (H155).
var earliest = time.Date(2015, 5, 1, 0, 0, 0, 0, Istanbul)

// Refuse says whether İYS would refuse c at now, given what it stores; nil
// means it should be taken. The first reason in İYS's own order of checks is
// returned: fields first, then quota and state (iys-api.md §16.4).
//
// Two points are not confirmed for the live service and are read the strict
// way: a date equal to the stored one is H178, and H467 binds RET and HS_2015
// too (which makes HS_2015 unusable today).
func Refuse(c Consent, s Stored, now time.Time, cal *Calendar) *Refusal {
	if code := refuseFields(c); code != "" {
		return refusal(code)
	}
	if code := refuseDate(c, now, cal); code != "" {
		return refusal(code)
	}
	if code := refuseState(c, s); code != "" {
		return refusal(code)
	}
	return nil
}

func refuseFields(c Consent) string {
	// A first TACIR record may come without source and date; an update may
	// not, and says so with codes of its own, judged with the state.
	bare := c.RecipientType == RecipientMerchant && c.Status == StatusApproved
	switch {
	case c.Recipient == "":
		return "H114"
	case c.Channel == "":
		return "H111"
	case !c.Channel.Valid():
		return "H117"
	case !c.RecipientType.Valid():
		return "H116"
	case c.Status == "":
		return "H110"
	case !c.Status.Valid():
		return "H115"
	case c.Source == "" && !bare:
		return "H113"
	case c.Source != "" && !c.Source.Sendable():
		return "H119"
	case c.ConsentDate.IsZero() && !bare:
		return "H112"
	case c.Source == SourceHSDecision && c.Status != StatusRejected:
		return "H408"
	case len(c.RetailerAccess) > MaxRetailerAccess:
		return "H126"
	}
	return refuseRecipient(c.Channel, c.Recipient)
}

func refuseRecipient(ch Channel, recipient string) string {
	if ch == ChannelEmail {
		if !validEmail(recipient) {
			return "H120"
		}
		return ""
	}
	if !validPhone(recipient) {
		return "H121"
	}
	return ""
}

func refuseDate(c Consent, now time.Time, cal *Calendar) string {
	if c.ConsentDate.IsZero() {
		return ""
	}
	at := c.ConsentDate.Truncate(time.Second) // what the wire carries
	switch {
	case c.Source == SourceHS2015 && !at.Equal(earliest):
		return "H155"
	case at.Before(earliest):
		return "H156"
	case at.After(now):
		return "H162"
	case cal.Expired(at, now):
		return "H467"
	}
	return ""
}

func refuseState(c Consent, s Stored) string {
	if !s.Known {
		return ""
	}
	exists := !s.NoRecord && (s.Status == StatusApproved || s.Status == StatusRejected)
	if exists && c.RecipientType == RecipientMerchant {
		if c.ConsentDate.IsZero() {
			return "H462"
		}
		if c.Source == "" {
			return "H463"
		}
	}
	if c.Status == StatusRejected && s.Status != StatusApproved {
		switch {
		case s.Status == StatusRejected:
			return "H174"
		case s.NoRecord && c.Source == SourceHSDecision:
			return "H486"
		}
		// RET or nothing: İYS answers H174 or H175, a refusal either way.
		return "H175"
	}
	if exists && !s.ConsentDate.IsZero() &&
		!c.ConsentDate.Truncate(time.Second).After(s.ConsentDate.Truncate(time.Second)) {
		return "H178"
	}
	return ""
}

// ParseTime reads a date as İYS writes it. The refusal is H158 for a wrong
// form and H157 for a day or hour that does not exist.
func ParseTime(s string) (time.Time, *Refusal) {
	const shape = "dddd-dd-dd dd:dd:dd"
	if len(s) != len(shape) {
		return time.Time{}, refusal("H158")
	}
	for i := range len(shape) {
		digit := s[i] >= '0' && s[i] <= '9'
		if (shape[i] == 'd') != digit || (shape[i] != 'd' && s[i] != shape[i]) {
			return time.Time{}, refusal("H158")
		}
	}
	t, err := time.ParseInLocation(TimeLayout, s, Istanbul)
	if err != nil {
		return time.Time{}, refusal("H157")
	}
	return t, nil
}

// NormalizeRecipient brings an address into the form İYS stores: e-mail in
// lower case, telephone untouched but checked. The form +9005… is refused
// although İYS takes it: such a record is shown to nobody and no intermediary
// finds it (iys-api.md §16.1).
func NormalizeRecipient(ch Channel, recipient string) (string, *Refusal) {
	recipient = strings.TrimSpace(recipient)
	if !ch.Valid() {
		return "", refusal("H117")
	}
	if recipient == "" {
		return "", refusal("H114")
	}
	if code := refuseRecipient(ch, recipient); code != "" {
		return "", refusal(code)
	}
	if ch == ChannelEmail {
		recipient = strings.ToLower(recipient)
	}
	return recipient, nil
}

// validPhone is the part of İYS's check that needs no numbering plan: E.164
// with +, at most 15 characters.
func validPhone(s string) bool {
	if len(s) < 8 || len(s) > 15 || s[0] != '+' || s[1] == '0' || strings.HasPrefix(s, "+900") {
		return false
	}
	for _, b := range []byte(s[1:]) {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// validEmail follows iys-api.md §16.1: 6 to 265 characters, at least a@bb.cc,
// ASCII letters, digits and . _ + - before the @.
func validEmail(s string) bool {
	if len(s) < 6 || len(s) > 265 || !utf8.ValidString(s) {
		return false
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || strings.Contains(local, "..") {
		return false
	}
	for _, b := range []byte(local) {
		if !alnum(b) && b != '.' && b != '_' && b != '+' && b != '-' {
			return false
		}
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 || len(labels[len(labels)-1]) < 2 {
		return false
	}
	for i, l := range labels {
		if l == "" || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, b := range []byte(l) {
			if !alnum(b) && (b != '-' || i == len(labels)-1 && !strings.HasPrefix(l, "xn--")) {
				return false
			}
		}
	}
	return true
}

func alnum(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// Mask hides an address for logs: the first six and last two digits of a
// number, the first letter and the domain of an e-mail address remain.
func Mask(address string) string {
	if at := strings.LastIndexByte(address, '@'); at > 0 {
		_, size := utf8.DecodeRuneInString(address)
		return address[:min(size, at)] + "***" + address[at:]
	}
	if len(address) < 9 {
		return "***"
	}
	return address[:6] + "***" + address[len(address)-2:]
}
