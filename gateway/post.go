package gateway

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Smarthost is a next hop for mail: one server by name, or the mail exchangers of every recipient's domain.
type Smarthost struct {
	Name       string `json:"name"`
	Addr       string `json:"addr,omitempty"`       // host:port; empty with Direct
	Direct     bool   `json:"direct,omitempty"`     // deliver to the MX of each domain (RFC 5321 §5)
	Rank       int    `json:"rank,omitempty"`       // lower ranks first; a higher one only while all lower ones are down
	Weight     int    `json:"weight,omitempty"`     // share among the same rank; default 1
	TLS        string `json:"tls,omitempty"`        // verified (default), implicit, encrypted, opportunistic (default with Direct), off
	ServerName string `json:"serverName,omitempty"` // name its certificate must have; default the host of Addr
	Username   string `json:"username,omitempty"`   // AUTH PLAIN or LOGIN, under TLS only
	Password   Sealed `json:"password,omitempty"`

	MaxConns   int `json:"maxConns,omitempty"`   // default 10; with Direct over all sites, default 100
	MaxPerConn int `json:"maxPerConn,omitempty"` // messages of one connection; default 100
	PerSecond  int `json:"perSecond,omitempty"`  // messages; 0: no limit

	Account  AccountID `json:"account,omitempty"` // 0: any
	Classes  []string  `json:"classes,omitempty"` // empty: any
	Draining bool      `json:"draining,omitempty"`
	Created  time.Time `json:"created"`
}

// SmarthostCarrier is the name under which a smarthost stands among the carriers: operators of SMS cannot have it.
func SmarthostCarrier(name string) string { return "smtp/" + name }

// Takes reports whether messages of the account and class may go there.
func (h *Smarthost) Takes(a AccountID, class string) bool {
	return !h.Draining && (h.Account == 0 || h.Account == a) && (len(h.Classes) == 0 || slices.Contains(h.Classes, class))
}

// DKIMKey signs mail of a domain and those below it (RFC 6376, RFC 8463). It belongs to one account, like the domain.
type DKIMKey struct {
	Domain    string    `json:"domain"`
	Selector  string    `json:"selector"`
	Account   AccountID `json:"account"`
	Algorithm string    `json:"algorithm"` // rsa (2048 bits), ed25519
	Private   Sealed    `json:"private"`   // PKCS #8 in PEM
	Record    string    `json:"record"`    // text of the DNS TXT record
	Disabled  bool      `json:"disabled,omitempty"`
	Created   time.Time `json:"created"`
}

// DKIMName is how DKIM keys are found.
type DKIMName struct{ Domain, Selector string }

// Name names the key.
func (k *DKIMKey) Name() DKIMName { return DKIMName{k.Domain, k.Selector} }

// Host is where the public half stands in the DNS.
func (n DKIMName) Host() string { return n.Selector + "._domainkey." + n.Domain }

// Covers reports whether the key may sign for a From domain: its own or one below it (relaxed alignment, RFC 7489 §3.1.1).
func (k *DKIMKey) Covers(domain string) bool {
	return !k.Disabled && (domain == k.Domain || strings.HasSuffix(domain, "."+k.Domain))
}

// SignsMail reports whether the account has a DKIM key that signs for a From domain.
func (d *Directory) SignsMail(a AccountID, domain string) bool {
	for _, k := range d.DKIM {
		if k.Account == a && k.Covers(domain) {
			return true
		}
	}
	return false
}

// RelayPeer is a mail server that may relay without logging in, known by address or client certificate. What it may send is
// what the SMTP credential it stands for may send.
type RelayPeer struct {
	Name         string         `json:"name"`
	Credential   string         `json:"credential"` // id of an SMTP credential
	CIDRs        []netip.Prefix `json:"cidrs,omitempty"`
	Certificates []string       `json:"certificates,omitempty"` // SHA-256 of client certificates (DER), hex
	TrustHeaders bool           `json:"trustHeaders,omitempty"` // X-Message-Class and the like; always trusted with a certificate
	Normalise    bool           `json:"normalise,omitempty"`    // bare CR and LF become CRLF instead of a refusal
	RequireTLS   bool           `json:"requireTls,omitempty"`
	MaxConns     int            `json:"maxConns,omitempty"` // default 100
	Created      time.Time      `json:"created"`
}

// SmarthostsFor lists where mail of the account and class may go, by rank.
func (d *Directory) SmarthostsFor(a AccountID, class string) []*Smarthost {
	var out []*Smarthost
	for _, h := range d.Smarthosts {
		if h.Takes(a, class) {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(x, y *Smarthost) int {
		if x.Rank != y.Rank {
			return x.Rank - y.Rank
		}
		return strings.Compare(x.Name, y.Name)
	})
	return out
}

// MailRouteFor is the way of mail as a route, nil when no smarthost takes it.
func (d *Directory) MailRouteFor(a AccountID, class string) *Route {
	hosts := d.SmarthostsFor(a, class)
	if len(hosts) == 0 {
		return nil
	}
	r := &Route{ID: "mail"}
	for _, h := range hosts {
		r.Operators = append(r.Operators, RouteStep{Operator: SmarthostCarrier(h.Name), Weight: h.Weight, Rank: h.Rank})
	}
	return r
}

// SenderOfMail finds the approved sender an address belongs to: the address itself or its domain. The address is in canonical
// form.
func (d *Directory) SenderOfMail(a AccountID, addr string) *Sender {
	for _, name := range []string{addr, addr[strings.LastIndexByte(addr, '@')+1:]} {
		if x := d.Senders[SenderKey{Account: a, Channel: ChannelEmail, Name: name}]; x != nil && x.Approved {
			return x
		}
	}
	return nil
}

// Suppression keeps mail of an account away from an address that does not exist or is closed. It says nothing about what the
// person wants: it is no opt-out, and İYS is not told.
type Suppression struct {
	Account AccountID `json:"account"`
	Address string    `json:"address"`
	Class   string    `json:"class"` // of package bounce: address, mailbox, full; manual
	Text    string    `json:"text,omitempty"`
	Message MessageID `json:"message,omitzero"` // that came back
	At      time.Time `json:"at"`
}

// MailReturn is news of a mail that had left: a bounce, or a notice of its delivery.
type MailReturn struct {
	Message MessageID
	State   State // StateUndelivered or StateDelivered
	Code    Code
	Err     string // diagnostic of the remote server, one line
	// Suppress, when set, goes into the same commit.
	Suppress *Suppression
}

// NoticeDue is a delivery status notification (RFC 3464) owed to who submitted a mail over SMTP.
type NoticeDue struct {
	Message   MessageID
	Batch     *Batch
	Recipient *Recipient
	State     State
	Code      Code
	Err       string
	Operator  string
	Relayed   bool // handed to a server that tells nothing further (RFC 3461 §6.2.7.2)
	Delayed   bool // not final: the message still waits here or at the next hop
	Full      bool // the message is kept for it, to be returned whole (RET=FULL)
	At        time.Time
}
