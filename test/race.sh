#!/usr/bin/env bash
# race.sh FLAG… PACKAGE…: go test -race with these arguments.
#
# The race detector of Go 1.26 now and then breaks on an assertion of its own ("ThreadSanitizer: CHECK failed", tsan_rtl.cpp:346, an
# epoch counter that wraps while another goroutine takes the slot). That ends the test binary without saying anything of our code. Such
# packages are run again, at most three times, and said loudly. A run in which a test failed, a race was reported or a panic was
# printed is final: those are findings.
set -uo pipefail

flags=() packages=()
for a in "$@"; do
	case $a in -*) flags+=("$a") ;; *) packages+=("$a") ;; esac
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for attempt in 1 2 3 4; do
	go test -race "${flags[@]}" "${packages[@]}" 2>&1 | tee "$log"
	code=${PIPESTATUS[0]}
	[ "$code" -ne 0 ] || exit 0
	grep -q '^ThreadSanitizer: CHECK failed\|^FATAL: ThreadSanitizer CHECK failed' "$log" || exit "$code"
	! grep -qE 'WARNING: DATA RACE|^ *--- FAIL|^panic:|\[build failed\]|\[setup failed\]' "$log" || exit "$code"
	[ "$attempt" -lt 4 ] || exit "$code"
	mapfile -t packages < <(awk '$1 == "FAIL" && NF > 1 { print $2 }' "$log")
	[ ${#packages[@]} -gt 0 ] || exit "$code"
	echo "*** THE RACE DETECTOR ITSELF BROKE (see above); running again: ${packages[*]} ***"
done
