package desk_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// socketDir is short: a socket path has at most 107 octets.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "iz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// serve offers s on a socket until the test ends.
func serve(t *testing.T, s desk.Service) string {
	t.Helper()
	path := desk.SocketPath(socketDir(t))
	ln, err := desk.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- desk.ServeSocket(ctx, ln, s, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := desk.Dial(context.Background(), path); err == nil {
			t.Error("the socket answers after the end")
		}
	})
	return path
}

func dial(t *testing.T, path string) *desk.Client {
	t.Helper()
	c, err := desk.Dial(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Every method of Service is in the table under the name its client uses, and answers the same on both roads.
func TestEveryMethodCrossesTheSocket(t *testing.T) {
	o := furnished(t)
	c := dial(t, serve(t, o.Admin))
	service := reflect.TypeFor[desk.Service]()
	client, admin := reflect.ValueOf(c), reflect.ValueOf(o.Admin)
	for i := range service.NumMethod() {
		m := service.Method(i)
		// The zero argument: most are refused, by the same words on both roads; lists answer the same.
		arg := reflect.New(m.Type.In(1)).Elem()
		args := []reflect.Value{reflect.ValueOf(ctx), arg}
		near, far := admin.MethodByName(m.Name).Call(args), client.MethodByName(m.Name).Call(args)
		nearErr, _ := near[1].Interface().(error)
		farErr, _ := far[1].Interface().(error)
		if (nearErr == nil) != (farErr == nil) || nearErr != nil && nearErr.Error() != farErr.Error() {
			t.Errorf("%s: near %v, far %v", m.Name, nearErr, farErr)
		}
		if nearErr == nil && !reflect.DeepEqual(near[0].Interface(), far[0].Interface()) {
			t.Errorf("%s: near %+v, far %+v", m.Name, near[0], far[0])
		}
	}
	if service.NumMethod() != desk.CallsForTest() {
		t.Errorf("%d methods, %d in the table", service.NumMethod(), desk.CallsForTest())
	}
}

func TestSocketCarriesActsAndRefusals(t *testing.T) {
	o := furnished(t)
	c := dial(t, serve(t, o.Admin))
	who := desk.WithActor(context.Background(), "cli root")
	a, err := c.PutAccount(who, gateway.Account{Name: "Uzak", IYSCode: 675409})
	if err != nil || a.ID != 3 || o.store.Directory().Accounts[3].Name != "Uzak" {
		t.Fatalf("got %+v, %v", a, err)
	}
	if last := o.entries[len(o.entries)-1]; last.Who != "cli root" {
		t.Errorf("the change is %q's", last.Who)
	}
	_, err = c.PutAccount(who, gateway.Account{Name: "Uzak", IYSCode: 1})
	refused(t, err, gateway.CodeInvalid, "iysCode", "6 or 7 digits")
	issued, err := c.CreateCredential(who, desk.NewCredential{Credential: gateway.Credential{Kind: "api", Account: 3}})
	if err != nil || !strings.HasPrefix(issued.Secret, "izk_") {
		t.Errorf("got %+v, %v", issued, err)
	}
	gone, cancel := context.WithCancel(who)
	cancel()
	if _, err := c.ListAccounts(gone, desk.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestListen(t *testing.T) {
	path := serve(t, open(t).Admin)
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", fi.Mode(), err)
	}
	if _, err := desk.Listen(path); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("got %v", err)
	}
	dir := socketDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.Listen(file); err == nil {
		t.Error("a file that is no socket was replaced")
	}
	if _, err := desk.Listen(filepath.Join(dir, strings.Repeat("x", 120))); err == nil || !strings.Contains(err.Error(), "107") {
		t.Errorf("got %v", err)
	}
	// A server that was killed leaves its socket behind.
	stale := filepath.Join(dir, "s")
	ln, err := desk.Listen(stale)
	if err != nil {
		t.Fatal(err)
	}
	ln.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	_ = ln.Close()
	if ln, err = desk.Listen(stale); err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
}

type closer bool

func (c *closer) Close() error { *c = true; return nil }

func TestReach(t *testing.T) {
	own := open(t)
	var closed closer
	opened := 0
	openOwn := func() (desk.Service, io.Closer, error) { opened++; return own.Admin, &closed, nil }
	s, c, err := desk.Reach(ctx, desk.SocketPath(socketDir(t)), openOwn)
	if err != nil || s != desk.Service(own.Admin) || opened != 1 || c.Close() != nil || !bool(closed) {
		t.Errorf("without a server the store is opened: %v, %d", err, opened)
	}
	s, c, err = desk.Reach(ctx, serve(t, open(t).Admin), openOwn)
	if _, ok := s.(*desk.Client); err != nil || !ok || opened != 1 {
		t.Errorf("with a server it is asked: %T, %v, %d", s, err, opened)
	}
	_ = c.Close()
	// A socket that cannot be used is an error, not a reason to open the store beside a running server.
	if os.Getuid() != 0 {
		path := serve(t, open(t).Admin)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := desk.Reach(ctx, path, openOwn); err == nil || opened != 1 {
			t.Errorf("got %v, %d", err, opened)
		}
	}
}
