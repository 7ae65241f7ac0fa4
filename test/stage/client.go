package stage

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
)

// Client is a customer bound over SMPP: it submits and acknowledges what is delivered to it.
type Client struct {
	tb testing.TB
	c  *smppclient.Client
	*mailbox
}

// mailbox is what was delivered to a customer.
type mailbox struct {
	mu       sync.Mutex
	receipts map[string][]smpp.Receipt // by message id
	inbound  []smpp.DeliverSM
}

// On is the client for a subtest, which it fails instead.
func (c *Client) On(tb testing.TB) *Client { return &Client{tb, c.c, c.mailbox} }

// Bind binds the playground's SMPP credential.
func (s *Stage) Bind(change ...func(*smppclient.Config)) *Client {
	s.tb.Helper()
	cfg := smppclient.Config{Name: "customer", Addr: s.Server.Addrs["smpp"], SystemID: s.Seeds.SystemID, Password: s.Seeds.Password, Window: 50,
		Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&cfg)
	}
	c := &Client{tb: s.tb, mailbox: &mailbox{receipts: map[string][]smpp.Receipt{}}}
	var err error
	if c.c, err = smppclient.New(cfg, c.mailbox); err != nil {
		s.tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(s.tb.Context()))
	done := make(chan error, 1)
	go func() { done <- c.c.Run(ctx) }()
	s.tb.Cleanup(func() {
		stop()
		<-done
	})
	Until(s.tb, "the customer to be bound", func() error {
		for _, b := range c.c.Snapshot() {
			if b.State != smppclient.Bound {
				return fmt.Errorf("bind %d is %s: %v", b.Bind, b.State, b.LastErr)
			}
		}
		return nil
	})
	return c
}

// Deliver implements smppclient.Handler.
func (c *mailbox) Deliver(_ context.Context, d smppclient.Delivery, ack func(smpp.CommandStatus)) {
	c.mu.Lock()
	if d.Kind == smppclient.Receipt {
		c.receipts[d.ReceiptID] = append(c.receipts[d.ReceiptID], d.Receipt)
	} else {
		c.inbound = append(c.inbound, d.Message)
	}
	c.mu.Unlock()
	ack(smpp.StatusOK)
}

// Submit submits the parts of one message and returns the answer to the first.
func (c *Client) Submit(parts ...smpp.SubmitSM) smppclient.Outcome {
	c.tb.Helper()
	var room smppclient.Reservation
	Until(c.tb, "room in the window", func() error {
		var ok bool
		if room, ok = c.c.TryReserve(len(parts), smppclient.OTP); !ok {
			return fmt.Errorf("binds %+v", c.c.Snapshot())
		}
		return nil
	})
	type answer struct {
		seg int
		o   smppclient.Outcome
	}
	answers := make(chan answer, len(parts))
	if err := room.Commit(parts, func(seg int, o smppclient.Outcome) { answers <- answer{seg, o} }); err != nil {
		c.tb.Fatalf("submit: %v", err)
	}
	var first smppclient.Outcome
	for range parts {
		a := <-answers
		if a.o.Err != nil {
			c.tb.Fatalf("submit: no answer: %v", a.o.Err)
		}
		if a.seg == 0 {
			first = a.o
		}
	}
	return first
}

// MustSubmit is Submit of what has to be taken.
func (c *Client) MustSubmit(parts ...smpp.SubmitSM) gateway.MessageID {
	c.tb.Helper()
	o := c.Submit(parts...)
	if o.Status != smpp.StatusOK {
		c.tb.Fatalf("submit_sm_resp %s, want ESME_ROK", o.Status)
	}
	id, err := gateway.ParseMessageID(o.MessageID)
	if err != nil {
		c.tb.Fatalf("message_id %q: %v", o.MessageID, err)
	}
	return id
}

// Receipt waits for the receipt of a message.
func (c *Client) Receipt(id gateway.MessageID) smpp.Receipt {
	c.tb.Helper()
	var r smpp.Receipt
	Until(c.tb, "the receipt of "+id.String(), func() error {
		if all := c.Receipts(id); len(all) > 0 {
			r = all[0]
			return nil
		}
		return fmt.Errorf("none has come")
	})
	return r
}

// Receipts are those that have come for a message.
func (c *mailbox) Receipts(id gateway.MessageID) []smpp.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.receipts[id.String()])
}

// Inbound are the messages of handsets delivered so far.
func (c *mailbox) Inbound() []smpp.DeliverSM {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.inbound)
}

// Text is a submit_sm of a plain text that asks for a receipt. to is in international form with plus.
func Text(from, to, text string) smpp.SubmitSM {
	p := smppclient.DefaultProfile()
	return smpp.SubmitSM{Source: p.Source(from), Dest: p.Dest(to), RegisteredDelivery: smpp.ReceiptAlways, ShortMessage: []byte(text)}
}
