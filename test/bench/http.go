package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// httpConn is one kept-alive connection. It writes requests made beforehand and reads just enough of the answers, so that the
// generator costs little.
type httpConn struct {
	c net.Conn
	r *bufio.Reader
}

func dialHTTP(addr string) (*httpConn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &httpConn{c: c, r: bufio.NewReaderSize(c, 64<<10)}, nil
}

// request writes POST /v1/messages with the body; it does not change afterwards.
func request(addr, key string, body []byte) []byte {
	head := fmt.Sprintf("POST /v1/messages HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		addr, key, len(body))
	return append([]byte(head), body...)
}

// do sends a request and returns status and body of the answer; the body is valid until the next call.
func (h *httpConn) do(req, into []byte) (status int, body []byte, err error) {
	h.c.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := h.c.Write(req); err != nil {
		return 0, nil, err
	}
	length, chunked := -1, false
	for first := true; ; first = false {
		line, err := h.r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			if len(line) < 12 {
				return 0, nil, fmt.Errorf("no status in %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, nil, err
			}
			continue
		}
		if len(line) == 0 {
			break
		}
		switch name, value, _ := bytes.Cut(line, []byte(":")); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, nil, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	if chunked {
		body, err = h.chunks()
		return status, body, err
	}
	if length < 0 {
		return status, nil, errors.New("answer without Content-Length")
	}
	if cap(into) < length {
		into = make([]byte, length)
	}
	into = into[:length]
	_, err = io.ReadFull(h.r, into)
	return status, into, err
}

// chunks reads a chunked body, which ends with an empty trailer.
func (h *httpConn) chunks() ([]byte, error) {
	body, err := io.ReadAll(httputil.NewChunkedReader(h.r))
	if err != nil {
		return nil, err
	}
	_, err = h.r.Discard(len("\r\n"))
	return body, err
}

// batchAnswer is what is read of the answer to a submission.
type batchAnswer struct {
	Accepted int `json:"accepted"`
	Dropped  int `json:"dropped"`
	Refused  int `json:"refused"`
}

// bulk is HTTP load of large requests.
type bulk struct {
	addr, key string
	conns     int
	requests  [][]byte
	drops     bool         // the gateway may drop recipients: they opted out meanwhile
	done      atomic.Int64 // requests answered
}

// run sends all requests over conns connections and returns how many recipients were accepted.
func (b *bulk) run(ctx context.Context) (accepted int, took latencies, err error) {
	var next, ok atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	var errs error
	for range b.conns {
		h, err := dialHTTP(b.addr)
		if err != nil {
			return 0, nil, err
		}
		wg.Go(func() {
			defer h.c.Close()
			var mine latencies
			err := func() error {
				for ctx.Err() == nil {
					i := int(next.Add(1)) - 1
					if i >= len(b.requests) {
						return nil
					}
					began := time.Now()
					status, body, err := h.do(b.requests[i], nil)
					if err != nil {
						return err
					}
					mine = append(mine, time.Since(began))
					var a batchAnswer
					if err := json.Unmarshal(body, &a); err != nil || status != 202 || a.Refused > 0 || a.Dropped > 0 && !b.drops {
						return fmt.Errorf("status %d: %.300s", status, body)
					}
					ok.Add(int64(a.Accepted))
					b.done.Add(1)
				}
				return ctx.Err()
			}()
			mu.Lock()
			took = append(took, mine...)
			errs = errors.Join(errs, err)
			mu.Unlock()
		})
	}
	wg.Wait()
	return int(ok.Load()), took, errs
}

// bulkSize is how many recipients a bulk request has.
const bulkSize = 10_000

// campaign says what bulk requests contain: n messages with references from first, in requests of size recipients.
type campaign struct {
	first, n, size int
	vars           bool              // each recipient has its variables, one of them the reference
	number         func(ref int) int // destination, as an index for numberOf
	sendAt         time.Time
}

// build writes the requests.
func (c *campaign) build(addr, key string) (out [][]byte) {
	for at := 0; at < c.n; at += c.size {
		var b bytes.Buffer
		text := "Sayin musterimiz, yeni sezon urunleri magazamizda sizi bekliyor."
		if c.vars {
			text = "Sayin {{ad}}, yeni sezon urunleri magazamizda sizi bekliyor. Bilgi no {{no}}"
		}
		fmt.Fprintf(&b, `{"channel":"sms","class":"commercial","brand":"%s","from":"%s","text":"%s",`, brandCode, senderName, text)
		if !c.sendAt.IsZero() {
			fmt.Fprintf(&b, `"sendAt":"%s",`, c.sendAt.Format(time.RFC3339))
		}
		b.WriteString(`"to":[`)
		for i := at; i < min(at+c.size, c.n); i++ {
			if i > at {
				b.WriteByte(',')
			}
			ref := c.first + i
			to := c.number(ref)
			if c.vars {
				fmt.Fprintf(&b, `{"address":"%s","ref":"c%d","vars":{"ad":"Ayse Yilmaz","no":"%0*d"}}`, numberOf(to), ref, refDigits, ref)
			} else {
				fmt.Fprintf(&b, `"%s"`, numberOf(to))
			}
		}
		b.WriteString(`]}`)
		out = append(out, request(addr, key, b.Bytes()))
	}
	return out
}

// singles is HTTP load of one message a request.
type singles struct {
	addr, key string
	conns, n  int
	class     string
	number    func(ref int) int
	every     time.Duration                    // between two requests of all connections together, whatever the answers do; 0: as fast as they come
	sent      func(ref int, due time.Duration) // called just before a request is written, with when it was due by clock; may be nil
	stop      func() bool                      // ends early; may be nil
	first     int                              // reference
}

// run sends n messages and returns how many were accepted.
func (s *singles) run(ctx context.Context) (accepted int, took latencies, err error) {
	var next, ok atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	var errs error
	began := clock()
	for range s.conns {
		h, err := dialHTTP(s.addr)
		if err != nil {
			return 0, nil, err
		}
		wg.Go(func() {
			defer h.c.Close()
			mine, n, err := s.connection(ctx, h, &next, began)
			ok.Add(int64(n))
			mu.Lock()
			took = append(took, mine...)
			errs = errors.Join(errs, err)
			mu.Unlock()
		})
	}
	wg.Wait()
	return int(ok.Load()), took, errs
}

func (s *singles) connection(ctx context.Context, h *httpConn, next *atomic.Int64, start time.Duration) (took latencies, accepted int, err error) {
	body := fmt.Sprintf(`{"channel":"sms","class":"%s","brand":"%s","from":"%s","text":"Dogrulama ve bilgi metni, no 00000000","to":["%s"]}`,
		s.class, brandCode, senderName, numberOf(0))
	req := request(s.addr, s.key, []byte(body))
	ref := bytes.Index(req, []byte("no 00000000")) + 3
	num := bytes.LastIndex(req, []byte(numberPrefix)) + len(numberPrefix)
	answer := make([]byte, 1024)
	for ctx.Err() == nil && (s.stop == nil || !s.stop()) {
		i := int(next.Add(1)) - 1
		if i >= s.n {
			return took, accepted, nil
		}
		i += s.first
		putDigits(req[ref:ref+refDigits], i)
		putDigits(req[num:num+numberDigits], s.number(i))
		due := start + time.Duration(i-s.first)*s.every
		if wait := due - clock(); s.every > 0 && wait > 0 {
			select {
			case <-ctx.Done():
				return took, accepted, ctx.Err()
			case <-time.After(wait):
			}
		}
		if s.sent != nil {
			s.sent(i, due)
		}
		began := time.Now()
		status, body, err := h.do(req, answer)
		if err != nil {
			return took, accepted, err
		}
		took = append(took, time.Since(began))
		if status != 202 || !bytes.Contains(body, []byte(`"accepted":1,`)) {
			return took, accepted, fmt.Errorf("status %d: %.300s", status, body)
		}
		accepted++
	}
	return took, accepted, ctx.Err()
}
