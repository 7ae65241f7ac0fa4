package mailback

import (
	"context"
	"errors"
	"strings"
	"testing"

	"izinli/gateway"
)

// authored is a store whose messages have an author.
type authored struct {
	*world
	from string
}

func (a authored) Mail(ctx context.Context, id gateway.MessageID) (*gateway.Batch, *gateway.Recipient, error) {
	b, r, err := a.world.Mail(ctx, id)
	if b != nil {
		b.From = a.from
	}
	return b, r, err
}

// What people and machines answer to a return path: a refusal is recorded, other words of a person are refused with where to write to,
// and nothing is said to machines.
func TestReplies(t *testing.T) {
	const person, author = "ali@alici.example", "Örnek <bulten@ornek.example>"
	gone := letter
	gone.Index++
	for _, c := range []struct {
		why, from, author string
		to                gateway.MessageID
		mail              string
		out               bool
		says, never       string // the refusal holds one and not the other; empty: taken
	}{
		{"RET", person, author, letter, "Subject: Re: Haber\n\nRET\n\n22 Kas 2026 Paz 10:00 tarihinde Ornek <b@ornek.example> şunu yazdı:\n> kampanya\n", true, "", ""},
		{"in the subject", person, author, letter, "Subject: RET\n\n", true, "", ""},
		{"from the null path, still a wish", "", author, letter, "Subject: RET\n\n", true, "", ""},
		{"a question", person, author, letter, "Subject: Re: Haber\n\nSiparişim nerede?\n", false, "refusals only, RET as the subject or in plain text; nobody reads anything else here: please write to bulten@ornek.example", "Örnek"},
		{"a question above our own words about refusing", person, author, letter, "Subject: Re: RET yazin\n\nNerede?\n\n> RET yazin\n", false, "bulten@ornek.example", ""},
		{"of an author no reply can name", person, "örnek@ornek.example", letter, "Subject: x\n\nNerede?\n", false, "anything else here", "write to"},
		{"of no author", person, "", letter, "Subject: x\n\nNerede?\n", false, "anything else here", "write to"},
		{"no mail at all", person, author, letter, "\x00\x01", false, "anything else here", ""},
		{"a question, nobody to tell", "", author, letter, "Subject: x\n\nNerede?\n", false, "", ""},
		{"about a message that is deleted", person, author, gone, "Subject: x\n\nNerede?\n", false, "anything else here", "write to"},
		{"RET to a message that is deleted", person, author, gone, "Subject: RET\n\n", false, "No refusal can be recorded", "write to"},
		{"RET to mail of no brand", person, author, system, "Subject: RET\n\n", false, "No refusal can be recorded for the message you answer: please write to bulten@ornek.example", ""},
		{"out of office", person, author, letter, "Subject: RET\nAuto-Submitted: auto-replied\n\nYokum.\n", false, "", ""},
		{"a machine's own mail", person, author, letter, "Subject: x\nAuto-Submitted: auto-generated\n\nx\n", false, "", ""},
		{"a report of delay", person, author, letter, dsn(person, "delayed", "4.4.1", "451 later"), false, "", ""},
		{"a feedback report without its part", person, author, letter, report("feedback-report", "text/plain\n\nx"), false, "", ""},
	} {
		w, in, verp := newInbox(t)
		in.store = authored{w, c.author}
		err := in.Deliver(t.Context(), c.from, []string{verp.Address(c.to)}, strings.NewReader(crlf("From: "+person+"\n"+c.mail)))
		var e *gateway.Error
		switch {
		case c.says == "" && err != nil, c.says != "" && (!errors.As(err, &e) || e.Code != gateway.CodeRefusalsOnly):
			t.Errorf("%s: %v", c.why, err)
		case c.says != "" && (!strings.Contains(e.Text, c.says) || c.never != "" && strings.Contains(e.Text, c.never)):
			t.Errorf("%s: %q, want %q in it and not %q", c.why, e.Text, c.says, c.never)
		}
		if len(w.optouts) > 0 != c.out || c.out && (w.optouts[0].Address != person || w.optouts[0].Route != "mailto" || w.optouts[0].Local) {
			t.Errorf("%s: opt-outs %+v", c.why, w.optouts)
		}
	}
}

// A store that fails is no answer to anybody, and what one of several addresses takes is done though another refuses.
func TestRepliesNotNow(t *testing.T) {
	w, in, verp := newInbox(t)
	w.err = errors.New("disk on fire")
	const question = "From: ali@alici.example\r\n\r\nNerede?\r\n"
	if err := in.Deliver(t.Context(), "ali@alici.example", []string{verp.Address(letter)}, strings.NewReader(question)); !errors.Is(err, w.err) {
		t.Errorf("a store that fails: %v", err)
	}
	w.err = nil
	var e *gateway.Error
	err := in.Deliver(t.Context(), "ali@alici.example", []string{verp.Address(letter), verp.Leave(letter)}, strings.NewReader(question))
	if !errors.As(err, &e) || len(w.optouts) != 1 {
		t.Errorf("%v, opt-outs %+v", err, w.optouts)
	}
}
