# SPDX-License-Identifier: Apache-2.0
# Reduce `bpftool btf dump ... format c` to the types named in -v want="a b c"
# and those that they contain. An anonymous enum goes by its first constant.

# What a definition is called: "struct x", "enum x", or a typedef's bare name.
function name_of(head, body,    m) {
	m = body
	if (head ~ /^typedef/) {
		sub(/;\n*$/, "", m)
		if (m ~ /\)\(/) return ""
		sub(/\[.*$/, "", m); sub(/^.*[ *}]/, "", m)
		return m
	}
	if (head ~ /^enum *\{/) {
		sub(/^[^\n]*\n[ \t]*/, "", m); sub(/[ ,=].*/, "", m)
		return m
	}
	m = head; sub(/ *\{.*$/, "", m); sub(/;$/, "", m)
	return m
}

# Print a definition after those that it contains; pointers need none.
function need(n,    lines, words, i, k, at) {
	if (!(n in def) || done[n]) return
	done[n] = 1
	k = split(def[n], lines, /\n/)
	for (i = 1; i <= k; i++) {
		split(lines[i], words, /[ \t]+/)
		for (at = 1; words[at] ~ /^(|typedef|const|volatile)$/ && at < 4; at++)
			;
		if (words[at] !~ /^(struct|union|enum)$/)
			need(words[at])
		else if (words[at + 2] !~ /^\*/)
			need(words[at] " " words[at + 1])
	}
	print def[n] "\n"
}

/^(struct|union|enum|typedef)/ { head = $0; body = ""; open = 1 }
open {
	body = body $0 "\n"
	if (($0 ~ /^}/ || ($0 !~ /\{/ && $0 ~ /^[^ \t]/)) && $0 ~ /;$/) {
		if (body ~ /\{/ || head ~ /^typedef/) {
			n = name_of(head, body)
			if (n != "" && !(n in def)) { sub(/\n$/, "", body); def[n] = body }
		}
		open = 0
	}
}
END {
	k = split(want, w, ",")
	for (i = 1; i <= k; i++) {
		if (!(w[i] in def)) { print "vmlinux.awk: no type " w[i] > "/dev/stderr"; bad = 1 }
		need(w[i])
	}
	exit bad
}
