#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A miss from packet to packet: from the moment that a VM sends the first packet of a pair until
# it leaves its host encapsulated, where its answer is found through 0, 1, 2 and 3 referrals; and,
# beside them, where the local server has it in its cache. All servers are processes with TLS.
# ROUNDS (4) times 21 packets of each kind; between rounds the local server and the host forget
# everything. Prints one JSON object; a table for people goes to the standard error.
#
#      r1 :6091, root: refers to the depth-1 domains
#      top :6092, src (0 referrals), t1x (1), t2x (2: refers to t2x/a), t3x (3)     x: 21 of each
#      mid :6093, t2x/a, t3x/a        low :6094, t3x/a/b
#      ns1.site :6083, the local server of h1                        all on s
. "$(dirname "$0")/../selftests/net/lib.sh"
ROUNDS=${ROUNDS:-4} EACH=20
world 2
. "$(dirname "$0")/../selftests/net/tree.sh"
tree_root r1:6091
for n in top:t mid:m low:l ns1.site:site; do pki server "${n%%:*}" --domain "${n#*:}" --address $DPS_ADDR; done
pki admin site
pki host h1
"$BUILD/dovectl" pki key all --dir "$PKI" >/dev/null
KEY=$(openssl pkey -in "$PKI/all.sign" -pubout -outform DER | tail -c 32 | base64)

# ---- domains: 256 VNIDs for each at the top, of which the next below gets 128, and the last 64
LETTERS=abcdefghijklmnopqrst
names() { # DEPTH: of the domains at that depth, each with its first VNID
	local i k
	[ "$1" != 1 ] || echo "src 1024"
	for k in 1 2 3; do
		[ $k -ge "$1" ] || continue
		for ((i = 0; i < EACH; i++)); do
			echo "t$k${LETTERS:i:1}$([ "$1" -lt 2 ] || echo /a)$([ "$1" -lt 3 ] || echo /b) $((4096 + (k * 32 + i) * 256))"
		done
	done
}
size() { case $1 in 1) echo 256 ;; 2) echo 128 ;; 3) echo 64 ;; esac; }
authorities() { # DEPTH SERVER PORT
	names "$1" | jq -Rc --arg k "$PKI/all.sign" --argjson size "$(size "$1")" --arg s "$2" --arg at "$DPS_ADDR:$3" 'split(" ") |
		{domain: .[0], "sign-key": $k, ranges: [[(.[1] | tonumber), (.[1] | tonumber) + $size - 1]], servers: [{name: $s, addresses: [$at]}]}' | jq -sc '{relays: ["site"], authorities: .}'
}
config r1 6091 "$(jq -nc --arg k "$PKI/root.sign" '{"root-server": true, authorities: [{domain: ".", "sign-key": $k}]}')"
config top 6092 "$(authorities 1 top 6092)"
config mid 6093 "$(authorities 2 mid 6093)"
config low 6094 "$(authorities 3 low 6094)"
config ns1.site 6083 '{"local": true}'
for n in r1 top mid low ns1.site; do
	jq '.verbose = false' "$W/$n.json" >"$W/x" && mv "$W/x" "$W/$n.json"
	start $n
done
for p in 6091 6092 6093 6094 6083; do until_ok 20 healthy $p || fail "the server on port $p does not start"; done
# One certificate for each administrator would be 121: their requests go by curl with the one that the domain has.
admin() { # DOMAIN
	[ -f "$PKI/admin-${1//\//-}.pem" ] || pki admin "$1"
}
put() { # ADMIN PORT PATH BODY [METHOD]
	curl_as "${1//\//-}" "$2" "$3" -X "${5:-PUT}" -d "$4" -f -o /dev/null || fail "$3"
}
delegate() { # PARENT PORT DOMAIN FIRST SIZE SERVER SERVER-PORT
	put "$1" "$2" "/v1/delegations/${3//\//%2F}" "$(jq -nc --argjson f "$4" --argjson n "$5" --arg s "$6" --arg a "$DPS_ADDR:$7" --arg k "$KEY" \
		'{ranges: [[$f, $f + $n - 1]], servers: [{name: $s, addresses: [$a]}], keys: [$k]}')"
}
while read -r d first; do admin "$d"; delegate root 6091 "$d" "$first" 256 top 6092; done < <(names 1)
while read -r d first; do admin "$d"; delegate "${d%/*}" 6092 "$d" "$first" 128 mid 6093; done < <(names 2)
while read -r d first; do admin "$d"; delegate "${d%/*}" 6093 "$d" "$first" 64 low 6094; done < <(names 3)

