package stage

import (
	"context"
	"testing"

	"izinli/gateway/store"
)

// VerifyStore proves the invariants of a store: ledger, decision chains, due index.
func VerifyStore(tb testing.TB, st *store.Store) *store.Report {
	tb.Helper()
	r, err := st.Verify(context.WithoutCancel(tb.Context()))
	if err != nil {
		tb.Errorf("verify: %v", err)
		return nil
	}
	for _, p := range r.Problems {
		tb.Errorf("verify: %s", p)
	}
	return r
}
