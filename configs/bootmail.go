package configs

// BootSmarthost is a next hop for mail: one server, or with Direct the mail exchangers of every recipient's domain.
type BootSmarthost struct {
	Name string `yaml:"name"`
	// Addr is host:port; empty with Direct.
	Addr   string `yaml:"addr"`
	Direct bool   `yaml:"direct"`
	// Rank and Weight: lower ranks first, the same rank shares by weight (default 1).
	Rank   int `yaml:"rank"`
	Weight int `yaml:"weight"`
	// TLS is verified (default), implicit, encrypted, opportunistic (default with Direct) or off.
	TLS string `yaml:"tls"`
	// ServerName is the name its certificate must have; default the host of Addr.
	ServerName string `yaml:"serverName"`
	// Username and Password log in, under TLS only.
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	// MaxConns (default 10, with Direct 100 over all sites), MaxPerConn (messages of one connection, default 100), PerSecond (0: no
	// limit).
	MaxConns   int `yaml:"maxConns"`
	MaxPerConn int `yaml:"maxPerConn"`
	PerSecond  int `yaml:"perSecond"`
	// Account is the name of the one account it is for; empty: any. Classes likewise.
	Account string   `yaml:"account"`
	Classes []string `yaml:"classes"`
}

// BootPeer is a mail server that may relay without logging in.
type BootPeer struct {
	Name string `yaml:"name"`
	// Credential is the id of the SMTP credential it stands for.
	Credential string `yaml:"credential"`
	// CIDRs and Certificates (SHA-256 of client certificates, hex) say who it is; one of them at least.
	CIDRs        []Network `yaml:"cidrs"`
	Certificates []string  `yaml:"certificates"`
	// TrustHeaders hears X-Message-Class and the like from it; with a certificate they always are.
	TrustHeaders bool `yaml:"trustHeaders"`
	// Normalise makes CRLF of bare CR and LF instead of refusing them.
	Normalise  bool `yaml:"normalise"`
	RequireTLS bool `yaml:"requireTls"`
	// MaxConns bounds its connections; default 100.
	MaxConns int `yaml:"maxConns"`
}

// BootDKIM is a key that signs mail of a domain.
type BootDKIM struct {
	Domain   string `yaml:"domain"`
	Selector string `yaml:"selector"`
	// Algorithm of a key that is made: rsa (default, 2048 bits), ed25519.
	Algorithm string `yaml:"algorithm"`
	// Private is a key in PEM to take along; without it one is made. The DNS record is printed at the first start.
	Private string `yaml:"private"`
}

// BootForm is a hosted consent form; it needs publicUrl. Its address is printed at the first start.
type BootForm struct {
	Brand string `yaml:"brand"`
	// Channel is sms or email.
	Channel   string `yaml:"channel"`
	TradeName string `yaml:"tradeName"`
	// Version of the texts; TextEN may be empty.
	Version string `yaml:"version"`
	TextTR  string `yaml:"textTr"`
	TextEN  string `yaml:"textEn"`
	// PrivacyURL is the information under KVKK.
	PrivacyURL string `yaml:"privacyUrl"`
	// From is the sender of the confirmation: an SMS title (default the brand's only one), a mail address.
	From string `yaml:"from"`
}
