package mtasts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// kept is one domain in the file.
type kept struct {
	Policy  *Policy   `json:"policy"`
	ID      string    `json:"id"`
	Fetched time.Time `json:"fetched"`
}

// saveEvery bounds how often the file is written.
const saveEvery = 30 * time.Second

// load reads the file of a new cache.
func (c *Cache) load() {
	if c.cfg.File == "" {
		return
	}
	b, err := os.ReadFile(c.cfg.File)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	list := map[string]kept{}
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil {
		c.cfg.Log.Error("mta-sts policies not read: they will be fetched again", "file", c.cfg.File, "err", err)
		return
	}
	now := c.cfg.Now()
	for domain, k := range list {
		if e := (&entry{policy: k.Policy, id: k.ID, fetched: k.Fetched}); e.holds(now) != nil && len(c.domains) < maxDomains {
			c.domains[domain] = e
		}
	}
}

// Save writes what is known to the file when something has changed; unless now is true not more often than every 30 s.
func (c *Cache) Save(now bool) error {
	if c.cfg.File == "" {
		return nil
	}
	at := c.cfg.Now()
	c.mu.Lock()
	if !c.changed || !now && at.Sub(c.saved) < saveEvery {
		c.mu.Unlock()
		return nil
	}
	list := map[string]kept{}
	for domain, e := range c.domains {
		if e.holds(at) != nil {
			list[domain] = kept{e.policy, e.id, e.fetched}
		}
	}
	c.changed, c.saved = false, at
	c.mu.Unlock()
	err := write(c.cfg.File, list)
	if err != nil {
		c.mu.Lock()
		c.changed = true
		c.mu.Unlock()
	}
	return err
}

// write replaces a file: it holds the old list or the new one, never half of one.
func write(name string, list map[string]kept) error {
	b, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("mtasts: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("mtasts: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("mtasts: %w", err)
	}
	return nil
}
