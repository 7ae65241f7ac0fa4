package sms

import (
	"unicode/utf8"
)

// Measure returns what text costs under p. It allocates nothing unless text
// needs normalisation or transliteration. Errors: ErrEmpty, ErrTooLong,
// ErrUnencodable, ErrEncoding, ErrTables, ErrSuffix.
func Measure(text string, p Policy) (Plan, error) {
	plan, _, err := measure(text, p)
	return plan, err
}

// measure also returns the text as it is to be encoded.
func measure(text string, p Policy) (Plan, string, error) {
	if err := p.check(); err != nil {
		return Plan{}, "", err
	}
	if len(text) > maxText {
		return Plan{}, "", &TooLongError{Segments: max(len(text)/(4*153), MaxParts+1), Max: p.maxSegments()}
	}
	norm := Normalize(text, p)
	if norm == "" {
		return Plan{}, "", ErrEmpty
	}
	c := count(norm)
	if c.invalid {
		return Plan{}, "", unencodable(text, norm, UCS2)
	}
	plan, out, err := choose(text, norm, c, p)
	if err != nil {
		return Plan{}, "", err
	}
	if limit := p.maxSegments(); plan.Segments > limit {
		return Plan{}, "", &TooLongError{Segments: plan.Segments, Max: limit}
	}
	return plan, out, nil
}

func (p Policy) maxSegments() int {
	if p.MaxSegments <= 0 || p.MaxSegments > MaxParts {
		return MaxParts
	}
	return p.MaxSegments
}

// check refuses policies that cannot be obeyed.
func (p Policy) check() error {
	switch p.Encoding {
	case EncodingAuto, GSM7, GSM7Translit, UCS2:
	case TRSingle, TRLocking:
		if !p.NationalTables {
			return ErrTables
		}
	default:
		return ErrEncoding
	}
	// A part must hold at least one unsplittable piece beside the suffix, and
	// the narrowest part has 66 units, the longest piece maxCluster.
	if p.ReserveSuffix < 0 || p.ReserveSuffix > 40 {
		return ErrSuffix
	}
	return nil
}

// tally is one pass over a text.
type tally struct {
	sum     cost // three lanes of septets
	lacks   cost // noGSM7, noSingle, noLocking
	units   int  // UTF-16 code units
	invalid bool // not UTF-8
}

func (t tally) has(e Encoding) bool {
	_, no := lane(e)
	return t.lacks&no == 0
}

func (t tally) of(e Encoding) int {
	if e == UCS2 {
		return t.units
	}
	shift, _ := lane(e)
	return int(t.sum >> shift & laneMask)
}

func count(s string) (t tally) {
	var sum, lacks cost
	units := 0
	for i := 0; i < len(s); {
		var c cost
		if b := s[i]; b < utf8.RuneSelf {
			c = costs[b]
			i++
		} else {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				t.invalid = true
			}
			c = costOf(r)
			i += size
			if r > 0xFFFF {
				units++
			}
		}
		sum += c
		lacks |= c
		units++
	}
	t.sum, t.lacks, t.units = sum, lacks, units
	return t
}

// choose picks the encoding; see Policy for the order.
func choose(text, norm string, c tally, p Policy) (Plan, string, error) {
	switch p.Encoding {
	case UCS2, TRSingle, TRLocking:
		if p.Encoding != UCS2 && !c.has(p.Encoding) {
			return Plan{}, "", unencodable(text, norm, p.Encoding)
		}
		return planFor(norm, p.Encoding, c, p), norm, nil
	}
	if c.has(GSM7) {
		return planFor(norm, GSM7, c, p), norm, nil
	}
	wish := p.Encoding == GSM7Translit || p.Transliterate
	if p.Encoding != EncodingAuto && !wish {
		return Plan{}, "", unencodable(text, norm, GSM7)
	}
	var plain Plan
	var letters string
	if wish {
		letters = Transliterate(norm)
		if tc := count(letters); tc.has(GSM7) {
			plain = planFor(letters, GSM7, tc, p)
			plain.Transliterated = true
		}
	}
	if p.Encoding != EncodingAuto {
		if plain.Segments == 0 {
			return Plan{}, "", unencodable(text, letters, GSM7)
		}
		return plain, letters, nil
	}
	best := faithful(norm, c, p)
	if plain.Segments != 0 && plain.Segments < best.Segments {
		return plain, letters, nil
	}
	return best, norm, nil
}

// faithful picks among the encodings that keep every letter of a text that
// GSM7 cannot hold.
func faithful(norm string, c tally, p Policy) Plan {
	if !p.NationalTables {
		return planFor(norm, UCS2, c, p)
	}
	var single, locking Plan
	if c.has(TRSingle) {
		single = planFor(norm, TRSingle, c, p)
	}
	if c.has(TRLocking) {
		locking = planFor(norm, TRLocking, c, p)
	}
	switch {
	case single.Segments == 0 && locking.Segments == 0:
		return planFor(norm, UCS2, c, p)
	case single.Segments == 0:
		return locking
	case locking.Segments == 0:
		return single
	case single.Segments != locking.Segments:
		if single.Segments < locking.Segments {
			return single
		}
		return locking
	case p.Prefer == TRSingle || p.Prefer != TRLocking && single.Units < locking.Units:
		return single
	default:
		return locking
	}
}

