package desk

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"izinli/gateway"
	"izinli/gateway/account"
)

// Lengths of secrets, in characters.
const (
	smppSecret = account.MinPassword // SMPP 3.4 §5.2.2: nine octets with the NUL; fewer could be guessed
	smtpSecret = 24
	minSecret  = 8
	maxSecret  = 128
)

// Names of credentials: a system_id has at most 15 characters (SMPP 3.4 §5.2.1), an SMTP user what AUTH carries without quoting.
var (
	systemForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,15}$`)
	userForm   = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{1,64}$`)
)

// ListCredentials lists credentials by kind and name, without their secrets.
func (a *Admin) ListCredentials(_ context.Context, q Query) ([]gateway.Credential, error) {
	out := []gateway.Credential{}
	for _, c := range a.store.Directory().Credentials {
		if q.Account == 0 || c.Account == q.Account {
			out = append(out, *hide(c))
		}
	}
	slices.SortFunc(out, func(x, y gateway.Credential) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.ID, y.ID))
	})
	return out, nil
}

// CreateCredential makes a credential. Under [WithoutGrants] it sends commercial messages alone: CodeClassNotAllowed.
func (a *Admin) CreateCredential(ctx context.Context, in NewCredential) (Issued, error) {
	c := in.Credential
	secret, err := makeSecret(&c, in.Secret)
	if err != nil {
		return Issued{}, err
	}
	c.SecretHash = account.HashSecret(c.Kind, secret) // tens of milliseconds: outside the lock
	c.Created, c.Revoked = a.deps.Now(), false
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := first(a.checkCredential(&c), checkGrant(ctx, &c, nil)); err != nil {
		return Issued{}, err
	}
	if a.store.Directory().Credentials[keyOf(&c)] != nil {
		return Issued{}, gateway.Refuse(gateway.CodeConflict, "id", "Credential %s exists already; names are never given out twice, revoked ones neither.", c.ID)
	}
	if err := commit(ctx, a, "CreateCredential", credentialText(&c), nil, &c, a.store.PutCredential); err != nil {
		return Issued{}, err
	}
	return Issued{Credential: *hide(&c), Secret: secret}, nil
}

// ChangeCredential changes what a credential may do. Under [WithoutGrants] it gets no class it did not have: CodeClassNotAllowed.
func (a *Admin) ChangeCredential(ctx context.Context, in gateway.Credential) (gateway.Credential, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, err := a.credential(keyOf(&in))
	if err != nil {
		return in, err
	}
	if in.Account != 0 && in.Account != before.Account {
		return in, invalid("account", "A credential stays with its account; make another one for account %d.", in.Account)
	}
	in.Account, in.SecretHash, in.Created, in.Revoked = before.Account, before.SecretHash, before.Created, before.Revoked
	if err := first(a.checkCredential(&in), checkGrant(ctx, &in, before)); err != nil {
		return in, err
	}
	err = commit(ctx, a, "ChangeCredential", credentialText(&in), before, &in, a.store.PutCredential)
	return *hide(&in), err
}

// RotateCredential gives a credential a new secret.
func (a *Admin) RotateCredential(ctx context.Context, in Rotation) (Issued, error) {
	c := gateway.Credential{Kind: in.Kind, ID: in.ID}
	if _, err := a.credential(keyOf(&c)); err != nil {
		return Issued{}, err
	}
	secret, err := makeSecret(&c, in.Secret)
	if err != nil {
		return Issued{}, err
	}
	hash := account.HashSecret(c.Kind, secret)
	a.mu.Lock()
	defer a.mu.Unlock()
	before, err := a.credential(keyOf(&c))
	if err != nil {
		return Issued{}, err
	}
	if before.Revoked {
		return Issued{}, gateway.Refuse(gateway.CodeConflict, "id", "Credential %s is revoked; make a new one.", c.ID)
	}
	after := *before
	after.SecretHash = hash
	if err := commit(ctx, a, "RotateCredential", credentialText(&c), before, &after, a.store.PutCredential); err != nil {
		return Issued{}, err
	}
	return Issued{Credential: *hide(&after), Secret: secret}, nil
}

