#include "os/backend.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

//  CLEAN --append--> DIRTY --sync--> CLEAN        any failure --> FAILED (for good)
//
// After a failed write or sync nobody knows which bytes are where: Linux marks the pages clean that
// it could not write, so that a second sync would succeed without them.
typedef enum file_state { FILE_CLEAN, FILE_DIRTY, FILE_FAILED, FILE_STATE_COUNT } file_state;

#define BIT(state) (1U << (state))

static const uint8_t allowed_moves[FILE_STATE_COUNT] = {
    [FILE_CLEAN] = BIT(FILE_CLEAN) | BIT(FILE_DIRTY) | BIT(FILE_FAILED),
    [FILE_DIRTY] = BIT(FILE_CLEAN) | BIT(FILE_DIRTY) | BIT(FILE_FAILED),
    [FILE_FAILED] = 0,
};

struct tarn_file {
    tarn_os *os;
    intptr_t handle;
    file_state state;
    tarn_open_mode mode;
    size_t path_len;
    uint8_t path[]; // for messages
};

struct tarn_file_lock {
    tarn_os *os;
    intptr_t handle;
};

static void move_to(tarn_file *file, file_state next) {
    tarn_assert(allowed_moves[file->state] & BIT(next));
    file->state = next;
}

static tarn_slice path_of(const tarn_file *file) {
    return (tarn_slice){file->path, file->path_len};
}

// ---- paths and messages ----

tarn_status os_path_to_cstr(tarn_slice path, char ret_text[OS_PATH_MAX], tarn_error *err) {
    if (path.len == 0) return tarn_fail(err, TARN_INVALID, "the path is empty");
    if (memchr(path.data, '\0', path.len) != NULL) {
        return tarn_fail(err, TARN_INVALID, "the path '" TARN_SLICE_FMT "' contains a zero byte",
                         TARN_SLICE_ARG(path));
    }
    if (path.len >= OS_PATH_MAX) {
        return tarn_fail(err, TARN_INVALID, "the path has %zu bytes, more than the %d allowed",
                         path.len, OS_PATH_MAX - 1);
    }
    memcpy(ret_text, path.data, path.len);
    ret_text[path.len] = '\0';
    return TARN_OK;
}

static tarn_slice without_trailing_slashes(tarn_slice path) {
    while (path.len > 1 && path.data[path.len - 1] == '/') path.len--;
    return path;
}

tarn_slice os_path_parent(tarn_slice path) {
    path = without_trailing_slashes(path);
    while (path.len > 0 && path.data[path.len - 1] != '/') path.len--;
    return path.len == 0 ? TARN_LIT(".") : without_trailing_slashes(path);
}

tarn_slice os_path_name(tarn_slice path) {
    path = without_trailing_slashes(path);
    size_t begin = path.len;
    while (begin > 0 && path.data[begin - 1] != '/') begin--;
    return tarn_slice_skip(path, begin);
}

tarn_status os_fail(tarn_error *err, int code, const char *verb, tarn_slice path) {
    char reason[128] = "";
    const char *text = strerror_r(code, reason, sizeof reason);
    if (text != reason) (void)snprintf(reason, sizeof reason, "%s", text);
    if (reason[0] >= 'A' && reason[0] <= 'Z') reason[0] = (char)(reason[0] - 'A' + 'a');
    return tarn_fail(err, code == ENOMEM ? TARN_NO_MEMORY : TARN_IO,
                     "cannot %s '" TARN_SLICE_FMT "': %s", verb, TARN_SLICE_ARG(path), reason);
}

// ---- files ----

