package gateway

import "time"

// FormPath is where the public pages answer consent forms; the id follows it.
const FormPath = "/f/"

// Form is a hosted consent form: what a person is asked, on behalf of which brand, for which channel. It never changes, so that the
// evidence of a consent can name it; a new wording is a new form.
type Form struct {
	ID         string    `json:"id"` // part of its address
	Account    AccountID `json:"account"`
	Brand      string    `json:"brand"`
	Channel    string    `json:"channel"`
	TradeName  string    `json:"tradeName"` // who asks: the ticaret unvanı
	Version    string    `json:"version"`   // of the text
	TextTR     string    `json:"textTr"`
	TextEN     string    `json:"textEn,omitempty"`     // without it the Turkish text stands in both languages
	PrivacyURL string    `json:"privacyUrl,omitempty"` // the information under KVKK (aydınlatma metni)
	From       string    `json:"from"`                 // sender of the confirmation: an SMS title, a mail address
	Created    time.Time `json:"created"`
	Revoked    time.Time `json:"revoked,omitzero"` // answers no more from then on
}

// Text is what the person declares, in a language ("tr", "en").
func (f *Form) Text(lang string) string {
	if lang == "en" && f.TextEN != "" {
		return f.TextEN
	}
	return f.TextTR
}

// Bounds of an opt-in.
const (
	OptInLife = 48 * time.Hour      // how long a confirmation link works
	OptInKept = 90 * 24 * time.Hour // how long it still tells that it was used
)

// OptIn is one request made at a form. It becomes a consent when the person confirms it over the link that went to the address
// (double opt-in); until then it permits nothing.
type OptIn struct {
	Code       string    `json:"-"` // in the link
	Form       string    `json:"form"`
	Account    AccountID `json:"account"`
	Brand      string    `json:"brand"`
	Channel    string    `json:"channel"`
	Address    string    `json:"address"`
	Name       string    `json:"name"` // the person's own, part of the declaration
	Lang       string    `json:"lang"` // of the text that was shown
	Asked      Trace     `json:"asked"`
	Expires    time.Time `json:"expires"`
	Confirmed  Trace     `json:"confirmed,omitzero"`
	Evidence   string    `json:"evidence,omitempty"`  // what proves the consent; set with Confirmed
	Registered time.Time `json:"registered,omitzero"` // when the consent was handed to the desk
}

// Trace is when and from where somebody acted.
type Trace struct {
	At        time.Time `json:"at"`
	IP        string    `json:"ip,omitempty"`
	UserAgent string    `json:"userAgent,omitempty"`
}