// RevokeCredential ends a credential. Revoking twice is no error.
func (a *Admin) RevokeCredential(ctx context.Context, k gateway.CredentialKey) (gateway.Credential, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, err := a.credential(k)
	if err != nil {
		return gateway.Credential{}, err
	}
	after := *before
	after.Revoked = true
	if !before.Revoked {
		err = commit(ctx, a, "RevokeCredential", credentialText(&after), before, &after, a.store.PutCredential)
	}
	return *hide(&after), err
}

func keyOf(c *gateway.Credential) gateway.CredentialKey {
	return gateway.CredentialKey{Kind: c.Kind, ID: c.ID}
}

func credentialText(c *gateway.Credential) string { return "credential " + string(c.Kind) + " " + c.ID }

func (a *Admin) credential(k gateway.CredentialKey) (*gateway.Credential, error) {
	if c := a.store.Directory().Credentials[k]; c != nil {
		return c, nil
	}
	return nil, gateway.Refuse(gateway.CodeNotFound, "id", "There is no %s credential %q.", cmp.Or(string(k.Kind), "such"), k.ID)
}

// makeSecret checks the name and the secret brought along, or makes what is missing. The id of an API key is part of the key.
func makeSecret(c *gateway.Credential, given string) (string, error) {
	switch c.Kind {
	case gateway.KindAPI:
		return makeKey(c, given)
	case gateway.KindSMPP:
		if !systemForm.MatchString(c.ID) {
			return "", invalid("id", "%q cannot be a system_id: it takes 1 to 15 letters, digits, '-', '_' or '.'.", c.ID)
		}
		if given != "" && (len(given) != smppSecret || !printable(given)) {
			return "", invalid("secret", "An SMPP password has exactly %d printable ASCII characters: the protocol carries no more, and fewer could be guessed.", smppSecret)
		}
		return cmp.Or(given, account.NewPassword(smppSecret)), nil
	case gateway.KindSMTP:
		if !userForm.MatchString(c.ID) {
			return "", invalid("id", "%q cannot be an SMTP user: it takes 1 to 64 letters, digits or any of _ . @ + -.", c.ID)
		}
		if given != "" && (len(given) < minSecret || len(given) > maxSecret || !printable(given)) {
			return "", invalid("secret", "An SMTP password has %d to %d printable ASCII characters.", minSecret, maxSecret)
		}
		return cmp.Or(given, account.NewPassword(smtpSecret)), nil
	case "":
		return "", invalid("kind", "The kind is missing: api, smpp or smtp.")
	}
	return "", oneOf("kind", string(c.Kind), "api", "smpp", "smtp")
}

