// What takes several calls and must hold together when any of them fails or is the last one before
// the power goes: atomic files, directories with their parents, whole trees.
#include "os/backend.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

// ---- directories ----

// Makes one directory durable. When its name cannot be synced it is taken back, because the next
// caller would find it and trust it.
static tarn_status make_dir(tarn_os *os, const char *path, tarn_error *err) {
    tarn_slice name = tarn_slice_from_cstr(path);
    int code = os->backend->make_dir(os, path);
    if (code != 0 && code != EEXIST) return os_fail(err, code, "create the directory", name);
    tarn_status status = tarn_os_sync_dir(os, os_path_parent(name), err);
    // Best effort: fails when someone uses the directory already, and then there is no better way.
    if (status != TARN_OK && code == 0) (void)os->backend->remove(os, path);
    return status;
}

tarn_status tarn_os_make_dirs(tarn_os *os, tarn_slice directory, tarn_error *err) {
    char path[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(directory, path, err));
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(os, directory, &info, err));
    if (info.is_directory) return TARN_OK;
    if (info.exists) return os_fail(err, ENOTDIR, "create the directory", directory);

    // Parents first. A part ends where a slash follows, or at the end.
    for (size_t end = 1; end <= directory.len; end++) {
        bool is_part = path[end - 1] != '/' && (path[end] == '/' || path[end] == '\0');
        if (!is_part) continue;
        char next = path[end];
        path[end] = '\0';
        TARN_TRY(tarn_os_stat(os, (tarn_slice){directory.data, end}, &info, err));
        if (!info.exists) TARN_TRY(make_dir(os, path, err));
        path[end] = next;
    }
    return TARN_OK;
}

// A directory on the way down a tree that is being removed.
typedef struct pending_dir {
    struct pending_dir *parent;
    tarn_slice path;
} pending_dir;

// Removes what is in `dir` and can go at once; directories that are not empty are pushed on
// *stack.
static tarn_status remove_entries(tarn_os *os, pending_dir *dir, tarn_arena *arena,
                                  pending_dir **stack, tarn_error *err) {
    tarn_slice *names = NULL;
    size_t count = 0;
    TARN_TRY(tarn_os_list(os, dir->path, arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        tarn_slice path;
        if (!tarn_arena_printf(arena, &path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                               TARN_SLICE_ARG(dir->path), TARN_SLICE_ARG(names[i]))) {
            return os_fail(err, ENOMEM, "remove", dir->path);
        }
        char text[OS_PATH_MAX];
        TARN_TRY(os_path_to_cstr(path, text, err));
        int code = os->backend->remove(os, text);
        if (code == 0 || code == ENOENT) continue;
        if (code != ENOTEMPTY) return os_fail(err, code, "remove", path);

        pending_dir *child = tarn_arena_new(arena, pending_dir, 1);
        if (child == NULL) return os_fail(err, ENOMEM, "remove", path);
        *child = (pending_dir){.parent = *stack, .path = path};
        *stack = child;
    }
    return TARN_OK;
}

tarn_status tarn_os_remove_tree(tarn_os *os, tarn_slice path, tarn_error *err) {
    char text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(path, text, err));
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    pending_dir root = {.path = path};
    pending_dir *stack = &root;
    tarn_status status = TARN_OK;
    while (stack != NULL) {
        pending_dir *dir = stack;
        status = os_path_to_cstr(dir->path, text, err);
        if (status != TARN_OK) break;
        int code = os->backend->remove(os, text);
        if (code == 0 || code == ENOENT) {
            stack = dir->parent;
            continue;
        }
        status = code == ENOTEMPTY ? remove_entries(os, dir, &arena, &stack, err)
                                   : os_fail(err, code, "remove", dir->path);
        if (status != TARN_OK) break;
    }
    tarn_arena_reset(&arena);
    return status;
}

// ---- drafts ----

#define DRAFT_SUFFIX ".tmp"

enum {
    RANDOM_BYTES = 8,
    // With the dot, the random part and the suffix, a name stays below the 255 bytes that file
    // systems allow.
    NAME_BYTES_MAX = 200,
    ATTEMPTS_MAX = 4,
};

