package iys_test

import (
	"fmt"
	"time"

	"izinli/iys"
)

func ExampleDecide() {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, iys.Istanbul)
	q := iys.Query{
		Class: "commercial", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
		Mode: iys.ModePartner, BrandKnown: true, BrandActive: true,
	}
	f := iys.Facts{
		Checked:  true,
		Consent:  iys.Evidence{Status: iys.StatusApproved, Read: iys.ReadMirror, Origin: iys.OriginPull},
		PulledAt: now.Add(-time.Hour),
	}
	v := iys.Decide(q, f, now)
	fmt.Println(v.Outcome, v.Rule, v.Age)

	f.Blocked = true
	v = iys.Decide(q, f, now)
	fmt.Println(v.Outcome, v.Rule)
	// Output:
	// send consent_onay 1h0m0s
	// refuse blocked
}

func ExampleCalendar_Deadline() {
	// 28 October is half a day and counts; the 29th is a holiday.
	receipt := time.Date(2026, 10, 27, 16, 30, 0, 0, iys.Istanbul)
	fmt.Println(iys.FormatTime(iys.DefaultCalendar().Deadline(receipt)))
	// Output: 2026-11-02 23:59:59
}
