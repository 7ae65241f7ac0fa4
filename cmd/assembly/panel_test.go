package assembly_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"izinli/cmd/assembly"
)

// Behind a proxy that ends TLS, panelUrl is all that tells the panel of it: cookies must be Secure and bound to the host, and links
// lead where the browser can follow.
func TestPanelURL(t *testing.T) {
	for _, c := range []struct {
		url    string
		secure bool
	}{{"", false}, {"http://panel.example.com", false}, {"https://panel.example.com", true}} {
		t.Run(c.url, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cfg := assembly.PlaygroundConfig(t.TempDir())
			cfg.Listen.Panel, cfg.PanelURL = "127.0.0.1:0", c.url
			p, err := assembly.NewPlayground(ctx, cfg, assembly.PlaygroundOptions{})
			if err != nil {
				t.Fatal(err)
			}
			run, stop := context.WithCancel(ctx)
			done := make(chan error, 1)
			go func() { done <- p.Server.Run(run) }()
			local := "http://" + p.Server.Addrs["panel"]
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, local+"/login", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			cookies := resp.Cookies()
			if len(cookies) == 0 {
				t.Error("the page of signing in sets no cookie")
			}
			for _, x := range cookies {
				if x.Secure != c.secure || strings.HasPrefix(x.Name, "__Host-") != c.secure {
					t.Errorf("cookie %s: Secure %v, want %v", x.Name, x.Secure, c.secure)
				}
			}
			if got := resp.Header.Get("Strict-Transport-Security") != ""; got != c.secure {
				t.Errorf("HSTS: %v, want %v", got, c.secure)
			}
			want := c.url
			if want == "" {
				want = local
			}
			if got, err := p.Server.SetupURL(ctx); err != nil || !strings.HasPrefix(got, want+"/welcome/") {
				t.Errorf("the set-up link is %s, %v; want it under %s", got, err, want)
			}
			stop()
			if err := <-done; err != nil {
				t.Errorf("Run = %v", err)
			}
			if err := p.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
		})
	}
}