# ---- objects: src:home has e1 and those for 0 referrals; the last domain of each chain has one VM, on h2
TARGETS=$W/targets
i=0
while read -r d first; do
	i=$((i + 1))
	echo "$((${#d} > 3 ? (${#d} > 5 ? 3 : 2) : 1)) $d $first $i"
done < <(names 1 | grep ^t1; names 2 | grep ^t2; names 3) >"$TARGETS"
{
	echo '[{"kind":"network","name":"home","subnets":["10.0.0.0/24"]},{"kind":"endpoint","network":"home","name":"e1","mac":"02:00:00:00:00:01","addresses":["10.0.0.11"]}'
	for ((i = 0; i < EACH; i++)); do echo ",{\"kind\":\"endpoint\",\"network\":\"home\",\"name\":\"v$i\",\"mac\":\"02:00:00:00:00:$(printf %02x $((i + 16)))\",\"addresses\":[\"10.0.0.$((i + 100))\"]}"; done
	while read -r _ d first i; do
		echo ",{\"kind\":\"network\",\"name\":\"f$i\",\"foreign\":\"$d:there\",\"vnid\":$first,\"subnets\":[\"10.$i.0.0/24\"]},{\"kind\":\"policy\",\"network\":\"home\",\"name\":\"to$i\",\"from\":\"any\",\"to\":{\"network\":\"f$i\"},\"action\":\"allow\"}"
	done <"$TARGETS"
	echo ']'
} >"$W/src.objects"
put src 6092 '/v1/apply?domain=src' "@$W/src.objects" POST
place() { # DOMAIN PORT NETWORK ENDPOINT: on h2, by the domain's administrator
	put "$1" "$2" "/v1/hosts/h2?domain=${1//\//%2F}" "{\"addresses\": [\"$(host_addr h2)\"]}"
	put "$1" "$2" "/v1/endpoints/$3/$4/place?domain=${1//\//%2F}" '{"host": "h2"}'
}
for ((i = 0; i < EACH; i++)); do place src 6092 home v$i; done
while read -r depth d first i; do
	port=$((6091 + depth))
	put "$d" $port "/v1/apply?domain=${d//\//%2F}" "[{\"kind\":\"network\",\"name\":\"there\",\"subnets\":[\"10.$i.0.0/24\"]},{\"kind\":\"network\",\"name\":\"home\",\"foreign\":\"src:home\",\"vnid\":1024,\"subnets\":[\"10.0.0.0/24\"]},
		{\"kind\":\"endpoint\",\"network\":\"there\",\"name\":\"v\",\"mac\":\"02:00:00:01:00:$(printf %02x "$i")\",\"addresses\":[\"10.$i.0.11\"]},{\"kind\":\"policy\",\"network\":\"there\",\"name\":\"in\",\"from\":{\"network\":\"home\"},\"to\":\"any\",\"action\":\"allow\"}]" POST
	place "$d" $port there v
done <"$TARGETS"

# ---- the host
jq -n --arg pki "$PKI" '{tls_ca: "\($pki)/ca.pem", tls_cert: "\($pki)/host-h1.pem", tls_key: "\($pki)/host-h1.key"}' >"$W/h1.json"
DPS_URL=$URL:6083
agent h1
da h1 attach eth0 --ingress tc >/dev/null || fail "attach"
vm h1 e1 src:home e1 10.0.0.11 02:00:00:00:00:01
on e1 ip route add default via 10.0.0.1
watches() { da h1 status --json | jq -e '.networks | length == 1' >/dev/null; }
until_ok 10 watches || fail "h1 does not watch src:home"
on e1 ping -c 1 -W 2 -q 10.0.0.1 >/dev/null # its gateway's MAC is known, so that packets are not kept by the VM itself
metric_of() { metric site 6083 "$1"; }
send() { on e1 bash -c "echo x >/dev/udp/$1/4000"; }
{ for ((i = 0; i < EACH; i++)); do echo "0 10.0.0.$((i + 100))"; done; awk '{ print $1, "10." $4 ".0.11" }' "$TARGETS"; } >"$W/destinations"
on e1 ip neigh flush all
while read -r _ to; do case $to in 10.0.0.*) on e1 ip neigh replace "$to" lladdr "02:00:00:00:00:$(printf %02x $((${to##*.} - 84)))" dev "$(on e1 ip -o route get 10.0.0.1 | sed 's/.* dev \([^ ]*\).*/\1/')" ;; esac; done <"$W/destinations"
on e1 ping -c 1 -W 2 -q 10.0.0.1 >/dev/null
DEV=$(on e1 ip -o route get 10.0.0.1 | sed 's/.* dev \([^ ]*\).*/\1/')
capture() { # NAME: one packet to each, in any order
	bg out e1 tcpdump -n -tt -l -i "$DEV" -U -w "$W/$1.out" udp dst port 4000
	bg wire h1 tcpdump -n -tt -l -i eth0 -U -w "$W/$1.wire" udp dst port 6081
	until_ok 5 grep -q listening "$W/out.log"
	until_ok 5 grep -q listening "$W/wire.log"
	while read -r kind to; do
		[ "$kind" -le "${2:-3}" ] || continue
		send "$to"
		sleep 0.04
	done < <(shuf "$W/destinations")
	sleep 0.5
	stop out INT
	stop wire INT
	: >"$W/out.log"; : >"$W/wire.log"
	{ tcpdump -n -tt -r "$W/$1.out" 2>/dev/null | sed -n 's/^\([0-9.]*\) .* > \([0-9.]*\)\.4000: UDP.*/\1 out \2/p'
		tcpdump -n -tt -r "$W/$1.wire" 2>/dev/null | sed -n 's/^\([0-9.]*\) .* > \([0-9.]*\)\.4000: UDP.*/\1 wire \2/p'; } | sort -n |
		awk 'NR == FNR { kind[$2] = $1; next } $2 == "out" && !($3 in t) { t[$3] = $1 } $2 == "wire" && $3 in t && !($3 in done) { done[$3] = 1; printf "%s %.0f\n", kind[$3], ($1 - t[$3]) * 1e6 }' "$W/destinations" - >>"$W/$1.us"
}
COUNTED=0 SENT=0
for ((round = 0; round < ROUNDS; round++)); do
	stop ns1.site
	start ns1.site
	until_ok 20 healthy 6083 || fail "the local server does not start again"
	until_ok 20 watches
	sleep 3
	da h1 flush >/dev/null
	send 10.0.0.12 # the source's zone is known, and connections are open; nobody has that address
	sleep 1
	before=$(metric_of resolver_referrals_total)
	capture miss
	COUNTED=$((COUNTED + $(metric_of resolver_referrals_total) - before)) SENT=$((SENT + 6 * EACH))
	da h1 flush >/dev/null
	capture cached
