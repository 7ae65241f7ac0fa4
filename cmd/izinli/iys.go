package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/iyslink"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

func newIYSCmd() *cobra.Command {
	return noun("iys", "İYS: how brands stand, what is owed, push, rights, newcomers",
		"All of this is known to the running server alone.",
		iysStatusCmd(), iysOutboxCmd(), iysSettleCmd(), iysRequeryCmd(), iysRightsCmd(), iysPushCmd(), iysNewcomersCmd(),
	)
}

var statusColumns = []column[desk.IYSStatus]{
	{"BRAND", func(s *desk.IYSStatus) any { return s.Brand }},
	{"ACCOUNT", func(s *desk.IYSStatus) any { return int(s.Account) }},
	{"KNOWN-TO", func(s *desk.IYSStatus) any { return s.KnownTo }},
	{"STALE", func(s *desk.IYSStatus) any { return s.Stale }},
	{"RE-QUERY", func(s *desk.IYSStatus) any {
		if s.Requery.Started.IsZero() {
			return ""
		}
		return fmt.Sprintf("%d of %d, %d changed", s.Requery.Done, s.Requery.Total, s.Requery.Changed)
	}},
	{"WRITES", func(s *desk.IYSStatus) any {
		switch {
		case s.Shut == nil:
		case s.Shut.Full() && !s.Shut.Updates:
			return "new addresses stopped: " + s.Shut.Code
		default:
			return "stopped: " + s.Shut.Code
		}
		return "open"
	}},
	{"PUSH", func(s *desk.IYSStatus) any {
		var list []string
		for _, p := range s.Push {
			word := "up"
			if !p.Connected {
				word = "down"
			}
			list = append(list, string(p.Channel)+" "+word)
		}
		return list
	}},
	{"MISSING-RIGHTS", func(s *desk.IYSStatus) any {
		if s.Rights == nil {
			return ""
		}
		list := make([]string, len(s.Rights.Gone))
		for i, g := range s.Rights.Gone {
			list[i] = g.Right
		}
		return list
	}},
}

func iysStatusCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show how the brands stand towards İYS", Args: cobra.NoArgs}
	a := accountFlag(cmd, "`number` of the account; all when not given")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			list, err := s.IYSStatus(ctx, desk.Query{Account: *a})
			if err != nil {
				return err
			}
			return printTable(cmd, statusColumns, list)
		})
	}
	return cmd
}

var outboxColumns = []column[desk.OutboxEntry]{
	{"ID", func(e *desk.OutboxEntry) any { return int(e.ID) }},
	{"BRAND", func(e *desk.OutboxEntry) any { return e.Brand }},
	{"CHANNEL", func(e *desk.OutboxEntry) any { return e.Channel }},
	{"ADDRESS", func(e *desk.OutboxEntry) any { return e.Address }},
	{"STATUS", func(e *desk.OutboxEntry) any { return e.Status }},
	{"STATE", func(e *desk.OutboxEntry) any { return e.State }},
	{"CODE", func(e *desk.OutboxEntry) any { return e.Code }},
	{"RECEIVED", func(e *desk.OutboxEntry) any { return e.Received }},
	{"DEADLINE", func(e *desk.OutboxEntry) any { return e.Deadline }},
	{"LATE", func(e *desk.OutboxEntry) any { return e.Late }},
}

func iysOutboxCmd() *cobra.Command {
	var q desk.OutboxQuery
	cmd := &cobra.Command{Use: "outbox", Short: "List what İYS is owed for longer than a business day, the overdue first", Args: cobra.NoArgs,
		Long: "List what İYS is owed for longer than a business day, the overdue first. Entries in state owed_by_customer can be written only by the\n" +
			"customer; their deadline runs all the same."}
	a := accountFlag(cmd, "`number` of the account; all when not given")
	cmd.Flags().BoolVar(&q.Late, "late", false, "only what is past its deadline of three business days")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "at most so many `entries`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			q.Account = *a
			list, err := s.ListOutbox(ctx, q)
			if err != nil {
				return err
			}
			return printTable(cmd, outboxColumns, list)
		})
	}
	return cmd
}

func iysSettleCmd() *cobra.Command {
	return &cobra.Command{Use: "settle <id>...", Short: "End entries the customer says he has written to İYS himself", Args: cobra.MinimumNArgs(1),
		Long: "End entries in state owed_by_customer that the customer says he has written to İYS himself. Where we can read İYS for the brand this happens\n" +
			"without a word, with the next pull.",
		Example: "  izinli iys settle 4711 4712",
		RunE: func(cmd *cobra.Command, args []string) error {
			in := desk.Settlement{}
			for _, s := range args {
				id, err := strconv.ParseUint(s, 10, 64)
				if err != nil {
					return fmt.Errorf("an entry is named by its number (see \"izinli iys outbox\"), not %q", s)
				}
				in.IDs = append(in.IDs, id)
			}
			return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
				if _, err := s.SettleOutbox(ctx, in); err != nil {
					return err
				}
				return said(cmd, "%d entries ended", len(in.IDs))
			})
		}}
}

