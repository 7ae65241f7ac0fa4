//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"izinli/test/stage"
)

// kannel is bearerbox and smsbox in a directory of their own.
type kannel struct {
	dir  string
	send func(t *testing.T, from, to, text, coding string)
}

// freePort finds a port that is free now: Kannel cannot tell which one it took.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

const kannelConf = `group = core
admin-port = %[1]d
admin-password = admin
admin-interface = 127.0.0.1
smsbox-port = %[2]d
smsbox-interface = 127.0.0.1
log-file = "%[3]s/bearerbox.log"
log-level = 0
box-allow-ip = "127.0.0.1"
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = izinli
host = %[4]s
port = %[5]s
smsc-username = "%[6]s"
smsc-password = "%[7]s"
system-type = ""
transceiver-mode = true
source-addr-ton = 5
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1
msg-id-type = 0

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = %[8]d
sendsms-interface = 127.0.0.1
log-file = "%[3]s/smsbox.log"
log-level = 0

group = sendsms-user
username = u
password = p
max-messages = 10
concatenation = true

group = sms-service
keyword = default
max-messages = 0
text = "ok"
`

func startKannel(t *testing.T, s *stage.Stage, bearerbox, smsbox string) *kannel {
	t.Helper()
	k := &kannel{dir: t.TempDir()}
	host, port, _ := strings.Cut(s.Server.Addrs["smpp"], ":")
	sendsms := freePort(t)
	conf := filepath.Join(k.dir, "kannel.conf")
	text := fmt.Sprintf(kannelConf, freePort(t), freePort(t), k.dir, host, port, s.Seeds.SystemID, s.Seeds.Password, sendsms)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k.run(t, bearerbox, conf)
	stage.Until(t, "bearerbox to be up", func() error {
		b, _ := os.ReadFile(filepath.Join(k.dir, "bearerbox.log"))
		if !strings.Contains(string(b), "MAIN: Start-up done") {
			return fmt.Errorf("%s", b)
		}
		return nil
	})
	k.run(t, smsbox, conf)
	k.send = func(t *testing.T, from, to, text, coding string) {
		t.Helper()
		q := url.Values{"username": {"u"}, "password": {"p"}, "from": {from}, "to": {to}, "text": {text}, "coding": {coding}, "charset": {"UTF-8"},
			"dlr-mask": {"3"}, "dlr-url": {"http://127.0.0.1:1/"}}
		stage.Until(t, "smsbox to take a message", func() error {
			resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/cgi-bin/sendsms?%s", sendsms, q.Encode()))
			if err != nil {
				return err
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				return fmt.Errorf("status %s\n%s", resp.Status, k.log())
			}
			return nil
		})
	}
	return k
}

func (k *kannel) run(t *testing.T, program, conf string) {
	t.Helper()
	cmd := exec.Command(program, conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// log is what both boxes wrote.
func (k *kannel) log() string {
	a, _ := os.ReadFile(filepath.Join(k.dir, "bearerbox.log"))
	b, _ := os.ReadFile(filepath.Join(k.dir, "smsbox.log"))
	return string(a) + string(b)
}
