#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Claims and addresses that hosts sign: a local server passes them on, and can't make them up.
#
#   r1 :6091, root     ns1.acme :6092 (256-511), which lets servers of "site" speak for hosts
#                         |
#                      ns1.site :6083, the local server of h1 and h2; its key is in the wrong hands
. "$(dirname "$0")/lib.sh"
world 2
. "$(dirname "$0")/tree.sh"
tree_root r1:6091
for n in ns1.acme:acme ns1.site:site; do pki server "${n%%:*}" --domain "${n#*:}" --address $DPS_ADDR; done
for n in acme site; do pki admin $n; done
for n in h1 h2; do
	pki host $n
	pki key $n
done
pki key stranger
config r1 6091 "$(jq -nc --arg k "$PKI/root.sign" '{"root-server": true, authorities: [{domain: ".", "sign-key": $k}]}')"
config ns1.site 6083 '{"local": true}'
start r1
until_ok 10 healthy 6091 || fail "the root does not start"
as root 6091 delegate acme --range 256-511 --server ns1.acme=$DPS_ADDR:6092 -f "$W/r1.json" --dir "$PKI" >/dev/null || fail "acme"
config ns1.acme 6092 "$(jq -c '{authorities} + {relays: ["site"]}' "$PKI/acme.json")"
start ns1.acme
start ns1.site
for p in 6092 6083; do until_ok 10 healthy $p || fail "the server on port $p does not start"; done

public() { openssl pkey -in "$PKI/$1.sign" -pubout -outform DER | tail -c 32 | base64; }
jq -n --arg k1 "$(public h1)" --arg k2 "$(public h2)" '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"], hosts: ["h1", "h2"], host_keys: {h1: $k1, h2: $k2}}] +
	[range(1; 4) | {kind: "endpoint", network: "blue", name: "vm\(.)", mac: "02:00:00:00:01:0\(.)", addresses: ["10.1.0.1\(.)"]}]' >"$W/blue.json"
check "R27: a network lists its hosts' keys" as acme 6092 apply -f "$W/blue.json"
unchanged() { as acme 6092 apply -f "$W/blue.json" | tee /dev/stderr | grep -q "^0 changed"; }
check "R27: ... twice changes nothing" unchanged
wrong() { jq '.[0].host_keys.h1 = "AAAA"' "$W/blue.json" >"$W/wrong.json"; as acme 6092 apply -f "$W/wrong.json" 2>&1 | tee /dev/stderr | grep -q "network blue: host_keys"; }
check "R27: what is no key is refused by its field" wrong

DPS_URL=$URL:6083
for h in h1 h2; do
	tls_agent $h "{\"sign_key\": \"$PKI/$h.sign\"}"
	da $h attach eth0 --ingress tc >/dev/null || fail "attach on $h"
done
vm h1 v1 acme:blue vm1 10.1.0.11 02:00:00:00:01:01
vm h2 v2 acme:blue vm2 10.1.0.12 02:00:00:00:01:02
ping_ok() { on "$1" ping -c 1 -W 3 -q "$2"; }
check "R19: hosts that sign claim, through a server that passes it on" ping_ok v1 10.1.0.12
signed_by() { curl_as acme 6092 /v1/objects/host/"$1" | jq -r .signed.key; }
id() { openssl pkey -in "$PKI/$1.sign" -pubout -outform DER | tail -c 32 | sha256sum | cut -c -16; }
check "R25: the authority has its addresses as the host has signed them" test "$(signed_by h1)" = "$(id h1)"

