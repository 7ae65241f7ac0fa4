package httpapi

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
)

// serve runs the API on a real socket until the test's end or stop.
func serve(t *testing.T, api *API) (url string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- api.Serve(ctx, ln) }()
	stop = func() error { cancel(); return <-done }
	t.Cleanup(cancel)
	return "http://" + ln.Addr().String(), stop
}

func TestServeFinishesWhatRuns(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	w := &world{submit: func(*gateway.Submission) (gateway.Result, error) {
		close(entered)
		<-release
		return gateway.Result{Batch: mineBatch, Accepted: 1}, nil
	}}
	url, stop := serve(t, newAPI(w, Config{}))
	answered := make(chan int, 1)
	go func() {
		r, _ := http.NewRequest("POST", url+"/v1/messages", strings.NewReader(sms))
		r.Header.Set("Authorization", "Bearer "+goodKey)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// The door closes at once …
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			break
		}
		_ = c.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("Serve returned %v while a request runs", err)
	default:
	}
	close(release) // … and the request that runs is answered.
	if got := <-answered; got != 202 {
		t.Errorf("the running request got %d, want 202", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeGivesUpOnWhatNeverEnds(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	w := &world{submit: func(*gateway.Submission) (gateway.Result, error) {
		close(entered)
		<-release
		return gateway.Result{}, nil
	}}
	url, stop := serve(t, newAPI(w, Config{StopTimeout: time.Millisecond}))
	go func() {
		r, _ := http.NewRequest("POST", url+"/v1/messages", strings.NewReader(sms))
		r.Header.Set("Authorization", "Bearer "+goodKey)
		r.Header.Set("Content-Type", "application/json")
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	if err := stop(); err == nil {
		t.Error("Serve says all is well while a request was cut off")
	}
}

// A stream that breaks half way must not look like a whole file.
func TestTornErrorsFileBreaksTheConnection(t *testing.T) {
	url, _ := serve(t, newAPI(&world{}, Config{}))
	get := func(id string) error {
		r, _ := http.NewRequest("GET", url+"/v1/imports/"+id+"/errors", nil)
		r.Header.Set("Authorization", "Bearer "+goodKey)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	}
	if err := get("torn"); err == nil {
		t.Error("a torn file was read without an error")
	}
	if err := get("imp-1"); err != nil {
		t.Errorf("a whole one: %v", err)
	}
}
