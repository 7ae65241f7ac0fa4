package smppserver

import (
	"context"
	"errors"

	"izinli/gateway"
	"izinli/gateway/smpp"
)

// errBindRefused ends connections that did not get in.
var errBindRefused = errors.New("smppserver: bind was refused")

// bindRequest is a bind free of the reader's buffer.
type bindRequest struct {
	h       smpp.Header
	mode    smpp.BindMode
	version uint8
	system  string
	secret  string
}

// askBind hands a bind to the goroutine that may wait for its judgement. A
// status other than ESME_ROK refuses it at once.
func (c *session) askBind(h smpp.Header, body []byte) smpp.CommandStatus {
	if !c.state.CompareAndSwap(stateOpen, stateBinding) {
		return smpp.StatusAlreadyBound
	}
	var b smpp.Bind
	if err := b.DecodeLimits(h, body, smpp.RelaxedLimits); err != nil {
		c.refuseBind(h, smpp.StatusOf(err), err)
		return smpp.StatusOK
	}
	c.binds <- bindRequest{h, b.Mode, b.InterfaceVersion, string(b.SystemID), string(b.Password)} // room for one, asked once
	return smpp.StatusOK
}

// awaitBind judges the bind of a connection, if one comes before ctx is done.
func (c *session) awaitBind(ctx context.Context) {
	select {
	case <-ctx.Done():
	case q := <-c.binds:
		c.bind(ctx, q)
	}
}

// bind authenticates. Unknown name, wrong password, foreign address and too
// many binds all look alike: ESME_RBINDFAIL.
func (c *session) bind(ctx context.Context, q bindRequest) {
	p, err := c.srv.deps.Auth.Authenticate(ctx, gateway.KindSMPP, q.system, q.secret, c.remote)
	if err == nil && p.Credential.Kind != gateway.KindSMPP {
		err = gateway.Refuse(gateway.CodeUnauthorized, "", "")
	}
	if err != nil {
		c.refuseBind(q.h, statusOf(err), err)
		return
	}
	c.mode, c.version, c.system, c.account, c.principal = q.mode, q.version, p.Credential.ID, p.Account, p
	c.window = int32(c.srv.windowOf(p))
	c.log = c.log.With("system_id", c.system, "account", uint32(p.Account))
	if c.stopping.Load() || !c.srv.join(c) {
		c.refuseBind(q.h, smpp.StatusBindFail, errTooMany)
		return
	}
	c.state.Store(stateBound)
	c.link.Bound()
	resp := smpp.BindResp{Mode: q.mode, SystemID: []byte(c.srv.cfg.SystemID)}
	switch {
	case q.version >= smpp.Version50:
		resp.TLVs = resp.TLVs.AppendUint8(smpp.TagSCInterfaceVersion, smpp.Version50)
	case q.version >= smpp.Version34:
		resp.TLVs = resp.TLVs.AppendUint8(smpp.TagSCInterfaceVersion, smpp.Version34)
	}
	if err := c.link.Respond(q.h.Sequence, &resp); err != nil {
		return
	}
	c.log.Info("client bound", "mode", q.mode.String(), "version", int(q.version), "window", c.srv.windowOf(p))
	if q.mode.CanReceive() { // only now: nothing may come before the bind_resp
		c.srv.receive(c)
	}
}

var errTooMany = errors.New("smppserver: too many binds")

func (c *session) refuseBind(h smpp.Header, st smpp.CommandStatus, err error) {
	c.srv.bindFailures.Add(1)
	c.log.Warn("bind refused", "status", st.String(), "err", err)
	c.refuse(h, st)
	c.link.Close(errBindRefused)
}
