package customer

import (
	"errors"

	"izinli/gateway"
	"izinli/iys"
)

// refusal is why a row is not taken.
type refusal struct {
	code             gateway.Code
	iys              string
	turkish, english string
	field            string // by its name in the API; empty: the row as a whole
}

func (r *refusal) row(rec record) gateway.ImportRow {
	return gateway.ImportRow{Line: rec.line, Fields: rec.fields, Code: r.code, IYS: r.iys, Field: r.field, Turkish: r.turkish, English: r.english}
}

// rowFaults are what can be wrong with a row before anybody is asked.
var rowFaults = map[string]refusal{
	"quote": {gateway.CodeMalformed, "", "Satır okunamadı: tırnak işaretleri eşleşmiyor.", "The row could not be read: its quotes do not match.", ""},
	"long":  {gateway.CodeMalformed, "", "Satır okunamadı: çok uzun.", "The row could not be read: it is too long.", ""},
	"wide": {gateway.CodeMalformed, "", "Satırda başlıktan fazla sütun var.",
		"The row has more columns than the header.", ""},
	"brand":   {gateway.CodeBrand, "", "Satır başka bir markaya ait.", "The row is for another brand.", "brand"},
	"channel": {gateway.CodeInvalid, "", "Satır başka bir izin tipine ait.", "The row is for another channel.", "channel"},
	"mobile": {gateway.CodeNotMobile, "", "Alıcı bir cep telefonu numarası değil.",
		"The recipient is not a mobile number.", "recipient"},
	"scientific": {gateway.CodeBadNumber, "H121", "Numara hesap tablosunda bozulmuş (örneğin 9,05E+11). Sütunu metin olarak kaydedin.",
		"A spreadsheet has spoilt the number (like 9.05E+11). Save the column as text.", "recipient"},
	"retailer": {gateway.CodeInvalid, "", "Bayi kodu geçerli değil.", "The retailer code is not valid.", "retailerCode"},
	"evidence": {gateway.CodeInvalid, "", "Kanıt sütunu çok uzun; en çok 2000 sekizli.", "The evidence is too long; at most 2000 octets.", "evidence"},
	"write": {gateway.CodeConflict, "", "Bu markanın izinlerini İYS'ye siz kaydediyorsunuz; kayıtlı izinler için doğrulama (verify) kullanın.",
		"You register the consents of this brand at İYS yourself; use verify for those that are there.", ""},
}

// turkish are sentences for codes the desk answers with.
var turkish = map[gateway.Code]string{
	gateway.CodeInvalid:            "Satır geçerli değil.",
	gateway.CodeBrand:              "Marka bu hesaba ait değil.",
	gateway.CodeBlocked:            "Kişi ret vermiş; içe aktarma bu engeli kaldıramaz.",
	gateway.CodeBlacklisted:        "Alıcı hesabın kara listesinde.",
	gateway.CodeBadNumber:          "Alıcı geçerli bir telefon numarası değil.",
	gateway.CodeNotMobile:          "Alıcı bir cep telefonu numarası değil.",
	gateway.CodeBadAddress:         "Alıcı geçerli bir e-posta adresi değil.",
	gateway.CodeConsentUnavailable: "İYS'ye şu anda sorulamıyor.",
}

func rowFault(key string) *refusal {
	r := rowFaults[key]
	return &r
}

// iysFault is a refusal of which İYS's own sentence is known.
func iysFault(code string, c gateway.Code) *refusal {
	r, ok := iys.RefusalFor(code)
	if !ok {
		return &refusal{c, code, "İYS kaydı kabul etmez.", "İYS would not take the record.", ""}
	}
	return iysRefusal(&r, c)
}

// iysRefusal is a refusal in İYS's words.
func iysRefusal(r *iys.Refusal, c gateway.Code) *refusal {
	out := &refusal{c, r.Code, r.Turkish, r.English, r.Field}
	if r.Field == "type" {
		out.field = "channel" // as our callers write it
	}
	return out
}

// deskFault turns the desk's answer for a row into a refusal.
func deskFault(res gateway.ConsentResult) *refusal {
	if _, ok := iys.RefusalFor(res.IYS); ok {
		return iysFault(res.IYS, res.Code)
	}
	r := &refusal{code: res.Code, iys: res.IYS, english: res.Text, turkish: turkish[res.Code], field: res.Field}
	if res.Code == gateway.CodeBlocked {
		r.english = "The person has opted out; an import does not lift that."
	}
	if r.english == "" {
		r.english = res.Code.Wire().Title
	}
	if r.turkish == "" {
		r.turkish = turkish[gateway.CodeInvalid]
	}
	return r
}

func isRefusal(err error) bool {
	var e *gateway.Error
	return errors.As(err, &e)
}

// passing reports whether an error of the desk may not be there the next time.
func passing(err error) bool {
	var e *gateway.Error
	if !errors.As(err, &e) {
		return true
	}
	status := e.Code.Wire().HTTP
	return status >= 500 || status == 429
}
