#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The same as 86-across.sh by agents that have the root's key, and use nothing but what it proves.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/across.sh"
PROVEN=$(jq -nc --arg root "$PUB" '{trust: [{root: $root}], unproven: "refuse"}')
hosts "$PROVEN"
check "R8: without services" until_ok $SOON meets "" pings
all proven
check "R24: nothing had to be refused" test "$(for h in h1 h2 h3 h4; do da $h stats --json | jq .answers.refused; done | paste -sd ' ')" = "0 0 0 0"
firewall '[]'
check "R8: the first one's policy without its firewall" until_ok $SOON meets ssl1 pings
firewall '["firewall"]'
accelerator '[]'
check "R8: the source's service alone" until_ok $SOON meets afw pings
check "R13: TCP" until_ok 5 meets afw web
firewall '[]'
forgets() { [ "$(services h1)" = '["acme:firewall"]' ]; }
check "R25: what no answer leads through is forgotten" until_ok 75 forgets
finish
