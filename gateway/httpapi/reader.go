package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"izinli/gateway"
)

// maxKept is the largest body buffer that goes back to the pool; a rare giant must not stay in memory.
const maxKept = 4 << 20

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readBody reads a JSON body of at most limit octets into a pooled buffer and gives it to use, which must not keep it.
func readBody(c *call, limit int64, use func(body []byte) error) error {
	req := c.Request()
	if err := wantType(req, "application/json"); err != nil {
		return err
	}
	if req.ContentLength > limit { // told before reading it
		return &http.MaxBytesError{Limit: limit}
	}
	buf, ok := bodies.Get().(*bytes.Buffer)
	if !ok {
		buf = new(bytes.Buffer)
	}
	defer func() {
		if buf.Cap() <= maxKept {
			buf.Reset()
			bodies.Put(buf)
		}
	}()
	if _, err := buf.ReadFrom(http.MaxBytesReader(c.Response(), req.Body, limit)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return &gateway.Error{Code: gateway.CodeMalformed, Text: "The request body ended early.", Err: err}
	}
	return use(buf.Bytes())
}

// wantType refuses bodies of another media type, of another character set than UTF-8 (RFC 8259 §8.1), and compressed ones. A
// body without a type, or with the one that curl -d sets by itself, is taken for what is wanted: the first call of a newcomer
// should work, and a bearer token is not sent by a browser's form.
func wantType(req *http.Request, want string) error {
	header := req.Header.Get("Content-Type")
	if header == "" || header == "application/x-www-form-urlencoded" {
		header = want
	}
	got, params, err := mime.ParseMediaType(header)
	if err != nil || got != want || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return unsupported(want)
	}
	if ce := req.Header.Get("Content-Encoding"); ce != "" && !strings.EqualFold(ce, "identity") {
		return unsupported(want + ", not compressed")
	}
	return nil
}

// reader walks a JSON text strictly. Its strings are cut from one copy of the whole text, so that ten thousand recipients cost
// one allocation and not thirty thousand.
type reader struct {
	dec  *jsontext.Decoder
	text string
}

var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// readJSON runs use over body and then wants its end. Errors are ready for the caller: malformed with an offset, or what use
// refused.
func readJSON(body []byte, use func(r *reader) error) error {
	dec, ok := decoders.Get().(*jsontext.Decoder)
	if !ok {
		dec = new(jsontext.Decoder)
	}
	dec.Reset(bytes.NewBuffer(body))
	defer func() {
		dec.Reset(strings.NewReader("")) // lets go of body
		decoders.Put(dec)
	}()
	r := &reader{dec: dec, text: string(body)}
	if err := use(r); err != nil {
		return r.explain(err)
	}
	switch _, err := dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return r.explain(err)
	}
	return malformed(dec.InputOffset(), "", "There is text after the JSON value, at offset %d.", dec.InputOffset())
}

func malformed(offset int64, field, format string, args ...any) error {
	return &refined{err: gateway.Refuse(gateway.CodeMalformed, field, format, args...), offset: offset + 1}
}

// explain turns the decoder's errors into refusals that say where.
func (r *reader) explain(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		field := fieldOf(syntax.JSONPointer)
		if errors.Is(syntax.Err, jsontext.ErrDuplicateName) {
			return malformed(syntax.ByteOffset, field, "The field %s is given twice (at offset %d).", field, syntax.ByteOffset)
		}
		return malformed(syntax.ByteOffset, field, "The body is not valid JSON at offset %d: %s.", syntax.ByteOffset, reason(syntax.Err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		n := int64(len(r.text))
		return malformed(n, "", "The JSON ends early, at offset %d.", n)
	}
	return err
}

func reason(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends early"
	}
	return strings.TrimPrefix(err.Error(), "jsontext: ")
}

