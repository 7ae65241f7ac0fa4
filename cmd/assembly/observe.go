package assembly

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/gateway/intake"
	"izinli/gateway/journal"
	"izinli/gateway/metrics"
	"izinli/gateway/operators"
	"izinli/gateway/smppclient"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/queue"
)

// openJournal opens the journal of message events the configuration asks for.
func (s *Server) openJournal() error {
	path := s.cfg.Log.Journal
	if path == "off" {
		return nil
	}
	if path == "" {
		path = filepath.Join(s.cfg.Data, "journal.log")
	}
	var err error
	if s.file, err = journal.OpenFile(path); err != nil {
		return err
	}
	s.Journal = journal.New(s.file, journal.Config{Log: s.log})
	return nil
}

func (s *Server) closeJournal() error {
	if s.Journal == nil {
		return nil
	}
	s.Journal.Close()
	return s.file.Close()
}

// reopenOnHangup lets a log rotation take the journal's file away.
func (s *Server) reopenOnHangup(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			if s.file == nil {
				continue
			}
			if err := s.file.Reopen(); err != nil {
				s.log.Error("journal not reopened", "err", err)
			}
		}
	}
}

func (s *Server) journalOrNil() dispatch.Journal {
	if s.Journal == nil {
		return nil
	}
	return s.Journal
}

// observers tells several.
type observers []intake.Observer

// Accepted implements intake.Observer.
func (o observers) Accepted(b *gateway.Batch, r *gateway.Result) {
	for _, x := range o {
		x.Accepted(b, r)
	}
}

func (s *Server) observer() intake.Observer {
	o := observers{s.Metrics, &s.flow}
	if s.Journal != nil {
		o = append(o, s.Journal)
	}
	return o
}

func (s *Server) noteInbound(in *gateway.Inbound) {
	if s.Journal != nil {
		s.Journal.Inbound(in)
	}
}

func (s *Server) noteOptOut(o *gateway.OptOut, took time.Duration) {
	s.Metrics.Silenced(took)
	if s.Journal != nil {
		s.Journal.OptOut(o)
	}
}

func (s *Server) noteReceipt(n store.ReceiptNote) {
	if n.Lag > 0 {
		s.Metrics.Receipt(n.Receipt.Operator, n.Lag)
	}
	if s.Journal != nil {
		s.Journal.Receipt(n.Message, n.Receipt.Operator, n.Receipt.ID, n.Receipt.State, n.Receipt.Err)
	}
}

// sources describe the parts to the monitors; they are asked only once the server is whole.
func (s *Server) sources() metrics.Sources {
	return metrics.Sources{
		Store:     func() store.Stats { return s.Store.Stats() },
		Queue:     func() queue.Snapshot { return s.Queue.Snapshot() },
		Binds:     func() []smppclient.BindSnapshot { return s.Operators.Snapshot() },
		Carriers:  func() []dispatch.CarrierState { return s.Dispatch.Carriers() },
		Operators: func() operators.Counts { return s.Operators.Counts() },
		Consent:   s.consentState,
		Outbox:    s.outboxState,
		Sessions:  s.sessions,
		Mail:      s.mailDoor,
		Journal: func() metrics.Journal {
			if s.Journal == nil {
				return metrics.Journal{}
			}
			return metrics.Journal{Written: s.Journal.Written(), Lost: s.Journal.Lost()}
		},
	}
}

func (s *Server) consentState() metrics.Consent {
	var c metrics.Consent
	c.Asked, c.AskFailed = s.Office.Counts()
	size := s.Mirror.Size()
	c.Records, c.Blocks = size.Consents, size.Blocks
	c.Brands = s.brandTrouble()
	now := time.Now()
	for _, b := range s.Store.Directory().Brands {
		for ch, mode := range map[iys.Channel]string{iys.ChannelSMS: b.SMS.Mode, iys.ChannelEmail: b.Email.Mode} {
			if mode != string(iys.ModePartner) {
				continue
			}
			f := metrics.Freshness{Brand: b.Code, Channel: string(ch)}
			if at := s.Mirror.PulledAt(b.Code, ch); at.IsZero() {
				f.Never = true
			} else {
				f.Age = now.Sub(at)
			}
			c.Fresh = append(c.Fresh, f)
		}
	}
	return c
}

// brandTrouble tells what monitors should wake somebody for.
func (s *Server) brandTrouble() (out []metrics.Brand) {
	states, err := s.Exchange.States(context.Background())
	if err != nil {
		s.log.Warn("state of the exchange with İYS not read", "err", err)
		return nil
	}
	records, err := s.Pushes.Records(0)
	if err != nil {
		s.log.Warn("push registrations not read", "err", err)
	}
	for _, st := range states {
		b := metrics.Brand{Code: st.Brand, Stale: st.Stale, Shut: st.Shut != nil}
		for _, p := range records {
			b.PushesFail = b.PushesFail || p.Brand == st.Brand && !p.Connected
		}
		if r, known, err := s.Links.RightsOf(st.Brand); err != nil {
			s.log.Warn("rights of a brand not read", "brand", st.Brand, "err", err)
		} else if known {
			b.RightsGone = len(r.Gone) > 0
		}
		out = append(out, b)
	}
	return out
}

func (s *Server) outboxState() (o metrics.Outbox, err error) {
	o.Open, o.Owed = s.Store.OutboxCounts()
	o.Late, o.Warning, err = s.Exchange.AgedCounts(context.Background(), time.Now())
	return o, err
}

func (s *Server) mailDoor() metrics.MailDoor {
	m, in := s.SMTP.Metrics(), s.Mail.Inbox.Counts()
	d := metrics.MailDoor{Open: m.Open, Connections: m.Connections, TurnedAway: m.TurnedAway, Accepted: m.Accepted, Logins: m.Logins,
		LoginFailures: m.LoginFailures, Inbox: map[string]uint64{"bounce": in.Bounces, "delivered": in.Delivered, "complaint": in.Complaints,
			"unsubscribe": in.Unsubscribes, "ignored": in.Ignored},
		Unwanted: s.Mail.Mailer.Unwanted(), Trouble: map[string]int{"block": 0, "auth": 0}}
	for _, x := range s.Mail.Mailer.Troubles() {
		d.Trouble[string(x.Class)]++
	}
	for r, n := range m.Refused {
		d.Refused = append(d.Refused, metrics.MailRefusals{Command: r.Command, Reply: r.Reply, Code: string(r.Code), Count: n})
	}
	return d
}

func (s *Server) sessions() metrics.Sessions {
	m := s.SMPP.Metrics()
	return metrics.Sessions{Connections: m.Conns, Binds: m.Binds, InFlight: m.InFlight, Submitted: m.Submitted, Refused: m.Refused,
		Throttled: m.Throttled, BindFailures: m.BindFailures, Delivered: m.Delivered, Undeliverable: m.Undeliverable, Panics: m.Panics}
}
