#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Clients that want the service to fall: slow, endless, ambiguous, too many. Others are served meanwhile.
#
#   everybody ----> dove-dps 127.0.0.1:7183 (plain), 127.0.0.1:7184 (TLS), in one namespace
. "$(dirname "$0")/lib.sh"
room
ns_add s
PKI=$W/pki
"$BUILD/dovectl" pki root --dir "$PKI" >/dev/null
"$BUILD/dovectl" pki server s1 --domain acme --address 127.0.0.1 --dir "$PKI" >/dev/null
"$BUILD/dovectl" pki admin acme --dir "$PKI" >/dev/null
mkdir "$W/plain" "$W/tls"
echo '{"connections-per-peer": 300}' >"$W/plain.json"
bg plain s "$BUILD/dove-dps" run --config "$W/plain.json" --data "$W/plain" --listen 127.0.0.1:7183
bg tls s "$BUILD/dove-dps" run --data "$W/tls" --listen 127.0.0.1:7184 --tls-cert "$PKI/server-s1.pem" \
	--tls-key "$PKI/server-s1.key" --tls-ca "$PKI/ca.pem"
ok() { on s curl -sf -m 2 -o /dev/null http://127.0.0.1:7183/healthz; }
ok_tls() { on s curl -sf -m 2 -o /dev/null --cacert "$PKI/ca.pem" --cert "$PKI/admin-acme.pem" --key "$PKI/admin-acme.key" https://127.0.0.1:7184/healthz; }
until_ok 10 ok || { cat "$W/plain.log"; fail "dove-dps does not answer"; }
until_ok 10 ok_tls || { cat "$W/tls.log"; fail "dove-dps does not answer by TLS"; }
metric() { on s curl -s http://127.0.0.1:7183/metrics | awk -v n="dove_dps_$1" '$1 == n { print $2 }'; }

# raw TEXT: what the server says to these bytes (printf's escapes)
cat >"$W/raw.py" <<'END'
import socket, sys, time
how, port = sys.argv[1], int(sys.argv[2])
def connect():
    s = socket.create_connection(("127.0.0.1", port), 5); s.settimeout(20); return s
def closed(s):
    """seconds until the server has closed it"""
    t = time.time()
    try:
        while s.recv(65536): pass
    except ConnectionError: pass
    return time.time() - t
if how == "send":
    s = connect(); s.sendall(sys.stdin.buffer.read()); s.settimeout(3)
    data = b""
    try:
        while True:
            more = s.recv(65536)
            if not more: break
            data += more
    except (TimeoutError, ConnectionError): pass
    sys.stdout.buffer.write(data.split(b"\r\n")[0])
elif how == "loris":      # N connections, a byte a second each: how many are left after 16 s
    n = int(sys.argv[3]); all = [connect() for _ in range(n)]
    for s in all: s.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
    for _ in range(16):
        time.sleep(1)
        for s in list(all):
            try: s.sendall(b"a")
            except OSError: all.remove(s)
    print(len(all))
elif how == "mute":       # a connection that says nothing
    print(int(closed(connect())))
elif how == "body":       # a body that never ends, at some bytes a second
    s = connect(); s.sendall(b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    t = time.time()
    try:
        while time.time() - t < 20:
            s.sendall(b"1\r\n \r\n"); time.sleep(0.2)
    except OSError: pass
    print(int(time.time() - t))
elif how == "many":       # N connections: how many are still there
    n = int(sys.argv[3]); all = []
    for _ in range(n):
        try: all.append(connect())
        except OSError: pass
    time.sleep(1.5); left = 0
    for s in all:
        s.settimeout(0.05)
        try:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); s.settimeout(1); left += s.recv(100).startswith(b"HTTP/1.1 200")
        except OSError: pass
    print(left)
END
raw() { on s python3 "$W/raw.py" "$@"; }
says() { local got; got=$(printf "$2" | raw send 7183); echo "it said: $got"; [[ $got == *" $1 "* || $got == *" $1" ]]; }

say "-- malformed"
check "R25: two lengths" says 400 'POST /v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}'
check "R25: a length and chunks" says 400 'POST /v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'
check "R25: a NUL in the path" says 404 'GET /v1/status%%00x HTTP/1.1\r\nHost: x\r\n\r\n'
check "R25: a NUL in a body" says 400 'POST /v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{"keys":\x00[]}'
check "R25: a path of too many parts" says 404 'GET /a/b/c/d/e/f/g/h/i/j/k HTTP/1.1\r\nHost: x\r\n\r\n'
check "R25: headers without an end" sh -c "head -c 100000 /dev/zero | tr '\\\\0' a | sed 's/^/GET \/healthz HTTP\/1.1\\r\\nX: /' >$W/long"
long() { local got; got=$(raw send 7183 <"$W/long"); echo "$got"; [[ $got != *" 200 "* ]]; }
check "R25: ... are not served" long
big() { head -c 3000000 /dev/zero | tr '\0' ' ' | on s curl -s -m 10 -o /dev/null -w '%{http_code}' --data-binary @- http://127.0.0.1:7183/v1/resolve; }
check "R25: a body that is too large for its call" test "$(big)" = 413
check "R25: others are served" ok

say "-- slow"
raw loris 7183 200 >"$W/loris" &
LORIS=$!
raw mute 7184 >"$W/mute" &
MUTE=$!
raw body 7183 >"$W/body" &
BODY=$!
sleep 2
check "R25: 200 connections that send a byte a second: others are served" ok
check "R25: ... by TLS too" ok_tls
wait $LORIS $MUTE $BODY
check "R25: none of them is left" test "$(cat "$W/loris")" = 0
check "R25: a handshake that does not begin is over by $(cat "$W/mute") s" test "$(cat "$W/mute")" -le 13
check "R25: a body that does not end is over by $(cat "$W/body") s" test "$(cat "$W/body")" -le 15
check "R25: they are counted" test "$(metric connections_slow_total)" -ge 201

say "-- many"
MANY=$(raw many 7183 400)
check "R25: of 400 connections from one address $MANY are served, the others not" test "$MANY" -gt 250 -a "$MANY" -le 300
check "R25: then others are served again" until_ok 5 ok
check "R25: no connection is left" until_ok 5 sh -c "$(declare -f on metric); P=$P; [ \$(metric connections) -le 2 ]"
fast() { on s sh -c 'i=0; while [ $i -lt 400 ]; do curl -sf -o /dev/null http://127.0.0.1:7183/healthz || exit 1; i=$((i + 1)); done'; }
check "R25: 400 requests one after another, each with a connection of its own, are all served" fast

say "-- a watcher that never reads"
cat >"$W/watch.py" <<'END'
# One watch is not read, one is; an endpoint of 4,000 addresses changes until the first is dropped.
import http.client, json, socket, sys, threading, time
PORT = 7183
def call(method, path, body):
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    c.request(method, path, json.dumps(body)); r = c.getresponse(); text = r.read()
    if r.status != 200: sys.exit(f"{path}: {r.status} {text[:200]}")
    return json.loads(text)
def endpoint(i):
    return [{"kind": "endpoint", "network": "blue", "name": "big", "mac": "02:00:00:00:01:01", "groups": [f"g{i % 2}"],
             "addresses": [f"10.{n >> 8 & 15}.{n & 255}.7" for n in range(4000)]}]
call("POST", "/v1/apply", [{"kind": "network", "name": "blue", "subnets": ["10.0.0.0/8"]}] + endpoint(0))
call("PUT", "/v1/hosts/h1", {"addresses": ["192.0.2.1"]})
call("PUT", "/v1/endpoints/blue/big/place", {"host": "h1"})
def watch():
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", PORT)); s.sendall(b"GET /v1/watch?host=h1 HTTP/1.1\r\nHost: x\r\n\r\n"); return s
mute, heard = watch(), [0]
reader = watch()
def read():
    while True:
        n = len(reader.recv(1 << 20))
        if not n: return
        heard[0] += n
threading.Thread(target=read, daemon=True).start()
def watchers():
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10); c.request("GET", "/v1/status")
    return json.loads(c.getresponse().read())["watchers"]
time.sleep(0.5); print("before", watchers())
for i in range(1, 600):
    call("POST", "/v1/apply", endpoint(i))
    if i % 50 == 0 and watchers() < 2: break
time.sleep(1.5); print("after", watchers(), "heard", heard[0] >> 20)
END
WATCH=$(on s python3 "$W/watch.py" 2>&1)
check "R25: one watcher reads, one does not" grep -q 'before 2' <<<"$WATCH"
check "R25: who does not is dropped, who does stays: $(tail -n 1 <<<"$WATCH") MB" grep -q 'after 1 heard' <<<"$WATCH"
check "R25: the log says so" grep -q 'does not keep up' "$W/plain.log"
check "R25: memory is bounded: $(awk '/VmHWM/ { print $2 }' /proc/${PID[plain]}/status) kB at most" test "$(awk '/VmHWM/ { print $2 }' /proc/${PID[plain]}/status)" -lt 200000
finish
