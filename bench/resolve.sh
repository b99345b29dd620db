#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench/resolve-unbound.sh as a family of bench/run.sh: installs what it asks with and what it is compared to,
# or leaves them out and says so.
. "$(dirname "$0")/common.sh"

missing=
for tool in unbound dnsperf wrk; do command -v $tool >/dev/null || missing+="$tool "; done
if [ -n "$missing" ]; then
	command -v apt-get >/dev/null && apt-get -qq update &&
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
	for tool in $missing; do
		command -v $tool >/dev/null || { note resolve "left out: $tool is not there and can't be installed from the system's suites"; exit 0; }
	done
	# Installed for its program; a server of the system's own is nobody's wish.
	[[ $missing != *unbound* ]] || ! command -v systemctl >/dev/null || systemctl -q disable --now unbound 2>/dev/null
fi
# wrk tells of latencies only when asked to: by one in the way of the other.
own=
trap 'rm -rf "$own"' EXIT
trap "trap '' INT TERM; exit 130" INT TERM
own=$(mktemp -d "${TMPDIR:-/tmp}/dove-wrk.XXXXXX")
cat >"$own/wrk" <<-END
	#!/bin/sh
	for keys; do :; done
	$(command -v wrk) --latency "\$@" | tee "$own/out"
	case "\$*" in *https:*) awk -v k="\$keys" '/^ *(50|99)%/ { print k, \$1, \$2 }' "$own/out" >>"$own/latencies" ;; esac
END
chmod +x "$own/wrk"
export PATH=$own:$PATH
# latency KEYS PERCENT: the median of the rounds', in microseconds
latency() {
	awk -v k="$1" -v p="$2%" '$1 == k && $2 == p { f = $3 ~ /us$/ ? 1 : $3 ~ /ms$/ ? 1e3 : 1e6; print $3 * f }' "$own/latencies" | sort -g |
		awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "null" }'
}
ROUNDS=$([ -n "$QUICK" ] && echo 2 || echo "$ROUNDS") SECONDS_EACH=$([ -n "$QUICK" ] && echo 1 || echo 2) bash "$(dirname "$0")/resolve-unbound.sh" >"$SAMPLES.resolve" || exit 1
# Its rates are of a second of the server's processor time: a core's.
jq --argjson p50 "$(latency 1 50)" --argjson p99 "$(latency 1 99)" --argjson p50_16 "$(latency 16 50)" --argjson p99_16 "$(latency 16 99)" \
	'{resolve: {unit: "answers/s of one core, TLS, 32 connections", rounds: .rounds, dove: .rates.dove_tls, unbound: .rates.unbound_tls,
	dove_16: .rates.dove_tls_16, requests_16: (.rates.dove_tls_16 / 16 | round), vs_unbound: .ratios.tls.median,
	vs_unbound_16: .ratios.tls_16_keys.median, dove_tcp: .rates.dove_tcp, unbound_tcp: .rates.unbound_tcp,
	p50_us: $p50, p99_us: $p99, p50_us_16: $p50_16, p99_us_16: $p99_16,
	min: {vs_unbound: .ratios.tls.min, vs_unbound_16: .ratios.tls_16_keys.min},
	max: {vs_unbound: .ratios.tls.max, vs_unbound_16: .ratios.tls_16_keys.max}} }' "$SAMPLES.resolve" >"$SAMPLES.resolved"
echo "json $SAMPLES.resolved" >>"$SAMPLES"
