#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that promises more than anybody should take: lying-registry.py prints its port and serves until it is killed.
Repository big-blob: a layer of one byte more than a blob may have; big-image: blobs that together are too much; mute: never answers."""

import hashlib
import http.server
import json
import threading

BLOB_MAX = 256 << 20
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EBPF = "application/vnd.gadget.ebpf.program.v1+binary"
OTHER = "application/vnd.gadget.btfgen.v1+binary"


def descriptor(kind, name, size):
    return {"mediaType": kind, "digest": "sha256:" + hashlib.sha256(name.encode()).hexdigest(), "size": size}


def manifest(layers):
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                       "config": descriptor("application/vnd.gadget.config.v1+yaml", "config", 10),
                       "layers": layers}).encode()


ANSWERS = {
    "big-blob": manifest([descriptor(EBPF, "blob", BLOB_MAX + 1)]),
    "big-image": manifest([descriptor(EBPF, "0", BLOB_MAX)] + [descriptor(OTHER, str(i), BLOB_MAX) for i in range(1, 5)]),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        if "/mute/" in self.path:
            threading.Event().wait()
            return
        for name, body in ANSWERS.items():
            if f"/{name}/manifests/" in self.path:
                self.send_response(200)
                self.send_header("Content-Type", MANIFEST)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
