/* SPDX-License-Identifier: Apache-2.0 */
/* The table. A new command or option is a row here and nothing else; what it does lives in a file
 * of its own. */
#include "client/render.h"
#include "gadgetctl/command.h"

#define FLAG(_name, _letter, _member, _help)                                                       \
        { _name, _letter, OPTION_FLAG, offsetof(struct args, _member), NULL, _help }
#define VALUE(_name, _letter, _type, _member, _value, _help, ...)                                  \
        { _name, _letter, _type, offsetof(struct args, _member), _value, _help, __VA_ARGS__ }

static const char *const row_outputs[] = { "columns", "json", "jsonpretty", "yaml",
                                           "csv",     "none", NULL };
static const char *const list_outputs[] = { "columns", "json", "jsonpretty", "yaml", NULL };
static const char *const object_outputs[] = { "yaml", "json", "jsonpretty", NULL };

/* clang-format off */
const struct option_info global_options[] = {
        VALUE("root", 0, OPTION_TEXT, root, "DIR", "Put DIR in front of every path of gadgetd's", NULL, COMPLETE_DIRECTORY),
        VALUE("socket", 0, OPTION_TEXT, socket, "PATH", "Talk to the gadgetd that listens on PATH; also $GADGETD_SOCKET", NULL, COMPLETE_FILE),
        FLAG("help", 'h', help, "Show what a command does and takes"),
};
const size_t n_global_options = ARRAY_SIZE(global_options);

#define OPTION_ROW_OUTPUT                                                                                   \
        VALUE("output", 'o', OPTION_CHOICE, output, "MODE", "How to print rows: columns (default, unless the gadget says otherwise), json, jsonpretty, yaml, csv or none", row_outputs)
#define OPTION_FIELDS                                                                                       \
        VALUE("fields", 0, OPTION_TEXT, fields, "LIST", "Fields to print: a,b (these, in this order), +a,-b (more and fewer than by default), ds1:a;ds2:b")
/* What the worker does with the rows (include/gadget/run-options.h); here is how it is typed. */
#define TYPED_FILTER      'F', OPTION_TEXT, "TERMS"
#define TYPED_FILTER_EXPR 'E', OPTION_TEXT, "EXPR"
#define TYPED_SORT        0, OPTION_TEXT, "FIELDS"
#define TYPED_MAX_ENTRIES 0, OPTION_TEXT, "N"
#define TYPED_INTERVAL    0, OPTION_TEXT, "TIME"
#define TYPED_COUNT       0, OPTION_TEXT, "N"
#define TYPED_KEEP        0, OPTION_SWITCH, NULL
#define TYPED_IFACE       0, OPTION_TEXT, "NAME"
#define TYPED_PERF_BUFFERS 0, OPTION_SWITCH, NULL
#define TYPED_ROW(_key, _letter, _type, _value, _member, _doc) { _key, _letter, _type, offsetof(struct args, run_options[_member]), _value, _doc },
#define TYPED(...) TYPED_ROW(__VA_ARGS__)
#define RUN_OPTION(_name, _key, _alias, _doc) TYPED(_key, TYPED_##_name, RUN_OPTION_##_name, _doc)

#define OPTION_RECORD                                                                                       \
        VALUE("record", 0, OPTION_TEXT, record, "FILE", "Write the rows to FILE as well, for \"gadgetctl replay\"", NULL, COMPLETE_FILE)
#define OPTION_LIST_OUTPUT                                                                                  \
        VALUE("output", 'o', OPTION_CHOICE, output, "MODE", "How to print: columns (default), json, jsonpretty or yaml", list_outputs)
#define OPTION_OBJECT_OUTPUT                                                                                \
        VALUE("output", 'o', OPTION_CHOICE, output, "MODE", "How to print: yaml (default), json or jsonpretty", object_outputs)

