/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/run.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lib/needs.h"
#include "tests/lib/wait.h"

struct output {
        int fd;
        char *text;
        size_t len;
};

struct run {
        pid_t pid;
        bool is_reaped;
        int status;
        struct output out;
        struct output err;
        size_t parsed; /* bytes of out.text that run_wait_row() has looked at */
        json_t *row;
        char name[128];
};

static int output_file(const char *dir) {
        char path[512];
        int fd;

        snprintf(path, sizeof(path), "%s/output-XXXXXX", dir);
        fd = mkostemp(path, O_CLOEXEC | O_APPEND);
        if (fd >= 0)
                unlink(path);
        return fd;
}

/* In the child; nothing returns. */
static void exec_program(const struct run_spec *spec, int out_fd, int err_fd) {
        int null = open("/dev/null", O_RDONLY);

        /* A test that is killed takes its programs with it. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(null, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(err_fd, 2) < 0)
                _exit(126);
        if (spec->cwd && chdir(spec->cwd) < 0)
                _exit(126);
        if (spec->uid &&
            (setgroups(0, NULL) < 0 || setresgid(spec->uid, spec->uid, spec->uid) < 0 ||
             setresuid(spec->uid, spec->uid, spec->uid) < 0))
                _exit(126);
        execvp(spec->argv[0], (char *const *)spec->argv);
        dprintf(2, "cannot execute '%s': %s\n", spec->argv[0], strerror(errno));
        _exit(127);
}

static void join(const char *const *argv, char *out, size_t n) {
        size_t len = 0;

        out[0] = '\0';
        for (; *argv && len + 1 < n; argv++)
                len += (size_t)snprintf(out + len, n - len, "%s ", *argv);
}

struct run *run_new(const struct run_spec *spec) {
        struct run *run = calloc(1, sizeof(*run));

        assert_non_null(run);
        join(spec->argv, run->name, sizeof(run->name));
        run->out.fd = output_file(spec->dir);
        run->err.fd = output_file(spec->dir);
        if (run->out.fd < 0 || run->err.fd < 0)
                fail_msg("output file in '%s': %s", spec->dir, strerror(errno));
        fflush(NULL);
        run->pid = fork();
        if (run->pid == 0)
                exec_program(spec, spec->stdout_fd > 0 ? spec->stdout_fd : run->out.fd,
                             run->err.fd);
        if (run->pid < 0)
                fail_msg("fork: %s", strerror(errno));
        return run;
}

struct run *run_free(struct run *run) {
        if (!run)
                return NULL;
        if (run_is_alive(run)) {
                kill(run->pid, SIGCONT);
                kill(run->pid, SIGKILL);
                waitpid(run->pid, NULL, 0);
        }
        close_fd(&run->out.fd);
        close_fd(&run->err.fd);
        free(run->out.text);
        free(run->err.text);
        json_decref(run->row);
        free(run);
        return NULL;
}

pid_t run_pid(const struct run *run) {
        return run->pid;
}

bool run_is_alive(struct run *run) {
        if (!run->is_reaped && waitpid(run->pid, &run->status, WNOHANG) != 0)
                run->is_reaped = true;
        return !run->is_reaped;
}

void run_signal(struct run *run, int signal) {
        if (run_is_alive(run))
                assert_int_equal(kill(run->pid, signal), 0);
}

int run_exit_within(struct run *run, uint64_t timeout_ns) {
        if (!run->is_reaped && wait_child(run->pid, timeout_ns, &run->status) < 0)
                run_fail(run, "does not end within %" PRIu64 " ms", timeout_ns / NSEC_PER_MSEC);
        run->is_reaped = true;
        return WIFEXITED(run->status) ? WEXITSTATUS(run->status) : 128 + WTERMSIG(run->status);
}

int run_exit(struct run *run) {
        return run_exit_within(run, WAIT_DEFAULT);
}

/* Files only grow: reads what is new behind what is there. */
static const char *output_read(struct output *output) {
        struct stat st;
        ssize_t n;
        char *grown;

        assert_int_equal(fstat(output->fd, &st), 0);
        grown = realloc(output->text, (size_t)st.st_size + 1);
        assert_non_null(grown);
        output->text = grown;
        while (output->len < (size_t)st.st_size) {
                n = pread(output->fd, output->text + output->len, (size_t)st.st_size - output->len,
                          (off_t)output->len);
                if (n <= 0)
                        break;
                output->len += (size_t)n;
        }
        output->text[output->len] = '\0';
        return output->text;
}

const char *run_out(struct run *run) {
        return output_read(&run->out);
}

const char *run_err(struct run *run) {
        return output_read(&run->err);
}

size_t run_out_size(struct run *run) {
        output_read(&run->out);
        return run->out.len;
}

void run_fail(struct run *run, const char *fmt, ...) {
        char text[512];
        va_list args;
        size_t from;

        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        output_read(&run->out);
        output_read(&run->err);
        from = run->out.len > 4000 ? run->out.len - 4000 : 0;
        print_error("--- %s: %s\n--- standard output (its end)\n%s\n--- standard error\n%s\n---\n",
                    run->name, text, run->out.text + from, run->err.text);
        fail();
        abort();
}

/* Looks, and looks again: what was written just before the program ended counts. */
static bool has_text(struct run *run, struct output *output, const char *text) {
        bool is_alive = run_is_alive(run);

        if (strstr(output_read(output), text))
                return true;
        if (!is_alive)
                run_fail(run, "ended without '%s'", text);
        return false;
}

void run_wait_out(struct run *run, const char *text) {
        if (!WAIT_UNTIL(has_text(run, &run->out, text), WAIT_DEFAULT))
                run_fail(run, "no '%s' on standard output", text);
}

void run_wait_err(struct run *run, const char *text) {
        if (!WAIT_UNTIL(has_text(run, &run->err, text), WAIT_DEFAULT))
                run_fail(run, "no '%s' on standard error", text);
}

json_t *row_get(const json_t *row, const char *field) {
        json_t *value = json_object_get(row, field);
        const char *dot = strchr(field, '.');
        char head[128];

        if (value || !dot)
                return value;
        snprintf(head, sizeof(head), "%.*s", (int)(dot - field), field);
        value = json_object_get(row, head);
        return value ? row_get(value, dot + 1) : NULL;
}

const char *row_str(const json_t *row, const char *field) {
        json_t *value = row_get(row, field);

        if (!json_is_string(value))
                fail_msg("field '%s' is no string in %s", field, json_dumps(row, JSON_COMPACT));
        return json_string_value(value);
}

json_int_t row_int(const json_t *row, const char *field) {
        json_t *value = row_get(row, field);

        if (!json_is_integer(value))
                fail_msg("field '%s' is no integer in %s", field, json_dumps(row, JSON_COMPACT));
        return json_integer_value(value);
}

static bool row_matches(const json_t *row, const char *field, const char *value) {
        json_t *found = row_get(row, field);
        char number[32];

        if (json_is_string(found))
                return str_eq(json_string_value(found), value);
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(found));
        return json_is_integer(found) && str_eq(number, value);
}

