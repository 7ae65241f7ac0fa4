package gateway

import (
	"net/netip"
	"sort"
	"strings"
	"time"
)

// Account is a tenant: a service provider (hizmet sağlayıcı) with its brands, credentials and credits.
type Account struct {
	ID        AccountID     `json:"id"`
	Name      string        `json:"name"`
	IYSCode   int           `json:"iysCode,omitempty"`
	MERSIS    string        `json:"mersis,omitempty"`
	Suspended bool          `json:"suspended,omitempty"`
	Policy    AccountPolicy `json:"policy"`
	Created   time.Time     `json:"created"`
}

// AccountPolicy is what an account may tune. The zero value is the safe default.
type AccountPolicy struct {
	QuietFrom       string `json:"quietFrom,omitempty"` // "21:00" Istanbul; default 21:00
	QuietTo         string `json:"quietTo,omitempty"`   // "08:00"
	QuietOff        bool   `json:"quietOff,omitempty"`
	AllowForeign    bool   `json:"allowForeign,omitempty"`
	KeepUndelivered bool   `json:"keepUndelivered,omitempty"` // do not refund undelivered
	Promotional     string `json:"promotional,omitempty"`     // transactional text with promotional words: "warn" (default), "hold", "off"
	OnDoubt         string `json:"onDoubt,omitempty"`         // no answer: "resend" (default; MaxDoubts unanswered attempts end it), "report"
	MaxSegments     int    `json:"maxSegments,omitempty"`     // default 10
	MaxPerSecond    int    `json:"maxPerSecond,omitempty"`    // messages accepted; 0: no limit
	CreditWarning   int64  `json:"creditWarning,omitempty"`   // webhook when the balance falls below
	Reencode        bool   `json:"reencode,omitempty"`        // SMPP: may change the client's data_coding
	Transliterate   bool   `json:"transliterate,omitempty"`
	// Content says what happens to commercial mail that lacks the sender's details (regulation.md §7): "append" (default) adds the
	// brand's footer, "refuse" refuses the message.
	Content string `json:"content,omitempty"`
	// ComplaintRET makes a complaint at a mailbox provider (RFC 5965) a refusal at İYS too; without it the address is blocked here.
	ComplaintRET bool `json:"complaintRet,omitempty"`
	// RefusalReplies has commercial mail without a Reply-To of its own answered to its signed return path, where RET in a reply is a
	// refusal and anything else is turned away; without it replies go where the mail says, and nobody here reads them.
	RefusalReplies bool `json:"refusalReplies,omitempty"`
}

// SegmentLimit is the most segments one text may need.
func (p AccountPolicy) SegmentLimit() int {
	if p.MaxSegments > 0 {
		return p.MaxSegments
	}
	return 10
}

// Brand belongs to one account; a consent given to one brand is no consent to another.
type Brand struct {
	Code    string    `json:"code"` // brandCode
	Account AccountID `json:"account"`
	Name    string    `json:"name"`
	Short   string    `json:"short,omitempty"` // short name used in opt-out texts
	IYSCode int       `json:"iysCode,omitempty"`
	SMS     BrandMode `json:"sms"`
	Email   BrandMode `json:"email"`
	IYS     string    `json:"iys,omitempty"` // name of the IYSLink that serves it
	// What commercial mail must say of its sender (regulation.md §7); Title and MERSIS default to the account's name and number.
	Title   string    `json:"title,omitempty"`   // trade name
	MERSIS  string    `json:"mersis,omitempty"`  // 16 digits
	Contact string    `json:"contact,omitempty"` // phone, address, e-mail: one line
	Created time.Time `json:"created"`
}

