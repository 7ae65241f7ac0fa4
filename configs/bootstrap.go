package configs

import "time"

// Bootstrap fills an empty store at its first start and is ignored ever after. Its values are checked by the same rules as an
// administrator's own. Secrets stand here in plain text: remove the section, or change the secrets, after the first start.
type Bootstrap struct {
	// IYSLinks are ways to İYS.
	IYSLinks []BootLink `yaml:"iysLinks"`
	// Operators are the SMSCs bound to.
	Operators []BootOperator `yaml:"operators"`
	// Accounts with all that is theirs. They are numbered from 1 in this order.
	Accounts []BootAccount `yaml:"accounts"`
	// Routes lead messages to operators.
	Routes []BootRoute `yaml:"routes"`
	// Smarthosts carry mail onwards.
	Smarthosts []BootSmarthost `yaml:"smarthosts"`
	// RelayPeers are mail servers that may relay without logging in.
	RelayPeers []BootPeer `yaml:"relayPeers"`
}

// Empty reports whether the section asks for nothing.
func (b *Bootstrap) Empty() bool {
	return len(b.IYSLinks)+len(b.Operators)+len(b.Accounts)+len(b.Routes)+len(b.Smarthosts)+len(b.RelayPeers) == 0
}

// BootLink is one way to İYS: an API user, a partner, an intermediary (AHS).
type BootLink struct {
	Name string `yaml:"name"`
	// BaseURL of the API; iys.baseUrl when empty.
	BaseURL  string `yaml:"baseUrl"`
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	// IntegratorCode is our own number when we are the customer's partner; 0 otherwise.
	IntegratorCode int `yaml:"integratorCode"`
	// AHSURL, AHSUser and AHSPassword are the intermediary's interface.
	AHSURL      string `yaml:"ahsUrl"`
	AHSUser     string `yaml:"ahsUser"`
	AHSPassword string `yaml:"ahsPassword"`
}

// BootOperator is an SMSC we bind to.
type BootOperator struct {
	Name string `yaml:"name"`
	// Addr is host:port.
	Addr        string `yaml:"addr"`
	TLS         bool   `yaml:"tls"`
	TLSInsecure bool   `yaml:"tlsInsecure"`
	SystemID    string `yaml:"systemId"`
	Password    string `yaml:"password"`
	SystemType  string `yaml:"systemType"`
	// BindType is trx (default) or tx+rx.
	BindType string `yaml:"bindType"`
	// Binds is how many binds are kept; default 1.
	Binds int `yaml:"binds"`
	// Window is the number of unanswered submit_sm per bind; default 10, not less.
	Window int `yaml:"window"`
	// PerSecond bounds submit_sm per bind and second; 0: no bound.
	PerSecond int `yaml:"perSecond"`
	// NoReceipts says that the operator sends no delivery receipts.
	NoReceipts bool `yaml:"noReceipts"`
	// IDForm is how message ids of responses turn into those of receipts: as-is, lower, trim-zeros, hex->dec, dec->hex.
	IDForm string `yaml:"idForm"`
	// National says that the operator takes Turkish shift tables.
	National bool `yaml:"national"`
	// Alphabet is what data_coding 0 means: gsm7 (default; one septet per octet), packed.
	Alphabet string `yaml:"alphabet"`
	// Suffix is the number of characters the operator appends.
	Suffix int `yaml:"suffix"`
	// ResponseTimeout (default 60s) and EnquireLink (default 30s) are 1s to 10m.
	ResponseTimeout Duration `yaml:"responseTimeout"`
	EnquireLink     Duration `yaml:"enquireLink"`
}

// BootRoute leads messages to operators.
type BootRoute struct {
	ID string `yaml:"id"`
	// Account is the name of an account above; empty: any.
	Account string `yaml:"account"`
	// Class is commercial, transactional or otp; empty: any.
	Class string `yaml:"class"`
	// Prefix is the beginning of the number, with its plus; empty: any.
	Prefix    string     `yaml:"prefix"`
	Operators []BootStep `yaml:"operators"`
}

