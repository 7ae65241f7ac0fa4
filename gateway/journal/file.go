package journal

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// File is a journal's file that can be opened again under its name: rename it, call Reopen (on SIGHUP), and the next line goes
// into a new one.
type File struct {
	path string

	mu sync.Mutex
	f  *os.File // guarded by mu
}

// OpenFile opens or creates the file for appending, mode 0600.
func OpenFile(path string) (*File, error) {
	f, err := openAppend(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, f: f}, nil
}

func openAppend(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: open: %w", err)
	}
	return f, nil
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Write(p)
}

// Reopen opens the name anew and closes the old file. When the new one cannot be opened the old one stays in use.
func (f *File) Reopen() error {
	next, err := openAppend(f.path)
	if err != nil {
		return err
	}
	f.mu.Lock()
	old := f.f
	f.f = next
	f.mu.Unlock()
	return wrap("close", errors.Join(old.Sync(), old.Close()))
}

// Close closes the file, after the journal over it.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return wrap("close", errors.Join(f.f.Sync(), f.f.Close()))
}

func wrap(act string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("journal: %s: %w", act, err)
}
