#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check.sh [includes|names|dead|format|lint]...: all of them without an argument. One line
# each, "ok" or "FAIL" with what was found; ends with "N passed, N failed, 0 skipped".
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0

sources() { git ls-files -co --exclude-standard -- '*.c' '*.h' | grep -v '^vmlinux.h$'; }

result() { # NAME FINDINGS
	if [ -z "$2" ]; then
		passed=$((passed + 1))
		echo "ok   $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1"
		printf '%s\n' "$2" | head -n 40 | sed 's/^/     | /'
	fi
}

# Who may include from whom. Dependencies point one way: see README, "The house".
allowed() {
	case $1 in
	maps) echo maps ;;
	bpf) echo "bpf maps" ;;
	lib) echo lib ;;
	loader) echo "loader maps lib" ;;
	agent) echo "agent loader maps lib" ;;
	dps) echo "dps lib" ;;
	ctl) echo "ctl lib" ;;
	selftests) echo "selftests maps lib loader agent dps ctl" ;;
	bench) echo "bench bpf maps lib selftests" ;;
	*) echo "" ;;
	esac
}

# Every quoted include, resolved: beside the file, from the root, or made in build/.
includes() {
	local file name from room found=
	while read -r file; do
		from=${file%%/*}
		while read -r name; do
			case $name in
			vmlinux.h | dove.skel.h | programs.skel.h) continue ;;
			esac
			if [ -e "$(dirname "$file")/$name" ]; then
				room=$(realpath --relative-to=. "$(dirname "$file")/$name")
			else
				room=$name
			fi
			room=${room%%/*}
			[[ " $(allowed "$from") " == *" $room "* ]] || found+="$file includes $name"$'\n'
		done < <(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file")
	done < <(sources)
	result "includes point one way" "${found%$'\n'}"
}

names() {
	result "names, and what headers are for" "$(sources | grep -E '^(lib|loader|agent|dps|ctl)/.*\.h$' | xargs awk -f scripts/names.awk)"
}

# Functions that no program can reach, as the linker sees it. Those that are there for the tests, and why:
for_tests() {
	case $1 in
	*_close | *_free) echo "what was opened is closed: a program that never does it just ends" ;;
	upstream_look) echo "the scenarios say what a server thinks of another" ;;
	server_address_equal | trust_any | statement_fresh) echo "what the tests ask of a thing, and no program does" ;;
	*_kind_name | *_status_name | *_verdict_name) echo "a test that fails says it in words" ;;
	cache_drop | authority_rekey) echo "what happens of itself in time, a scenario makes happen" ;;
	dove__assert) echo "bpftool writes it" ;;
	_curl_*) echo "libcurl's checks of types" ;;
	esac
}
dead() {
	local dir=build/dead found= file name times
	rm -f $dir/dove-agent $dir/dove-dps $dir/dovectl
	make --no-print-directory -j2 B=$dir CFLAGS='-O0 -ffunction-sections -Wl,--gc-sections,--print-gc-sections' \
		$dir/dove-agent $dir/dove-dps $dir/dovectl >$dir.log 2>&1 || found="does not build: see $dir.log"$'\n'
	# All three programs have what is in lib/, the rest is in one.
	while read -r times name file; do
		[ "$times" = "$([[ $file == lib/* ]] && echo 3 || echo 1)" ] && [ -z "$(for_tests "$name")" ] || continue
		found+="$file: $name() is reached by no program"$'\n'
	done < <(sed -n "s/.*removing unused section '\.text\.\([^']*\)' in file '${dir//\//\\/}\/\([^']*\)\.o'.*/\1 \2.c/p" $dir.log | sort | uniq -c)
	result "no dead code (ld --gc-sections)" "${found%$'\n'}"
}

format() {
	result "format (clang-format)" "$(sources | xargs clang-format --dry-run 2>&1 | grep warning:)"
}

# User space by its compile commands; what each disabled check is for stands in .clang-tidy.
lint() {
	local files
	files=$(sources | grep -E '^(lib|loader|agent|dps|ctl)/.*\.c$')
	result "lint (clang-tidy)" "$(xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p . <<<"$files" 2>/dev/null | grep -E 'warning:|error:' | sort -u)"
}

for what in "${@:-includes names dead format lint}"; do
	for one in $what; do $one; done
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
