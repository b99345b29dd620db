#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who may do what, by certificate: each identity at each kind of call, over TLS 1.3.
#
#   everybody (curl) --TLS--> ns1.acme 127.0.0.1:7443, authority of acme
#                             r1       127.0.0.1:7441, root
#                             ns1.site 127.0.0.1:7444, a local server of domain site
#                             all in one namespace of their own
. "$(dirname "$0")/lib.sh"
room
ns_add s
S=$P-s
PKI=$W/pki
NS=(ip netns exec "$S")

pki() { "$BUILD/dovectl" pki "$@" --dir "$PKI" >/dev/null || fail "pki $*"; }
pki root
pki server r1 --domain . --address 127.0.0.1
pki server ns1.acme --domain acme --address 127.0.0.1
pki server ns1.site --domain site --address 127.0.0.1
pki server ns1.globex --domain globex
pki host h1
pki host h2
for d in . acme acme/eng globex site; do pki admin "$d"; done
mkdir "$W/other"
"$BUILD/dovectl" pki root --dir "$W/other" >/dev/null
"$BUILD/dovectl" pki admin acme --dir "$W/other" >/dev/null
PUB=$("$BUILD/dovectl" pki key root --dir "$PKI" | tail -n 1)
"$BUILD/dovectl" pki key acme --dir "$PKI" >/dev/null

ROOT="\"root\": {\"keys\": [\"$PUB\"], \"servers\": [{\"name\": \"r1\", \"addresses\": [\"127.0.0.1:7441\"]}]}"
config() { # NAME PORT REST
	cat >"$W/$1.json" <<-END
	{"name": "$1", "listen": "127.0.0.1:$2", "data": "$W/data-$1", "tls-cert": "$PKI/server-$1.pem",
	 "tls-key": "$PKI/server-$1.key", "tls-ca": "$PKI/ca.pem", $ROOT, $3}
	END
	mkdir -p "$W/data-$1"
}
config r1 7441 "\"root-server\": true, \"authorities\": [{\"domain\": \".\", \"sign-key\": \"$PKI/root.sign\"}]"
config ns1.acme 7443 "\"relays\": [\"site\"], \"authorities\": [{\"domain\": \"acme\", \"sign-key\": \"$PKI/acme.sign\",
	\"ranges\": [[256, 511]], \"servers\": [{\"name\": \"ns1.acme\", \"addresses\": [\"127.0.0.1:7443\"]}]}]"
config ns1.site 7444 '"local": true'
for n in r1 ns1.acme ns1.site; do bg "$n" s "$BUILD/dove-dps" run --config "$W/$n.json"; done

# as WHO PORT METHOD PATH [BODY]: the status
as() {
	local who=$1 port=$2 method=$3 path=$4 body=${5:-} name
	case $port in 7441) name=r1 ;; 7443) name=ns1.acme ;; *) name=ns1.site ;; esac
	"${NS[@]}" curl -s -o "$W/body" -w '%{http_code}' -m 5 --tlsv1.3 --cacert "$PKI/ca.pem" \
		--cert "$PKI/$who.pem" --key "$PKI/$who.key" --connect-to "$name:$port:127.0.0.1:$port" \
		-X "$method" ${body:+-d "$body"} "https://$name:$port$path"
}
gives() { # STATUS WHO ...: what it gave is shown where it is another
	local want=$1 got
	shift
	got=$(as "$@")
	[ "$got" = "$want" ] || { echo "status $got, not $want"; cat "$W/body"; return 1; }
}
up() { [ "$(as admin-acme 7443 GET /healthz)" = 200 ] && [ "$(as admin-root 7441 GET /healthz)" = 200 ] &&
	[ "$(as admin-site 7444 GET /healthz)" = 200 ]; }
