//go:build e2e

package e2e

import (
	"testing"

	"izinli/test/crash"
)

func TestMain(m *testing.M) { crash.Main(m) }

// TestCrash: ten kills in twenty thousand messages, on the embedded queue and on a real Redis that loses everything once.
func TestCrash(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { crash.Run(t, crash.Story{Messages: 20_000, Kills: 10}) })
	t.Run("redis", func(t *testing.T) { crash.Run(t, crash.Story{Messages: 20_000, Kills: 10, Redis: true}) })
}

// TestExchangeCrash: ten kills while fifty thousand consents travel between the gateway and İYS.
func TestExchangeCrash(t *testing.T) {
	crash.RunExchange(t, crash.ExchangeStory{Changes: 50_000, Kills: 10})
}

// TestMailCrash: ten kills in ten thousand relayed mails with 1 to 50 recipients.
func TestMailCrash(t *testing.T) { crash.RunMail(t, crash.MailStory{Mails: 10_000, Kills: 10}) }
