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
