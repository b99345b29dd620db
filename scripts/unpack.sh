# SPDX-License-Identifier: Apache-2.0
# Programs of Debian's packages, without installing them: unpacked into $UNPACKED, from an apt of our own,
# so neither the system's packages nor its services change. Source it, then:
#
#   unpack TREE FILTER "SUITE..." PACKAGE...   what apt would install here for them, where the name fits,
#                                              in $UNPACKED/TREE; fetched once
#   wrapper NAME TREE COMMAND...               a command in $UNPACKED/bin that finds its libraries in the tree
#
# They return 0, or say in one line why they could not. $CODENAME is the system's suite, $LIB where its
# libraries are.
#
# (No shebang: this file is sourced by bash scripts.)

. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

CODENAME=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
LIB=lib/$(uname -m)-linux-gnu

apt_in() { # DIR PROGRAM ARG...
	local d=$1 program=$2
	"$program" -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$d/sources" \
		-o Dir::Etc::Preferences="$d/preferences" -o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State::Lists="$d/lists" -o Dir::Cache="$d/cache" -o APT::Sandbox::User=root -o Debug::NoLocking=1 "${@:3}"
}

# The first suite is preferred. Of the others comes only what is asked for by name: unpinned, a
# package of a newer suite would want that suite's libc too.
apt_new() { # DIR SUITE...
	local d=$1 suite
	mkdir -p "$d/sources" "$d/lists/partial" "$d/cache/archives/partial" "$d/debs"
	own_source "$d/sources" "${@:2}" || return 1
	for suite in "${@:3}"; do
		[ "$suite" = "$2" ] || printf 'Package: *\nPin: release n=%s\nPin-Priority: 50\n\n' "$suite"
	done >"$d/preferences"
	apt_in "$d" apt-get update
}

# would_install DIR PACKAGE...: NAME=VERSION of what it would install here.
would_install() {
	apt_in "$1" apt-get -s install --reinstall --no-install-recommends ${EMPTY_SYSTEM:+-o Dir::State::status=/dev/null} "${@:2}" |
		sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p'
}

unpack() {
	local tree=$UNPACKED/$1 filter=$2 apt=$UNPACKED/apt-$1 packages deb
	[ ! -e "$tree" ] || return 0
	echo "-- fetching ${*:4}"
	rm -rf "$tree.part" "$apt"
	apt_new "$apt" $3 || { echo "$1: no package lists of $3"; return 1; }
	packages=$(would_install "$apt" "${@:4}" | grep -E "$filter") || { echo "$1: $3 has no ${*:4}"; return 1; }
	(cd "$apt/debs" && apt_in "$apt" apt-get download $packages) || { echo "$1: cannot be fetched"; return 1; }
	for deb in "$apt"/debs/*; do dpkg -x "$deb" "$tree.part" || return 1; done
	rm -rf "$apt"
	mv "$tree.part" "$tree"
}

wrapper() {
	mkdir -p "$UNPACKED/bin"
	printf '#!/bin/sh\nexport LD_LIBRARY_PATH=%s\nexec %s "$@"\n' "$2/usr/$LIB:$2/$LIB" "${*:3}" >"$UNPACKED/bin/$1"
	chmod +x "$UNPACKED/bin/$1"
}
