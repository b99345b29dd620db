# SPDX-License-Identifier: Apache-2.0
# What a header declares is named after the header, or after a type that it speaks of; it says first what it is for.
# agent/agent.h is what all of the agent shares, and named after nothing.
FNR == 1 {
	finish()
	n = split(FILENAME, path, "/")
	stem = path[n]
	sub(/\.h$/, "", stem)
	file = FILENAME
}
FNR == 2 && !/^\/\*/ { print FILENAME ": does not begin with what it is for" }
inside { if (/\*\//) inside = 0; next }
/^\/\*/ { if (!/\*\//) inside = 1; next }
{
	line = $0
	while (match(line, /(struct|enum) [a-z0-9_]+/)) {
		split(substr(line, RSTART, RLENGTH), type, " ")
		types[type[2]] = 1
		line = substr(line, RSTART + RLENGTH)
	}
}
FILENAME !~ /agent\/agent\.h$/ && /^[a-z].*\(/ && !/^(static|typedef|enum)/ && !/^struct [a-z0-9_]+ \{/ && !/__attribute__/ {
	split($0, part, "(")
	k = split(part[1], word, /[ *]+/)
	names[word[k]] = 1
}
END { finish() }

function finish(    name, type, first, found) {
	split(stem, first, "_")
	for (name in names) {
		found = index(name, first[1]) == 1 || index(name "s", stem) == 1 || index(name, substr(stem, 1, length(stem) - 1)) == 1
		for (type in types) {
			split(name, first, "_")
			sub(/s$/, "", first[1])
			if (index(type, first[1]))
				found = 1
		}
		split(stem, first, "_")
		if (!found)
			print file ": " name "() is named after nothing in it"
	}
	split("", names)
	split("", types)
}
