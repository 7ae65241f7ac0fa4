package assembly

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"izinli/admin"
	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/account"
	"izinli/gateway/address"
	"izinli/gateway/consent"
	"izinli/gateway/customer"
	"izinli/gateway/desk"
	"izinli/gateway/httpapi"
	"izinli/gateway/inbound"
	"izinli/gateway/iyslink"
	"izinli/gateway/journal"
	"izinli/gateway/mailer"
	"izinli/gateway/metrics"
	"izinli/gateway/public"
	"izinli/gateway/quota"
	"izinli/gateway/smppserver"
	"izinli/gateway/smtpserver"
	"izinli/gateway/store"
	"izinli/gateway/unsubscribe"
	"izinli/gateway/webhook"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

// Server is a gateway with its doors open.
type Server struct {
	*Gateway
	Admin   *desk.Admin
	SMPP    *smppserver.Server
	API     *httpapi.API
	Hooks   *webhook.Sender
	Imports *customer.Imports
	Metrics *metrics.Metrics
	Journal *journal.Journal

	Panel  *admin.Panel
	SMTP   *smtpserver.Server
	Public *public.Server
	Tokens *unsubscribe.Tokens // of opt-out links

	hooks *customer.Webhooks
	quota *quota.Service
	peers peerBook
	flow  flow
	users sync.Mutex // of the panel's users, for the panel and the desk

	checkURL   func(string) error // of webhooks
	localLinks bool
	links      *unsubscribe.Links
	file       *journal.File

	cfg   *configs.Config
	log   *slog.Logger
	lis   []net.Listener
	doors []func(context.Context) error
	// Addrs are the addresses listened on, by the name of the listener in the configuration.
	Addrs map[string]string
}

// ServerOptions are what a program decides beyond the configuration.
type ServerOptions struct {
	PrivateWebhooks bool                  // webhooks may point at this machine and private networks (demo, tests)
	RequestAfter    time.Duration         // of iys/exchange; 0: İYS's 300 s
	IYSLimits       iysapi.Limits         // 0: İYS's own
	FormTap         func(to, text string) // told of the messages of consent forms, which in a demonstration reach no telephone
	LocalLinks      bool                  // without publicUrl, links lead to the public listener itself (demo, tests)
	Now             func() time.Time
	MailTLS         *tls.Config     // certificate of the mail listeners where the configuration names none (demo, tests)
	Resolver        mailer.Resolver // of mail exchangers; nil: the system's
	MXPort          string          // of mail exchangers; empty: 25
}

// NewServer assembles the gateway the configuration asks for and opens its listeners; nothing is answered before Run.
func NewServer(ctx context.Context, cfg *configs.Config, st *store.Store, log *slog.Logger, o ServerOptions) (*Server, error) {
	limits := o.IYSLimits
	if limits.PerSecond == 0 {
		limits.PerSecond = cfg.IYS.RequestsPerSecond
	}
	s := &Server{cfg: cfg, log: log, Addrs: map[string]string{}}
	s.Metrics = metrics.New(s.sources())
	if err := s.openJournal(); err != nil {
		return nil, err
	}
	sites, err := mailSites(cfg.Mail.Sites)
	if err != nil {
		return nil, err
	}
	cal, err := calendar(cfg.IYS.Holidays)
	if err != nil {
		return nil, err
	}
	s.Gateway, err = Build(ctx, st, Options{Journal: s.journalOrNil(), Observer: s.observer(), Inbound: s.noteInbound,
		OptOut: s.noteOptOut, Redis: cfg.Queue.Redis, QuietHours: cfg.QuietHours, FreshFor: time.Duration(cfg.IYS.Freshness),
		Confirm: inbound.DefaultConfirm, Log: log, Workers: cfg.Queue.Workers, OTPWorkers: cfg.Queue.OTPWorkers, MaxTasks: cfg.Queue.MaxTasks,
		DrainTimeout: time.Duration(cfg.Queue.DrainTimeout), OutboxEvery: time.Duration(cfg.IYS.PushEvery), AskTimeout: time.Duration(cfg.IYS.Timeout),
		IYSLimits: limits, Now: o.Now,
		PullEvery: time.Duration(cfg.IYS.PullEvery), RequestAfter: o.RequestAfter, Calendar: cal,
		Mail: MailOptions{Dir: filepath.Join(cfg.Data, "bodies"), Domain: s.mailDomain(), BounceDomain: cfg.Mail.BounceDomain,
			MaxSize: int64(cfg.Limits.Mail), Unsubscribe: s.unsubscribeURL, DelayNotice: time.Duration(cfg.Mail.DelayNotice), MXPort: o.MXPort, Resolver: o.Resolver,
			Sites: sites, Policies: filepath.Join(cfg.Data, "mta-sts.json")}})
	if err != nil {
		return nil, err
	}
	st.WatchReceipts(s.noteReceipt)
	if err := s.parts(ctx, o); err != nil {
		return nil, err
	}
	if err := s.listen(o.MailTLS); err != nil {
		return nil, errors.Join(err, s.closeListeners())
	}
	return s, nil
}

