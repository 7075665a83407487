#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# stage.sh BUILD: installs what BUILD holds into BUILD/stage, when something was built since the last time. Tests and
# ./x run programs from there (--root), so that what they run is laid out as an installation is.
set -eu
build=$1
exec 9>"$build/stage.lock"
flock 9
stamp=$build/stage/.stamp
if [ ! -e "$stamp" ] || [ "$build/.ninja_log" -nt "$stamp" ] || [ "$build/build.ninja" -nt "$stamp" ]; then
        DESTDIR=$build/stage meson install -C "$build" --no-rebuild --only-changed --quiet >"$build/stage.log" 2>&1 || {
                cat "$build/stage.log" >&2
                exit 1
        }
        : >"$stamp"
        touch -r "$build/.ninja_log" "$stamp"
        if [ "$build/build.ninja" -nt "$stamp" ]; then touch -r "$build/build.ninja" "$stamp"; fi
fi
