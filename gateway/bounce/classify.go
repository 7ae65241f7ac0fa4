package bounce

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Class is what a failed delivery means for the address and for the route.
type Class string

// The classes (email.md §5).
const (
	ClassAddress   Class = "address"   // does not exist: suppress it
	ClassMailbox   Class = "mailbox"   // disabled: suppress it
	ClassFull      Class = "full"      // over quota: retry; suppress when it stays so
	ClassBlock     Class = "block"     // our mail is unwanted there: alarm, slow the route, never the person's fault
	ClassAuth      Class = "auth"      // SPF, DKIM, DMARC, or the sender itself is not believed: stop the domain, alarm
	ClassTransient Class = "transient" // retry
	ClassContent   Class = "content"   // this message only
	ClassOther     Class = "other"     // nothing known
)

// Suppress reports whether mail to the address should stop at once.
func (c Class) Suppress() bool { return c == ClassAddress || c == ClassMailbox }

// Blocks reports whether the route or the sending domain is in trouble, not the address.
func (c Class) Blocks() bool { return c == ClassBlock || c == ClassAuth }

//go:embed classes.tsv
var classesTSV string

type classRule struct {
	on      string
	pattern string
	text    *regexp.Regexp
	class   Class
}

// rules is the table, read once.
var rules = sync.OnceValue(func() []classRule {
	r, err := parseRules(classesTSV)
	if err != nil {
		panic(err) // the table is part of the program; a test reads it
	}
	return r
})

func parseRules(tsv string) (out []classRule, err error) {
	for i, line := range strings.Split(tsv, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cols := strings.Split(line, "\t")
		if len(cols) != 3 {
			return nil, fmt.Errorf("bounce: classes.tsv:%d: %d columns", i+1, len(cols))
		}
		r := classRule{on: cols[0], pattern: cols[1], class: Class(cols[2])}
		switch r.class {
		case ClassAddress, ClassMailbox, ClassFull, ClassBlock, ClassAuth, ClassTransient, ClassContent, ClassOther:
		default:
			return nil, fmt.Errorf("bounce: classes.tsv:%d: class %q", i+1, r.class)
		}
		switch r.on {
		case "text":
			if r.text, err = regexp.Compile(r.pattern); err != nil {
				return nil, fmt.Errorf("bounce: classes.tsv:%d: %w", i+1, err)
			}
		case "status", "code":
		default:
			return nil, fmt.Errorf("bounce: classes.tsv:%d: on %q", i+1, r.on)
		}
		out = append(out, r)
	}
	return out, nil
}

// Classify judges one failure of a recipient: its enhanced status code (empty without one), its reply code (0 without one) and its text.
func Classify(status string, code int, text string) Class { return classify(status, code, code, text) }

// The commands of SMTP whose refusal means different things.
const (
	CommandMail = "MAIL"
	CommandRcpt = "RCPT"
	CommandData = "DATA" // or BDAT, and the end of the message
)

// ClassifyReply judges a refusal by the command it answered; an empty one is that of RCPT, or no server was asked. What is said to MAIL is
// about us, before any recipient was named. After the data a server may still mean the recipient, who is the only one of the
// transaction here, but has to say so: by an enhanced code or in words. The bare reply code is about the message.
func ClassifyReply(command, status string, code int, text string) Class {
	switch command {
	case CommandMail:
		c := classify(status, code, code, text)
		switch {
		case c.Suppress():
			return ClassBlock
		case c == ClassFull: // RFC 5321 §4.2.3: 552 is also a message too large, 452 the server's own storage
			return ClassOther
		}
		return c
	case CommandData:
		return classify(status, code, 0, text)
	}
	return Classify(status, code, text)
}

// classify takes the reply code twice: as it was, for what is temporary, and as far as it may decide.
func classify(status string, code, deciding int, text string) Class {
	if len(text) > maxDiagnostic {
		text = text[:maxDiagnostic]
	}
	low := strings.ToLower(text)
	if status != "" {
		low = status + " " + low
	}
	// A temporary failure never costs anybody their address, whatever its text says.
	temporary := strings.HasPrefix(status, "4") || status == "" && code/100 == 4
	for _, r := range rules() {
		if !r.fits(status, deciding, low) {
			continue
		}
		if temporary && (r.class.Suppress() || r.class == ClassContent || r.class == ClassOther) {
			return ClassTransient
		}
		return r.class
	}
	if temporary {
		return ClassTransient
	}
	return ClassOther
}

func (r *classRule) fits(status string, code int, low string) bool {
	switch r.on {
	case "text":
		return r.text.MatchString(low)
	case "status":
		return status != "" && fitsParts(strings.Split(status, "."), strings.Split(r.pattern, "."))
	}
	return code > 0 && fitsParts(strings.Split(fmt.Sprint(code), ""), strings.Split(r.pattern, ""))
}

func fitsParts(got, pattern []string) bool {
	if len(got) != len(pattern) {
		return false
	}
	for i := range got {
		if pattern[i] != "*" && pattern[i] != got[i] {
			return false
		}
	}
	return true
}
