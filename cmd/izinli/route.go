package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var routeColumns = []column[gateway.Route]{
	{"ROUTE", func(r *gateway.Route) any { return r.ID }},
	{"ACCOUNT", func(r *gateway.Route) any { return anyOf(r.Account != 0, fmt.Sprint(r.Account)) }},
	{"CLASS", func(r *gateway.Route) any { return anyOf(r.Class != "", r.Class) }},
	{"PREFIX", func(r *gateway.Route) any { return anyOf(r.Prefix != "", r.Prefix) }},
	{"OPERATORS", func(r *gateway.Route) any { return stepsText(r.Operators) }},
}

func anyOf(set bool, s string) string {
	if set {
		return s
	}
	return "any"
}

// stepsText writes steps as parseSteps reads them.
func stepsText(steps []gateway.RouteStep) string {
	var out []string
	for _, st := range steps {
		s := st.Operator
		if st.Weight > 1 || st.Rank > 0 {
			s += ":" + strconv.Itoa(max(st.Weight, 1))
		}
		if st.Rank > 0 {
			s += ":" + strconv.Itoa(st.Rank)
		}
		out = append(out, s)
	}
	return strings.Join(out, ",")
}

// parseSteps reads op1:3,op2,op3:1:1 – operator, weight, rank.
func parseSteps(s string) (out []gateway.RouteStep, err error) {
	for _, item := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		parts := strings.Split(item, ":")
		st := gateway.RouteStep{Operator: parts[0]}
		var bad [2]error
		if len(parts) > 1 {
			st.Weight, bad[0] = strconv.Atoi(parts[1])
		}
		if len(parts) > 2 {
			st.Rank, bad[1] = strconv.Atoi(parts[2])
		}
		if len(parts) > 3 || parts[0] == "" || errors.Join(bad[:]...) != nil {
			return nil, fmt.Errorf("%q is not operator[:weight[:rank]]", item)
		}
		out = append(out, st)
	}
	return out, nil
}

func newRouteCmd() *cobra.Command {
	return noun("route", "Routes: which operators lead where",
		`The most specific route wins: one for the account, then one for the class, then the longest prefix. Operators of the same rank
share by weight; those of a higher rank are used only while all lower ones are down.`,
		listCmd("routes, in the order they are tried", routeColumns, desk.Service.ListRoutes),
		addCmd("  izinli route add --id default --operators op1\n"+
			"  izinli route add --id otp --class otp --operators op1:3,op2,backup:1:1\n"+
			"  izinli route add --id turkcell --account 1 --prefix +9053 --operators op2",
			func(e *edits[gateway.Route]) {
				e.text("id", "`name` of the route", func(r *gateway.Route) *string { return &r.ID })
				routeFlags(e)
			}, routeColumns, desk.Service.PutRoute),
		setCmd("<route>", "  izinli route set default --operators op1,op2", routeFlags, routeColumns, findRoute, desk.Service.PutRoute),
		nameCmd("remove <route>", "Remove a route", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			if _, err := s.DeleteRoute(ctx, desk.Name{Name: name}); err != nil {
				return err
			}
			return said(cmd, "route %s removed", name)
		}),
		routeTryCmd(),
	)
}

func routeFlags(e *edits[gateway.Route]) {
	e.account(func(r *gateway.Route) *gateway.AccountID { return &r.Account })
	e.text("class", "only this `class`", func(r *gateway.Route) *string { return &r.Class })
	e.text("prefix", "only numbers that begin so, e.g. `+9053`", func(r *gateway.Route) *string { return &r.Prefix })
	field(e, "operators", "`list` of operator[:weight[:rank]]", parseSteps, func(r *gateway.Route) *[]gateway.RouteStep { return &r.Operators })
}

func findRoute(ctx context.Context, s desk.Service, name string) (r gateway.Route, err error) {
	list, err := s.ListRoutes(ctx, desk.Query{})
	if err != nil {
		return r, err
	}
	return pick(list, "route", name, func(r *gateway.Route) bool { return r.ID == name })
}

var stepColumns = []column[desk.PathStep]{
	{"OPERATOR", func(p *desk.PathStep) any { return p.Operator }},
	{"RANK", func(p *desk.PathStep) any { return fmt.Sprint(p.Rank) }},
	{"SHARE", func(p *desk.PathStep) any { return fmt.Sprintf("%d %%", p.Share) }},
	{"ENABLED", func(p *desk.PathStep) any { return !p.Disabled }},
}

func routeTryCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "try <number>", Short: "Tell where a message would go, and why", Args: cobra.ExactArgs(1),
		Example: "  izinli route try 05321234567 --account 1 --class otp"}
	account := accountFlag(cmd, "`number` of the account that sends")
	class := cmd.Flags().String("class", gateway.ClassCommercial, "`class` of the message")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			p, err := s.TryRoute(ctx, desk.Trial{Account: *account, Class: *class, Address: args[0]})
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, p)
			}
			out := cmd.OutOrStdout()
			for _, x := range p.Passed {
				_, _ = fmt.Fprintf(out, "route %s %s\n", x.ID, x.Why)
			}
			if p.Route == nil {
				_, err = fmt.Fprintf(out, "no route leads to %s\n", p.Address)
				return err
			}
			_, _ = fmt.Fprintf(out, "%s to %s takes route %s:\n\n", p.Class, p.Address, p.Route.ID)
			return printTable(cmd, stepColumns, p.Steps)
		})
	}
	return cmd
}
