// Package httpserve runs the HTTP servers of the doors from the first request to the last: they stop taking requests when their context
// ends, let those under way finish, and cut off what takes too long.
//
//	srv := &http.Server{Handler: h, ReadHeaderTimeout: …} // the door's own bounds
//	err := httpserve.Run(ctx, srv, ln, 5*time.Second)
//
// What a door answers and how long a request may take is the door's own business; for transfers whose size nobody knows beforehand
// there is [Pace].
package httpserve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Run serves ln until ctx ends, then takes no more, lets the requests under way finish within grace, cuts the others off, and returns
// nil, or what went wrong with stopping. It closes ln. Requests do not inherit the end of ctx: what has begun is finished.
func Run(ctx context.Context, srv *http.Server, ln net.Listener, grace time.Duration) error {
	srv.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err := srv.Shutdown(late)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		stopped <- err
	})
	err := srv.Serve(ln)
	if stop() { // Serve ended by itself
		return fmt.Errorf("serve: %w", err)
	}
	if err := <-stopped; err != nil { // Serve has returned at once, the running requests have not
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}
