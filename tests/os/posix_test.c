#include "os/os.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

// Each test works in a directory of its own, removed at its end.
static char root[256];
static tarn_arena test_arena;
static tarn_error err;

static int set_up(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    (void)snprintf(root, sizeof root, "%s/tarn-posix-XXXXXX", base == NULL ? "/tmp" : base);
    tarn_arena_init(&test_arena, &tarn_alloc_libc, 1 << 20);
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    tarn_status status = tarn_os_remove_tree(tarn_os_posix(), tarn_slice_from_cstr(root), &err);
    tarn_arena_reset(&test_arena);
    return status == TARN_OK ? 0 : -1;
}

#define POSIX_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

// `name` below the test's directory.
static tarn_slice at(const char *name) {
    tarn_slice path;
    assert_true(tarn_arena_printf(&test_arena, &path, "%s/%s", root, name));
    return path;
}

static void write_file(const char *name, const char *text) {
    assert_int_equal(tarn_os_write_file(tarn_os_posix(), at(name), tarn_slice_from_cstr(text),
                                        TARN_WRITE_REPLACE, &err),
                     TARN_OK);
}

static void assert_file(const char *name, const char *text) {
    tarn_slice bytes;
    assert_int_equal(
        tarn_os_read_file(tarn_os_posix(), at(name), 1 << 20, &test_arena, &bytes, &err), TARN_OK);
    assert_true(tarn_slice_equal(bytes, tarn_slice_from_cstr(text)));
}

static void assert_names(const char *directory, const char *expected) {
    tarn_slice *names = NULL;
    size_t count = 0;
    assert_int_equal(
        tarn_os_list(tarn_os_posix(), at(directory), &test_arena, &names, &count, &err), TARN_OK);
    char joined[512] = "";
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s" TARN_SLICE_FMT,
                       i == 0 ? "" : " ", TARN_SLICE_ARG(names[i]));
    }
    assert_string_equal(joined, expected);
}

static bool exists(const char *name) {
    tarn_file_info info;
    assert_int_equal(tarn_os_stat(tarn_os_posix(), at(name), &info, &err), TARN_OK);
    return info.exists;
}

// ---- whole files ----

TEST(a_written_file_replaces_the_old_one_and_leaves_no_other) {
    write_file("a", "old");
    write_file("a", "new and longer");
    assert_file("a", "new and longer");
    write_file("a", "");
    assert_file("a", "");
    assert_names("", "a");
}

TEST(an_exclusive_write_conflicts_and_keeps_the_old_file) {
    tarn_os *os = tarn_os_posix();
    assert_int_equal(tarn_os_write_file(os, at("a"), TARN_LIT("1"), TARN_WRITE_EXCLUSIVE, &err),
                     TARN_OK);
    assert_int_equal(tarn_os_write_file(os, at("a"), TARN_LIT("2"), TARN_WRITE_EXCLUSIVE, &err),
                     TARN_CONFLICT);
    assert_non_null(strstr(err.message, "/a' exists already"));
    assert_file("a", "1");
    assert_names("", "a");
}

TEST(a_name_as_long_as_the_file_system_allows_can_be_written) {
    char name[256];
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    write_file(name, "content");
    assert_file(name, "content");
}

TEST(a_file_over_the_limit_is_refused_with_both_sizes) {
    write_file("a", "12345");
    tarn_slice bytes;
    assert_int_equal(tarn_os_read_file(tarn_os_posix(), at("a"), 4, &test_arena, &bytes, &err),
                     TARN_INVALID);
    assert_non_null(strstr(err.message, "has 5 bytes, more than the 4 allowed"));
}