say "-- what the local server's key can't do"
place() { curl_as acme 6092 "/v1/endpoints/blue/$1/place" | jq -c '[.host, .revision]'; }
revision() { curl_as acme 6092 "/v1/endpoints/blue/$1/place" | jq .revision; }
relay() { # METHOD PATH BODY: as ns1.site itself, straight at the authority; its status
	on s curl -s -o "$W/said" -w '%{http_code}' --cacert "$PKI/ca.pem" --cert "$PKI/server-ns1.site.pem" --key "$PKI/server-ns1.site.key" -X "$1" "$URL:6092$2" -d "$3"
}
sworn() { # KEY KIND BODY: signed as lib/sign.h says
	printf '%s' "$3" >"$W/body"
	{ printf 'dove/1 %s\0' "$2"; cat "$W/body"; } >"$W/message"
	openssl pkeyutl -sign -rawin -inkey "$PKI/$1.sign" -in "$W/message" -out "$W/sig"
	jq -nc --arg b "$3" --arg k "$(id "$1")" --arg s "$(base64 -w 0 "$W/sig")" '{body: $b, key: $k, sig: $s}'
}
claim_body() { jq -nc --arg h "$1" --arg e "$2" --argjson r "$3" --argjson t "${4:-$(date +%s)}" '{host: $h, network: "acme:blue", endpoint: $e, revision: $r, issued: $t}'; }
put() { # HOST ENDPOINT REVISION [SIGNED]
	relay PUT "/v1/endpoints/blue/$2/place" "$(jq -nc --arg h "$1" --argjson r "$3" --argjson s "${4:-null}" '{host: $h, revision: $r} + if $s then {signed: $s} else {} end')"
}
refused() { local status; status=$("$@"); cat "$W/said"; [ "$status" = 403 ]; }
HAD=$(place vm1) R=$(revision vm1)
check "R25: claim for a host, with nothing signed" refused put h2 vm1 "$R"
check "R25: nor with another key" refused put h2 vm1 "$R" "$(sworn stranger claim "$(claim_body h2 vm1 "$R")")"
check "R25: nor with what another host has signed" refused put h2 vm1 "$R" "$(sworn h1 claim "$(claim_body h1 vm1 "$R")")"
check "R25: nor with its word on another VM" refused put h2 vm1 "$R" "$(sworn h2 claim "$(claim_body h2 vm2 "$R")")"
check "R25: nor with its word of another time" refused put h2 vm1 "$R" "$(sworn h2 claim "$(claim_body h2 vm1 "$R" $(($(date +%s) - 1000)))")"
check "R25: nor with its word under another name of the kind" refused put h2 vm1 "$R" "$(sworn h2 registration "$(claim_body h2 vm1 "$R")")"
check "R25: the place is as it was" test "$(place vm1)" = "$HAD"
ADDRESSES=$(curl_as acme 6092 /v1/objects/host/h1 | jq -c .addresses)
EVIL='{"addresses": ["203.0.113.66"]}'
check "R25: a host's addresses, with nothing signed" refused relay PUT /v1/hosts/h1 "$EVIL"
check "R25: ... or signed by another" refused relay PUT /v1/hosts/h1 "$(jq -c --argjson s "$(sworn h2 registration '{"host":"h1","addresses":["203.0.113.66"],"issued":'"$(date +%s)"'}')" '. + {signed: $s}' <<<"$EVIL")"
OLD=$(sworn h1 registration '{"host":"h1","addresses":["203.0.113.66"],"issued":'$(($(date +%s) - 100000))'}')
check "R25: ... or by the host, long ago" refused relay PUT /v1/hosts/h1 "$(jq -c --argjson s "$OLD" '. + {signed: $s}' <<<"$EVIL")"
check "R25: they are as they were" test "$(curl_as acme 6092 /v1/objects/host/h1 | jq -c .addresses)" = "$ADDRESSES"

say "-- what a claim can't do twice"
R=$(revision vm3)
WORD=$(sworn h1 claim "$(claim_body h1 vm3 "$R")")
passes() { local status; status=$("$@"); cat "$W/said"; [ "$status" = 200 ]; }
check "R19: a claim that is signed passes" passes put h1 vm3 "$R" "$WORD"
again() { local status; status=$(put h1 vm3 "$R" "$WORD"); cat "$W/said"; [ "$status" = 409 ]; }
check "R19: the same words again: the place has changed since" again
check "R19: nor for the revision of now" refused put h1 vm3 "$(revision vm3)" "$WORD"

say "-- hosts"
stop agent-h2
tls_agent h2 '{}'
on h2 ip link add x type veth peer name y
unsigned() { da h2 port add x --network acme:blue --endpoint vm3 2>&1 | tee /dev/stderr | grep -q "host h2 must sign this"; }
check "R25: a host that does not sign, and must, is told so" unsigned
stop agent-h2
tls_agent h2 "{\"sign_key\": \"$PKI/h2.sign\"}"
moves() { da h2 port add x --network acme:blue --endpoint vm3; }
check "R19: one that does takes the place over" until_ok 5 moves
check "R19: ... it is there" test "$(place vm3 | jq -r '.[0]')" = h2
check "R6: what was there before goes on" ping_ok v1 10.1.0.12
admin() { curl_as acme 6092 /v1/endpoints/blue/vm3/place -f -X PUT -d '{"host": "h1"}'; }
check "R27: the domain's administrator may place a VM without" admin
finish
