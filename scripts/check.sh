#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check.sh [includes|format|lint]...: all of them without an argument. One line
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
	bench) echo "bench bpf maps lib" ;;
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

format() {
	result "format (clang-format)" "$(sources | xargs clang-format --dry-run 2>&1 | grep warning:)"
}

# User space by its compile commands; what each disabled check is for stands in .clang-tidy.
lint() {
	local files
	files=$(sources | grep -E '^(lib|loader|agent|dps|ctl)/.*\.c$')
	result "lint (clang-tidy)" "$(xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p . <<<"$files" 2>/dev/null | grep -E 'warning:|error:' | sort -u)"
}

for what in "${@:-includes format lint}"; do
	for one in $what; do $one; done
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
