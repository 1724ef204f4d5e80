// os.h - the operating system, as the rest of tarn sees it: files, clock, chance, threads, locks.
//
// Only this module makes system calls. Everything that touches the disk or the clock takes a
// `tarn_os *`: the POSIX one (tarn_os_posix) or, in tests, the simulated one (os/sim.h), which is
// seeded, counts every call, fails the n-th, runs out of space, and on power loss drops, tears or
// reorders what was not synced.
//
//     tarn_os *os = tarn_os_posix();
//     TARN_TRY(tarn_os_write_file(os, path, bytes, TARN_WRITE_EXCLUSIVE, err)); // durable on OK
//
// Durability: bytes appended to a file are durable after tarn_file_sync; a name (created, renamed,
//             removed) is durable after tarn_os_sync_dir of its directory. tarn_os_write_file does
//             all of it: temporary file, sync, rename, sync of the directory.
// Paths:      slices of bytes, '/' between parts, without NUL; absolute or relative to the process.
// Ownership:  a file is closed by whoever opened it. Lists are allocated in the caller's arena.
// Threads:    a tarn_os and tarn_file_read_at may be used from any thread; other calls on one file
//             from one thread at a time.
// Errors:     TARN_IO with the operation, the path and the system's reason ("no space left on
//             device"); TARN_CONFLICT where a function says so. A missing file is TARN_IO unless
//             the function says otherwise.
#ifndef TARN_OS_H
#define TARN_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/slice.h"
#include "base/status.h"

typedef struct tarn_os tarn_os;
typedef struct tarn_file tarn_file;
typedef struct tarn_file_lock tarn_file_lock;

// The real thing. Lives as long as the process.
tarn_os *tarn_os_posix(void);

// ---- files ----

typedef enum tarn_open_mode {
    TARN_OPEN_READ,
    TARN_OPEN_CREATE, // write only, starts empty; TARN_CONFLICT when the name exists
    TARN_OPEN_APPEND, // write only, at the end; created when absent
    TARN_OPEN_UPDATE, // read, and write at any place; created when absent
    // For the files of people, not for the warehouse's own:
    TARN_OPEN_PRIVATE,  // as APPEND; when it creates the file, only its owner may read it
    TARN_OPEN_TRUNCATE, // write only, starts empty, in place: what the name held is lost at once
} tarn_open_mode;

TARN_MUST_USE tarn_status tarn_os_open(tarn_os *os, tarn_slice path, tarn_open_mode mode,
                                       tarn_file **ret_file, tarn_error *err);

// Reads up to `len` bytes at `offset`. *ret_len < len only at the end of the file.
TARN_MUST_USE tarn_status tarn_file_read_at(tarn_file *file, uint64_t offset, uint8_t *bytes,
                                            size_t len, size_t *ret_len, tarn_error *err);

// Writes all of `bytes` at the end. After a failure the file's tail is unspecified and every later
// append and sync fails too: the page cache cannot be trusted.
TARN_MUST_USE tarn_status tarn_file_append(tarn_file *file, tarn_slice bytes, tarn_error *err);
TARN_MUST_USE tarn_status tarn_file_sync(tarn_file *file, tarn_error *err);
TARN_MUST_USE tarn_status tarn_file_size(tarn_file *file, uint64_t *ret_bytes, tarn_error *err);

// Writes all of `bytes` at `offset`, inside the file or at its end, or beyond it (zeros between).
// Only for files opened with TARN_OPEN_UPDATE. Failures as for append.
TARN_MUST_USE tarn_status tarn_file_write_at(tarn_file *file, uint64_t offset, tarn_slice bytes,
                                             tarn_error *err);
// Makes the file `size_bytes` long: shorter, or longer with zeros for which the disk has room, so
// that writing there later cannot run out of space. Only with TARN_OPEN_UPDATE. When it cannot
// grow, the file stays as it was and usable.
TARN_MUST_USE tarn_status tarn_file_resize(tarn_file *file, uint64_t size_bytes, tarn_error *err);

// Releases the file, whatever it returns. A writer must look at the result: a failed close may be
// a failed write. Accepts NULL.
tarn_status tarn_file_close(tarn_file *file, tarn_error *err);

