package smppserver

import (
	"context"
	"slices"
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
	taken := map[gateway.PartSet]func(){} // by name
	defer func() {
		for _, release := range taken {
			release()
		}
	}()
	for _, all := range s.endedSets(ctx, before, overdue) {
		name := all[0].Set.Name()
		if taken[name] != nil {
			continue
		}
		if release, ok := s.sets.alone(name); ok {
			taken[name] = release
		} else {
			s.unfinished.Store(true)
		}
	}
	if len(taken) == 0 {
		return
	}
	sets := s.endedSets(ctx, before, overdue)
	sets = slices.DeleteFunc(sets, func(all []gateway.Part) bool { return taken[all[0].Set.Name()] == nil })
	left := map[gateway.PartSet]int{} // sets to settle under a name, which is let go with the last of them
	for _, all := range sets {
		left[all[0].Set.Name()]++
	}
	for _, all := range sets {
		name := all[0].Set.Name()
		s.settle(ctx, all)
		if left[name]--; left[name] == 0 {
			taken[name]()
			delete(taken, name)
		}
	}
}

// endedSets reads the sets that wait for no further part. Where the store
// fails, the next sweep looks at all.
func (s *Server) endedSets(ctx context.Context, before, overdue time.Time) [][]gateway.Part {
	sets, err := s.deps.Store.OpenParts(ctx, before)
	if err != nil {
		s.unfinished.Store(true)
		s.log.Error("open parts could not be read", "err", err)
	}
	return slices.DeleteFunc(sets, func(all []gateway.Part) bool { return !ended(all, overdue) })
}

// ended reports whether a set waits for no further part: it has them all, has
// waited long enough, or another message has taken its reference over.
func ended(all []gateway.Part, overdue time.Time) bool {
	return all[0].Set.Closed || whole(all) || oldest(all).Before(overdue)
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
