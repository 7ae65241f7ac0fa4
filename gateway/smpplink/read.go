package smpplink

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"izinli/gateway/smpp"
)

// readLoop reads until the connection or the framing ends. It returns why.
func (l *Link) readLoop() (err error) {
	defer recovered(&err)
	buf := make([]byte, l.cfg.ReadBuffer)
	start, end := 0, 0
	timed := false // a read deadline is set for the PDU at start
	for {
		n, err := l.conn.Read(buf[end:])
		end += n
		if n > 0 {
			used, need, derr := l.readBatch(buf[start:end], n)
			start += used
			if derr != nil {
				return derr
			}
			buf, start, end = makeRoom(buf, start, end, need)
			timed = l.setReadDeadline(start < end, timed && used == 0)
			if l.ended() { // after the deadline was touched: shut sets its own later
				return ErrClosed
			}
		}
		if err != nil {
			return readError(err)
		}
	}
}

func (l *Link) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func readError(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return ErrPeerClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrSlowPDU
	}
	return fmt.Errorf("smpplink: read: %w", err)
}

// setReadDeadline bounds the time a half-read PDU takes: from when it began,
// not from its last octet, so that a trickle cannot hold the link.
func (l *Link) setReadDeadline(partial, running bool) (timed bool) {
	switch {
	case partial && !running:
		l.conn.SetReadDeadline(time.Now().Add(l.cfg.ReadPDUTimeout))
	case !partial:
		l.conn.SetReadDeadline(time.Time{})
	}
	return partial
}

// makeRoom moves the rest of buf to its start when there is no room behind
// it, and grows buf for a PDU of need octets.
func makeRoom(buf []byte, start, end, need int) ([]byte, int, int) {
	if start == end {
		return buf, 0, 0
	}
	if need > len(buf) {
		bigger := make([]byte, need)
		return bigger, 0, copy(bigger, buf[start:end])
	}
	if start+need > len(buf) || end == len(buf) {
		return buf, 0, copy(buf, buf[start:end])
	}
	return buf, start, end
}

// readBatch hands over every whole PDU in b. It returns how much of b was
// used and how many octets the PDU that follows has.
func (l *Link) readBatch(b []byte, fresh int) (used, need int, err error) {
	now := time.Now()
	l.stats.bytesIn.Add(uint64(fresh))
	l.mu.Lock()
	l.timers.Heard(now)
	l.mu.Unlock()
	freed := 0
	need = smpp.HeaderLen
	for {
		h, herr := smpp.ParseHeader(b[used:], l.cfg.MaxPDU)
		if errors.Is(herr, smpp.ErrShort) {
			break
		}
		if herr != nil {
			err = l.framingLost(h, herr)
			break
		}
		if need = int(h.Length); need > len(b)-used {
			break
		}
		l.stats.pdusIn.Add(1)
		if h.ID.IsResponse() {
			freed += l.response(h, b[used+smpp.HeaderLen:used+need], now)
		} else if err = l.request(h, b[used+smpp.HeaderLen:used+need], now); err != nil {
			break
		}
		used += need
		need = smpp.HeaderLen
	}
	if l.batcher != nil {
		l.batcher.EndBatch(l)
	}
	l.freed(freed)
	return used, need, err
}

// response finds the request that h answers. It returns how many places in
// the window that freed.
func (l *Link) response(h smpp.Header, body []byte, now time.Time) int {
	if h.ID == smpp.EnquireLinkRespID {
		return 0 // to have been heard is all it is for
	}
	l.mu.Lock()
	t, ok := l.win.Take(h)
	if !ok {
		t, ok = l.win.TakeBind(h)
	}
	switch {
	case ok && l.phase != phaseOpen:
		l.changed.Broadcast()
		l.answerUnbindLocked(now)
	case !ok && l.phase == phaseUnbinding && (h.ID == smpp.UnbindRespID || h.ID == smpp.GenericNackID):
		l.unbound = true
		l.changed.Broadcast()
	}
	var reqs LateRequests
	if !ok {
		t, reqs = l.takeLateLocked(h)
	}
	l.mu.Unlock()
	switch res := (Result{Kind: Answered, Header: h, Body: body, RTT: now.Sub(l.epoch) - t.Sent}); {
	case ok:
		t.Token.reqs.Answered(t.Token.index, res)
		return 1
	case reqs != nil:
		l.stats.late.Add(1)
		reqs.AnsweredLate(t.Token.index, res)
		return 0
	}
	if h.ID != smpp.UnbindRespID {
		l.stats.strays.Add(1)
		if l.cfg.OnStray != nil {
			l.cfg.OnStray(h, body)
		}
	}
	return 0
}

// request serves what the link can serve itself and hands over the rest. An
// error ends the link.
func (l *Link) request(h smpp.Header, body []byte, now time.Time) error {
	switch {
	case h.ID == smpp.EnquireLinkID:
		var buf [smpp.HeaderLen]byte
		return l.Write((&smpp.EnquireLinkResp{}).AppendTo(buf[:0], h.Sequence))
	case h.ID == smpp.UnbindID:
		l.mu.Lock()
		l.phase = max(l.phase, phaseDraining)
		l.peer = peerUnbind{asked: true, seq: h.Sequence, deadline: now.Add(l.cfg.DrainTimeout)}
		l.answerUnbindLocked(now)
		l.changed.Broadcast()
		l.mu.Unlock()
		return nil
	case !h.ID.Known():
		l.stats.nacks.Add(1)
		return l.refuse(h, smpp.StatusInvCmdID)
	case l.peerLeaving():
		return l.refuse(h, smpp.StatusInvBindStatus)
	}
	if h.ID.WantsResponse() {
		l.owed.Add(1)
	}
	l.handler.HandlePDU(l, h, body)
	return nil
}

func (l *Link) refuse(h smpp.Header, status smpp.CommandStatus) error {
	pdu := smpp.AppendRefusal(nil, h, status)
	l.owed.Add(countResponses(pdu))
	return l.Write(pdu)
}

func (l *Link) peerLeaving() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peer.asked
}

// framingLost says so to the peer; the caller ends the link.
func (l *Link) framingLost(h smpp.Header, err error) error {
	l.stats.nacks.Add(1)
	nack := &smpp.GenericNack{Status: smpp.StatusInvCmdLen}
	l.owed.Add(1)
	if werr := l.Write(nack.AppendTo(nil, h.Sequence)); werr != nil {
		return werr
	}
	return fmt.Errorf("smpplink: %w", err)
}

// discard reads on for a moment after the link ended by our will. A socket
// closed with unread input resets the connection, and the peer would lose
// what we wrote last.
func (l *Link) discard() {
	l.mu.Lock()
	linger := l.linger
	l.mu.Unlock()
	if !linger {
		return
	}
	l.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	buf := make([]byte, 4096)
	for {
		if _, err := l.conn.Read(buf); err != nil {
			return
		}
	}
}