// ---- files in memory ----

// A file as an array of bytes. In a map for writing a store becomes part of the file with
// tarn_map_wrote, after which it survives the end of the process, and durable with tarn_map_sync.
// A map for reading shows the file as it was when it was mapped; whether later changes show is not
// said. An input/output error while a mapped byte is touched ends the process (SIGBUS), as does
// touching what somebody cut off: files that are mapped are never made shorter. A full disk is
// found when the map is created, which reserves the space, not when it is stored to.
// A map's syncs and its close come from one thread at a time.
typedef struct tarn_map {
    uint8_t *data;
    size_t len;
    // private to os/
    tarn_os *os;
    intptr_t handle;
    bool is_reported; // the implementation wants to be told of each store
    bool is_writable;
    bool has_failed;
} tarn_map;

// Maps the whole file for reading. `data` is NULL when it is empty.
TARN_MUST_USE tarn_status tarn_map_open(tarn_os *os, tarn_slice path, tarn_map *ret_map,
                                        tarn_error *err);
// Maps the file for reading and writing, created when absent and made `len` bytes long (> 0) as by
// tarn_file_resize when it is shorter. Never makes it shorter: then its beginning is mapped.
TARN_MUST_USE tarn_status tarn_map_create(tarn_os *os, tarn_slice path, size_t len,
                                          tarn_map *ret_map, tarn_error *err);
void os_map_wrote(tarn_map *map, size_t offset, size_t len); // for the function below
// Says that the caller has stored `len` bytes at `offset`. Stores of several threads into parts of
// their own are reported by each. Costs nothing on the real system.
static inline void tarn_map_wrote(tarn_map *map, size_t offset, size_t len) {
    if (map->is_reported) os_map_wrote(map, offset, len);
}
// Makes what was reported in [offset, offset + len) durable, and the file's size. After a failure
// every later sync of the map fails too.
TARN_MUST_USE tarn_status tarn_map_sync(tarn_map *map, size_t offset, size_t len, tarn_error *err);
// How the map will be read: a hint.
typedef enum tarn_map_advice {
    TARN_MAP_NORMAL,
    TARN_MAP_RANDOM,
    TARN_MAP_SEQUENTIAL,
    TARN_MAP_WILL_NEED,
} tarn_map_advice;
void tarn_map_advise(const tarn_map *map, size_t offset, size_t len, tarn_map_advice advice);
void tarn_map_close(tarn_map *map); // of what was stored, nothing is lost; accepts a zeroed one

// ---- names ----

typedef struct tarn_file_info {
    bool exists; // when false the other fields are 0
    bool is_directory;
    uint64_t size_bytes;
    int64_t modified_us; // since the epoch
} tarn_file_info;

// A missing path is an answer, not an error.
TARN_MUST_USE tarn_status tarn_os_stat(tarn_os *os, tarn_slice path, tarn_file_info *ret_info,
                                       tarn_error *err);

// The names in a directory, without "." and "..", in byte order. A missing directory is empty.
TARN_MUST_USE tarn_status tarn_os_list(tarn_os *os, tarn_slice directory, tarn_arena *arena,
                                       tarn_slice **ret_names, size_t *ret_count, tarn_error *err);

// Creates the directory and its missing parents, durably. An existing one is fine, and taken to be
// durable: threads that race to make the same directory take turns.
TARN_MUST_USE tarn_status tarn_os_make_dirs(tarn_os *os, tarn_slice directory, tarn_error *err);

// Replaces `to` atomically.
TARN_MUST_USE tarn_status tarn_os_rename(tarn_os *os, tarn_slice from, tarn_slice to,
                                         tarn_error *err);
// Fails with TARN_CONFLICT when `to` exists; safe against other processes (a hard link, then
// unlink).
TARN_MUST_USE tarn_status tarn_os_rename_exclusive(tarn_os *os, tarn_slice from, tarn_slice to,
                                                   tarn_error *err);
// A second name for a file that is never changed; durable as every name. TARN_CONFLICT when `to`
// exists.
TARN_MUST_USE tarn_status tarn_os_link(tarn_os *os, tarn_slice from, tarn_slice to,
                                       tarn_error *err);
