#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""openapi.py DESCRIPTION SOURCE URL: does the running service do what docs/openapi.yaml says?

Every route of the source (dps/api.c) is described, and every path that is
described is a route; then calls are made, good and bad, and each reply's status
and body held against its schema. One line a check, as the namespace tests have
them. Speaks HTTP to the one URL that it is given, and to nobody else.
"""
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

try:
    import yaml
except ImportError:
    print("skip the OpenAPI description: python3-yaml is not there")
    sys.exit(0)

doc = yaml.safe_load(open(sys.argv[1]))
source = open(sys.argv[2]).read()
url = sys.argv[3]
called = set()


def say(good, text, why=""):
    print(("ok   " if good else "FAIL ") + text)
    if not good:
        print("     | " + str(why)[:400])


# ---- schemas: as much of JSON Schema as the description uses ----
def look_up(schema):
    while "$ref" in schema:
        at = doc
        for part in schema["$ref"][2:].split("/"):
            at = at[part]
        schema = at
    return schema


TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def faults(value, schema, at="body"):
    schema = look_up(schema)
    if value is None and schema.get("nullable"):
        return []
    if "allOf" in schema:
        return [f for one in schema["allOf"] for f in faults(value, one, at)]
    if "oneOf" in schema:
        if "discriminator" in schema and isinstance(value, dict):
            ref = schema["discriminator"]["mapping"].get(value.get("kind"))
            return faults(value, {"$ref": ref}, at) if ref else [at + ": no such kind"]
        tries = [faults(value, one, at) for one in schema["oneOf"]]
        return [] if [] in tries else [f"{at}: {value!r} is none of {len(tries)}"]
    kind = schema.get("type")
    if kind in ("integer", "number"):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or (kind == "integer" and value != int(value)):
            return [f"{at}: {value!r} is no {kind}"]
    elif kind and not isinstance(value, TYPES[kind]):
        return [f"{at}: {value!r} is no {kind}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if kind == "array":
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1 << 30):
            found.append(f"{at}: {len(value)} items")
        for i, item in enumerate(value):
            found += faults(item, schema.get("items", {}), f"{at}[{i}]")
    if kind == "object":
        known = schema.get("properties", {})
        found += [f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            if name in known:
                found += faults(item, known[name], f"{at}.{name}")
            elif known and schema.get("additionalProperties") is not True:
                found.append(f"{at}.{name} is not described")
    return found


# ---- routes ----
def routes():
    names = {"GET": "get", "PUT": "put", "POST": "post", "DELETE": "delete"}
    table = source[source.index("} routes[] = {"):]
    for method, path in re.findall(r'\{ EVHTTP_REQ_(\w+), \w+, "([^"]+)"', table[:table.index("};")]):
        yield names[method], "/" + path.replace("**", "*")


described = {(m, re.sub(r"\{\w+\}", "*", p)) for p, ops in doc["paths"].items() for m in ops if m != "parameters"}
known = set(routes())
say(known and known <= described, "every route is described", known - described)
say(described <= known, "everything that is described is a route", described - known)


# ---- calls ----
def request(method, path, body):
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    req = urllib.request.Request(url + path, data=data, method=method.upper())
    try:
        with urllib.request.urlopen(req, timeout=5) as got:
            return got.status, got.headers.get_content_type(), got.readline() if "/watch" in path else got.read()
    except urllib.error.HTTPError as err:
        return err.code, err.headers.get_content_type(), err.read()


def call(method, template, path, body, want):
    """want: 200, or the status of an error. The reply, parsed."""
    called.add((method, re.sub(r"\{\w+\}", "*", template)))
    operation = doc["paths"][template][method]
    status, kind, text = request(method, path, body)
    name = f"{method.upper()} {urllib.parse.unquote(path)[:60]}: {want}"
    described_reply = look_up(operation["responses"].get(str(status)) or operation["responses"].get("default") or {})
    if status != want or not described_reply:
        say(False, name, f"{status}: {text[:300]}")
        return None
    content = described_reply.get("content")
    if content is None:
        say(True, name)
        return None
    if kind not in content:
        say(False, name, f"{kind} is not described")
        return None
    value = json.loads(text) if kind in ("application/json", "application/x-ndjson") else text.decode()
    wrong = [] if kind == "application/x-ndjson" else faults(value, content[kind]["schema"])
    sent = operation.get("requestBody")
    if want == 200 and sent and body is not None:
        wrong += faults(body, sent["content"]["application/json"]["schema"], "request")
    say(not wrong, name, "; ".join(wrong))
    return value


OBJECTS = [
    {"kind": "network", "name": "blue", "subnets": ["10.1.0.0/24", {"prefix": "10.3.0.0/24", "gateway": "10.3.0.9"}], "hosts": ["h1"]},
    {"kind": "network", "name": "green", "foreign": "globex:green", "vnid": 600, "subnets": ["10.2.0.0/24"]},
    {"kind": "endpoint", "network": "blue", "name": "vm1", "mac": "02:00:00:00:01:01", "addresses": ["10.1.0.11"], "groups": ["web"]},
    {"kind": "endpoint", "network": "blue", "name": "vm2", "mac": "02:00:00:00:01:02", "addresses": ["10.1.0.12"], "qos": {"rate_mbps": 100}},
    {"kind": "external", "network": "blue", "name": "internet", "prefixes": ["0.0.0.0/0"], "gateway": {"host": "h1"}},
    {"kind": "group", "network": "blue", "name": "all", "endpoints": ["vm1", "vm2"]},
    {"kind": "service", "name": "firewall", "instances": [{"endpoint": "blue/vm2"}]},
    {"kind": "policy", "network": "blue", "name": "tls", "priority": 5, "from": "any", "to": {"endpoints": ["vm2"]},
     "proto": "tcp", "to_port": 443, "action": "allow", "path": ["firewall"], "qos": {"dscp": 46, "rate_mbps": 10, "class": "gold"}},
    {"kind": "underlay_path", "name": "gold", "vlan": 100, "dscp": 34, "mpls": [{"label": 100, "tc": 5}, 200]},
    {"kind": "underlay_path", "name": "lead", "dscp": 10, "hops": ["192.0.2.9", "192.0.2.13"]},
    {"kind": "policy", "network": "blue", "name": "web", "priority": 7, "from": {"groups": ["web"]}, "to": {"external": "internet"},
     "action": "allow"},
]
KEY = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
DELEGATION = {"ranges": [[500, 509]], "servers": [{"name": "ns1.eng", "addresses": ["127.0.0.1:7450"]}], "keys": [KEY]}
place = "/v1/endpoints/{network}/{name}/place"

call("post", "/v1/apply", "/v1/apply", OBJECTS, 200)
call("post", "/v1/apply", "/v1/apply", [{"kind": "nothing"}], 400)
for kind in ("network", "endpoint", "external", "group", "service", "underlay_path", "policy", "host"):
    call("get", "/v1/objects/{kind}", "/v1/objects/" + kind, None, 200)
call("get", "/v1/objects/{kind}", "/v1/objects/nothing", None, 404)
call("get", "/v1/objects/{kind}/{name}", "/v1/objects/endpoint/blue/vm1", None, 200)
call("get", "/v1/objects/{kind}/{name}", "/v1/objects/endpoint/blue/vm9", None, 404)
call("put", "/v1/objects/{kind}/{name}", "/v1/objects/service/ips", {"kind": "service", "name": "ips"}, 200)
call("delete", "/v1/objects/{kind}/{name}", "/v1/objects/service/ips", None, 200)
call("delete", "/v1/objects/{kind}/{name}", "/v1/objects/service/firewall", None, 409)
call("put", "/v1/hosts/{name}", "/v1/hosts/h1", {"addresses": ["192.0.2.1"]}, 200)
call("put", "/v1/hosts/{name}", "/v1/hosts/h2", {"addresses": ["192.0.2.1"]}, 409)
call("get", place, "/v1/endpoints/blue/vm1/place", None, 200)
got = call("put", place, "/v1/endpoints/blue/vm1/place", {"host": "h1"}, 200)
call("put", place, "/v1/endpoints/blue/vm1/place", {"host": "h1", "revision": 0}, 409)
work = {"host": "h1", "claim": got["claim"], "up": True, "load": {"kbps": 1000, "packets": 5}}
call("put", place, "/v1/endpoints/blue/vm1/place", work, 200)
call("put", place, "/v1/endpoints/blue/vm1/place", {**work, "load": {"kbps": -1, "packets": 5}}, 400)
call("put", place, "/v1/endpoints/blue/vm1/place", {"host": "h1", "load": {"kbps": 1, "packets": 5}}, 400)
call("get", place, "/v1/endpoints/blue/vm1/place", None, 200)
call("post", "/v1/members", "/v1/members", {"vnid": got["vnid"], "source": got["id"]}, 200)
call("post", "/v1/statement", "/v1/statement", {"vnid": got["vnid"], "source": got["id"], "address": "192.0.2.77"}, 200)
call("post", "/v1/statement", "/v1/statement", {"service": "acme:none", "key": {"vnid": got["vnid"], "source": got["id"], "to": "10.1.0.12"}}, 403)
source_id = got["id"]
call("post", "/v1/resolve", "/v1/resolve", {"host": "h1", "keys": [
    {"source": source_id, "to": "10.1.0.12"}, {"source": source_id, "to": "10.1.0.12", "proto": 6, "from_port": 1, "to_port": 443},
    {"source": source_id, "to": "10.9.9.9"}, {"source": source_id, "to": "10.1.0.99"}, {"source": source_id, "to": "10.1.0.1"},
    {"source": 4711, "to": "10.1.0.1"}, {"network": "blue", "from": "vm1", "to_endpoint": "vm2"},
    {"vnid": got["vnid"], "source": source_id, "to": "10.2.0.5"},
    {"source": source_id, "to": "10.1.0.12", "least": {"vnid": got["vnid"], "revision": 1}}]}, 200)
call("post", "/v1/resolve", "/v1/resolve", {"keys": [
    {"source": source_id, "to": "10.1.0.12", "least": {"vnid": got["vnid"], "revision": 4711}}]}, 503)
call("post", "/v1/resolve", "/v1/resolve", {"keys": []}, 400)
call("post", "/v1/resolve", "/v1/resolve", b"{", 400)
call("post", "/v1/check", "/v1/check", {"vnid": got["vnid"], "policy": 1, "sequence": 1, "source": source_id, "to": "10.1.0.12"}, 200)
call("post", "/v1/check", "/v1/check", {"vnid": 0}, 400)
call("get", "/v1/watch", "/v1/watch?host=h1", None, 200)
call("get", "/v1/watch", "/v1/watch?host=h9", None, 404)
call("delete", place, "/v1/endpoints/blue/vm1/place?claim=" + got["claim"], None, 200)
call("put", "/v1/delegations/{domain}", "/v1/delegations/acme%2Feng", DELEGATION, 200)
call("put", "/v1/delegations/{domain}", "/v1/delegations/acme%2Fops", DELEGATION, 409)
call("put", "/v1/delegations/{domain}", "/v1/delegations/initech", DELEGATION, 404)
call("get", "/v1/delegations/{domain}", "/v1/delegations/acme%2Feng", None, 200)
call("get", "/v1/delegations", "/v1/delegations", None, 200)
call("post", "/v1/ask", "/v1/ask", {"questions": [
    {"kind": "zone", "name": "acme/eng", "zone": "acme"}, {"kind": "name", "name": "acme:blue/vm1", "zone": "acme", "id": "beef"},
    {"kind": "name", "name": "globex:green", "zone": "acme"},
    {"kind": "policy", "vnid": got["vnid"], "source": source_id, "to": "10.1.0.12", "zone": "acme", "deadline": 100}]}, 200)
call("post", "/v1/ask", "/v1/ask", {"questions": [{"kind": "nothing"}]}, 400)
call("delete", "/v1/delegations/{domain}", "/v1/delegations/acme%2Feng", None, 200)
call("delete", "/v1/delegations/{domain}", "/v1/delegations/acme%2Feng", None, 404)
call("get", "/v1/root", "/v1/root", None, 404)
call("get", "/v1/chain/{domain}", "/v1/chain/globex", None, 404)
call("get", "/v1/status", "/v1/status", None, 200)
call("get", "/healthz", "/healthz", None, 200)
text = call("get", "/metrics", "/metrics", None, 200)
lines = [line for line in text.splitlines() if line]
bad = [line for line in lines if not re.match(r"# (HELP|TYPE) dove_dps_\w+ .+$|dove_dps_\w+ [0-9.e+]+$", line)]
names = [line.split()[0] for line in lines if line[0] != "#"]
say(not bad and len(names) > 20 and len(set(names)) == len(names), "/metrics is what Prometheus reads, each once", bad)
say(described <= called, "every operation was called", described - called)
