// Package pipetest runs an HTTP server on one end of a pipe, so that its deadlines run on the fake time of a testing/synctest bubble: a
// transfer of hours takes the test milliseconds. A pipe holds nothing: whoever writes waits until the other side reads.
package pipetest

import (
	"context"
	"net"
)

// listener has one connection.
type listener struct {
	conn  chan net.Conn
	ended context.Context
	end   context.CancelFunc
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.ended.Done(): // only when the server closes it: a listener that ends by itself is a server's error
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.end()
	return nil
}

// Addr implements net.Listener.
func (*listener) Addr() net.Addr { return &net.UnixAddr{} }

// Over has serve answer what f sends over its end of the pipe. When f returns, the pipe closes and serve's context ends; Over returns
// what serve does.
func Over(serve func(context.Context, net.Listener) error, f func(net.Conn)) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ln := &listener{conn: make(chan net.Conn, 1)}
	ln.ended, ln.end = context.WithCancel(context.Background())
	mine, its := net.Pipe()
	ln.conn <- its
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln) }()
	f(mine)
	_ = mine.Close()
	cancel()
	return <-done
}