tarn_status tarn_os_open(tarn_os *os, tarn_slice path, tarn_open_mode mode, tarn_file **ret_file,
                         tarn_error *err) {
    char text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(path, text, err));
    tarn_file *file = tarn_alloc_zeroed(&tarn_alloc_libc, 1, sizeof *file + path.len);
    if (file == NULL) return os_fail(err, ENOMEM, "open", path);
    *file = (tarn_file){.os = os, .mode = mode, .path_len = path.len};
    memcpy(file->path, path.data, path.len);

    int code = os->backend->open(os, text, mode, &file->handle);
    if (code == 0) {
        *ret_file = file;
        return TARN_OK;
    }
    tarn_alloc_release(&tarn_alloc_libc, file, 1, sizeof *file + path.len);
    if (mode == TARN_OPEN_CREATE && code == EEXIST) {
        return tarn_fail(err, TARN_CONFLICT, "'" TARN_SLICE_FMT "' exists already",
                         TARN_SLICE_ARG(path));
    }
    if (code == ESPIPE) {
        return tarn_fail(err, TARN_IO,
                         "cannot open '" TARN_SLICE_FMT "': only files can be read here, not pipes",
                         TARN_SLICE_ARG(path));
    }
    return os_fail(err, code, mode == TARN_OPEN_CREATE ? "create" : "open", path);
}

tarn_status tarn_file_read_at(tarn_file *file, uint64_t offset, uint8_t *bytes, size_t len,
                              size_t *ret_len, tarn_error *err) {
    tarn_assert(file->mode == TARN_OPEN_READ || file->mode == TARN_OPEN_UPDATE);
    int code = file->os->backend->read_at(file->os, file->handle, offset, bytes, len, ret_len);
    return code == 0 ? TARN_OK : os_fail(err, code, "read", path_of(file));
}

static tarn_status refuse_failed(const tarn_file *file, tarn_error *err) {
    return tarn_fail(err, TARN_IO,
                     "cannot write '" TARN_SLICE_FMT "': an earlier write or sync of it failed",
                     TARN_SLICE_ARG(path_of(file)));
}

tarn_status tarn_file_append(tarn_file *file, tarn_slice bytes, tarn_error *err) {
    tarn_assert(file->mode != TARN_OPEN_READ && file->mode != TARN_OPEN_UPDATE);
    if (file->state == FILE_FAILED) return refuse_failed(file, err);
    if (bytes.len == 0) return TARN_OK;
    int code = file->os->backend->append(file->os, file->handle, bytes);
    move_to(file, code == 0 ? FILE_DIRTY : FILE_FAILED);
    return code == 0 ? TARN_OK : os_fail(err, code, "write", path_of(file));
}

tarn_status tarn_file_write_at(tarn_file *file, uint64_t offset, tarn_slice bytes,
                               tarn_error *err) {
    tarn_assert(file->mode == TARN_OPEN_UPDATE);
    if (file->state == FILE_FAILED) return refuse_failed(file, err);
    if (bytes.len == 0) return TARN_OK;
    uint64_t end;
    if (__builtin_add_overflow(offset, bytes.len, &end) || end > INT64_MAX) {
        return os_fail(err, EFBIG, "write", path_of(file));
    }
    int code = file->os->backend->write_at(file->os, file->handle, offset, bytes);
    move_to(file, code == 0 ? FILE_DIRTY : FILE_FAILED);
    return code == 0 ? TARN_OK : os_fail(err, code, "write", path_of(file));
}

tarn_status tarn_file_resize(tarn_file *file, uint64_t size_bytes, tarn_error *err) {
    tarn_assert(file->mode == TARN_OPEN_UPDATE);
    if (file->state == FILE_FAILED) return refuse_failed(file, err);
    int code = size_bytes > INT64_MAX
                   ? EFBIG
                   : file->os->backend->resize(file->os, file->handle, size_bytes);
    if (code != 0) return os_fail(err, code, "resize", path_of(file));
    move_to(file, FILE_DIRTY);
    return TARN_OK;
}

tarn_status tarn_file_sync(tarn_file *file, tarn_error *err) {
    tarn_assert(file->mode != TARN_OPEN_READ);
    if (file->state == FILE_FAILED) return refuse_failed(file, err);
    // A clean file is synced too: someone else may have appended to it before it was opened.
    int code = file->os->backend->sync(file->os, file->handle);
    move_to(file, code == 0 ? FILE_CLEAN : FILE_FAILED);
    return code == 0 ? TARN_OK : os_fail(err, code, "sync", path_of(file));
}