func iysRequeryCmd() *cobra.Command {
	return nameCmd("requery <brandCode>", "Ask İYS anew about every consent of a brand; \"izinli iys status\" shows the progress",
		func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			r, err := s.RequeryBrand(ctx, desk.Name{Name: name})
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, r)
			}
			return said(cmd, "%d records of brand %s will be asked about", r.Total, name)
		})
}

func iysRightsCmd() *cobra.Command {
	return nameCmd("rights <brandCode>", "Read from İYS now what a brand's company lets us do as its partner (the server does so every half hour and around every pull)",
		func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			r, err := s.ReadRights(ctx, desk.Name{Name: name})
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, r)
			}
			gone := make([]string, len(r.Gone))
			for i, g := range r.Gone {
				gone[i] = g.Right + " since " + text(g.Since)
			}
			return printPairs(cmd, "brand", r.Brand, "sms", right(r, iys.ChannelSMS), "email", right(r, iys.ChannelEmail), "calls", right(r, iys.ChannelCall),
				"reconciliation", r.Agreement, "via", r.Via, "read", r.Read, "missing", cmp.Or(strings.Join(gone, ", "), "nothing"))
		})
}

func right(r iyslink.BrandRights, ch iys.Channel) string {
	switch r.Channels[ch] {
	case iyslink.RightWrite:
		return "reads and writes"
	case iyslink.RightRead:
		return "reads only"
	}
	return "not granted"
}

func iysPushCmd() *cobra.Command {
	var in desk.PushInput
	var end bool
	cmd := &cobra.Command{Use: "push <brandCode>", Short: "Have İYS push a brand's movements to this gateway, or end that", Args: cobra.ExactArgs(1),
		Long: "Have İYS push what people do over İYS to this gateway. The address leads from outside to the push receiver of the public listener, over\n" +
			"https; İYS tries it before it answers, so the server must be running and reachable. İYS's support must have enabled push for the brand.",
		Example: "  izinli iys push 675403 --channel sms --url https://izin.example.com/iys/push\n  izinli iys push 675403 --channel sms --end"}
	cmd.Flags().StringVar(&in.Channel, "channel", gateway.ChannelSMS, "`sms|email|ARAMA`")
	cmd.Flags().StringVar(&in.URL, "url", "", "`address` İYS pushes to")
	cmd.Flags().BoolVar(&end, "end", false, "end the pushes of the channel")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Brand = args[0]
		if end == (in.URL != "") {
			return errors.New("give --url, or --end")
		}
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			rec, err := s.PutPush(ctx, in)
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, rec)
			}
			if end {
				return said(cmd, "pushes of brand %s ended", in.Brand)
			}
			return said(cmd, "İYS pushes %s movements of brand %s to %s", rec.Channel, rec.Brand, rec.URL)
		})
	}
	return cmd
}

var newcomerColumns = []column[exchange.Newcomer]{
	{"BRAND", func(n *exchange.Newcomer) any { return n.Brand }},
	{"CHANNEL", func(n *exchange.Newcomer) any { return n.Channel }},
	{"ADDRESS", func(n *exchange.Newcomer) any { return n.Recipient }},
	{"NAME", func(n *exchange.Newcomer) any { return n.Name }},
	{"AT", func(n *exchange.Newcomer) any { return n.At }},
}

func iysNewcomersCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "newcomers", Short: "List citizens who added themselves to a brand at İYS within the last week", Args: cobra.NoArgs}
	a := accountFlag(cmd, "`number` of the account (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			list, err := s.ListNewcomers(ctx, desk.Query{Account: *a})
			if err != nil {
				return err
			}
			return printTable(cmd, newcomerColumns, list)
		})
	}
	return cmd
}

func newRetailerCmd() *cobra.Command {
	return noun("retailer", "Dealers (bayi) of a brand and what they may use",
		"Dealers are kept by İYS. A credential that belongs to a dealer sends commercial messages only on consents that grant the dealer access.",
		retailerListCmd(), retailerAddCmd(), retailerDeleteCmd(), retailerAccessCmd(), retailerPlacesCmd(),
	)
}

var retailerColumns = []column[iysapi.Retailer]{
	{"CODE", func(r *iysapi.Retailer) any { return r.Code }},
	{"TITLE", func(r *iysapi.Retailer) any { return r.Title }},
	{"CITY", func(r *iysapi.Retailer) any { return r.City.Name }},
	{"TOWN", func(r *iysapi.Retailer) any { return r.Town.Name }},
	{"ALIAS", func(r *iysapi.Retailer) any { return r.Alias }},
	{"STATUS", func(r *iysapi.Retailer) any { return r.Status }},
	{"CONSENTS", func(r *iysapi.Retailer) any { return r.Consents }},
}

func retailerListCmd() *cobra.Command {
	return nameCmd("list <brandCode>", "List the dealers of a brand", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		list, err := s.ListRetailers(ctx, desk.Name{Name: name})
		if err != nil {
			return err
		}
		return printTable(cmd, retailerColumns, list)
	})
}

