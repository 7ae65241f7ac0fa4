package stage

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/smpptest"
)

// Stage is a gateway with the world around it.
type Stage struct {
	*assembly.Playground
	Config *configs.Config
	API    *API // a customer with the playground's key

	tb     testing.TB
	cancel context.CancelFunc
	done   chan error
}

// Option changes the setting before anything is built.
type Option func(*configs.Config, *assembly.PlaygroundOptions)

// WithOperator sets the operator; Record is on, unless there is a Tap.
func WithOperator(c smpptest.Config) Option {
	return func(_ *configs.Config, o *assembly.PlaygroundOptions) { o.Operator = c }
}

// WithConfig changes the configuration of the process.
func WithConfig(change func(*configs.Config)) Option {
	return func(c *configs.Config, _ *assembly.PlaygroundOptions) { change(c) }
}

// WithClock replaces the gateway's clock.
func WithClock(now func() time.Time) Option {
	return func(_ *configs.Config, o *assembly.PlaygroundOptions) { o.Server.Now = now }
}

// Defaults is the setting of a scenario that asks for nothing: an İYS that answers at once, an operator that reports delivery
// at once and remembers what it got.
func Defaults() assembly.PlaygroundOptions {
	return assembly.PlaygroundOptions{
		Operator: smpptest.Config{Receipts: smpptest.Receipts{Delay: time.Millisecond}},
		IYS:      assembly.FastIYS(),
		Server:   assembly.ServerOptions{IYSLimits: assembly.FastLimits(), RequestAfter: 50 * time.Millisecond},
	}
}

// New builds a stage; Run raises the curtain. What the people of a scenario told İYS long ago belongs in between.
func New(tb testing.TB, opts ...Option) *Stage {
	tb.Helper()
	cfg := assembly.PlaygroundConfig(tb.TempDir())
	o := Defaults()
	for _, opt := range opts {
		opt(cfg, &o)
	}
	if o.IYS.Push.Timeout == 0 {
		o.IYS.Push.Timeout = Patience
	}
	o.Operator.Record = o.Operator.Tap == nil // who taps it remembers by himself
	o.Log = slog.New(slog.NewTextHandler(logWriter{tb}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	p, err := assembly.NewPlayground(tb.Context(), cfg, o)
	if err != nil {
		tb.Fatal(err)
	}
	s := &Stage{Playground: p, Config: cfg, tb: tb}
	s.API = NewAPI(tb, p.Server.Addrs["api"], p.Seeds.APIKey)
	tb.Cleanup(s.close)
	return s
}

// TB is the test the stage plays in.
func (s *Stage) TB() testing.TB { return s.tb }

// On is the stage for a subtest, which it fails instead.
func (s *Stage) On(tb testing.TB) *Stage {
	sub := *s
	sub.tb = tb
	return &sub
}

// logWriter brings warnings of the gateway into the test's output.
type logWriter struct{ tb testing.TB }

func (w logWriter) Write(b []byte) (int, error) {
	w.tb.Logf("gateway: %s", b)
	return len(b), nil
}

// Run opens the doors and waits until the gateway is ready and has read what İYS knew before.
func (s *Stage) Run() {
	s.tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.tb.Context()))
	s.cancel, s.done = cancel, make(chan error, 1)
	go func() { s.done <- s.Server.Run(ctx) }()
	Until(s.tb, "the gateway to be ready", s.Server.Ready)
	Until(s.tb, "the first pull from İYS", func() error {
		if s.Server.Mirror.PulledAt(s.Seeds.Brand, "MESAJ").IsZero() {
			return fmt.Errorf("brand %s has not been pulled", s.Seeds.Brand)
		}
		return nil
	})
}

// Stop ends the gateway in order; the store stays open. The world around it goes on.
func (s *Stage) Stop() {
	s.tb.Helper()
	if s.cancel == nil {
		return
	}
	s.cancel()
	if err := <-s.done; err != nil {
		s.tb.Errorf("the gateway ended with %v", err)
	}
	s.cancel = nil
}

