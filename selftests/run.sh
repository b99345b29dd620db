#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run the tests: units, programs in the kernel, namespaces; or those whose name
# contains one of the arguments; a suite of the first two as prog/SUITE. Ends with "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD=$(realpath "$BUILD")
LIMIT=${LIMIT:-300} # seconds for one test file
AGAIN=${AGAIN:-0}   # so many namespace tests that failed are run a second time, which then counts
# Stores and logs in memory: what waits for a disk that others keep busy is not what is tested.
shm=$(findmnt -nro FSTYPE,OPTIONS /dev/shm)
[ -n "${TMPDIR:-}" ] || [[ $shm != tmpfs\ rw* || $shm == *noexec* ]] || export TMPDIR=/dev/shm
passed=0 failed=0 skipped=0 unsteady=()

wanted() { # NAME PATTERN...
	local name=$1 pattern
	shift
	[ $# -gt 0 ] || return 0
	for pattern in "$@"; do [[ $name == *$pattern* ]] && return 0; done
	return 1
}

# suites NAME PATTERN...: those asked for as NAME/SUITE, with | between; none where all are.
suites() {
	local name=$1 pattern found=
	shift
	for pattern in "$@"; do
		[[ $name != *$pattern* ]] || return 0
		[[ $pattern != "$name"/?* ]] || found+="|${pattern#*/}"
	done
	echo "${found#|}"
}

# Criterion speaks TAP: "ok - suite::name" and "not ok - ...", skipped ones with "# SKIP", as it calls those of
# other suites, too.
criterion() { # NAME BINARY SUITES
	local out ok bad skip status
	out=$(timeout "$LIMIT" "$2" --tap ${3:+--filter "@($3)/*"} 2>&1)
	status=$?
	[ -z "$3" ] || out=$(awk -v own=" - ($3)::" '!/^(not )?ok - / || $0 ~ own' <<<"$out")
	ok=$(grep -c '^ok ' <<<"$out")
	skip=$(grep -ci '^ok .*# skip' <<<"$out")
	bad=$(grep -c '^not ok ' <<<"$out")
	ok=$((ok - skip))
	if [ $status != 0 ] && [ "$bad" = 0 ]; then
		bad=1
		printf '%s\n' "$out" | tail -n 20
	fi
	[ "$bad" = 0 ] || grep -A 6 '^not ok ' <<<"$out"
	[ "$skip" = 0 ] || grep -i '^ok .*# skip' <<<"$out"
	[ $((ok + bad + skip)) -gt 0 ] || { bad=1; echo "$1 ran no test"; }
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
	printf '%s: %d passed, %d failed, %d skipped\n' "$1" "$ok" "$bad" "$skip"
}

# A namespace test says "ok ...", "FAIL ..." and "skip ...", and closes with its sums.
namespaces() { # FILE [AGAIN]
	local out last status before=("$passed" "$failed" "$skipped")
	printf '\n== %s\n' "$(basename "$1")"
	out=$(mktemp)
	timeout --foreground -k 20 "$LIMIT" bash "$1" </dev/null 2>&1 | tee "$out"
	status=${PIPESTATUS[0]}
	last=$(tail -n 1 "$out")
	if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
		skipped=$((skipped + BASH_REMATCH[3]))
		[ "$status" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || failed=$((failed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1 did not come to its end (status $status)"
	fi
	rm -f "$out"
	[ "$failed" != "${before[1]}" ] && [ -z "${2:-}" ] && [ "$AGAIN" -gt 0 ] || return 0
	AGAIN=$((AGAIN - 1)) unsteady+=("$(basename "$1") ($((failed - before[1])) failed at first)")
	passed=${before[0]} failed=${before[1]} skipped=${before[2]}
	namespaces "$1" again
}

for height in unit prog; do
	some=$(suites $height "$@")
	[ -z "$some" ] && ! wanted $height "$@" || criterion $height "$BUILD/selftests/$height-tests" "$some"
done
for file in selftests/net/[0-9]*.sh; do
	! wanted "net/$(basename "$file")" "$@" || namespaces "$file"
done
echo
for file in "${unsteady[@]}"; do echo "run a second time: $file"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