// BootStep is one operator of a route: the same rank shares by weight, a higher rank is used while lower ones are down.
type BootStep struct {
	Operator string `yaml:"operator"`
	Weight   int    `yaml:"weight"`
	Rank     int    `yaml:"rank"`
}

// BootAccount is an account with all that is its own.
type BootAccount struct {
	Name    string `yaml:"name"`
	IYSCode int    `yaml:"iysCode"`
	// MERSIS is the company's 16 digits.
	MERSIS string     `yaml:"mersis"`
	Policy BootPolicy `yaml:"policy"`
	// Credits are booked with the note "bootstrap".
	Credits     int64            `yaml:"credits"`
	Brands      []BootBrand      `yaml:"brands"`
	Senders     []BootSender     `yaml:"senders"`
	DKIM        []BootDKIM       `yaml:"dkim"`
	Forms       []BootForm       `yaml:"forms"`
	Credentials []BootCredential `yaml:"credentials"`
	Numbers     []BootNumber     `yaml:"numbers"`
	Webhook     BootWebhook      `yaml:"webhook"`
	Consents    []BootConsent    `yaml:"consents"`
}

// BootPolicy is what an account may tune; zero fields take the safe default.
type BootPolicy struct {
	// QuietFrom and QuietTo are Istanbul times such as 21:00.
	QuietFrom string `yaml:"quietFrom"`
	QuietTo   string `yaml:"quietTo"`
	QuietOff  bool   `yaml:"quietOff"`
	// AllowForeign lets messages go abroad.
	AllowForeign bool `yaml:"allowForeign"`
	// KeepUndelivered keeps the credits of undelivered messages.
	KeepUndelivered bool `yaml:"keepUndelivered"`
	// Promotional is what happens to transactional texts with promotional words: warn (default), hold, off.
	Promotional string `yaml:"promotional"`
	// OnDoubt is what happens when an operator's answer was lost: resend (default; after three attempts without an answer the message
	// is unknown, so a person gets at most three copies), report (unknown at once).
	OnDoubt string `yaml:"onDoubt"`
	// MaxSegments bounds one text; default 10.
	MaxSegments int `yaml:"maxSegments"`
	// MaxPerSecond bounds messages accepted; 0: no bound.
	MaxPerSecond int `yaml:"maxPerSecond"`
	// CreditWarning is the balance below which the webhook warns.
	CreditWarning int64 `yaml:"creditWarning"`
	// Reencode lets the gateway change an SMPP client's data_coding.
	Reencode bool `yaml:"reencode"`
	// Transliterate lets it replace letters to save segments.
	Transliterate bool `yaml:"transliterate"`
	// Content is what happens to commercial mail without the sender's details: append (default), refuse.
	Content string `yaml:"content"`
	// ComplaintRET makes complaints at mailbox providers refusals at İYS.
	ComplaintRET bool `yaml:"complaintRet"`
	// RefusalReplies gives commercial mail without a Reply-To one of ours, where RET in a reply is a refusal.
	RefusalReplies bool `yaml:"refusalReplies"`
}

// BootBrand is a brand.
type BootBrand struct {
	// Code is the brandCode, 6 or 7 digits.
	Code string `yaml:"code"`
	Name string `yaml:"name"`
	// Short is the name used in opt-out texts.
	Short string `yaml:"short"`
	// IYSCode is needed only where it differs from the account's.
	IYSCode int `yaml:"iysCode"`
	// IYS names the İYS link that serves the brand.
	IYS string `yaml:"iys"`
	// Title (trade name), MERSIS and Contact stand in commercial mail; the first two default to the account's.
	Title   string   `yaml:"title"`
	MERSIS  string   `yaml:"mersis"`
	Contact string   `yaml:"contact"`
	SMS     BootMode `yaml:"sms"`
	Email   BootMode `yaml:"email"`
}

