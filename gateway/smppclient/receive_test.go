package smppclient_test

import (
	"net"
	"runtime"
	"testing"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
)

// TestWhatOperatorsSend drives one bind by hand.
func TestWhatOperatorsSend(t *testing.T) {
	ends := make(chan net.Conn, 1)
	in := newInbox()
	c, _ := client(t, "pipe:1", func(cfg *smppclient.Config) {
		cfg.DrainTimeout = 10 * time.Millisecond // the peer below does not answer unbind
		cfg.Dial = pipeDial(func(conn net.Conn) {
			h, _, err := readPDU(conn)
			if err != nil {
				return
			}
			// deliver_sm in the same write as bind_resp
			out := (&smpp.BindResp{}).AppendTo(nil, h.Sequence)
			conn.Write((&smpp.DeliverSM{ShortMessage: []byte("early")}).AppendTo(out, 1))
			ends <- conn
		})
	}, in)
	conn := <-ends
	defer conn.Close()
	ask := func(seq uint32, p smpp.PDU) smpp.Header {
		t.Helper()
		if p != nil {
			go conn.Write(p.AppendTo(nil, seq)) // the pipe has no buffer
		}
		h, _, err := readPDU(conn)
		if err != nil {
			t.Fatal(err)
		}
		if h.Sequence != seq {
			t.Errorf("sequence %d, want %d", h.Sequence, seq)
		}
		return h
	}

	d := <-in.c
	d.ack(smpp.StatusOK)
	if h := ask(1, nil); h.ID != smpp.DeliverSMRespID || h.Status != smpp.StatusOK || string(d.Message.ShortMessage) != "early" {
		t.Errorf("early delivery: %+v", h)
	}

	tlvs := (&smpp.Receipt{MessageID: []byte("77"), State: smpp.StateExpired}).AppendTLVs(nil)
	go func() {
		d := <-in.c
		if d.Kind != smppclient.Receipt || d.ReceiptID != "77" || d.Receipt.State != smpp.StateExpired {
			t.Errorf("receipt in data_sm: %+v", d.Delivery)
		}
		d.ack(smpp.StatusOK)
	}()
	if h := ask(2, &smpp.DataSM{TLVs: tlvs}); h.ID != smpp.DataSMRespID || h.Status != smpp.StatusOK {
		t.Errorf("data_sm: %+v", h)
	}

	// alert_notification has no answer; the next one has.
	go conn.Write((&smpp.AlertNotification{}).AppendTo(nil, 3))
	for c.Snapshot()[0].Alerts == 0 {
		runtime.Gosched()
	}
	if h := ask(4, &smpp.SubmitSM{}); h.ID != smpp.SubmitSMRespID || h.Status != smpp.StatusInvBindStatus {
		t.Errorf("submit_sm from an operator: %+v", h)
	}
	bad := (&smpp.DeliverSM{ShortMessage: []byte("hello")}).AppendTo(nil, 5)
	bad[len(bad)-6] = 200 // sm_length
	go conn.Write(bad)
	if h := ask(5, nil); h.ID != smpp.DeliverSMRespID || h.Status != smpp.StatusInvMsgLen {
		t.Errorf("malformed deliver_sm: %+v", h)
	}
	if h := ask(6, &smpp.EnquireLink{}); h.ID != smpp.EnquireLinkRespID {
		t.Errorf("the session did not go on: %+v", h)
	}
}
