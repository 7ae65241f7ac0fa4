package configs

import (
	"net/netip"
	"time"
)

// Config is the configuration of one process.
type Config struct {
	// Data is the data directory: store, mail bodies, admin.sock. Default "data". Created with mode 0700 when missing.
	Data   string `yaml:"data"`
	Listen Listen `yaml:"listen"`
	TLS    TLS    `yaml:"tls"`
	// PublicURL is where recipients reach the public pages from outside; unsubscribe links begin with it. No default: without it
	// no such links are written. http or https, and a host alone: the pages stand at its root.
	PublicURL string `yaml:"publicUrl"`
	// PanelURL is where browsers reach the panel from outside; invitations begin with it, and with https the panel's cookies are marked
	// Secure although a proxy in front ends TLS. No default: what the browser asked for counts. http or https, and a host alone.
	PanelURL string `yaml:"panelUrl"`
	// TrustedProxies are the addresses or networks whose X-Forwarded-For is believed. Default: nobody's.
	TrustedProxies []Network `yaml:"trustedProxies"`
	// QuietHours holds commercial messages at night (21:00–08:00 Istanbul time; accounts can set their own). Default true; false
	// switches the rule off for every account and is meant for demonstrations.
	QuietHours bool      `yaml:"quietHours"`
	Store      Store     `yaml:"store"`
	Queue      Queue     `yaml:"queue"`
	Limits     Limits    `yaml:"limits"`
	Mail       Mail      `yaml:"mail"`
	IYS        IYS       `yaml:"iys"`
	Log        Log       `yaml:"log"`
	Bootstrap  Bootstrap `yaml:"bootstrap"`
}

// Listen holds the addresses listened on, host:port each, ":port" for every interface, "" to switch the listener off.
type Listen struct {
	// API is the HTTP API. Default ":8080".
	API string `yaml:"api"`
	// Panel is the administration in the browser. Default ":8081".
	Panel string `yaml:"panel"`
	// Public is for recipients and İYS: unsubscribe, short links, forms, push. Default ":8082".
	Public string `yaml:"public"`
	// Ops serves /healthz, /readyz and /metrics, unauthenticated. Default "127.0.0.1:8090".
	Ops string `yaml:"ops"`
	// SMPP is the SMPP server. Default ":2775".
	SMPP string `yaml:"smpp"`
	// SMPPTLS is SMPP over TLS; needs tls.smpp. Default ":3550".
	SMPPTLS string `yaml:"smppTls"`
	// SMTP is mail submission with STARTTLS. Default ":2525".
	SMTP string `yaml:"smtp"`
	// SMTPS is mail submission over TLS; needs tls.smtp. Default ":4650".
	SMTPS string `yaml:"smtps"`
	// Relay takes mail from known hosts and inbound replies. Default ":2526".
	Relay string `yaml:"relay"`
}

// TLS holds the certificates. Listeners that speak nothing but TLS stay closed without one; the start says so.
type TLS struct {
	// HTTP is for API, panel and public pages. Without it they speak plain HTTP, for a proxy in front.
	HTTP Certificate `yaml:"http"`
	// SMPP is for listen.smppTls.
	SMPP Certificate `yaml:"smpp"`
	// SMTP is for STARTTLS and listen.smtps.
	SMTP Certificate `yaml:"smtp"`
}

// Certificate is a pair of PEM files, read again when they change. Both or neither.
type Certificate struct {
	// Cert is the file with the certificate and its chain.
	Cert string `yaml:"cert"`
	// Key is the file with the private key.
	Key string `yaml:"key"`
}

// Mail names us among mail servers.
type Mail struct {
	// Domain is our name in greetings, Message-ID and notifications; its forward and reverse DNS should agree. Default "": the
	// machine's own name if it has a dot, else localhost.localdomain.
	Domain string `yaml:"domain"`
	// BounceDomain is where return paths and unsubscribe addresses live; its MX must lead to listen.relay. Default "": domain.
	BounceDomain string `yaml:"bounceDomain"`
	// SMSDomain turns mail to <number>@smsDomain into an SMS. Default "": sms.<domain>.
	SMSDomain string `yaml:"smsDomain"`
	// DelayNotice is how long a mail waits before its submitter is told, once, if he asked for it (NOTIFY=DELAY). Default 4h. 0 (never)
	// or 1m to 72h.
	DelayNotice Duration `yaml:"delayNotice"`
	// Sites is a file of rules for mail exchangers (connections, rates, pauses) in the form of gateway/mailer/sites.tsv, whose rules
	// follow those of the file. Read at the start. Default "": none.
	Sites string `yaml:"sites"`
}

