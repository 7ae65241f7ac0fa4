package store

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"izinli/gateway"
)

func TestPanelUsers(t *testing.T) {
	st, err := Open(Options{InMemory: true, Memory: 1, Gather: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	ctx := context.Background()
	ayse := gateway.PanelUser{Name: "ayse", Role: gateway.RoleOwner, Accounts: []gateway.AccountID{1, 3}, TOTP: st.Seal("SECRET"), TOTPStep: 7,
		CIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Created: time.Unix(1, 0).UTC(), Recovery: []string{"a", "b"}}
	for _, u := range []gateway.PanelUser{{Name: "bora", Role: gateway.RoleAuditor}, ayse} {
		if err := st.PutPanelUser(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	got, err := st.PanelUser(ctx, "ayse")
	if err != nil || !reflect.DeepEqual(got, ayse) {
		t.Errorf("got %+v, %v; want %+v", got, err, ayse)
	}
	if plain, err := st.Unseal(got.TOTP); plain != "SECRET" || err != nil {
		t.Errorf("unsealed %q, %v", plain, err)
	}
	var e *gateway.Error
	if _, err := st.PanelUser(ctx, "ays"); !errors.As(err, &e) || e.Code != gateway.CodeNotFound {
		t.Errorf("a prefix of a name found somebody: %v", err)
	}
	list, err := st.PanelUsers(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "ayse" || list[1].Name != "bora" {
		t.Errorf("got %+v, %v; want both by name", list, err)
	}
	if err := errors.Join(st.DeletePanelUser(ctx, "bora"), st.DeletePanelUser(ctx, "nobody")); err != nil {
		t.Error(err)
	}
	if list, _ := st.PanelUsers(ctx); len(list) != 1 {
		t.Errorf("%d users left, want 1", len(list))
	}
}