TEST(an_aborted_draft_leaves_nothing_behind) {
    tarn_draft *draft = NULL;
    assert_int_equal(tarn_draft_open(tarn_os_posix(), at("a"), &draft, &err), TARN_OK);
    assert_int_equal(tarn_file_append(tarn_draft_file(draft), TARN_LIT("x"), &err), TARN_OK);
    tarn_slice *names = NULL;
    size_t count = 0;
    assert_int_equal(tarn_os_list(tarn_os_posix(), at(""), &test_arena, &names, &count, &err),
                     TARN_OK);
    assert_int_equal(count, 1);
    assert_true(tarn_draft_is_name(names[0]));
    assert_true(tarn_draft_is_ours(names[0]));
    tarn_draft_abort(draft);
    assert_names("", "");
    assert_false(tarn_draft_is_name(TARN_LIT("a.tmp")));
    assert_false(tarn_draft_is_name(TARN_LIT(".tmp")));
    assert_false(tarn_draft_is_name(TARN_LIT(".a")));
    // The draft of another program, which may be at work.
    tarn_slice other = TARN_LIT(".snapshot-1.35f2719c-ffae-4697-960e-af95a0b4bd51.tmp");
    assert_true(tarn_draft_is_name(other));
    assert_false(tarn_draft_is_ours(other));
    assert_false(tarn_draft_is_ours(TARN_LIT(".a.tmp")));
}

// ---- files ----

TEST(create_refuses_an_existing_name_and_append_continues_it) {
    tarn_os *os = tarn_os_posix();
    tarn_file *file = NULL;
    for (int round = 0; round < 2; round++) {
        tarn_open_mode mode = round == 0 ? TARN_OPEN_CREATE : TARN_OPEN_APPEND;
        assert_int_equal(tarn_os_open(os, at("log"), mode, &file, &err), TARN_OK);
        assert_int_equal(tarn_file_append(file, TARN_LIT("abc"), &err), TARN_OK);
        assert_int_equal(tarn_file_sync(file, &err), TARN_OK);
        uint64_t size_bytes = 0;
        assert_int_equal(tarn_file_size(file, &size_bytes, &err), TARN_OK);
        assert_int_equal(size_bytes, 3 + 3 * round);
        assert_int_equal(tarn_file_close(file, &err), TARN_OK);
    }
    assert_int_equal(tarn_os_open(os, at("log"), TARN_OPEN_CREATE, &file, &err), TARN_CONFLICT);
    assert_file("log", "abcabc");
}

TEST(a_read_is_short_only_at_the_end) {
    write_file("a", "0123456789");
    tarn_file *file = NULL;
    assert_int_equal(tarn_os_open(tarn_os_posix(), at("a"), TARN_OPEN_READ, &file, &err), TARN_OK);
    uint8_t bytes[8] = {0};
    size_t len = 0;
    assert_int_equal(tarn_file_read_at(file, 1, bytes, 8, &len, &err), TARN_OK);
    assert_int_equal(len, 8);
    assert_memory_equal(bytes, "12345678", 8);
    assert_int_equal(tarn_file_read_at(file, 7, bytes, 8, &len, &err), TARN_OK);
    assert_int_equal(len, 3);
    assert_int_equal(tarn_file_read_at(file, UINT64_MAX, bytes, 8, &len, &err), TARN_OK);
    assert_int_equal(len, 0);
    (void)tarn_file_close(file, NULL);
}

// /dev/full is a disk on which nothing fits.
TEST(after_a_failed_append_a_file_refuses_for_good) {
    tarn_file *file = NULL;
    assert_int_equal(
        tarn_os_open(tarn_os_posix(), TARN_LIT("/dev/full"), TARN_OPEN_APPEND, &file, &err),
        TARN_OK);
    assert_int_equal(tarn_file_append(file, TARN_LIT("x"), &err), TARN_IO);
    assert_string_equal(err.message, "cannot write '/dev/full': no space left on device");
    assert_int_equal(tarn_file_append(file, TARN_LIT(""), &err), TARN_IO);
    assert_int_equal(tarn_file_sync(file, &err), TARN_IO);
    assert_non_null(strstr(err.message, "earlier write"));
    (void)tarn_file_close(file, NULL);
}

static void ignore_signal(int signal) {
    (void)signal;
}

// Reads a pipe in small pieces and returns how many bytes came.
static size_t drain(const char *path) {
    int fd = open(path, O_RDONLY);
    size_t total = 0;
    uint8_t piece[1000];
    for (;;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got <= 0) return total;
        total += (size_t)got;
    }
}

