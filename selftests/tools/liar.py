# SPDX-License-Identifier: Apache-2.0
# A local server that lies: hands on what an honest one says, but for answers, in which it changes what
# the file LIE names. On plain HTTP, in front of one that speaks TLS.
#
#   liar.py ADDRESS PORT HONEST-PORT CA CERT KEY LIE
import base64
import http.client
import http.server
import json
import ssl
import sys

ADDRESS, PORT, HONEST, CA, CERT, KEY, LIE = sys.argv[1:]
PROOFS = {}  # pair -> what was signed for it


def tls():
    context = ssl.create_default_context(cafile=CA)
    context.load_cert_chain(CERT, KEY)
    return context


def opened(answer):
    answer.update(verdict="allow", path=[], scope=[], policy=answer.get("policy") or 1)
    answer.pop("rules", None)


def unsigned(answer):
    answer.pop("signed", None)


def allow(answer):  # what the signed words deny
    opened(answer)


def bare(answer):  # the same, and without them
    opened(answer)
    unsigned(answer)


def elsewhere(answer):  # another host, and another VM
    answer.get("destination", {}).update(host="h9", host_addresses=["203.0.113.9"], mac="02:00:00:00:0e:0e")


def other(answer):  # words that were signed of another pair
    opened(answer)
    for pair, proof in PROOFS.items():
        if pair != (answer["source"], answer.get("address")):
            answer["signed"] = proof
            return


def half(answer):  # the source's authority's alone
    opened(answer)
    answer["signed"] = answer.get("signed", [])[:1]


def last(answer):  # the destination's alone
    opened(answer)
    answer["signed"] = answer.get("signed", [])[-1:]


def flip(answer):  # a bit of the signed words
    for one in answer.get("signed", []):
        body = bytearray(base64.b64decode(one["body"]))
        body[-1] ^= 1
        one["body"] = base64.b64encode(body).decode()


def nobody(answer):  # that there is no such VM nobody signs; rules that allow are no part of that
    answer.update(verdict="no_endpoint", scope=["proto"], sequence=1 << 40,
                  rules=[{"proto": 0, "verdict": "allow", "policy": 1, "path": [], "qos": {}}])
    answer.pop("signed", None)


def lie(text):
    name = open(LIE).read().strip()
    reply = json.loads(text)
    for answer in reply.get("answers", []):
        if name == "honest":
            PROOFS[(answer.get("source"), answer.get("address"))] = answer.get("signed")
        else:
            globals()[name](answer)
    return json.dumps(reply).encode()


class Liar(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def stream(self, reply):
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in reply:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        honest = http.client.HTTPSConnection(ADDRESS, int(HONEST), context=tls())
        honest.request(self.command, self.path, body)
        reply = honest.getresponse()
        if self.path.startswith("/v1/watch"):
            self.stream(reply)
            return
        text = reply.read()
        if self.path == "/v1/resolve":
            text = lie(text)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = any


http.server.ThreadingHTTPServer((ADDRESS, int(PORT)), Liar).serve_forever()
