#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [PATTERN]...: fuzz the targets whose names contain one of the patterns
# (all of them), and the programs, for FUZZ_SECONDS in all, split evenly. A line
# each, "ok", "FAIL" or "skip"; ends with "N passed, N failed, N skipped".
#
# What libFuzzer learns stays in build/fuzz/corpus/TARGET; an input that fails
# is left as build/fuzz/found/TARGET-*. Once it is understood it goes, small,
# to selftests/fuzz/corpus/TARGET/, where `make test` replays it.
set -u
cd "$(dirname "$0")/../.." || exit 1
SECONDS_IN_ALL=${FUZZ_SECONDS:-60}
SEED=${FUZZ_SEED:-$RANDOM}
BUILD=build
OUT=$BUILD/fuzz
CORPUS=selftests/fuzz/corpus
passed=0 failed=0 skipped=0

say() { # ok|FAIL|skip NAME TEXT
	case $1 in
	ok) passed=$((passed + 1)) ;;
	FAIL) failed=$((failed + 1)) ;;
	skip) skipped=$((skipped + 1)) ;;
	esac
	printf '%-4s %-22s %s\n' "$1" "$2" "$3"
}

wanted() { # NAME
	local pattern
	[ ${#patterns[@]} -gt 0 ] || return 0
	for pattern in "${patterns[@]}"; do [[ $1 == *$pattern* ]] && return 0; done
	return 1
}

# libFuzzer's runtime comes in a package of its own.
can_fuzz() {
	printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n);\nint LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return !d && n; }\n' |
		clang -fsanitize=fuzzer,address,undefined -x c - -o "$OUT/probe" >"$OUT/probe.log" 2>&1
}

build() {
	make --no-print-directory -j"$(nproc)" "$@" >"$OUT/make.log" 2>&1 || { tail -n 20 "$OUT/make.log" >&2; return 1; }
}

stat_of() { # NAME LOG: of -print_final_stats
	sed -n "s/^stat::$1: *//p" "$2" | tail -n 1
}

# Seeds first, and what was learnt; leaks and undefined behaviour fail like crashes.
decoder() { # NAME
	local log=$OUT/$1.log learnt=$OUT/corpus/$1 status
	mkdir -p "$learnt"
	nice "$OUT/selftests/fuzz-$1" -max_total_time="$share" -seed="$SEED" -timeout=10 -rss_limit_mb=2048 \
		-max_len=8192 -print_final_stats=1 -verbosity=1 -artifact_prefix="$OUT/found/$1-" \
		$([ -e "selftests/fuzz/$1.dict" ] && echo "-dict=selftests/fuzz/$1.dict") \
		"$learnt" "$CORPUS/$1" >"$log" 2>&1 </dev/null
	status=$?
	if [ $status = 0 ]; then
		say ok "$1" "$(stat_of number_of_executed_units "$log") executions in ${share} s, $(grep -o 'cov: [0-9]*' "$log" | tail -n 1)"
	else
		say FAIL "$1" "seed $SEED, log in $log:"
		grep -aE 'ERROR|runtime error|^SUMMARY|Test unit written|^selftests' "$log" | head -n 8 | sed 's/^/     | /'
	fi
}

# The programs' own tests of mutated packets. While they look at one it lies in found/, and stays there if they fail.
program() { # NAME SUITE/TEST FAMILIES
	local log=$OUT/prog-$1.log status
	DOVE_FUZZ_SEED=$SEED DOVE_FUZZ_MS=$((share * 1000 / $3)) DOVE_FUZZ_FOUND=$(realpath "$OUT/found") \
		nice "$BUILD/selftests/prog-tests" --verbose --filter "$2" >"$log" 2>&1
	status=$?
	if grep -q SKIP: "$log"; then
		say skip "prog-$1" "$(sed -n 's/^SKIP: //p' "$log" | head -n 1)"
	elif [ $status = 0 ] && grep -q 'Tested: [^0]' "$log"; then
		say ok "prog-$1" "$(sed -n 's/^\([0-9]*\) mutated packets.*/\1/p' "$log" | awk '{ n += $1 } END { print n }') packets in $share s, seed $SEED"
	else
		say FAIL "prog-$1" "seed $SEED, log in $log:"
		grep -aE 'FAIL|mutations|rc/|prog-|assert' "$log" | head -n 8 | sed 's/^/     | /'
		keep_packets "prog-$1"
	fi
	rm -f "$OUT/found/prog-$1-v4" "$OUT/found/prog-$1-v6"
}

# A struct frame there: how long it is, and its bytes. The corpus has the bytes.
keep_packets() { # NAME
	local file
	for file in "$OUT/found/$1"-v[46]; do
		[ -e "$file" ] || continue
		tail -c +5 "$file" | head -c "$(od -An -tu4 -N4 "$file")" >"$OUT/found/${file##*/}-$SEED.corpus"
		echo "     | the last packet: $OUT/found/${file##*/}-$SEED.corpus"
	done
}

patterns=("$@")
mkdir -p "$OUT/found" "$OUT/corpus"
decoders=() programs=()
for file in selftests/fuzz/*.c; do
	name=$(basename "$file" .c)
	case $name in fuzz | libfuzzer) continue ;; esac
	! wanted "$name" || decoders+=("$name")
done
for name in ingress port door tunnel; do
	! wanted "prog-$name" || programs+=("$name")
done
count=$((${#decoders[@]} + ${#programs[@]}))
[ $count -gt 0 ] || { echo "no such target"; exit 1; }
share=$((SECONDS_IN_ALL / count))
[ $share -gt 0 ] || share=1

if [ ${#decoders[@]} = 0 ]; then
	:
elif ! can_fuzz; then
	for name in "${decoders[@]}"; do say skip "$name" "clang has no libFuzzer here: $(head -n 1 "$OUT/probe.log")"; done
elif build B=$OUT CC=clang WARN=-w SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' \
	"${decoders[@]/#/$OUT/selftests/fuzz-}"; then
	for name in "${decoders[@]}"; do decoder "$name"; done
else
	for name in "${decoders[@]}"; do say FAIL "$name" "can't be built"; done
fi
if [ ${#programs[@]} -gt 0 ] && ! build "$BUILD/selftests/prog-tests"; then
	for name in "${programs[@]}"; do say FAIL "prog-$name" "can't be built"; done
	programs=()
fi
for name in "${programs[@]}"; do
	case $name in
	ingress) program ingress 'mutation_ingress/*' 2 ;;
	port) program port 'mutation_port/*_sent' 1 ;;
	door) program door 'mutation_port/*_door' 1 ;;
	tunnel) program tunnel 'mutation_tunnel/*' 2 ;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
