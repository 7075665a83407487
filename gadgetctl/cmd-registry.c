/* SPDX-License-Identifier: Apache-2.0 */
/* `gadgetctl pull`, `push`, `login` and `logout`. */
#include <stdio.h>
#include <termios.h>

#include "base/file.h"
#include "gadgetctl/diag.h"
#include "gadgetctl/registry.h"
#include "image/ref.h"

#define DEFAULT_HOST "docker.io"

int cmd_pull(struct args *args) {
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct rep_image_pull reply;
        struct error err = { 0 };
        int r;

        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = registry_pull(&session, args, args->words.items[0], false, &reply, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        if (args->quiet) {
                printf("%s\n", reply.digest);
                return EXIT_OK;
        }
        printf("%s %s@%s\n", reply.was_present ? "Already here:" : "Pulled", reply.image,
               reply.digest);
        if (reply.note)
                diag("note: %s", reply.note);
        return EXIT_OK;
}

int cmd_push(struct args *args) {
        cleanup_registry_access struct registry_access access = { .proxy = NULL };
        cleanup_session struct session session = { .daemon_pidfd = -1 };
        struct req_image_transfer request = { .image = args->words.items[0] };
        struct error err = { 0 };
        struct rep_image reply;
        struct image_ref ref;
        int r;

        r = image_ref_parse(request.image, &ref, &err);
        if (r == 0)
                r = registry_access_read(args, ref.host[0] ? ref.host : NULL, ref.path, &access,
                                         &request, &err);
        if (r < 0)
                return diag_failure(&err, r, NULL);
        r = session_open(&session, args, SESSION_MAY_SPAWN);
        if (r != 0)
                return r;
        r = registry_transfer(&session, args, METHOD_IMAGE_PUSH, &request, &reply, &err);
        if (r < 0)
                return diag_failure(&err, r, session.connection);
        if (args->quiet)
                printf("%s\n", reply.digest);
        else
                printf("Pushed %s@%s\n", reply.image, reply.digest);
        return EXIT_OK;
}

/* --- login --- */

static int read_line(FILE *f, char *out, size_t n, const char *what, struct error *err) {
        size_t len;

        if (!fgets(out, (int)n, f))
                return error_set(err, ERROR_INVALID, -EINVAL, "no %s was given", what);
        len = strcspn(out, "\r\n");
        if (out[len] == '\0' && len + 1 == n)
                return error_set(err, ERROR_LIMIT, -E2BIG, "the %s is too long", what);
        out[len] = '\0';
        if (len == 0)
                return error_set(err, ERROR_INVALID, -EINVAL, "the %s is empty", what);
        return 0;
}

/* Without echo where it is typed. */
static int prompt_secret(char *out, size_t n, struct error *err) {
        struct termios saved, quiet;
        bool is_terminal = tcgetattr(STDIN_FILENO, &saved) == 0;
        int r;

        if (!is_terminal)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "standard input is no terminal to ask for the password; use "
                                 "--password-stdin");
        quiet = saved;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "Password: ");
        fflush(stderr);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        r = read_line(stdin, out, n, "password", err);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
        fprintf(stderr, "\n");
        return r;
}

static int read_credentials(const struct args *args, struct credentials *c, struct error *err) {
        int r = 0;

        if (args->password && args->password_stdin)
                return error_set(err, ERROR_INVALID, -EINVAL,
                                 "-p and --password-stdin exclude each other");
        if (!args->username && args->password_stdin)
                return error_set(err, ERROR_INVALID, -EINVAL, "--password-stdin needs -u USER");
        if (args->username) {
                if (strlen(args->username) >= sizeof(c->username) || strchr(args->username, ':'))
                        return error_set(err, ERROR_INVALID, -EINVAL,
                                         "the user name is too long or has a colon");
                snprintf(c->username, sizeof(c->username), "%s", args->username);
        } else {
                fprintf(stderr, "Username: ");
                fflush(stderr);
                r = read_line(stdin, c->username, sizeof(c->username), "user name", err);
        }
        if (r == 0 && args->password) {
                diag("-p shows the password to everybody who can list processes; use "
                     "--password-stdin");
                if (strlen(args->password) >= sizeof(c->secret))
                        return error_set(err, ERROR_LIMIT, -E2BIG, "the password is too long");
                snprintf(c->secret, sizeof(c->secret), "%s", args->password);
        } else if (r == 0) {
                r = args->password_stdin
                            ? read_line(stdin, c->secret, sizeof(c->secret), "password", err)
                            : prompt_secret(c->secret, sizeof(c->secret), err);
        }
        return r;
}

/* "localhost:5000", "https://registry.example/", "registry.example/team". */
static int read_host(const struct args *args, char *out, size_t n, struct error *err) {
        const char *word = args->words.n > 0 ? args->words.items[0] : DEFAULT_HOST;
        const char *host = str_after(word, "https://") ?: str_after(word, "http://") ?: word;
        char probe[600];
        struct image_ref ref;

        snprintf(out, n, "%.*s", (int)strcspn(host, "/"), host);
        snprintf(probe, sizeof(probe), "%.255s/x", out);
        if (image_ref_parse(probe, &ref, NULL) < 0 || !str_eq(ref.host, out))
                return error_set(err, ERROR_INVALID, -EINVAL, "'%.200s' is not HOST[:PORT]", word);
        return 0;
}

int cmd_login(struct args *args) {
        cleanup_credentials struct credentials credentials = { .is_identity_token = false };
        cleanup_free char *where = NULL;
        struct error err = { 0 };
        char host[256];
        int r;

        r = read_host(args, host, sizeof(host), &err);
        if (r == 0)
                r = read_credentials(args, &credentials, &err);
        if (r == 0)
                r = credentials_store(args->authfile, host, &credentials, &where, &err);
        if (r < 0)
                return diag_failure(&err, r, NULL);
        fprintf(stderr, "Credentials for %s are kept in %s\n", host, where);
        return EXIT_OK;
}

int cmd_logout(struct args *args) {
        struct error err = { 0 };
        char host[256];
        int r;

        r = read_host(args, host, sizeof(host), &err);
        if (r == 0)
                r = credentials_remove(args->authfile, host, &err);
        if (r == -ENOENT)
                error_set(&err, ERROR_NOT_FOUND, r, "not logged in to %s", host);
        return r < 0 ? diag_failure(&err, r, NULL) : EXIT_OK;
}
