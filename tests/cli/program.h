// program.h - runs the built program in a directory of its own, as people do.
//
//     run("shop -c 'SELECT 1'");            // then look at result.out, result.err
//     assert_ran("shop -c 'SELECT 1'", 0, " ?column? ...", "");
//
// The directory is also HOME; it is made for each PROGRAM_TEST and removed behind it.
#ifndef TARN_TESTS_CLI_PROGRAM_H
#define TARN_TESTS_CLI_PROGRAM_H

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "tests/test.h"

static char program[512];
static char root[256];      // of this test; removed at its end
static char warehouse[300]; // below it

static inline int set_up(void **state) {
    (void)state;
    const char *build = getenv("TARN_BUILD_DIR");
    (void)snprintf(program, sizeof program, "%s/tarn", build == NULL ? "build-dev" : build);
    (void)snprintf(root, sizeof root, "/tmp/tarn-program-XXXXXX");
    if (mkdtemp(root) == NULL) return -1;
    (void)snprintf(warehouse, sizeof warehouse, "%s/shop", root);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    return tarn_os_remove_tree(tarn_os_posix(), tarn_slice_from_cstr(root), NULL) == TARN_OK ? 0
                                                                                             : -1;
}

#define PROGRAM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static inline void write_file(const char *name, const char *text) {
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static inline void read_file(const char *name, char *text, size_t size) {
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, size - 1, file);
    text[len] = '\0';
    (void)fclose(file);
}

typedef struct outcome {
    int exit_status;
    char out[8192];
    char err[8192];
} outcome;

static outcome result;

// Runs the program through a shell, in the test's directory, which is also HOME.
static inline void run(const char *arguments) {
    char command[2048];
    (void)snprintf(command, sizeof command,
                   "cd %s && HOME=%s NO_COLOR= exec '%s' %s >out.txt 2>err.txt", root, root,
                   program, arguments);
    int status = system(command); // NOLINT(cert-env33-c): the test's own words
    assert_true(WIFEXITED(status));
    result.exit_status = WEXITSTATUS(status);
    read_file("out.txt", result.out, sizeof result.out);
    read_file("err.txt", result.err, sizeof result.err);
}

static inline void assert_ran(const char *arguments, int exit_status, const char *out,
                              const char *err) {
    run(arguments);
    assert_string_equal(result.err, err);
    assert_string_equal(result.out, out);
    assert_int_equal(result.exit_status, exit_status);
}

#endif