// A pipe takes 64 KiB at a time, and a timer interrupts the writer while it waits for the reader.
TEST(short_and_interrupted_writes_are_completed) {
    enum { BYTES = 2 << 20 };
    assert_int_equal(mkfifo((const char *)at("pipe").data, 0600), 0);
    const char *path = (const char *)at("pipe").data;
    pid_t reader = fork();
    if (reader == 0) _exit(drain(path) == BYTES ? 0 : 1);

    struct sigaction action = {.sa_handler = ignore_signal}; // without SA_RESTART
    struct sigaction before;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    const struct itimerval often = {{0, 200}, {0, 200}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    static uint8_t bytes[BYTES];
    tarn_file *file = NULL;
    tarn_status opened =
        tarn_os_open(tarn_os_posix(), tarn_slice_from_cstr(path), TARN_OPEN_APPEND, &file, &err);
    tarn_status appended = tarn_file_append(file, (tarn_slice){bytes, BYTES}, &err);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_int_equal(opened, TARN_OK);
    assert_int_equal(appended, TARN_OK);
    assert_int_equal(tarn_file_close(file, &err), TARN_OK);
    int exit_status = -1;
    assert_int_equal(waitpid(reader, &exit_status, 0), reader);
    assert_int_equal(exit_status, 0);
}

// ---- names ----

TEST(directories_are_made_with_their_parents) {
    tarn_os *os = tarn_os_posix();
    assert_int_equal(tarn_os_make_dirs(os, at("a/b//c/"), &err), TARN_OK);
    assert_int_equal(tarn_os_make_dirs(os, at("a/b/c"), &err), TARN_OK);
    tarn_file_info info;
    assert_int_equal(tarn_os_stat(os, at("a/b/c"), &info, &err), TARN_OK);
    assert_true(info.is_directory);

    write_file("file", "");
    assert_int_equal(tarn_os_make_dirs(os, at("file"), &err), TARN_IO);
    assert_non_null(strstr(err.message, "not a directory"));
    assert_int_equal(tarn_os_make_dirs(os, at("file/a"), &err), TARN_IO);
}

TEST(a_listing_is_in_byte_order_and_missing_is_empty) {
    write_file("b", "");
    write_file("B", "");
    write_file("a10", "");
    write_file("a1", "");
    write_file("\xC3\xA4", "");
    assert_names("", "B a1 a10 b \xC3\xA4");
    assert_names("missing", "");
    tarn_slice *names = NULL;
    size_t count = 0;
    assert_int_equal(tarn_os_list(tarn_os_posix(), at("b"), &test_arena, &names, &count, &err),
                     TARN_IO);
}

TEST(what_is_missing_is_an_answer_for_stat_and_an_error_for_open) {
    tarn_os *os = tarn_os_posix();
    tarn_file_info info = {.size_bytes = 9};
    assert_int_equal(tarn_os_stat(os, at("missing"), &info, &err), TARN_OK);
    assert_false(info.exists);
    assert_int_equal(info.size_bytes, 0);
    write_file("file", "123");
    assert_int_equal(tarn_os_stat(os, at("file/below"), &info, &err), TARN_OK);
    assert_false(info.exists);
    assert_int_equal(tarn_os_stat(os, at("file"), &info, &err), TARN_OK);
    assert_int_equal(info.size_bytes, 3);
    int64_t age_us = tarn_os_now_us(os) - info.modified_us;
    assert_in_range(age_us + 10000000, 0, 70000000);

    tarn_file *file = NULL;
    assert_int_equal(tarn_os_open(os, at("missing"), TARN_OPEN_READ, &file, &err), TARN_IO);
    char expected[512];
    (void)snprintf(expected, sizeof expected, "cannot open '%s/missing': no such file or directory",
                   root);
    assert_string_equal(err.message, expected);
    assert_int_equal(tarn_os_open(os, at(""), TARN_OPEN_READ, &file, &err), TARN_IO);
    assert_non_null(strstr(err.message, "is a directory"));
    assert_null(file);
}

TEST(rename_replaces_and_rename_exclusive_does_not) {
    tarn_os *os = tarn_os_posix();
    write_file("a", "1");
    write_file("b", "2");
    assert_int_equal(tarn_os_rename_exclusive(os, at("a"), at("b"), &err), TARN_CONFLICT);
    assert_file("a", "1");
    assert_file("b", "2");
    assert_int_equal(tarn_os_rename_exclusive(os, at("a"), at("c"), &err), TARN_OK);
    assert_names("", "b c");
    assert_int_equal(tarn_os_rename(os, at("b"), at("c"), &err), TARN_OK);
    assert_names("", "c");
    assert_file("c", "2");
    assert_int_equal(tarn_os_rename(os, at("missing"), at("c"), &err), TARN_IO);
    assert_int_equal(tarn_os_rename_exclusive(os, at("missing"), at("d"), &err), TARN_IO);
}

TEST(a_tree_is_removed_whole_and_links_are_not_followed) {
    tarn_os *os = tarn_os_posix();
    assert_int_equal(tarn_os_make_dirs(os, at("keep"), &err), TARN_OK);
    write_file("keep/precious", "x");
    assert_int_equal(tarn_os_make_dirs(os, at("tree/a/b"), &err), TARN_OK);
    assert_int_equal(tarn_os_make_dirs(os, at("tree/empty"), &err), TARN_OK);
    write_file("tree/a/b/file", "x");
    write_file("tree/file", "x");
    assert_int_equal(symlink((const char *)at("keep").data, (const char *)at("tree/link").data), 0);

    assert_int_equal(tarn_os_remove(os, at("tree"), &err), TARN_IO);
    assert_non_null(strstr(err.message, "directory not empty"));
    assert_int_equal(tarn_os_remove_tree(os, at("tree"), &err), TARN_OK);
    assert_int_equal(tarn_os_remove_tree(os, at("tree"), &err), TARN_OK);
    assert_int_equal(tarn_os_remove(os, at("tree"), &err), TARN_OK);
    assert_false(exists("tree"));
    assert_file("keep/precious", "x");
    assert_int_equal(tarn_os_remove_tree(os, at("keep/precious"), &err), TARN_OK);
    assert_int_equal(tarn_os_remove(os, at("keep"), &err), TARN_OK);
    assert_names("", "");
}

TEST(impossible_paths_are_refused) {
    static uint8_t endless[5000];
    memset(endless, 'x', sizeof endless);
    const tarn_slice bad[] = {
        TARN_LIT(""), TARN_LIT("a\0b"), {endless, sizeof endless}, {endless, 4096}};
    tarn_os *os = tarn_os_posix();
    tarn_file_info info;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tarn_os_stat(os, bad[i], &info, &err), TARN_INVALID);
        assert_int_equal(tarn_os_write_file(os, bad[i], TARN_LIT(""), TARN_WRITE_REPLACE, &err),
                         TARN_INVALID);
    }
    const tarn_slice no_file[] = {TARN_LIT("/"), TARN_LIT("."), TARN_LIT("a/..")};
    for (size_t i = 0; i < sizeof no_file / sizeof no_file[0]; i++) {
        assert_int_equal(tarn_os_write_file(os, no_file[i], TARN_LIT(""), TARN_WRITE_REPLACE, &err),
                         TARN_INVALID);
    }
}

