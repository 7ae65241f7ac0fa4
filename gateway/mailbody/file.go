package mailbody

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A body file is
//
//	magic   4   "IZB1"
//	salt    16  random, of this file
//	chunk…      AES-256-GCM of up to chunkSize octets of the body, each with its 16-octet tag
//
// The key of a file is HKDF-SHA256(store key, salt, "izinli mail body " + id), so a file under another name does not open. The
// nonce is the chunk's number (11 octets, big endian) and one octet that is 1 for the last chunk alone (the STREAM
// construction): chunks cannot be cut off, repeated, moved or appended unseen. Every chunk but the last is full; an empty body
// is one empty last chunk.
const (
	magic     = "IZB1"
	saltSize  = 16
	chunkSize = 64 << 10
	tagSize   = 16
	headSize  = len(magic) + saltSize
)

// ErrDamaged says that a file is not what Put wrote: cut short, altered, of another id or another key.
var ErrDamaged = errors.New("mailbody: damaged body")

func fileCipher(master []byte, salt []byte, id string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, master, salt, "izinli mail body "+id, 32)
	if err != nil {
		return nil, fmt.Errorf("mailbody: key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("mailbody: key: %w", err)
	}
	return cipher.NewGCM(block)
}

func nonceOf(chunk uint64, last bool) (n [12]byte) {
	binary.BigEndian.PutUint64(n[3:11], chunk)
	if last {
		n[11] = 1
	}
	return n
}

// seal writes head and chunks of what r yields to w and returns the body's size. ctx is looked at between chunks.
func seal(ctx context.Context, w io.Writer, r io.Reader, aead cipher.AEAD, salt []byte) (int64, error) {
	if _, err := w.Write(append([]byte(magic), salt...)); err != nil {
		return 0, writeError(err)
	}
	br := bufio.NewReaderSize(r, 4096)
	buf := make([]byte, chunkSize, chunkSize+tagSize)
	var size int64
	for chunk := uint64(0); ; chunk++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, last, err := fill(br, buf)
		if err != nil {
			return 0, err
		}
		size += int64(n)
		nonce := nonceOf(chunk, last)
		if _, err := w.Write(aead.Seal(buf[:0], nonce[:], buf[:n], nil)); err != nil {
			return 0, writeError(err)
		}
		if last {
			return size, nil
		}
	}
}

// fill reads a chunk; last says that nothing follows. Only io.EOF is an end: io.ReadFull would hide an io.ErrUnexpectedEOF of the
// source, with which a lost connection shows, and half a mail would pass for a whole one.
func fill(br *bufio.Reader, buf []byte) (n int, last bool, err error) {
	for n < len(buf) {
		m, err := br.Read(buf[n:])
		n += m
		if errors.Is(err, io.EOF) {
			return n, true, nil
		} else if err != nil {
			return n, false, err
		}
	}
	_, err = br.Peek(1) // a full chunk is the last one if nothing follows
	if errors.Is(err, io.EOF) {
		return n, true, nil
	}
	return n, false, err
}

// opener streams a body file back.
type opener struct {
	file  io.Closer
	src   *bufio.Reader
	aead  cipher.AEAD
	chunk uint64
	buf   []byte // of one sealed chunk
	rest  []byte // opened, not yet handed out; inside buf
	done  bool
	err   error
}

func newOpener(f io.ReadCloser, master []byte, id string) (*opener, error) {
	head := make([]byte, headSize)
	if _, err := io.ReadFull(f, head); err != nil || string(head[:len(magic)]) != magic {
		return nil, ErrDamaged
	}
	aead, err := fileCipher(master, head[len(magic):], id)
	if err != nil {
		return nil, err
	}
	return &opener{file: f, src: bufio.NewReaderSize(f, 4096), aead: aead, buf: make([]byte, chunkSize+tagSize)}, nil
}

// Read implements io.Reader. Nothing of a chunk is handed out before its tag was checked.
func (o *opener) Read(p []byte) (int, error) {
	for len(o.rest) == 0 && o.err == nil {
		if o.done {
			o.err = io.EOF
			break
		}
		o.err = o.next()
	}
	if len(o.rest) == 0 {
		return 0, o.err
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

func (o *opener) next() error {
	n, err := io.ReadFull(o.src, o.buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		if errors.Is(err, io.EOF) {
			return ErrDamaged // the last chunk is missing
		}
		return fmt.Errorf("mailbody: read: %w", err)
	}
	_, peekErr := o.src.Peek(1)
	last := errors.Is(peekErr, io.EOF)
	nonce := nonceOf(o.chunk, last)
	o.chunk++
	o.rest, err = o.aead.Open(o.buf[:0], nonce[:], o.buf[:n], nil)
	if err != nil {
		o.rest = nil
		return ErrDamaged
	}
	o.done = last
	return nil
}

// Close implements io.Closer.
func (o *opener) Close() error {
	if o.err == nil {
		o.err = io.ErrClosedPipe
	}
	o.rest = nil
	return o.file.Close()
}
