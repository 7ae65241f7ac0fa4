package desk

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/smpp"
)

// ListOperators lists operators by name; of their passwords only whether there is one.
func (a *Admin) ListOperators(context.Context, Query) ([]gateway.Operator, error) {
	return hidden(values(a.store.Directory().Operators, func(*gateway.Operator) bool { return true })), nil
}

func hidden[T secretive](list []T) []T {
	for i := range list {
		list[i] = *hide(&list[i])
	}
	return list
}

// PutOperator creates or changes an operator.
func (a *Admin) PutOperator(ctx context.Context, in OperatorInput) (gateway.Operator, error) {
	o := in.Operator
	if err := checkOperator(&o, in.Password); err != nil {
		return o, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().Operators[o.Name]
	o.Password = ""
	if before != nil {
		o.Password = before.Password
	}
	if in.Password != "" {
		o.Password = a.store.Seal(in.Password)
	}
	err := commit(ctx, a, "PutOperator", "operator "+o.Name, before, &o, a.store.PutOperator)
	return *hide(&o), err
}

// DeleteOperator removes an operator no route names any more.
func (a *Admin) DeleteOperator(ctx context.Context, in Name) (Nothing, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().Operators[in.Name]
	if before == nil {
		return Nothing{}, gateway.Refuse(gateway.CodeNotFound, "name", "There is no operator %q.", in.Name)
	}
	if err := a.store.DeleteOperator(ctx, in.Name); err != nil {
		return Nothing{}, err
	}
	a.audit(ctx, "DeleteOperator", "operator "+in.Name, before, (*gateway.Operator)(nil))
	return Nothing{}, nil
}

// minWindow is the least window of a bind: a message of ten segments, the default limit, must fit.
const minWindow = 10

func checkOperator(o *gateway.Operator, password string) error {
	if err := first(slug("name", o.Name), checkHostPort("addr", o.Addr)); err != nil {
		return err
	}
	if o.IDForm == "trim" {
		o.IDForm = "trim-zeros"
	}
	rule, err := smpp.ParseIDRule(o.IDForm)
	if err != nil {
		return invalid("idForm", "%q is no way to write message ids; combine with commas: as-is, lower, trim-zeros and one of hex->dec, dec->hex.", o.IDForm)
	}
	if o.IDForm = rule.String(); rule == smpp.IDAsIs {
		o.IDForm = ""
	}
	switch {
	case o.SystemID == "" || len(o.SystemID) > 64 || !printable(o.SystemID):
		return invalid("systemId", "The systemId has 1 to 64 printable ASCII characters (SMPP itself allows 15).")
	case len(password) > 64 || !printable(password):
		return invalid("password", "An operator's password has at most 64 printable ASCII characters (SMPP itself allows 8).")
	case len(o.SystemType) > 12 || !printable(o.SystemType):
		return invalid("systemType", "The systemType has at most 12 printable ASCII characters.")
	case o.Window != 0 && o.Window < minWindow:
		return invalid("window", "The window is %d; it must be at least %d, or a long message could never be sent in one go.", o.Window, minWindow)
	case o.TLSInsecure && !o.TLS:
		return invalid("tlsInsecure", "tlsInsecure has no meaning without tls.")
	}
	if o.Alphabet == "latin1" { // a text accepted and charged as GSM 7-bit may have letters Latin-1 lacks, and then need more segments
		return invalid("alphabet", "An operator whose data_coding 0 is Latin-1 cannot be served; the alphabet is gsm7 or packed. "+
			"Ask the operator to take GSM 7-bit text under data_coding 0.")
	}
	return first(
		oneOf("bindType", o.BindType, "trx", "tx+rx"),
		oneOf("alphabet", o.Alphabet, "gsm7", "packed"),
		within("binds", o.Binds, 0, 64),
		within("window", o.Window, 0, 10_000),
		within("perSecond", o.PerSecond, 0, 100_000),
		within("suffix", o.Suffix, 0, 70),
		bounded("responseTimeout", o.ResponseTimeout, time.Second, 10*time.Minute),
		bounded("enquireLink", o.EnquireLink, time.Second, 10*time.Minute),
	)
}

// bounded checks a duration; zero means the default.
func bounded(field string, d, low, high time.Duration) error {
	if d != 0 && (d < low || d > high) {
		return invalid(field, "%s is %v; it lies between %v and %v.", field, d, low, high)
	}
	return nil
}

func checkHostPort(field, s string) error {
	host, port, err := net.SplitHostPort(s)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || bad != nil || n == 0 || strings.ContainsAny(host, " /@") {
		return invalid(field, "%q is not host:port, e.g. smsc.example.com:2775 (an IPv6 address in brackets).", s)
	}
	return nil
}

// ListRoutes lists routes, most specific first: the order in which they are tried. With an account, only what can apply to it.
func (a *Admin) ListRoutes(_ context.Context, q Query) ([]gateway.Route, error) {
	out := []gateway.Route{}
	for _, r := range a.store.Directory().Routes {
		if q.Account == 0 || r.Account == 0 || r.Account == q.Account {
			out = append(out, *r)
		}
	}
	return out, nil
}

// PutRoute creates or changes a route.
func (a *Admin) PutRoute(ctx context.Context, in gateway.Route) (gateway.Route, error) {
	if err := checkRoute(&in); err != nil {
		return in, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if in.Account != 0 {
		if _, err := a.account(in.Account); err != nil {
			return in, err
		}
	}
	var before *gateway.Route
	for _, r := range a.store.Directory().Routes {
		switch {
		case r.ID == in.ID:
			before = r
		case r.Account == in.Account && r.Class == in.Class && r.Prefix == in.Prefix:
			return in, gateway.Refuse(gateway.CodeConflict, "id", "Route %s leads the same messages already; change it instead.", r.ID)
		}
	}
	return in, commit(ctx, a, "PutRoute", "route "+in.ID, before, &in, a.store.PutRoute)
}

func checkRoute(r *gateway.Route) error {
	err := first(slug("id", r.ID), oneOf("class", r.Class, gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP))
	if err != nil {
		return err
	}
	digits, plus := strings.CutPrefix(r.Prefix, "+")
	if r.Prefix != "" && (!plus || digits == "" || len(digits) > 15 || strings.Trim(digits, "0123456789") != "") {
		return invalid("prefix", "%q is not the beginning of a number with its plus, e.g. +90532.", r.Prefix)
	}
	if len(r.Operators) == 0 {
		return invalid("operators", "A route needs at least one operator.")
	}
	seen := map[string]bool{}
	for _, st := range r.Operators {
		if seen[st.Operator] {
			return invalid("operators", "Operator %s is named twice.", st.Operator)
		}
		seen[st.Operator] = true
		if err := first(within("weight", st.Weight, 0, 1000), within("rank", st.Rank, 0, 100)); err != nil {
			return err
		}
	}
	return nil
}

// DeleteRoute removes a route.
func (a *Admin) DeleteRoute(ctx context.Context, in Name) (Nothing, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.store.Directory().Routes {
		if r.ID != in.Name {
			continue
		}
		if err := a.store.DeleteRoute(ctx, in.Name); err != nil {
			return Nothing{}, err
		}
		a.audit(ctx, "DeleteRoute", "route "+in.Name, r, (*gateway.Route)(nil))
		return Nothing{}, nil
	}
	return Nothing{}, gateway.Refuse(gateway.CodeNotFound, "id", "There is no route %q.", in.Name)
}

// TryRoute tells where a message would go.
func (a *Admin) TryRoute(_ context.Context, in Trial) (Path, error) {
	if _, err := a.account(in.Account); err != nil {
		return Path{}, err
	}
	in.Class = cmp.Or(in.Class, gateway.ClassCommercial)
	if !gateway.ValidClass(in.Class) {
		return Path{}, oneOf("class", in.Class, gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP)
	}
	n, err := address.Parse(in.Address, address.Options{})
	if err != nil {
		return Path{}, gateway.Refuse(gateway.CodeBadNumber, "address", "%q is not a mobile number.", in.Address)
	}
	d := a.store.Directory()
	p := Path{Address: n.String(), Class: in.Class, Lane: gateway.LaneOf(in.Class).String(), Steps: []PathStep{}, Passed: []PassedRoute{}}
	r := d.RouteFor(in.Account, in.Class, p.Address)
	for _, other := range d.Routes {
		if other == r {
			break
		}
		p.Passed = append(p.Passed, PassedRoute{ID: other.ID, Why: misfit(other, in.Account, in.Class)})
	}
	if r != nil {
		p.Route, p.Steps = r, steps(d, r)
	}
	return p, nil
}

// misfit names the first condition of a route that a message does not meet.
func misfit(r *gateway.Route, a gateway.AccountID, class string) string {
	switch {
	case r.Account != 0 && r.Account != a:
		return fmt.Sprintf("is for account %d", r.Account)
	case r.Class != "" && r.Class != class:
		return "is for class " + r.Class
	}
	return "is for numbers that begin with " + r.Prefix
}

// steps lists the operators of a route by rank with their share of it.
func steps(d *gateway.Directory, r *gateway.Route) []PathStep {
	total := map[int]int{}
	for _, st := range r.Operators {
		total[st.Rank] += cmp.Or(st.Weight, 1)
	}
	out := make([]PathStep, 0, len(r.Operators))
	for _, st := range r.Operators {
		o := d.Operators[st.Operator]
		out = append(out, PathStep{
			Operator: st.Operator, Rank: st.Rank, Share: 100 * cmp.Or(st.Weight, 1) / total[st.Rank], Disabled: o == nil || o.Disabled,
		})
	}
	slices.SortStableFunc(out, func(x, y PathStep) int { return cmp.Or(cmp.Compare(x.Rank, y.Rank), cmp.Compare(y.Share, x.Share)) })
	return out
}