// BrandMode is who holds İYS for one channel of a brand, and the proof that goes with it.
type BrandMode struct {
	Mode string `json:"mode"` // partner, ahs, self_managed, exempt; empty: closed
	// Declaration of self_managed, basis of exempt.
	Text     string    `json:"text,omitempty"`
	Version  string    `json:"version,omitempty"`
	Document string    `json:"document,omitempty"`
	User     string    `json:"user,omitempty"`
	IP       string    `json:"ip,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	ReadOnly bool      `json:"readOnly,omitempty"` // partner without write right: RETs are owed by the customer
}

// ModeOf returns the mode for a channel (sms or email).
func (b *Brand) ModeOf(channel string) BrandMode {
	if channel == ChannelEmail {
		return b.Email
	}
	return b.SMS
}

// Sender is a sender ID: an SMS title, a number or a from-domain, approved for one brand.
type Sender struct {
	Name     string    `json:"name"`
	Account  AccountID `json:"account"`
	Channel  string    `json:"channel"`
	Brand    string    `json:"brand"`
	Approved bool      `json:"approved"`
	Created  time.Time `json:"created"`
}

// Number is an inbound number, whole or shared by keyword.
type Number struct {
	Number  string    `json:"number"`
	Keyword string    `json:"keyword,omitempty"` // folded; empty: the whole number
	Account AccountID `json:"account"`
	Brand   string    `json:"brand,omitempty"`
	System  string    `json:"system,omitempty"` // system_id that gets its messages as deliver_sm
}

// CredentialKind is where a credential works.
type CredentialKind string

// Credential kinds.
const (
	KindAPI  CredentialKind = "api"
	KindSMPP CredentialKind = "smpp"
	KindSMTP CredentialKind = "smtp"
)

// Scopes of an API key.
const (
	ScopeSend     = "send"
	ScopeRead     = "read"
	ScopeConsents = "consents"
	ScopeWebhooks = "webhooks"
)

// Credential lets a caller in. Its secret is stored hashed, never here.
type Credential struct {
	ID           string         `json:"id"` // API key id, SMPP system_id, SMTP user
	Kind         CredentialKind `json:"kind"`
	Account      AccountID      `json:"account"`
	Name         string         `json:"name,omitempty"`
	Scopes       []string       `json:"scopes,omitempty"`
	Classes      []string       `json:"classes,omitempty"` // new ones: commercial only
	DefaultClass string         `json:"defaultClass,omitempty"`
	Reason       string         `json:"reason,omitempty"` // default reason of transactional messages
	Brand        string         `json:"brand,omitempty"`  // default brand
	From         string         `json:"from,omitempty"`   // default sender
	// RecipientType of messages that say none: BIREYSEL (default), TACIR. At SMTP's RCPT, where nothing is said yet, recipients are judged by it.
	RecipientType string         `json:"recipientType,omitempty"`
	Retailer      int            `json:"retailer,omitempty"` // dealer (bayi) of the brand that sends with it; 0: the brand itself
	CIDRs         []netip.Prefix `json:"cidrs,omitempty"`
	Revoked       bool           `json:"revoked,omitempty"`
	Created       time.Time      `json:"created"`

	// SMPP only.
	Inline    bool `json:"inline,omitempty"`    // policy refusals in submit_sm_resp instead of a receipt
	MaxBinds  int  `json:"maxBinds,omitempty"`  // default 8
	Window    int  `json:"window,omitempty"`    // default 100
	PerSecond int  `json:"perSecond,omitempty"` // 0: the account's limit

	SecretHash string `json:"secretHash,omitempty"` // SHA-256 of an API key, argon2id of a password
}

// Allows reports whether the credential may send the class; one that lists none may send commercial only.
func (c *Credential) Allows(class string) bool {
	if len(c.Classes) == 0 {
		return class == ClassCommercial
	}
	for _, k := range c.Classes {
		if k == class {
			return true
		}
	}
	return false
}

// Has reports whether the credential has the scope; one that lists none has all but webhooks.
func (c *Credential) Has(scope string) bool {
	if len(c.Scopes) == 0 {
		return scope != ScopeWebhooks
	}
	for _, s := range c.Scopes {
		if s == scope {
			return true
		}
	}
	return false
}

// Class returns the class a submission gets: the one asked for or the default; commercial when nothing is said.
func (c *Credential) Class(asked string) string {
	switch {
	case asked != "":
		return asked
	case c.DefaultClass != "":
		return c.DefaultClass
	case len(c.Classes) == 1:
		return c.Classes[0]
	}
	return ClassCommercial
}

// AllowsAddr reports whether the credential may be used from addr; without a list it may from anywhere.
func (c *Credential) AllowsAddr(addr netip.Addr) bool {
	if len(c.CIDRs) == 0 {
		return true
	}
	for _, p := range c.CIDRs {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// Operator is an SMSC we bind to as ESME, with the quirks of its profile.
type Operator struct {
	Name        string `json:"name"`
	Addr        string `json:"addr"` // host:port
	TLS         bool   `json:"tls,omitempty"`
	TLSInsecure bool   `json:"tlsInsecure,omitempty"`
	SystemID    string `json:"systemId"`
	Password    Sealed `json:"password"`
	SystemType  string `json:"systemType,omitempty"`
	BindType    string `json:"bindType,omitempty"`  // trx (default), tx+rx
	Binds       int    `json:"binds,omitempty"`     // default 1
	Window      int    `json:"window,omitempty"`    // per bind, default 10
	PerSecond   int    `json:"perSecond,omitempty"` // per bind, 0: no limit
	NoReceipts  bool   `json:"noReceipts,omitempty"`
	IDForm      string `json:"idForm,omitempty"`   // as-is, hex->dec, dec->hex, lower, trim-zeros; joined by commas
	National    bool   `json:"national,omitempty"` // takes Turkish shift tables
	Alphabet    string `json:"alphabet,omitempty"` // of data_coding 0: gsm7 (default; a septet an octet), packed
	Suffix      int    `json:"suffix,omitempty"`   // characters the operator appends
	Disabled    bool   `json:"disabled,omitempty"`

	ResponseTimeout time.Duration `json:"responseTimeout,omitempty"` // default 60 s
	EnquireLink     time.Duration `json:"enquireLink,omitempty"`     // default 30 s
}

// SegmentRoom is the most segments one message may have here: they are under way together in the window of one bind.
func (o *Operator) SegmentRoom() int {
	if o.Window > 0 {
		return o.Window
	}
	return 10
}

// Route leads traffic to operators. The most specific match wins: account, then lane, then the longest prefix.
type Route struct {
	ID        string      `json:"id"`
	Account   AccountID   `json:"account,omitempty"` // 0: any
	Class     string      `json:"class,omitempty"`   // empty: any
	Prefix    string      `json:"prefix,omitempty"`  // of the number with plus; empty: any
	Operators []RouteStep `json:"operators"`         // same Rank shares by Weight; higher Rank only when lower are down
}

// RouteStep is one operator of a route.
type RouteStep struct {
	Operator string `json:"operator"`
	Weight   int    `json:"weight,omitempty"` // default 1
	Rank     int    `json:"rank,omitempty"`
}

// IYSLink is one way to İYS: API user, partner number, AHS user.
type IYSLink struct {
	Name           string `json:"name"`
	BaseURL        string `json:"baseUrl"`
	Username       string `json:"username,omitempty"`
	Password       Sealed `json:"password,omitempty"`
	IntegratorCode int    `json:"integratorCode,omitempty"`
	AHSURL         string `json:"ahsUrl,omitempty"`
	AHSUser        string `json:"ahsUser,omitempty"`
	AHSPassword    Sealed `json:"ahsPassword,omitempty"`
}

// Webhook is where an account wants its events.
type Webhook struct {
	Account AccountID `json:"account"`
	URL     string    `json:"url"`
	Secret  Sealed    `json:"secret"`
	Events  []string  `json:"events"` // empty: all
	Paused  bool      `json:"paused,omitempty"`
}

// Sealed is a secret we must be able to replay. The store encrypts it with a key derived from the store key; it never prints.
type Sealed string

// String hides the secret.
func (Sealed) String() string { return "•••" }

// Directory is an immutable snapshot of everything an administrator edits. The store publishes a new one with every change.
type Directory struct {
	Version     uint64
	Accounts    map[AccountID]*Account
	Brands      map[string]*Brand
	Senders     map[SenderKey]*Sender
	Numbers     map[string][]*Number // by number; keyword entries and at most one whole
	Credentials map[CredentialKey]*Credential
	Operators   map[string]*Operator
	Routes      []*Route // most specific first
	IYSLinks    map[string]*IYSLink
	Webhooks    map[AccountID]*Webhook
	Forms       map[string]*Form // by id
	Smarthosts  map[string]*Smarthost
	DKIM        map[DKIMName]*DKIMKey
	RelayPeers  map[string]*RelayPeer
}

// SenderKey is how senders are found. Name is case-sensitive for SMS titles (operators register them so).
type SenderKey struct {
	Account AccountID
	Channel string
	Name    string
}

// CredentialKey is how credentials are found.
type CredentialKey struct {
	Kind CredentialKind
	ID   string
}

// NewDirectory returns an empty snapshot with its maps made.
func NewDirectory() *Directory {
	return &Directory{
		Accounts: map[AccountID]*Account{}, Brands: map[string]*Brand{}, Senders: map[SenderKey]*Sender{},
		Numbers: map[string][]*Number{}, Credentials: map[CredentialKey]*Credential{}, Operators: map[string]*Operator{},
		IYSLinks: map[string]*IYSLink{}, Webhooks: map[AccountID]*Webhook{}, Forms: map[string]*Form{}, Smarthosts: map[string]*Smarthost{},
		DKIM: map[DKIMName]*DKIMKey{}, RelayPeers: map[string]*RelayPeer{},
	}
}

// BrandOf returns the brand if it belongs to the account, nil otherwise: another tenant's brand does not exist.
func (d *Directory) BrandOf(a AccountID, code string) *Brand {
	if b := d.Brands[code]; b != nil && b.Account == a {
		return b
	}
	return nil
}

// BrandsOf lists the account's brands by code.
func (d *Directory) BrandsOf(a AccountID) []*Brand {
	var out []*Brand
	for _, b := range d.Brands {
		if b.Account == a {
			out = append(out, b)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Code < out[j].Code })
	return out
}

// RouteFor returns the most specific route for a message, nil when none fits.
func (d *Directory) RouteFor(a AccountID, class, address string) *Route {
	for _, r := range d.Routes {
		if (r.Account == 0 || r.Account == a) && (r.Class == "" || r.Class == class) && strings.HasPrefix(address, r.Prefix) {
			return r
		}
	}
	return nil
}

// SortRoutes puts the most specific routes first: account, then class, then longer prefix, then id.
func SortRoutes(rs []*Route) {
	sort.SliceStable(rs, func(i, j int) bool {
		a, b := rs[i], rs[j]
		if (a.Account != 0) != (b.Account != 0) {
			return a.Account != 0
		}
		if (a.Class != "") != (b.Class != "") {
			return a.Class != ""
		}
		if len(a.Prefix) != len(b.Prefix) {
			return len(a.Prefix) > len(b.Prefix)
		}
		return a.ID < b.ID
	})
}
