package iysapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

// codeClasses are the codes of iys-api.md §17.2 that a gateway's calls can meet,
// with the status they come with and what may follow (§17.4), and those of ViA
// (§17.3).
var codeClasses = map[iysapi.Retry]map[int][]string{
	iysapi.RetryFinal: {
		400: {"H014", "H016", "H017", "H067", "H082", "H085", "H090", "H092", "H095", "H097", "H098", "H171", "H172", "H173",
			"H174", "H175", "H178", "H201", "H214", "H215", "H216", "H217", "H218", "H219", "H220", "H221", "H222", "H224", "H225", "H226", "H227", "H228", "H229",
			"H230", "H231", "H241", "H243", "H244", "H250", "H252", "H253", "H266", "H267", "H288", "H401", "H402", "H403", "H405",
			"H462", "H463", "H486", "H467",
			"H1005", "H1010", "H1012", "H1013", "H1016", "H1026", "H1027", "H1029", "H1030", "H1032", "H1041", "H1043", "H1048", "H1050", "H1051",
			"H1052", "H1054", "H1055", "H1056", "H1057", "H1060", "H1061", "H1064", "H1065", "H1066", "H1069", "H1072", "H1074", "H1079", "H1080",
			"H1081", "H1082", "H1083", "H1084", "H1085", "H1086", "H1087", "H1094", "H1095"},
		405: {"H1044"},
		409: {"H1020", "H1021", "H1067", "H1097"},
		403: {"H180"},
		422: {"H091", "H093", "H110", "H111", "H112", "H113", "H114", "H115", "H116", "H117", "H118", "H119", "H120", "H121", "H122",
			"H125", "H126", "H127", "H155", "H156", "H157", "H158", "H160", "H162", "H163", "H164", "H166", "H168", "H169", "H170",
			"H182", "H183", "H184", "H185", "H186", "H187", "H190", "H191", "H193", "H194", "H198", "H199", "H400", "H408", "H464",
			"H467", "H478", "H501", "H502", "H503", "H506", "H507", "H512", "H530", "H531"},
	},
	iysapi.RetryAgain: {
		400: {"H123", "H179", "H1028"}, // busy, or nothing done yet: passing although 400
		429: {"H083", "H124"},
		500: {"H015", "H060", "H061", "H062", "H100", "H101", "H102", "H103", "H105", "H106", "H107", "H179", "H181", "H412", "H470", "H476",
			"H1001", "H1002", "H1003", "H1004", "H1007", "H1017", "H1019", "H1047", "H1058", "H1068", "H1070", "H1073", "H1075", "H1077"},
		503: {"H192", ""},
		502: {""}, // a proxy in between
	},
	iysapi.RetryWaitHour: {429: {"H084", "H086", "H089"}},
	iysapi.RetryNewToken: {401: {"H351", "H1038", "H1045"}},
	iysapi.RetryOperator: {
		400: {"H176", "H245", "H363", "H522", "H1000", "H1014", "H1015", "H1031", "H1062", "H1092", "H1093"},
		401: {"H251"},
		403: {"H195", "H196", "H353", "H520", "H521", "H524", "H586", "H1040", "H1046"},
		404: {"H001", "H018", "H031", "H058", "H129", "H268", "H355", "H437", "H1104", "H1107", "H1112", "H1113"},
		422: {"H525"},
		302: {""}, // İYS redirects nothing
	},
}

// Every code leads to what the documents say may follow, whichever operation
// it answers, and reaches the caller typed.
func TestEveryCodeHasItsClass(t *testing.T) {
	n := 0
	for class, byStatus := range codeClasses {
		for status, list := range byStatus {
			for _, code := range list {
				n++
				inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
					s.Fail(iystest.Fault{Operation: "changes", Status: status, Code: code, Times: 2})
					_, err := newClient().Changes(t.Context(), brand, iysapi.ChangesByPerson, "", 10)
					e, ok := errors.AsType[*iysapi.APIError](err)
					if !ok || e.HTTP != status || e.Code != code || e.Retry != class {
						t.Errorf("%d %s: got %v (%v), want %v", status, code, err, iysapi.RetryOf(err), class)
						return
					}
					if class == iysapi.RetryWaitHour && time.Until(e.Until) < time.Hour {
						t.Errorf("%s: again in %v, want an hour", code, time.Until(e.Until))
					}
				})
			}
		}
	}
	if n < 190 {
		t.Errorf("%d codes: the table has shrunk", n)
	}
}

// No code of the documents is left out of the table but those no call of ours
// can be answered.
func TestNoCodeIsLeftOut(t *testing.T) {
	elsewhere := map[string]string{
		"H450 H451 H452 H453 H454 H455 H456 H457 H458 H459 H460 H465": "the ViA of 2020, switched off",
		"H197 H404": "search screens",
		"H568":      "stands inside an answer 200 (TestRejectLinks)",
	}
	in := map[string]bool{}
	for list := range elsewhere {
		for _, c := range strings.Fields(list) {
			in[c] = true
		}
	}
	for _, byStatus := range codeClasses {
		for _, list := range byStatus {
			for _, c := range list {
				in[c] = true
			}
		}
	}
	for _, c := range iystest.DocumentedCodes() {
		if !in[c] {
			t.Errorf("%s is in no class", c)
		}
	}
}

// A passing failure of a write is met by the same body once more, and leaves
// one movement.
func TestRetryAfterAPassingFailure(t *testing.T) {
	for _, code := range codeClasses[iysapi.RetryAgain][500] {
		inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
			c := newClient()
			s.Fail(iystest.Fault{Operation: "add", Status: 500, Code: code})
			s.Fail(iystest.Fault{Operation: "add", DropAfter: true})
			rec := sms(1, iys.StatusApproved)
			for try := range 3 {
				if _, err := c.Add(t.Context(), brand, rec); (err == nil) != (try == 2) || err != nil && iysapi.RetryOf(err) != iysapi.RetryAgain {
					t.Fatalf("%s, try %d: %v", code, try, err)
				}
				pass(time.Second)
			}
			if n := len(s.Movements()); n != 1 {
				t.Errorf("%s: %d movements, want 1", code, n)
			}
		})
	}
}

// A brand with a thousand questions in the line does not keep another brand's
// from being asked.
func TestFairShares(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		c := newClient()
		busy, other := brand, iysapi.Brand{IYSCode: iystest.SeedOtherIYS, BrandCode: iystest.SeedOtherIYS}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{}, 500)
		for range 500 {
			go func() {
				defer func() { done <- struct{}{} }()
				c.Changes(ctx, busy, iysapi.ChangesByPerson, "", 10)
			}()
		}
		pass(5 * time.Second)
		for range 5 {
			began := time.Now()
			if _, err := c.Changes(t.Context(), other, iysapi.ChangesByPerson, "", 10); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > 2*time.Second {
				t.Errorf("waited %v behind another brand's backlog", waited)
			}
		}
		cancel()
		for range 500 {
			<-done
		}
		// Those who gave up leave no hole: the next call goes at once.
		pass(2 * time.Second)
		began := time.Now()
		if _, err := c.Changes(t.Context(), other, iysapi.ChangesByPerson, "", 10); err != nil || time.Since(began) > time.Second {
			t.Errorf("after the crowd: %v, %v", err, time.Since(began))
		}
	})
}
