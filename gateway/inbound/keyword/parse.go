package keyword

import "strings"

// Kind is what a message wants.
type Kind uint8

const (
	// Other is the zero Kind: neither opt-out nor opt-in.
	Other Kind = iota
	// OptOut asks not to be written to.
	OptOut
	// OptIn consents.
	OptIn
)

// String returns other, opt_out or opt_in.
func (k Kind) String() string {
	switch k {
	case OptOut:
		return "opt_out"
	case OptIn:
		return "opt_in"
	default:
		return "other"
	}
}

// Intent is the reading of one message.
type Intent struct {
	Kind Kind
	// BrandCode is the one brand the message names, by its İYS number, its
	// name or a stop word of its own; "" if it names none or several. A
	// number of 6 or 7 digits that the Lexicon does not know is given too,
	// with Doubtful set if the Lexicon knows any.
	BrandCode string
	// Keyword is the brand name as matched or, in an opt-out that names no
	// known brand, the one word left over: perhaps a keyword the caller
	// knows. Folded.
	Keyword string
	// Matched is the stop or opt-in word that decided. Folded.
	Matched string
	// Doubtful asks a person to look. An OptOut is to be obeyed all the same.
	Doubtful bool
}

const (
	// shortReply is how many words a message may have for a stop word in its
	// middle to count.
	shortReply = 6
	// maxWords bounds what is read of a message; the last word is always seen.
	maxWords = 400
)

// message is a folded text while it is read.
type message struct {
	words []string
	used  []bool // belongs to a keyword, a brand or the small talk around
}

// Parse reads text. A stop word counts as the first or last word, where brand
// names, numbers and small talk ("lütfen", "sms") do not hide it; within a
// short reply it counts, doubtfully, anywhere. Negations ("iptal etmeyin"),
// several unknown words, a weak stop word in company and several brands make
// an opt-out doubtful, never less. An opt-in must be the opt-in word, alone or
// with a brand and small talk, without a question mark.
func Parse(text string, l *Lexicon) Intent {
	m := message{words: strings.Fields(Fold(text))}
	if n := len(m.words); n > maxWords {
		m.words = append(m.words[:maxWords-1:maxWords-1], m.words[n-1])
	}
	if len(m.words) == 0 {
		return Intent{}
	}
	m.unglue(l)
	m.used = make([]bool, len(m.words))
	brands := m.findBrands(l)

	var in Intent
	if p, edge := m.findStop(l.stop); p != nil {
		in = m.optOut(p, edge, &brands)
	} else {
		in = m.optIn(l.optIn, strings.ContainsAny(text, "?？"))
	}
	if in.Kind == Other && !in.Doubtful {
		return Intent{}
	}
	brands.fill(&in)
	if in.Kind == OptIn && in.Doubtful {
		in.Kind = Other // whom the consent is for must be clear as well
	}
	return in
}

// unglue parts a stop word from digits written behind it: RET675403.
func (m *message) unglue(l *Lexicon) {
	for _, i := range []int{0, len(m.words) - 1} {
		w := m.words[i]
		for _, p := range l.stop {
			rest, ok := strings.CutPrefix(w, p.text)
			if ok && isDigits(rest) {
				words := append([]string{}, m.words[:i]...)
				m.words = append(append(words, p.text, rest), m.words[i+1:]...)
				return
			}
		}
	}
}

// at reports whether p stands at word i.
func (m *message) at(i int, p *phrase) bool {
	if i < 0 || i+len(p.words) > len(m.words) {
		return false
	}
	for j, w := range p.words {
		if m.words[i+j] != w {
			return false
		}
	}
	return true
}

func (m *message) use(i, n int) {
	for j := range n {
		m.used[i+j] = true
	}
}

// named gathers the brands a message names.
type named struct {
	code    string
	keyword string
	several bool
	strange bool // a code the lexicon does not know
}

