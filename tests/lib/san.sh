#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# san.sh ASAN-BUILD BUILD: the tests that mean something under a sanitizer. Broker and worker are static and live where nothing of
# the host is, and a fetcher has no address space for shadows, so they come from BUILD; gadgetd, gadgetctl and the tests themselves are instrumented.
set -u
asan=$(cd "$1" && pwd) build=$(cd "$2" && pwd)
lib=$(cd "$(dirname "$0")" && pwd)
export ASAN_OPTIONS=halt_on_error=1:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
logs=("$asan/meson-logs/testlog.json")
meson test -C "$asan" --no-rebuild --print-errorlogs --suite unit --suite property --suite fuzz
if [ "$(id -u)" = 0 ]; then
        "$lib/stage.sh" "$asan" && "$lib/stage.sh" "$build" || exit 1
        rm -rf "$asan/stage-san"
        cp -a "$asan/stage" "$asan/stage-san"
        cp "$build"/stage/usr/libexec/gadgetd/gadget-{broker,worker,fetch} "$asan/stage-san/usr/libexec/gadgetd/"
        GADGET_TEST_STAGE=$asan/stage-san meson test -C "$asan" --no-rebuild --print-errorlogs --logbase san-system -t 3 \
                test-run test-ledger test-faults test-hostile test-privs test-images gadget-trace-open gadget-trace-exec \
                registry-pull registry-access registry-signatures registry-store registry-hostile-registry
        logs+=("$asan/meson-logs/san-system.json")
fi
exec python3 "$lib/report.py" "${logs[@]}"
