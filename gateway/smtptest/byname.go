package smtptest

import (
	"strconv"
	"strings"
	"time"
)

// ByName is the script that reads its orders from the recipient's local part:
//
//	fail-550      refused at RCPT with that 5xx code (fail: 550)
//	later-451     refused at RCPT with that 4xx code (later: 451)
//	slow-2s       answered that much later, at most a minute
//	reject-554    refused after the data
//	drop          the connection is cut after the data, without an answer; the message is not kept
//
// Anything behind a plus sign or a second dash is for telling addresses apart: fail-550-1@, later+ali@.
func ByName() *Script {
	return &Script{
		Rcpt: func(_, to string) Reply {
			switch verb, arg := order(to); verb {
			case "fail":
				return Reply{Code: code(arg, 5, 550), Enhanced: [3]int{5, 1, 1}, Text: "no such user here"}
			case "later":
				return Reply{Code: code(arg, 4, 451), Enhanced: [3]int{4, 2, 0}, Text: "come back later"}
			case "slow":
				d, err := time.ParseDuration(arg)
				if err == nil && d > 0 {
					return Reply{Delay: min(d, time.Minute)}
				}
			}
			return Reply{}
		},
		Data: func(m *Message) Reply {
			for _, r := range m.To {
				switch verb, arg := order(r.Addr); verb {
				case "reject":
					return Reply{Code: code(arg, 5, 554), Enhanced: [3]int{5, 7, 1}, Text: "message refused"}
				case "drop":
					return Reply{Drop: true}
				}
			}
			return Reply{}
		},
	}
}

// order cuts the local part of an address into verb and argument.
func order(addr string) (verb, arg string) {
	local, _, _ := strings.Cut(strings.ToLower(addr), "@")
	local, _, _ = strings.Cut(local, "+")
	verb, rest, _ := strings.Cut(local, "-")
	arg, _, _ = strings.Cut(rest, "-")
	return verb, arg
}

// code reads a reply code of the class, or takes the usual one.
func code(arg string, class, usual int) int {
	if n, err := strconv.Atoi(arg); err == nil && n/100 == class {
		return n
	}
	return usual
}