// calendar is the built-in one with the days of a file; nil for no file.
func calendar(path string) (*iys.Calendar, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("iys.holidays: %w", err)
	}
	cal, err := iys.DefaultCalendar().With(string(b))
	if err != nil {
		return nil, fmt.Errorf("iys.holidays: %s: %w", path, err)
	}
	return cal, nil
}

// parts makes the services around the gateway.
func (s *Server) parts(ctx context.Context, o ServerOptions) error {
	if err := s.makeLinks(o); err != nil {
		return err
	}
	guard := webhook.Guard{AllowPrivate: o.PrivateWebhooks}
	s.checkURL = guard.CheckURL
	s.Hooks = webhook.New(webhook.Config{Guard: guard, Log: s.log, Unseal: s.Store.Unseal}, s.Store, s.Store, s.Store)
	s.Store.WatchEvents(s.Hooks.Wake)
	s.hooks = customer.NewWebhooks(s.Store, guard.CheckURL)
	var err error
	s.quota = quota.New(s.Store, s.subscription, o.Now, s.log)
	s.Imports, err = customer.NewImports(ctx, customer.Config{Dir: filepath.Join(s.cfg.Data, "imports"), MaxSize: int64(s.cfg.Limits.Import), Log: s.log,
		Admit: s.quota.Admit,
		Final: func(err error) bool {
			return errors.Is(err, exchange.ErrMode) || iysapi.RetryOf(err) == iysapi.RetryOperator
		}},
		s.Store, s.Desk, s.ask)
	if err != nil {
		return err
	}
	s.Admin = desk.New(desk.Deps{Store: s.Store, Consents: s.Desk, Blacklist: blacklist{s.Store, s.Desk},
		IYS: iysOffice{s.Exchange, s.Pushes, s.Reconcile, s.Store, s.Links, s.Rights}, CheckURL: guard.CheckURL,
		PublicURL: s.PublicURL, Log: s.log,
		Verify: VerifyFunc(s.Store), Package: s.quota.Report, Audit: s.audit, Submitter: s.Intake, Lanes: lanes{s}, Totals: s.totals, Settings: s.settings, Replayed: s.Hooks.Retry,
		Users: s.Store, UsersLock: &s.users, PanelURL: s.panelURL})
	s.Rights.Watch(func(ctx context.Context, r iyslink.BrandRights) error {
		return s.Admin.NoteRights(desk.WithActor(ctx, "iys"), r)
	})
	if err := (lanes{s}).restore(); err != nil {
		return err
	}
	s.API = httpapi.New(httpapi.Config{TrustedProxies: proxies(s.cfg), MaxBody: int64(s.cfg.Limits.Body), MaxImport: int64(s.cfg.Limits.Import), IdleTimeout: time.Duration(s.cfg.Limits.IdleTimeout)},
		httpapi.Deps{Submitter: s.submitter(), ConsentDesk: s.Desk, Authenticator: s.Auth, Reader: s.Store, Steering: s.Steering(),
			Webhooks: s.hooks, Imports: s.Imports, Via: viaDoor{s.Admin}, Metrics: s.Metrics.Registerer(), Limits: s.Limits, CheckURL: guard.CheckURL, Normalize: normalize, Ready: s.Ready, Log: s.log})
	if err := s.openPublic(o); err != nil {
		return err
	}
	s.SMPP = smppserver.New(smppserver.Config{MaxConns: s.cfg.Limits.SMPPSessions, BindTimeout: time.Duration(s.cfg.Limits.BindTimeout)},
		smppserver.Deps{Auth: s.Auth, Submit: s.Intake, Steering: s.Steering(), Store: s.Store, Directory: s.Store.Directory,
			NewID: s.Intake.NewID, Allow: allow(s.Limits), Log: s.log})
	return nil
}

