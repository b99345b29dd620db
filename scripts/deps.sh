#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install what is missing to build, test and show DOVE. Quick when nothing is.
#
# On Debian and its kin by apt-get, as root. libbpf and bpftool come from the
# backports suite where the system's own libbpf is older than 1.4: from a
# source made for this one call out of the machine's own, so neither its list
# of sources nor its preferences change. Elsewhere it says what is missing.
set -eu
. "$(dirname "$0")/apt.sh"

BUILD_PACKAGES="gcc libc6-dev linux-libc-dev clang llvm pkg-config libelf-dev zlib1g-dev libcjson-dev libevent-dev
	libcurl4-openssl-dev libsqlite3-dev libssl-dev uthash-dev libmnl-dev libcbor-dev libnftables-dev"
TEST_PACKAGES="libcriterion-dev iproute2 iputils-ping iputils-tracepath procps iperf3 curl tcpdump tshark jq busybox
	dnsmasq-base bind9-dnsutils ethtool nftables openssl python3 python3-yaml libclang-rt-dev"
# Suricata and HAProxy would start where they are installed: net/83-appliances.sh unpacks them, by scripts/unpack.sh.
CHECK_PACKAGES="clang-format clang-tidy"
BPF_PACKAGES="libbpf-dev bpftool"
LIBBPF_LEAST=1.4

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: %s\n' "$*" >&2; exit 1; }

# ---- Debian ----

installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

missing_of() {
	for p in "$@"; do installed "$p" || printf '%s ' "$p"; done
}

libbpf_fits() { pkg-config --atleast-version=$LIBBPF_LEAST libbpf 2>/dev/null; }

# bpftool must be able to read what our libbpf makes: backports' is, and any later.
bpftool_fits() {
	bpftool version 2>/dev/null | awk '/^bpftool/ { sub("v", "", $2); split($2, v, "."); fits = v[1] > 7 || (v[1] == 7 && v[2] >= 4) }
		END { exit !fits }'
}

candidate_fits() {
	v=$(apt-cache policy libbpf-dev | awk '/Candidate:/ { print $2 }')
	dpkg --compare-versions "${v:-0}" ge "1:$LIBBPF_LEAST"
}

from_backports() {
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	chmod 755 "$dir" # apt fetches as a user of its own
	mkdir -p "$dir/sources" "$dir/lists/partial"
	own_source "$dir/sources" "$codename" "$codename-backports" ||
		die "no Debian source found in /etc/apt to take $codename-backports from"
	apt="apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$dir/sources -o Dir::State::Lists=$dir/lists"
	say "installing from $codename-backports: libbpf1 $BPF_PACKAGES"
	$apt update
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive $apt install -y --no-install-recommends \
		libbpf1/$codename-backports $(printf "%s/$codename-backports " $BPF_PACKAGES) >/dev/null
}

debian() {
	# shellcheck disable=SC2086
	missing=$(missing_of $BUILD_PACKAGES $TEST_PACKAGES $CHECK_PACKAGES)
	if [ -z "$missing" ] && libbpf_fits && bpftool_fits; then
		return
	fi
	[ "$(id -u)" = 0 ] || die "missing: $missing$(libbpf_fits || echo "libbpf >= $LIBBPF_LEAST "); run 'make deps' as root"
	apt-get -qq update
	if [ -n "$missing" ]; then
		say "installing: $missing"
		# shellcheck disable=SC2086
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
	fi
	if ! libbpf_fits || ! bpftool_fits; then
		if candidate_fits; then
			say "installing: $BPF_PACKAGES"
			# shellcheck disable=SC2086
			DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $BPF_PACKAGES >/dev/null
		else
			from_backports
		fi
	fi
	libbpf_fits || die "libbpf is still older than $LIBBPF_LEAST"
	bpftool_fits || die "bpftool is still too old (7.4 or newer)"
}

# ---- other systems ----

other() {
	missing=
	for c in cc clang llvm-strip bpftool pkg-config ip tc ping tracepath sysctl iperf3 curl tcpdump tshark jq busybox dnsmasq dig ethtool nft; do
		command -v $c >/dev/null 2>&1 || missing="$missing $c"
	done
	for lib in libelf zlib libcjson libevent libevent_openssl libcurl sqlite3 openssl libmnl libcbor libnftables criterion; do
		pkg-config --exists $lib 2>/dev/null || missing="$missing $lib(-dev)"
	done
	libbpf_fits || missing="$missing libbpf-dev>=$LIBBPF_LEAST"
	[ -e /usr/include/uthash.h ] || missing="$missing uthash.h"
	[ -z "$missing" ] || die "please install:$missing"
}

if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
	debian
else
	other
fi
