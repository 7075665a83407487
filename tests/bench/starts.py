#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./x bench starts [RUNTIME...]: what a gadget that chooses containers by name costs their starts, and whether it sees them all.

For each runtime (tests/runtimes/runtime.sh, a daemon and state of its own) containers are started one after the other, in turns of
ten without gadgetd and ten while `trace_exec -c NAME` runs, until there are 200 of those. Prints a JSON line for each runtime and a
table: starts, first execs seen by name, median and 95th percentile of a start with and without, and their ratio."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

RUNTIMES = ["runc", "crun", "docker", "podman", "podman-crun", "ctr", "cri"]
TURN = 10


class Starts:
    def __init__(self, args):
        self.build = os.path.abspath(args.build)
        self.n = args.n
        self.tmp = tempfile.mkdtemp(prefix="gadget-starts-")
        self.root = os.path.join(self.tmp, "root")
        os.mkdir(self.root)
        os.symlink(os.path.join(self.build, "stage/usr"), os.path.join(self.root, "usr"))
        self.script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../runtimes/runtime.sh")
        self.daemon = None

    def call(self, verb, runtime, *arguments):
        return subprocess.run([self.script, verb, runtime, os.path.join(self.tmp, runtime), *arguments],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def ctl(self, *arguments, **more):
        return subprocess.run([os.path.join(self.root, "usr/bin/gadgetctl"), "--root", self.root, *arguments], check=True, **more)

    def start_daemon(self):
        log = open(os.path.join(self.tmp, "gadgetd.log"), "a")
        self.daemon = subprocess.Popen([os.path.join(self.root, "usr/bin/gadgetd"), "--root", self.root], stderr=log)
        path = os.path.join(self.root, "run/gadgetd/gadgetd.sock")
        while not os.path.exists(path):
            time.sleep(0.01)

    def stop_daemon(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(20)
            self.daemon = None

    def start_many(self, runtime, prefix, first, times):
        for i in range(first, first + TURN):
            begin = time.monotonic()
            done = self.call("run", runtime, f"{prefix}-{i}")
            times.append(1000 * (time.monotonic() - begin))
            if done.returncode != 0:
                raise RuntimeError(f"{runtime}: a start failed: {done.stderr}")

    def held_too_long(self):
        with open(os.path.join(self.tmp, "gadgetd.log"), encoding="utf-8") as log:
            return sum("was not known everywhere" in line for line in log)

    def measure(self, runtime):
        probe = self.call("up", runtime, os.path.join(self.build, "tests/system/nothing"))
        if probe.returncode != 0:
            print(f"{runtime}: makes no containers here: {probe.stderr.strip()}", file=sys.stderr)
            return None
        without, with_gadget, missed = [], [], []
        out = os.path.join(self.tmp, "rows")
        late = self.held_too_long() if os.path.exists(os.path.join(self.tmp, "gadgetd.log")) else 0
        try:
            for turn in range(0, self.n, TURN):
                self.start_many(runtime, "without", turn, without)
                self.start_daemon()
                # The client's order is that of the rows' end: it has them all when it ends with the gadget.
                self.ctl("run", "trace_exec", "-d", "--name", "t", "-c", "with-*", stdout=subprocess.DEVNULL)
                with open(out, "w", encoding="utf-8") as rows:
                    client = subprocess.Popen([os.path.join(self.root, "usr/bin/gadgetctl"), "--root", self.root, "attach", "t",
                                               "-o", "json"], stdout=rows, stderr=subprocess.DEVNULL)
                    while not any(i["name"] == "t" and i["state"] == "running" for i in json.loads(
                            self.ctl("list", "-o", "json", capture_output=True, text=True).stdout)):
                        time.sleep(0.01)
                    self.start_many(runtime, "with", turn, with_gadget)
                    self.ctl("stop", "t", stdout=subprocess.DEVNULL)
                    client.wait(20)
                with open(out, encoding="utf-8") as rows:
                    names = {json.loads(line)["runtime"]["containerName"] for line in rows if line.strip()}
                missed += sorted({f"with-{i}" for i in range(turn, turn + TURN)} - names)
                self.stop_daemon()
        finally:
            self.stop_daemon()
            self.call("down", runtime)
        return {"name": f"starts.{runtime}", "starts": len(with_gadget), "seen": len(with_gadget) - len(missed), "missed": missed,
                "held_too_long": self.held_too_long() - late,
                "with_ms": round(statistics.median(with_gadget), 2), "without_ms": round(statistics.median(without), 2),
                "with_p95_ms": round(statistics.quantiles(with_gadget, n=20)[18], 2),
                "without_p95_ms": round(statistics.quantiles(without, n=20)[18], 2),
                "ratio": round(statistics.median(with_gadget) / statistics.median(without), 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("runtimes", nargs="*", default=RUNTIMES)
    args = parser.parse_args()
    starts = Starts(args)
    rows = []
    try:
        for runtime in args.runtimes:
            row = starts.measure(runtime)
            if row:
                rows.append(row)
                print(json.dumps(row), flush=True)
    finally:
        shutil.rmtree(starts.tmp, ignore_errors=True)
    print(f"\n{'':<12} {'starts':>7} {'seen':>6} {'without ms':>11} {'p95':>8} {'with ms':>9} {'p95':>8} {'ratio':>6}")
    for row in rows:
        print(f"{row['name'][7:]:<12} {row['starts']:>7} {row['seen']:>6} {row['without_ms']:>11.1f} {row['without_p95_ms']:>8.1f} "
              f"{row['with_ms']:>9.1f} {row['with_p95_ms']:>8.1f} {row['ratio']:>6.2f}")
    return 0 if all(row["seen"] == row["starts"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
