package store

import (
	"testing"
	"time"
)

// A note stays with its address, through a restart; records from before notes were kept are read without one.
func TestBlacklistKeepsItsNote(t *testing.T) {
	w := newWorld(t, 3)
	ctx := t.Context()
	w.must(w.st.PutBlacklist(ctx, w.acct, "+905321234567", "telefonda istedi"))
	old := w.now.Add(-time.Hour)
	w.must(w.st.do(func(t *tx) error {
		var e enc
		e.time(old)
		return t.set(blacklistKey(w.acct, "+905321234568"), e, 0)
	}))
	w.reopen()
	page, err := w.st.Blacklist(ctx, w.acct, "", 10)
	w.must(err)
	if len(page.Items) != 2 || page.Items[0].Note != "telefonda istedi" || page.Items[0].At.IsZero() || page.Items[1].Note != "" || !page.Items[1].At.Equal(old) {
		t.Errorf("got %+v", page.Items)
	}
	w.must(w.st.PutBlacklist(ctx, w.acct, "+905321234568", "yazılı"))
	if b, ok, err := w.st.Blacklisted(ctx, w.acct, "+905321234568"); err != nil || !ok || b.Note != "yazılı" {
		t.Errorf("got %+v, %t, %v", b, ok, err)
	}
	w.must(w.st.DeleteBlacklist(ctx, w.acct, "+905321234568"))
	for _, gone := range []string{"+905321234568", "+905320000000"} {
		if _, ok, err := w.st.Blacklisted(ctx, w.acct, gone); ok || err != nil {
			t.Errorf("%s is on the list: %t, %v", gone, ok, err)
		}
	}
}
