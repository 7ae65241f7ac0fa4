package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// importKept is how long an import and its refused rows can be fetched after the last change: they are the customer's own data
// and no evidence.
const importKept = 30 * 24 * time.Hour

// Bounds of PendingEvents.
const (
	pendingCount = 100_000 // events counted
	pendingLook  = 100     // of them read for the last error
)

// parseImportID reads the text form of an import's number; what is none names nothing.
func parseImportID(id string) (uint64, error) {
	n, err := strconv.ParseUint(id, 36, 64)
	if err != nil {
		return 0, notFound("import", id)
	}
	return n, nil
}

func encodeImport(j *gateway.ImportJob) []byte {
	var e enc
	e.u8(importVersion)
	for _, s := range []string{j.Brand, j.Mode, j.State, j.Error, j.Credential, j.Channel, j.RecipientType, j.Name, j.Encoding} {
		e.text(s)
	}
	for _, n := range []int{j.Rows, j.Good, j.Bad, j.Approved} {
		e.uint(uint64(max(0, n)))
	}
	e.time(j.Created)
	e.time(j.Updated)
	e.u8(j.Delimiter)
	e.flag(j.Mark)
	e.int(j.Offset)
	e.uint(uint64(j.Line))
	e.uint(uint64(len(j.Header)))
	for _, h := range j.Header {
		e.text(h)
	}
	d := &j.Defaults
	for _, s := range []string{j.Format, d.Status, d.Source, d.ConsentDate} {
		e.text(s)
	}
	e.flag(j.DryRun)
	e.uint(uint64(max(0, j.Known)))
	e.uint(uint64(max(0, d.RetailerCode)))
	e.uint(uint64(j.HeaderLine))
	e.int(j.Size)
	return e
}

// importVersion of the encoding: the first one ended with the header.
const importVersion = 2

func decodeImport(k, v []byte) (*gateway.ImportJob, error) {
	d := dec{b: v}
	written := d.u8()
	j := &gateway.ImportJob{}
	if len(k) == 13 {
		j.Account = gateway.AccountID(beUint32(k[1:]))
		j.ID = strconv.FormatUint(binary.BigEndian.Uint64(k[5:]), 36)
	} else {
		d.fail()
	}
	for _, p := range []*string{&j.Brand, &j.Mode, &j.State, &j.Error, &j.Credential, &j.Channel, &j.RecipientType, &j.Name, &j.Encoding} {
		*p = d.text()
	}
	for _, p := range []*int{&j.Rows, &j.Good, &j.Bad, &j.Approved} {
		*p = int(d.uint())
	}
	j.Created, j.Updated = d.time(), d.time()
	j.Delimiter, j.Mark = d.u8(), d.flag()
	j.Offset, j.Line = d.int(), uint32(d.uint())
	for range d.count(1) {
		j.Header = append(j.Header, d.text())
	}
	if written < importVersion {
		j.Format = gateway.FormatCSV
		return j, d.err("import")
	}
	for _, p := range []*string{&j.Format, &j.Defaults.Status, &j.Defaults.Source, &j.Defaults.ConsentDate} {
		*p = d.text()
	}
	j.DryRun = d.flag()
	j.Known, j.Defaults.RetailerCode = int(d.uint()), int(d.uint())
	j.HeaderLine, j.Size = uint32(d.uint()), d.int()
	if j.Progress = 100; j.State == gateway.ImportRunning && j.Size > 0 {
		j.Progress = int(min(99, 100*j.Offset/j.Size))
	} else if j.State == gateway.ImportRunning {
		j.Progress = 0
	}
	return j, d.err("import")
}

func encodeImportRow(r *gateway.ImportRow) []byte {
	var e enc
	e.u8(2)
	e.text(string(r.Code))
	e.text(r.IYS)
	e.text(r.Turkish)
	e.text(r.English)
	e.uint(uint64(len(r.Fields)))
	for _, f := range r.Fields {
		e.text(f)
	}
	e.text(r.Field) // since version 2
	return e
}

