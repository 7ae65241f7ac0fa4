package admin

import (
	"net/http"
	"slices"
	"strings"

	"izinli/gateway"
)

// Letters of the roles in the table.
var roleLetters = map[gateway.PanelRole]string{
	gateway.RolePlatform: "A", gateway.RoleOwner: "O", gateway.RoleOperator: "P", gateway.RoleConsent: "C", gateway.RoleAuditor: "D",
}

// scope says what must hold of the caller besides the role.
type scope uint8

const (
	public   scope = iota // anybody
	half                  // the password was right, the code is still to come
	own                   // signed in; concerns nobody but the caller
	accounts              // signed in; shows and changes only what belongs to an account the user sees
	platform              // signed in and sees every account: concerns all of them
)

// route is one line of the table.
type route struct {
	method, path string
	scope        scope
	may          string // letters of the roles that may; unused for public, half and own
	serve        func(*call) error
	stream       bool // reads its body itself, checking the CSRF token before anything else
}

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// everyRoute is who may do what, on one screen. A platform admin, O account owner, P operator, C consent officer, D auditor.
// Every POST needs a CSRF token, whatever its line says. The test of this table walks every line × role × tenant.
var everyRoute = []route{
	{get, "/login", public, "", (*call).loginPage, false},
	{post, "/login", public, "", (*call).login, false},
	{get, "/login/code", half, "", (*call).codePage, false},
	{post, "/login/code", half, "", (*call).code, false},
	{get, "/welcome/:token", public, "", (*call).welcomePage, false},
	{post, "/welcome/:token", public, "", (*call).welcome, false},
	{get, "/welcome/:token/qr.png", public, "", (*call).welcomeQR, false},
	{post, "/prefs", public, "", (*call).prefs, false},
	{post, "/logout", own, "", (*call).logout, false},
	{get, "/me", own, "", (*call).me, false},
	{post, "/me/password", own, "", (*call).mePassword, false},
	{post, "/me/recovery", own, "", (*call).meRecovery, false},

	{get, "/", accounts, "AOPCD", (*call).dashboard, false},
	{get, "/live", accounts, "AOPCD", (*call).stream, false},
	{get, "/messages", accounts, "AOPCD", (*call).messages, false},
	{post, "/messages/find", accounts, "AOPCD", (*call).findMessages, false},
	{get, "/messages.csv", accounts, "AOD", (*call).messagesCSV, false},
	{get, "/messages/:id", accounts, "AOPCD", (*call).message, false},
	{post, "/messages/:id/reveal", accounts, "AOC", (*call).reveal, false},
	{post, "/messages/:id/evidence", accounts, "AOCD", (*call).evidence, false},
	{post, "/messages/:id/cancel", accounts, "AOP", (*call).cancelMessage, false},
	{get, "/test", accounts, "AOP", (*call).testPage, false},
	{post, "/test", accounts, "AOP", (*call).sendTest, false},
	{get, "/charts", platform, "APD", (*call).charts, false},
	{get, "/charts.csv", platform, "APD", (*call).chartsCSV, false},
	{get, "/queue", platform, "APD", (*call).queue, false},
	{post, "/queue/pause", platform, "AP", (*call).pauseLane, false},
	{get, "/batches", accounts, "AOPCD", (*call).batches, false},
	{get, "/batches/:id", accounts, "AOPCD", (*call).batch, false},
	{post, "/batches/:id/pause", accounts, "AOP", (*call).pauseBatch, false},
	{post, "/batches/:id/resume", accounts, "AOP", (*call).resumeBatch, false},
	{post, "/batches/:id/cancel", accounts, "AOP", (*call).cancelBatch, false},

	{get, "/consents", accounts, "AOCD", (*call).consents, false},
	{post, "/consents/find", accounts, "AOCD", (*call).findConsent, false},
	{get, "/consents/view", accounts, "AOCD", (*call).consent, false},
	{get, "/consents/add", accounts, "AOC", (*call).addConsentPage, false},
	{post, "/consents/add", accounts, "AOC", (*call).addConsent, false},
	{post, "/consents/block", accounts, "AOC", (*call).block, false},
	{get, "/consents/import", accounts, "AOC", (*call).importPage, false},
	{post, "/consents/import", accounts, "AOC", (*call).startImport, true},
	{get, "/consents/import/:id", accounts, "AOCD", (*call).importStatus, false},
	{get, "/consents/import/:id/errors.csv", accounts, "AOC", (*call).importErrors, false},
	{get, "/blacklist", accounts, "AOCD", (*call).blacklist, false},
	{post, "/blacklist/add", accounts, "AOC", (*call).addBlacklist, false},
	{post, "/blacklist/remove", accounts, "AOC", (*call).removeBlacklist, false},
	{get, "/iys", accounts, "AOCD", (*call).iysState, false},
	{post, "/iys/rights", accounts, "AOC", (*call).readRights, false},
	{get, "/reconcile", accounts, "AOCD", (*call).reconciled, false},
	{get, "/reconcile/plan", accounts, "AOCD", (*call).plan, false},
	{post, "/reconcile/plan", accounts, "AC", (*call).changePlan, false},
	{get, "/forms", accounts, "AOCD", (*call).forms, false},
	{post, "/forms/add", accounts, "AOC", (*call).addForm, false},
	{post, "/forms/revoke", accounts, "AOC", (*call).revokeForm, false},
	{get, "/via", accounts, "AOCD", (*call).via, false},
	{get, "/via/view", accounts, "AOCD", (*call).viaView, false},
	{post, "/via/start", accounts, "AOC", (*call).startVia, false},
	{post, "/via/complete", accounts, "AOC", (*call).completeVia, false},
	{post, "/via/ask", accounts, "AOC", (*call).askVia, false},
	{post, "/via/proof", accounts, "AOCD", (*call).viaProof, false},
	{get, "/privacy", accounts, "AOCD", (*call).privacy, false},
	{post, "/privacy", accounts, "AOCD", (*call).findPrivacy, false},
	{get, "/refusal-links", accounts, "AOC", (*call).refusalLinks, false},
	{post, "/refusal-links", accounts, "AOC", (*call).makeRefusalLinks, false},
	{get, "/dealers", accounts, "AOCD", (*call).dealers, false},
	{get, "/dealers/add", accounts, "AOC", (*call).dealerPage, false},
	{post, "/dealers/add", accounts, "AOC", (*call).addDealer, false},
	{post, "/dealers/delete", accounts, "AOC", (*call).deleteDealer, false},
	{get, "/dealers/access", accounts, "AOCD", (*call).accessPage, false},
	{post, "/dealers/access/find", accounts, "AOCD", (*call).findAccess, false},
	{post, "/dealers/access", accounts, "AOC", (*call).changeAccess, false},
	{get, "/push", accounts, "AOCD", (*call).pushes, false},
	{post, "/push/register", accounts, "AOC", (*call).registerPush, false},
	{post, "/push/end", accounts, "AOC", (*call).endPush, false},
	{get, "/suppressions", accounts, "AOPCD", (*call).suppressions, false},
	{post, "/suppressions/remove", accounts, "AOC", (*call).removeSuppression, false},
	{get, "/optouts", accounts, "AOCD", (*call).optOuts, false},
	{get, "/inbox", accounts, "AOCD", (*call).inbox, false},

	{get, "/accounts", accounts, "AOPCD", (*call).accounts, false},
	{get, "/accounts/edit", platform, "A", (*call).accountPage, false},
	{post, "/accounts/edit", platform, "A", (*call).putAccount, false},
	{get, "/accounts/:id", accounts, "AOPCD", (*call).account, false},
	{post, "/accounts/:id/suspend", platform, "A", (*call).suspend, false},
	{get, "/accounts/:id/credits", accounts, "AOD", (*call).credits, false},
	{post, "/accounts/:id/credits", platform, "A", (*call).addCredits, false},
	{get, "/accounts/:id/brand", platform, "A", (*call).brandPage, false},
	{post, "/accounts/:id/brand", platform, "A", (*call).putBrand, false},
	{get, "/accounts/:id/brand/view", accounts, "AOPCD", (*call).brandView, false},
	{post, "/accounts/:id/brand/count", accounts, "AOC", (*call).countBrand, false},
	{get, "/senders", platform, "AD", (*call).approvals, false},
	{get, "/accounts/:id/sender", accounts, "AO", (*call).senderPage, false},
	{post, "/accounts/:id/sender", accounts, "AO", (*call).putSender, false},
	{post, "/accounts/:id/sender/approve", platform, "A", (*call).approveSender, false},
	{post, "/accounts/:id/sender/delete", platform, "A", (*call).deleteSender, false},
	{get, "/accounts/:id/number", platform, "A", (*call).numberPage, false},
	{post, "/accounts/:id/number", platform, "A", (*call).putNumber, false},
	{post, "/accounts/:id/number/delete", platform, "A", (*call).deleteNumber, false},
	{get, "/accounts/:id/credential", accounts, "AO", (*call).credentialPage, false},
	{post, "/accounts/:id/credential", accounts, "AO", (*call).putCredential, false},
	{post, "/accounts/:id/credential/rotate", accounts, "AO", (*call).rotateCredential, false},
	{post, "/accounts/:id/credential/revoke", accounts, "AO", (*call).revokeCredential, false},
	{get, "/accounts/:id/webhook", accounts, "AOD", (*call).webhook, false},
	{post, "/accounts/:id/webhook", accounts, "AO", (*call).putWebhook, false},
	{post, "/accounts/:id/webhook/replay", accounts, "AO", (*call).replayEvents, false},

	{get, "/operators", platform, "APD", (*call).operators, false},
	{get, "/operators/edit", platform, "AP", (*call).operatorPage, false},
	{post, "/operators/edit", platform, "AP", (*call).putOperator, false},
	{post, "/operators/drain", platform, "AP", (*call).drainOperator, false},
	{post, "/operators/delete", platform, "A", (*call).deleteOperator, false},
	{get, "/smarthosts", platform, "APD", (*call).smarthosts, false},
	{post, "/smarthosts/drain", platform, "AP", (*call).drainSmarthost, false},
	{get, "/routes", platform, "APD", (*call).routesPage, false},
	{get, "/routes/edit", platform, "AP", (*call).routePage, false},
	{post, "/routes/edit", platform, "AP", (*call).putRoute, false},
	{post, "/routes/delete", platform, "AP", (*call).deleteRoute, false},
	{post, "/routes/try", platform, "APD", (*call).tryRoute, false},
	{get, "/links", platform, "AD", (*call).links, false},
	{get, "/links/edit", platform, "A", (*call).linkPage, false},
	{post, "/links/edit", platform, "A", (*call).putLink, false},

	{get, "/audit", platform, "AD", (*call).audit, false},
	{get, "/audit.csv", platform, "AD", (*call).auditCSV, false},
	{get, "/users", platform, "AD", (*call).userList, false},
	{get, "/users/edit", platform, "A", (*call).userPage, false},
	{post, "/users/edit", platform, "A", (*call).putUser, false},
	{post, "/users/invite", platform, "A", (*call).inviteUser, false},
	{post, "/users/delete", platform, "A", (*call).deleteUser, false},
	{get, "/settings", platform, "AD", (*call).settings, false},
	{get, "/roles", platform, "AD", (*call).rolesPage, false},
}

// table is a copy of everyRoute.
func table() []route { return slices.Clone(everyRoute) }

// lets reports whether the line lets a user in; tenants are checked where the account is known.
func (r *route) lets(u *gateway.PanelUser) bool {
	switch r.scope {
	case public, own:
		return true
	case accounts, platform:
		letter := roleLetters[u.Role]
		return letter != "" && strings.Contains(r.may, letter) && (r.scope == accounts || u.Everywhere())
	}
	return false
}