done
percentile() { # FILE KIND P
	awk -v k="$2" '$1 == k || k == "any" { print $2 }' "$W/$1.us" | sort -n | awk -v p="$3" '{ v[NR] = $1 } END { if (NR) { i = int(NR * p / 100 + 0.999); print v[i < 1 ? 1 : i] } else print "null" }'
}
count() { awk -v k="$2" '$1 == k || k == "any"' "$W/$1.us" | wc -l; }
row() { jq -nc --arg n "$1" --argjson a "$(count "$2" "$3")" --argjson p50 "$(percentile "$2" "$3" 50)" --argjson p99 "$(percentile "$2" "$3" 99)" '{($n): {packets: $a, p50_us: $p50, p99_us: $p99}}'; }
{ row cached cached any; for k in 0 1 2 3; do row referrals_$k miss $k; done; } | jq -s --argjson c $COUNTED --argjson s $SENT \
	'add | {measure: "miss-referrals", unit: "microseconds from the VM'"'"'s packet to the encapsulated one", referrals_counted: $c, referrals_meant: $s, kinds: .}' >"$W/result"
jq -r '["", "packets", "p50 us", "p99 us", "p50 / cached"], (.kinds.cached.p50_us as $c | .kinds | to_entries[] | [.key, .value.packets, .value.p50_us, .value.p99_us, (.value.p50_us / $c * 100 | round / 100)]) | @tsv' "$W/result" | column -t -s "$(printf '\t')" >&2
cat "$W/result"