tarn_status tarn_file_size(tarn_file *file, uint64_t *ret_bytes, tarn_error *err) {
    int code = file->os->backend->size(file->os, file->handle, ret_bytes);
    return code == 0 ? TARN_OK : os_fail(err, code, "read the size of", path_of(file));
}

tarn_status tarn_file_close(tarn_file *file, tarn_error *err) {
    if (file == NULL) return TARN_OK;
    int code = file->os->backend->close(file->os, file->handle);
    tarn_status status = code == 0 ? TARN_OK : os_fail(err, code, "close", path_of(file));
    tarn_alloc_release(&tarn_alloc_libc, file, 1, sizeof *file + file->path_len);
    return status;
}

// ---- names ----

tarn_status tarn_os_stat(tarn_os *os, tarn_slice path, tarn_file_info *ret_info, tarn_error *err) {
    char text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(path, text, err));
    tarn_file_info info = {.exists = true};
    int code = os->backend->stat(os, text, &info);
    if (code == ENOENT || code == ENOTDIR) {
        *ret_info = (tarn_file_info){0};
        return TARN_OK;
    }
    if (code != 0) return os_fail(err, code, "look at", path);
    *ret_info = info;
    return TARN_OK;
}

typedef struct name_list {
    tarn_arena *arena;
    tarn_buffer names; // of tarn_slice
} name_list;

static int add_name(void *context, const char *name) {
    name_list *list = context;
    tarn_slice copy;
    if (!tarn_arena_copy(list->arena, tarn_slice_from_cstr(name), &copy)) return ENOMEM;
    bool fits = tarn_buffer_append(&list->names, (tarn_slice){(const uint8_t *)&copy, sizeof copy});
    return fits ? 0 : ENOMEM;
}

static int compare_names(const void *a, const void *b) {
    return tarn_slice_compare(*(const tarn_slice *)a, *(const tarn_slice *)b);
}

tarn_status tarn_os_list(tarn_os *os, tarn_slice directory, tarn_arena *arena,
                         tarn_slice **ret_names, size_t *ret_count, tarn_error *err) {
    char text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(directory, text, err));
    name_list list = {.arena = arena};
    tarn_slice *names = NULL;
    int code = os->backend->list(os, text, add_name, &list);
    if (code == ENOENT) code = 0;
    if (code != 0) goto out;

    size_t count = list.names.len / sizeof(tarn_slice);
    names = tarn_arena_new_raw(arena, tarn_slice, count);
    if (names == NULL) {
        code = ENOMEM;
        goto out;
    }
    if (count > 0) {
        memcpy(names, list.names.data, list.names.len);
        qsort(names, count, sizeof *names, compare_names);
    }
    *ret_names = names;
    *ret_count = count;
out:
    tarn_buffer_free(&list.names);
    return code == 0 ? TARN_OK : os_fail(err, code, "list", directory);
}

// Both names in the message: either may be the one that is wrong.
static tarn_status fail_rename(tarn_error *err, int code, tarn_slice from, tarn_slice to) {
    tarn_status status = os_fail(err, code, "rename", from);
    tarn_error_prefix(err, "'" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(to));
    return status;
}

tarn_status tarn_os_rename(tarn_os *os, tarn_slice from, tarn_slice to, tarn_error *err) {
    char from_text[OS_PATH_MAX];
    char to_text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(from, from_text, err));
    TARN_TRY(os_path_to_cstr(to, to_text, err));
    int code = os->backend->rename(os, from_text, to_text);
    return code == 0 ? TARN_OK : fail_rename(err, code, from, to);
}

tarn_status tarn_os_rename_exclusive(tarn_os *os, tarn_slice from, tarn_slice to, tarn_error *err) {
    char from_text[OS_PATH_MAX];
    char to_text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(from, from_text, err));
    TARN_TRY(os_path_to_cstr(to, to_text, err));
    int code = os->backend->link(os, from_text, to_text);
    if (code == EEXIST) {
        return tarn_fail(err, TARN_CONFLICT, "'" TARN_SLICE_FMT "' exists already",
                         TARN_SLICE_ARG(to));
    }
    if (code == 0) code = os->backend->remove(os, from_text);
    return code == 0 ? TARN_OK : fail_rename(err, code, from, to);
}

