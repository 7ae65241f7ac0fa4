# Everything a developer does here. "make help" lists it.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 10s
BENCH    ?=
TORTURE  ?= -faults 210

# Tools, pinned: the same findings everywhere.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0

# Packages whose goroutines share memory; their tests always run under the race detector.
RACY := ./queue ./gateway/account ./gateway/consent ./gateway/desk ./gateway/dispatch ./gateway/mailback ./gateway/mailer \
	./gateway/operators ./gateway/public ./gateway/smppclient ./gateway/smpplink ./gateway/smppserver ./gateway/store ./gateway/webhook \
	./iys/exchange ./iys/iysapi ./iys/mirror ./iys/reconcile

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: run
run: ## the whole gateway on this machine, with a simulated operator and a simulated İYS
	@go run ./cmd/izinli demo

.PHONY: build
build: ## bin/izinli
	go build -trimpath -ldflags "-X main.release=$(VERSION)" -o bin/izinli ./cmd/izinli

.PHONY: test
test: peers ## every test, the concurrent packages under the race detector; under ten minutes
	@code=0; \
	go list ./... | grep -vxF "$$(go list $(RACY))" | xargs go test -timeout 10m || code=1; \
	bash test/race.sh -timeout=10m $(RACY) || code=1; \
	exit $$code

.PHONY: race
race: peers ## every test under the race detector
	@bash test/race.sh -timeout=30m ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s) each
	@grep -rhoE --include='*_test.go' --exclude-dir=node_modules '^func Fuzz\w+' . >/dev/null || { echo "no fuzz targets found"; exit 1; }
	@grep -roE --include='*_test.go' --exclude-dir=node_modules '^func Fuzz\w+' . | sed -E 's,/[^/]+:func , ,' | sort | while read -r dir name; do \
		echo "== $$dir $$name"; go test -run='^$$' -fuzz="^$$name$$" -fuzztime=$(FUZZTIME) "$$dir" </dev/null; done

.PHONY: bench
bench: peers ## measure throughput, latency and memory with durability on (BENCH="flags")
	@go run ./test/bench $(BENCH)

.PHONY: e2e
e2e: peers ## foreign SMPP implementations and a browser against the running gateway: npm smpp, Net::SMPP, Kannel, Chromium
	@go test -tags e2e -count=1 -v -timeout 30m ./test/e2e ./test/browser ./admin

.PHONY: promises
promises: ## break each promise in a copy of the code; its test must notice
	@bash test/promises.sh

.PHONY: torture
torture: peers ## kill -9, full disks and lost peers under load (TORTURE="flags")
	@go test -count=1 -v -timeout 60m ./test/torture -args $(TORTURE)

.PHONY: check
check: fmtcheck vet staticcheck vulncheck ## gofmt, vet, staticcheck, govulncheck

.PHONY: fmt
fmt: ## gofmt everything
	@gofmt -w $$(git ls-files '*.go')

.PHONY: fmtcheck vet staticcheck vulncheck
fmtcheck:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "gofmt these (make fmt):"; echo "$$bad"; exit 1; }

vet:
	go vet ./...

staticcheck:
	go run $(STATICCHECK) ./...

# govulncheck ends with 3 when it found something; anything else means that the tool or its database could not be reached, which is
# said loudly and stops nobody who works without a network.
vulncheck:
	@code=0; GOBIN="$(CURDIR)/bin" go install $(GOVULNCHECK) && bin/govulncheck ./... || code=$$?; \
	if [ $$code -eq 3 ]; then echo "govulncheck: vulnerable code is reached; see above"; exit 1; fi; \
	if [ $$code -ne 0 ]; then echo; echo "*** VULNERABILITIES NOT CHECKED: govulncheck or its database could not be reached (exit $$code) ***"; echo; fi

# The foreign programs tests talk to. Missing ones are installed where that is possible and named where it is not; the tests that
# need them say so again when they skip, and fail where CI=true.
.PHONY: peers
peers:
	@missing=(); \
	command -v redis-server >/dev/null || missing+=(redis-server); \
	[ -x /usr/sbin/bearerbox ] || command -v bearerbox >/dev/null || missing+=(kannel); \
	perl -MNet::SMPP -e1 2>/dev/null || missing+=(libnet-smpp-perl); \
	[ -x /usr/sbin/postfix ] || missing+=(postfix); \
	for p in swaks gsasl openssl strace; do command -v $$p >/dev/null || missing+=($$p); done; \
	/usr/bin/python3 -c 'import dkim, nacl' 2>/dev/null || missing+=(python3-dkim python3-nacl); \
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium); \
	if [ $${#missing[@]} -gt 0 ]; then \
		if [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
			DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$${missing[@]}" >/dev/null \
			|| { apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$${missing[@]}" >/dev/null; } \
			|| echo "*** NOT INSTALLED: $${missing[*]}; tests against them are skipped ***"; \
		else echo "*** NOT INSTALLED (needs root and apt): $${missing[*]}; tests against them are skipped ***"; fi; fi
	@if [ ! -d test/peers/node_modules/smpp ] || [ ! -d test/peers/node_modules/axe-core ]; then \
		if command -v npm >/dev/null; then npm install --prefix test/peers --no-package-lock --no-audit --no-fund --silent \
			|| echo "*** NOT INSTALLED: npm smpp, axe-core; tests with them are skipped ***"; \
		else echo "*** NOT INSTALLED: npm smpp, axe-core (npm is missing); tests with them are skipped ***"; fi; fi
