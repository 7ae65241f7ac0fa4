package public

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"izinli/gateway"
)

// slowDesk holds an opt-out until it is let go.
type slowDesk struct {
	*world
	begun, free chan struct{}
}

func (d *slowDesk) OptOut(ctx context.Context, o gateway.OptOut) error {
	close(d.begun)
	<-d.free
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.world.OptOut(ctx, o)
}

// An opt-out under way when the door closes is finished and answered; then Serve returns, and nobody is listened to any more.
func TestServeFinishesWhatRuns(t *testing.T) {
	w := newWorld(t)
	d := &slowDesk{world: w, begun: make(chan struct{}), free: make(chan struct{})}
	w.server.deps.Consents = d
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ctx, ln) }()
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Post("http://"+ln.Addr().String()+w.mailURL(), urlencoded, strings.NewReader("confirm=1"))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			answered <- err.Error()
			return
		}
		answered <- resp.Status + string(b)
	}()
	<-d.begun
	stop()
	close(d.free)
	if got := <-answered; !strings.HasPrefix(got, "200 ") || !strings.Contains(got, "durduruldu") {
		t.Errorf("the opt-out under way was answered %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		c.Close()
		t.Error("the door still listens")
	}
	if len(w.optouts) != 1 {
		t.Errorf("%d opt-outs, want 1", len(w.optouts))
	}
}

// A page that panics is answered, and the door goes on.
func TestPanicIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.server.deps.Consents = nil
	if a := w.post(w.mailURL(), nil); a.status != 500 || !strings.Contains(a.body, "kaydedilemedi") {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.server.deps.Consents = w
	if a := w.post(w.mailURL(), nil); a.status != 200 {
		t.Errorf("afterwards: %d", a.status)
	}
}

func FuzzAccepted(f *testing.F) {
	f.Add("tr-TR,tr;q=0.9,en;q=0.8")
	f.Add("*;q=0,en;q=1.000")
	f.Fuzz(func(t *testing.T, field string) {
		if l := accepted(field); l != turkish && l != english {
			t.Fatalf("accepted(%q) = %q", field, l)
		}
	})
}

// Whatever is sent to a link, a page or an empty answer comes back, and only a POST to a good link is an opt-out.
func FuzzOptOut(f *testing.F) {
	f.Add("POST", "x", "List-Unsubscribe=One-Click", urlencoded)
	f.Add("GET", "", "", "")
	f.Add("POST", "%zz", "--x\r\n", "multipart/form-data; boundary=x")
	w := newWorld(f)
	good := w.mailURL()
	f.Fuzz(func(t *testing.T, method, tail, body, kind string) {
		r, err := http.NewRequest(method, "http://u.example.com", strings.NewReader(body))
		if err != nil {
			return
		}
		r.URL.Path = good + tail
		r.Header.Set("Content-Type", kind)
		r.RemoteAddr = "192.0.2.1:1"
		rec := &recorder{ResponseWriter: discard{http.Header{}}}
		before := len(w.optouts)
		w.server.Handler().ServeHTTP(rec, r)
		if got := len(w.optouts) - before; got > 0 && (method != "POST" || tail != "") {
			t.Fatalf("%s with %q behind the link is an opt-out", method, tail)
		}
		w.optouts = w.optouts[:0]
	})
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