struct tarn_draft {
    tarn_os *os;
    tarn_file *file; // NULL once closed
    char path[OS_PATH_MAX];
    char temporary_path[OS_PATH_MAX];
};

bool tarn_draft_is_name(tarn_slice name) {
    size_t suffix_len = sizeof DRAFT_SUFFIX - 1;
    if (name.len <= suffix_len || name.data[0] != '.') return false;
    return tarn_slice_equal(tarn_slice_skip(name, name.len - suffix_len), TARN_LIT(DRAFT_SUFFIX));
}

bool tarn_draft_is_ours(tarn_slice name) {
    size_t tail_len = 1 + 2 * RANDOM_BYTES + sizeof DRAFT_SUFFIX - 1; // ".<random>.tmp"
    if (!tarn_draft_is_name(name) || name.len < tail_len + 2) return false;
    const uint8_t *tail = name.data + name.len - tail_len;
    for (size_t i = 1; i <= 2 * (size_t)RANDOM_BYTES; i++) {
        bool is_hex = (tail[i] >= '0' && tail[i] <= '9') || (tail[i] >= 'a' && tail[i] <= 'f');
        if (!is_hex) return false;
    }
    return tail[0] == '.';
}

tarn_file *tarn_draft_file(const tarn_draft *draft) {
    return draft->file;
}

static void free_draft(tarn_draft *draft) {
    tarn_alloc_free(&tarn_alloc_libc, draft, 1);
}

static tarn_status name_temporary(tarn_draft *draft, tarn_slice path, tarn_error *err) {
    tarn_slice parent = os_path_parent(path);
    tarn_slice name = os_path_name(path);
    if (name.len == 0 || tarn_slice_equal(name, TARN_LIT(".")) ||
        tarn_slice_equal(name, TARN_LIT(".."))) {
        return tarn_fail(err, TARN_INVALID, "'" TARN_SLICE_FMT "' does not name a file",
                         TARN_SLICE_ARG(path));
    }
    if (name.len > NAME_BYTES_MAX) name = tarn_slice_head(name, NAME_BYTES_MAX);
    uint8_t bytes[RANDOM_BYTES];
    tarn_os_random(draft->os, bytes, sizeof bytes);
    bool is_root = parent.len == 1 && parent.data[0] == '/';
    int len = snprintf(draft->temporary_path, OS_PATH_MAX,
                       TARN_SLICE_FMT "%s." TARN_SLICE_FMT ".%016llx" DRAFT_SUFFIX,
                       TARN_SLICE_ARG(parent), is_root ? "" : "/", TARN_SLICE_ARG(name),
                       (unsigned long long)tarn_load_u64(bytes));
    if (len >= OS_PATH_MAX) {
        return tarn_fail(err, TARN_INVALID,
                         "the path '" TARN_SLICE_FMT "' leaves no room for a temporary name",
                         TARN_SLICE_ARG(path));
    }
    return TARN_OK;
}

tarn_status tarn_draft_open(tarn_os *os, tarn_slice path, tarn_draft **ret_draft, tarn_error *err) {
    tarn_draft *draft = tarn_alloc_new(&tarn_alloc_libc, tarn_draft, 1);
    if (draft == NULL) return os_fail(err, ENOMEM, "create", path);
    draft->os = os;
    tarn_status status = os_path_to_cstr(path, draft->path, err);
    if (status != TARN_OK) goto out;
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        status = name_temporary(draft, path, err);
        if (status != TARN_OK) goto out;
        status = tarn_os_open(os, tarn_slice_from_cstr(draft->temporary_path), TARN_OPEN_CREATE,
                              &draft->file, err);
        if (status != TARN_CONFLICT) break;
    }
    // To the caller a conflict would say that `path` exists.
    if (status == TARN_CONFLICT) status = os_fail(err, EEXIST, "create a file beside", path);
    if (status != TARN_OK) goto out;

    *ret_draft = draft; // handed over
    draft = NULL;
out:
    if (draft != NULL) free_draft(draft);
    return status;
}

