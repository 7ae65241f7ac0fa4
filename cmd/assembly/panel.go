package assembly

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"time"

	"izinli/admin"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smppclient"
	"izinli/iys"
)

// openPanel makes the panel; it is listened for like the other doors. tls says that the listener itself speaks TLS; where a proxy in
// front does, panelUrl tells.
func (s *Server) openPanel(tls bool) error {
	var err error
	secure := tls || strings.HasPrefix(s.cfg.PanelURL, "https://")
	s.Panel, err = admin.New(admin.Config{URL: s.cfg.PanelURL, Secure: secure, TrustedProxies: proxies(s.cfg), MaxImport: int64(s.cfg.Limits.Import)}, admin.Deps{
		Desk: s.Admin, Users: s.Store, Audits: s.Store.Audits, Audit: s.keepAudit, Live: s.live, Imports: s.Imports, Webhooks: s.hooks,
		Inbound: s.Store.NewestInbound, Batches: s.Store.Batches, Log: s.log, UsersLock: &s.users,
	})
	return err
}

// keepAudit writes one entry of the administration's trail.
func (s *Server) keepAudit(ctx context.Context, e desk.Entry) error {
	v, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.Store.PutAudit(ctx, v)
}

// flow counts messages for the dashboard.
type flow struct{ accepted atomic.Uint64 }

// Accepted implements intake.Observer.
func (f *flow) Accepted(_ *gateway.Batch, r *gateway.Result) { f.accepted.Add(uint64(r.Accepted)) }

// live looks at the gateway for the dashboard.
func (s *Server) live(context.Context) admin.Snapshot {
	now := time.Now()
	out := admin.Snapshot{At: now, Accepted: s.flow.accepted.Load(), Queue: admin.QueueState{Up: true, Embedded: s.Queue.Embedded()}}
	if err := s.Ready(); err != nil {
		out.Ready = err.Error()
	}
	s.liveFinals(&out)
	q := s.Queue.Snapshot()
	if q.Err != nil {
		out.Queue.Up, out.Queue.Error = false, q.Err.Error()
	}
	for _, l := range q.Lanes {
		out.Lanes = append(out.Lanes, admin.LaneState{Lane: l.Lane, Waiting: l.Waiting + l.Outstanding, Running: l.Running, Oldest: l.Oldest, Paused: l.Held})
	}
	s.liveOperators(&out)
	s.liveBrands(&out)
	if o, err := s.outboxState(); err == nil {
		out.Outbox = admin.OutboxState{Open: o.Open, Owed: o.Owed, Warning: o.Warning, Late: o.Late}
	}
	for _, x := range s.Mail.Mailer.Troubles() {
		out.Unwanted = append(out.Unwanted, admin.UnwantedMail{Domain: x.Domain, Class: string(x.Class), Reply: x.Reply, Count: int(x.Count)})
	}
	out.Storage.Full = s.Store.Full()
	out.Storage.Free, out.Storage.Reserve = s.Store.Space()
	return out
}

func (s *Server) liveFinals(out *admin.Snapshot) {
	for _, f := range s.Store.Stats().Finals {
		switch f.State {
		case gateway.StateDelivered:
			out.Delivered += f.Count
		case gateway.StateDropped:
			out.Dropped += f.Count
		case gateway.StateUndelivered, gateway.StateRejected, gateway.StateExpired, gateway.StateFailed:
			out.Failed += f.Count
		}
	}
}

func (s *Server) liveOperators(out *admin.Snapshot) {
	buckets := make([]admin.LatencyBucket, len(smppclient.LatencyBounds)+1)
	for i, d := range smppclient.LatencyBounds {
		buckets[i].Upto = d
	}
	for _, b := range s.Operators.Snapshot() {
		o := admin.OperatorState{Operator: b.Operator, Bind: b.Bind, State: b.State.String(), Up: b.State == smppclient.Bound, Since: b.Since,
			Window: b.Window, InUse: b.Link.InFlight, ThrottledUntil: b.ThrottledUntil, Sent: b.Accepted, Refused: b.Refused}
		if b.LastErr != nil {
			o.LastError = b.LastErr.Error()
		}
		out.Operators = append(out.Operators, o)
		out.HandedOff += b.Submitted
		for i, n := range b.Latency {
			buckets[i].Count += n
		}
	}
	out.Latency = buckets
}

func (s *Server) liveBrands(out *admin.Snapshot) {
	for _, b := range s.Store.Directory().Brands {
		for _, c := range []struct {
			name string
			ch   iys.Channel
			mode gateway.BrandMode
		}{{gateway.ChannelSMS, iys.ChannelSMS, b.SMS}, {gateway.ChannelEmail, iys.ChannelEmail, b.Email}} {
			if c.mode.Mode == "" {
				continue
			}
			out.Brands = append(out.Brands, admin.BrandState{Account: b.Account, Brand: b.Code, Name: b.Name, Channel: c.name, Mode: c.mode.Mode,
				PulledAt: s.Mirror.PulledAt(b.Code, c.ch), FreshFor: time.Duration(s.cfg.IYS.Freshness)})
		}
	}
}

// SetupURL is where the first administrator of the panel is made; empty when there is one, or no panel.
func (s *Server) SetupURL(ctx context.Context) (string, error) {
	if s.Panel == nil || s.panelURL() == "" {
		return "", nil
	}
	path, err := s.Panel.SetupLink(ctx)
	if err != nil || path == "" {
		return "", err
	}
	return s.panelURL() + path, nil
}

// panelURL is where browsers reach the panel: what panelUrl says, else the listener itself. It is empty when nobody listens.
func (s *Server) panelURL() string {
	if s.Addrs["panel"] == "" {
		return ""
	}
	return cmp.Or(s.cfg.PanelURL, s.localURL("panel"))
}