static const char *const pull_choices[] = { "always", "missing", "never", NULL };
/* What concerns the registry of the one image that the command names. */
#define OPTIONS_REGISTRY                                                                                    \
        FLAG("insecure", 0, insecure, "Do not verify the certificate of the registry that IMAGE names"),     \
        FLAG("plain-http", 0, plain_http, "Speak http to the registry that IMAGE names"),                     \
        VALUE("authfile", 0, OPTION_TEXT, authfile, "FILE", "Credentials, in docker's form; also $REGISTRY_AUTH_FILE", NULL, COMPLETE_FILE), \
        VALUE("cert-dir", 0, OPTION_TEXT, cert_dir, "DIR", "Certificates (*.crt, *.cert, *.key) in place of those in certs.d", NULL, COMPLETE_DIRECTORY), \
        VALUE("transfer-timeout", 0, OPTION_DURATION, transfer_timeout_ns, "TIME", "Give the transfer up after this time; default 30m")
#define OPTION_QUIET FLAG("quiet", 'q', quiet, "Print the digest only")
#define OPTION_PLATFORM                                                                                     \
        VALUE("platform", 0, OPTION_TEXT, platform, "OS/ARCH", "Platform to pull, such as linux/arm64; default this machine's")

static const struct option_info pull_options[] = {
        OPTION_QUIET, OPTION_PLATFORM,
        FLAG("all-platforms", 0, all_platforms, "Pull every platform of the image"),
        OPTIONS_REGISTRY,
};
static const struct option_info push_options[] = { OPTION_QUIET, OPTIONS_REGISTRY };
static const char *const signature_formats[] = { "simple", "bundle", NULL };
static const char *const archive_formats[] = { "oci-archive", "oci-dir", NULL };
static const struct option_info sign_options[] = {
        VALUE("key", 0, OPTION_LIST, keys, "FILE", "Private key, PEM: ECDSA P-256 or Ed25519", NULL, COMPLETE_FILE),
        VALUE("format", 0, OPTION_CHOICE, signature_format, "FORM", "simple (default; the tag sha256-HEX.sig) or bundle (a sigstore bundle)", signature_formats),
};
static const struct option_info verify_options[] = {
        VALUE("key", 0, OPTION_LIST, keys, "FILE", "Public key, PEM; may stand several times, one must fit", NULL, COMPLETE_FILE),
        FLAG("check-reference", 0, all, "The signature must name this repository too, not the digest alone"),
};
static const struct option_info prune_options[] = {
        FLAG("all", 'a', all, "Also remove every image that no instance runs"),
};
static const struct option_info export_options[] = {
        VALUE("format", 0, OPTION_CHOICE, format, "FORM", "oci-archive (default), a tar file, or oci-dir, a directory", archive_formats),
};
static const struct option_info login_options[] = {
        VALUE("username", 'u', OPTION_TEXT, username, "USER", "User name; asked for by default"),
        VALUE("password", 'p', OPTION_TEXT, password, "PASSWORD", "Password; everybody can see it in the list of processes"),
        FLAG("password-stdin", 0, password_stdin, "Read the password from standard input"),
        VALUE("authfile", 0, OPTION_TEXT, authfile, "FILE", "Where to keep it; default $REGISTRY_AUTH_FILE or ~/.docker/config.json", NULL, COMPLETE_FILE),
};
static const struct option_info logout_options[] = {
        VALUE("authfile", 0, OPTION_TEXT, authfile, "FILE", "Where it is kept; default all usual places", NULL, COMPLETE_FILE),
};

