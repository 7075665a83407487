#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads meson's testlog.json (or several) and closes a test run: failures, the table of needs that were not met, and the line
`N passed, N failed, N skipped` alone at the end. What is counted are single cmocka tests (the TEST-COUNT line that
tests/lib/needs.c prints); a program or script that prints none counts as one."""

import json
import re
import sys

COUNT = re.compile(r"TEST-COUNT passed=(\d+) failed=(\d+) skipped=(\d+)")
REASON = re.compile(r"^SKIP-REASON ([\w-]+): (.*)$", re.M)
ENDED_WELL = {"OK", "EXPECTEDFAIL"}


def main(paths):
    passed = failed = skipped = 0
    failures, reasons = [], {}
    tests = []
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as log:
            tests += [json.loads(line) for line in log if line.strip()]
    for test in tests:
        text = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
        count = COUNT.search(text)
        p, f, s = map(int, count.groups()) if count else (0, 0, 0)
        if test["result"] == "SKIP":
            s = max(s, 1)
        elif test["result"] in ENDED_WELL:
            p = p if count else 1
        else:
            f = max(f, 1)
            failures.append(f"{test['name']}: {test['result']}")
        for need, why in REASON.findall(text):
            reasons.setdefault((need, why), [0, test["name"]])[0] += 1
        passed, failed, skipped = passed + p, failed + f, skipped + s
    if failures:
        print("\nFailed:")
        for line in failures:
            print("  " + line)
    if reasons:
        print("\nSkipped, because the machine lacks:")
        for (need, why), (n, name) in sorted(reasons.items()):
            print(f"  {need:<12} {n:>4}  {why} ({name})")
    print(f"\n{len(tests)} programs and scripts; single tests:")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