/* Parses the whole lines that are new; the first that matches is kept in run->row. */
static bool find_row(struct run *run, const char *field, const char *value) {
        bool is_alive = run_is_alive(run);
        const char *text = run_out(run), *end;

        while ((end = memchr(text + run->parsed, '\n', run->out.len - run->parsed))) {
                size_t n = (size_t)(end - text) - run->parsed;
                json_t *row = json_loadb(text + run->parsed, n, 0, NULL);

                if (!row)
                        run_fail(run, "line is not JSON: '%.*s'", (int)n, text + run->parsed);
                run->parsed += n + 1;
                if (row_matches(row, field, value)) {
                        json_decref(run->row);
                        run->row = row;
                        return true;
                }
                json_decref(row);
        }
        if (!is_alive)
                run_fail(run, "ended without a row whose %s is '%s'", field, value);
        return false;
}

json_t *run_wait_row(struct run *run, const char *field, const char *value) {
        if (!WAIT_UNTIL(find_row(run, field, value), WAIT_DEFAULT))
                run_fail(run, "no row whose %s is '%s'", field, value);
        return run->row;
}

json_t *run_rows(struct run *run) {
        const char *at = run_out(run), *end;
        json_t *rows = json_array();

        for (; (end = strchr(at, '\n')); at = end + 1) {
                json_t *row = json_loadb(at, (size_t)(end - at), 0, NULL);

                if (!json_is_object(row)) {
                        json_decref(row);
                        json_decref(rows);
                        return NULL;
                }
                json_array_append_new(rows, row);
        }
        return rows;
}