static const struct option_info run_options[] = {
        OPTION_ROW_OUTPUT,
        OPTION_FIELDS,
        GADGET_RUN_OPTIONS(RUN_OPTION)
        OPTION_RECORD,
        VALUE("timeout", 't', OPTION_DURATION, timeout_ns, "TIME", "Stop after 10s, 500ms, 1m30s; a bare number is seconds"),
        FLAG("detach", 'd', detach, "Leave the gadget running, print its id and return"),
        VALUE("name", 0, OPTION_TEXT, name, "NAME", "Name of the instance; by default one is made up"),
        VALUE("container", 'c', OPTION_TEXT, container_name, "NAMES", "Only these containers: a,b,!c; ! excludes, a word may end in *"),
        VALUE("containername", 0, OPTION_TEXT, container_name, "NAMES", "The same"),
        VALUE("runtime-containername", 0, OPTION_TEXT, container_name, "NAMES", "The same"),
        VALUE("runtimes", 'r', OPTION_TEXT, container_runtime, "NAMES", "Only containers of these runtimes: docker, containerd, cri-o, podman, runc, crun"),
        VALUE("container-id", 0, OPTION_TEXT, container_id, "IDS", "Only containers with these ids"),
        VALUE("container-image", 0, OPTION_TEXT, container_image, "NAMES", "Only containers of these images"),
        VALUE("container-digest", 0, OPTION_TEXT, container_digest, "DIGESTS", "Only containers of images with these digests"),
        VALUE("runtime-containerimage-digest", 0, OPTION_TEXT, container_digest, "DIGESTS", "The same"),
        VALUE("k8s-namespace", 0, OPTION_TEXT, k8s_namespace, "NAMES", "Only containers of these Kubernetes namespaces"),
        VALUE("k8s-podname", 0, OPTION_TEXT, k8s_pod, "NAMES", "Only containers of these pods"),
        VALUE("k8s-containername", 0, OPTION_TEXT, k8s_container, "NAMES", "Only containers of these names in their pods"),
        VALUE("k8s-selector", 0, OPTION_TEXT, k8s_labels, "LABELS", "Only containers of pods with these labels: a=b,c=d,!e=f; of each key one of its values"),
        FLAG("containers", 0, containers, "All containers, and nothing of the host; so it is when containers are chosen"),
        FLAG("host", 0, host, "Include what happens outside of containers; so it is when nothing is chosen"),
        VALUE("ring-size", 0, OPTION_SIZE, ring_size, "SIZE", "Size of the event ring, a power of two such as 4M"),
        VALUE("definition", 0, OPTION_TEXT, definition, "FILE", "gadget.yaml for IMAGE when that is an object file", NULL, COMPLETE_FILE),
        VALUE("pull", 0, OPTION_CHOICE, pull, "WHEN", "When to pull IMAGE from its registry: always, missing (default) or never", pull_choices),
        OPTIONS_REGISTRY,
        FLAG("allow-unsigned", 0, allow_unsigned, "Run IMAGE although policy does not admit it (root only)"),
        FLAG("allow-unsafe", 0, allow_unsafe, "Permit helpers that can change the system (root only)"),
};
/* The rows of an instance that runs already, and those of a recording, are selected by gadgetctl itself. */
#define OPTIONS_SELECT                                                                                      \
        VALUE("filter", 'F', OPTION_TEXT, run_options[RUN_OPTION_FILTER], "TERMS", "Show only rows for which all terms hold: FIELD OP VALUE[,...]; OP is one of == != > >= < <= ~ !~"), \
        VALUE("filter-expr", 'E', OPTION_TEXT, run_options[RUN_OPTION_FILTER_EXPR], "EXPR", "Show only rows for which it holds: comparisons, in (A, B), contains, joined by and, or, not, ()"), \
        VALUE("max-entries", 0, OPTION_TEXT, run_options[RUN_OPTION_MAX_ENTRIES], "N", "Show at most so many rows of each array; 0 = all")
