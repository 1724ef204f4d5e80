// The streams that the process was started with, and the terminal behind them. They belong to the
// process, not to a machine: the simulated one has none.
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct {
    int fd;
    const char *name;
} streams[] = {
    [TARN_STREAM_INPUT] = {STDIN_FILENO, "standard input"},
    [TARN_STREAM_OUTPUT] = {STDOUT_FILENO, "standard output"},
    [TARN_STREAM_ERROR] = {STDERR_FILENO, "standard error"},
};

static tarn_status fail_stream(tarn_error *err, const char *verb, tarn_stream stream) {
    return tarn_fail(err, TARN_IO, "cannot %s %s: %s", verb, streams[stream].name,
                     strerrordesc_np(errno));
}

tarn_status tarn_os_stream_read(uint8_t *bytes, size_t len, size_t *ret_len, tarn_error *err) {
    ssize_t got = read(streams[TARN_STREAM_INPUT].fd, bytes, len);
    if (got < 0 && errno == EINTR) return tarn_fail(err, TARN_CANCELLED, "interrupted");
    if (got < 0) return fail_stream(err, "read", TARN_STREAM_INPUT);
    *ret_len = (size_t)got;
    return TARN_OK;
}

tarn_status tarn_os_stream_write(tarn_stream stream, tarn_slice bytes, tarn_error *err) {
    while (bytes.len > 0) {
        ssize_t put = write(streams[stream].fd, bytes.data, bytes.len);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EPIPE) {
            return tarn_fail(err, TARN_CANCELLED, "nobody reads %s any more", streams[stream].name);
        }
        if (put < 0) return fail_stream(err, "write", stream);
        bytes = tarn_slice_skip(bytes, (size_t)put);
    }
    return TARN_OK;
}

tarn_slice tarn_os_environment(const char *name) {
    return tarn_slice_from_cstr(getenv(name)); // NOLINT(concurrency-mt-unsafe): nobody sets them
}

bool tarn_os_is_terminal(tarn_stream stream) {
    return isatty(streams[stream].fd) == 1;
}

tarn_terminal_size tarn_os_terminal_size(tarn_stream stream) {
    struct winsize size;
    if (ioctl(streams[stream].fd, TIOCGWINSZ, &size) != 0) return (tarn_terminal_size){0};
    return (tarn_terminal_size){.columns = size.ws_col, .rows = size.ws_row};
}

// The handler of the process. Set before the signal is, so that the signal always finds it.
static void (*interrupt_handler)(void);

static void take_interrupt(int signal_number) {
    (void)signal_number;
    int before = errno; // of the code that was interrupted
    interrupt_handler();
    errno = before;
}

// For signals whose only use is that they end a wait.
static void wake(int signal_number) {
    (void)signal_number;
}

static void set_signal(int signal_number, void (*action)(int)) {
    struct sigaction set = {.sa_handler = action}; // no SA_RESTART: it ends waits
    tarn_assert(sigaction(signal_number, &set, NULL) == 0);
}

void tarn_os_on_interrupt(void (*handler)(void)) {
    if (handler != NULL) interrupt_handler = handler;
    set_signal(SIGINT, handler == NULL ? SIG_DFL : take_interrupt);
    set_signal(SIGPIPE, handler == NULL ? SIG_DFL : SIG_IGN);
    set_signal(SIGCONT, handler == NULL ? SIG_DFL : wake);
    set_signal(SIGWINCH, handler == NULL ? SIG_DFL : wake);
}