// ask puts İYS's answers into the words of an import.
func (s *Server) ask(ctx context.Context, brand string, ch iys.Channel, rt iys.RecipientType, addresses []string) ([]customer.Answer, error) {
	answers, err := s.Exchange.Ask(ctx, brand, ch, rt, addresses)
	out := make([]customer.Answer, len(answers))
	for i, a := range answers {
		out[i] = customer.Answer{Approved: a.Status == iys.StatusApproved, Err: a.Err}
	}
	return out, err
}

func allow(l *account.Limits) func(*gateway.Principal, int) bool {
	return func(p *gateway.Principal, n int) bool { return l.Allow(p, n) == 0 }
}

// normalize brings a filter into the stored form.
func normalize(addr string) string {
	if n, err := address.Parse(addr, address.Options{}); err == nil {
		return n.String()
	}
	if e, err := address.ParseMailbox(addr); err == nil {
		return string(e)
	}
	return addr
}

func proxies(cfg *configs.Config) (out []netip.Prefix) {
	for _, n := range cfg.TrustedProxies {
		out = append(out, n.Prefix)
	}
	return out
}

// Ready says what keeps the gateway from its work: acceptance goes on without a queue, so that is named but nothing stops.
func (s *Server) Ready() error {
	switch {
	case s.Store.Full():
		return errors.New("storage is short: nothing is accepted")
	case !s.Mirror.Ready():
		return errors.New("consents are being loaded")
	case s.Queue.Healthy() != nil:
		return fmt.Errorf("delivery waits: %w", s.Queue.Healthy())
	case !s.Operators.Up():
		return errors.New("delivery waits: no operator is bound")
	case !s.Mail.Mailer.Up():
		return errors.New("delivery of mail waits: no smarthost answers")
	}
	return nil
}

// listen opens every listener of the configuration that has somebody behind it.
func (s *Server) listen(mailTLS *tls.Config) error {
	webTLS, err := certificate(s.cfg.TLS.HTTP)
	if err != nil {
		return err
	}
	smppTLS, err := certificate(s.cfg.TLS.SMPP)
	if err != nil {
		return err
	}
	if err := s.open("api", s.cfg.Listen.API, webTLS, s.API.Serve); err != nil {
		return err
	}
	if err := s.openPanel(webTLS != nil); err != nil {
		return err
	}
	if err := s.open("panel", s.cfg.Listen.Panel, webTLS, s.Panel.Serve); err != nil {
		return err
	}
	if err := s.open("public", s.cfg.Listen.Public, webTLS, s.Public.Serve); err != nil {
		return err
	}
	if err := s.open("ops", s.cfg.Listen.Ops, nil, s.serveOps); err != nil {
		return err
	}
	if err := s.open("smpp", s.cfg.Listen.SMPP, nil, s.SMPP.Serve); err != nil {
		return err
	}
	if smppTLS != nil {
		if err := s.open("smppTls", s.cfg.Listen.SMPPTLS, smppTLS, s.SMPP.Serve); err != nil {
			return err
		}
	}
	if c, err := certificate(s.cfg.TLS.SMTP); err != nil {
		return err
	} else if c != nil {
		mailTLS = c
	}
	if err := s.openMail(mailTLS); err != nil {
		return err
	}
	return s.openSocket()
}

