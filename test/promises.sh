#!/usr/bin/env bash
# Breaks each promise P1–P7 in a copy of the code, one stored patch at a time, and demands that the test the patch names fails on
# the break and passes without it: a test that cannot fail proves nothing. "promises.sh P3" does one promise alone.
#
# A patch (test/promises/*.patch) begins with three lines:
#   Promise: P5, opt-out wins
#   Break:   the last look before hand-off is skipped
#   Test:    ./test TestOptOutBySMS
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
only=${1:-}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cd "$root"
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- --ignore-failed-read 2>/dev/null | tar --extract --directory="$copy"
cd "$copy"

# run PACKAGE TEST runs one test, given as Test or Test/subtest.
run() {
	local pattern
	pattern=$(sed -E 's,[^/]+,^&$,g' <<<"$2")
	go test -count=1 -timeout 6m -run "$pattern" "$1" 2>&1
}

field() { sed -n "s/^$1: *//p" "$2" | head -n 1; }

failed=0
for patch in "$root"/test/promises/*.patch; do
	promise=$(field Promise "$patch")
	case "$promise" in "$only"*) ;; *) continue ;; esac
	read -r package name <<<"$(field Test "$patch")"
	printf '%s\n   broken: %s\n' "$promise" "$(field Break "$patch")"

	if ! out=$(run "$package" "$name") || grep -q 'no tests to run' <<<"$out"; then
		printf '   WRONG: %s %s does not pass on the code as it is\n%s\n' "$package" "$name" "$(tail -n 30 <<<"$out")"
		failed=1
		continue
	fi
	if ! git apply --unidiff-zero -C1 "$patch" || ! go build ./...; then
		printf '   WRONG: %s no longer fits the code\n' "${patch##*/}"
		failed=1
		git apply --unidiff-zero -C1 --reverse "$patch" 2>/dev/null || true
		continue
	fi
	if out=$(run "$package" "$name"); then
		printf '   WRONG: %s %s passes although the promise is broken\n' "$package" "$name"
		failed=1
	elif ! grep -q -- "--- FAIL: ${name%%/*}" <<<"$out"; then
		printf '   WRONG: %s %s did not fail by itself\n%s\n' "$package" "$name" "$(tail -n 30 <<<"$out")"
		failed=1
	else
		printf '   noticed by %s %s:\n      %s\n' "$package" "$name" "$(grep -m 1 -E '_test\.go:|story\.go:|verify\.go:' <<<"$(grep -vE 'gateway: time=|: seed |: kill ' <<<"$out")" | sed 's/^ *//' | cut -c1-160)"
	fi
	git apply --unidiff-zero -C1 --reverse "$patch"
done
exit "$failed"