// BootMode is who holds İYS for a channel of a brand: partner, ahs, self_managed (with the customer's declaration) or exempt
// (with its basis). An empty mode keeps the channel closed.
type BootMode struct {
	Mode string `yaml:"mode"`
	// Text is the declaration or the basis of the exemption, Version that of the declaration's wording, Document the exemption's.
	Text     string `yaml:"text"`
	Version  string `yaml:"version"`
	Document string `yaml:"document"`
	// User gave the declaration or approved the exemption; IP is where the declaration came from.
	User    string    `yaml:"user"`
	IP      string    `yaml:"ip"`
	At      time.Time `yaml:"at"`
	Expires time.Time `yaml:"expires"`
	// ReadOnly is a partner without the right to write.
	ReadOnly bool `yaml:"readOnly"`
}

// BootSender is a sender ID: an SMS title or number, or a mail domain.
type BootSender struct {
	Name string `yaml:"name"`
	// Channel is sms or email.
	Channel string `yaml:"channel"`
	Brand   string `yaml:"brand"`
	// Approved lets it be used.
	Approved bool `yaml:"approved"`
}

// BootNumber is an inbound number, whole or by keyword.
type BootNumber struct {
	Number  string `yaml:"number"`
	Keyword string `yaml:"keyword"`
	Brand   string `yaml:"brand"`
	// System is the system_id that gets its messages as deliver_sm.
	System string `yaml:"system"`
}

// BootCredential lets a caller in.
type BootCredential struct {
	// Kind is api, smpp or smtp.
	Kind string `yaml:"kind"`
	// ID is the system_id or SMTP user; empty for API keys, which contain it.
	ID string `yaml:"id"`
	// Secret is the whole API key (izk_<id>_<secret>) or the password; without one it is made and printed at the first start.
	Secret string `yaml:"secret"`
	Name   string `yaml:"name"`
	// Scopes of API keys: send, read, consents, webhooks; empty: all but webhooks.
	Scopes []string `yaml:"scopes"`
	// Classes it may send: commercial, transactional, otp; empty: commercial.
	Classes      []string `yaml:"classes"`
	DefaultClass string   `yaml:"defaultClass"`
	// Reason is the default one of transactional messages.
	Reason string `yaml:"reason"`
	Brand  string `yaml:"brand"`
	From   string `yaml:"from"`
	// RecipientType is the default one: BIREYSEL (without one), TACIR.
	RecipientType string `yaml:"recipientType"`
	// CIDRs are the networks it may be used from; empty: any.
	CIDRs []Network `yaml:"cidrs"`
	// Inline answers policy refusals in submit_sm_resp instead of a receipt.
	Inline bool `yaml:"inline"`
	// MaxBinds (default 8) and Window (default 100) bound an SMPP client; PerSecond any.
	MaxBinds  int `yaml:"maxBinds"`
	Window    int `yaml:"window"`
	PerSecond int `yaml:"perSecond"`
}

// BootWebhook is where an account's events go.
type BootWebhook struct {
	URL    string   `yaml:"url"`
	Events []string `yaml:"events"`
	Secret string   `yaml:"secret"`
}

// BootConsent is a consent brought along; it is written to İYS like any other.
type BootConsent struct {
	Brand string `yaml:"brand"`
	// Channel is sms or email.
	Channel   string `yaml:"channel"`
	Recipient string `yaml:"recipient"`
	// RecipientType is BIREYSEL (default) or TACIR.
	RecipientType string `yaml:"recipientType"`
	// Status is ONAY or RET.
	Status string `yaml:"status"`
	// Source is İYS's word for where it was taken, e.g. HS_WEB.
	Source      string    `yaml:"source"`
	ConsentDate time.Time `yaml:"consentDate"`
	Evidence    string    `yaml:"evidence"`
}
