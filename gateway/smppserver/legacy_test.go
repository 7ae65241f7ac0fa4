package smppserver

import (
	"strings"
	"testing"
	"time"

	legacy "github.com/fiorix/go-smpp/smpp"
	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"

	"izinli/gateway"
)

// A client that others wrote gets along with the server.
func TestForeignClient(t *testing.T) {
	w := newWorld()
	r := serve(t, w, Config{}, nil)
	got := make(chan pdu.Body, 10)
	c := &legacy.Transceiver{Addr: r.ln.Addr().String(), User: testSystem, Passwd: testSecret, RespTimeout: 10 * time.Second,
		Handler: func(p pdu.Body) {
			if p.Header().ID == pdu.DeliverSMID {
				got <- p
			}
		}}
	if st := <-c.Bind(); st.Status() != legacy.Connected {
		t.Fatalf("bind: %v", st.Error())
	}
	defer c.Close()

	message := func(text pdutext.Codec) *legacy.ShortMessage {
		return &legacy.ShortMessage{Src: "ORNEK", SourceAddrTON: 5, Dst: "905321234567", DestAddrTON: 1, DestAddrNPI: 1,
			Text: text, Register: pdufield.FinalDeliveryReceipt, Validity: time.Hour}
	}
	m := message(pdutext.GSM7("Merhaba {dünya}"))
	if _, err := c.Submit(m); err != nil {
		t.Fatalf("submit: %v", err)
	}
	if s := w.submissions()[0]; s.Text != "Merhaba {dünya}" || s.ValidFor < 59*time.Minute || s.ValidFor > 61*time.Minute {
		t.Errorf("got %q valid for %v", s.Text, s.ValidFor)
	}
	if _, err := c.Submit(message(pdutext.UCS2("Ağır şaka"))); err != nil || w.submissions()[1].Text != "Ağır şaka" {
		t.Errorf("UCS-2: %v %q", err, w.submissions()[1].Text)
	}
	q, err := c.QuerySM("ORNEK", m.RespID(), 5, 0)
	if err != nil || q.MsgState != "ENROUTE" {
		t.Errorf("query: %+v %v", q, err)
	}

	for len(w.changed) > 0 {
		<-w.changed
	}
	text := strings.Repeat("uzun bir mesaj ", 30)
	if parts, err := c.SubmitLongMsg(message(pdutext.GSM7(text))); err != nil || len(parts) != 3 {
		t.Errorf("long: %d parts, %v", len(parts), err)
	}
	<-w.changed
	if s := w.submissions()[2]; s.Text != text || len(s.Raw.Parts) != 3 {
		t.Errorf("long: got %q", s.Text)
	}

	many := message(pdutext.GSM7("x"))
	many.Dst, many.DstList = "", []string{"905321234567", "905321234568"}
	if _, err := c.Submit(many); err != nil || len(w.submissions()[3].To) != 2 {
		t.Errorf("submit_multi: %v", err)
	}

	id, err := gateway.ParseMessageID(m.RespID())
	if err != nil {
		t.Fatal(err)
	}
	d := receiptOf(0)
	d.Message = id
	w.owe(d)
	p := <-got
	if text := p.Fields()[pdufield.ShortMessage].String(); !strings.HasPrefix(text, "id:"+m.RespID()+" sub:001 dlvrd:001 ") {
		t.Errorf("receipt: got %q", text)
	}
	w.settled(t, 0)

	bad := message(pdutext.GSM7("x"))
	bad.Dst = ""
	if _, err := c.Submit(bad); err == nil {
		t.Error("no destination: accepted")
	}
	if _, err := c.Submit(m); err != nil {
		t.Errorf("after it: %v", err)
	}
}
