# SPDX-License-Identifier: Apache-2.0
# Servers of a hierarchy as processes on s, with TLS: what the tests of it, and bench/, have in
# common. Source it after lib.sh and world(); then
#
#   pki WHAT...                dovectl pki, into $PKI
#   tree_root NAME:PORT...     the CA, the root's key ($PUB) and administrator, root servers' addresses ($ROOT_JSON)
#   two_authorities NAME:PORT...   a root r1 (:6091), ns1.acme (:6092, 256-511), ns1.globex (:6093, 600-699), and
#                              these local servers of site; all run
#   config NAME PORT JSON      $W/NAME.json, of the server NAME that listens there
#   start NAME                 run it
#   tls_agent HOST [JSON]      an agent with its host's certificate, and further configuration
#   as ADMIN PORT COMMAND...   dovectl, as that domain's administrator, of the server on that port
#   curl_as ADMIN PORT PATH [ARGS]
#   metric ADMIN PORT NAME     of its /metrics
#   healthy PORT
#
# (No shebang: this file is sourced by bash scripts.)
PKI=$W/pki
URL=https://$DPS_ADDR

pki() { "$BUILD/dovectl" pki "$@" --dir "$PKI" >/dev/null || fail "pki $*"; }
tree_root() { # NAME:PORT...: of root servers
	local one servers=()
	pki root
	for one in "$@"; do
		pki server "${one%%:*}" --domain . --address $DPS_ADDR
		servers+=("$(jq -nc --arg n "${one%%:*}" --arg a "$DPS_ADDR:${one#*:}" '{name: $n, addresses: [$a]}')")
	done
	pki admin .
	PUB=$("$BUILD/dovectl" pki key root --dir "$PKI" | tail -n 1)
	ROOT_JSON=$(printf '%s\n' "${servers[@]}" | jq -sc --arg key "$PUB" '{keys: [$key], servers: .}')
}
tls_agent() { # HOST [JSON]
	jq -n --arg pki "$PKI" --arg h "$1" --argjson more "${2:-{\}}" '{tls_ca: "\($pki)/ca.pem", tls_cert: "\($pki)/host-\($h).pem",
		tls_key: "\($pki)/host-\($h).key"} + $more' >"$W/$1.json"
	agent "$1"
}
config() { # NAME PORT REST
	mkdir -p "$W/data-$1"
	jq -n --argjson root "$ROOT_JSON" --argjson rest "$3" --arg n "$1" --arg at "$DPS_ADDR:$2" --arg pki "$PKI" --arg w "$W" \
		'{name: $n, listen: $at, data: "\($w)/data-\($n)", verbose: true, "tls-cert": "\($pki)/server-\($n).pem",
		  "tls-key": "\($pki)/server-\($n).key", "tls-ca": "\($pki)/ca.pem", root: $root} + $rest' >"$W/$1.json"
}
start() { bg "$1" s "$BUILD/dove-dps" run --config "$W/$1.json"; }
as() { # ADMIN PORT COMMAND...: dovectl
	local who=$1 port=$2
	shift 2
	on s "$BUILD/dovectl" --dps "$URL:$port" --tls-ca "$PKI/ca.pem" --tls-cert "$PKI/admin-$who.pem" \
		--tls-key "$PKI/admin-$who.key" "$@"
}
curl_as() { # ADMIN PORT PATH [ARGS]
	local who=$1 port=$2 path=$3
	shift 3
	on s curl -s --cacert "$PKI/ca.pem" --cert "$PKI/admin-$who.pem" --key "$PKI/admin-$who.key" "$URL:$port$path" "$@"
}
metric() { curl_as "$1" "$2" /metrics | awk -v name="dove_dps_$3" '$1 == name { print $2 }'; }
healthy() { curl_as root "$1" /healthz -f -o /dev/null; }
two_authorities() { # NAME:PORT... of local servers
	local n p
	tree_root r1:6091
	for n in acme globex site; do pki admin $n; done
	for n in ns1.acme:acme ns1.globex:globex "${@/%:*/:site}"; do pki server "${n%%:*}" --domain "${n#*:}" --address $DPS_ADDR; done
	config r1 6091 "$(jq -nc --arg k "$PKI/root.sign" '{"root-server": true, authorities: [{domain: ".", "sign-key": $k}]}')"
	for n in "$@"; do config "${n%%:*}" "${n#*:}" '{"local": true}'; done
	start r1
	until_ok 10 healthy 6091 || fail "the root does not start"
	as root 6091 delegate acme --range 256-511 --server ns1.acme=$DPS_ADDR:6092 -f "$W/r1.json" --dir "$PKI" >/dev/null || fail "acme"
	as root 6091 delegate globex --range 600-699 --server ns1.globex=$DPS_ADDR:6093 -f "$W/r1.json" --dir "$PKI" >/dev/null || fail "globex"
	config ns1.acme 6092 "$(jq -c '{authorities} + {relays: ["site"]}' "$PKI/acme.json")"
	config ns1.globex 6093 "$(jq -c '{authorities} + {relays: ["site"]}' "$PKI/globex.json")"
	for n in ns1.acme ns1.globex "${@%%:*}"; do start "$n"; done
	for p in 6092 6093 "${@#*:}"; do until_ok 10 healthy "$p" || fail "the server on port $p does not start"; done
}
