package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway/desk"
	"izinli/gateway/store"
)

// storeDir is where the store lives within the data directory.
func storeDir(cfg *configs.Config) string { return filepath.Join(cfg.Data, "store") }

// openStore opens the store with its key. For a store that does not exist yet it makes the data directory and, unless
// IZINLI_STORE_KEY holds one, the key file, whose path it prints to standard error with "back this up". A missing, malformed or
// wrong key of a store that does exist is an error that says which; so is a key file others can read.
func openStore(cfg *configs.Config, log *slog.Logger) (*store.Store, error) {
	return openStoreNoting(cfg, log, os.Stderr)
}

func openStoreNoting(cfg *configs.Config, log *slog.Logger, notices io.Writer) (*store.Store, error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	key, from, err := storeKey(cfg, notices)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(store.Options{
		Dir: storeDir(cfg), Key: key, Retention: cfg.Store.Retention.Std(), Reserve: uint64(cfg.Store.Reserve), Memory: int64(cfg.Store.Memory),
		Log: log,
	})
	if errors.Is(err, store.ErrKey) {
		return nil, fmt.Errorf("%w: the key tried comes from %s", err, from)
	}
	return st, err
}

// storeKey finds the store key and says where it comes from.
func storeKey(cfg *configs.Config, notices io.Writer) (key []byte, from string, err error) {
	if cfg.Store.Key != "" {
		if key = store.ParseKey(cfg.Store.Key); key == nil {
			return nil, "", fmt.Errorf("%s does not hold a key: it takes 32 octets or 64 hex digits", configs.EnvStoreKey)
		}
		return key, configs.EnvStoreKey, nil
	}
	path := cfg.Store.KeyFile
	if fi, err := os.Stat(path); err == nil && fi.Mode().Perm()&0o077 != 0 {
		return nil, "", fmt.Errorf("the key file %s can be read by others (mode %04o): run chmod 600 on it, and think of whether it has leaked", path, fi.Mode().Perm())
	}
	key, created, err := store.LoadKey(path, !store.Exists(storeDir(cfg)))
	if err != nil {
		return nil, "", fmt.Errorf("%w; restore it from your backup, or set store.keyFile or %s", err, configs.EnvStoreKey)
	}
	if created {
		if full, err := filepath.Abs(path); err == nil {
			path = full
		}
		_, _ = fmt.Fprintf(notices, "The store key was made: %s\nBack this up, apart from the data: without it nothing in the store can be read.\n", path)
	}
	return key, "the file " + path, nil
}

// deskOf is the administration over a store no server runs on. What takes a server it refuses: consents and the
// blacklist, the queue, traffic with İYS, and test messages, for nothing here carries them.
func deskOf(st *store.Store, log *slog.Logger) *desk.Admin {
	return desk.New(desk.Deps{Store: st, Users: st, Verify: assembly.VerifyFunc(st), Audit: func(ctx context.Context, e desk.Entry) {
		v, err := json.Marshal(e)
		if err == nil {
			err = st.PutAudit(ctx, v)
		}
		if err != nil {
			log.Error("change of the administration not in the trail", "what", e.What, "target", e.Target, "err", err)
		}
	}})
}

// withDesk runs f with the administration: the running server's, or that of the store when no server runs.
func withDesk(cmd *cobra.Command, f func(ctx context.Context, s desk.Service) error) error {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	return withDeskOf(cmd, cfg, f)
}

func withDeskOf(cmd *cobra.Command, cfg *configs.Config, f func(ctx context.Context, s desk.Service) error) (err error) {
	ctx := desk.WithActor(cmd.Context(), actor())
	s, closer, err := desk.Reach(ctx, desk.SocketPath(cfg.Data), func() (desk.Service, io.Closer, error) {
		// A command says what it did itself; the store's own chatter starts at warnings.
		quiet := *cfg
		quiet.Log.Level = "warn"
		log := newLogger(&quiet, cmd.ErrOrStderr())
		st, err := openStoreNoting(cfg, log, cmd.ErrOrStderr())
		if err != nil {
			return nil, nil, err
		}
		return deskOf(st, log), st, nil
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	return f(ctx, s)
}