func (s *Server) open(name, addr string, conf *tls.Config, serve func(context.Context, net.Listener) error) error {
	if addr == "" {
		return nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen.%s: %w", name, err)
	}
	s.Addrs[name] = ln.Addr().String()
	if conf != nil {
		ln = tls.NewListener(ln, conf)
	}
	if n := s.cfg.Limits.HTTPConnections; (name == "api" || name == "public") && n > 0 {
		ln = netutil.LimitListener(ln, n)
	}
	s.lis = append(s.lis, ln)
	s.doors = append(s.doors, func(ctx context.Context) error { return serve(ctx, ln) })
	return nil
}

// openSocket opens the administration for this machine's owner of the data directory.
func (s *Server) openSocket() error {
	ln, err := desk.Listen(desk.SocketPath(s.cfg.Data))
	if err != nil {
		return err
	}
	s.lis = append(s.lis, ln)
	s.doors = append(s.doors, func(ctx context.Context) error { return desk.ServeSocket(ctx, ln, s.Admin, s.log) })
	return nil
}

func (s *Server) closeListeners() error {
	var errs error
	for _, l := range s.lis {
		errs = errors.Join(errs, l.Close())
	}
	return errs
}

func certificate(c configs.Certificate) (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		return &pair, err
	}
	if _, err := load(); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", c.Cert, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return load() }}, nil
}

// serveOps answers monitors.
func (s *Server) serveOps(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{Handler: s.Metrics.Handler(s.Ready), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Run serves until ctx ends and then stops in the order of flow. The store is the caller's to close afterwards.
func (s *Server) Run(ctx context.Context) error {
	doors := append(s.doors, s.Hooks.Run, func(ctx context.Context) error { s.Imports.Run(ctx); return nil },
		func(ctx context.Context) error { s.quota.Run(ctx); return nil }, s.reopenOnHangup, s.trim)
	tune(s.Mirror.Size().Bytes)
	err := s.Gateway.Run(ctx, doors...)
	return errors.Join(err, s.closeJournal())
}

// audit keeps the trail of the administration.
func (s *Server) audit(ctx context.Context, e desk.Entry) {
	if err := s.keepAudit(ctx, e); err != nil {
		s.log.Error("change of the administration not in the trail", "what", e.What, "target", e.Target, "err", err)
	}
}

// blacklist gives the desk the office's blacklist.
type blacklist struct {
	store *store.Store
	desk  *consent.Desk
}

func (b blacklist) Blacklist(ctx context.Context, a gateway.AccountID, cursor string, limit int) (out gateway.Page[desk.BlacklistEntry], err error) {
	page, err := b.store.Blacklist(ctx, a, cursor, limit)
	for _, x := range page.Items {
		out.Items = append(out.Items, entryOf(a, x))
	}
	out.Next = page.Next
	return out, err
}

func entryOf(a gateway.AccountID, x store.Blacklisted) desk.BlacklistEntry {
	return desk.BlacklistEntry{Account: a, Address: x.Address, Note: x.Note, At: x.At}
}

func (b blacklist) Blacklisted(ctx context.Context, a gateway.AccountID, address string) (*desk.BlacklistEntry, error) {
	x, ok, err := b.store.Blacklisted(ctx, a, address)
	if err != nil || !ok {
		return nil, err
	}
	e := entryOf(a, x)
	return &e, nil
}

func (b blacklist) PutBlacklist(ctx context.Context, e desk.BlacklistEntry) error {
	return b.desk.Blacklist(ctx, e.Account, e.Address, e.Note)
}

func (b blacklist) DeleteBlacklist(ctx context.Context, a gateway.AccountID, address string) error {
	return b.desk.Unblacklist(ctx, a, address)
}

// VerifyFunc is the store's verification in the words of the administration.
func VerifyFunc(st *store.Store) func(context.Context) (desk.Report, error) {
	return func(ctx context.Context) (desk.Report, error) {
		r, err := st.Verify(ctx)
		if err != nil {
			return desk.Report{}, err
		}
		return desk.Report(*r), nil
	}
}