// Makes the complete, durable, closed temporary file visible as `path`.
static tarn_status publish(tarn_draft *draft, tarn_write_mode mode, tarn_error *err) {
    const os_backend *backend = draft->os->backend;
    tarn_slice path = tarn_slice_from_cstr(draft->path);
    int code = mode == TARN_WRITE_EXCLUSIVE
                   ? backend->link(draft->os, draft->temporary_path, draft->path)
                   : backend->rename(draft->os, draft->temporary_path, draft->path);
    // After a rename there is nothing left to remove; after a link, or a failure, there is. Should
    // the removal fail, a hidden file stays behind, which changes nothing for `path`.
    if (mode == TARN_WRITE_EXCLUSIVE || code != 0) {
        (void)backend->remove(draft->os, draft->temporary_path);
    }
    if (mode == TARN_WRITE_EXCLUSIVE && code == EEXIST) {
        return tarn_fail(err, TARN_CONFLICT, "'%s' exists already", draft->path);
    }
    if (code != 0) return os_fail(err, code, "create", path);
    return tarn_os_sync_dir(draft->os, os_path_parent(path), err);
}

tarn_status tarn_draft_commit(tarn_draft *draft, tarn_write_mode mode, tarn_error *err) {
    tarn_status status = tarn_file_sync(draft->file, err);
    if (status != TARN_OK) {
        tarn_draft_abort(draft);
        return status;
    }
    status = tarn_file_close(draft->file, err);
    draft->file = NULL;
    if (status != TARN_OK) {
        tarn_draft_abort(draft);
        return status;
    }
    status = publish(draft, mode, err);
    free_draft(draft);
    return status;
}

void tarn_draft_abort(tarn_draft *draft) {
    if (draft == NULL) return;
    // Nobody waits for this content: what cannot be closed or removed is a hidden leftover.
    (void)tarn_file_close(draft->file, NULL);
    (void)draft->os->backend->remove(draft->os, draft->temporary_path);
    free_draft(draft);
}

// ---- whole files ----

tarn_status tarn_os_write_file(tarn_os *os, tarn_slice path, tarn_slice bytes, tarn_write_mode mode,
                               tarn_error *err) {
    tarn_draft *draft = NULL;
    TARN_TRY(tarn_draft_open(os, path, &draft, err));
    tarn_assert(draft != NULL);
    tarn_status status = tarn_file_append(draft->file, bytes, err);
    if (status != TARN_OK) {
        tarn_draft_abort(draft);
        return status;
    }
    return tarn_draft_commit(draft, mode, err);
}

tarn_status tarn_os_read_file(tarn_os *os, tarn_slice path, size_t limit_bytes, tarn_arena *arena,
                              tarn_slice *ret_bytes, tarn_error *err) {
    tarn_file *file = NULL;
    TARN_TRY(tarn_os_open(os, path, TARN_OPEN_READ, &file, err));
    uint64_t size_bytes = 0;
    size_t read_bytes = 0;
    uint8_t *bytes = NULL;
    tarn_status status = tarn_file_size(file, &size_bytes, err);
    if (status != TARN_OK) goto out;
    if (size_bytes > limit_bytes) {
        status = tarn_fail(err, TARN_INVALID,
                           "'" TARN_SLICE_FMT "' has %llu bytes, more than the %zu allowed",
                           TARN_SLICE_ARG(path), (unsigned long long)size_bytes, limit_bytes);
        goto out;
    }
    bytes = tarn_arena_new_raw(arena, uint8_t, (size_t)size_bytes);
    if (bytes == NULL) {
        status = os_fail(err, ENOMEM, "read", path);
        goto out;
    }
    status = tarn_file_read_at(file, 0, bytes, (size_t)size_bytes, &read_bytes, err);
    if (status != TARN_OK) goto out;
    if (read_bytes < size_bytes) {
        status = tarn_fail(err, TARN_IO, "'" TARN_SLICE_FMT "' became shorter while it was read",
                           TARN_SLICE_ARG(path));
        goto out;
    }
    *ret_bytes = (tarn_slice){bytes, read_bytes};
out:
    (void)tarn_file_close(file, NULL); // only read: nothing can be lost
    return status;
}
