package bounce

import (
	"regexp"
	"strings"

	"github.com/emersion/go-message"
)

// subjects that announce a bounce, lower case.
var subjects = []string{"undelivered mail", "undeliverable", "delivery status notification", "delivery failure", "failure notice", "mail delivery failed",
	"returned mail", "delivery has failed", "mail delivery system", "could not be delivered", "teslim edilemedi", "iletilemedi"}

var mailerRE = regexp.MustCompile(`(?i)\b(mailer-daemon|postmaster|mail delivery (sub)?system)\b`)

// unmarked decides about a mail that is no report by its type: a plain bounce, an automatic reply, or neither.
func (rep *Report) unmarked(e *message.Entity) {
	if rep.Kind == KindDSN {
		return
	}
	if rep.Complaint != nil {
		rep.Kind = KindComplaint
		rep.complain()
		return
	}
	subject := strings.ToLower(text(e, "Subject"))
	announced := false
	for _, s := range subjects {
		announced = announced || strings.Contains(subject, s)
	}
	auto := strings.ToLower(firstWord(e.Header.Get("Auto-Submitted")))
	switch {
	case e.Header.Get("X-Failed-Recipients") != "", announced && mailerRE.MatchString(text(e, "From")):
		rep.Kind = KindPlain
		rep.plain(e)
	case strings.HasPrefix(auto, "auto-replied") && !announced, e.Header.Get("X-Autoreply") != "", e.Header.Get("X-Autorespond") != "":
		rep.Kind = KindAutoReply // RFC 3834 §5
	case strings.HasPrefix(auto, "auto-") && !announced:
		rep.Kind = KindAutomatic
	}
}

func text(e *message.Entity, name string) string {
	v, err := e.Header.Text(name)
	if err != nil {
		return e.Header.Get(name)
	}
	return v
}

// markers part the words of a bounce from the message it returns.
var markers = []string{"--- below this line is a copy of the message", "------ this is a copy of the message", "--- original message", "----- original message",
	"------ original message", "--- the message returned", "----- transcript of session follows", "--- message header follows", "------ this is a copy of your message"}

// plain reads a bounce in free text: recipients from X-Failed-Recipients (Exim) or from lines that begin with an address
// (qmail: "<a@b>:", Postfix before DSN), each with the text up to the next one.
func (rep *Report) plain(e *message.Entity) {
	said, returned := rep.Text, ""
	low := strings.ToLower(said)
	for _, m := range markers {
		if i := strings.Index(low, m); i >= 0 && m != "----- transcript of session follows" && i < len(said) {
			said, returned, low = said[:i], said[i:], low[:i]
		}
	}
	if _, after, ok := strings.Cut(returned, "\n\n"); ok && rep.Original == nil {
		rep.original([]byte(after))
	}
	seen := map[string]int{}
	add := func(addr, diag string) {
		if i, known := seen[strings.ToLower(addr)]; known {
			rep.Recipients[i].Diagnostic = strings.TrimSpace(rep.Recipients[i].Diagnostic + " " + diag)
			return
		}
		if len(rep.Recipients) < maxRecipients {
			seen[strings.ToLower(addr)] = len(rep.Recipients)
			rep.Recipients = append(rep.Recipients, Recipient{Address: addr, Action: ActionFailed, Diagnostic: strings.TrimSpace(diag)})
		}
	}
	failed := addrRE.FindAllString(e.Header.Get("X-Failed-Recipients"), maxRecipients)
	for _, a := range failed {
		add(a, "")
	}
	current := ""
	for line := range strings.SplitSeq(said, "\n") {
		line = strings.TrimSpace(line)
		if loc := addrRE.FindStringIndex(line); loc != nil && loc[0] <= 1 { // at the beginning, perhaps after "<"
			current = line[loc[0]:loc[1]]
			add(current, strings.TrimLeft(line[loc[1]:], ">: "))
			continue
		}
		if current != "" && line != "" {
			add(current, line)
		}
	}
	if len(rep.Recipients) == 0 { // one address in all the text is the one it is about
		if all := addrRE.FindAllString(said, 3); len(all) == 1 {
			add(all[0], said)
		}
	}
	if len(rep.Recipients) == 1 && rep.Recipients[0].Diagnostic == "" {
		rep.Recipients[0].Diagnostic = strings.Join(strings.Fields(said), " ")
	}
}