func retailerAddCmd() *cobra.Command {
	var in desk.RetailerInput
	cmd := &cobra.Command{Use: "add", Short: "Add a dealer at İYS; there is no way to change one later", Args: cobra.NoArgs,
		Example: "  izinli retailer add --brand 675403 --title \"XYZ Ticaret\" --name \"Adı Soyadı\" --tckn 10000000146 --tin 1234567890 \\\n" +
			"    --city 34:İstanbul --town 3:Kadıköy"}
	r := &in.Retailer
	f := cmd.Flags()
	brandFlag(cmd, &in.Brand)
	f.StringVar(&r.Title, "title", "", "trade `name`")
	f.StringVar(&r.Name, "name", "", "`name` of the person")
	f.StringVar(&r.TCKN, "tckn", "", "identity `number`, 11 digits")
	f.StringVar(&r.TIN, "tin", "", "tax `number`, 10 or 11 digits")
	f.StringVar(&r.MERSIS, "mersis", "", "MERSİS `number`, 16 digits")
	f.StringVar(&r.Alias, "alias", "", "short `name`, e.g. of the shop")
	f.StringVar(&r.Mobile, "mobile", "", "mobile `number`, +905…")
	f.Func("city", "province as `code:name` of İYS's list", func(s string) error { return parsePlace(s, &r.City) })
	f.Func("town", "district as `code:name` of İYS's list", func(s string) error { return parsePlace(s, &r.Town) })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			out, err := s.AddRetailer(ctx, in)
			if err != nil {
				return err
			}
			return printRecord(cmd, retailerColumns, out)
		})
	}
	return cmd
}

func parsePlace(s string, p *iysapi.Place) error {
	for i := range s {
		if s[i] == ':' {
			n, err := strconv.Atoi(s[:i])
			*p = iysapi.Place{Code: n, Name: s[i+1:]}
			if err != nil || p.Name == "" {
				break
			}
			return nil
		}
	}
	return errors.New("write the code and the name of İYS's list, for example 34:İstanbul")
}

func retailerDeleteCmd() *cobra.Command {
	var in desk.RetailerInput
	cmd := &cobra.Command{Use: "delete <code>", Short: "Delete a dealer no consent is linked to", Args: cobra.ExactArgs(1)}
	brandFlag(cmd, &in.Brand)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if in.Retailer.Code, err = strconv.Atoi(args[0]); err != nil {
			return errors.New("a dealer is named by its code of 8 digits")
		}
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			if _, err := s.DeleteRetailer(ctx, in); err != nil {
				return err
			}
			return said(cmd, "dealer %d deleted", in.Retailer.Code)
		})
	}
	return cmd
}

func retailerAccessCmd() *cobra.Command {
	var in desk.AccessInput
	cmd := &cobra.Command{Use: "access <list|grant|replace|remove|remove_all> <address>...", Short: "Show or say which dealers may use the consents of addresses",
		Args: cobra.MinimumNArgs(2), Long: "list shows what İYS says of one address, and decisions go by it from then on. The others tell İYS about up to 100 addresses.",
		Example: "  izinli retailer access grant +905321234567 --brand 675403 --retailer 55550127\n  izinli retailer access list +905321234567 --brand 675403"}
	brandFlag(cmd, &in.Brand)
	cmd.Flags().StringVar(&in.Channel, "channel", gateway.ChannelSMS, "`sms|email`")
	cmd.Flags().StringVar(&in.RecipientType, "recipient-type", gateway.RecipientIndividual, "`BIREYSEL|TACIR`")
	cmd.Flags().IntSliceVar(&in.Retailers, "retailer", nil, "`code` of a dealer; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Act, in.Addresses = args[0], args[1:]
		if in.Act == "list" {
			if len(in.Addresses) > 1 || len(in.Retailers) > 0 {
				return errors.New("list takes one address and no dealer")
			}
			return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
				list, err := s.ListAccess(ctx, desk.AccessQuery{Brand: in.Brand, Channel: in.Channel, RecipientType: in.RecipientType, Address: in.Addresses[0]})
				if err != nil {
					return err
				}
				return printTable(cmd, retailerColumns, list)
			})
		}
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			if _, err := s.ChangeAccess(ctx, in); err != nil {
				return err
			}
			return said(cmd, "done for %d addresses", len(in.Addresses))
		})
	}
	return cmd
}

var placeColumns = []column[iysapi.Place]{
	{"CODE", func(p *iysapi.Place) any { return p.Code }},
	{"NAME", func(p *iysapi.Place) any { return p.Name }},
}

func retailerPlacesCmd() *cobra.Command {
	var q desk.PlaceQuery
	cmd := &cobra.Command{Use: "places", Short: "List İYS's provinces, or the districts of one, for the address of a dealer", Args: cobra.NoArgs,
		Example: "  izinli retailer places --brand 675403\n  izinli retailer places --brand 675403 --city 34"}
	brandFlag(cmd, &q.Brand)
	cmd.Flags().IntVar(&q.City, "city", 0, "`code` of a province (its plate number): list its districts")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			list, err := s.ListPlaces(ctx, q)
			if err != nil {
				return err
			}
			return printTable(cmd, placeColumns, list)
		})
	}
	return cmd
}
