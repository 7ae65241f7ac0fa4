package customer

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/iys"
)

// column is a meaning a column can have.
type column int

const (
	colRecipient column = iota
	colDate
	colSource
	colStatus
	colType
	colChannel
	colBrand
	colRetailer
	colEvidence
	columns
)

// columnNames are the headers that are understood, folded (fold). Both languages, İYS's own wire names among them.
var columnNames = map[string]column{
	"adres": colRecipient, "alici": colRecipient, "aliciadresi": colRecipient, "iletisimadresi": colRecipient, "recipient": colRecipient,
	"address": colRecipient, "recipientaddress": colRecipient,
	"izintarihi": colDate, "onaytarihi": colDate, "tarih": colDate, "consentdate": colDate, "date": colDate,
	"kaynak": colSource, "izinkaynagi": colSource, "source": colSource, "consentsource": colSource,
	"durum": colStatus, "izindurumu": colStatus, "status": colStatus, "consentstatus": colStatus,
	"alicitipi": colType, "alicituru": colType, "recipienttype": colType,
	"izintipi": colChannel, "izinturu": colChannel, "kanal": colChannel, "tip": colChannel, "type": colChannel, "channel": colChannel,
	"markakodu": colBrand, "brandcode": colBrand, "brand": colBrand,
	"bayikodu": colRetailer, "retailercode": colRetailer,
	"kanit": colEvidence, "izinkaniti": colEvidence, "ispat": colEvidence, "evidence": colEvidence, "proof": colEvidence,
}

// phoneNames and emailNames are headers of the recipient column that fit one kind of address only; they come before the general
// ones, so that a file with both kinds can be imported twice.
var (
	phoneNames = []string{"telefon", "telefonno", "telefonnumarasi", "tel", "cep", "ceptel", "ceptelefonu", "ceptelefonno", "gsm", "gsmno",
		"gsmnumarasi", "msisdn", "phone", "phonenumber", "phoneno", "mobile", "mobilephone", "mobilenumber"}
	emailNames = []string{"eposta", "epostaadresi", "email", "emailaddress", "emailadresi", "mail", "mailadresi"}
)