until_ok 10 up || { cat "$W"/*.log; fail "the servers do not start"; }

OBJECTS='[{"kind":"network","name":"blue","subnets":["10.1.0.0/24"],"hosts":["h1"]},
 {"kind":"endpoint","network":"blue","name":"vm1","mac":"02:00:00:00:01:01","addresses":["10.1.0.11"]},
 {"kind":"endpoint","network":"blue","name":"vm2","mac":"02:00:00:00:01:02","addresses":["10.1.0.12"]}]'
check "R25: the administrator of acme changes acme" gives 200 admin-acme 7443 POST /v1/apply "$OBJECTS"

# Each identity at each kind of call of acme's server: the status that it must get.
#        identity          objects  delegate  register h1  claim vm1  resolve  ask   watch h1  status
WHO=(
	"admin-acme          200      200       200          200        200      403   200       200"
	"admin-root          403      403       403          403        403      403   403       403"
	"admin-acme-eng      403      403       403          403        403      403   403       403"
	"admin-globex        403      403       403          403        403      403   403       403"
	"host-h1             403      403       200          200        200      200   200       403"
	"host-h2             403      403       403          403        200      200   403       403"
	"server-ns1.acme     403      403       403          403        403      200   403       403"
	"server-ns1.globex   403      403       403          403        403      200   403       403"
	"server-ns1.site     403      403       200          200        200      200   200       403"
	"server-r1           403      403       403          403        403      200   403       403"
)
DELEGATION="{\"ranges\":[[500,509]],\"servers\":[{\"name\":\"ns1.eng\",\"addresses\":[\"127.0.0.1:7450\"]}],\"keys\":[\"$PUB\"]}"
QUESTION='{"questions":[{"kind":"zone","name":"acme/eng"}]}'
watch_status() { # WHO: of the first line; the stream is cut off
	"${NS[@]}" curl -s -o "$W/body" -w '%{http_code}' -m 0.7 --tlsv1.3 --cacert "$PKI/ca.pem" --cert "$PKI/$1.pem" \
		--key "$PKI/$1.key" --connect-to "ns1.acme:7443:127.0.0.1:7443" "https://ns1.acme:7443/v1/watch?host=h1"
}
gives_watch() { local got; got=$(watch_status "$2"); [ "$got" = "$1" ] || { echo "status $got, not $1"; return 1; }; }
gives 200 admin-acme 7443 PUT /v1/hosts/h1 '{"addresses":["192.0.2.1"]}' >/dev/null
for row in "${WHO[@]}"; do
	read -r who objects delegate register claim resolve ask watch status <<<"$row"
	check "R25: $who, objects: $objects" gives "$objects" "$who" 7443 GET /v1/objects/network/blue
	check "R25: $who, apply: $objects" gives "$objects" "$who" 7443 POST /v1/apply "$OBJECTS"
	check "R25: $who, delegate: $delegate" gives "$delegate" "$who" 7443 PUT /v1/delegations/acme%2Feng "$DELEGATION"
	check "R25: $who, register h1: $register" gives "$register" "$who" 7443 PUT /v1/hosts/h1 '{"addresses":["192.0.2.1"]}'
	check "R25: $who, claim vm1 for h1: $claim" gives "$claim" "$who" 7443 PUT /v1/endpoints/blue/vm1/place '{"host":"h1"}'
	check "R25: $who, resolve: $resolve" gives "$resolve" "$who" 7443 POST /v1/resolve '{"keys":[{"source":65536,"to":"10.1.0.12"}]}'
	check "R25: $who, ask: $ask" gives "$ask" "$who" 7443 POST /v1/ask "$QUESTION"
	check "R25: $who, watch as h1: $watch" gives_watch "$watch" "$who"
	check "R25: $who, status: $status" gives "$status" "$who" 7443 GET /v1/status
done

# A refusal changes nothing.
check "R25: what was refused changed nothing" gives 404 admin-acme 7443 GET /v1/objects/network/red
gives 403 admin-globex 7443 POST /v1/apply '[{"kind":"network","name":"red"}]' >/dev/null
check "R25: ... nor after another try" gives 404 admin-acme 7443 GET /v1/objects/network/red

# Hosts: only for themselves, only what they serve, only where the network lists them.
verdict() { # WHO: of vm1's packet to vm2
	as "$1" 7443 POST /v1/resolve '{"keys":[{"source":65536,"to":"10.1.0.12"}]}' >/dev/null
	grep -o '"verdict":"[a-z_]*"' "$W/body" | head -n 1
}
gives 200 host-h1 7443 PUT /v1/endpoints/blue/vm1/place '{"host":"h1"}' >/dev/null
is_verdict() { [ "$(verdict "$1")" = "\"verdict\":\"$2\"" ] || { cat "$W/body"; return 1; }; }
check "R25: h1 asks for its own VM" is_verdict host-h1 allow
check "R25: to h2 it is as if there were no such VM" is_verdict host-h2 no_source
gives 200 host-h2 7443 PUT /v1/hosts/h2 '{"addresses":["192.0.2.2"]}' >/dev/null
check "R25: a host that the network does not list claims nothing" \
	gives 403 host-h2 7443 PUT /v1/endpoints/blue/vm2/place '{"host":"h2"}'
check "R25: nor does it by another's name" \
	gives 403 host-h2 7443 PUT /v1/endpoints/blue/vm2/place '{"host":"h1"}'
check "R25: who comes back late steals nothing" \
	gives 409 host-h1 7443 PUT /v1/endpoints/blue/vm1/place '{"host":"h1","revision":0}'

# The root: its administrator delegates, and nobody else.
TOP="{\"ranges\":[[256,511]],\"servers\":[{\"name\":\"ns1.acme\",\"addresses\":[\"127.0.0.1:7443\"]}],\"keys\":[\"$PUB\"]}"
for who in admin-acme admin-globex host-h1 server-ns1.acme; do
	check "R25: $who does not delegate at the root" gives 403 "$who" 7441 PUT /v1/delegations/acme "$TOP"
done
check "R25: the root's administrator does" gives 200 admin-root 7441 PUT /v1/delegations/acme "$TOP"
check "R25: a server pulls the root zone" gives 200 server-ns1.site 7441 GET /v1/root
check "R25: an administrator does not" gives 403 admin-acme 7441 GET /v1/root

# A local server finds answers for its own hosts and servers behind it only.
RECURSIVE='{"questions":[{"kind":"name","name":"acme:blue","recursive":true}]}'
check "R25: recursive, from a server" gives 200 server-ns1.globex 7444 POST /v1/ask "$RECURSIVE"
check "R25: recursive by /v1/ask, from a host: refused" gives 400 host-h1 7444 POST /v1/ask "$RECURSIVE"
check "R25: an authority recurses for nobody" gives 400 server-ns1.site 7443 POST /v1/ask "$RECURSIVE"

# Below the names: TLS itself.
tls() { "${NS[@]}" curl -s -m 5 -o /dev/null --connect-to ns1.acme:7443:127.0.0.1:7443 "$@" https://ns1.acme:7443/healthz; }
ok=(--cacert "$PKI/ca.pem" --cert "$PKI/admin-acme.pem" --key "$PKI/admin-acme.key")
check "R25: TLS 1.3 with a certificate" tls "${ok[@]}" --tlsv1.3
check "R25: not TLS 1.2" refuses tls "${ok[@]}" --tlsv1.2 --tls-max 1.2
check "R25: not without a certificate" refuses tls --cacert "$PKI/ca.pem"
check "R25: not with one of another CA" refuses tls --cacert "$PKI/ca.pem" --cert "$W/other/admin-acme.pem" --key "$W/other/admin-acme.key"
check "R25: not without TLS" refuses "${NS[@]}" curl -sf -m 5 -o /dev/null http://127.0.0.1:7443/healthz

# A certificate that says two things, or nothing of ours, is nobody's.
odd() { # NAME SAN
	"${NS[@]}" openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/$1.key" -subj /O=X -out "$W/$1.csr" 2>/dev/null
	printf 'extendedKeyUsage=clientAuth\nsubjectAltName=%s\n' "$2" >"$W/$1.ext"
	openssl x509 -req -in "$W/$1.csr" -CA "$PKI/ca.pem" -CAkey "$PKI/ca.key" -days 1 -out "$PKI/$1.pem" -extfile "$W/$1.ext" 2>/dev/null
}
odd two "URI:dove://admin/acme,URI:dove://host/h1"
odd none "DNS:admin.acme"
odd wrong "URI:dove://emperor/acme"
for who in two none wrong; do
	check "R25: a certificate with $who of our names may nothing" gives 403 "$who" 7443 GET /v1/objects/network/blue
done
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/srv.key" -subj /O=X -out "$W/srv.csr" 2>/dev/null
printf 'extendedKeyUsage=serverAuth\nsubjectAltName=URI:dove://admin/acme\n' >"$W/srv.ext"
openssl x509 -req -in "$W/srv.csr" -CA "$PKI/ca.pem" -CAkey "$PKI/ca.key" -days 1 -out "$PKI/srv.pem" -extfile "$W/srv.ext" 2>/dev/null
check "R25: a server's certificate is no client's" refuses tls --cacert "$PKI/ca.pem" --cert "$PKI/srv.pem" --key "$PKI/srv.key"

# What a server does not start with.
starts() { "${NS[@]}" timeout 3 "$BUILD/dove-dps" run --data "$W/data-x" "$@" >"$W/x.log" 2>&1; }
mkdir "$W/data-x"
says() { ! starts "${@:2}" && grep -q "$1" "$W/x.log" || { cat "$W/x.log"; return 1; }; }
check "R25: no server with an administrator's certificate" says "it is no server's" --listen 127.0.0.1:7455 \
	--tls-cert "$PKI/admin-acme.pem" --tls-key "$PKI/admin-acme.key" --tls-ca "$PKI/ca.pem"
check "R25: no TLS without a CA beyond loopback" says "tls-ca" --listen 0.0.0.0:7455 \
	--tls-cert "$PKI/server-r1.pem" --tls-key "$PKI/server-r1.key"
check "R25: nor plain HTTP" says "without TLS" --listen 0.0.0.0:7455
finish
