package public

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// receiver is what stands behind the door for İYS.
type receiver struct {
	bodies []string
	fail   error
}

var errBody = errors.New("no sense")

func (r *receiver) Authorized(user, password string) (string, bool) {
	return "675403", user == "izinli-675403-mesaj" && password == "geheim"
}

func (r *receiver) Pushed(ctx context.Context, brand string, body []byte) error {
	if _, ok := ctx.Deadline(); !ok || brand != "675403" {
		return errors.New("no deadline, or another brand")
	}
	if r.fail == nil {
		r.bodies = append(r.bodies, string(body))
	}
	return r.fail
}

func as(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func TestPush(t *testing.T) {
	w := newWorld(t)
	const body = `{"list":[]}`
	if a := w.do("POST", PushPath, "application/json", body); a.status != 404 {
		t.Errorf("without a receiver: %d, want 404", a.status)
	}
	recv := &receiver{}
	w.server.deps.Pushes, w.server.deps.BadPush = recv, func(err error) bool { return errors.Is(err, errBody) }
	iys := as("izinli-675403-mesaj", "geheim")
	for name, c := range map[string]struct {
		method string
		body   string
		by     func(*http.Request)
		fail   error
		status int
	}{
		"taken":             {"POST", body, iys, nil, 200},
		"nobody":            {"POST", body, func(*http.Request) {}, nil, 401},
		"a wrong password":  {"POST", body, as("izinli-675403-mesaj", "x"), nil, 401},
		"a wrong user":      {"POST", body, as("x", "geheim"), nil, 401},
		"another scheme":    {"POST", body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer geheim") }, nil, 401},
		"GET":               {"GET", "", iys, nil, 405},
		"not understood":    {"POST", "x", iys, errBody, 400},
		"the store failed":  {"POST", body, iys, errors.New("disk"), 503},
		"far too much":      {"POST", strings.Repeat("x", maxPush+1), iys, nil, 413},
		"as much as may be": {"POST", strings.Repeat("x", maxPush), iys, nil, 200},
	} {
		recv.bodies, recv.fail = nil, c.fail
		a := w.do(c.method, PushPath, "application/json", c.body, c.by)
		if a.status != c.status || (a.status == 200) != (len(recv.bodies) == 1) || strings.Contains(a.body, "disk") {
			t.Errorf("%s: %d with %d pushes, want %d", name, a.status, len(recv.bodies), c.status)
		}
		if (a.status == 401) != (a.header.Get("WWW-Authenticate") != "") || (a.status == 503) != (a.header.Get("Retry-After") != "") {
			t.Errorf("%s: headers %v", name, a.header)
		}
		if a.status == 200 && recv.bodies[0] != c.body {
			t.Errorf("%s: the body was changed", name)
		}
	}
}

// Who has no credentials is answered only so often.
func TestPushPasswordsAreNotGuessed(t *testing.T) {
	w := newWorld(t)
	recv := &receiver{}
	w.server.deps.Pushes = recv
	guess := func() int {
		return w.do("POST", PushPath, "", "{}", as("izinli-675403-mesaj", "x"), from("192.0.2.66:1")).status
	}
	spend(w, guess, 401)
	if a := w.do("POST", PushPath, "", "{}", as("x", "x"), from("192.0.2.67:1")); a.status != 401 {
		t.Errorf("from elsewhere: %d, want 401", a.status)
	}
	w.now = w.now.Add(2 * time.Second)
	if got := guess(); got != 401 || len(recv.bodies) != 0 {
		t.Errorf("after a pause: %d with %d pushes, want 401 with none", got, len(recv.bodies))
	}
}
