#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""token-server.py KEY CERT: the token service of a registry. Prints its port and serves until it is killed.

GET /token (anonymous: pull only; user:secret: what is asked for) and POST /token with the refresh token "refresh-me". Tokens are RS256 JWTs that
carry CERT, as docker-registry wants them. For each it prints how many there were: those for nobody, by password, by refresh token."""

import base64
import http.server
import json
import subprocess
import sys
import threading
import time
import urllib.parse

KEY, CERT = sys.argv[1:3]
ISSUER, SERVICE = "test-issuer", "test-registry"
lock = threading.Lock()
counts = {"anonymous": 0, "basic": 0, "refresh": 0}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificate():
    with open(CERT, encoding="ascii") as f:
        return "".join(line.strip() for line in f if "CERTIFICATE" not in line)


def jwt(scope, is_known):
    access = []
    if scope:
        kind, name, actions = scope.split(":")
        allowed = [a for a in actions.split(",") if a == "pull" or is_known]
        access.append({"type": kind, "name": name, "actions": allowed})
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": "user" if is_known else "", "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now,
              "jti": str(now), "access": access}
    head = b64(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [certificate()]}).encode())
    body = head + "." + b64(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", KEY], input=body.encode(), capture_output=True, check=True)
    return body + "." + b64(signature.stdout)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def give(self, scope, how):
        with lock:
            counts[how] += 1
            print(" ".join(str(n) for n in counts.values()), flush=True)
        self.answer(200, json.dumps({"token": jwt(scope, how != "anonymous")}))

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        scope = urllib.parse.parse_qs(url.query).get("scope", [""])[0]
        authorization = self.headers.get("Authorization")
        if not authorization:
            self.give(scope, "anonymous")
        elif authorization == "Basic " + base64.b64encode(b"user:secret").decode():
            self.give(scope, "basic")
        else:
            self.answer(401, "no")

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form.get("grant_type") == ["refresh_token"] and form.get("refresh_token") == ["refresh-me"]:
            self.give(form.get("scope", [""])[0], "refresh")
        else:
            self.answer(401, "no")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
