package reconcile

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"izinli/iys"
)

// Kind says how a movement differs.
type Kind string

// The three kinds.
const (
	MissingHere  Kind = "missing_here"  // İYS has it, we do not
	MissingThere Kind = "missing_there" // we have it, İYS does not
	Different    Kind = "different"     // both have it and say different things
)

// difference is one row that is not the same on both sides.
type difference struct {
	kind         Kind
	ours, theirs iys.Consent // empty where missing
}

func hasher(method string) (hash.Hash, error) {
	switch strings.ToUpper(strings.ReplaceAll(method, "_", "-")) {
	case "SHA-384", "SHA384", "":
		return sha512.New384(), nil
	case "SHA-256", "SHA256": // before March 2023
		return sha256.New(), nil
	}
	return nil, fmt.Errorf("%w: hash method %q is not known", errFile, method)
}

// each visits our movements in the order of the file.
type each func(yield func(iys.Consent) error) error

// compare lays İYS's file beside our movements. Both are sorted alike, so both are read once, in step. report gets every
// difference; its error ends the comparison.
func compare(brand string, theirs io.Reader, ours each, report func(difference) error) (rowsHere, rowsThere int, err error) {
	r, err := newRows(brand, theirs)
	if err != nil {
		return 0, 0, err
	}
	s := &stepper{rows: r, report: report}
	if err := s.advance(); err != nil {
		return 0, 0, err
	}
	err = ours(func(m iys.Consent) error {
		rowsHere++
		return s.take(m)
	})
	if err == nil {
		err = s.finish()
	}
	return rowsHere, r.n, err
}

// stepper holds the rows of one place in the file (one creationDate and transactionId) on both sides: movements of one address
// in the same second share it.
type stepper struct {
	rows   *rows
	report func(difference) error

	ahead iys.Consent // the row of theirs to come
	ended bool
	ours  []iys.Consent // rows of ours at the place being gathered
}

func (s *stepper) advance() error {
	c, err := s.rows.next()
	if err == io.EOF {
		s.ended = true
		return nil
	}
	if err != nil {
		return err
	}
	if s.rows.n > 1 && order(&s.ahead, &c) > 0 {
		return fmt.Errorf("%w: row %d is not in order", errFile, s.rows.n)
	}
	s.ahead = c
	return nil
}

func (s *stepper) take(m iys.Consent) error {
	if len(s.ours) > 0 && order(&s.ours[0], &m) != 0 {
		if err := s.settle(); err != nil {
			return err
		}
	}
	s.ours = append(s.ours, m)
	return nil
}

// settle compares the place gathered, after what İYS alone has before it.
func (s *stepper) settle() error {
	ours := s.ours
	s.ours = nil
	if len(ours) == 0 {
		return nil
	}
	var theirs []iys.Consent
	for !s.ended && order(&s.ahead, &ours[0]) <= 0 {
		if order(&s.ahead, &ours[0]) == 0 {
			theirs = append(theirs, s.ahead)
		} else if err := s.report(difference{kind: MissingHere, theirs: s.ahead}); err != nil {
			return err
		}
		if err := s.advance(); err != nil {
			return err
		}
	}
	return s.pair(ours, theirs)
}

// pair matches the rows of one place: the same ones first, then those of one address, then the rest.
func (s *stepper) pair(ours, theirs []iys.Consent) error {
	match := func(fits func(a, b *iys.Consent) bool, found func(a, b iys.Consent) error) error {
		left := ours[:0]
	next:
		for _, a := range ours {
			for j := range theirs {
				if fits(&a, &theirs[j]) {
					b := theirs[j]
					theirs = append(theirs[:j], theirs[j+1:]...)
					if err := found(a, b); err != nil {
						return err
					}
					continue next
				}
			}
			left = append(left, a)
		}
		ours = left
		return nil
	}
	if err := match(same, func(iys.Consent, iys.Consent) error { return nil }); err != nil {
		return err
	}
	if err := match(func(a, b *iys.Consent) bool { return a.Key == b.Key }, func(a, b iys.Consent) error {
		return s.report(difference{Different, a, b})
	}); err != nil {
		return err
	}
	for _, a := range ours {
		if err := s.report(difference{kind: MissingThere, ours: a}); err != nil {
			return err
		}
	}
	for _, b := range theirs {
		if err := s.report(difference{kind: MissingHere, theirs: b}); err != nil {
			return err
		}
	}
	return nil
}

func (s *stepper) finish() error {
	if err := s.settle(); err != nil {
		return err
	}
	for !s.ended {
		if err := s.report(difference{kind: MissingHere, theirs: s.ahead}); err != nil {
			return err
		}
		if err := s.advance(); err != nil {
			return err
		}
	}
	return nil
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
