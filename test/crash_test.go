package test

import (
	"testing"
	"time"

	"izinli/test/crash"
)

func TestMain(m *testing.M) { crash.Main(m) }

// TestCrash tells the story in short: two kills. The long one, ten kills in twenty thousand messages, is part of make e2e, and there
// delivery must resume within five seconds. Here, where other tests have the cores, it has half a minute: still less than the
// minute and more after which a queue without our part finds what a dead process held.
func TestCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("two kills take half a minute")
	}
	t.Run("embedded", func(t *testing.T) { crash.Run(t, crash.Story{Messages: 6000, Kills: 2, Within: resumeShort}) })
	t.Run("redis", func(t *testing.T) {
		crash.Run(t, crash.Story{Messages: 6000, Kills: 2, Redis: true, Within: resumeShort})
	})
}

const resumeShort = 30 * time.Second

// TestExchangeCrash kills the gateway while consents travel both ways between it and İYS. The long one, fifty thousand changes, is
// part of make e2e.
func TestExchangeCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("three kills take half a minute")
	}
	crash.RunExchange(t, crash.ExchangeStory{Changes: 4000, Kills: 3})
}

// TestMailCrash: two kills in six hundred relayed mails, and nothing acknowledged is lost.
func TestMailCrash(t *testing.T) { crash.RunMail(t, crash.MailStory{Mails: 600, Kills: 2}) }

// TestStorm is the long storm (make torture) in short: a few of its faults under messages, mails, pushes and the panel. How fast the
// gateway recovers and how little is still on its way after a refusal is measured there; here other tests have the cores.
func TestStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("a storm takes half a minute")
	}
	crash.RunStorm(t, crash.Storm{People: 4000, Calm: time.Second, RecoverWithin: 3 * time.Minute, InFlight: 10 * time.Second,
		Kinds: []string{"kill -9", "smarthost hangs", "Redis killed", "operator reset", "İYS answers 500, 429, late, or not", "kill -9 while starting"}})
}
