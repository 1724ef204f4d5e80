// The streams of the process: each test puts something else behind one of them for a while.
#include "os/os.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

static tarn_error err;

// Puts `fd` (which it takes over) behind a standard stream. Returns what to give back.
static int redirect(int stream_fd, int fd) {
    int saved = dup(stream_fd);
    assert_true(saved >= 0);
    assert_int_equal(dup2(fd, stream_fd), stream_fd);
    (void)close(fd);
    return saved;
}

static void restore(int stream_fd, int saved) {
    assert_int_equal(dup2(saved, stream_fd), stream_fd);
    (void)close(saved);
}

static atomic_int interrupts;

static void count_interrupt(void) {
    atomic_fetch_add(&interrupts, 1);
}

TEST(what_is_written_arrives_and_what_is_there_is_read_up_to_its_end) {
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    int saved_out = redirect(STDOUT_FILENO, pipe_fds[1]);
    tarn_status status = tarn_os_stream_write(TARN_STREAM_OUTPUT, TARN_LIT("hello"), &err);
    restore(STDOUT_FILENO, saved_out);
    assert_int_equal(status, TARN_OK);

    int saved_in = redirect(STDIN_FILENO, pipe_fds[0]);
    uint8_t bytes[8] = {0};
    size_t len = 0;
    assert_int_equal(tarn_os_stream_read(bytes, 3, &len, &err), TARN_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "hel", 3);
    assert_int_equal(tarn_os_stream_read(bytes, sizeof bytes, &len, &err), TARN_OK);
    assert_int_equal(len, 2);
    assert_int_equal(tarn_os_stream_read(bytes, sizeof bytes, &len, &err), TARN_OK);
    assert_int_equal(len, 0);
    restore(STDIN_FILENO, saved_in);
}

TEST(a_reader_that_went_away_cancels_and_does_not_kill) {
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    (void)close(pipe_fds[0]);
    tarn_os_on_interrupt(count_interrupt);
    int saved = redirect(STDERR_FILENO, pipe_fds[1]);
    tarn_status status = tarn_os_stream_write(TARN_STREAM_ERROR, TARN_LIT("x"), &err);
    restore(STDERR_FILENO, saved);
    tarn_os_on_interrupt(NULL);
    assert_int_equal(status, TARN_CANCELLED);
    assert_string_equal(err.message, "nobody reads standard error any more");
}

TEST(a_full_disk_is_told) {
    int saved = redirect(STDERR_FILENO, open("/dev/full", O_WRONLY | O_CLOEXEC));
    tarn_status status = tarn_os_stream_write(TARN_STREAM_ERROR, TARN_LIT("x"), &err);
    restore(STDERR_FILENO, saved);
    assert_int_equal(status, TARN_IO);
    assert_string_equal(err.message, "cannot write standard error: No space left on device");
}

// The interrupt comes from a child that is told by the test, over a pipe, to send it; it sends
// until it is killed, because the first may come before the wait.
TEST(an_interrupt_calls_the_handler_and_ends_a_wait) {
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    atomic_store(&interrupts, 0);
    tarn_os_on_interrupt(count_interrupt);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            (void)kill(parent, SIGINT);
            (void)usleep(1000);
        }
    }
    int saved = redirect(STDIN_FILENO, pipe_fds[0]);
    uint8_t byte;
    size_t len = 0;
    tarn_status status = tarn_os_stream_read(&byte, 1, &len, &err);
    (void)kill(child, SIGKILL);
    tarn_os_on_interrupt(count_interrupt);
    restore(STDIN_FILENO, saved);
    (void)close(pipe_fds[1]);
    assert_int_equal(status, TARN_CANCELLED);
    assert_true(atomic_load(&interrupts) > 0);
    // Those still under way must not find the default action: they end with the process.
}

TEST(a_terminal_knows_its_size_and_a_pipe_is_none) {
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    (void)close(pipe_fds[0]);
    int saved = redirect(STDERR_FILENO, pipe_fds[1]);
    bool pipe_is_terminal = tarn_os_is_terminal(TARN_STREAM_ERROR);
    tarn_terminal_size pipe_size = tarn_os_terminal_size(TARN_STREAM_ERROR);
    restore(STDERR_FILENO, saved);
    assert_false(pipe_is_terminal);
    assert_int_equal(pipe_size.columns, 0);

    int primary;
    int terminal;
    struct winsize size = {.ws_col = 123, .ws_row = 45};
    assert_int_equal(openpty(&primary, &terminal, NULL, NULL, &size), 0);
    saved = redirect(STDERR_FILENO, terminal);
    bool is_terminal = tarn_os_is_terminal(TARN_STREAM_ERROR);
    tarn_terminal_size told = tarn_os_terminal_size(TARN_STREAM_ERROR);
    restore(STDERR_FILENO, saved);
    (void)close(primary);
    assert_true(is_terminal);
    assert_int_equal(told.columns, 123);
    assert_int_equal(told.rows, 45);
}

TEST(private_files_are_for_their_owner_and_truncated_ones_start_empty) {
    char path[] = "/tmp/tarn-terminal-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
    tarn_os *os = tarn_os_posix();
    tarn_file *file = NULL;
    struct stat info;
    mode_t saved = umask(0);
    tarn_status status =
        tarn_os_open(os, tarn_slice_from_cstr(path), TARN_OPEN_PRIVATE, &file, &err);
    (void)umask(saved);
    assert_int_equal(status, TARN_OK);
    assert_int_equal(tarn_file_append(file, TARN_LIT("secret"), &err), TARN_OK);
    assert_int_equal(tarn_file_close(file, &err), TARN_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, 6);
    ino_t inode = info.st_ino;
    assert_int_equal(tarn_os_open(os, tarn_slice_from_cstr(path), TARN_OPEN_TRUNCATE, &file, &err),
                     TARN_OK);
    assert_int_equal(tarn_file_append(file, TARN_LIT("new"), &err), TARN_OK);
    assert_int_equal(tarn_file_close(file, &err), TARN_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 3);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_ino, inode);
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_arrives_and_what_is_there_is_read_up_to_its_end),
        cmocka_unit_test(a_reader_that_went_away_cancels_and_does_not_kill),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(an_interrupt_calls_the_handler_and_ends_a_wait),
        cmocka_unit_test(a_terminal_knows_its_size_and_a_pipe_is_none),
        cmocka_unit_test(private_files_are_for_their_owner_and_truncated_ones_start_empty),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
