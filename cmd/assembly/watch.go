package assembly

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/iyslink"
	"izinli/iys"
	"izinli/queue"
)

// lanes gives the desk the queue. Which lanes are paused stands in the store, so that a restart does not set them going.
type lanes struct{ s *Server }

const pausedLanesName = "queue/paused-lanes"

// Lanes implements desk.Lanes.
func (l lanes) Lanes() (out []desk.LaneView) {
	for _, x := range l.s.Queue.Snapshot().Lanes {
		out = append(out, laneView(&x))
	}
	return out
}

func laneView(x *queue.LaneStats) desk.LaneView {
	return desk.LaneView{Lane: x.Lane.String(), Paused: x.Held, Waiting: x.Waiting + x.Outstanding - x.Running + x.Buffered, Running: x.Running, Oldest: x.Oldest,
		Resting: x.Paused, Done: x.Messages, Failed: x.Failed, Lost: x.Requeued}
}

// PauseLane implements desk.Lanes.
func (l lanes) PauseLane(_ context.Context, lane gateway.Lane, paused bool) error {
	var names []string
	for _, x := range l.s.Queue.Snapshot().Lanes {
		if x.Lane == lane && paused || x.Lane != lane && x.Held {
			names = append(names, x.Lane.String())
		}
	}
	v, err := json.Marshal(names)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		v = nil
	}
	if err := l.s.Store.PutNamed(pausedLanesName, v); err != nil {
		return err
	}
	l.s.Queue.Hold(lane, paused)
	return nil
}

// restore holds the lanes that were paused when the process ended.
func (l lanes) restore() error {
	v, ok, err := l.s.Store.Named(pausedLanesName)
	if err != nil || !ok {
		return err
	}
	var names []string
	if err := json.Unmarshal(v, &names); err != nil {
		return fmt.Errorf("paused lanes: %w", err)
	}
	for lane := range gateway.Lane(gateway.Lanes) {
		for _, n := range names {
			if n == lane.String() {
				l.s.Queue.Hold(lane, true)
				l.s.log.Warn("lane is paused since before the start", "lane", n)
			}
		}
	}
	return nil
}

// countTime bounds the counting of a brand's consents.
const countTime = time.Minute

// totals counts a brand's consents here and asks İYS for its count.
func (s *Server) totals(ctx context.Context, brand string) (desk.BrandTotals, error) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	out := desk.BrandTotals{At: time.Now()}
	counts, err := s.Store.ConsentTotals(ctx, brand)
	if err != nil {
		return out, err
	}
	for _, ch := range []iys.Channel{iys.ChannelSMS, iys.ChannelEmail, iys.ChannelCall} {
		c := counts[ch]
		if len(c) == 0 && ch == iys.ChannelCall {
			continue
		}
		out.Here = append(out.Here, desk.ChannelTotals{Channel: string(ch), ConsentTotals: desk.ConsentTotals{Approved: c[iys.StatusApproved], Rejected: c[iys.StatusRejected]}})
	}
	info, err := s.Links.Totals(ctx, brand)
	switch {
	case err == nil:
		out.IYS = &desk.ConsentTotals{Approved: info.Approved, Rejected: info.Rejected}
	case !errors.Is(err, iyslink.ErrNoTotals):
		out.IYSError = err.Error()
	}
	return out, nil
}

// settings lists the configuration without its secrets.
func (s *Server) settings() (out []desk.Setting) {
	for line := range strings.Lines(s.cfg.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		out = append(out, desk.Setting{Name: name, Value: strings.Trim(value, `"`)})
	}
	return out
}
