package queue

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	good := []struct {
		url    string
		want   target
		secure bool
		why    string
	}{
		{url: "redis://localhost", want: target{addrs: []string{"localhost:6379"}}, why: "default port"},
		{url: "redis://user:p%40ss@r.example:7000/3", want: target{addrs: []string{"r.example:7000"}, user: "user", password: "p@ss", db: 3}, why: "all parts"},
		{url: "redis://:p@ss@r", want: target{addrs: []string{"r:6379"}, password: "p@ss"}, why: "an unescaped @ in the password"},
		{url: "redis://[::1]:6380", want: target{addrs: []string{"[::1]:6380"}}, why: "IPv6"},
		{url: "redis://[::1]", want: target{addrs: []string{"[::1]:6379"}}, why: "IPv6 without port"},
		{url: "rediss://r.example", want: target{addrs: []string{"r.example:6379"}}, secure: true, why: "TLS"},
		{url: "redis-socket:///run/redis.sock?db=2", want: target{addrs: []string{"/run/redis.sock"}, db: 2}, why: "Unix socket"},
		{url: "redis-socket://:secret@/run/redis.sock", want: target{addrs: []string{"/run/redis.sock"}, password: "secret"}, why: "Unix socket with a password"},
		{url: "redis-sentinel://u:p@a,b:26380,[::2]/1?master=main&sentinelUser=su&sentinelPassword=sp",
			want: target{addrs: []string{"a:26379", "b:26380", "[::2]:26379"}, user: "u", password: "p", db: 1, master: "main", sentinelUser: "su", sentinelPassword: "sp"}, why: "Sentinel"},
		{url: "redis-cluster://a:7000,b:7001,c", want: target{addrs: []string{"a:7000", "b:7001", "c:6379"}, cluster: true}, why: "Cluster"},
		{url: "rediss-cluster://a,b", want: target{addrs: []string{"a:6379", "b:6379"}, cluster: true}, secure: true, why: "Cluster with TLS"},
	}
	for _, c := range good {
		got, err := parseURL(c.url)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if (got.tls != nil) != c.secure {
			t.Errorf("%s: got TLS %v, want %v", c.why, got.tls != nil, c.secure)
		}
		got.tls = nil
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.why, got, c.want)
		}
	}
	bad := []struct{ url, why string }{
		{"", "nothing"},
		{"localhost:6379", "no scheme"},
		{"http://localhost", "another scheme"},
		{"redis://", "no host"},
		{"redis://a,b", "two hosts without Sentinel or Cluster"},
		{"redis://a:0", "port 0"},
		{"redis://a:70000", "port too high"},
		{"redis://a:x", "port no number"},
		{"redis://::1", "IPv6 without brackets"},
		{"redis://a/x", "database no number"},
		{"redis://a/-1", "negative database"},
		{"redis://a?master=x", "a parameter of another form"},
		{"redis-socket://host/run/r", "socket with a host"},
		{"redis-socket:///", "socket without a path"},
		{"rediss-socket:///run/r", "TLS on a socket"},
		{"redis-sentinel://a,b", "no master name"},
		{"redis-sentinel://a,,b?master=m", "an empty host"},
		{"redis-sentinel://a?Master=m", "a misspelt parameter"},
		{"redis-cluster://a/1", "a database of a cluster"},
		{"redis://:hunter2%zz@a", "bad escape"},
		{"redis://:hunter2#x@a", "a raw # in the password"},
		{"redis://:hunter2@a b", "a space"},
	}
	for _, c := range bad {
		err := ParseURL(c.url)
		if c.why == "a space" && err == nil {
			continue // a host that resolves to nothing is told by Healthy
		}
		if !errors.Is(err, ErrURL) {
			t.Errorf("%s: got %v, want ErrURL", c.why, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the password: %v", c.why, err)
		}
	}
}

func TestNewChecksItsConfiguration(t *testing.T) {
	if _, err := New(Config{Instance: "a-B_9"}); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	bad := map[string]Config{
		"no instance":                  {},
		"an instance that breaks keys": {Instance: "a}b"},
		"too many tasks":               {Instance: "a", MaxTasks: maxTasksLimit + 1},
		"negative tasks":               {Instance: "a", MaxTasks: -1},
		"one worker for two lanes":     {Instance: "a", Workers: 1},
		"negative otp workers":         {Instance: "a", OTPWorkers: -1},
		"negative time":                {Instance: "a", DrainTimeout: -1},
		"bad url":                      {Instance: "a", Redis: "nonsense"},
	}
	for why, c := range bad {
		if _, err := New(c); err == nil {
			t.Errorf("%s was accepted", why)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"redis://u:p@h:1/2", "redis-sentinel://a,[::1]:5?master=m", "redis-socket:///x?db=1", "rediss-cluster://a,b", "redis://a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseURL(s)
		if err != nil {
			if !errors.Is(err, ErrURL) {
				t.Errorf("%q: got %v, want ErrURL", s, err)
			}
			return
		}
		if len(got.addrs) == 0 || got.db < 0 || got.cluster && got.db != 0 {
			t.Errorf("%q: accepted as %+v", s, got)
		}
	})
}

func FuzzDecodePayload(f *testing.F) {
	f.Add(payload{"inst", 2, 1 << 63, 9}.encode())
	f.Add([]byte(`{"i":"x","l":3,"c":-1,"g":0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePayload(b)
		if err != nil {
			if !errors.Is(err, errPayload) {
				t.Errorf("got %v, want errPayload", err)
			}
			return
		}
		if again, err := decodePayload(p.encode()); err != nil || again != p {
			t.Errorf("got %+v, %v after a round trip, want %+v", again, err, p)
		}
	})
}