// Leave ends the gateway and gives its store up to another process; operator and İYS go on.
func (s *Stage) Leave() {
	s.tb.Helper()
	s.Stop()
	if err := s.Store.Close(); err != nil {
		s.tb.Fatal(err)
	}
	s.Store = nil
}

// close ends everything and proves that the store is whole.
func (s *Stage) close() {
	s.Stop()
	if s.Store != nil {
		VerifyStore(s.tb, s.Store)
	}
	if err := s.Playground.Close(); err != nil {
		s.tb.Errorf("close: %v", err)
	}
}

// Brand adds a brand with a sender of its own; its code and the sender's name are those given.
func (s *Stage) Brand(code, sender string, mode gateway.BrandMode) {
	s.tb.Helper()
	ctx := s.tb.Context()
	_, err := s.Server.Admin.PutBrand(ctx, gateway.Brand{Code: code, Account: s.Seeds.Account, Name: "Marka " + code, Short: sender, SMS: mode})
	if err == nil {
		_, err = s.Server.Admin.PutSender(ctx, gateway.Sender{Name: sender, Account: s.Seeds.Account, Channel: gateway.ChannelSMS, Brand: code,
			Approved: true})
	}
	if err != nil {
		s.tb.Fatal(err)
	}
}

// Credits is the balance of the playground's account.
func (s *Stage) Credits() int64 {
	s.tb.Helper()
	b, err := s.Store.Balance(s.tb.Context(), s.Seeds.Account)
	if err != nil {
		s.tb.Fatal(err)
	}
	return b.Credits
}

// Stored is how many messages the store holds.
func (s *Stage) Stored() int {
	s.tb.Helper()
	r, err := s.Store.Verify(s.tb.Context())
	if err != nil {
		s.tb.Fatal(err)
	}
	return r.Messages
}

// Message reads one message.
func (s *Stage) Message(id gateway.MessageID) gateway.MessageView {
	s.tb.Helper()
	m, err := s.Store.Message(context.WithoutCancel(s.tb.Context()), id.Account, id)
	if err != nil {
		s.tb.Fatalf("message %s: %v", id, err)
	}
	return m
}

// Await waits until the message stands in the state.
func (s *Stage) Await(id gateway.MessageID, want gateway.State) gateway.MessageView {
	s.tb.Helper()
	var m gateway.MessageView
	Until(s.tb, "message "+id.String()+" to be "+want.String(), func() error {
		if m = s.Message(id); m.State == want {
			return nil
		}
		if m.State.Final() && m.State != gateway.StateUnknown {
			s.tb.Fatalf("message %s is %s (%s), want %s", id, m.State, m.Code, want)
		}
		return fmt.Errorf("it is %s (%s)", m.State, m.Code)
	})
	return m
}

// Final waits until the message is final.
func (s *Stage) Final(id gateway.MessageID) gateway.MessageView {
	s.tb.Helper()
	var m gateway.MessageView
	Until(s.tb, "message "+id.String()+" to be final", func() error {
		if m = s.Message(id); m.State.Final() {
			return nil
		}
		return fmt.Errorf("it is %s (%s)", m.State, m.Code)
	})
	return m
}

// Decisions are the decisions about a message, newest first.
func (s *Stage) Decisions(id gateway.MessageID) []gateway.DecisionView {
	s.tb.Helper()
	ds, err := s.Store.Decisions(s.tb.Context(), id.Account, id)
	if err != nil {
		s.tb.Fatalf("decisions of %s: %v", id, err)
	}
	return ds
}

// Reached are the short messages the operator took for the number.
func (s *Stage) Reached(number string) []smpptest.Record {
	var out []smpptest.Record
	for _, r := range s.Operator.Submits() {
		if "+"+string(r.Submit.Dest.Addr) == number {
			out = append(out, r)
		}
	}
	return out
}