// fold brings a header into the form of columnNames: Turkish letters without their marks, nothing but letters and digits.
func fold(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch r {
		case 'ı', 'İ', 'I', 'î', 'Î':
			r = 'i'
		case 'ş', 'Ş':
			r = 's'
		case 'ğ', 'Ğ':
			r = 'g'
		case 'ü', 'Ü', 'û', 'Û':
			r = 'u'
		case 'ö', 'Ö':
			r = 'o'
		case 'ç', 'Ç':
			r = 'c'
		case 'â', 'Â':
			r = 'a'
		}
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// layout is where the columns of a file are; -1 where there is none.
type layout [columns]int

// Why a header cannot be used. The texts are for the customer.
var (
	errNoRecipient = errors.New("the first row must name the columns, one of them the address (telefon, eposta, adres, phone, email, recipient)")
	errNoStatus    = errors.New("the file has no column durum (status): whether a person agreed is never guessed")
	errNoDate      = errors.New("the file has no column izin tarihi (consentDate), without which İYS takes no consent of a BIREYSEL")
	errNoSource    = errors.New("the file has no column kaynak (source), without which İYS takes no consent of a BIREYSEL")
)

// twiceError says that two columns mean the same.
type twiceError struct{ a, b string }

func (e *twiceError) Error() string {
	return "the columns " + strconv.Quote(e.a) + " and " + strconv.Quote(e.b) + " mean the same; leave one"
}

// mapHeader finds the columns of a header for a channel (MESAJ, EPOSTA).
func mapHeader(header []string, channel string) (layout, error) {
	var l layout
	for i := range l {
		l[i] = -1
	}
	special := phoneNames
	if channel == string(iys.ChannelEmail) {
		special = emailNames
	}
	folded := make([]string, len(header))
	own := -1
	for i, h := range header {
		folded[i] = fold(h)
		if !slices.Contains(special, folded[i]) {
			continue
		}
		if own >= 0 {
			return l, &twiceError{clean(header[own]), clean(h)}
		}
		own = i
	}
	for i, f := range folded {
		c, ok := columnNames[f]
		if !ok || c == colRecipient && own >= 0 {
			continue
		}
		if l[c] >= 0 {
			return l, &twiceError{clean(header[l[c]]), clean(header[i])}
		}
		l[c] = i
	}
	if own >= 0 {
		l[colRecipient] = own
	}
	if l[colRecipient] < 0 {
		return l, errNoRecipient
	}
	return l, nil
}

// fit reports what a file of this layout lacks for what the job wants. A TACIR record may come without date and source, so that
// only a file of nothing but BIREYSEL is judged for them here.
func (l *layout) fit(j *gateway.ImportJob) error {
	persons := j.RecipientType == gateway.RecipientIndividual && l[colType] < 0
	switch {
	case j.Mode != modeRegister:
	case l[colStatus] < 0 && j.Defaults.Status == "":
		return errNoStatus
	case persons && l[colDate] < 0 && j.Defaults.ConsentDate == "":
		return errNoDate
	case persons && l[colSource] < 0 && j.Defaults.Source == "":
		return errNoSource
	}
	return nil
}

// known is how many columns of a header mean something, the measure by which the delimiter is chosen.
func known(header []string) (n int) {
	for _, h := range header {
		f := fold(h)
		if _, ok := columnNames[f]; ok || slices.Contains(phoneNames, f) || slices.Contains(emailNames, f) {
			n++
		}
	}
	return n
}

// value returns the cell of a column, cleaned; empty where the row or the file has none.
func (l *layout) value(fields []string, c column) string {
	if i := l[c]; i >= 0 && i < len(fields) {
		return clean(fields[i])
	}
	return ""
}

// consent reads a row. The rules of İYS itself are the desk's; here is refused what cannot be read, and what would be
// registered for somebody or something else than the row says.
func (l *layout) consent(j *gateway.ImportJob, fields []string, now time.Time) (gateway.Consent, *refusal) {
	c := gateway.Consent{Brand: j.Brand, Channel: j.Channel, RecipientType: j.RecipientType}
	if width := len(j.Header); len(fields) > max(width, 1) && !blank(fields[max(width, 1):]) {
		return c, rowFault("wide")
	}
	if s := l.value(fields, colBrand); s != "" && s != j.Brand {
		return c, rowFault("brand")
	}
	if s := l.value(fields, colChannel); s != "" {
		switch ch := wireChannel(s); {
		case ch == "":
			return c, iysFault("H117", gateway.CodeInvalid)
		case ch != j.Channel:
			return c, rowFault("channel")
		}
	}
	if s := l.value(fields, colType); s != "" {
		if c.RecipientType = wireType(s); c.RecipientType == "" {
			return c, iysFault("H116", gateway.CodeInvalid)
		}
	}
	var bad *refusal
	if c.Address, bad = readAddress(j.Channel, l.value(fields, colRecipient)); bad != nil || j.Mode == modeVerify {
		return c, bad
	}
	return c, l.details(&c, &j.Defaults, fields, now)
}

// details reads what only a registration needs.
func (l *layout) details(c *gateway.Consent, def *gateway.ImportDefaults, fields []string, now time.Time) *refusal {
	status := cmp.Or(l.value(fields, colStatus), def.Status)
	if c.Status = wireStatus(status); c.Status == "" {
		if status == "" {
			return iysFault("H110", gateway.CodeInvalid)
		}
		return iysFault("H115", gateway.CodeInvalid)
	}
	c.Source = wireSource(cmp.Or(l.value(fields, colSource), def.Source))
	c.RetailerCode = def.RetailerCode
	if s := cmp.Or(l.value(fields, colDate), def.ConsentDate); s != "" {
		var code string
		if c.ConsentDate, code = readDate(s); code != "" {
			return iysFault(code, gateway.CodeInvalid)
		}
		if c.ConsentDate.After(now) { // of refusals too: a block from tomorrow on would outlast an approval given today
			return iysFault("H162", gateway.CodeInvalid)
		}
	}
	if s := l.value(fields, colRetailer); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxRetailer {
			return rowFault("retailer")
		}
		c.RetailerCode = n
	}
	if c.Evidence = l.value(fields, colEvidence); len(c.Evidence) > maxEvidence {
		return rowFault("evidence") // not cut: half a proof may say something else
	}
	return nil
}

