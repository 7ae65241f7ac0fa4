package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
)

func TestShortLinks(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	code := func(l *gateway.ShortLink, attempt int) string { return fmt.Sprintf("%s-%d", l.Address, attempt) }
	links := make([]gateway.ShortLink, 1200)
	for i := range links {
		links[i] = gateway.ShortLink{Account: w.acct, Brand: "675403", Channel: "sms", Address: fmt.Sprintf("+90532%07d", i%1100)} // some twice
	}
	w.must(w.st.PutShortLinks(ctx, links, code))
	w.must(w.st.Close())
	w.open()
	for _, l := range links {
		got, ok, err := w.st.ShortLink(ctx, l.Code)
		if err != nil || !ok || !sameSubject(&got, &l) || !got.Created.Equal(w.now) {
			t.Fatalf("%s after a restart: %+v, %v, %v", l.Code, got, ok, err)
		}
	}
	if _, ok, err := w.st.ShortLink(ctx, "nothing"); ok || err != nil {
		t.Errorf("an unknown code: %v, %v", ok, err)
	}

	first := w.now
	again := []gateway.ShortLink{{Account: w.acct, Brand: "675403", Channel: "sms", Address: links[0].Address}}
	w.tick(24 * time.Hour)
	w.must(w.st.PutShortLinks(ctx, again, code))
	if again[0].Code != links[0].Code || !again[0].Created.Equal(first) {
		t.Errorf("a day later: %+v, want the link there is", again[0])
	}
	w.tick(w.st.opt.Retention / 2)
	w.must(w.st.PutShortLinks(ctx, again, code))
	if got, _, _ := w.st.ShortLink(ctx, again[0].Code); !got.Created.Equal(w.now) {
		t.Errorf("after half its life: %+v, want it renewed", got)
	}
}

// A code that is somebody else's is not used twice.
func TestShortLinkCodesCollide(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	code := func(l *gateway.ShortLink, attempt int) string { return fmt.Sprintf("same-%d", attempt) }
	links := []gateway.ShortLink{{Account: w.acct, Address: "a"}, {Account: w.acct, Address: "b"}}
	w.must(w.st.PutShortLinks(ctx, links, code))
	more := []gateway.ShortLink{{Account: w.acct, Address: "c"}, {Account: w.acct, Address: "a"}}
	w.must(w.st.PutShortLinks(ctx, more, code))
	if links[0].Code != "same-0" || links[1].Code != "same-1" || more[0].Code != "same-2" || more[1].Code != "same-0" {
		t.Errorf("codes %v %v", links, more)
	}
	for i := range codeAttempts - 3 {
		w.must(w.st.PutShortLinks(ctx, []gateway.ShortLink{{Account: w.acct, Address: fmt.Sprint("x", i)}}, code))
	}
	err := w.st.PutShortLinks(ctx, []gateway.ShortLink{{Account: w.acct, Address: "y"}}, code)
	if err == nil || !strings.Contains(err.Error(), "no free code") {
		t.Errorf("when all codes are taken: %v", err)
	}
}
