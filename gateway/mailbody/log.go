package mailbody

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// A segment file is
//
//	magic   4   "IZL1"
//	salt    16  random, of this file
//	body…       AES-256-GCM of one body, with its 16-octet tag; where it stands is known to who appended it
//
// The key of a segment is HKDF-SHA256(store key, salt, "izinli mail body log"), the nonce of a body its offset, and its id is
// authenticated beside it. An offset is written once in the life of a file: after a start, or a write that failed, the log goes on in a
// new segment.
const (
	logMagic  = "IZL1"
	logSuffix = ".seg"
	// segmentSize is where a segment ends. What is deleted gives its space back when its whole segment is dead, or when the log is
	// sparse enough for Sparse to name it.
	segmentSize = 32 << 20
	// sparseSize is how much room dead bodies may take before anything is copied for it, sparseShare the part of a segment that may
	// live for it to be worth the copying.
	sparseSize  = 256 << 20
	sparseShare = 4
)

// Place is where a body stands in a [Log].
type Place struct {
	Segment uint64
	Offset  uint32 // octets from the start of the file
	Size    uint32 // octets, sealed
}

// Log keeps bodies one after another in encrypted segment files, for a caller that writes their places into records of its own: one
// write each and one sync for many, where a file each would take two syncs and a database would carry every body through its
// compactions. Append and Sync belong to one writer; the rest may be called at any time by anybody.
type Log struct {
	dir    string
	master []byte

	segmentSize, sparseSize int64 // the constants of these names; smaller in tests

	mu       sync.Mutex
	segments map[uint64]*segment // guarded by mu
	next     uint64              // guarded by mu

	// Owned by the writer.
	open  *segment
	file  *os.File
	dirty bool
	buf   []byte
}

// segment is one file of the log.
type segment struct {
	number uint64
	size   int64 // octets written
	live   int64 // octets of bodies in use
	closed bool  // nothing is appended any more
	kept   bool  // not to be emptied
	aead   cipher.AEAD
}

// OpenLog opens or creates a log in dir; key has 32 octets. The caller then names what is in use, place by place, with Use: what was not
// named by the first Tidy is gone.
func OpenLog(dir string, key []byte) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mailbody: log: %w", err)
	}
	l := &Log{dir: dir, master: key, segmentSize: segmentSize, sparseSize: sparseSize, segments: map[uint64]*segment{}, next: 1}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("mailbody: log: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), logSuffix)
		n, err := strconv.ParseUint(name, 16, 64)
		if !ok || err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("mailbody: log: %w", err)
		}
		l.segments[n] = &segment{number: n, size: info.Size(), closed: true}
		l.next = max(l.next, n+1)
	}
	return l, nil
}

func (l *Log) path(n uint64) string {
	return filepath.Join(l.dir, fmt.Sprintf("%016x%s", n, logSuffix))
}

// Append writes a body and returns its place, which counts as in use. It is durable after Sync alone. After an error nothing is; a full
// disk is a *gateway.Error with CodeStorageFull.
func (l *Log) Append(id string, body []byte) (Place, error) {
	size := int64(len(body) + tagSize)
	if l.open != nil && l.open.size+size > l.segmentSize {
		if err := l.rotate(); err != nil {
			return Place{}, err
		}
	}
	if l.open == nil {
		if err := l.create(); err != nil {
			return Place{}, err
		}
	}
	s := l.open
	p := Place{Segment: s.number, Offset: uint32(s.size), Size: uint32(size)}
	nonce := placeNonce(p)
	l.buf = s.aead.Seal(l.buf[:0], nonce[:], body, []byte(id))
	if _, err := l.file.WriteAt(l.buf, s.size); err != nil {
		l.abandon()
		return Place{}, writeError(err)
	}
	l.dirty = true
	l.mu.Lock()
	s.size += size
	s.live += size
	l.mu.Unlock()
	return p, nil
}

// Sync makes durable what was appended. After an error none of it can be relied on.
func (l *Log) Sync() error {
	if !l.dirty {
		return nil
	}
	if err := l.file.Sync(); err != nil {
		l.abandon()
		return writeError(err)
	}
	l.dirty = false
	return nil
}

// rotate ends the segment under way.
func (l *Log) rotate() error {
	if err := l.Sync(); err != nil {
		return err
	}
	l.abandon()
	return nil
}

// abandon leaves the segment under way as it is.
func (l *Log) abandon() {
	if l.open == nil {
		return
	}
	_ = l.file.Close() // what counts was synced
	l.mu.Lock()
	l.open.closed = true
	l.mu.Unlock()
	l.open, l.file, l.dirty = nil, nil, false
}