// Store configures the store.
type Store struct {
	// KeyFile holds the store key (32 octets or 64 hex digits, mode 0600). Keep it outside the data directory, and back it up:
	// without it the data cannot be read. Default "izinli.key". IZINLI_STORE_KEY with the key itself wins over the file.
	KeyFile string `yaml:"keyFile"`
	// Reserve is the free space below which nothing more is accepted while outcomes and opt-outs go on. Default 0: the larger of
	// 1 GiB and 5 % of the file system. 0 or 64 MiB to 1 TiB.
	Reserve Size `yaml:"reserve"`
	// Retention is how long message and decision records are kept. Default 1098d (three years). 30d to 3660d.
	Retention Duration `yaml:"retention"`
	// Memory is for caches and write buffers. Default 192 MiB. 64 MiB to 64 GiB.
	Memory Size `yaml:"memory"`

	// Key is the store key from IZINLI_STORE_KEY; no file holds it.
	Key string `yaml:"-"`
}

// Queue configures the delivery queue.
type Queue struct {
	// Redis is the URL of a Redis: redis://, rediss:// (TLS), redis-socket://, redis-sentinel://, redis-cluster://. Default "":
	// the embedded queue, which loses nothing either, since the store is the truth.
	Redis string `yaml:"redis"`
	// MaxTasks bounds the tasks of a lane in the queue. Default 0: 1000, embedded 200. 0 to 10000.
	MaxTasks int `yaml:"maxTasks"`
	// OTPWorkers is how many one-time passwords are handed off at once. Default 64. 1 to 4096.
	OTPWorkers int `yaml:"otpWorkers"`
	// Workers is how many chunks of other messages are handed off at once. Default 160. 4 to 4096.
	Workers int `yaml:"workers"`
	// DrainTimeout is how long a stopping process lets hand-offs finish. Default 20s. 1s to 10m.
	DrainTimeout Duration `yaml:"drainTimeout"`
}

// Limits bounds what callers can ask for.
type Limits struct {
	// Body is the largest body of POST /v1/messages; those of other requests are fixed (POST /v1/consents 4 MiB, others 64 KiB).
	// Default 16 MiB. 64 KiB to 256 MiB.
	Body Size `yaml:"body"`
	// Import is the largest consent file. Default 512 MiB. 1 MiB to 16 GiB.
	Import Size `yaml:"import"`
	// Mail is the largest mail. Default 25 MiB. 64 KiB to 256 MiB.
	Mail Size `yaml:"mail"`
	// HTTPConnections bounds what is open at once to listen.api and, as many again, to listen.public; SMPPSessions and SMTPSessions bound
	// theirs. Defaults 4096, 1024, 1024. 1 to 100000.
	HTTPConnections int `yaml:"httpConnections"`
	SMPPSessions    int `yaml:"smppSessions"`
	SMTPSessions    int `yaml:"smtpSessions"`
	// SMTPPerAddress and SMTPPerAccount bound the mail connections of one address (an IPv6 /64; peers have their own) and the sessions of
	// one account. Defaults 20, 100. 1 to 100000.
	SMTPPerAddress int `yaml:"smtpPerAddress"`
	SMTPPerAccount int `yaml:"smtpPerAccount"`
	// SMTPRecipients bounds a mail, SMTPMessages a connection. Defaults 1000, 10000. 100 (RFC 5321 §4.5.3.1.8) to 10000; 1 to 1000000.
	SMTPRecipients int `yaml:"smtpRecipients"`
	SMTPMessages   int `yaml:"smtpMessages"`
	// SMTPRefused bounds the recipients that are refused: of a mail (the rest is told 452 4.5.3), and of a connection that has more of
	// them than others (421). Default 100, 10 to 10000.
	SMTPRefused int `yaml:"smtpRefused"`
	// BindTimeout is how long an SMPP connection may take to bind. Default 10s. 1s to 5m.
	BindTimeout Duration `yaml:"bindTimeout"`
	// IdleTimeout ends silent connections to the HTTP API and to the mail listeners. Default 5m, the least RFC 5321 §4.5.3.2.7 asks of
	// mail servers. 10s to 1h.
	IdleTimeout Duration `yaml:"idleTimeout"`
}

