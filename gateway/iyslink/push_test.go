package iyslink

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
)

// pushBench is a simulated İYS, a receiver over TLS as İYS wants it, and the pushes between them.
type pushBench struct {
	t      *testing.T
	sim    *iystest.Sim
	st     *store.Store
	mirror *mirror.Mirror
	p      *Pushes
	url    string
	closed atomic.Bool // the receiver answers 503
}

func newPushBench(t *testing.T) *pushBench {
	t.Helper()
	b := &pushBench{t: t, mirror: mirror.New()}
	recv := httptest.NewTLSServer(http.HandlerFunc(b.receive))
	t.Cleanup(recv.Close)
	b.url = recv.URL + "/iys/push"
	b.sim = iystest.New(iystest.Config{Limits: iystest.Limits{PerSecond: -1, TokensPerHour: -1, StatusPerHour: -1, HistoryPerHour: -1},
		Push: iystest.PushConfig{Transport: recv.Client().Transport, Wait: time.Millisecond, Tries: 2}})
	b.sim.Seed()
	srv, err := iystest.Listen(b.sim, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	if b.st, err = store.Open(store.Options{InMemory: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.st.Close() })
	ctx := t.Context()
	acct := &gateway.Account{Name: "a", IYSCode: 100001}
	for _, step := range []error{
		b.st.PutAccount(ctx, acct),
		b.st.PutIYSLink(ctx, &gateway.IYSLink{Name: "main", BaseURL: srv.URL, Username: iystest.SeedPartner, Password: b.st.Seal(iystest.SeedPassword)}),
		b.st.PutBrand(ctx, &gateway.Brand{Code: iystest.SeedIYSCode, Account: acct.ID, IYS: "main", SMS: gateway.BrandMode{Mode: "partner"}}),
		b.st.PutBrand(ctx, &gateway.Brand{Code: iystest.SeedSubBrand, Account: acct.ID}),
		b.mirror.Load(ctx, b.st),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	b.start()
	return b
}

// start is a new process over the same store.
func (b *pushBench) start() {
	b.t.Helper()
	dir := New(b.st, iysapi.Limits{PerSecond: 1000}, nil)
	x, err := exchange.New(exchange.Config{Store: b.st, Mirror: b.mirror, Directory: dir})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(x.Close)
	b.p = NewPushes(dir, x, dir.log)
}

// receive does what the public door does.
func (b *pushBench) receive(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	brand, ok := b.p.Authorized(user, password)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = b.p.Pushed(r.Context(), brand, body)
	}
	if err != nil || b.closed.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// A registered brand's movements arrive by push, those of others do not get in, and a registration İYS has lost is renewed.
func TestPushes(t *testing.T) {
	b := newPushBench(t)
	ctx := t.Context()
	if _, err := b.p.Register(ctx, iystest.SeedSubBrand, iys.ChannelSMS, b.url); err == nil {
		t.Error("a brand without İYS was registered")
	}
	if _, err := b.p.Register(ctx, iystest.SeedIYSCode, iys.ChannelSMS, "http"+b.url[5:]); err == nil {
		t.Error("a plain address was registered")
	}
	b.closed.Store(true)
	if _, err := b.p.Register(ctx, iystest.SeedIYSCode, iys.ChannelSMS, b.url); err == nil {
		t.Error("a receiver that refuses was registered")
	}
	if list, err := b.p.Records(0); err != nil || len(list) != 0 {
		t.Errorf("after failures: %+v %v", list, err)
	}
	b.closed.Store(false)
	if _, err := b.p.Register(ctx, iystest.SeedIYSCode, iys.ChannelSMS, b.url); err != nil {
		t.Fatal(err)
	}
	b.sim.Citizen(iystest.SeedIYSCode, "MESAJ", "BIREYSEL", "+905321234567", "RET", "")
	if n := b.sim.Push(ctx); n != 1 {
		t.Fatalf("%d movements taken, want 1", n)
	}
	if e, ok := b.mirror.Lookup(iystest.SeedIYSCode, iys.ChannelSMS, iys.RecipientPerson, "+905321234567"); !ok || e.Status != iys.StatusRejected {
		t.Errorf("after the push: %+v %t", e, ok)
	}
	// A body for another brand changes nothing, whoever brings it.
	foreign := b.sim.Citizen(iystest.SeedSubBrand, "MESAJ", "BIREYSEL", "+905321234567", "RET", "")
	if err := b.p.Pushed(ctx, iystest.SeedIYSCode, iystest.PushBody(foreign)); err != nil {
		t.Error(err)
	}
	if _, ok := b.mirror.Lookup(iystest.SeedSubBrand, iys.ChannelSMS, iys.RecipientPerson, "+905321234567"); ok {
		t.Error("one brand's credentials changed another's consents")
	}
	if err := b.p.Pushed(ctx, iystest.SeedIYSCode, []byte(`{}`)); err == nil {
		t.Error("a body without a list was taken")
	}
	for _, c := range [][2]string{{"", ""}, {"izinli-100001-mesaj", ""}, {"izinli-100001-mesaj", "x"}, {"izinli-100002-mesaj", "x"}, {"admin", "x"}, {"izinli-", ""}} {
		if _, ok := b.p.Authorized(c[0], c[1]); ok {
			t.Errorf("%q was let in", c[0])
		}
	}
	// The next process knows the registration, and renews it when İYS has lost it.
	b.start()
	b.sim.DropPushes()
	b.p.Check(ctx)
	list, err := b.p.Records(0)
	if err != nil || len(list) != 1 || !list[0].Connected || list[0].Checked.IsZero() || list[0].Status != "registered anew" {
		t.Errorf("after İYS lost it: %+v %v", list, err)
	}
	b.p.Check(ctx)
	if list, _ = b.p.Records(0); len(list) != 1 || list[0].Status != "Bağlantı Oluşturuldu" || list[0].Problem != "" {
		t.Errorf("a check later: %+v", list)
	}
	if list, _ := b.p.Records(77); len(list) != 0 {
		t.Errorf("another account sees %+v", list)
	}
	if err := b.p.Unregister(ctx, iystest.SeedIYSCode, iys.ChannelSMS); err != nil {
		t.Fatal(err)
	}
	b.sim.Citizen(iystest.SeedIYSCode, "MESAJ", "BIREYSEL", "+905321234567", "ONAY", "")
	if n := b.sim.Push(ctx); n != 0 {
		t.Errorf("%d movements pushed after unregistering", n)
	}
	if list, _ := b.p.Records(0); len(list) != 0 {
		t.Errorf("after unregistering: %+v", list)
	}
}
