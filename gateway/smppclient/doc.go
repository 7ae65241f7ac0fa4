// Package smppclient is our ESME side towards one operator: it dials, binds,
// keeps the binds up and paces what goes out. It refuses to know what a
// message is worth, who may receive it and which operator is best: it moves
// the submit_sm it is given and tells what became of each.
//
//	c, err := smppclient.New(cfg, deliveries)
//	go c.Run(ctx)
//	...
//	r, ok := c.TryReserve(len(segments), smppclient.Transactional)
//	if !ok { wait for cfg.OnReady or a bind's Ready and try again }
//	// the last check goes here, under whatever lock it needs
//	err = r.Commit(segments, func(seg int, o smppclient.Outcome) { … })
//
// # Pace
//
// A reservation covers places in one bind's window and tokens of its rate for
// all segments of a message. Commercial traffic may hold at most 80 % of
// both, so that a code someone waits for never stands behind a campaign. Who
// is served first when something becomes free is the caller's business.
// ESME_RTHROTTLED pauses a bind for 1 s, doubling to 60 s; ESME_RMSGQFUL for
// 5 s, doubling to 120 s.
//
// # Truth
//
// After Commit has returned nil every segment gets exactly one Outcome. With
// ErrTimeout or ErrLinkLost the operator may or may not have the message; a
// response that comes after the time-out is told too, as a Late one. After
// Commit has returned an error nothing was sent and done is not called.
//
// # Deliveries
//
// Receipts and mobile-originated messages go to a Handler, which acknowledges
// each when it has stored it, from any goroutine, in any order. What is not
// acknowledged is not answered, and the operator sends it again.
package smppclient
