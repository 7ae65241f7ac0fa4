package assembly_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"izinli/cmd/assembly"
	"izinli/gateway/smpptest"
	"izinli/iys"
)

// TestPlayground sends one message through the real API to the simulated operator and waits for its delivery.
func TestPlayground(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	p, err := assembly.NewPlayground(ctx, assembly.PlaygroundConfig(t.TempDir()), assembly.PlaygroundOptions{IYS: assembly.FastIYS(),
		Operator: smpptest.Config{Record: true}, Server: assembly.ServerOptions{RequestAfter: time.Second, IYSLimits: assembly.FastLimits()}})
	if err != nil {
		t.Fatal(err)
	}
	p.Consent(p.Seeds.Brand, "BIREYSEL", "+905321234567", iys.StatusApproved)
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- p.Server.Run(run) }()
	body := `{"from":"ORNEK","text":"Merhaba dünya, indirim başladı","to":["0532 123 45 67","+905321234568"]}`
	req, _ := http.NewRequestWithContext(ctx, "POST", "http://"+p.Server.Addrs["api"]+"/v1/messages", bytes.NewReader([]byte(body)))
	req.Header.Set("Authorization", "Bearer "+p.Seeds.APIKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 202 {
		t.Fatalf("status %d: %s", resp.StatusCode, b)
	}
	var res struct{ Batch string }
	if err := json.Unmarshal(b, &res); err != nil {
		t.Fatal(err)
	}
	states := map[string]int{}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for states["delivered"] != 1 || states["dropped"] != 1 {
		select {
		case <-ctx.Done():
			t.Fatalf("states %v, want one delivered and one dropped", states)
		case <-tick.C:
		}
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+p.Server.Addrs["api"]+"/v1/batches/"+res.Batch, nil)
		req.Header.Set("Authorization", "Bearer "+p.Seeds.APIKey)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		var v struct{ States map[string]int }
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		states = v.States
	}
	if got := p.Operator.Stats().Accepted; got != 1 {
		t.Errorf("operator took %d messages, want 1", got)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}
