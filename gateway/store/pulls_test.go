package store

import (
	"testing"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/mirror"
)

// A start believes each channel up to when both listings told of it: one the company withheld stays behind the others. A cursor
// of before channels were told apart vouches for all.
func TestPullsAreRememberedByChannel(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	partner := gateway.BrandMode{Mode: "partner"}
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "675403", Account: w.acct, SMS: partner, Email: partner}))
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "606821", Account: w.acct, SMS: partner}))
	earlier := w.now.Add(-2 * time.Hour)
	for _, src := range []iysapi.ChangeSource{iysapi.ChangesByPerson, iysapi.ChangesByProvider} {
		end := w.now
		if src == iysapi.ChangesByProvider {
			end = w.now.Add(-time.Minute)
		}
		w.must(w.st.Commit(ctx, exchange.Changes{Cursors: []exchange.Cursor{
			{Brand: "675403", Source: src, EndAt: end, Channels: map[iys.Channel]time.Time{iys.ChannelSMS: end, iys.ChannelEmail: earlier},
				Missed: map[iys.Channel]time.Time{iys.ChannelEmail: earlier}},
			{Brand: "606821", Source: src, EndAt: end}}}))
	}
	w.reopen()
	got := map[string]time.Time{}
	w.must(w.st.EachPull(ctx, func(p mirror.Pull) error {
		got[p.Brand+" "+string(p.Channel)] = p.Start
		return nil
	}))
	want := map[string]time.Time{"675403 MESAJ": w.now.Add(-time.Minute), "675403 EPOSTA": earlier, "606821 MESAJ": w.now.Add(-time.Minute)}
	for k, at := range want {
		if !got[k].Equal(at) || len(got) != len(want) {
			t.Errorf("%s: fresh as of %v, want %v (all: %v)", k, got[k], at, got)
		}
	}
	c, err := w.st.Cursor(ctx, "675403", iysapi.ChangesByPerson)
	if w.must(err); !c.Missed[iys.ChannelEmail].Equal(earlier) {
		t.Errorf("what was missed is forgotten: %+v", c)
	}
}

// What was known of a channel before its first listing does not count after a start either, and not while the channel is in other
// hands for a time: the records are loaded all the same.
func TestTrustIsRememberedByChannel(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "675403", Account: w.acct, SMS: gateway.BrandMode{Mode: "partner"}, Email: gateway.BrandMode{Mode: "ahs"}}))
	lost, first := w.now.Add(-48*time.Hour), w.now.Add(-time.Hour)
	w.must(w.st.Commit(ctx, exchange.Changes{Cursors: []exchange.Cursor{
		{Brand: "675403", Source: iysapi.ChangesByPerson, EndAt: w.now, Trust: lost, Channels: map[iys.Channel]time.Time{iys.ChannelEmail: w.now}},
		{Brand: "675403", Source: iysapi.ChangesByProvider, EndAt: w.now, Channels: map[iys.Channel]time.Time{iys.ChannelEmail: w.now},
			First: map[iys.Channel]time.Time{iys.ChannelSMS: first}}}}))
	w.reopen()
	m := mirror.New()
	w.must(m.Load(ctx, w.st))
	for _, x := range []struct {
		ch   iys.Channel
		read time.Time
		want bool
	}{{iys.ChannelSMS, first.Add(-time.Second), false}, {iys.ChannelSMS, first, true}, {iys.ChannelEmail, lost.Add(-time.Second), false}, {iys.ChannelEmail, lost, true}} {
		c := iys.Consent{Key: iys.Key{Brand: "675403", Channel: x.ch, RecipientType: iys.RecipientPerson, Recipient: "x"}, Status: iys.StatusApproved,
			Origin: iys.OriginLive, ReadAt: x.read}
		if got := m.Put(c); got != x.want {
			t.Errorf("%s, read %v ago: held %t, want %t", x.ch, w.now.Sub(x.read), got, x.want)
		}
		if got := m.PulledAt("675403", x.ch); !got.IsZero() {
			t.Errorf("%s counts as pulled at %v: it was never listed to the end, or is not ours", x.ch, got)
		}
	}
}
