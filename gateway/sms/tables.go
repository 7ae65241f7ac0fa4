package sms

// esc switches to the extension (or single shift) table for one character.
const esc = 0x1B

// none marks a character a table lacks.
const none = 0xFFFF

// tableRunes bounds the direct tables: all characters of the GSM alphabets
// but the euro sign lie below it (Greek capitals end at U+03A9).
const tableRunes = 0x400

// defaultAlphabet is GSM 03.38 §6.2.1 in code order. ESC itself is no
// character; its cell is never read as one.
const defaultAlphabet = "@£$¥èéùìòÇ\nØø\rÅå" +
	"Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ" +
	" !\"#¤%&'()*+,-./" +
	"0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNO" +
	"PQRSTUVWXYZÄÖÑÜ§" +
	"¿abcdefghijklmno" +
	"pqrstuvwxyzäöñüà"

// pair is one cell of a table: a code and its character.
type pair struct {
	code byte
	r    rune
}

// extension is GSM 03.38 §6.2.1.1, reached through ESC. 0x0D (CR2) is a
// control and is never emitted.
var extension = []pair{
	{0x0A, '\f'}, {0x14, '^'}, {0x28, '{'}, {0x29, '}'}, {0x2F, '\\'},
	{0x3C, '['}, {0x3D, '~'}, {0x3E, ']'}, {0x40, '|'}, {0x65, '€'},
}

// turkishSingle is what 3GPP TS 23.038 A.2.1 adds to the extension: each
// letter sits at the ASCII code of its plain look-alike.
var turkishSingle = []pair{
	{0x47, 'Ğ'}, {0x49, 'İ'}, {0x53, 'Ş'}, {0x63, 'ç'}, {0x67, 'ğ'}, {0x69, 'ı'}, {0x73, 'ş'},
}

// turkishLocking is where 3GPP TS 23.038 A.3.1 differs from the default
// alphabet.
var turkishLocking = []pair{
	{0x04, '€'}, {0x07, 'ı'}, {0x0B, 'Ğ'}, {0x0C, 'ğ'},
	{0x1C, 'Ş'}, {0x1D, 'ş'}, {0x40, 'İ'}, {0x60, 'ç'},
}

// decodeTable turns codes into characters. ext is 0 where the table is void.
type decodeTable struct {
	base [128]rune
	ext  [128]rune
}

// encodeTable turns a character below tableRunes into its code: one septet,
// 0x1Bxx for an escape pair, or none. The euro sign has its own cell.
type encodeTable struct {
	code [tableRunes]uint16
	euro uint16
}

// get returns the code of r.
func (t *encodeTable) get(r rune) uint16 {
	if uint32(r) < tableRunes {
		return t.code[r]
	}
	if r == '€' {
		return t.euro
	}
	return none
}

var (
	baseDefault = buildBase(nil)
	baseTurkish = buildBase(turkishLocking)
	extDefault  = buildExt(extension)
	extTurkish  = buildExt(extension, turkishSingle)

	// decoders is indexed by locking (1 = Turkish) and single (1 = Turkish).
	decoders = [2][2]*decodeTable{
		{{baseDefault, extDefault}, {baseDefault, extTurkish}},
		{{baseTurkish, extDefault}, {baseTurkish, extTurkish}},
	}

	encGSM7    = buildEncode(decoders[0][0])
	encSingle  = buildEncode(decoders[0][1])
	encLocking = buildEncode(decoders[1][0])
)

// encoderOf returns the table of a 7-bit encoding.
func encoderOf(e Encoding) *encodeTable {
	switch e {
	case TRSingle:
		return encSingle
	case TRLocking:
		return encLocking
	default:
		return encGSM7
	}
}

func buildBase(change []pair) (t [128]rune) {
	i := 0
	for _, r := range defaultAlphabet {
		t[i] = r
		i++
	}
	for _, p := range change {
		t[p.code] = p.r
	}
	return t
}

func buildExt(lists ...[]pair) (t [128]rune) {
	for _, l := range lists {
		for _, p := range l {
			t[p.code] = p.r
		}
	}
	return t
}

func buildEncode(d *decodeTable) *encodeTable {
	t := &encodeTable{euro: none}
	for i := range t.code {
		t.code[i] = none
	}
	put := func(r rune, code uint16) {
		if r == '€' {
			t.euro = code
		} else {
			t.code[r] = code
		}
	}
	// The extension first, so that a one-septet cell wins over a pair (the
	// euro sign of the locking table).
	for c, r := range d.ext {
		if r != 0 {
			put(r, esc<<8|uint16(c))
		}
	}
	for c, r := range d.base {
		if c != esc {
			put(r, uint16(c))
		}
	}
	return t
}

// A cost packs what one character needs in three tables: septets for GSM7 in
// bits 0–19, for TRSingle in bits 20–39, for TRLocking in bits 40–59, so that
// one addition per character counts all three (texts are bounded by maxText,
// no lane overflows). Bits 60–62 say that the table lacks the character: they
// are OR-ed apart, and what adding them does above bit 59 is masked away.
type cost = uint64

const (
	laneBits  = 20
	laneMask  = 1<<laneBits - 1
	noGSM7    = cost(1) << 60
	noSingle  = cost(1) << 61
	noLocking = cost(1) << 62
	noneCost  = noGSM7 | noSingle | noLocking
)

var (
	costs    = buildCosts()
	euroCost = costOfCodes(encGSM7.euro, encSingle.euro, encLocking.euro)
)

func buildCosts() (t [tableRunes]cost) {
	for r := range t {
		t[r] = costOfCodes(encGSM7.code[r], encSingle.code[r], encLocking.code[r])
	}
	return t
}

func costOfCodes(codes ...uint16) (c cost) {
	for i, code := range codes {
		switch {
		case code == none:
			c |= noGSM7 << i
		case code > 0xFF:
			c |= 2 << (laneBits * i)
		default:
			c |= 1 << (laneBits * i)
		}
	}
	return c
}

// costOf returns the packed cost of r.
func costOf(r rune) cost {
	if uint32(r) < tableRunes {
		return costs[r]
	}
	if r == '€' {
		return euroCost
	}
	return noneCost
}

// lane returns the position of e's count in a cost.
func lane(e Encoding) (shift uint, no cost) {
	switch e {
	case TRSingle:
		return laneBits, noSingle
	case TRLocking:
		return 2 * laneBits, noLocking
	default:
		return 0, noGSM7
	}
}
