package smarthost

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// scripted answers commands by their verb, 250 where the script says nothing, and counts them. A message ends with its lone dot.
func scripted(t *testing.T, replies map[string]string) (addr string, said func(verb string) int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	var mu sync.Mutex
	count := map[string]int{}
	serve := func(c net.Conn) {
		defer c.Close()
		_, _ = io.WriteString(c, "220 scripted\r\n")
		br := bufio.NewReader(c)
		for data := false; ; {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
			if data && verb != "." {
				continue
			}
			mu.Lock()
			count[verb]++
			mu.Unlock()
			reply := replies[verb]
			if reply == "" {
				reply = "250 ok"
			}
			data = verb == "DATA" && strings.HasPrefix(reply, "354")
			if _, err := io.WriteString(c, reply+"\r\n"); err != nil || strings.HasPrefix(reply, "421") {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(c) })
		}
	})
	return ln.Addr().String(), func(verb string) int { mu.Lock(); defer mu.Unlock(); return count[verb] }
}

// A host that answers 2xx to DATA, before it was given anything, has not taken the message: it is out of step, and is left.
func TestTakenBeforeItWasSent(t *testing.T) {
	for _, ehlo := range []string{"250 x", "250-x\r\n250 PIPELINING"} {
		for code, want := range map[string]Kind{"250 2.0.0 ok": TryLater, "221 bye": TryLater, "334 go on": TryLater, "354 go": Delivered, "451 later": TryLater, "554 never": Permanent} {
			addr, said := scripted(t, map[string]string{"EHLO": ehlo, "DATA": code})
			o := client(t, Config{}, Host{Addr: addr, TLS: TLSOff}).Deliver(t.Context(), message(small, "ali@c.example")).Outcomes[0]
			if o.Kind != want {
				t.Errorf("%q to DATA: %+v, want %v", code, o, want)
			}
			if n := said("."); n > 0 != (want == Delivered) {
				t.Errorf("%q to DATA: the message was sent %d times", code, n)
			}
		}
	}
}

// HELO is for hosts that do not know EHLO (RFC 5321 §3.2); one that is busy says so to either, and its words are kept.
func TestHELO(t *testing.T) {
	for _, c := range []struct {
		ehlo string
		kind Kind
		helo int
		text string
	}{{"502 what?", Delivered, 1, "ok"}, {"421 4.3.2 closing", TryLater, 0, "closing"}, {"451 4.3.0 busy", TryLater, 0, "busy"}} {
		addr, said := scripted(t, map[string]string{"EHLO": c.ehlo, "DATA": "354 go"})
		o := client(t, Config{}, Host{Addr: addr, TLS: TLSOff}).Deliver(t.Context(), message(small, "ali@c.example")).Outcomes[0]
		if o.Kind != c.kind || o.Text != c.text || said("HELO") != c.helo {
			t.Errorf("%q: %+v, HELO said %d times", c.ehlo, o, said("HELO"))
		}
	}
}