func decodeImportRow(k, v []byte) (gateway.ImportRow, error) {
	d := dec{b: v}
	version := d.u8()
	r := gateway.ImportRow{Code: gateway.Code(d.text()), IYS: d.text(), Turkish: d.text(), English: d.text()}
	for range d.count(1) {
		r.Fields = append(r.Fields, d.text())
	}
	if version >= 2 {
		r.Field = d.text()
	}
	if len(k) == 17 {
		r.Line = beUint32(k[13:])
	} else {
		d.fail()
	}
	return r, d.err("import row")
}

// PutImport writes an import together with rows refused since its last writing, in one commit, and returns after the sync.
// Writing a row again replaces it. At most some thousand rows and 2 MiB go into one call.
func (s *Store) PutImport(_ context.Context, j *gateway.ImportJob, rows []gateway.ImportRow) error {
	id, err := parseImportID(j.ID)
	if err != nil {
		return err
	}
	v := encodeImport(j)
	values := make([][]byte, len(rows))
	for i := range rows {
		values[i] = encodeImportRow(&rows[i])
	}
	a := j.Account
	return s.do(func(t *tx) error {
		if err := t.set(importKey(a, id), v, importKept); err != nil {
			return err
		}
		for i := range rows {
			if err := t.set(importRowKey(a, id, rows[i].Line), values[i], importKept); err != nil {
				return err
			}
		}
		return nil
	})
}

// Import reads an import of the account.
func (s *Store) Import(_ context.Context, a gateway.AccountID, id string) (j *gateway.ImportJob, err error) {
	n, err := parseImportID(id)
	if err != nil {
		return nil, err
	}
	k := importKey(a, n)
	err = s.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, k)
		if err != nil {
			return err
		}
		if v == nil {
			return notFound("import", id)
		}
		j, err = decodeImport(k, v)
		return err
	})
	return j, err
}

// ListImports lists an account's imports, newest first: those that changed within the last 30 days.
func (s *Store) ListImports(_ context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.ImportView], error) {
	return newest(s, func(id uint64) key { return importKey(a, id) }, cursor, limit, func(k, v []byte, view *gateway.ImportView) error {
		j, err := decodeImport(k, v)
		if err == nil {
			*view = j.ImportView
		}
		return err
	})
}

// OpenImports lists the imports of all accounts that have not ended, for a restart.
func (s *Store) OpenImports(ctx context.Context) (out []gateway.ImportJob, err error) {
	err = s.each(ctx, kImport, true, func(k, v []byte) error {
		j, err := decodeImport(k, v)
		if err == nil && j.State == gateway.ImportRunning {
			out = append(out, *j)
		}
		return err
	})
	return out, err
}

// ImportRows lists up to limit refused rows of an import behind the given line, in the order of the file.
func (s *Store) ImportRows(_ context.Context, a gateway.AccountID, id string, after uint32, limit int) (out []gateway.ImportRow, err error) {
	n, err := parseImportID(id)
	if err != nil {
		return nil, err
	}
	prefix := importRowPrefix(a, n)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: min(limit, 100)})
		defer it.Close()
		for it.Seek(importRowKey(a, n, after+1)); it.ValidForPrefix(prefix) && len(out) < limit; it.Next() {
			k := it.Item().Key()
			if err := it.Item().Value(func(v []byte) error {
				r, err := decodeImportRow(k, v)
				out = append(out, r)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// PendingEvents tells how many events wait for the account's webhook, counting no further than 100 000, and what the last
// attempt that failed met. Events in retry stand behind the others, so only the last hundred are looked at for the error.
func (s *Store) PendingEvents(_ context.Context, a gateway.AccountID) (n int, lastErr string, err error) {
	prefix := newKey(kEvent, 4).account(a)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true})
		defer it.Close()
		for it.Seek(newKey(kEvent, 20).account(a).u64(^uint64(0)).u64(^uint64(0))); it.ValidForPrefix(prefix) && n < pendingCount; it.Next() {
			n++
			if n > pendingLook || lastErr != "" {
				continue
			}
			if err := it.Item().Value(func(v []byte) error {
				var ev storedEvent
				err := json.Unmarshal(v, &ev)
				lastErr = ev.LastErr
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return n, lastErr, err
}
