//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp"
	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"

	oursmpp "izinli/gateway/smpp"
	"izinli/gateway/sms"
	"izinli/test/stage"
)

// text has all the letters GSM-7 lacks, and needs three segments of UCS-2.
const text = "Sayın üyemiz, güz indirimi başladı: ayakkabı, çanta ve şapkada %40'a varan fırsatlar İzmir, Iğdır ve Muş mağazalarımızda. " +
	"Ağustos'ta kazandığınız puanları da kullanabilirsiniz. Çıkmak için RET yazıp gönderin."

// Who gets what each peer sends: one number for each message.
const (
	toPayload = "+905361000001" // in one message_payload
	toParts   = "+905361000002" // in parts with user data headers
	toShort   = "+905361000003" // a short plain one
)

func everybody(t *testing.T) *stage.Stage {
	s := stage.New(t)
	for _, n := range []string{toPayload, toParts, toShort} {
		s.Consent(s.Seeds.Brand, "BIREYSEL", n, "ONAY")
	}
	s.Run()
	return s
}

// read puts together what the operator received for a number.
func read(t *testing.T, s *stage.Stage, number string) string {
	t.Helper()
	r := sms.NewReassembler(sms.Limits{})
	var whole []sms.Whole
	for _, rec := range s.Reached(number) {
		p := sms.Part{Source: string(rec.Submit.Source.Addr), Destination: number, DataCoding: byte(rec.Submit.DataCoding), Alphabet: sms.AlphabetGSM7,
			Body: rec.Submit.ShortMessage}
		if rec.Submit.ESMClass&oursmpp.ESMUDHI != 0 {
			h, n, err := sms.ParseUDH(p.Body)
			if err != nil {
				t.Fatalf("%s: user data header: %v", number, err)
			}
			p.UDH, p.Body, p.Concat = p.Body[:n], p.Body[n:], h.Concat
		}
		if !p.Concat.Present() {
			out, err := sms.Decode(p.DataCoding, p.UDH, p.Body, p.Alphabet)
			if err != nil {
				t.Fatalf("%s: %v", number, err)
			}
			return out
		}
		whole, _ = r.Add(whole, p, time.Now())
	}
	if len(whole) != 1 {
		t.Fatalf("%s: %d whole messages from %d segments, want 1", number, len(whole), len(s.Reached(number)))
	}
	return whole[0].Text
}

// arrived waits until the operator has what a text needs, and demands the text unharmed.
func arrived(t *testing.T, s *stage.Stage, number, want string) {
	t.Helper()
	segments := 1
	if want == text {
		segments = 0 // at least two, as many as the encoding needs
	}
	stage.Until(t, "the message to "+number, func() error {
		recs := s.Reached(number)
		if segments == 0 && len(recs) > 0 && recs[0].Submit.ESMClass&oursmpp.ESMUDHI != 0 {
			if h, _, err := sms.ParseUDH(recs[0].Submit.ShortMessage); err == nil {
				segments = int(h.Concat.Total)
			}
		}
		if segments == 0 || len(recs) < segments {
			return fmt.Errorf("%d segments of %d", len(recs), segments)
		}
		return nil
	})
	if got := read(t, s, number); got != want {
		t.Errorf("%s received %q, want %q", number, got, want)
	}
}

// peerReport is what the scripts print: the ids they were given and the receipts they got.
type peerReport struct {
	IDs      []string
	Receipts []struct{ ID, Stat string }
}

// script runs a peer with the playground's address, name, password, sender, text and numbers, and holds its report against
// what has to be: every id it was given gets one receipt DELIVRD.
func script(t *testing.T, s *stage.Stage, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	host, port, _ := strings.Cut(s.Server.Addrs["smpp"], ":")
	cmd := exec.CommandContext(ctx, program, append(args, host, port, s.Seeds.SystemID, s.Seeds.Password, s.Seeds.Sender, text,
		strings.TrimPrefix(toPayload, "+"), strings.TrimPrefix(toParts, "+"), strings.TrimPrefix(toShort, "+"))...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", filepath.Base(program), err, out, &stderr)
	}
	var rep peerReport
	if err := json.Unmarshal(out, &rep); err != nil {
		t.Fatalf("report %q: %v\n%s", out, err, &stderr)
	}
	if len(rep.IDs) < 4 {
		t.Errorf("%d ids, want one for each of the parts, the payload and the short message", len(rep.IDs))
	}
	stat := map[string][]string{}
	for _, r := range rep.Receipts {
		stat[r.ID] = append(stat[r.ID], r.Stat)
	}
	for _, id := range rep.IDs {
		if got := stat[id]; len(got) != 1 || got[0] != "DELIVRD" {
			t.Errorf("message %s: receipts %v, want one DELIVRD", id, got)
		}
	}
	arrived(t, s, toPayload, text)
	arrived(t, s, toParts, text)
	arrived(t, s, toShort, "Merhaba")
}

