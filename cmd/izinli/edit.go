package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// edits collects what the flags of an add or set command change in a record: on a new one or on the one stored. Flags not given
// change nothing.
type edits[T any] struct {
	fs    *pflag.FlagSet
	early []func(*T) // run first, whatever the order of the flags
	todo  []func(*T)
}

func (e *edits[T]) apply(x *T) {
	for _, f := range e.early {
		f(x)
	}
	for _, f := range e.todo {
		f(x)
	}
}

// field adds a flag whose text is read by read.
func field[T, V any](e *edits[T], name, usage string, read func(string) (V, error), at func(*T) *V) {
	e.fs.Func(name, usage, func(s string) error {
		v, err := read(s)
		if err == nil {
			e.todo = append(e.todo, func(x *T) { *at(x) = v })
		}
		return err
	})
}

func (e *edits[T]) text(name, usage string, at func(*T) *string) {
	field(e, name, usage, func(s string) (string, error) { return s, nil }, at)
}

func (e *edits[T]) yes(name, usage string, at func(*T) *bool) {
	e.fs.BoolFunc(name, usage, func(s string) error {
		v, err := strconv.ParseBool(s)
		if err == nil {
			e.todo = append(e.todo, func(x *T) { *at(x) = v })
		}
		return err
	})
}

func (e *edits[T]) number(name, usage string, at func(*T) *int) {
	field(e, name, usage, strconv.Atoi, at)
}

func (e *edits[T]) list(name, usage string, at func(*T) *[]string) {
	field(e, name, usage, func(s string) ([]string, error) {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }), nil
	}, at)
}

func (e *edits[T]) span(name, usage string, at func(*T) *time.Duration) {
	field(e, name, usage, time.ParseDuration, at)
}

func (e *edits[T]) date(name, usage string, at func(*T) *time.Time) {
	field(e, name, usage, parseTime, at)
}

// account adds --account.
func (e *edits[T]) account(at func(*T) *gateway.AccountID) {
	field(e, "account", "`number` of the account", parseAccount, at)
}

func parseAccount(s string) (gateway.AccountID, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 {
		return 0, errors.New("an account is named by its number, see \"izinli account list\"")
	}
	return gateway.AccountID(n), nil
}

// parseTime reads a day (its beginning in Istanbul) or an instant.
func parseTime(s string) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, s, time.FixedZone("", 3*3600)); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, errors.New("write a day such as 2026-12-31 or an instant such as 2026-12-31T10:00:00+03:00")
	}
	return t, nil
}

// accountFlag adds --account to a command that only asks.
func accountFlag(cmd *cobra.Command, usage string) *gateway.AccountID {
	var id gateway.AccountID
	cmd.Flags().Func("account", usage, func(s string) (err error) {
		id, err = parseAccount(s)
		return err
	})
	return &id
}

// secretFlag adds a flag that names a file with a secret, so that none stands in the process list or the shell's history. The
// function returned reads it: without line ends, empty when the flag was not given.
func secretFlag(cmd *cobra.Command, name, what string) func() (string, error) {
	path := cmd.Flags().String(name, "", "`file` with "+what+", - for standard input")
	return func() (string, error) {
		var b []byte
		var err error
		switch *path {
		case "":
			return "", nil
		case "-":
			b, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), 4096))
		default:
			b, err = os.ReadFile(*path)
		}
		if err != nil {
			return "", fmt.Errorf("--%s: %w", name, err)
		}
		s := strings.TrimRight(string(b), "\r\n")
		if s == "" {
			return "", fmt.Errorf("--%s: %s is empty", name, *path)
		}
		return s, nil
	}
}

// listCmd is the list command of a noun.
func listCmd[T any](what string, columns []column[T], list func(desk.Service, context.Context, desk.Query) ([]T, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List " + what, Args: cobra.NoArgs}
	account := accountFlag(cmd, "only those of this account `number`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			rows, err := list(s, ctx, desk.Query{Account: *account})
			if err != nil {
				return err
			}
			return printTable(cmd, columns, rows)
		})
	}
	return cmd
}

// pick finds one record in a list, or refuses.
func pick[T any](list []T, what, name string, match func(*T) bool) (T, error) {
	for i := range list {
		if match(&list[i]) {
			return list[i], nil
		}
	}
	var none T
	return none, gateway.Refuse(gateway.CodeNotFound, what, "There is no %s %s; see \"izinli %s list\".", what, name, what)
}

// addCmd is the add command of a noun: flags fill a new record, put stores it.
func addCmd[T any](example string, flags func(*edits[T]), columns []column[T], put func(desk.Service, context.Context, T) (T, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "add", Short: "Make a new one", Args: cobra.NoArgs, Example: example}
	e := &edits[T]{fs: cmd.Flags()}
	flags(e)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			var x T
			e.apply(&x)
			x, err := put(s, ctx, x)
			if err != nil {
				return err
			}
			return printRecord(cmd, columns, x)
		})
	}
	return cmd
}

// setCmd is the set command of a noun: flags change the record that find returns.
func setCmd[T any](use, example string, flags func(*edits[T]), columns []column[T],
	find func(ctx context.Context, s desk.Service, name string) (T, error), put func(desk.Service, context.Context, T) (T, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "set " + use, Short: "Change one; flags not given change nothing", Args: cobra.ExactArgs(1), Example: example}
	e := &edits[T]{fs: cmd.Flags()}
	flags(e)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			x, err := find(ctx, s, args[0])
			if err != nil {
				return err
			}
			e.apply(&x)
			if x, err = put(s, ctx, x); err != nil {
				return err
			}
			return printRecord(cmd, columns, x)
		})
	}
	return cmd
}

// nameCmd is a command that does something to the record named.
func nameCmd(use, short string, do func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error { return do(ctx, cmd, s, args[0]) })
	}}
}