static const struct option_info attach_options[] = {
        OPTION_ROW_OUTPUT,
        OPTION_FIELDS,
        OPTIONS_SELECT,
        VALUE("sort", 0, OPTION_TEXT, run_options[RUN_OPTION_SORT], "FIELDS", "Sort each array by these fields; -FIELD = largest first"),
        OPTION_RECORD,
        VALUE("timeout", 't', OPTION_DURATION, timeout_ns, "TIME", "Leave after 10s, 500ms, 1m30s; a bare number is seconds"),
        VALUE("tail", 0, OPTION_COUNT, tail, "N", "Print the last N rows first, as far as the event ring holds them; \"all\" = all of these"),
};
static const struct option_info replay_options[] = {
        OPTION_ROW_OUTPUT,
        OPTION_FIELDS,
        OPTIONS_SELECT,
        VALUE("sort", 0, OPTION_TEXT, run_options[RUN_OPTION_SORT], "FIELDS", "Sort each array, or all rows of a tracer, by these fields; -FIELD = largest first"),
};
static const struct option_info list_options[] = {
        OPTION_LIST_OUTPUT,
        FLAG("all", 'a', all, "Also what gadgetd runs for itself, such as the socket enricher"),
};
static const struct option_info containers_options[] = {
        OPTION_LIST_OUTPUT,
        FLAG("watch", 'w', watch, "Print the list again whenever it has changed"),
};
static const struct option_info show_options[] = {
        OPTION_OBJECT_OUTPUT,
        FLAG("privs", 0, privs, "Add the privileges of worker and broker, read back from the kernel"),
};
static const struct option_info build_options[] = {
        VALUE("prog", 0, OPTION_TEXT, prog, "FILE", "eBPF C source; default DIR/program.bpf.c", NULL, COMPLETE_FILE),
        VALUE("definition", 0, OPTION_TEXT, definition, "FILE", "gadget.yaml; default DIR/gadget.yaml", NULL, COMPLETE_FILE),
        VALUE("file", 'f', OPTION_TEXT, build_file, "FILE", "What the sources are called; default DIR/build.yaml if there is one", NULL, COMPLETE_FILE),
        VALUE("platform", 0, OPTION_LIST, platforms, "LIST", "Build only for these: linux/amd64, linux/arm64; may stand several times"),
        VALUE("cflags", 0, OPTION_LIST, cflags, "OPTIONS", "More options for clang, such as \"-DNAME=1 -I ../include\"; those that could write are refused"),
        VALUE("tag", 't', OPTION_TEXT, tag, "NAME[:TAG]", "Name of the image; default the name of DIR", NULL, COMPLETE_IMAGE),
        VALUE("annotation", 0, OPTION_LIST, annotations, "KEY=VALUE", "Annotation of the image; may stand several times"),
        FLAG("update-metadata", 0, update_metadata, "First add what gadget.yaml does not mention (data sources, fields, parameters), to be described"),
        VALUE("validate-metadata", 0, OPTION_SWITCH, validate_metadata, NULL, "Check gadget.yaml against the object; so it is unless =false"),
};
static const struct option_info inspect_options[] = { OPTION_OBJECT_OUTPUT };
static const struct option_info version_options[] = { VALUE("output", 'o', OPTION_CHOICE, output, "MODE", "How to print: columns (default), json, jsonpretty or yaml", list_outputs) };

#define OPTIONS(_options) .options = _options, .n_options = ARRAY_SIZE(_options)

