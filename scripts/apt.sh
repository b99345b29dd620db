# SPDX-License-Identifier: Apache-2.0
# Packages of suites that the system does not use. Source it (POSIX sh), then:
#
#   own_source DIR SUITE...   a source for those suites in DIR, made from the system's own: the
#                             first stanza or line of it, in a file named for its format
#
# Fails where the system has none.
#
# (No shebang: this file is sourced.)

own_source() {
	own_dir=$1
	shift
	rm -f "$own_dir/own.sources" "$own_dir/own.list"
	for f in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/*.sources; do
		[ -f "$f" ] || continue
		awk -v suites="$*" 'BEGIN { RS = ""; FS = "\n" }
			NR == 1 { for (i = 1; i <= NF; i++) print ($i ~ /^Suites:/) ? "Suites: " suites : $i }' "$f" >"$own_dir/own.sources"
		[ -s "$own_dir/own.sources" ]
		return
	done
	awk -v suites="$*" '$1 == "deb" { at = 2; opts = ""
		if ($2 ~ /^\[/) { while ($at !~ /\]$/) opts = opts " " $at++; opts = opts " " $at++ }
		n = split(suites, s, " ")
		for (i = 1; i <= n; i++) { printf "deb%s %s %s", opts, $at, s[i]; for (k = at + 2; k <= NF; k++) printf " %s", $k; print "" }
		exit }' /etc/apt/sources.list >"$own_dir/own.list" 2>/dev/null
	[ -s "$own_dir/own.list" ]
}