tarn_status tarn_os_link(tarn_os *os, tarn_slice from, tarn_slice to, tarn_error *err) {
    char from_text[OS_PATH_MAX];
    char to_text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(from, from_text, err));
    TARN_TRY(os_path_to_cstr(to, to_text, err));
    int code = os->backend->link(os, from_text, to_text);
    if (code == 0) return TARN_OK;
    if (code == EEXIST) {
        return tarn_fail(err, TARN_CONFLICT, "'" TARN_SLICE_FMT "' exists already",
                         TARN_SLICE_ARG(to));
    }
    tarn_status status = os_fail(err, code, "link", from);
    tarn_error_prefix(err, "'" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(to));
    return status;
}

tarn_status tarn_os_remove(tarn_os *os, tarn_slice path, tarn_error *err) {
    char text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(path, text, err));
    int code = os->backend->remove(os, text);
    return code == 0 || code == ENOENT ? TARN_OK : os_fail(err, code, "remove", path);
}

tarn_status tarn_os_sync_dir(tarn_os *os, tarn_slice directory, tarn_error *err) {
    char text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(directory, text, err));
    int code = os->backend->sync_dir(os, text);
    return code == 0 ? TARN_OK : os_fail(err, code, "sync the directory", directory);
}

tarn_status tarn_os_real_path(tarn_os *os, tarn_slice path, tarn_arena *arena, tarn_slice *ret_path,
                              tarn_error *err) {
    char text[OS_PATH_MAX];
    char real[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(path, text, err));
    int code = os->backend->real_path(os, text, real);
    if (code == 0 && !tarn_arena_copy(arena, tarn_slice_from_cstr(real), ret_path)) code = ENOMEM;
    return code == 0 ? TARN_OK : os_fail(err, code, "resolve", path);
}

// ---- locks ----

tarn_status tarn_os_lock(tarn_os *os, tarn_slice path, tarn_slice owner, tarn_file_lock **ret_lock,
                         tarn_error *err) {
    char text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(path, text, err));
    tarn_file_lock *lock = tarn_alloc_new(&tarn_alloc_libc, tarn_file_lock, 1);
    if (lock == NULL) return os_fail(err, ENOMEM, "lock", path);
    lock->os = os;

    char holder[256] = "";
    int code = os->backend->lock(os, text, owner, &lock->handle, holder, sizeof holder);
    if (code == 0) {
        *ret_lock = lock;
        return TARN_OK;
    }
    tarn_alloc_free(&tarn_alloc_libc, lock, 1);
    if (code == EWOULDBLOCK) {
        return tarn_fail(err, TARN_CONFLICT, "'" TARN_SLICE_FMT "' is locked by %s",
                         TARN_SLICE_ARG(path), holder[0] == '\0' ? "another process" : holder);
    }
    return os_fail(err, code, "lock", path);
}

void tarn_os_unlock(tarn_file_lock *lock) {
    if (lock == NULL) return;
    lock->os->backend->unlock(lock->os, lock->handle);
    tarn_alloc_free(&tarn_alloc_libc, lock, 1);
}

// ---- clock and chance ----

int64_t tarn_os_now_us(tarn_os *os) {
    return os->backend->now_us(os);
}

int64_t tarn_os_monotonic_ns(tarn_os *os) {
    return os->backend->monotonic_ns(os);
}

void tarn_os_random(tarn_os *os, uint8_t *bytes, size_t len) {
    os->backend->random(os, bytes, len);
}

int64_t tarn_os_process_id(tarn_os *os) {
    return os->backend->process_id(os);
}

uint64_t tarn_os_peak_memory_bytes(tarn_os *os) {
    return os->backend->peak_memory_bytes(os);
}

size_t tarn_os_cpu_count(tarn_os *os) {
    return os->backend->cpu_count(os);
}