// A missing name is fine. Directories must be empty.
TARN_MUST_USE tarn_status tarn_os_remove(tarn_os *os, tarn_slice path, tarn_error *err);
// Removes a directory and all below it; a missing one is fine. Not atomic.
TARN_MUST_USE tarn_status tarn_os_remove_tree(tarn_os *os, tarn_slice path, tarn_error *err);
TARN_MUST_USE tarn_status tarn_os_sync_dir(tarn_os *os, tarn_slice directory, tarn_error *err);

// The canonical absolute form of an existing path.
TARN_MUST_USE tarn_status tarn_os_real_path(tarn_os *os, tarn_slice path, tarn_arena *arena,
                                            tarn_slice *ret_path, tarn_error *err);

typedef enum tarn_write_mode {
    TARN_WRITE_REPLACE,
    TARN_WRITE_EXCLUSIVE, // TARN_CONFLICT when the name exists
} tarn_write_mode;

// Makes `path` hold exactly `bytes`, durably and atomically: a reader, also one after a power loss,
// sees the old file or the new one. After TARN_IO it is one of the two, and unknown which.
TARN_MUST_USE tarn_status tarn_os_write_file(tarn_os *os, tarn_slice path, tarn_slice bytes,
                                             tarn_write_mode mode, tarn_error *err);

// The same in pieces: a draft is a temporary file beside `path`, ".<name>.<random>.tmp", which
// becomes `path` at commit. A crash leaves at most that file behind.
//
//     tarn_draft *draft = NULL;
//     TARN_TRY(tarn_draft_open(os, path, &draft, err));
//     status = tarn_file_append(tarn_draft_file(draft), bytes, err); // any number of times
//     if (status == TARN_OK) return tarn_draft_commit(draft, TARN_WRITE_EXCLUSIVE, err);
//     tarn_draft_abort(draft);
typedef struct tarn_draft tarn_draft;
TARN_MUST_USE tarn_status tarn_draft_open(tarn_os *os, tarn_slice path, tarn_draft **ret_draft,
                                          tarn_error *err);
tarn_file *tarn_draft_file(const tarn_draft *draft); // owned by the draft
// Makes the content durable and visible, and frees the draft, also on failure.
TARN_MUST_USE tarn_status tarn_draft_commit(tarn_draft *draft, tarn_write_mode mode,
                                            tarn_error *err);
void tarn_draft_abort(tarn_draft *draft); // removes the temporary file; accepts NULL
// Whether a name in a listing is that of a draft, in work or left behind by a crash: ours or that
// of another program with the same custom.
bool tarn_draft_is_name(tarn_slice name);
// Whether it is one that tarn_draft_open has made.
bool tarn_draft_is_ours(tarn_slice name);

// Reads a whole file into the arena. TARN_INVALID when it has more than `limit_bytes`.
TARN_MUST_USE tarn_status tarn_os_read_file(tarn_os *os, tarn_slice path, size_t limit_bytes,
                                            tarn_arena *arena, tarn_slice *ret_bytes,
                                            tarn_error *err);

// Takes an exclusive advisory lock on `path` (created when absent) and writes `owner` into it. When
// another process holds it: TARN_CONFLICT, and the message quotes what that process wrote.
// The lock goes with the process, however it ends.
TARN_MUST_USE tarn_status tarn_os_lock(tarn_os *os, tarn_slice path, tarn_slice owner,
                                       tarn_file_lock **ret_lock, tarn_error *err);
void tarn_os_unlock(tarn_file_lock *lock); // accepts NULL

// ---- clock and chance ----

int64_t tarn_os_now_us(tarn_os *os);       // wall clock, since the epoch, UTC
int64_t tarn_os_monotonic_ns(tarn_os *os); // for durations
void tarn_os_random(tarn_os *os, uint8_t *bytes, size_t len);
int64_t tarn_os_process_id(tarn_os *os);
uint64_t tarn_os_peak_memory_bytes(tarn_os *os); // resident set, highest so far; 0 when unknown
size_t tarn_os_cpu_count(tarn_os *os);

// ---- the process: its streams, its terminal, its interrupt key ----

typedef enum tarn_stream { TARN_STREAM_INPUT, TARN_STREAM_OUTPUT, TARN_STREAM_ERROR } tarn_stream;

