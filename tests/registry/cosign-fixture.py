#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cosign-fixture.py FORM TARGET REPOSITORY DIGEST SIZE KEY: signatures of an image as cosign lays them out, without cosign.

FORM: simple (tag sha256-HEX.sig), dsse or message (a sigstore bundle in a manifest with a subject). TARGET: HOST:PORT of a registry without
password, which gets all of it, the fallback tag of referrers included; or a directory, which gets NAME files of content, named by digest, and
referrers.json. KEY: EC P-256, PEM. With FORM simple-lie and dsse-lie what is signed names another digest."""

import base64
import hashlib
import http.client
import json
import os
import subprocess
import sys
import urllib.parse

FORM, TARGET, REPOSITORY, DIGEST, SIZE, KEY = sys.argv[1:7]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
SAID = "sha256:" + "ab" * 32 if FORM.endswith("-lie") else DIGEST


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


def sign(data):
    return subprocess.run(["openssl", "dgst", "-sha256", "-sign", KEY], input=data, capture_output=True, check=True).stdout


def describe(kind, data, **more):
    return {"mediaType": kind, "size": len(data), "digest": digest(data), **more}


def simple():
    payload = dump({"critical": {"identity": {"docker-reference": f"{TARGET}/{REPOSITORY}"},
                                 "image": {"docker-manifest-digest": SAID}, "type": "cosign container image signature"},
                    "optional": None})
    config = dump({"architecture": "", "created": "0001-01-01T00:00:00Z", "history": [{"created": "0001-01-01T00:00:00Z"}], "os": "",
                   "rootfs": {"type": "layers", "diff_ids": [digest(payload)]}, "config": {}})
    layer = describe(SIMPLE, payload, annotations={"dev.cosignproject.cosign/signature": base64.b64encode(sign(payload)).decode()})
    manifest = dump({"schemaVersion": 2, "mediaType": MANIFEST,
                     "config": describe("application/vnd.oci.image.config.v1+json", config), "layers": [layer]})
    return [config, payload], manifest


def bundle():
    material = {"publicKey": {"hint": base64.b64encode(hashlib.sha256(b"key").digest()).decode()}, "tlogEntries": []}
    content = {"mediaType": BUNDLE, "verificationMaterial": material}
    if FORM.startswith("dsse"):
        kind = "application/vnd.in-toto+json"
        statement = dump({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": SAID.split(":")[1]}}],
                          "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {}})
        pae = f"DSSEv1 {len(kind)} {kind} {len(statement)} ".encode() + statement
        content["dsseEnvelope"] = {"payload": base64.b64encode(statement).decode(), "payloadType": kind,
                                   "signatures": [{"sig": base64.b64encode(sign(pae)).decode()}]}
    else:
        with open(os.environ["IMAGE_BYTES"], "rb") as f:
            signature = sign(f.read())
        content["messageSignature"] = {"messageDigest": {"algorithm": "SHA2_256",
                                                         "digest": base64.b64encode(bytes.fromhex(SAID.split(":")[1])).decode()},
                                       "signature": base64.b64encode(signature).decode()}
    data = dump(content)
    manifest = dump({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
                     "config": describe("application/vnd.oci.empty.v1+json", b"{}"), "layers": [describe(BUNDLE, data)],
                     "subject": {"mediaType": INDEX, "digest": DIGEST, "size": int(SIZE)},
                     "annotations": {"dev.sigstore.bundle.content": "dsse-envelope",
                                     "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}})
    return [b"{}", data], manifest


def request(method, path, data=b"", kind="application/octet-stream"):
    connection = http.client.HTTPConnection(TARGET)
    connection.request(method, path, data, {"Content-Type": kind, "Content-Length": str(len(data))})
    answer = connection.getresponse()
    answer.read()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status}")
    return answer.getheader("Location")


def push(blobs, manifests, tagged, tag):
    for blob in blobs:
        place = urllib.parse.urlsplit(request("POST", f"/v2/{REPOSITORY}/blobs/uploads/"))
        request("PUT", f"{place.path}?{place.query}&digest={digest(blob)}", blob)
    for manifest in manifests:
        request("PUT", f"/v2/{REPOSITORY}/manifests/{digest(manifest)}", manifest, MANIFEST)
    request("PUT", f"/v2/{REPOSITORY}/manifests/{tag}", tagged, json.loads(tagged)["mediaType"])


blobs, manifest = simple() if FORM.startswith("simple") else bundle()
described = describe(MANIFEST, manifest, artifactType=BUNDLE)
referrers = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [described]})
tag = DIGEST.replace(":", "-")
if os.path.isdir(TARGET):
    for data in blobs + [manifest]:
        with open(os.path.join(TARGET, digest(data)), "wb") as f:
            f.write(data)
    with open(os.path.join(TARGET, "referrers.json"), "wb") as f:
        f.write(referrers)
elif FORM.startswith("simple"):
    push(blobs, [], manifest, tag + ".sig")
else:
    push(blobs, [manifest], referrers, tag)
