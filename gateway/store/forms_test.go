package store

import (
	"testing"
	"time"

	"izinli/gateway"
	"izinli/iys"
)

func TestOptIns(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "675403", Account: w.acct, Name: "Örnek"}))
	o := gateway.OptIn{Code: "abc", Form: "f1", Account: w.acct, Brand: "675403", Channel: "email", Address: "ayse@ornek.example", Name: "Ayşe",
		Asked: gateway.Trace{At: w.now, IP: "192.0.2.1"}, Expires: w.now.Add(gateway.OptInLife)}
	w.must(w.st.PutOptIn(ctx, &o))
	w.must(w.st.Close())
	w.open()
	got, ok, err := w.st.OptIn(ctx, "abc")
	if err != nil || !ok || got.Address != o.Address || got.Code != "abc" || !got.Confirmed.At.IsZero() {
		t.Fatalf("after a restart: %+v, %v, %v", got, ok, err)
	}
	first := w.now.Add(time.Minute)
	for i, at := range []time.Time{first, first.Add(time.Hour)} {
		c, err := w.st.ConfirmOptIn(ctx, "abc", gateway.Trace{At: at, IP: "192.0.2.2"}, "proof")
		if err != nil || !c.Confirmed.At.Equal(first) || c.Evidence != "proof" {
			t.Errorf("confirmation %d: %+v, %v, want the first to stand", i, c, err)
		}
	}
	h, err := w.st.History(ctx, "675403", iys.ChannelEmail, o.Address)
	if err != nil || len(h) != 1 || h[0].How != "form" || h[0].Evidence != "proof" || h[0].Status != "ONAY" || !h[0].ConsentDate.Equal(first) {
		t.Errorf("history %+v, %v, want one line with the proof", h, err)
	}
	w.must(w.st.DoneOptIn(ctx, "abc", first.Add(time.Second)))
	if got, _, _ := w.st.OptIn(ctx, "abc"); got.Registered.IsZero() || got.Confirmed.At.IsZero() {
		t.Errorf("at the end: %+v", got)
	}
	if _, ok, err := w.st.OptIn(ctx, "nothing"); ok || err != nil {
		t.Errorf("an unknown code: %v, %v", ok, err)
	}
	if _, err := w.st.ConfirmOptIn(ctx, "nothing", gateway.Trace{}, ""); !IsRefusal(err) {
		t.Errorf("confirming nothing: %v", err)
	}
	if err := w.st.DoneOptIn(ctx, "nothing", first); !IsRefusal(err) {
		t.Errorf("finishing nothing: %v", err)
	}
}

func TestFormsAreDirectoryRecords(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	f := gateway.Form{ID: "f1", Account: w.acct, Brand: "675403", Version: "1"}
	if err := w.st.PutForm(ctx, &f); !IsRefusal(err) {
		t.Errorf("a form of no brand: %v", err)
	}
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "675403", Account: w.acct, Name: "Örnek"}))
	w.must(w.st.PutForm(ctx, &f))
	w.must(w.st.Close())
	w.open()
	if got := w.st.Directory().Forms["f1"]; got == nil || *got != f {
		t.Errorf("after a restart: %+v", got)
	}
	other := gateway.Account{Name: "Başka"}
	w.must(w.st.PutAccount(ctx, &other))
	stolen := f
	stolen.Account = other.ID
	if err := w.st.PutForm(ctx, &stolen); !IsRefusal(err) {
		t.Errorf("another account takes the form: %v", err)
	}
}