TEST(a_real_path_is_absolute_and_without_detours) {
    tarn_os *os = tarn_os_posix();
    tarn_slice expected;
    tarn_slice path;
    assert_int_equal(tarn_os_real_path(os, at(""), &test_arena, &expected, &err), TARN_OK);
    assert_int_equal(tarn_os_real_path(os, at("./x/.."), &test_arena, &path, &err), TARN_IO);
    assert_int_equal(tarn_os_make_dirs(os, at("x"), &err), TARN_OK);
    assert_int_equal(tarn_os_real_path(os, at("./x/.."), &test_arena, &path, &err), TARN_OK);
    assert_true(tarn_slice_equal(path, expected));
}

TEST(a_pipe_is_refused_at_once_and_not_taken_for_an_empty_file) {
    char path[512];
    tarn_slice pipe = at("pipe");
    (void)snprintf(path, sizeof path, TARN_SLICE_FMT, TARN_SLICE_ARG(pipe));
    assert_int_equal(mkfifo(path, 0600), 0);
    tarn_file *file = NULL;
    assert_int_equal(tarn_os_open(tarn_os_posix(), pipe, TARN_OPEN_READ, &file, &err), TARN_IO);
    assert_non_null(strstr(err.message, "only files can be read here, not pipes"));
}

TEST(a_directory_without_write_permission_refuses_and_keeps_what_it_has) {
    if (geteuid() == 0) skip(); // root may write anywhere; the simulated os shows the same
    tarn_os *os = tarn_os_posix();
    assert_int_equal(tarn_os_make_dirs(os, at("closed"), &err), TARN_OK);
    write_file("closed/a", "1");
    assert_int_equal(chmod((const char *)at("closed").data, 0500), 0);
    tarn_status status =
        tarn_os_write_file(os, at("closed/a"), TARN_LIT("2"), TARN_WRITE_REPLACE, &err);
    assert_int_equal(chmod((const char *)at("closed").data, 0700), 0);
    assert_int_equal(status, TARN_IO);
    assert_non_null(strstr(err.message, "permission denied"));
    assert_file("closed/a", "1");
}

