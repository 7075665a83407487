#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./x bench [peers] [open|flood|output|start|memory]: what the whole chain costs, beside the least that any consumer of the same object
costs, measured in the same call because machines differ and are shared. Prints a JSON line for each figure and a table.

open    a program opens /dev/null in a loop at full speed; rows go to a file as columns
flood   getppid() in a loop, 128-byte events of 12 fields
output  the flood printed in each mode by the whole chain, then what rendering alone and the client alone cost a row, beside
        msgpack-c and fprintf()
start   time from starting the tracer to its first row on a terminal; a resident daemon has had time to prepare a worker
memory  PSS of gadgetd, broker and worker, and kernel memory of the gadget's maps

CPU is what the kernel's scheduler accounts to the tracer's processes (/proc/PID/schedstat, all threads), from the moment the load
goes to full speed until every row is out. Slowdown is the load's time for a call against its time for a call untraced."""

import argparse
import glob
import json
import os
import pty
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tty

AT_REST = 1.5  # seconds after which an idle process has given back what it can
ROWS_SETTLE = 0.3  # seconds without a new byte: all rows are out


class Bench:
    def __init__(self, args):
        self.build = os.path.abspath(args.build)
        self.seconds = args.seconds
        self.rounds = args.rounds
        self.peers = args.peers
        self.cpu = str(os.cpu_count() - 1)
        self.stage = os.path.join(self.build, "stage")
        self.tmp = tempfile.mkdtemp(prefix="gadget-bench-")
        self.root = os.path.join(self.tmp, "root")
        os.mkdir(self.root)
        os.symlink(os.path.join(self.stage, "usr"), os.path.join(self.root, "usr"))
        self.daemon = None
        self.results = []

    # --- processes ---

    def program(self, name):
        return os.path.join(self.build, "tests/bench", name)

    def gadgetctl(self, *args):
        return [os.path.join(self.root, "usr/bin/gadgetctl"), "--root", self.root, *args]

    def start_daemon(self, *options):
        self.daemon = subprocess.Popen([os.path.join(self.root, "usr/bin/gadgetd"), "--root", self.root, *options],
                                       stderr=open(os.path.join(self.tmp, "gadgetd.log"), "w"))
        path = os.path.join(self.root, "run/gadgetd/gadgetd.sock")
        until(lambda: os.path.exists(path), "gadgetd's socket")

    def wait_spare(self):
        """Until gadgetd has a worker ready for the next run: its cgroups are the last thing that it gets."""
        def is_there():
            for pid in descendants(self.daemon.pid):
                try:
                    if comm(pid) == "gadget-worker" and "/gadgetd/" in open(f"/proc/{pid}/cgroup").read():
                        return True
                except OSError:
                    pass
            return False
        until(is_there, "a spare worker")

    def stop_daemon(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(20)
            self.daemon = None

    def object(self, what):
        name = "gadgets/trace_open-amd64.bpf.o" if what == "open" else "tests/bench/flood-amd64.bpf.o"
        return os.path.join(self.build, name.replace("amd64", arch()))

    # --- the figures ---

    def add(self, name, value, unit, **more):
        row = {"name": name, "value": round(value, 3), "unit": unit, **more}
        self.results.append(row)
        print(json.dumps(row), flush=True)

    def throughput(self, what, tracer):
        """One run of the load under a tracer (None: untraced). Returns a dict of figures."""
        call = "open" if what == "open" else "getppid"
        load = subprocess.Popen([self.program("load"), call, str(self.seconds), self.cpu],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            pid = json.loads(load.stdout.readline())["pid"]
            if tracer:
                tracer.start(self, what, pid)
                tracer.wait_first_row()
                before = tracer.cpu_ns()
            load.stdin.write("go\n")
            load.stdin.flush()
            told = json.loads(load.stdout.readline())
            figures = {"ns_per_call": told["ns"] / told["calls"], "calls": told["calls"]}
            if tracer:
                tracer.wait_settled()
                cpu = tracer.cpu_ns() - before
                tracer.stop()
                figures["rows"] = tracer.rows()
                # Rows of the warm-up are among them: they are few, and their loss would be a loss as well.
                figures["lost"] = max(0, told["calls"] - figures["rows"])
                figures["cpu_ns_per_row"] = cpu / max(1, figures["rows"])
            return figures
        finally:
            if tracer:
                tracer.stop()
            load.stdin.close()
            load.wait(20)

    def output(self):
        self.compare_throughput("flood", [Bare("bare, text, naps", "text", "nap"), *(OursPrinted(mode) for mode in ROW_MARKS)],
                                "output")
        program = self.program("bench-render")
        rows = [json.loads(line) for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.split("\n")
                if line]
        figures = {row["name"]: row for row in rows}
        print(f"\n{'CPU ns/row':>16} {'msgpack-c, printf':>18} {'client':>10} {'ratio':>6} {'rendering':>10}")
        for mode in ROW_MARKS:
            baseline, client, render = (figures[f"{part}.{mode}"] for part in ("baseline", "client", "render"))
            print(f"  {mode:<14} {baseline['value']:18.0f} {client['value']:10.0f} {client['ratio']:5.1f}x {render['value']:10.0f}")
        print()
        for row in rows:
            self.results.append(row)
            print(json.dumps(row), flush=True)

    def compare_throughput(self, what, tracers, title=None):
        title = title or what
        self.start_daemon()
        untraced, runs = [], {t.name: [] for t in tracers}
        for _ in range(self.rounds):
            untraced.append(self.throughput(what, None)["ns_per_call"])
            for tracer in tracers:
                runs[tracer.name].append(self.throughput(what, tracer))
        self.stop_daemon()
        base = statistics.median(untraced)
        self.add(f"{title}.untraced", base, "ns/call")
        table = []
        for tracer in tracers:
            figures = runs[tracer.name]
            cpu = statistics.median(f["cpu_ns_per_row"] for f in figures)
            slow = statistics.median(f["ns_per_call"] for f in figures) / base
            lost = 100 * sum(f["lost"] for f in figures) / sum(f["calls"] for f in figures)
            rate = statistics.median(f["calls"] / f["ns_per_call"] / f["calls"] * 1e9 for f in figures)
            self.add(f"{title}.{tracer.name}.cpu", cpu, "ns/row", n=sum(f["rows"] for f in figures))
            self.add(f"{title}.{tracer.name}.lost", lost, "%")
            self.add(f"{title}.{tracer.name}.slowdown", slow, "x")
            table.append((tracer.name, cpu, slow, lost, rate))
        ours = next(row for row in table if row[0].startswith("gadgetctl"))
        print(f"\n{title}: {'CPU ns/row':>32} {'ours is':>9} {'slowdown':>9} {'lost %':>7} {'calls/s':>10} {'rows/s':>10}")
        for name, cpu, slow, lost, rate in table:
            print(f"  {name:<26} {cpu:10.0f} {ours[1] / cpu:8.2f}x {slow:8.2f}x {lost:7.2f} {rate:10.0f} {rate * (1 - lost / 100):10.0f}")
        print(flush=True)

    def first_row(self, argv, skip):
        """Seconds from exec to the first row on a terminal; `skip` matches lines that are no rows."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        begun = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        os.close(slave)
        text = b""
        try:
            while time.monotonic() < begun + 20:
                if select.select([master], [], [], 1)[0]:
                    text += os.read(master, 65536)
                    lines = text.decode(errors="replace").split("\n")[:-1]
                    if any(line.strip() and not re.search(skip, line) for line in lines):
                        return time.monotonic() - begun
            raise SystemExit(f"bench: no row within 20 s from {argv}: {text!r}")
        finally:
            process.send_signal(signal.SIGINT)
            drain_until_exit(process, master)
            os.close(master)

    def start_times(self):
        load = subprocess.Popen([self.program("load"), "open", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True)
        pid = str(json.loads(load.stdout.readline())["pid"])
        skip = "PID|TIMESTAMP|Attach|Tracing"
        run = ("run", "trace_open", "--pid", pid)
        ways = [
            ("bare libbpf", False, [self.program("bare"), "open", self.object("open"), pid, "text", "each", "-"]),
            ("gadgetctl, daemon resident", True, self.gadgetctl(*run)),
            ("gadgetctl, private daemon", False, self.gadgetctl(*run)),
        ]
        if self.peers and shutil.which("opensnoop"):
            ways.append(("opensnoop", False, ["opensnoop", "-p", pid]))
        if self.peers and shutil.which("bpftrace"):
            ways.append(("bpftrace", False, bpftrace(pid)))
        times = {name: [] for name, _, _ in ways}
        for _ in range(self.rounds * 3):
            for name, wants_daemon, argv in ways:
                if wants_daemon:
                    self.start_daemon()
                    self.wait_spare()
                times[name].append(1000 * self.first_row(argv, skip))
                self.stop_daemon()
        load.stdin.close()
        load.wait(20)
        base = statistics.median(times["bare libbpf"])
        print(f"\nstart: {'first row, ms':>32} {'to bare':>9}")
        for name, _, _ in ways:
            value = statistics.median(times[name])
            print(f"  {name:<26} {value:10.1f} {value / base:8.2f}x")
        print()
        for name, _, _ in ways:
            self.add(f"start.{name}", statistics.median(times[name]), "ms", n=len(times[name]))

    def memory(self):
        self.start_daemon()
        self.wait_spare()
        time.sleep(AT_REST)
        spare = sum(pss(pid) for pid in descendants(self.daemon.pid))
        self.stop_daemon()
        self.start_daemon("--no-spare")
        subprocess.run(self.gadgetctl("run", "trace_open", "--detach", "--name", "m"), check=True,
                       stdout=subprocess.DEVNULL)
        load = subprocess.Popen([self.program("load"), "open", "1", self.cpu], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        load.stdout.readline()
        load.stdin.write("go\n")
        load.stdin.flush()
        load.stdout.readline()
        time.sleep(AT_REST)
        pids = {"gadgetd": self.daemon.pid}
        for pid in descendants(self.daemon.pid):
            pids[comm(pid)] = pid
        print(f"\nmemory: {'KiB':>31}")
        shown = {name: pss(pid) for name, pid in sorted(pids.items())}
        shown["broker + worker"] = sum(v for k, v in shown.items() if k in ("gadget-broker", "gadget-worker"))
        shown["worker without both rings"] = pss(pids["gadget-worker"], without=("gadget-ring", "bpf-map", "bpf_ringbuf"))
        shown["spare broker + worker"] = spare
        shown["maps in the kernel"] = map_bytes(pids.values()) // 1024
        for name, kib in shown.items():
            print(f"  {name:<26} {kib:10}")
        print()
        for name, kib in shown.items():
            self.add(f"memory.{name}", kib, "KiB")
        load.stdin.close()
        load.wait(20)
        self.stop_daemon()

    def done(self):
        self.stop_daemon()
        shutil.rmtree(self.tmp, ignore_errors=True)


class Tracer:
    """A command whose rows go to a file."""

    def __init__(self, name, argv, pattern):
        self.name, self.argv, self.pattern = name, argv, pattern
        self.process = None

    def start(self, bench, what, pid):
        self.out = os.path.join(bench.tmp, "rows")
        self.err = os.path.join(bench.tmp, "messages")
        self.bench = bench
        argv = self.argv(bench, what, str(pid), self.out)
        self.stopped = False
        self.process = subprocess.Popen(argv, stdout=open(self.out, "w"), stderr=open(self.err, "w"),
                                        stdin=subprocess.DEVNULL)

    def is_alive(self):
        if self.process.poll() is not None:
            raise SystemExit(f"bench: {self.name} ended: {open(self.err).read()}")
        return True

    def size(self):
        return os.stat(self.out).st_size

    def wait_first_row(self):
        def has_row():
            self.is_alive()
            with open(self.out, "rb") as f:
                return self.pattern in f.read(1 << 20)
        if self.pattern:
            until(has_row, f"a row of {self.name}")
        else:
            until(lambda: self.is_alive() and holds_bpf(self.process.pid), f"{self.name} to attach")

    def wait_settled(self):
        last, since = -1, time.monotonic()
        while time.monotonic() < since + ROWS_SETTLE:
            size = self.size()
            if size != last:
                last, since = size, time.monotonic()
            time.sleep(0.02)

    def pids(self):
        return [self.process.pid, *descendants(self.process.pid)]

    def cpu_ns(self):
        return cpu_of(self.pids())

    def stop(self):
        if self.process and not self.stopped:
            self.stopped = True
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                # Its figures are taken already; some peers detach for minutes on a loaded machine.
                print(f"bench: {self.name} does not end, killing it", file=sys.stderr)
                self.process.kill()
                self.process.wait()

    def rows(self):
        n = 0
        with open(self.out, "rb") as f:
            while block := f.read(1 << 20):
                n += block.count(b"\n")
        return n


class Bare(Tracer):
    """The same object under plain libbpf; it counts its rows itself."""

    def __init__(self, name, how, wake):
        super().__init__(name, lambda bench, what, pid, out: [
            bench.program("bare"), what, bench.object(what), pid, how, wake, "/dev/null" if how == "msgpack" else out
        ], b"\n" if how == "text" else None)

    def rows(self):
        return json.loads(open(self.err).read())["rows"]


class Ours(Tracer):
    """gadgetctl run against the resident daemon: gadgetctl, gadgetd, broker and worker together."""

    def __init__(self):
        super().__init__("gadgetctl (whole chain)", lambda bench, what, pid, out: bench.gadgetctl(
            "run", "trace_open" if what == "open" else bench.object(what), "--pid", pid), b"load")

    def pids(self):
        daemon = self.bench.daemon.pid
        return [self.process.pid, daemon, *descendants(daemon)]

    def rows(self):
        n = -1  # the header
        with open(self.out, "rb") as f:
            while block := f.read(1 << 20):
                n += block.count(b"\n")
        return n


# What each row of a mode begins or ends with, and how many of these come before the first.
ROW_MARKS = {"columns": (b"\n", 1), "json": (b"\n", 0), "yaml": (b"---\n", 0), "csv": (b"\n", 1)}


class OursPrinted(Ours):
    """In one of the output modes."""

    def __init__(self, mode):
        super().__init__()
        self.name = f"gadgetctl -o {mode}"
        self.mark, self.before = ROW_MARKS[mode]
        self.argv = lambda bench, what, pid, out: bench.gadgetctl(
            "run", "trace_open" if what == "open" else bench.object(what), "--pid", pid, "-o", mode)

    def rows(self):
        n = -self.before
        with open(self.out, "rb") as f:
            tail = b""
            while block := f.read(1 << 20):
                n += (tail + block).count(self.mark)
                tail = block[1 - len(self.mark):] if len(self.mark) > 1 else b""
        return n


class OursUnprinted(Ours):
    """The same up to the client, which throws the rows away (-o none): what is to be compared with packing alone. Rows are counted by
    the ledger."""

    def __init__(self):
        super().__init__()
        self.name = "gadgetctl -o none"
        self.argv = lambda bench, what, pid, out: bench.gadgetctl(
            "run", "trace_open" if what == "open" else bench.object(what), "--pid", pid, "-o", "none", "--name", "unprinted")

    def produced(self):
        told = subprocess.run(self.bench.gadgetctl("show", "unprinted", "-o", "json"), capture_output=True, check=False)
        ledgers = json.loads(told.stdout)["ledgers"] if told.returncode == 0 else []
        return sum(ledger["rows"] + sum(ledger["dropped"].values()) for ledger in ledgers)

    def wait_first_row(self):
        until(lambda: self.is_alive() and self.produced() > 0, f"a row of {self.name}")

    def size(self):
        self.last = self.produced()
        return self.last

    def rows(self):
        return self.last - sum(map(int, re.findall(r"(\d+) rows lost", open(self.err).read())))


# --- /proc ---

def arch():
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"bench: waited {seconds} s for {what}")
        time.sleep(0.005)


def drain_until_exit(process, fd):
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        try:
            if select.select([fd], [], [], 0.02)[0]:
                os.read(fd, 65536)
        except OSError:
            time.sleep(0.01)
    process.wait(1)


def comm(pid):
    return open(f"/proc/{pid}/comm").read().strip()


def descendants(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        for child in open(path).read().split():
            found += [int(child), *descendants(int(child))]
    return found


def cpu_of(pids):
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            total += int(open(path).read().split()[0])
    return total


def holds_bpf(pid):
    for fd in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            if os.readlink(fd) == "anon_inode:[perf_event]":
                return True
        except OSError:
            pass
    return False


def pss(pid, without=()):
    """KiB; without: mappings whose name holds one of these words are left out."""
    total, counts = 0, True
    for line in open(f"/proc/{pid}/smaps"):
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            counts = not any(word in line for word in without)
        elif counts and line.startswith("Pss:"):
            total += int(line.split()[1])
    return total


def map_bytes(pids):
    maps = {}
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
            try:
                text = open(path).read()
            except OSError:
                continue
            found = re.search(r"^map_id:\s+(\d+)", text, re.M), re.search(r"^memlock:\s+(\d+)", text, re.M)
            if all(found):
                maps[found[0].group(1)] = int(found[1].group(1))
    return sum(maps.values())


def mount_tracefs():
    """The peers want tracefs where it belongs; ours does without. In a mount namespace of this call's own."""
    if os.path.exists("/sys/kernel/tracing/events"):
        return
    script = "mount -t tracefs t /sys/kernel/tracing && mount -t debugfs d /sys/kernel/debug; exec \"$@\""
    os.execvp("unshare", ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, *sys.argv])


def bpftrace(pid):
    program = ("tracepoint:syscalls:sys_enter_openat /pid == PID/ { @f[tid] = args->filename; } "
               "tracepoint:syscalls:sys_exit_openat /@f[tid]/ { "
               "printf(\"%-6d %-16s %4d %3d %s\\n\", pid, comm, args->ret, 0, str(@f[tid])); delete(@f[tid]); }")
    return ["bpftrace", "-e", program.replace("PID", pid)]


def tracers(what, peers):
    chosen = [Bare("bare, count, naps", "count", "nap"), Bare("bare, text, naps", "text", "nap"),
              Bare("bare, msgpack, naps", "msgpack", "nap"), Bare("bare, text, each", "text", "each"), Ours(), OursUnprinted()]
    if peers and what == "open":
        if shutil.which("opensnoop"):
            chosen.append(Tracer("opensnoop", lambda b, w, pid, out: ["opensnoop", "-p", pid], b"/dev/null"))
        if shutil.which("bpftrace"):
            chosen.append(Tracer("bpftrace", lambda b, w, pid, out: bpftrace(pid), b"/dev/null"))
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("what", nargs="*", help="peers, open, flood, output, start, memory")
    args = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench: loading BPF needs root")
    args.peers = "peers" in args.what
    if args.peers:
        mount_tracefs()
    chosen = [w for w in args.what if w != "peers"] or ["open", "flood", "start", "memory"]
    bench = Bench(args)
    try:
        for what in chosen:
            if what in ("open", "flood"):
                bench.compare_throughput(what, tracers(what, args.peers))
            elif what == "output":
                bench.output()
            elif what == "start":
                bench.start_times()
            elif what == "memory":
                bench.memory()
            else:
                raise SystemExit(f"bench: no '{what}': open, flood, output, start, memory")
    finally:
        bench.done()


if __name__ == "__main__":
    sys.exit(main())
