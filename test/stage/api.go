package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"izinli/gateway"
)

// Body is a JSON object.
type Body map[string]any

// With returns the body with other fields; nil removes one.
func (b Body) With(more Body) Body {
	out := Body{}
	for k, v := range b {
		out[k] = v
	}
	for k, v := range more {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

// API is a customer of the HTTP API.
type API struct {
	URL, Key string
	Client   *http.Client
	tb       testing.TB
}

// NewAPI returns a customer of the gateway at host:port.
func NewAPI(tb testing.TB, addr, key string) *API {
	c := &http.Client{Timeout: Patience, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	tb.Cleanup(c.CloseIdleConnections)
	return &API{URL: "http://" + addr, Key: key, Client: c, tb: tb}
}

// Answer is an answer of the API.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Code is the stable code of a refusal (RFC 9457 problem with our member code); empty when the answer is none.
func (a Answer) Code() gateway.Code {
	var p struct {
		Code gateway.Code `json:"code"`
	}
	if a.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(a.Body, &p) != nil {
		return ""
	}
	return p.Code
}

// Try calls the API; the error is the transport's.
func (a *API) Try(method, path string, body []byte, header http.Header) (Answer, error) {
	req, err := http.NewRequestWithContext(a.tb.Context(), method, a.URL+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if a.Key != "" {
		req.Header.Set("Authorization", "Bearer "+a.Key)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := a.Client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, b}, err
}

// Call calls the API with a value as JSON, or with octets as they are.
func (a *API) Call(method, path string, body any) Answer {
	a.tb.Helper()
	raw, ok := body.([]byte)
	if !ok && body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			a.tb.Fatal(err)
		}
	}
	ans, err := a.Try(method, path, raw, nil)
	if err != nil {
		a.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return ans
}

// Must calls the API, reads the answer into out (may be nil) and fails the test if the status is another.
func (a *API) Must(status int, method, path string, body, out any) {
	a.tb.Helper()
	ans := a.Call(method, path, body)
	if ans.Status != status {
		a.tb.Fatalf("%s %s: status %d, want %d: %s", method, path, ans.Status, status, ans.Body)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(ans.Body, out); err != nil {
		a.tb.Fatalf("%s %s: %v in %s", method, path, err, ans.Body)
	}
}

// Send submits messages.
func (a *API) Send(b Body) gateway.Result {
	a.tb.Helper()
	var res gateway.Result
	a.Must(http.StatusAccepted, "POST", "/v1/messages", b, &res)
	return res
}

// Batch reads a batch with its counts.
func (a *API) Batch(ref gateway.BatchRef) gateway.BatchView {
	a.tb.Helper()
	var v gateway.BatchView
	a.Must(http.StatusOK, "GET", "/v1/batches/"+ref.String(), nil, &v)
	return v
}

// AwaitBatch waits until all messages of a batch are in one of the states, and returns the counts.
func (a *API) AwaitBatch(ref gateway.BatchRef, states ...gateway.State) gateway.BatchView {
	a.tb.Helper()
	var v gateway.BatchView
	next := time.Time{} // the API allows so many reads a second
	Until(a.tb, "batch "+ref.String(), func() error {
		if now := time.Now(); now.Before(next) {
			return fmt.Errorf("counts %v", v.States)
		}
		next = time.Now().Add(50 * time.Millisecond)
		ans := a.Call("GET", "/v1/batches/"+ref.String(), nil)
		if ans.Status == http.StatusTooManyRequests {
			return errors.New("reading too fast")
		}
		v = gateway.BatchView{}
		if err := json.Unmarshal(ans.Body, &v); ans.Status != http.StatusOK || err != nil {
			a.tb.Fatalf("batch %s: status %d, %v: %s", ref, ans.Status, err, ans.Body)
		}
		n := 0
		for _, st := range states {
			n += v.States[st.String()]
		}
		if n == v.Count {
			return nil
		}
		return fmt.Errorf("counts %v for reasons %v", v.States, v.Reasons)
	})
	return v
}
