// Package mtasts finds, checks and remembers what mail domains demand of TLS towards their mail exchangers: MTA-STS (RFC 8461).
//
//	cache := mtasts.New(mtasts.Config{Resolver: net.DefaultResolver, File: filepath.Join(data, "mta-sts.json")})
//	if p := cache.Policy(ctx, "alici.example"); p != nil && p.Mode == mtasts.ModeEnforce {
//		… deliver to exchangers p.Permits, over TLS with a certificate for their name, or not at all …
//	}
//
// A domain announces a policy by a TXT record at _mta-sts and serves it over HTTPS at mta-sts.<domain>, where its certificate is
// checked. What was fetched holds until its max_age is over, whatever the DNS says meanwhile: who can change our view of the DNS must
// not be able to take a policy away. For the same reason policies are kept in a file, so that a restart does not forget them.
//
// The package delivers nothing: that is for the caller, who looks up the exchangers as well. It sends no reports (RFC 8460).
package mtasts
