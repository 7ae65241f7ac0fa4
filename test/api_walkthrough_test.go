package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"izinli/cmd/assembly"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smpp"
	"izinli/gateway/smpptest"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// TestWalkthrough sets a gateway up as an administrator does, by the command line alone and without the demo, and sends a
// message over it: account, brand, sender, credential, operator and route, first while no server runs, then on a running one.
func TestWalkthrough(t *testing.T) {
	t.Parallel()
	operator, err := smpptest.Start(smpptest.Config{Record: true, Accounts: map[string]string{"izinli": "op-secr1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(operator.Close)
	registry := iystest.New(assembly.FastIYS())
	registry.AddProvider(iystest.Provider{IYSCode: "675403", Title: "Örnek A.Ş.", TIN: "1234567890",
		Brands: []iystest.Brand{{Code: "675403", Name: "Örnek", Master: true}}})
	registry.AddUser(iystest.User{Username: "api@ornek.example", Password: "parola", IntegratorCode: "700001"})
	registry.Grant("700001", "675403", "MESAJ", "write")
	at := time.Now().Add(-30 * 24 * time.Hour)
	registry.Put(iystest.Movement{IYSCode: "675403", BrandCode: "675403", Recipient: "+905321234567", RecipientType: "BIREYSEL", Type: "MESAJ",
		Status: "ONAY", Source: "HS_WEB", ConsentDate: at, CreationDate: at})
	lawServer, err := iystest.Listen(registry, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lawServer.Close() })

	c := newCLI(t)
	var acct gateway.Account
	c.json(&acct, "", "account", "add", "--name", "Örnek A.Ş.", "--iys-code", "675403")
	a := fmt.Sprint(acct.ID)
	c.run("parola", "iys-link", "add", "--name", "main", "--base-url", lawServer.URL, "--username", "api@ornek.example", "--integrator-code", "700001",
		"--password-file", "-")

	srv := c.serve()
	c.run("", "brand", "add", "--account", a, "--code", "675403", "--name", "Örnek", "--iys", "main", "--sms-mode", "partner")
	c.run("", "sender", "add", "--account", a, "--name", "ORNEK", "--brand", "675403", "--approved")
	c.run("op-secr1", "operator", "add", "--name", "op1", "--addr", operator.Addr(), "--system-id", "izinli", "--password-file", "-")
	c.run("", "route", "add", "--id", "default", "--operators", "op1")
	c.run("", "credit", "add", a, "100", "--note", "invoice 1")
	var key, bind desk.Issued
	c.json(&key, "", "credential", "add", "--account", a, "--kind", "api", "--name", "web", "--from", "ORNEK")
	c.json(&bind, "", "credential", "add", "--account", a, "--kind", "smpp", "--id", "ornek", "--from", "ORNEK")

	api := stage.NewAPI(t, srv.addrs["api"], key.Secret)
	stage.Until(t, "the gateway to be ready", func() error {
		if ans := api.Call("GET", "/readyz", nil); ans.Status != 200 {
			return fmt.Errorf("%d %s", ans.Status, ans.Body)
		}
		return nil
	})
	res := api.Send(stage.Body{"text": "Güz indirimi başladı", "to": []string{"0532 123 45 67", "0532 123 45 68"}})
	if res.Accepted != 2 {
		t.Fatalf("answer %+v, want two messages accepted", res)
	}
	v := api.AwaitBatch(res.Batch, gateway.StateDelivered, gateway.StateDropped)
	if v.States["delivered"] != 1 || v.Reasons["no_consent"] != 1 {
		t.Errorf("states %v, reasons %v; want one delivered and one without consent", v.States, v.Reasons)
	}
	if got := operator.Submits(); len(got) != 1 || string(got[0].Submit.Dest.Addr) != "905321234567" {
		t.Errorf("the operator received %d messages, want one for the person who agreed", len(got))
	}
	w := stage.Dial(t, srv.addrs["smpp"])
	if st := w.Bind(smpp.BindTRX, "ornek", bind.Secret); st != smpp.StatusOK {
		t.Errorf("bind with the credential just made: %s", st)
	}
	w.HangUp()
	if out := c.run("", "message", "show", res.Messages[0].ID.String()); !strings.Contains(out, "delivered") || !strings.Contains(out, "consent_onay") {
		t.Errorf("message show tells neither state nor decision:\n%s", out)
	}
	var balance gateway.Balance
	api.Must(200, "GET", "/v1/balance", nil, &balance)
	if balance.Credits != 99 {
		t.Errorf("balance %d, want 99: one message of one segment", balance.Credits)
	}

	srv.stop()
	if out := c.run("", "verify"); out == "" {
		t.Error("verify of the stopped store says nothing")
	}
}

// cli is the command line on a configuration of its own, as a process.
type cli struct {
	t           *testing.T
	bin, config string
}

func newCLI(t *testing.T) *cli {
	t.Helper()
	dir, err := os.MkdirTemp("", "walk") // t.TempDir may exceed the 107 octets of a socket path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &cli{t: t, bin: filepath.Join(dir, "izinli"), config: filepath.Join(dir, "izinli.yaml")}
	if out, err := exec.Command("go", "build", "-o", c.bin, "../cmd/izinli").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	yaml := fmt.Sprintf(`data: %[1]s/data
listen: {api: "127.0.0.1:0", ops: "127.0.0.1:0", smpp: "127.0.0.1:0", smppTls: "", panel: "", public: "", smtp: "", smtps: "", relay: ""}
quietHours: false
store: {keyFile: %[1]s/store.key, reserve: 64 MiB, memory: 64 MiB}
log: {level: info, format: json}
`, dir)
	if err := os.WriteFile(c.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cli) command(args ...string) *exec.Cmd {
	return exec.Command(c.bin, append([]string{"--config", c.config}, args...)...)
}

// run returns what a command prints that must succeed.
func (c *cli) run(stdin string, args ...string) string {
	c.t.Helper()
	cmd := c.command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("izinli %s: %v\n%s", strings.Join(args, " "), err, &errOut)
	}
	return out.String()
}

// json is run with --json, read into v.
func (c *cli) json(v any, stdin string, args ...string) {
	c.t.Helper()
	out := c.run(stdin, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		c.t.Fatalf("izinli %s: %v in %s", strings.Join(args, " "), err, out)
	}
}

// server is a running `izinli serve`.
type server struct {
	t     *testing.T
	cmd   *exec.Cmd
	addrs map[string]string
	done  chan error

	mu  sync.Mutex
	log []string
}

// serve starts the server and reads its addresses from its log.
func (c *cli) serve() *server {
	c.t.Helper()
	s := &server{t: c.t, cmd: c.command("serve"), addrs: map[string]string{}, done: make(chan error, 1)}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		s.read(stderr)
		s.done <- s.cmd.Wait()
	}()
	c.t.Cleanup(func() {
		s.stop()
		if c.t.Failed() {
			c.t.Logf("izinli serve:\n%s", strings.Join(s.log, "\n"))
		}
	})
	stage.Until(c.t, "the server to tell its addresses", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.addrs["api"] == "" || s.addrs["smpp"] == "" {
			return fmt.Errorf("log:\n%s", strings.Join(s.log, "\n"))
		}
		return nil
	})
	return s
}

func (s *server) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var l struct{ Msg, Listener, Addr string }
		s.mu.Lock()
		if !bytes.Contains(lines.Bytes(), []byte(`"http request"`)) {
			s.log = append(s.log, lines.Text())
		}
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "listening" {
			s.addrs[l.Listener] = l.Addr
		}
		s.mu.Unlock()
	}
}

// stop ends the server in order; a second call does nothing.
func (s *server) stop() {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself, which its answer tells
	if err := <-s.done; err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.t.Errorf("izinli serve ended with %v\n%s", err, strings.Join(s.log, "\n"))
	}
}
