package keyword

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:embed words.txt
var builtIn string

// Words is a compiled list of advertising words, safe for concurrent use.
type Words struct {
	nodes   []node
	entries []string // as listed
}

// node is one step of a trie over folded text.
type node struct {
	next  [symbols]int32 // 0 = none: the root follows nothing
	exact int32          // entry that ends here with the word, −1 = none
	stem  int32          // entry that matches from here on, −1 = none
}

// symbols counts A–Z, 0–9, % and the blank.
const symbols = 26 + 10 + 2

// symbol numbers a folded octet, −1 for other scripts.
func symbol(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= '0' && c <= '9':
		return int(c-'0') + 26
	case c == '%':
		return 36
	case c == ' ':
		return 37
	}
	return -1
}

// CompileWords reads a list: one word or phrase an entry, a star at its end
// for every ending. Blank entries and those that begin with # are skipped.
func CompileWords(list []string) (*Words, error) {
	w := &Words{nodes: []node{{exact: -1, stem: -1}}}
	for _, line := range list {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word, stem := strings.CutSuffix(line, "*")
		folded := appendFolded(nil, word, true)
		if len(folded) == 0 {
			return nil, fmt.Errorf("keyword: entry %q has no letter or digit", line)
		}
		at := int32(0)
		for _, c := range folded {
			s := symbol(c)
			if s < 0 {
				return nil, fmt.Errorf("keyword: entry %q is not in Latin letters", line)
			}
			if w.nodes[at].next[s] == 0 {
				w.nodes[at].next[s] = int32(len(w.nodes))
				w.nodes = append(w.nodes, node{exact: -1, stem: -1})
			}
			at = w.nodes[at].next[s]
		}
		entry := int32(len(w.entries))
		w.entries = append(w.entries, strings.TrimSpace(word))
		if stem {
			w.nodes[at].stem = entry
		} else {
			w.nodes[at].exact = entry
		}
	}
	return w, nil
}

// DefaultWords returns the list that comes with the package.
var DefaultWords = sync.OnceValue(func() *Words {
	w, err := CompileWords(strings.Split(builtIn, "\n"))
	if err != nil {
		panic(err) // the embedded file is tested
	}
	return w
})

// Entries returns the words as listed, without stars.
func (w *Words) Entries() []string { return slices.Clone(w.entries) }

// Promotional returns the advertising words of text as they are listed, each
// once, in the order of their first appearance; nil if there is none. words
// nil takes DefaultWords. It allocates for hits only, unless text exceeds a
// kilobyte.
func Promotional(text string, words *Words) []string {
	if words == nil {
		words = DefaultWords()
	}
	var buf [1024]byte
	folded := appendFolded(buf[:0], text, true)
	var hits []string
	for i := 0; i < len(folded); i++ {
		if e := words.longest(folded[i:]); e >= 0 && !slices.Contains(hits, words.entries[e]) {
			hits = append(hits, words.entries[e])
		}
		for i < len(folded) && folded[i] != ' ' {
			i++
		}
	}
	return hits
}

// longest returns the longest entry that s begins with, −1 if none.
func (w *Words) longest(s []byte) int32 {
	found, at := int32(-1), int32(0)
	for i, c := range s {
		sym := symbol(c)
		if sym < 0 {
			return found
		}
		if at = w.nodes[at].next[sym]; at == 0 {
			return found
		}
		n := &w.nodes[at]
		if n.stem >= 0 {
			found = n.stem
		}
		if n.exact >= 0 && (i+1 == len(s) || s[i+1] == ' ') {
			found = n.exact
		}
	}
	return found
}
