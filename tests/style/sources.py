# SPDX-License-Identifier: Apache-2.0
"""The project's own files, found by walking (git refuses trees that belong to another user, and archives have no .git)."""

import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = {".git", "build", "__pycache__", ".cache"}


def files(*suffixes):
    """Relative paths, sorted; all of them, or those that end with one of the suffixes."""
    found = []
    for where, dirs, names in os.walk(TOP):
        # A build tree may have any name.
        dirs[:] = [d for d in dirs if d not in SKIPPED and not os.path.exists(os.path.join(where, d, "meson-private"))]
        for name in names:
            path = os.path.relpath(os.path.join(where, name), TOP)
            if not suffixes or path.endswith(suffixes):
                found.append(path)
    return sorted(found)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def finish(name, problems, n):
    """Prints the problems; the exit status of a check."""
    for problem in problems:
        print(problem)
    print(f"{name}: {n} checked, {len(problems)} wrong")
    return 1 if problems or n == 0 else 0