// IYS configures the traffic with İYS. Which account uses which API user is an İYS link in the store.
type IYS struct {
	// BaseURL is copied into links that the command line and bootstrap make without one; a running server does not look at it.
	// Default "https://api.iys.org.tr".
	BaseURL string `yaml:"baseUrl"`
	// RequestsPerSecond bounds calls of this process to İYS. Default 10, which is also what İYS allows. 1 to 10.
	RequestsPerSecond int `yaml:"requestsPerSecond"`
	// PullEvery is the time between two pulls of a brand's changes. Default 15m. 1m to 3h.
	PullEvery Duration `yaml:"pullEvery"`
	// PushEvery is the time between two looks at the outbox when nothing wakes it. Default 10s. 1s to 10m.
	PushEvery Duration `yaml:"pushEvery"`
	// Freshness is how old the last complete pull may be for the local copy to be believed; older means asking live. Default 3h.
	// 10m to 24h, and not below pullEvery.
	Freshness Duration `yaml:"freshness"`
	// Timeout bounds a question about recipients before a message leaves; other calls have bounds of their own (package iysapi).
	// Default 10s. 1s to 1m.
	Timeout Duration `yaml:"timeout"`
	// Holidays is a file of official holidays beside the built-in ones (which reach to 2032), by which deadlines in business days are
	// counted: one "YYYY-MM-DD,name" a line, *-MM-DD for every year. It is read at the start. Default "": the built-in ones alone.
	Holidays string `yaml:"holidays"`
}

// Log configures logging, which goes to standard error.
type Log struct {
	// Level is debug, info, warn or error. Default info.
	Level string `yaml:"level"`
	// Format is text or json. Default text.
	Format string `yaml:"format"`
	// Journal is the file of message events, one line each with masked addresses; SIGHUP opens it anew. Default "": journal.log in
	// the data directory. "off": none.
	Journal string `yaml:"journal"`
}

// Network is an address or a network in CIDR form.
type Network struct{ netip.Prefix }

// UnmarshalText reads 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32.
func (n *Network) UnmarshalText(b []byte) (err error) {
	if a, err := netip.ParseAddr(string(b)); err == nil {
		n.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	n.Prefix, err = netip.ParsePrefix(string(b))
	n.Prefix = n.Masked()
	return err
}

// Default returns the configuration of a process that is told nothing.
func Default() Config {
	return Config{
		Data: "data", QuietHours: true,
		Listen: Listen{
			API: ":8080", Panel: ":8081", Public: ":8082", Ops: "127.0.0.1:8090",
			SMPP: ":2775", SMPPTLS: ":3550", SMTP: ":2525", SMTPS: ":4650", Relay: ":2526",
		},
		Store: Store{KeyFile: "izinli.key", Retention: days(1098), Memory: 192 << 20},
		Queue: Queue{OTPWorkers: 64, Workers: 160, DrainTimeout: Duration(20 * time.Second)},
		Limits: Limits{
			Body: 16 << 20, Import: 512 << 20, Mail: 25 << 20, HTTPConnections: 4096, SMPPSessions: 1024, SMTPSessions: 1024,
			SMTPPerAddress: 20, SMTPPerAccount: 100, SMTPRecipients: 1000, SMTPMessages: 10_000, SMTPRefused: 100,
			BindTimeout: Duration(10 * time.Second), IdleTimeout: Duration(5 * time.Minute),
		},
		Mail: Mail{DelayNotice: Duration(4 * time.Hour)},
		IYS: IYS{
			BaseURL: "https://api.iys.org.tr", RequestsPerSecond: 10, PullEvery: Duration(15 * time.Minute),
			PushEvery: Duration(10 * time.Second), Freshness: Duration(3 * time.Hour), Timeout: Duration(10 * time.Second),
		},
		Log: Log{Level: "info", Format: "text"},
	}
}

func days(n int) Duration { return Duration(time.Duration(n) * 24 * time.Hour) }