// ---- locks ----

TEST(a_lock_tells_who_holds_it_and_goes_with_its_process) {
    tarn_os *os = tarn_os_posix();
    const tarn_slice path = at("LOCK");
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t holder = fork();
    if (holder == 0) {
        tarn_file_lock *lock = NULL;
        bool is_held =
            tarn_os_lock(os, path, TARN_LIT("process 77 of alice"), &lock, NULL) == TARN_OK;
        (void)!write(ready[1], is_held ? "y" : "n", 1);
        for (;;) pause();
    }
    char answer = 0;
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    close(ready[0]);
    close(ready[1]);

    tarn_file_lock *lock = NULL;
    assert_int_equal(tarn_os_lock(os, path, TARN_LIT("me"), &lock, &err), TARN_CONFLICT);
    assert_non_null(strstr(err.message, "LOCK' is locked by process 77 of alice"));
    assert_null(lock);
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);

    assert_int_equal(tarn_os_lock(os, path, TARN_LIT("me"), &lock, &err), TARN_OK);
    tarn_file_lock *second = NULL;
    assert_int_equal(tarn_os_lock(os, path, TARN_LIT("also me"), &second, &err), TARN_CONFLICT);
    assert_file("LOCK", "me");
    tarn_os_unlock(lock);
    assert_int_equal(tarn_os_lock(os, path, TARN_LIT("again"), &lock, &err), TARN_OK);
    tarn_os_unlock(lock);
    tarn_os_unlock(NULL);
}

TEST(clock_chance_and_machine_give_sensible_answers) {
    tarn_os *os = tarn_os_posix();
    assert_true(tarn_os_now_us(os) > INT64_C(1700000000) * 1000000);
    int64_t before_ns = tarn_os_monotonic_ns(os);
    assert_true(tarn_os_monotonic_ns(os) >= before_ns);
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    tarn_os_random(os, a, sizeof a);
    tarn_os_random(os, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(tarn_os_process_id(os), getpid());
    assert_true(tarn_os_peak_memory_bytes(os) > 1 << 20);
    assert_true(tarn_os_cpu_count(os) >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        POSIX_TEST(a_written_file_replaces_the_old_one_and_leaves_no_other),
        POSIX_TEST(an_exclusive_write_conflicts_and_keeps_the_old_file),
        POSIX_TEST(a_name_as_long_as_the_file_system_allows_can_be_written),
        POSIX_TEST(a_file_over_the_limit_is_refused_with_both_sizes),
        POSIX_TEST(an_aborted_draft_leaves_nothing_behind),
        POSIX_TEST(create_refuses_an_existing_name_and_append_continues_it),
        POSIX_TEST(a_read_is_short_only_at_the_end),
        POSIX_TEST(after_a_failed_append_a_file_refuses_for_good),
        POSIX_TEST(short_and_interrupted_writes_are_completed),
        POSIX_TEST(directories_are_made_with_their_parents),
        POSIX_TEST(a_listing_is_in_byte_order_and_missing_is_empty),
        POSIX_TEST(what_is_missing_is_an_answer_for_stat_and_an_error_for_open),
        POSIX_TEST(rename_replaces_and_rename_exclusive_does_not),
        POSIX_TEST(a_tree_is_removed_whole_and_links_are_not_followed),
        POSIX_TEST(impossible_paths_are_refused),
        POSIX_TEST(a_real_path_is_absolute_and_without_detours),
        POSIX_TEST(a_pipe_is_refused_at_once_and_not_taken_for_an_empty_file),
        POSIX_TEST(a_directory_without_write_permission_refuses_and_keeps_what_it_has),
        POSIX_TEST(a_lock_tells_who_holds_it_and_goes_with_its_process),
        POSIX_TEST(clock_chance_and_machine_give_sensible_answers),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
