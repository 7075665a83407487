#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cri.py DIR version | run NAME [stay] | rm NAME | rm-all: pods of one container by the CRI of DIR/containerd.sock. The pod of
container NAME is pod-NAME in namespace tests, with the labels app=NAME and tier=test."""

import importlib.util
import os
import subprocess
import sys
import time

import grpc

EXITED = 2


def messages(directory):
    """The module that protoc makes of cri.proto."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(directory, "cri_pb2.py")
    if not os.path.exists(path):
        subprocess.run(["protoc", f"--proto_path={here}", f"--python_out={directory}", "cri.proto"], check=True)
    spec = importlib.util.spec_from_file_location("cri_pb2", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Cri:
    def __init__(self, directory):
        self.pb = messages(directory)
        self.sandboxes = os.path.join(directory, "sandboxes")
        os.makedirs(self.sandboxes, exist_ok=True)
        self.channel = grpc.insecure_channel(f"unix://{directory}/containerd.sock")

    def call(self, method, request, reply=None):
        unary = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}", lambda m: m.SerializeToString(),
                                         (reply or self.pb.Empty).FromString)
        return unary(request, timeout=60)

    def run(self, name, stays):
        pb = self.pb
        # Network 2 is the host's: no CNI is needed, and no hostname may be set.
        config = pb.PodSandboxConfig(
            metadata=pb.PodSandboxMetadata(name=f"pod-{name}", uid=f"uid-{name}", namespace="tests"),
            labels={"app": name, "tier": "test"},
            linux=pb.LinuxPodSandboxConfig(security_context=pb.LinuxSandboxSecurityContext(
                namespace_options=pb.NamespaceOption(network=2))))
        sandbox = self.call("RunPodSandbox", pb.RunPodSandboxRequest(config=config), pb.Id).id
        with open(os.path.join(self.sandboxes, name), "w", encoding="utf-8") as file:
            file.write(sandbox)
        container = self.call("CreateContainer", pb.CreateContainerRequest(
            pod_sandbox_id=sandbox, sandbox_config=config,
            config=pb.ContainerConfig(metadata=pb.ContainerMetadata(name=name), image=pb.ImageSpec(image="localhost/gt:1"),
                                      command=["/nothing", *(["stay"] if stays else [])])), pb.Id).id
        self.call("StartContainer", pb.Id(id=container))
        if not stays:
            # Started is not executed yet.
            while self.call("ContainerStatus", pb.Id(id=container), pb.ContainerStatusResponse).status.state != EXITED:
                time.sleep(0.01)
            self.remove(name)

    def remove(self, name):
        path = os.path.join(self.sandboxes, name)
        with open(path, encoding="utf-8") as file:
            sandbox = self.pb.Id(id=file.read())
        for method in "StopPodSandbox", "RemovePodSandbox":
            for left in reversed(range(5)):
                try:
                    self.call(method, sandbox)
                    break
                except grpc.RpcError:  # containerd meets a shim that is just ending
                    if left == 0:
                        raise
        os.unlink(path)

    def remove_all(self):
        for name in os.listdir(self.sandboxes):
            self.remove(name)


def main():
    cri = Cri(sys.argv[1])
    verb, *rest = sys.argv[2:]
    if verb == "version":
        cri.call("Version", cri.pb.Empty())
    elif verb == "run":
        cri.run(rest[0], len(rest) > 1)
    elif verb == "rm":
        cri.remove(rest[0])
    else:
        cri.remove_all()


if __name__ == "__main__":
    main()
