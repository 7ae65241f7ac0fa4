package operators

import (
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
)

// What an operator refuses is tried again where its status says that this may help, a few times where it may not.
func TestAnswerByStatus(t *testing.T) {
	for _, c := range []struct {
		status      smpp.CommandStatus
		first, last dispatch.AnswerVerdict // of attempts 1 to 4, and from 5 on
	}{
		{smpp.StatusOK, dispatch.Taken, dispatch.Taken},
		// Passing trouble: for as long as the message is valid.
		{smpp.StatusThrottled, dispatch.TryLater, dispatch.TryLater},
		{smpp.StatusMsgQueueFull, dispatch.TryLater, dispatch.TryLater},
		{smpp.StatusSysErr, dispatch.TryLater, dispatch.TryLater},
		{smpp.StatusTempAppErr, dispatch.TryLater, dispatch.TryLater},
		{smpp.StatusInvBindStatus, dispatch.TryLater, dispatch.TryLater},
		{smpp.StatusServiceUnavail, dispatch.TryLater, dispatch.TryLater},
		{smpp.StatusBindFail, dispatch.TryLater, dispatch.TryLater},
		// Nobody knows: a few times.
		{smpp.StatusSubmitFail, dispatch.TryLater, dispatch.Refused},
		{smpp.StatusUnknownErr, dispatch.TryLater, dispatch.Refused},
		{0x0000040A, dispatch.TryLater, dispatch.Refused}, // a vendor's own
		{0x00000510, dispatch.TryLater, dispatch.Refused}, // reserved
		// Never again.
		{smpp.StatusInvDstAddr, dispatch.Refused, dispatch.Refused},
		{smpp.StatusInvSrcAddr, dispatch.Refused, dispatch.Refused},
		{smpp.StatusInvMsgLen, dispatch.Refused, dispatch.Refused},
		{smpp.StatusRejectAppErr, dispatch.Refused, dispatch.Refused},
		{smpp.StatusInvSystemID, dispatch.Refused, dispatch.Refused},
	} {
		for attempt := 1; attempt <= 7; attempt++ {
			want := c.first
			if attempt >= 5 {
				want = c.last
			}
			got := answerOf(smppclient.Outcome{Status: c.status, MessageID: "7"}, attempt)
			if got.Verdict != want {
				t.Errorf("%s at attempt %d is verdict %d, want %d", c.status, attempt, got.Verdict, want)
			}
			if want != dispatch.Taken && got.Err != c.status.String() {
				t.Errorf("%s is told as %q", c.status, got.Err)
			}
		}
	}
	if got := answerOf(smppclient.Outcome{Err: smppclient.ErrTimeout}, 1); got.Verdict != dispatch.Doubt {
		t.Errorf("no answer is verdict %d, want doubt", got.Verdict)
	}
}

// sealed is a store whose secrets are in the clear.
type sealed struct{ Store }

func (sealed) Unseal(s gateway.Sealed) (string, error) { return string(s), nil }

// The wait for an answer is what the directory, the configuration and the command line say it is.
func TestResponseTimeout(t *testing.T) {
	m := New(Config{}, sealed{}, nil, nil)
	for given, want := range map[time.Duration]time.Duration{0: time.Minute, 5 * time.Second: 5 * time.Second} {
		cfg, err := m.clientConfig(&gateway.Operator{Name: "op1", Addr: "127.0.0.1:1", SystemID: "s", ResponseTimeout: given}, &carrier{})
		if err != nil || cfg.ResponseTimeout != want {
			t.Errorf("%v is taken for %v, %v; want %v", given, cfg.ResponseTimeout, err, want)
		}
	}
}
