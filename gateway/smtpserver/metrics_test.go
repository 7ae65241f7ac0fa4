package smtpserver

import (
	"testing"

	"izinli/gateway"
)

// Everything the door does for a client is counted once, under what the client was told.
func TestMetrics(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.MaxPerAddress = 1 })
	k := w.dial(SubmissionTLS)
	k.expect("220")
	w.dial(Relay).expect("421")
	k.do("EHLO x", "250")
	k.do("MAIL FROM:<bilgi@ornek.example>", "530")
	k.do("AUTH PLAIN "+b64("\x00"+user+"\x00wrong"), "535")
	k.do("AUTH PLAIN "+b64("\x00"+user+"\x00"+secret), "235")
	k.do("MAIL FROM:<bilgi@baska.example>", "550 5.7.1")
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	k.do("RCPT TO:<noconsent@musteri.example>", "550 5.7.1")
	k.do("RCPT TO:<ali@musteri.example>", "250")
	k.do("DATA", "354")
	k.send("From: bilgi@ornek.example\r\nSubject: x\r\n\r\nbare\rreturn\r\n.\r\n")
	k.expect("550 5.5.2")
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	k.do("RCPT TO:<ali@musteri.example>", "250")
	k.do("DATA", "354")
	k.send("From: bilgi@ornek.example\r\nSubject: x\r\n\r\nmerhaba\r\n.\r\n")
	k.expect("250")

	m := w.srv.Metrics()
	for what, ok := range map[string]bool{
		"open":           m.Open["submissions"] == 1 && m.Open["relay"] == 0,
		"connections":    m.Connections["submissions"] == 1 && m.Connections["relay"] == 0,
		"turned away":    m.TurnedAway[causeAddress] == 1,
		"accepted":       m.Accepted["submissions"] == 1,
		"login":          m.Logins["PLAIN"] == 1 && m.LoginFailures["PLAIN"] == 1,
		"not logged in":  m.Refused[Refusal{"MAIL", "530 5.7.0", ""}] == 1,
		"foreign sender": m.Refused[Refusal{"MAIL", "550 5.7.1", gateway.CodeSender}] == 1,
		"no consent":     m.Refused[Refusal{"RCPT", "550 5.7.1", gateway.CodeNoConsent}] == 1,
		"bare CR":        m.Refused[Refusal{"DATA", "550 5.5.2", ""}] == 1,
		"nothing else":   len(m.Refused) == 4,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, m)
		}
	}
	k.do("QUIT", "221")
	k.gone()
	waitIdle(t, w)
}