func (n *named) add(code, keyword string, known bool) {
	switch {
	case n.code == "":
		n.code, n.keyword, n.strange = code, keyword, !known
	case n.code == code:
	case n.strange && known: // a number that is some brand's wins over one that is nobody's
		n.code, n.keyword, n.strange = code, keyword, false
	case known:
		n.several = true
	}
}

func (n *named) fill(in *Intent) {
	if n.several {
		in.Doubtful = true
		return
	}
	in.BrandCode = n.code
	if n.keyword != "" {
		in.Keyword = n.keyword
	}
	if n.strange {
		in.Doubtful = true
	}
}

func (m *message) findBrands(l *Lexicon) (found named) {
	for i := range m.words {
		for j := range l.names {
			p := &l.names[j]
			if m.at(i, p) && !m.used[i] && !m.isStop(i, l.stop) {
				found.add(p.brand, p.text, true)
				m.use(i, len(p.words))
			}
		}
	}
	for i, w := range m.words {
		if isCode(w) {
			known := l.codes[w]
			found.add(w, "", known || len(l.codes) == 0)
			m.used[i] = true
		}
	}
	return found
}

// isStop keeps a brand that is called like a stop word from eating it.
func (m *message) isStop(i int, stop []phrase) bool {
	for j := range stop {
		if stop[j].brand == "" && len(stop[j].words) == 1 && stop[j].words[0] == m.words[i] {
			return true
		}
	}
	return false
}

// findStop finds the stop phrase that decides; edge says that it stands first
// or last, small talk aside.
func (m *message) findStop(stop []phrase) (p *phrase, edge bool) {
	first, last := 0, len(m.words)
	try := func() *phrase {
		for j := range stop {
			p := &stop[j]
			for _, i := range [2]int{first, last - len(p.words)} {
				if i >= first && i+len(p.words) <= last && m.at(i, p) {
					m.use(i, len(p.words))
					return p
				}
			}
		}
		return nil
	}
	if p := try(); p != nil {
		return p, true
	}
	for first < last && m.idle(first) {
		first++
	}
	for last > first && m.idle(last-1) {
		last--
	}
	if p := try(); p != nil {
		return p, true
	}
	for j := range stop {
		p := &stop[j]
		for i := range m.words {
			if !p.weak && m.at(i, p) {
				m.use(i, len(p.words))
				return p, false
			}
		}
	}
	return nil, false
}

// idle reports whether word i says nothing about intent.
func (m *message) idle(i int) bool {
	return m.used[i] || fillers[m.words[i]] || len(m.words[i]) <= 7 && isDigits(m.words[i])
}

func (m *message) optOut(p *phrase, edge bool, brands *named) Intent {
	in := Intent{Kind: OptOut, Matched: p.text}
	if p.brand != "" {
		brands.add(p.brand, p.text, true)
	}
	unknown, left := 0, ""
	for i, w := range m.words {
		if !m.used[i] && negations[w] {
			in.Doubtful = true
		}
		if !m.idle(i) {
			unknown++
			left = w
		}
	}
	switch {
	case unknown > 1, unknown == 1 && p.weak:
		in.Doubtful = true
	case unknown == 1:
		in.Keyword = left
	}
	if !edge {
		in.Doubtful = true
		if len(m.words) > shortReply {
			in.Kind = Other // a text that talks about stop words, such as an advertisement sent back
		}
	}
	return in
}

func (m *message) optIn(words []phrase, question bool) Intent {
	for j := range words {
		p := &words[j]
		for i := range m.words {
			if !m.at(i, p) {
				continue
			}
			m.use(i, len(p.words))
			in := Intent{Kind: OptIn, Matched: p.text, Doubtful: question}
			for k, w := range m.words {
				if !m.used[k] && !polite[w] {
					in.Doubtful = true
				}
			}
			if in.Doubtful {
				in.Kind = Other
			}
			return in
		}
	}
	return Intent{}
}
