package httpserve

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Pace bounds how long a transfer of any size may keep us waiting. A server's deadlines are one span for a whole request, which either
// cuts large files off or lets anybody hold a connection; a Pace counts only the time spent waiting for the other side, and gives
// some back for each octet. So a transfer that keeps to Rate on the average goes on for as long as it has to, and one that rests
// longer than Patience ends.
type Pace struct {
	Patience time.Duration // the longest rest
	Rate     int64         // octets a second that must be kept on the average
	Answer   time.Duration // for what follows the transfer; at least Patience
}

// Files is what a file of consents must keep coming in or going out at, whatever its size: two minutes' rest, 256 kbit/s on the
// average.
var Files = Pace{Patience: 2 * time.Minute, Rate: 32 << 10, Answer: 10 * time.Minute}

// ErrSlow is the cause of a transfer that was given up.
var ErrSlow = errors.New("httpserve: the other side was too slow")

// Reader returns body with reads that extend the deadlines of the request w answers. A read that waited too long fails with ErrSlow;
// the answer can be written still.
func (p Pace) Reader(w http.ResponseWriter, body io.Reader) io.Reader {
	return &pacedReader{pacer{p, http.NewResponseController(w), p.Patience}, body}
}

// Writer returns w with writes that extend its deadline; w itself is to be written to no more.
func (p Pace) Writer(w http.ResponseWriter) io.Writer {
	return &pacedWriter{pacer{p, http.NewResponseController(w), p.Patience}, w}
}

type pacer struct {
	Pace
	rc   *http.ResponseController
	left time.Duration // that may be waited from now on
}

// pay counts a wait that brought or took n octets.
func (p *pacer) pay(began time.Time, n int) {
	p.left = min(p.Patience, p.left-time.Since(began)+time.Duration(n)*time.Second/time.Duration(p.Rate))
}

// deadlines sets both. Writers without any (tests) go without.
func (p *pacer) deadlines(read, write time.Time) error {
	err := p.rc.SetWriteDeadline(write)
	if !read.IsZero() {
		err = errors.Join(err, p.rc.SetReadDeadline(read))
	}
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

func slow(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrSlow, err)
	}
	return err
}

type pacedReader struct {
	pacer
	body io.Reader
}

// Read implements io.Reader.
func (r *pacedReader) Read(b []byte) (int, error) {
	began := time.Now()
	if err := r.deadlines(began.Add(r.left), began.Add(r.left+r.Answer)); err != nil {
		return 0, err
	}
	n, err := r.body.Read(b)
	r.pay(began, n)
	if err == io.EOF {
		// While the answer is made the server watches the connection: the old deadline passing would look as if the caller had left.
		late := time.Now().Add(r.Answer)
		if err := r.deadlines(late, late); err != nil {
			return n, err
		}
	}
	return n, slow(err)
}

type pacedWriter struct {
	pacer
	w io.Writer
}

// Write implements io.Writer. The kernel takes what fits its buffers at once, so the wait is for the other side alone.
func (w *pacedWriter) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		part := b[:min(len(b), 32<<10)]
		began := time.Now()
		if err = w.deadlines(time.Time{}, began.Add(w.left)); err != nil {
			break
		}
		var k int
		k, err = w.w.Write(part)
		w.pay(began, k)
		n, b = n+k, b[k:]
	}
	return n, slow(err)
}