func TestNodeSMPP(t *testing.T) {
	t.Parallel()
	node := stage.Peer(t, "node", "nodejs")
	if _, err := os.Stat("../peers/node_modules/smpp"); err != nil {
		stage.Missing(t, "npm smpp: make peers installs it: "+err.Error())
	}
	script(t, everybody(t), node, "../peers/client.js")
}

func TestPerlNetSMPP(t *testing.T) {
	t.Parallel()
	perl := stage.Peer(t, "perl")
	if out, err := exec.Command(perl, "-MNet::SMPP", "-e1").CombinedOutput(); err != nil {
		stage.Missing(t, "Net::SMPP: "+string(out))
	}
	script(t, everybody(t), perl, "../peers/client.pl")
}

// TestGoSMPP: go-smpp's Transceiver cuts the text itself.
func TestGoSMPP(t *testing.T) {
	t.Parallel()
	s := everybody(t)
	var mu sync.Mutex
	receipts := map[string]string{} // id → text of the receipt
	tx := &smpp.Transceiver{Addr: s.Server.Addrs["smpp"], User: s.Seeds.SystemID, Passwd: s.Seeds.Password, Handler: func(p pdu.Body) {
		if p.Header().ID != pdu.DeliverSMID {
			return
		}
		body := p.Fields()[pdufield.ShortMessage].String()
		id, _, _ := strings.Cut(strings.TrimPrefix(body, "id:"), " ")
		mu.Lock()
		receipts[id] = body
		mu.Unlock()
	}}
	select {
	case st := <-tx.Bind():
		if st.Error() != nil {
			t.Fatalf("bind: %v", st.Error())
		}
	case <-time.After(stage.Patience):
		t.Fatal("no answer to the bind")
	}
	t.Cleanup(func() { tx.Close() })
	parts, err := tx.SubmitLongMsg(&smpp.ShortMessage{Src: s.Seeds.Sender, SourceAddrTON: 5, Dst: strings.TrimPrefix(toParts, "+"), DestAddrTON: 1,
		DestAddrNPI: 1, Text: pdutext.UCS2(text), Register: pdufield.FinalDeliveryReceipt})
	if err != nil {
		t.Fatal(err)
	}
	short, err := tx.Submit(&smpp.ShortMessage{Src: s.Seeds.Sender, SourceAddrTON: 5, Dst: strings.TrimPrefix(toShort, "+"), DestAddrTON: 1,
		DestAddrNPI: 1, Text: pdutext.Raw("Merhaba"), Register: pdufield.FinalDeliveryReceipt})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{short.RespID()}
	for i := range parts {
		ids = append(ids, parts[i].RespID())
	}
	if len(ids) < 3 {
		t.Errorf("%d ids, want one for each part", len(ids))
	}
	stage.Until(t, "the receipts", func() error {
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			if !strings.Contains(receipts[id], "stat:DELIVRD") {
				return fmt.Errorf("of %q there is %q", id, receipts[id])
			}
		}
		return nil
	})
	arrived(t, s, toParts, text)
	arrived(t, s, toShort, "Merhaba")
}

// TestKannel: bearerbox binds as a client, smsbox takes two texts over its own HTTP, and they arrive.
func TestKannel(t *testing.T) {
	t.Parallel()
	bearerbox, smsbox := stage.Peer(t, "bearerbox", "/usr/sbin/bearerbox"), stage.Peer(t, "smsbox", "/usr/sbin/smsbox")
	s := everybody(t)
	k := startKannel(t, s, bearerbox, smsbox)
	stage.Until(t, "Kannel to bind", func() error {
		if n := s.Server.SMPP.Metrics().Binds[s.Seeds.SystemID]; n == 0 {
			return fmt.Errorf("no bind\n%s", k.log())
		}
		return nil
	})
	k.send(t, s.Seeds.Sender, toShort, "Merhaba", "0")
	k.send(t, s.Seeds.Sender, toParts, text, "2")
	arrived(t, s, toShort, "Merhaba")
	arrived(t, s, toParts, text)
	stage.Until(t, "every message to be delivered and its receipt to be taken", func() error {
		if r := stage.VerifyStore(t, s.Store); r.States["delivered"] != 2 {
			return fmt.Errorf("states %v", r.States)
		}
		if m := s.Server.SMPP.Metrics(); m.Delivered < 3 {
			return fmt.Errorf("Kannel acknowledged %d receipts\n%s", m.Delivered, k.log())
		}
		return nil
	})
}