// makeKey makes an API key, around the id there is or a new one.
func makeKey(c *gateway.Credential, given string) (string, error) {
	if given == "" {
		id, key, _ := account.NewAPIKey()
		if c.ID == "" {
			c.ID = id
			return key, nil
		}
		key = strings.Replace(key, id, c.ID, 1)
		if got, _ := account.KeyID(key); got != c.ID || !systemForm.MatchString(c.ID) {
			return "", invalid("id", "%q cannot be the id of an API key; leave it empty, the key brings its own.", c.ID)
		}
		return key, nil
	}
	id, ok := account.KeyID(given)
	if !ok || !printable(given) || len(given) > 256 || len(given)-len(id) < 32 {
		return "", invalid("secret", "An API key has the form izk_<id>_<secret>, the secret with at least 26 characters.")
	}
	if c.ID != "" && c.ID != id {
		return "", invalid("id", "The key given contains the id %s, not %s.", id, c.ID)
	}
	c.ID = id
	return given, nil
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// checkCredential checks everything but name and secret, and brings lists into order.
func (a *Admin) checkCredential(c *gateway.Credential) (err error) {
	if c.Name, err = text("name", c.Name, false, 120); err != nil {
		return err
	}
	if err := a.checkBrand(c.Account, c.Brand, false); err != nil {
		return err
	}
	if c.Retailer != 0 {
		if err := within("retailer", c.Retailer, 10_000_000, 99_999_999); err != nil {
			return invalid("retailer", "%d is no dealer's code; it has 8 digits (see \"izinli retailer list\").", c.Retailer)
		}
	}
	c.Scopes, c.Classes = tidy(c.Scopes), tidy(c.Classes)
	for _, s := range c.Scopes {
		if err := oneOf("scopes", s, gateway.ScopeSend, gateway.ScopeRead, gateway.ScopeConsents, gateway.ScopeWebhooks); err != nil {
			return err
		}
	}
	for _, s := range c.Classes {
		if err := oneOf("classes", s, gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP); err != nil {
			return err
		}
	}
	for i, p := range c.CIDRs {
		if !p.IsValid() {
			return invalid("cidrs", "An address range is not valid; write it as 192.0.2.0/24.")
		}
		c.CIDRs[i] = p.Masked()
	}
	return first(checkClasses(c), checkKind(c), a.checkFrom(c))
}

// checkGrant checks that nobody gives his own credential a class: the class decides whether İYS is asked at all. before is nil for a
// new one.
func checkGrant(ctx context.Context, c, before *gateway.Credential) error {
	for _, s := range c.Classes {
		if mayGrant(ctx) || s == gateway.ClassCommercial || before != nil && before.Allows(s) {
			continue
		}
		return gateway.Refuse(gateway.CodeClassNotAllowed, "classes", "Only an administrator of the gateway gives a credential the class %s: the class decides "+
			"whether İYS is asked for consent.", s)
	}
	return nil
}

func checkClasses(c *gateway.Credential) error {
	if c.DefaultClass != "" && !c.Allows(c.DefaultClass) {
		return invalid("defaultClass", "The default class %q is not among the classes the credential may send (%s).", c.DefaultClass,
			cmp.Or(strings.Join(c.Classes, ", "), gateway.ClassCommercial))
	}
	if c.Reason != "" && !c.Allows(gateway.ClassTransactional) {
		return invalid("reason", "A reason belongs to transactional messages, which this credential may not send.")
	}
	return first(oneOf("reason", c.Reason, gateway.Reasons...), oneOf("recipientType", c.RecipientType, gateway.RecipientIndividual, gateway.RecipientMerchant))
}

// checkKind checks what belongs to one kind alone.
func checkKind(c *gateway.Credential) error {
	if c.Kind != gateway.KindAPI && len(c.Scopes) > 0 {
		return invalid("scopes", "Scopes belong to API keys alone.")
	}
	if c.Kind != gateway.KindSMPP && (c.Inline || c.MaxBinds != 0 || c.Window != 0) {
		return invalid("maxBinds", "inline, maxBinds and window belong to SMPP credentials alone.")
	}
	return first(
		within("maxBinds", c.MaxBinds, 0, 1000),
		within("window", c.Window, 0, 10_000),
		within("perSecond", c.PerSecond, 0, 100_000),
	)
}

// checkFrom checks that the default sender is one of the account's.
func (a *Admin) checkFrom(c *gateway.Credential) error {
	if c.From == "" {
		return nil
	}
	channel, name := gateway.ChannelSMS, c.From
	if _, domain, mail := strings.Cut(c.From, "@"); mail {
		channel, name = gateway.ChannelEmail, domain
	}
	name, err := senderName(channel, name)
	if err != nil {
		return invalid("from", "%q cannot be a sender.", c.From)
	}
	if a.store.Directory().Senders[gateway.SenderKey{Account: c.Account, Channel: channel, Name: name}] == nil {
		return gateway.Refuse(gateway.CodeSender, "from", "Account %d has no %s sender %q; register it first.", c.Account, channel, name)
	}
	return nil
}

// tidy sorts a list and drops repeats and blanks.
func tidy(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
