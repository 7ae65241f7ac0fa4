package stage

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"izinli/gateway/smpp"
)

// Wire is a customer who writes octets: for PDUs no decent client would send.
type Wire struct {
	tb   testing.TB
	conn net.Conn
	seq  uint32
}

// Dial connects to an SMPP listener and does not bind.
func Dial(tb testing.TB, addr string) *Wire {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		tb.Fatal(err)
	}
	return &Wire{tb: tb, conn: conn}
}

// Write sends octets as they are.
func (w *Wire) Write(b []byte) {
	w.tb.Helper()
	if _, err := w.conn.Write(b); err != nil {
		w.tb.Fatalf("write: %v", err)
	}
}

// Read returns the next PDU; enquire_link and deliver_sm are answered on the way and not returned.
func (w *Wire) Read() (smpp.Header, []byte) {
	w.tb.Helper()
	h, body, err := w.read()
	if err != nil {
		w.tb.Fatalf("read: %v", err)
	}
	return h, body
}

func (w *Wire) read() (smpp.Header, []byte, error) {
	for {
		buf := make([]byte, smpp.HeaderLen)
		if _, err := io.ReadFull(w.conn, buf); err != nil {
			return smpp.Header{}, nil, err
		}
		h, err := smpp.ParseHeader(buf, smpp.MaxPDU)
		if err != nil {
			return h, nil, err
		}
		body := make([]byte, h.Length-smpp.HeaderLen)
		if _, err := io.ReadFull(w.conn, body); err != nil {
			return h, nil, err
		}
		switch h.ID {
		case smpp.EnquireLinkID:
			w.Write((&smpp.EnquireLinkResp{}).AppendTo(nil, h.Sequence))
		case smpp.DeliverSMID:
			w.Write((&smpp.DeliverSMResp{}).AppendTo(nil, h.Sequence))
		default:
			return h, body, nil
		}
	}
}

// HangUp closes the connection without unbind.
func (w *Wire) HangUp() { w.conn.Close() }

// Ended reports whether the gateway hangs up; PDUs on the way are returned.
func (w *Wire) Ended() (last []smpp.Header, ended bool) {
	for {
		h, _, err := w.read()
		if err != nil {
			var late net.Error
			return last, !errors.As(err, &late) || !late.Timeout()
		}
		last = append(last, h)
	}
}

// Ask sends one request and returns the answer to it.
func (w *Wire) Ask(p smpp.PDU) (smpp.Header, []byte) {
	w.tb.Helper()
	w.Write(p.AppendTo(nil, w.Next()))
	return w.Read()
}

// Next is the next sequence number.
func (w *Wire) Next() uint32 {
	w.seq++
	return w.seq
}

// Bind binds and returns the status.
func (w *Wire) Bind(mode smpp.BindMode, system, password string) smpp.CommandStatus {
	w.tb.Helper()
	h, _ := w.Ask(&smpp.Bind{Mode: mode, SystemID: []byte(system), Password: []byte(password), InterfaceVersion: smpp.Version34})
	return h.Status
}
