// Package e2e meets foreign implementations of SMPP: npm's smpp, Perl's Net::SMPP, go-smpp and Kannel bind to the gateway,
// submit Turkish texts of several segments and get their receipts. Chromium walks through the panel, from the set-up link to a
// cancelled batch, and looks at every page. It also tells the long form of the crash story, and a week without İYS. Everything is
// behind the build tag e2e:
//
//	make e2e
//
// A peer that is not installed is skipped with the reason; with CI=true that is a failure.
package e2e