// Capacity returns how many units of e fit into one part: of a message that
// is a single part, or of one among several (concatenated), whose reference
// has the given width. Septets for the 7-bit encodings, 16-bit units for
// UCS2, octets for Binary.
func Capacity(e Encoding, concatenated bool, ref RefWidth) int {
	udh := udhLen(e, concatenated, ref)
	switch e {
	case UCS2:
		return (140 - udh) / 2
	case Binary:
		return 140 - udh
	default:
		return 160 - (udh*8+6)/7
	}
}

// udhLen is the octets of the header with its length octet, as the handset
// will see it: for RefSAR the SMSC adds the element.
func udhLen(e Encoding, concatenated bool, ref RefWidth) int {
	n := 0
	if e.national() {
		n = 3
	}
	if concatenated {
		n += 5
		if ref != Ref8 {
			n++
		}
	}
	if n > 0 {
		n++
	}
	return n
}

// planFor counts the parts of s, which e can hold.
func planFor(s string, e Encoding, c tally, p Policy) Plan {
	units := c.of(e)
	plan := Plan{Encoding: e, Units: units, Segments: 1}
	if room := Capacity(e, false, p.Ref) - p.ReserveSuffix; units <= room {
		plan.Left = room - units
		return plan
	}
	capacity := Capacity(e, true, p.Ref)
	n, used := 0, 0
	for start := 0; start < len(s); n++ {
		start, used = cut(s, start, e, capacity, 0)
	}
	plan.Left = capacity - p.ReserveSuffix - used
	if plan.Left < 0 {
		// The suffix takes the last character with it into one more part;
		// a longer text would leave that character where it was.
		n++
		plan.Left += capacity
	}
	plan.Segments = n
	return plan
}

// cut returns where the part of s that begins at start ends, and the units it
// uses. The reserved suffix belongs to the last character: the two stay in
// one part, so no part is ever left to the suffix alone.
func cut(s string, start int, e Encoding, capacity, reserve int) (end, used int) {
	if e == UCS2 {
		return cutUCS2(s, start, capacity, reserve)
	}
	shift, _ := lane(e)
	for i := start; i < len(s); {
		size := 1
		var n int
		if b := s[i]; b < utf8.RuneSelf {
			n = int(costs[b] >> shift & laneMask)
		} else {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			n = int(costOf(r) >> shift & laneMask)
		}
		need := n
		if i+size == len(s) {
			need += reserve
		}
		if used+need > capacity {
			return i, used
		}
		used += n
		i += size
	}
	return len(s), used
}

// cutUCS2 is cut for UCS2. Surrogate pairs stay together, and so does what a
// reader sees as one character (a letter with its marks, a joined emoji).
func cutUCS2(s string, start, capacity, reserve int) (end, used int) {
	for i := start; i < len(s); {
		size, n := cluster(s[i:])
		need := n
		if i+size == len(s) {
			need += reserve
		}
		if used+need > capacity {
			return i, used
		}
		used += n
		i += size
	}
	return len(s), used
}

// maxCluster bounds the units kept together; a family of four with skin tones
// takes 19. Beyond it only surrogate pairs are kept whole.
const maxCluster = 20

// cluster returns the octets and 16-bit units of the first visible character
// of s. It approximates UAX #29: marks, variation selectors, skin tones,
// keycaps, tags and joiners cling to what precedes them, flags go in pairs.
func cluster(s string) (size, units int) {
	r, size := utf8.DecodeRuneInString(s)
	units = utf16Len(r)
	flag := r >= 0x1F1E6 && r <= 0x1F1FF
	joined := false
	for size < len(s) && s[size] >= utf8.RuneSelf {
		next, n := utf8.DecodeRuneInString(s[size:])
		clings := joined || extends(next)
		if flag && next >= 0x1F1E6 && next <= 0x1F1FF {
			clings, flag = true, false
		}
		if !clings || units+utf16Len(next) > maxCluster {
			break
		}
		joined = next == 0x200D
		size += n
		units += utf16Len(next)
	}
	return size, units
}

func extends(r rune) bool {
	switch {
	case r < 0x300:
		return false
	case r <= 0x36F, // combining diacritical marks
		r == 0x200D,                  // zero width joiner
		r >= 0x20D0 && r <= 0x20FF,   // marks for symbols, keycap
		r >= 0xFE00 && r <= 0xFE0F,   // variation selectors
		r >= 0x1F3FB && r <= 0x1F3FF, // skin tones
		r >= 0xE0020 && r <= 0xE007F: // tags
		return true
	}
	return false
}

func utf16Len(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

// unencodable names the first character of norm that e lacks, with its place
// in the text as given.
func unencodable(text, norm string, e Encoding) error {
	bad, pos := rune(utf8.RuneError), 0
	_, no := lane(e)
	for i := 0; i < len(norm); pos++ {
		r, size := utf8.DecodeRuneInString(norm[i:])
		if r == utf8.RuneError && size == 1 || e != UCS2 && costOf(r)&no != 0 {
			bad = r
			break
		}
		i += size
	}
	at := 0
	for _, r := range text {
		if r == bad {
			return &UnencodableError{Rune: bad, Pos: at, Encoding: e}
		}
		at++
	}
	// The character came into being by composition.
	return &UnencodableError{Rune: bad, Pos: pos, Encoding: e}
}
