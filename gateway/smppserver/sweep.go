package smppserver

import (
	"context"
	"time"

	"izinli/gateway"
)

// sweepLoop looks after what no client is waiting for: parts, and sessions
// whose credential was withdrawn.
func (s *Server) sweepLoop(ctx context.Context) {
	s.unfinished.Store(true) // a crash may have left complete sets
	s.sweep(ctx)
	t := time.NewTicker(s.cfg.PartsSweep)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.expel()
			s.sweep(ctx)
		}
	}
}

// sweep submits complete sets that were left behind and gives up those that
// have waited too long. Sets are looked at twice: what the first look found is
// taken out of the hands of live parts, and only what the second still finds
// is acted upon, so that nothing is submitted a second time.
func (s *Server) sweep(ctx context.Context) {
	now := s.cfg.Now()
	overdue := now.Add(-s.cfg.PartsTTL)
	before := overdue
	if s.unfinished.Swap(false) {
		before = now
	}
	sets, err := s.deps.Store.OpenParts(ctx, before)
	if err != nil {
		s.unfinished.Store(true)
		s.log.Error("open parts could not be read", "err", err)
		return
	}
	taken := map[gateway.PartSet]func(){}
	defer func() {
		for _, release := range taken {
			release()
		}
	}()
	for _, all := range sets {
		if !whole(all) && !oldest(all).Before(overdue) {
			continue
		}
		if release, ok := s.sets.alone(all[0].Set); ok {
			taken[all[0].Set] = release
		} else {
			s.unfinished.Store(true)
		}
	}
	if len(taken) == 0 {
		return
	}
	if sets, err = s.deps.Store.OpenParts(ctx, before); err != nil {
		s.unfinished.Store(true)
		s.log.Error("open parts could not be read", "err", err)
		return
	}
	for _, all := range sets {
		if release, ok := taken[all[0].Set]; ok {
			s.settle(ctx, all)
			release()
			delete(taken, all[0].Set)
		}
	}
}

// settle ends one set that nobody else touches.
func (s *Server) settle(ctx context.Context, all []gateway.Part) {
	if !whole(all) {
		s.failParts(ctx, all, gateway.CodePartsIncomplete, "")
		return
	}
	p := s.principalOf(all[0].System, all[0].Set.Account)
	if p == nil {
		s.failParts(ctx, all, gateway.CodeUnauthorized, "")
		return
	}
	_ = s.complete(ctx, p, all, "") // receipts tell
}

func whole(all []gateway.Part) bool { return len(all) == int(all[0].Set.Total) }

func oldest(all []gateway.Part) time.Time {
	t := all[0].At
	for i := range all {
		if all[i].At.Before(t) {
			t = all[i].At
		}
	}
	return t
}

// principalOf is the caller behind a system_id as the directory has it now;
// nil if it may no longer submit for the account.
func (s *Server) principalOf(system string, a gateway.AccountID) *gateway.Principal {
	d := s.deps.Directory()
	cred := d.Credentials[gateway.CredentialKey{Kind: gateway.KindSMPP, ID: system}]
	if cred == nil || cred.Revoked || cred.Account != a {
		return nil
	}
	if acc := d.Accounts[a]; acc == nil || acc.Suspended {
		return nil
	}
	p := &gateway.Principal{Account: a, Credential: *cred}
	p.Credential.SecretHash = "" // no business of a session's
	return p
}
