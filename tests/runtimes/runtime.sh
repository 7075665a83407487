#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Containers of one runtime, with a daemon, image and state of their own below a directory:
#   runtime.sh up RUNTIME DIR PROGRAM       PROGRAM is a static program: the image's /nothing
#   runtime.sh run RUNTIME DIR NAME [stay]  runs /nothing to its end, or in the background with an argument; of runc and crun also
#                                           "large", "deep" and "rude": a bundle whose config.json is that
#   runtime.sh many RUNTIME DIR PREFIX N    PREFIX-1 to PREFIX-N, one after the other
#   runtime.sh rm RUNTIME DIR NAME          ends one that stays
#   runtime.sh down RUNTIME DIR
# RUNTIME is runc, crun, docker, podman, podman-crun, ctr or cri. "up" fails, with the reason as its last line, where the runtime
# cannot make containers.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
verb=$1 runtime=$2 dir=$(mkdir -p "$3" && cd "$3" && pwd)
log=$dir/log

# Starts a daemon of its own session, which outlives this script; "down" ends it by its pid.
start_daemon() {
        setsid "$@" >>"$log" 2>&1 </dev/null &
        echo $! >>"$dir/daemons"
}

wait_for() {
        for _ in $(seq 200); do
                "$@" >>"$log" 2>&1 && return
                sleep 0.05
        done
        echo "no answer: $*" >>"$log"
        return 1
}

make_rootfs() {
        mkdir -p "$dir"/rootfs/{dev,etc,proc,sys,tmp}
        install -m 755 "$1" "$dir/rootfs/nothing"
        echo "root:x:0:0:root:/:/nothing" >"$dir/rootfs/etc/passwd"
}

# --- runc and crun by hand ---

bundle() {
        local arguments='"/nothing"' more=''
        case ${2:-} in
        stay) arguments+=',"stay"' ;;
        deep) more=",\"x\":$(printf '[%.0s' {1..5000})$(printf ']%.0s' {1..5000})" ;;
        rude) more=',"annotations":{"io.kubernetes.cri.container-name":"\u001b[2J\u009b","io.kubernetes.pod.name":"\u202e"}' ;;
        esac
        mkdir -p "$dir/bundles/$1"
        cat >"$dir/bundles/$1/config.json" <<END
{"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"args":[$arguments],"cwd":"/"},"root":{"path":"$dir/rootfs"},
"mounts":[{"destination":"/proc","type":"proc","source":"proc"}],"linux":{"cgroupsPath":"/gt-$$-$1",
"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"network"},{"type":"ipc"},{"type":"uts"}]}$more}
END
        [ "${2:-}" != large ] || head -c 104857600 /dev/zero | tr '\0' ' ' >>"$dir/bundles/$1/config.json"
}

oci_run() {
        bundle "$@"
        local detach=
        [ "${2:-}" != stay ] || detach=-d
        (cd "$dir/bundles/$1" && "$runtime" --root "$dir/state" run $detach "$1")
}

oci_rm() { "$runtime" --root "$dir/state" delete --force "$1"; }

# --- docker ---

docker_() { docker -H "unix://$dir/docker.sock" "$@"; }

docker_up() {
        start_daemon dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" -H "unix://$dir/docker.sock" \
                --iptables=false --ip6tables=false --bridge=none
        wait_for docker_ version
        tar -C "$dir/rootfs" -c . | docker_ import - gt:1
}

docker_run() {
        if [ "${2:-}" = stay ]; then docker_ run -d --network none --name "$1" gt:1 /nothing stay
        else docker_ run --rm --network none --name "$1" gt:1 /nothing; fi
}

docker_rm() { docker_ rm -f "$1"; }

# --- podman ---

podman_() {
        CONTAINERS_CONF=$dir/containers.conf podman --root "$dir/root" --runroot "$dir/runroot" --tmpdir "$dir/tmp" "$@"
}

podman_up() {
        local engine=runc
        [ "$runtime" = podman-crun ] && engine=crun
        # Limits that a root without CAP_SYS_RESOURCE may set.
        cat >"$dir/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:$(ulimit -Hn)", "nproc=1024:1024"]
netns = "none"
log_driver = "k8s-file"
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "$engine"
END
        tar -C "$dir/rootfs" -c . | podman_ import - gt:1
}

podman_run() {
        if [ "${2:-}" = stay ]; then podman_ run -d --name "$1" gt:1 /nothing stay
        else podman_ run --rm --name "$1" gt:1 /nothing; fi
}

podman_rm() { podman_ rm -f -t 0 "$1"; }

# --- containerd, by ctr and by CRI ---

ctr_() { ctr -a "$dir/containerd.sock" "$@"; }

make_archive() {
        (cd "$dir" && umoci init --layout oci && umoci new --image oci:1 && umoci unpack --image oci:1 unpacked &&
                cp -a rootfs/. unpacked/rootfs/ && umoci repack --image oci:1 unpacked &&
                umoci config --image oci:1 --config.cmd /nothing --config.cmd stay &&
                skopeo copy oci:oci:1 docker-archive:image.tar:localhost/gt:1)
}

containerd_up() {
        cat >"$dir/containerd.toml" <<END
version = 2
root = "$dir/containerd"
state = "$dir/run"
[grpc]
address = "$dir/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/gt:1"
disable_apparmor = true
restrict_oom_score_adj = true
END
        start_daemon containerd -c "$dir/containerd.toml"
        wait_for ctr_ version
        make_archive
        ctr_ -n "$1" images import "$dir/image.tar"
        [ "$1" = default ] || wait_for cri version
}

ctr_up() { containerd_up default; }

ctr_run() {
        if [ "${2:-}" = stay ]; then ctr_ run -d localhost/gt:1 "$1" /nothing stay
        else ctr_ run --rm localhost/gt:1 "$1" /nothing; fi
}

ctr_rm() {
        ctr_ tasks kill -s KILL "$1"
        wait_for ctr_ tasks delete "$1"
        ctr_ containers delete "$1"
}

cri() { /usr/bin/python3 "$here/cri.py" "$dir" "$@"; }
cri_up() { containerd_up k8s.io; }
cri_run() { cri run "$@"; }
cri_rm() { cri rm "$@"; }

# --- verbs ---

case $runtime in
runc | crun) kind=oci ;;
podman | podman-crun) kind=podman ;;
*) kind=$runtime ;;
esac

case $verb in
up)
        : >"$log"
        make_rootfs "$4"
        if ! { [ $kind = oci ] || "${kind}_up"; } >>"$log" 2>&1 || ! "${kind}_run" gt-probe >>"$log" 2>&1; then
                tail -n 3 "$log" >&2
                exit 1
        fi
        ;;
run) "${kind}_run" "$4" ${5:+"$5"} >>"$log" 2>&1 ;;
many) for i in $(seq "$5"); do "${kind}_run" "$4-$i" >>"$log" 2>&1; done ;;
rm) "${kind}_rm" "$4" >>"$log" 2>&1 ;;
down)
        [ ! -e "$dir/sandboxes" ] || cri rm-all >>"$log" 2>&1 || true
        # containerd leaves its shims behind, and dockerd has a containerd of its own.
        touch "$dir/daemons"
        tac "$dir/daemons" | while read -r pid; do
                kill "$pid" 2>/dev/null || continue
                for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
                kill -KILL "$pid" 2>/dev/null || true
        done
        findmnt -rno TARGET | { grep -F "$dir/" || true; } | sort -r | xargs -r umount -l
        ;;
*) exit 2 ;;
esac