// fieldOf spells a JSON pointer (RFC 6901) the way people write it: /to/3/vars/ad is to[3].vars.ad.
func fieldOf(p jsontext.Pointer) string {
	var b strings.Builder
	for tok := range p.Tokens() {
		if _, err := strconv.ParseUint(tok, 10, 32); err == nil {
			b.WriteString("[" + tok + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(tok)
	}
	return limitRunes(b.String(), 200)
}

func limitRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// refuse is a refusal of the value just read.
func (r *reader) refuse(code gateway.Code, format string, args ...any) error {
	return gateway.Refuse(code, fieldOf(r.dec.StackPointer()), format, args...)
}

// wrong is the refusal of a value of another type; it is judged before the value is read.
func (r *reader) wrong(want string) error {
	if _, err := r.dec.ReadToken(); err != nil { // moves the pointer onto the value, and finds what is not even JSON
		return err
	}
	return r.refuse(gateway.CodeInvalid, "The field must be %s.", want)
}

// null consumes a null and reports whether there was one.
func (r *reader) null() (bool, error) {
	if r.dec.PeekKind() != 'n' {
		return false, nil
	}
	_, err := r.dec.ReadToken()
	return err == nil, err
}

// cut returns the string literal just read, v, as a part of text; only one with escapes is copied.
func (r *reader) cut(v jsontext.Value) (string, error) {
	if bytes.IndexByte(v, '\\') < 0 {
		end := r.dec.InputOffset()
		return r.text[end-int64(len(v))+1 : end-1], nil
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err
}

// str reads a string; null is the empty one.
func (r *reader) str() (string, error) {
	switch r.dec.PeekKind() {
	case '"':
		v, err := r.dec.ReadValue()
		if err != nil {
			return "", err
		}
		return r.cut(v)
	case 'n':
		_, err := r.dec.ReadToken()
		return "", err
	}
	return "", r.wrong("a string")
}

// scalar reads a string or a number, the latter as it is written.
func (r *reader) scalar() (string, error) {
	switch r.dec.PeekKind() {
	case '"':
		return r.str()
	case '0':
		v, err := r.dec.ReadValue()
		return string(v), err
	}
	return "", r.wrong("a string or a number")
}

// boolean reads true or false; null is false.
func (r *reader) boolean() (bool, error) {
	switch r.dec.PeekKind() {
	case 't', 'f', 'n':
		t, err := r.dec.ReadToken()
		return err == nil && t.Kind() == 't', err
	}
	return false, r.wrong("true or false")
}

// integer reads a whole number from 0 to most.
func (r *reader) integer(most int) (int, error) {
	switch r.dec.PeekKind() {
	case '0':
		t, err := r.dec.ReadToken()
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(t.String())
		if err != nil || n < 0 || n > most {
			return 0, r.refuse(gateway.CodeInvalid, "The field must be a whole number from 0 to %d.", most)
		}
		return n, nil
	case 'n':
		_, err := r.dec.ReadToken()
		return 0, err
	}
	return 0, r.wrong(fmt.Sprintf("a whole number from 0 to %d", most))
}

// object reads an object; each is called with every name, before its value, and must read the value.
func (r *reader) object(each func(name string) error) error {
	if r.dec.PeekKind() != '{' {
		return r.wrong("an object")
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for {
		switch r.dec.PeekKind() {
		case '}':
			_, err := r.dec.ReadToken()
			return err
		case '"':
		default: // not JSON: let the decoder say so
			_, err := r.dec.ReadToken()
			return orEOF(err)
		}
		v, err := r.dec.ReadValue()
		if err != nil {
			return err
		}
		name, err := r.cut(v)
		if err != nil {
			return err
		}
		if err := each(name); err != nil {
			return err
		}
	}
}

// array reads an array; each must read one element.
func (r *reader) array(each func() error) error {
	if r.dec.PeekKind() != '[' {
		return r.wrong("an array")
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for {
		switch r.dec.PeekKind() {
		case ']':
			_, err := r.dec.ReadToken()
			return err
		case 0: // not JSON, or its end
			_, err := r.dec.ReadToken()
			return orEOF(err)
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// orEOF keeps a loop from taking a missing error for an end.
func orEOF(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// unknown refuses the name just read.
func (r *reader) unknown(name string) error {
	return r.refuse(gateway.CodeUnknownField, "The field %q does not exist here.", limitRunes(name, 64))
}
