#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# coverage.sh [PATTERN...]: which lines of user space the tests reach, those of selftests/run.sh that match, all
# without an argument. Prints a line for each room and its files; all of it stays in $BUILD/coverage.txt.
# What a killed process had counted is lost, so the figure is a lower bound.
set -u
cd "$(dirname "$0")/.." || exit 1
B=${BUILD:-build}/coverage
make --no-print-directory B="$B" SANITIZE=--coverage tests || exit 1
find "$B" -name '*.gcda' -delete
BUILD=$B selftests/run.sh "$@" | tee "$B/tests.log" | grep -E '^(FAIL|not ok|== )|passed,'
status=${PIPESTATUS[0]}

# gcov's own words: a line "File 'X'", the next "Lines executed:P% of N".
while read -r data; do
	gcov -n -o "$(dirname "$data")" "$data" 2>/dev/null
done < <(find "$B"/{lib,loader,agent,dps,ctl} -name '*.gcno') | awk -F "[':% ]+" '
	/^File/ { file = $2 }
	/^Lines executed/ && file ~ /^(lib|loader|agent|dps|ctl)\/.*\.c$/ && !seen[file]++ {
		split(file, path, "/"); hit = $3 * $5 / 100; lines[file] = $5; hits[file] = hit
		room_lines[path[1]] += $5; room_hits[path[1]] += hit; all += $5; all_hits += hit
	}
	END {
		for (room in room_lines) printf "%-36s %6d lines %6.1f %%\n", room "/", room_lines[room], 100 * room_hits[room] / room_lines[room]
		for (file in lines) printf "%-36s %6d lines %6.1f %%\n", file, lines[file], 100 * hits[file] / lines[file]
		printf "%-36s %6d lines %6.1f %%\n", "~all", all, all ? 100 * all_hits / all : 0
	}' | sort | sed 's/^~all/all /' >"${B%/coverage}/coverage.txt"
grep -E '^[a-z]+/ |^all' "${B%/coverage}/coverage.txt"
echo "the least covered:"
grep -E '\.c ' "${B%/coverage}/coverage.txt" | sort -t m -k 1,1 | awk '{ print $(NF - 1), $0 }' | sort -n | head -n 8 | cut -d ' ' -f 2-
exit "$status"