func (l *Log) create() (err error) {
	head := append(make([]byte, 0, headSize), logMagic...)
	head = head[:headSize]
	if _, err := rand.Read(head[len(logMagic):]); err != nil {
		return fmt.Errorf("mailbody: log: %w", err)
	}
	aead, err := logCipher(l.master, head[len(logMagic):])
	if err != nil {
		return err
	}
	l.mu.Lock()
	n := l.next
	l.next++
	l.mu.Unlock()
	f, err := os.OpenFile(l.path(n), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return writeError(err)
	}
	defer func() {
		if err != nil {
			err = writeError(errors.Join(err, f.Close(), os.Remove(l.path(n))))
		}
	}()
	if _, err := f.Write(head); err != nil {
		return err
	}
	if err := syncDir(l.dir); err != nil {
		return err
	}
	s := &segment{number: n, size: int64(len(head)), aead: aead}
	l.mu.Lock()
	l.segments[n] = s
	l.mu.Unlock()
	l.open, l.file, l.dirty = s, f, true
	return nil
}

func logCipher(master, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, master, salt, "izinli mail body log", 32)
	if err != nil {
		return nil, fmt.Errorf("mailbody: key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("mailbody: key: %w", err)
	}
	return cipher.NewGCM(block)
}

func placeNonce(p Place) (n [12]byte) {
	binary.BigEndian.PutUint64(n[4:], uint64(p.Offset))
	return n
}

// Read gives the body of that id back; fs.ErrNotExist when its segment is gone, ErrDamaged when it is not what was appended.
func (l *Log) Read(id string, p Place) ([]byte, error) {
	f, err := os.Open(l.path(p.Segment))
	if err != nil {
		return nil, fmt.Errorf("mailbody: log: %w", err)
	}
	defer f.Close()
	aead, err := l.cipherOf(p.Segment, f)
	if err != nil {
		return nil, err
	}
	if p.Size < uint32(tagSize) || p.Size > segmentSize {
		return nil, ErrDamaged
	}
	sealed := make([]byte, p.Size)
	if _, err := f.ReadAt(sealed, int64(p.Offset)); errors.Is(err, io.EOF) {
		return nil, ErrDamaged
	} else if err != nil {
		return nil, fmt.Errorf("mailbody: log: %w", err)
	}
	nonce := placeNonce(p)
	body, err := aead.Open(sealed[:0], nonce[:], sealed, []byte(id))
	if err != nil {
		return nil, ErrDamaged
	}
	return body, nil
}

// cipherOf is the cipher of a segment, from memory or from the head of its file.
func (l *Log) cipherOf(n uint64, f *os.File) (cipher.AEAD, error) {
	l.mu.Lock()
	s := l.segments[n]
	if s != nil && s.aead != nil {
		defer l.mu.Unlock()
		return s.aead, nil
	}
	l.mu.Unlock()
	head := make([]byte, headSize)
	if _, err := f.ReadAt(head, 0); err != nil || string(head[:len(logMagic)]) != logMagic {
		return nil, ErrDamaged
	}
	aead, err := logCipher(l.master, head[len(logMagic):])
	if err == nil && s != nil {
		l.mu.Lock()
		s.aead = aead
		l.mu.Unlock()
	}
	return aead, err
}

// Use counts a body as in use, at the start.
func (l *Log) Use(p Place) { l.count(p, int64(p.Size)) }

// Free counts a body as no longer in use.
func (l *Log) Free(p Place) { l.count(p, -int64(p.Size)) }

func (l *Log) count(p Place, d int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.segments[p.Segment]; s != nil {
		s.live += d
	}
}

// Forget says that nothing in a segment is in use, whatever was counted.
func (l *Log) Forget(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.segments[n]; s != nil && s.closed {
		s.live = 0
	}
}

// Keep takes a segment out of what Sparse names: something in it cannot be read, so that it cannot be emptied.
func (l *Log) Keep(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.segments[n]; s != nil {
		s.kept = true
	}
}

// Tidy removes the segments in which nothing is in use.
func (l *Log) Tidy() error {
	l.mu.Lock()
	var dead []uint64
	for n, s := range l.segments {
		if s.closed && s.live <= 0 {
			dead = append(dead, n)
			delete(l.segments, n)
		}
	}
	l.mu.Unlock()
	var failed error
	for _, n := range dead {
		if err := os.Remove(l.path(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, fmt.Errorf("mailbody: log: %w", err))
		}
	}
	return failed
}

// Sparse names the segment with the smallest part in use, when dead bodies take much room and copying what lives in it is worth it: the
// caller appends those bodies again and frees their old places.
func (l *Log) Sparse() (n uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var size, live int64
	var worst *segment
	for _, s := range l.segments {
		if !s.closed {
			continue
		}
		size, live = size+s.size, live+s.live
		if !s.kept && s.live*sparseShare < s.size && (worst == nil || s.live*worst.size < worst.live*s.size) {
			worst = s
		}
	}
	if worst == nil || size-live < l.sparseSize {
		return 0, false
	}
	return worst.number, true
}

// Size is what the log takes on disk, and what of it is in use, in octets.
func (l *Log) Size() (size, live int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		size, live = size+s.size, live+s.live
	}
	return size, live
}

// Close ends the segment under way. Reading goes on.
func (l *Log) Close() error {
	err := l.Sync()
	l.abandon()
	return err
}
