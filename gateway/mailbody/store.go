package mailbody

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"izinli/gateway"
)

// DefaultInline is the body size up to which no file is needed (design §6).
const DefaultInline = 64 << 10

// Small keeps small bodies beside the caller's other records. Its methods return when the act is synced.
type Small interface {
	PutBody(ctx context.Context, id string, body []byte) error
	// GetBody answers fs.ErrNotExist for an unknown id.
	GetBody(ctx context.Context, id string) ([]byte, error)
	DeleteBody(ctx context.Context, id string) error
}

// Options of a Store. The zero value keeps everything in files and bounds nothing.
type Options struct {
	Inline  int64 // octets up to which a body goes to Small or is staged; DefaultInline when 0
	Small   Small // nil: files only
	MaxSize int64 // octets of one body; 0: no bound
}

// Store keeps bodies. Its methods are safe for concurrent use. One Store owns its directory.
type Store struct {
	dir    string
	master []byte
	opt    Options
	shards sync.Map // directories known to be synced into theirs
}

var _ gateway.BodyStore = (*Store)(nil)

// Prefixes of ids: the first character says where a body lies.
const (
	inFile  = 'f'
	inSmall = 's'
)

const partSuffix = ".part"

// Open opens the store in dir, which is created (0700), under a key of 32 octets. Half-written files of a crash are removed.
func Open(dir string, key []byte, o Options) (*Store, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("mailbody: the key has %d octets, not 32", len(key))
	}
	if o.Inline == 0 {
		o.Inline = DefaultInline
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mailbody: open: %w", err)
	}
	s := &Store{dir: dir, master: bytes.Clone(key), opt: o}
	err := s.each(func(path, id string, _ fs.DirEntry) error {
		if strings.HasSuffix(id, partSuffix) {
			return os.Remove(path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("mailbody: open: %w", err)
	}
	return s, syncDir(filepath.Dir(dir))
}

// Put stores what r yields and returns when it is synced. Nothing is left behind when it fails. An error of r is returned
// wrapped; a body above MaxSize is a *gateway.Error with CodeTooLarge, a full disk one with CodeStorageFull.
func (s *Store) Put(ctx context.Context, r io.Reader) (gateway.BodyRef, error) {
	if s.opt.Small == nil {
		return s.putFile(ctx, r)
	}
	ref, inline, err := s.Stage(ctx, r)
	if err != nil || inline == nil {
		return ref, err
	}
	if err := s.opt.Small.PutBody(ctx, ref.ID, inline); err != nil {
		return gateway.BodyRef{}, fmt.Errorf("mailbody: put: %w", err)
	}
	return ref, nil
}

// Stage is Put for a caller that can keep a small body itself: inline is then the whole body, not nil and at most
// Options.Inline octets, and ref names it, but it is stored nowhere yet: the caller writes it in the commit that refers to it,
// where Small finds it. A larger body is stored and synced as by Put and inline is nil.
func (s *Store) Stage(ctx context.Context, r io.Reader) (ref gateway.BodyRef, inline []byte, err error) {
	var head []byte
	if l, ok := r.(interface{ Len() int }); ok && int64(l.Len()) <= s.opt.Inline { // it says how much there is
		head = make([]byte, l.Len())
		_, err = io.ReadFull(r, head)
	} else {
		head, err = io.ReadAll(io.LimitReader(r, s.opt.Inline+1))
	}
	if err != nil {
		return ref, nil, fmt.Errorf("mailbody: read: %w", err)
	}
	if int64(len(head)) <= s.opt.Inline {
		if s.opt.MaxSize > 0 && int64(len(head)) > s.opt.MaxSize {
			return ref, nil, gateway.Refuse(gateway.CodeTooLarge, "", "")
		}
		return gateway.BodyRef{ID: newID(inSmall), Size: int64(len(head))}, head, nil
	}
	ref, err = s.putFile(ctx, io.MultiReader(bytes.NewReader(head), r))
	return ref, nil, err
}

func (s *Store) putFile(ctx context.Context, r io.Reader) (ref gateway.BodyRef, err error) {
	id := newID(inFile)
	final := s.path(id)
	shard := filepath.Dir(final)
	if err := s.makeShard(shard); err != nil {
		return ref, err
	}
	f, err := os.OpenFile(final+partSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return ref, writeError(err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(final + partSuffix)
		}
	}()
	if s.opt.MaxSize > 0 {
		r = &bounded{r: r, left: s.opt.MaxSize}
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	aead, err := fileCipher(s.master, salt, id)
	if err != nil {
		return ref, err
	}
	size, err := seal(ctx, f, r, aead, salt)
	if err != nil {
		return ref, putError(err)
	}
	if err := f.Sync(); err != nil {
		return ref, writeError(err)
	}
	if err := f.Close(); err != nil {
		return ref, writeError(err)
	}
	if err := os.Rename(final+partSuffix, final); err != nil {
		return ref, writeError(err)
	}
	if err := syncDir(shard); err != nil {
		os.Remove(final)
		return ref, err
	}
	return gateway.BodyRef{ID: id, Size: size}, nil
}

// Open streams a body back. It answers an error that matches fs.ErrNotExist for a body that is not there; reading answers
// ErrDamaged, before any octet of the damaged part, when the file is not what Put wrote.
func (s *Store) Open(ctx context.Context, ref gateway.BodyRef) (io.ReadCloser, error) {
	if !validID(ref.ID) {
		return nil, fmt.Errorf("mailbody: open %q: %w", ref.ID, fs.ErrNotExist)
	}
	if ref.ID[0] == inSmall {
		if s.opt.Small == nil {
			return nil, fmt.Errorf("mailbody: open %q: %w", ref.ID, fs.ErrNotExist)
		}
		b, err := s.opt.Small.GetBody(ctx, ref.ID)
		if err != nil {
			return nil, fmt.Errorf("mailbody: open: %w", err)
		}
		return &held{*bytes.NewReader(b), b}, nil
	}
	f, err := os.Open(s.path(ref.ID))
	if err != nil {
		return nil, fmt.Errorf("mailbody: open: %w", err)
	}
	o, err := newOpener(f, s.master, ref.ID)
	if err != nil {
		f.Close()
		return nil, err
	}
	return o, nil
}

// held is a body in memory.
type held struct {
	bytes.Reader
	raw []byte
}

// Close implements io.Closer.
func (*held) Close() error { return nil }

// Whole is the body, for who would read it into memory; it must not be changed.
func (b *held) Whole() []byte { return b.raw }

// IsSmall reports whether a body of that id lies in Small, or in the record of who staged it, and not in a file.
func IsSmall(id string) bool { return id != "" && id[0] == inSmall }

// Delete removes a body; one that is not there is no error.
func (s *Store) Delete(ctx context.Context, ref gateway.BodyRef) error {
	if !validID(ref.ID) {
		return nil
	}
	if ref.ID[0] == inSmall {
		if s.opt.Small == nil {
			return nil
		}
		if err := s.opt.Small.DeleteBody(ctx, ref.ID); err != nil {
			return fmt.Errorf("mailbody: delete: %w", err)
		}
		return nil
	}
	if err := os.Remove(s.path(ref.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("mailbody: delete: %w", err)
	}
	return nil // not synced: a file that comes back after a crash is an orphan
}

// Sweep removes the files last written before the given time that nobody refers to: keep answers for an id. A body is younger
// than the record that refers to it, so the time must leave the slowest acceptance its room (an hour does). Small bodies are
// their store's.
func (s *Store) Sweep(ctx context.Context, before time.Time, keep func(id string) (bool, error)) (removed int, err error) {
	err = s.each(func(path, id string, e fs.DirEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil || !info.ModTime().Before(before) || strings.HasSuffix(id, partSuffix) || !validID(id) {
			return err
		}
		if kept, err := keep(id); err != nil || kept {
			return err
		}
		removed++
		return os.Remove(path)
	})
	if err != nil {
		return removed, fmt.Errorf("mailbody: sweep: %w", err)
	}
	return removed, nil
}

// each calls do for every file of the shards.
func (s *Store) each(do func(path, id string, e fs.DirEntry) error) error {
	shards, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, sh := range shards {
		if !sh.IsDir() || len(sh.Name()) != 2 {
			continue
		}
		dir := filepath.Join(s.dir, sh.Name())
		files, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := do(filepath.Join(dir, f.Name()), f.Name(), f); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// path spreads files over 1024 directories by the first two random characters of the id.
func (s *Store) path(id string) string { return filepath.Join(s.dir, id[1:3], id) }

func (s *Store) makeShard(dir string) error {
	if _, known := s.shards.Load(dir); known {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return writeError(err)
	}
	if err := syncDir(s.dir); err != nil { // also when another made it: its sync may not have come yet
		return err
	}
	s.shards.Store(dir, true)
	return nil
}

// idLen is one character for the place and 26 of base 32: 130 random bits.
const idLen = 1 + 26

func newID(place byte) string { return string(place) + strings.ToLower(rand.Text()) }

// validID keeps foreign text from becoming a path.
func validID(id string) bool {
	if len(id) != idLen || id[0] != inFile && id[0] != inSmall {
		return false
	}
	for i := 1; i < len(id); i++ {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// bounded fails beyond its bound instead of ending.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, gateway.Refuse(gateway.CodeTooLarge, "", "")
	}
	return n, err
}

func putError(err error) error {
	var e *gateway.Error
	if errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("mailbody: put: %w", err)
}

// writeError tells a full disk, which the sender may wait out, from the rest.
func writeError(err error) error {
	code := gateway.CodeUnavailable
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		code = gateway.CodeStorageFull
	}
	return &gateway.Error{Code: code, Text: code.Wire().Title, Err: fmt.Errorf("mailbody: write: %w", err)}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return writeError(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return writeError(err)
	}
	return nil
}
