package assembly_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"izinli/cmd/assembly"
	"izinli/gateway"
	"izinli/iys"
)

// Holidays an operator names count: an opt-out's deadline moves behind them. A file that cannot be read keeps the gateway from starting.
func TestHolidays(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.csv"), filepath.Join(dir, "bad.csv")
	var table strings.Builder
	now := time.Now().In(iys.Istanbul)
	for d := 1; d <= 20; d++ {
		fmt.Fprintf(&table, "%s,declared\n", now.AddDate(0, 0, d).Format(time.DateOnly))
	}
	for path, text := range map[string]string{good: table.String(), bad: "2026-13-01,no such month\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{bad: "line 1", filepath.Join(dir, "gone.csv"): "gone.csv"} {
		cfg := assembly.PlaygroundConfig(t.TempDir())
		cfg.IYS.Holidays = path
		p, err := assembly.NewPlayground(t.Context(), cfg, assembly.PlaygroundOptions{})
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "iys.holidays") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want iys.holidays and %q named", path, err, want)
		}
	}
	cfg := assembly.PlaygroundConfig(t.TempDir())
	cfg.IYS.Holidays = good
	p, err := assembly.NewPlayground(t.Context(), cfg, assembly.PlaygroundOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Server.Desk.OptOut(t.Context(), gateway.OptOut{Account: p.Seeds.Account, Brand: p.Seeds.Brand, Channel: "sms", Address: "+905321234567", Route: "sms"}); err != nil {
		t.Fatal(err)
	}
	due, err := p.Store.DueEntries(t.Context(), iys.StatusRejected, time.Now().Add(time.Minute), 10)
	if err != nil || len(due) == 0 {
		t.Fatal(due, err)
	}
	if got := due[0].Deadline; got.Before(now.AddDate(0, 0, 21)) {
		t.Errorf("deadline %v, want it behind twenty holidays", got)
	}
}
