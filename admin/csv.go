package admin

import (
	"encoding/csv"
	"net/http"
	"strings"
	"time"
)

// csvRows bounds one download; whoever needs more narrows the list.
const csvRows = 100_000

// csv streams a file page by page; more returns the cursor of the next page, empty at the end.
func (c *call) csv(name string, head []string, more func(write func(...string)) (string, error)) error {
	rows := 0
	var w *csv.Writer
	begin := func() {
		h := c.Response().Header()
		h.Set("Content-Type", "text/csv; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
		c.Response().WriteHeader(http.StatusOK)
		_, _ = c.Response().Write([]byte("\ufeff")) // spreadsheets take UTF-8 without it for their own code page
		w = csv.NewWriter(c.Response())
		_ = w.Write(head)
	}
	var page [][]string
	for c.Request().Context().Err() == nil { // a narrow search may look through much and find little
		page = page[:0]
		next, err := more(func(cells ...string) {
			row := make([]string, len(cells))
			for i, s := range cells {
				row[i] = csvSafe(s)
			}
			page = append(page, row)
		})
		if err != nil {
			return err // before the first row this is still an ordinary error page
		}
		if w == nil {
			begin()
		}
		for _, row := range page {
			if err := w.Write(row); err != nil {
				return nil // the reader went
			}
		}
		rows += len(page)
		if next == "" || rows >= csvRows {
			w.Flush()
			return nil
		}
		w.Flush()
		_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(time.Minute))
	}
	return nil
}

// csvSafe keeps a spreadsheet from taking a cell for a formula (OWASP, CSV Injection).
func csvSafe(s string) string {
	if strings.TrimLeft(s, " ") != "" && strings.ContainsRune("=+-@\t\r\n", rune(strings.TrimLeft(s, " ")[0])) {
		return "'" + s
	}
	return s
}

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(istanbul).Format(time.RFC3339)
}
