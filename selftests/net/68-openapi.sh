#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The OpenAPI description against the running service.
#
#   openapi.py ----> dove-dps 127.0.0.1:7183, authority of acme, in a namespace of its own
. "$(dirname "$0")/lib.sh"
room
ns_add s
"$BUILD/dovectl" pki key acme --dir "$W" >/dev/null
PUB=$("$BUILD/dovectl" pki key root --dir "$W" | tail -n 1)
mkdir "$W/data"
cat >"$W/c.json" <<-END
	{"name": "ns1.acme", "listen": "127.0.0.1:7183", "data": "$W/data", "root": {"keys": ["$PUB"], "servers": [{"name": "r1", "addresses": ["127.0.0.1:7199"]}]},
	 "authorities": [{"domain": "acme", "sign-key": "$W/acme.sign", "ranges": [[256, 511]],
	  "servers": [{"name": "ns1.acme", "addresses": ["127.0.0.1:7183"]}]}]}
END
bg dps s "$BUILD/dove-dps" run --config "$W/c.json"
until_ok 10 on s curl -sf -o /dev/null http://127.0.0.1:7183/healthz || { cat "$W/dps.log"; fail "dove-dps does not answer"; }
on s python3 "$ROOT/selftests/tools/openapi.py" "$ROOT/docs/openapi.yaml" "$ROOT/dps/api.c" http://127.0.0.1:7183 >"$W/out" 2>&1
status=$?
cat "$W/out"
[ $status = 0 ] || { FAILED=1; say "FAIL openapi.py ended with status $status"; }
PASSED=$(grep -c '^ok ' "$W/out") FAILED=$((FAILED + $(grep -c '^FAIL ' "$W/out"))) SKIPPED=$(grep -c '^skip ' "$W/out")
finish
