// Package iys holds the law of consent: the words of İYS (İleti Yönetim
// Sistemi, Turkey's registry of consent to commercial messages), the decision
// whether a message may go, and the rules by which İYS and the regulation
// judge a consent.
//
// A caller gathers what it knows into [Facts], describes the message in a
// [Query] and asks [Decide]. The answer is a [Verdict]; it acts on nothing
// itself, and its zero value refuses. Around it stand the business-day
// [Calendar] (three-day rule), [Refuse] (would İYS refuse this record),
// [Resolve] (which of two records wins) and [Lifts] (may a block end).
//
// The package reads no clock, opens no connection and keeps no state: now is
// an argument everywhere. It knows nothing of messages, queues, accounts or
// wire formats, and imports only the standard library. Wire values keep their
// Turkish spelling under English names.
package iys
