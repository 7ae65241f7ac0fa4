package desk_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/store"
	"izinli/iys/iysapi"
)

// viaFake is the part of İYS that asks people, over a real store.
type viaFake struct {
	desk.IYSOffice
	store   *store.Store
	err     error
	started int
	during  func()
}

func (f *viaFake) StartVia(context.Context, string, iysapi.ViaStart) (string, error) {
	if f.started++; f.during != nil {
		f.during()
	}
	return "5b423dd7", f.err
}
func (f *viaFake) PutVia(ctx context.Context, v *gateway.ViaOperation) error {
	return f.store.PutVia(ctx, v)
}
func (f *viaFake) BeginVia(ctx context.Context, v *gateway.ViaOperation, key *gateway.IdempotencyKey) error {
	return f.store.BeginVia(ctx, v, key)
}
func (f *viaFake) RefuseVia(ctx context.Context, v *gateway.ViaOperation, key *gateway.IdempotencyKey) error {
	return f.store.RefuseVia(ctx, v, key)
}
func (f *viaFake) Via(ctx context.Context, a gateway.AccountID, id string) (gateway.ViaOperation, bool, error) {
	return f.store.Via(ctx, a, id)
}

// A repeat with the key of the first call asks nobody; one that İYS refused is as good as never made; where its answer was lost the
// person may have been asked, and is not asked again.
func TestViaIsStartedOnce(t *testing.T) {
	d := open(t)
	fake := &viaFake{store: d.store}
	now := time.Now()
	admin := desk.New(desk.Deps{Store: d.store, IYS: fake, Now: func() time.Time { return now }})
	acc, err := admin.PutAccount(ctx, gateway.Account{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutBrand(ctx, gateway.Brand{Code: "675403", Account: acc.ID, Name: "b"}); err != nil {
		t.Fatal(err)
	}
	start := func(key string, hash byte) (gateway.ViaOperation, error) {
		in := gateway.ViaInput{Account: acc.ID, Brand: "675403", Form: "1", Address: "+905321234567"}
		if key != "" {
			in.Idempotency = &gateway.IdempotencyKey{Key: key, Hash: [32]byte{hash}}
		}
		return admin.StartVia(ctx, in)
	}
	// While the first is under way a repeat waits.
	fake.during = func() {
		fake.during = nil
		if _, err := start("k", 1); codeOf(err) != gateway.CodeInProgress {
			t.Errorf("a repeat at the same time: %v", err)
		}
	}
	first, err := start("k", 1)
	if err != nil || first.Replayed {
		t.Fatalf("%+v %v", first, err)
	}
	again, err := start("k", 1)
	if err != nil || !again.Replayed || again.ID != first.ID || again.Request != "5b423dd7" || fake.started != 1 {
		t.Errorf("a repeat: %+v %v, asked %d times", again, err, fake.started)
	}
	if _, err := start("k", 2); codeOf(err) != gateway.CodeIdempotencyMismatch {
		t.Errorf("another body: %v", err)
	}
	for range 2 {
		if v, err := start("", 0); err != nil || v.Replayed || v.ID == first.ID {
			t.Errorf("without a key: %+v %v", v, err)
		}
	}

	fake.err = &iysapi.APIError{HTTP: 400, Detail: iysapi.Detail{Code: "H1000", Index: -1}, Retry: iysapi.RetryOperator}
	if _, err := start("r", 1); err == nil {
		t.Error("İYS refused, and nobody says so")
	}
	fake.err = nil
	if v, err := start("r", 1); err != nil || v.Replayed {
		t.Errorf("after a refusal: %+v %v", v, err)
	}

	asked := fake.started
	for key, lost := range map[string]error{"reset": errors.New("connection reset"), "500": &iysapi.APIError{HTTP: 500, Retry: iysapi.RetryAgain}} {
		fake.err = lost
		if _, err := start(key, 1); codeOf(err) != gateway.CodeUnavailable {
			t.Errorf("%s: %v", key, err)
		}
		fake.err = nil
		if v, err := start(key, 1); err != nil || !v.Replayed || v.State() != gateway.ViaFailed {
			t.Errorf("%s, repeated: %+v %v, want the failure and nobody asked", key, v, err)
		}
	}
	if fake.started != asked+2 {
		t.Errorf("asked %d times more, want 2", fake.started-asked)
	}

	// A process that ended before İYS's answer was written.
	v := gateway.ViaOperation{Account: acc.ID, Brand: "675403", Stage: "STARTING", Started: now}
	key := &gateway.IdempotencyKey{Key: "crash", Hash: [32]byte{1}}
	if err := d.store.BeginVia(ctx, &v, key); err != nil {
		t.Fatal(err)
	}
	if _, err := start("crash", 1); codeOf(err) != gateway.CodeInProgress {
		t.Errorf("just begun: %v", err)
	}
	now = now.Add(6 * time.Minute)
	if v, err := start("crash", 1); err != nil || !v.Replayed || v.Status != "no_answer" {
		t.Errorf("given up: %+v %v", v, err)
	}
}