const struct command commands[] = {
        { .name = "run", .arguments = "IMAGE [--PARAM VALUE]...", .summary = "Run a gadget and print its rows",
          .description =
                "IMAGE is the name of an image, a directory with program.bpf.c and gadget.yaml, which is compiled first, or an eBPF object "
                "(FILE.o, with the gadget.yaml beside it if there is one). Options that run does not know are parameters of the gadget; "
                "\"gadgetctl run IMAGE --help\" lists them. A parameter without a value is true. Of several data sources one is meant by "
                "--filter SOURCE:TERM or --filter.SOURCE TERM, and so for --filter-expr, --sort, --max-entries, --interval, --count and --keep. The gadget is stopped by Ctrl-C, by "
                "--timeout, or when standard output is closed; rows that were lost on the way are reported on standard error. "
                "Where no gadgetd runs, root gets a private one that ends with the command.",
          OPTIONS(run_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_IMAGE, .takes_params = true, .run = cmd_run },
        { .name = "attach", .arguments = "INSTANCE", .summary = "Print the rows of a gadget that runs already",
          .description =
                "INSTANCE is a name, an id or the start of an id that no other instance has. Several may attach to one instance. "
                "Leaving does not stop it.",
          OPTIONS(attach_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_INSTANCE, .run = cmd_attach },
        { .name = "replay", .arguments = "FILE", .summary = "Print the rows of a recording",
          .description =
                "FILE was written by \"gadgetctl run --record FILE\"; \"-\" is standard input. Needs neither gadgetd nor root. What is damaged or cut "
                "off at the end of the file is reported; what stands before it is printed.",
          OPTIONS(replay_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_FILE, .run = cmd_replay },
        { .name = "test", .arguments = "DIR [IMAGE]", .summary = "Run the tests that a gadget brings with it",
          .description =
                "For each DIR/test/*.yaml the gadget (compiled from DIR, or IMAGE) is started with its params, command is run, and the rows are "
                "compared with what expect says, until all have come or timeout (default 10s) is over. An event is a map of fields to values or to "
                "matchers (is, not, min, max, matches, contains); $PID stands for the process id of the command. count is how many rows match, "
                "exactly; without it one or more.",
          .words_min = 1, .words_max = 2, .complete = COMPLETE_DIRECTORY, .run = cmd_test },
        { .name = "list", .aliases = { "ps", "ls" }, .arguments = "", .summary = "List the instances",
          OPTIONS(list_options), .run = cmd_list },
        { .name = "containers", .arguments = "", .summary = "List the containers of this host",
          .description = "Whoever made them: what has a mount namespace and a cgroup of its own is listed, with the names that runtimes have written down.",
          OPTIONS(containers_options), .run = cmd_containers },
        { .name = "show", .arguments = "INSTANCE", .summary = "Show one instance: state, permissions, losses",
          OPTIONS(show_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_INSTANCE, .run = cmd_show },
        { .name = "stop", .aliases = { "rm", "delete" }, .arguments = "INSTANCE...", .summary = "Stop instances",
          .description = "Returns when nothing of them is left in the kernel.",
          .words_min = 1, .words_max = 256, .complete = COMPLETE_INSTANCE, .run = cmd_stop },
        { .name = "build", .aliases = { "image build" }, .arguments = "[DIR] [NAME[:TAG]]", .summary = "Compile a gadget and pack it as an image",
          .description =
                "Compiles DIR/program.bpf.c (or --prog) for amd64 and arm64 with clang, as the user who calls, and packs the objects with "
                "DIR/gadget.yaml (or --definition); DIR/build.yaml may name other files of DIR (ebpfsource, metadata). The compiler is $CLANG or clang, the stripper $LLVM_STRIP or llvm-strip; "
                "$SOURCE_DATE_EPOCH is the image's time when it is set. Prints NAME@DIGEST.",
          OPTIONS(build_options), .words_max = 2, .complete = COMPLETE_DIRECTORY, .run = cmd_build },
        { .name = "pull", .aliases = { "image pull" }, .arguments = "IMAGE", .summary = "Fetch an image from a registry",
          .description =
                "IMAGE is HOST[:PORT]/PATH[:TAG][@DIGEST], or a short name where gadgetd.yaml has a prefix for these. Signatures beside the "
                "image are fetched as well. What a cut transfer has left is resumed by the next one. Credentials are read from "
                "$REGISTRY_AUTH_FILE, containers' auth.json and ~/.docker/config.json, certificates from certs.d of docker and containers, "
                "proxies from $https_proxy, $http_proxy and $no_proxy.",
          OPTIONS(pull_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_IMAGE, .run = cmd_pull },
        { .name = "push", .aliases = { "image push" }, .arguments = "IMAGE", .summary = "Send an image to the registry that its name says",
          .description = "Signatures of the image go with it. What the registry has already is not sent again.",
          OPTIONS(push_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_IMAGE, .run = cmd_push },
        { .name = "login", .arguments = "[HOST[:PORT]]", .summary = "Keep credentials for a registry",
          .description = "Asks for what is not given. HOST is docker.io by default. The file is docker's config.json, so docker and skopeo read it too.",
          OPTIONS(login_options), .words_max = 1, .run = cmd_login },
        { .name = "logout", .arguments = "[HOST[:PORT]]", .summary = "Forget the credentials for a registry",
          OPTIONS(logout_options), .words_max = 1, .run = cmd_logout },
        { .name = "tag", .aliases = { "image tag" }, .arguments = "SOURCE TARGET", .summary = "Give an image one more name",
          .words_min = 2, .words_max = 2, .complete = COMPLETE_IMAGE, .run = cmd_tag },
        { .name = "image list", .aliases = { "image ls" }, .arguments = "", .summary = "List the images of the local stores",
          OPTIONS(list_options), .run = cmd_image_list },
        { .name = "image inspect", .arguments = "IMAGE", .summary = "Show an image: parameters, fields, permissions, digests",
          OPTIONS(inspect_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_IMAGE, .run = cmd_image_inspect },
        { .name = "image export", .arguments = "IMAGE... FILE", .summary = "Write images with their signatures to an OCI archive",
          .description = "FILE may be - for standard output. The archive is what skopeo calls oci-archive: and, with --format oci-dir, oci:.",
          OPTIONS(export_options), .words_min = 2, .words_max = 256, .complete = COMPLETE_IMAGE, .run = cmd_image_export },
        { .name = "image import", .arguments = "FILE|DIR", .summary = "Take the images of an OCI archive or layout into the store",
          .description = "Every blob's digest is checked. Images are called what the archive calls them.",
          .words_min = 1, .words_max = 1, .complete = COMPLETE_FILE, .run = cmd_image_import },
        { .name = "image sign", .arguments = "--key FILE IMAGE", .summary = "Sign an image with a key, without registry or network",
          .description = "The signature lies beside the image, in cosign's layout, and goes along with push and export. gadgetd never sees the key.",
          OPTIONS(sign_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_IMAGE, .run = cmd_image_sign },
        { .name = "image verify", .arguments = "--key FILE IMAGE", .summary = "Check that an image is signed by a key, without registry or network",
          OPTIONS(verify_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_IMAGE, .run = cmd_image_verify },
        { .name = "image prune", .arguments = "", .summary = "Free what no image of the store needs",
          OPTIONS(prune_options), .run = cmd_image_prune },
        { .name = "image fsck", .arguments = "", .summary = "Check every blob of the store, and move damaged ones to quarantine",
          OPTIONS(list_options), .run = cmd_image_fsck },
        { .name = "image remove", .aliases = { "image rm", "image delete" }, .arguments = "IMAGE...", .summary = "Remove names of images, and what no other name needs",
          .words_min = 1, .words_max = 256, .complete = COMPLETE_IMAGE, .run = cmd_image_remove },
        { .name = "policy show", .arguments = "", .summary = "Show the policy for images as gadgetd reads it",
          OPTIONS(list_options), .run = cmd_policy_show },
        { .name = "policy check", .arguments = "IMAGE", .summary = "Say whether an image may run, and why",
          .description = "Exits with 4 when it may not.",
          OPTIONS(list_options), .words_min = 1, .words_max = 1, .complete = COMPLETE_IMAGE, .run = cmd_policy_check },
        { .name = "version", .arguments = "", .summary = "Print the versions of gadgetctl and gadgetd",
          OPTIONS(version_options), .run = cmd_version },
        { .name = "completion", .arguments = "bash|zsh|fish", .summary = "Print the completion script of a shell",
          .description = "For bash: gadgetctl completion bash > /etc/bash_completion.d/gadgetctl",
          .words_min = 1, .words_max = 1, .complete = COMPLETE_SHELL, .run = cmd_completion },
        { .name = "help", .arguments = "[COMMAND]", .summary = "Show what a command does and takes",
          .words_max = 2, .complete = COMPLETE_COMMAND, .run = cmd_help },
};
const size_t n_commands = ARRAY_SIZE(commands);
/* clang-format on */
