package smpplink

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"izinli/gateway/smpp"
)

// feed is a connection that brings its input in pieces of n octets and takes
// everything that is written.
type feed struct {
	net.Conn
	in []byte
	n  int
}

func (f *feed) Read(b []byte) (int, error) {
	if len(f.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), f.n)], f.in)
	f.in = f.in[n:]
	return n, nil
}
func (f *feed) Write(b []byte) (int, error)    { return len(b), nil }
func (*feed) Close() error                     { return nil }
func (*feed) SetReadDeadline(time.Time) error  { return nil }
func (*feed) SetWriteDeadline(time.Time) error { return nil }

// FuzzReader: whatever comes, in whatever pieces, the handler gets the same
// PDUs, and framing is lost at the same place.
func FuzzReader(f *testing.F) {
	pdu := (&smpp.SubmitSM{ShortMessage: []byte("hello")}).AppendTo(nil, 1)
	two := (&smpp.EnquireLink{}).AppendTo(bytes.Clone(pdu), 2)
	f.Add(append(two, pdu...), 7)
	f.Add(append(two, "\x00\x00\x00\x0f\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x09"...), 3)
	big := make([]byte, 2000)
	binary.BigEndian.PutUint32(big, 2000)
	binary.BigEndian.PutUint32(big[4:], uint32(smpp.DataSMID))
	f.Add(append(big, pdu...), 1)
	f.Fuzz(func(t *testing.T, in []byte, n int) {
		if n < 1 || n > 5000 || len(in) > 20000 {
			return
		}
		run := func(n int) ([]string, bool) {
			var got []string
			l := New(&feed{in: in, n: n}, Config{ReadBuffer: 512, MaxPDU: 4000}, handlerFunc(func(_ *Link, h smpp.Header, body []byte) {
				if int(h.Length) != len(body)+smpp.HeaderLen {
					t.Fatalf("length %d, body %d", h.Length, len(body))
				}
				got = append(got, h.ID.String()+string(body))
			}))
			err := l.Run(context.Background())
			var fe *smpp.FramingError
			return got, errors.As(err, &fe)
		}
		a, alost := run(n)
		b, blost := run(len(in) + 1)
		if !slices.Equal(a, b) || alost != blost {
			t.Fatalf("in pieces of %d: %d PDUs, framing lost %v; at once: %d, %v", n, len(a), alost, len(b), blost)
		}
	})
}
