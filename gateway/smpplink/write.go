package smpplink

import (
	"encoding/binary"
	"fmt"
	"time"

	"izinli/gateway/smpp"
)

// Write appends whole PDUs, which it copies, and waits while the buffer is
// full: use it from HandlePDU, where waiting holds the peer back. It returns
// ErrClosed once the link has ended.
func (l *Link) Write(pdus []byte) error { return l.write(pdus, true) }

// Push is Write that never waits. When a peer does not read and four buffers
// have filled up, the link is ended with ErrSlowPeer.
func (l *Link) Push(pdus []byte) error { return l.write(pdus, false) }

// Respond is Write of one PDU; it allocates.
func (l *Link) Respond(seq uint32, p smpp.PDU) error { return l.Write(p.AppendTo(nil, seq)) }

func (l *Link) write(pdus []byte, wait bool) error {
	answers := countResponses(pdus)
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait {
		l.waitRoomLocked(len(pdus))
	} else if len(l.out)+len(pdus) > overrun*l.cfg.WriteBuffer {
		l.endLocked(ErrSlowPeer, false)
	}
	if l.phase == phaseClosed {
		return ErrClosed
	}
	l.appendLocked(pdus)
	if answers > 0 && l.owed.Add(-answers) <= 0 && l.phase != phaseOpen {
		l.changed.Broadcast()
		l.answerUnbindLocked(time.Now())
	}
	return nil
}

func (l *Link) waitRoomLocked(n int) {
	if len(l.out) == 0 || len(l.out)+n <= l.cfg.WriteBuffer {
		return
	}
	l.stats.stalls.Add(1)
	for l.phase != phaseClosed && len(l.out) > 0 && len(l.out)+n > l.cfg.WriteBuffer {
		l.changed.Wait()
	}
}

// countResponses counts those that answer a request handed to the Handler.
func countResponses(b []byte) (n int64) {
	for len(b) >= smpp.HeaderLen {
		size := int(binary.BigEndian.Uint32(b))
		id := smpp.CommandID(binary.BigEndian.Uint32(b[4:]))
		if id.IsResponse() && id != smpp.EnquireLinkRespID && id != smpp.UnbindRespID {
			n++
		}
		if size < smpp.HeaderLen || size > len(b) {
			break
		}
		b = b[size:]
	}
	return n
}

func (l *Link) appendLocked(b []byte) {
	if len(l.out) == 0 {
		l.work.Signal()
	}
	l.out = append(l.out, b...)
}

// Reserve sets n places in the window and room in the buffer aside, all or
// none. It never waits. Each successful Reserve is followed by SendBatch or
// Unreserve for the same n.
func (l *Link) Reserve(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase != phaseOpen {
		return false
	}
	room := l.cfg.WriteBuffer - len(l.out) - l.win.Reserved()*l.cfg.RequestSize
	if n*l.cfg.RequestSize > room && len(l.out)+l.win.Reserved() > 0 {
		l.starved = true
		return false
	}
	return l.win.Reserve(n)
}

// Unreserve gives n reserved places back.
func (l *Link) Unreserve(n int) {
	l.mu.Lock()
	l.win.Release(n)
	l.mu.Unlock()
	l.freed(n)
}

// SendBatch appends n requests of one kind to the buffer in one critical
// section, using n reserved places: when it returns nil they are handed off,
// all of them. It does not wait for anything but the link's own lock, which
// nobody holds across a system call or a callback. On ErrClosed nothing was
// appended, no Answered follows and the places are given back.
func (l *Link) SendBatch(id smpp.CommandID, n int, r Requests) error {
	sent := time.Since(l.epoch)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase >= phaseUnbinding {
		l.win.Release(n)
		return ErrClosed
	}
	if len(l.out) == 0 {
		l.work.Signal()
	}
	for i := range n {
		seq := l.win.Put(id, sent, pending{reqs: r, index: i})
		l.out = r.AppendPDU(l.out, i, seq)
	}
	return nil
}

// Send reserves a place, appends p and calls done exactly once, as Answered
// is. It returns ErrWindow if there is no place and ErrClosed after the end;
// then done is not called.
func (l *Link) Send(p smpp.PDU, done func(Result)) error {
	if !l.Reserve(1) {
		select {
		case <-l.done:
			return ErrClosed
		default:
			return ErrWindow
		}
	}
	return l.SendBatch(p.CommandID(), 1, &single{p, done})
}

type single struct {
	pdu  smpp.PDU
	done func(Result)
}

func (s *single) AppendPDU(dst []byte, _ int, seq uint32) []byte { return s.pdu.AppendTo(dst, seq) }
func (s *single) Answered(_ int, r Result)                       { s.done(r) }

// writeLoop writes what has gathered until the link has ended and the buffer
// is empty, then shuts the connection.
func (l *Link) writeLoop() {
	var batch []byte
	for {
		var starved bool
		var last bool
		batch, starved, last = l.takeOut(batch[:0])
		if len(batch) == 0 {
			break
		}
		if starved && l.cfg.OnFree != nil {
			l.cfg.OnFree(0)
		}
		timeout := l.cfg.WriteTimeout
		if last {
			timeout = min(timeout, lingerTimeout) // the peer is leaving or lost
		}
		l.conn.SetWriteDeadline(time.Now().Add(timeout))
		n, err := l.conn.Write(batch)
		l.stats.writes.Add(1)
		l.stats.bytesOut.Add(uint64(n))
		if err != nil {
			l.end(fmt.Errorf("smpplink: write: %w", err), false)
			break
		}
	}
	l.shut()
}

// takeOut waits for something to write and swaps buffers. It returns nothing
// when the link has ended and all is written.
func (l *Link) takeOut(empty []byte) (batch []byte, starved, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.out) == 0 && l.phase != phaseClosed {
		l.work.Wait()
	}
	if cap(empty) > 2*l.cfg.WriteBuffer {
		empty = nil // one large payload must not stay for ever
	}
	batch, l.out = l.out, empty
	starved, l.starved = l.starved, false
	l.changed.Broadcast()
	return batch, starved, l.phase == phaseClosed
}

// shut ends the connection: half of it if the reader is to discard the rest,
// all of it otherwise, which also wakes the reader.
func (l *Link) shut() {
	l.mu.Lock()
	linger := l.linger
	l.mu.Unlock()
	if half, ok := l.conn.(interface{ CloseWrite() error }); ok && linger {
		if half.CloseWrite() == nil {
			l.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
			return
		}
	}
	l.conn.Close()
}
