#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A host that was given the root's key, behind a local server that lies: of what it is answered it uses
# what the authorities have signed.
#
#     r1 :6091, root      ns1.acme :6092 (256-511)      ns1.globex :6093 (600-699)
#                              |
#     ns1.site :6083, an honest local server         liar :6086, in front of it (selftests/tools/liar.py)
#              |                                         |
#            h2: a2, a3 (acme:blue), g1 (globex:green)   h1: a1 (acme:blue)
. "$(dirname "$0")/lib.sh"
world 2
. "$(dirname "$0")/tree.sh"
two_authorities ns1.site:6083
for n in h1 h2; do pki host $n; done
jq -n '[{kind: "network", name: "blue", subnets: ["10.1.0.0/24"]},
  {kind: "network", name: "green", foreign: "globex:green", vnid: 600, subnets: ["10.2.0.0/24"]},
  (range(1; 4) | {kind: "endpoint", network: "blue", name: "a\(.)", mac: "02:00:00:00:01:0\(.)", addresses: ["10.1.0.1\(.)"]}),
  {kind: "policy", network: "blue", name: "no", priority: 90, from: {endpoints: ["a1"]}, to: {endpoints: ["a3"]}, action: "deny"},
  {kind: "policy", network: "blue", name: "out", priority: 10, from: "any", to: {network: "green"}, action: "allow"}]' >"$W/acme.objects"
jq -n '[{kind: "network", name: "green", subnets: ["10.2.0.0/24"]},
  {kind: "network", name: "blue", foreign: "acme:blue", vnid: 256, subnets: ["10.1.0.0/24"]},
  (range(1; 3) | {kind: "endpoint", network: "green", name: "g\(.)", mac: "02:00:00:00:02:0\(.)", addresses: ["10.2.0.1\(.)"]}),
  {kind: "policy", network: "green", name: "in", priority: 10, from: {network: "blue"}, to: {endpoints: ["g1"]}, action: "allow"}]' >"$W/globex.objects"
as acme 6092 apply -f "$W/acme.objects" >/dev/null || fail "acme's objects"
as globex 6093 apply -f "$W/globex.objects" >/dev/null || fail "globex's objects"

tells() { echo "$1" >"$W/lie"; da h1 flush >/dev/null; }
echo honest >"$W/lie"
bg liar s python3 "$ROOT/selftests/tools/liar.py" $DPS_ADDR 6086 6083 "$PKI/ca.pem" "$PKI/host-h1.pem" "$PKI/host-h1.key" "$W/lie"
until_ok 10 on s curl -sf -o /dev/null "http://$DPS_ADDR:6086/healthz" || fail "the liar does not start"
agent_of() { # HOST URL CONFIG
	jq -n --argjson more "$3" '$more' >"$W/$1.json"
	DPS_URL=$2
	agent "$1"
}
SURE=$(jq -nc --arg root "$PUB" '{trust: [{root: $root}]}')
agent_of h1 "http://$DPS_ADDR:6086" "$SURE"
DPS_URL=$URL:6083
tls_agent h2
for h in h1 h2; do da $h attach eth0 --ingress tc >/dev/null || fail "attach on $h"; done
vm h1 a1 acme:blue a1 10.1.0.11 02:00:00:00:01:01
vm h2 a2 acme:blue a2 10.1.0.12 02:00:00:00:01:02
vm h2 a3 acme:blue a3 10.1.0.13 02:00:00:00:01:03
vm h2 g1 globex:green g1 10.2.0.11 02:00:00:00:02:01
vm h2 g2 globex:green g2 10.2.0.12 02:00:00:00:02:02
on a1 ip route add default via 10.1.0.1
for n in g1 g2; do on $n ip route add default via 10.2.0.1; done
reaches() { on a1 ping -c 1 -W 3 -q "$1"; }
silent() { ! on a1 ping -c 2 -i 0.3 -W 1 -q "$1"; }
answers() { da h1 stats --json | jq ".answers.$1"; }

say "-- the truth"
check "R22: the first packet arrives: its answer waits for its zone's chain" reaches 10.1.0.12
check "R24: ... and is proven" test "$(answers proven)" -ge 1
check "R8: what two authorities say" until_ok 5 reaches 10.2.0.11
check "R8: what one of them denies does not pass" silent 10.1.0.13
check "R8: nor what the other one does" silent 10.2.0.12
check "R24: nothing had to be refused" test "$(answers refused)" = 0
again() { local was; was=$(answers again); da h1 flush >/dev/null; reaches 10.1.0.12 && [ "$(answers again)" -gt "$was" ]; }
check "R24: what its local server has kept need not be verified again" again

say "-- lies"
# lie NAME ADDRESS: nothing passes there by it, and it is said
lie() {
	local was
	was=$(answers refused)
	tells "$1"
	silent "$2" || return 1
	echo "refused: $was -> $(answers refused)"
	[ "$(answers refused)" -gt "$was" ]
}
# ignored NAME ADDRESS: what it changes is not looked at
ignored() { tells "$1"; silent "$2"; }
check "R25: an answer without signature" lie unsigned 10.1.0.12
check "R25: made up, without signature, where a policy denies" lie bare 10.1.0.13
check "R25: a signature of other words" lie flip 10.1.0.12
check "R25: words that were signed of another pair" lie other 10.1.0.13
check "R25: the source's authority's half without the destination's" lie half 10.2.0.12
check "R25: the destination's without the source's" lie last 10.2.0.11
check "R25: beside what is signed the lies are not looked at: what is denied" ignored allow 10.1.0.13
check "R25: ... of the other authority" ignored allow 10.2.0.12
tells elsewhere
check "R25: ... and where a VM is" reaches 10.1.0.12
check "R25: ... in another's network, too" reaches 10.2.0.11
check "R25: that there is nobody can be said by anybody" ignored nobody 10.1.0.12
said() { grep -c "is not believed" "$W/agent-h1.log"; }
check "R25: the log says what was not believed" test "$(said)" -ge 3
tells honest
check "R26: the truth is found again" until_ok 10 reaches 10.1.0.12

say "-- by configuration"
wrong() { echo "$1" >"$W/wrong.json"; on h1 timeout 5 "$BUILD/dove-agent" run --host h1 --dps "http://$DPS_ADDR:6086" --config "$W/wrong.json" 2>&1 | tee /dev/stderr | grep -q "unproven: $2"; }
check "R27: a word that there isn't" wrong '{"unproven": "maybe"}' "'maybe' is none of"
check "R27: without keys nothing can be proven" wrong '{"unproven": "refuse"}' "'refuse' is for who has keys"
stop agent-h1
agent_of h1 "http://$DPS_ADDR:6086" "$(jq -c '. + {unproven: "accept"}' <<<"$SURE")"
tells unsigned
check "R25: who accepts what is not proven goes by the service's word" until_ok 10 reaches 10.1.0.12
check "R25: ... and proves nothing" test "$(answers proven) $(answers refused)" = "0 0"
finish
