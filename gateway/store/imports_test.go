package store

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strconv"
	"testing"
	"time"

	"izinli/gateway"
)

func importJob(s *Store, a gateway.AccountID) *gateway.ImportJob {
	now := time.UnixMilli(1_800_000_000_123)
	return &gateway.ImportJob{
		ImportView: gateway.ImportView{ID: strconv.FormatUint(s.NextSeq(), 36), Brand: "675403", Mode: "verify", State: gateway.ImportRunning,
			Format: "txt", DryRun: true, Progress: 61, Known: 2, Rows: 10, Good: 7, Bad: 3, Approved: 5, Error: "waits", Created: now, Updated: now.Add(time.Second), Name: "izinler.csv"},
		Account: a, Credential: "k1", Channel: "MESAJ", RecipientType: "BIREYSEL", Delimiter: ';', Encoding: "utf-8",
		Mark: true, Header: []string{"telefon", "", "alıcı tipi"}, HeaderLine: 1, Size: 20_000, Offset: 12345, Line: 11,
		Defaults: gateway.ImportDefaults{Status: "ONAY", Source: "HS_WEB", ConsentDate: "2026-12-01", RetailerCode: 7},
	}
}

func openForImports(t *testing.T) *Store {
	t.Helper()
	s, err := Open(Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestImportsAreKept(t *testing.T) {
	s, ctx := openForImports(t), context.Background()
	j, other := importJob(s, 1), importJob(s, 2)
	var rows []gateway.ImportRow
	for i := range uint32(5) {
		rows = append(rows, gateway.ImportRow{Line: 2 + 100*i, Fields: []string{"0532", "", "x"}, Code: gateway.CodeBadNumber, IYS: "H121", Field: "recipient",
			Turkish: "Alıcı geçersiz.", English: "bad recipient"})
	}
	if err := errors.Join(s.PutImport(ctx, j, rows), s.PutImport(ctx, other, rows[:1]), s.PutImport(ctx, j, rows[:2])); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Import(ctx, 1, j.ID); err != nil || !reflect.DeepEqual(got, j) {
		t.Errorf("got %+v %v, want %+v", got, err, j)
	}
	var got []gateway.ImportRow
	for after := uint32(0); ; {
		page, err := s.ImportRows(ctx, 1, j.ID, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got, after = append(got, page...), page[len(page)-1].Line
	}
	if !reflect.DeepEqual(got, rows) {
		t.Errorf("rows: got %+v, want each once: %+v", got, rows)
	}
	open, err := s.OpenImports(ctx)
	if err != nil || len(open) != 2 {
		t.Errorf("open: %d %v, want 2", len(open), err)
	}
	second := importJob(s, 1)
	if err := s.PutImport(ctx, second, nil); err != nil {
		t.Fatal(err)
	}
	page, err := s.ListImports(ctx, 1, "", 1)
	if err != nil || len(page.Items) != 1 || page.Items[0] != second.ImportView || page.Next == "" {
		t.Errorf("first page: %+v %v, want the newer one", page, err)
	}
	if page, err = s.ListImports(ctx, 1, page.Next, 1); err != nil || len(page.Items) != 1 || page.Items[0] != j.ImportView || page.Next != "" {
		t.Errorf("second page: %+v %v, want the older one", page, err)
	}
	j.State, second.State = gateway.ImportDone, gateway.ImportFailed
	if err := errors.Join(s.PutImport(ctx, j, nil), s.PutImport(ctx, second, nil)); err != nil {
		t.Fatal(err)
	}
	if open, err := s.OpenImports(ctx); err != nil || len(open) != 1 || open[0].ID != other.ID || open[0].Account != 2 {
		t.Errorf("open: %+v %v, want the other account's", open, err)
	}
	for _, c := range []struct {
		a  gateway.AccountID
		id string
	}{{2, j.ID}, {1, other.ID}, {1, "nope!"}, {1, ""}} {
		var e *gateway.Error
		if _, err := s.Import(ctx, c.a, c.id); !errors.As(err, &e) || e.Code != gateway.CodeNotFound {
			t.Errorf("account %d asks for %q: got %v, want not_found", c.a, c.id, err)
		}
		if rows, _ := s.ImportRows(ctx, c.a, c.id, 0, 10); len(rows) != 0 {
			t.Errorf("account %d sees rows of %q", c.a, c.id)
		}
	}
}

func TestImportRecordsAreCheckedWhenRead(t *testing.T) {
	s := openForImports(t)
	j := importJob(s, 1)
	id, err := parseImportID(j.ID)
	if err != nil {
		t.Fatal(err)
	}
	k, v := importKey(1, id), encodeImport(j)
	if _, err := decodeImport(k, v); err != nil {
		t.Fatal(err)
	}
	row := encodeImportRow(&gateway.ImportRow{Line: 1, Fields: []string{"a", "b"}, Code: gateway.CodeInvalid})
	rk := importRowKey(1, id, 1)
	// Rows of before the field was told are read all the same.
	old := append([]byte{1}, row[1:len(row)-1]...)
	if r, err := decodeImportRow(rk, old); err != nil || len(r.Fields) != 2 || r.Field != "" {
		t.Errorf("a row of version 1: %+v %v", r, err)
	}
	for n := range v {
		if _, err := decodeImport(k, v[:n]); !errors.Is(err, errCorrupt) {
			t.Errorf("%d of %d octets of an import: got %v, want corrupt", n, len(v), err)
		}
	}
	for n := range row {
		if _, err := decodeImportRow(rk, row[:n]); !errors.Is(err, errCorrupt) {
			t.Errorf("%d of %d octets of a row: got %v, want corrupt", n, len(row), err)
		}
	}
	if _, err := decodeImport(k[:5], v); !errors.Is(err, errCorrupt) {
		t.Errorf("a short key: got %v, want corrupt", err)
	}
	if !bytes.HasPrefix(rk, importRowPrefix(1, id)) {
		t.Error("a row does not stand under its import")
	}
}
