package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"izinli/gateway"
)

// column is one column of a table.
type column[T any] struct {
	head string
	cell func(*T) any
}

// printJSON writes v indented.
func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printTable writes rows as a table, or as JSON under --json.
func printTable[T any](cmd *cobra.Command, columns []column[T], rows []T) error {
	if asJSON(cmd) {
		if rows == nil {
			rows = []T{}
		}
		return printJSON(cmd, rows)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for i, c := range columns {
		_, _ = fmt.Fprint(w, tab(i), c.head)
	}
	_, _ = fmt.Fprintln(w)
	for r := range rows {
		for i, c := range columns {
			_, _ = fmt.Fprint(w, tab(i), text(c.cell(&rows[r])))
		}
		_, _ = fmt.Fprintln(w)
	}
	return w.Flush()
}

func tab(i int) string {
	if i == 0 {
		return ""
	}
	return "\t"
}

// printRecord writes one record: as a table of one row, or as a JSON object.
func printRecord[T any](cmd *cobra.Command, columns []column[T], x T) error {
	if asJSON(cmd) {
		return printJSON(cmd, x)
	}
	return printTable(cmd, columns, []T{x})
}

// printPage writes a page of a longer list, and how to go on.
func printPage[T any](cmd *cobra.Command, columns []column[T], page gateway.Page[T]) error {
	if asJSON(cmd) {
		return printJSON(cmd, page)
	}
	if err := printTable(cmd, columns, page.Items); err != nil || page.Next == "" {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "\nmore: --cursor %s\n", page.Next)
	return err
}

// printPairs writes names and values below each other.
func printPairs(cmd *cobra.Command, pairs ...any) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if s := text(pairs[i+1]); s != "-" {
			_, _ = fmt.Fprintf(w, "%v\t%s\n", pairs[i], s)
		}
	}
	return w.Flush()
}

// text is a value as a cell: "-" for nothing, yes and no, times in the local zone.
func text(v any) string {
	s := ""
	switch x := v.(type) {
	case bool:
		s = map[bool]string{true: "yes", false: "no"}[x]
	case time.Time:
		if !x.IsZero() {
			s = x.Local().Format("2006-01-02 15:04:05")
		}
	case []string:
		s = strings.Join(x, ",")
	case int:
		if x != 0 {
			s = fmt.Sprint(x)
		}
	default:
		s = fmt.Sprint(v)
	}
	if s == "" {
		return "-"
	}
	return strings.NewReplacer("\t", " ", "\n", " ").Replace(s)
}

// said prints a short confirmation, nothing under --json.
func said(cmd *cobra.Command, format string, args ...any) error {
	if asJSON(cmd) {
		return printJSON(cmd, struct{}{})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...)
	return err
}