// maxEvidence bounds what a row says proves its consent, in octets.
const maxEvidence = 2000

// maxRetailer: a retailer code has eight digits (iys-api.md §10).
const maxRetailer = 99_999_999

// readAddress brings an address into the stored form.
func readAddress(channel, s string) (string, *refusal) {
	s = clean(strings.TrimPrefix(s, "'")) // a spreadsheet's mark for "this is text"
	if s == "" {
		return "", iysFault("H114", gateway.CodeInvalid)
	}
	if channel == string(iys.ChannelEmail) {
		e, err := address.ParseMailbox(s) // refusals are taken of all of them; what İYS does not hold, the desk says
		if err != nil {
			return "", iysFault("H120", gateway.CodeBadAddress)
		}
		return string(e), nil
	}
	n, err := address.Parse(s, address.Options{})
	switch {
	case err == nil:
		return n.String(), nil
	case scientific(s):
		return "", rowFault("scientific")
	case errors.Is(err, address.ErrNotMobile):
		return "", rowFault("mobile")
	}
	return "", iysFault("H121", gateway.CodeBadNumber)
}

// scientific recognises a number that a spreadsheet has spoilt: 9,05321E+11.
func scientific(s string) bool {
	mantissa, exponent, ok := strings.Cut(strings.ToUpper(s), "E+")
	return ok && strings.Trim(mantissa, "0123456789.,") == "" && mantissa != "" && strings.Trim(exponent, "0123456789") == ""
}

func wireStatus(s string) string {
	switch fold(s) {
	case "onay", "onayli", "izinli", "approved":
		return string(iys.StatusApproved)
	case "ret", "red", "reddedildi", "rejected":
		return string(iys.StatusRejected)
	}
	return ""
}

// wireSource is the İYS name of a source. İYS's own sentence answers what is none (H119).
func wireSource(s string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r == 'İ' || r == 'ı' { // of keyboards that write HS_FİZİKSEL_ORTAM
			return 'I'
		}
		return r
	}, s))
}

func wireType(s string) string {
	switch fold(s) {
	case "bireysel", "individual":
		return gateway.RecipientIndividual
	case "tacir", "merchant":
		return gateway.RecipientMerchant
	}
	return ""
}

// wireChannel is the İYS name of a channel, empty for what is none.
func wireChannel(s string) string {
	switch fold(s) {
	case "mesaj", "sms":
		return string(iys.ChannelSMS)
	case "eposta", "email":
		return string(iys.ChannelEmail)
	case "arama", "call":
		return string(iys.ChannelCall)
	}
	return ""
}

// dateForms are the forms of a date: İYS's own first, then those of Turkish spreadsheets. Without an offset it is Istanbul time.
var dateForms = []string{iys.TimeLayout, "2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04", "2006-01-02",
	"2.1.2006 15:04:05", "2.1.2006 15:04", "2.1.2006", "2/1/2006 15:04:05", "2/1/2006 15:04", "2/1/2006"}

// readDate reads a date; code is H157 for a day or hour that does not exist and H158 for a form nobody knows.
func readDate(s string) (t time.Time, code string) {
	code = "H158"
	for _, form := range dateForms {
		t, err := time.ParseInLocation(form, s, iys.Istanbul)
		if err == nil {
			return t, ""
		}
		if p := (*time.ParseError)(nil); errors.As(err, &p) && strings.HasSuffix(p.Message, "out of range") {
			code = "H157"
		}
	}
	return time.Time{}, code
}