// Waits for input. *ret_len is 0 at the end of it, else what is there, at most `len`.
// TARN_CANCELLED when the user's interrupt ended the wait.
TARN_MUST_USE tarn_status tarn_os_stream_read(uint8_t *bytes, size_t len, size_t *ret_len,
                                              tarn_error *err);
// Writes all of `bytes`. TARN_CANCELLED when it is a pipe whose reader has gone away.
TARN_MUST_USE tarn_status tarn_os_stream_write(tarn_stream stream, tarn_slice bytes,
                                               tarn_error *err);

// The value of an environment variable; empty when it is not set. Valid while nobody sets it.
tarn_slice tarn_os_environment(const char *name);

bool tarn_os_is_terminal(tarn_stream stream);
// In characters; 0 when the stream is no terminal or does not tell.
typedef struct tarn_terminal_size {
    size_t columns;
    size_t rows;
} tarn_terminal_size;
tarn_terminal_size tarn_os_terminal_size(tarn_stream stream);

// Calls `handler` when the user interrupts (Ctrl-C) instead of ending the process; it may do only
// what signal handlers may. From then on writing to a pipe that nobody reads does not end the
// process either. NULL: as at the start of the process. One thread at a time.
void tarn_os_on_interrupt(void (*handler)(void));

// ---- threads and locks: the same in every build; simulated runs use one thread ----

typedef struct tarn_thread tarn_thread;
// The new thread leaves the terminal's signals (SIGINT and its kin) to the one that starts it.
TARN_MUST_USE tarn_status tarn_thread_start(void (*run)(void *context), void *context,
                                            tarn_thread **ret_thread, tarn_error *err);
void tarn_thread_join(tarn_thread *thread); // waits and frees; accepts NULL

// Locks are taken in this order, outermost first. Debug builds abort on an out-of-order acquire.
typedef enum tarn_lock_rank {
    TARN_LOCK_API = 1,
    TARN_LOCK_WAREHOUSE,
    TARN_LOCK_WRITER,
    TARN_LOCK_CATALOG,
    TARN_LOCK_JOB,
    TARN_LOCK_TABLE,
    TARN_LOCK_FLOW,
    TARN_LOCK_CHANNEL,
    TARN_LOCK_KV,        // a store: its families
    TARN_LOCK_KV_FLUSH,  // who rewrites an engine's files
    TARN_LOCK_KV_WRITER, // its writers, one after the other
    TARN_LOCK_KV_STATE,  // an engine's lists of files, memtables, tables
    TARN_LOCK_KV_LOG,    // where the next record goes
    TARN_LOCK_KV_SYNC,   // who syncs the log
    TARN_LOCK_CACHE,
    TARN_LOCK_METRICS,
    TARN_LOCK_OS,
} tarn_lock_rank;

typedef struct TARN_CAPABILITY("mutex") tarn_mutex tarn_mutex;
typedef struct tarn_cond tarn_cond;
TARN_MUST_USE tarn_status tarn_mutex_new(tarn_lock_rank rank, tarn_mutex **ret_mutex,
                                         tarn_error *err);
void tarn_mutex_free(tarn_mutex *mutex); // accepts NULL
void tarn_mutex_lock(tarn_mutex *mutex) TARN_ACQUIRES(mutex);
void tarn_mutex_unlock(tarn_mutex *mutex) TARN_RELEASES(mutex);
// Aborts in debug builds when the calling thread does not hold the mutex. For mutators of what it
// guards.
void tarn_mutex_assert_held(const tarn_mutex *mutex);
TARN_MUST_USE tarn_status tarn_cond_new(tarn_cond **ret_cond, tarn_error *err);
void tarn_cond_free(tarn_cond *cond); // accepts NULL
void tarn_cond_wait(tarn_cond *cond, tarn_mutex *mutex) TARN_REQUIRES(mutex);
// Returns false after the timeout.
bool tarn_cond_wait_ms(tarn_cond *cond, tarn_mutex *mutex, int64_t timeout_ms) TARN_REQUIRES(mutex);
void tarn_cond_signal(tarn_cond *cond);
void tarn_cond_broadcast(tarn_cond *cond);

#endif
