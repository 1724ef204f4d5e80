#include "io/io.h"

#include <string.h>

#include "base/alloc.h"

// Small appends are gathered until a system call is worth it.
#define WRITER_BYTES TARN_TUNABLE((size_t)256 << 10, (size_t)64)

enum { PATH_BYTES_MAX = 4096 };

struct tarn_store {
    tarn_os *os;
    const tarn_alloc *alloc;
    tarn_mutex *lock;
    tarn_cond *turn_ended;
    bool is_making_directory; // guarded by lock
    size_t root_len;
    uint8_t root[];
};

// Bytes either in a file or in memory.
struct tarn_object {
    const tarn_alloc *alloc;
    tarn_file *file; // NULL: in memory
    const uint8_t *bytes;
    uint64_t size_bytes;
    size_t name_len;
    uint8_t name[];
};

struct tarn_store_writer {
    const tarn_alloc *alloc;
    tarn_draft *draft;
    uint64_t position; // appended so far, `pending` included
    size_t pending_len;
    bool failed; // some bytes are missing: never to be finished
    uint8_t pending[WRITER_BYTES];
};

// The path of an object as the operating system sees it.
typedef struct full_path {
    tarn_slice text; // views bytes
    uint8_t bytes[PATH_BYTES_MAX];
} full_path;

// ---- the store ----

tarn_status tarn_store_open_local(tarn_os *os, const tarn_alloc *alloc, tarn_slice root,
                                  tarn_store **ret_store, tarn_error *err) {
    while (root.len > 1 && root.data[root.len - 1] == '/') root.len--;
    TARN_TRY(tarn_os_make_dirs(os, root, err));
    tarn_store *store = tarn_alloc_zeroed(alloc, 1, sizeof *store + root.len);
    if (store == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a store");
    *store = (tarn_store){.os = os, .alloc = alloc, .root_len = root.len};
    memcpy(store->root, root.data, root.len);

    tarn_status status = tarn_mutex_new(TARN_LOCK_OS, &store->lock, err);
    if (status != TARN_OK) goto out;
    status = tarn_cond_new(&store->turn_ended, err);
    if (status != TARN_OK) goto out;

    *ret_store = store; // handed over
    store = NULL;
out:
    tarn_store_close(store);
    return status;
}

void tarn_store_close(tarn_store *store) {
    if (store == NULL) return;
    tarn_cond_free(store->turn_ended);
    tarn_mutex_free(store->lock);
    tarn_alloc_release(store->alloc, store, 1, sizeof *store + store->root_len);
}

tarn_os *tarn_store_os(tarn_store *store) {
    return store->os;
}

tarn_slice tarn_store_root(const tarn_store *store) {
    return (tarn_slice){store->root, store->root_len};
}

// ---- paths ----

static bool is_good_part(tarn_slice part) {
    return part.len > 0 && !tarn_slice_equal(part, TARN_LIT(".")) &&
           !tarn_slice_equal(part, TARN_LIT(".."));
}

// A path that leaves the root, or has two spellings, is a mistake or an attack.
static bool is_good_path(tarn_slice path) {
    for (;;) {
        const uint8_t *slash = path.len == 0 ? NULL : memchr(path.data, '/', path.len);
        size_t part_len = slash == NULL ? path.len : (size_t)(slash - path.data);
        if (!is_good_part(tarn_slice_head(path, part_len))) return false;
        if (slash == NULL) return true;
        path = tarn_slice_skip(path, part_len + 1);
    }
}

static tarn_status locate(const tarn_store *store, tarn_slice path, full_path *ret_path,
                          tarn_error *err) {
    if (!is_good_path(path)) {
        return tarn_fail(err, TARN_INVALID, "'" TARN_SLICE_FMT "' is not the path of an object",
                         TARN_SLICE_ARG(path));
    }
    bool needs_slash = store->root[store->root_len - 1] != '/';
    size_t begin = store->root_len + needs_slash;
    if (path.len > PATH_BYTES_MAX || begin > PATH_BYTES_MAX - path.len) {
        return tarn_fail(err, TARN_INVALID, "the path '" TARN_SLICE_FMT "' is too long",
                         TARN_SLICE_ARG(path));
    }
    memcpy(ret_path->bytes, store->root, store->root_len);
    ret_path->bytes[begin - 1] = '/';
    memcpy(ret_path->bytes + begin, path.data, path.len);
    ret_path->text = (tarn_slice){ret_path->bytes, begin + path.len};
    return TARN_OK;
}

static tarn_slice parent_of(const full_path *path) {
    tarn_slice parent = path->text;
    while (parent.len > 1 && parent.data[parent.len - 1] != '/') parent.len--;
    return parent.len > 1 ? tarn_slice_head(parent, parent.len - 1) : parent;
}

// Makes the directory that will hold `path`. One thread at a time: whoever finds a directory must
// be able to trust that its name is durable. The disk is not waited for under the lock.
static tarn_status make_parent(tarn_store *store, const full_path *path, tarn_error *err) {
    tarn_mutex_lock(store->lock);
    while (store->is_making_directory) tarn_cond_wait(store->turn_ended, store->lock);
    store->is_making_directory = true;
    tarn_mutex_unlock(store->lock);

    tarn_status status = tarn_os_make_dirs(store->os, parent_of(path), err);

    tarn_mutex_lock(store->lock);
    store->is_making_directory = false;
    tarn_cond_signal(store->turn_ended);
    tarn_mutex_unlock(store->lock);
    return status;
}

// ---- reading ----

static tarn_object *new_object(const tarn_alloc *alloc, tarn_slice name) {
    tarn_object *object = tarn_alloc_zeroed(alloc, 1, sizeof *object + name.len);
    if (object == NULL) return NULL;
    *object = (tarn_object){.alloc = alloc, .name_len = name.len};
    if (name.len > 0) memcpy(object->name, name.data, name.len);
    return object;
}

tarn_status tarn_store_open(tarn_store *store, tarn_slice path, tarn_object **ret_object,
                            tarn_error *err) {
    full_path full;
    TARN_TRY(locate(store, path, &full, err));
    tarn_object *object = new_object(store->alloc, path);
    if (object == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for an object");
    tarn_status status = tarn_os_open(store->os, full.text, TARN_OPEN_READ, &object->file, err);
    if (status != TARN_OK) goto out;
    status = tarn_file_size(object->file, &object->size_bytes, err);
    if (status != TARN_OK) goto out;

    *ret_object = object; // handed over
    object = NULL;
out:
    tarn_object_close(object);
    return status;
}

tarn_status tarn_object_from_bytes(const tarn_alloc *alloc, tarn_slice name, tarn_slice bytes,
                                   tarn_object **ret_object, tarn_error *err) {
    tarn_object *object = new_object(alloc, name);
    if (object == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for an object");
    object->bytes = bytes.data;
    object->size_bytes = bytes.len;
    *ret_object = object;
    return TARN_OK;
}

uint64_t tarn_object_size(const tarn_object *object) {
    return object->size_bytes;
}

tarn_slice tarn_object_name(const tarn_object *object) {
    return (tarn_slice){object->name, object->name_len};
}

tarn_status tarn_object_read(tarn_object *object, uint64_t offset, uint8_t *bytes, size_t len,
                             tarn_error *err) {
    if (offset > object->size_bytes || len > object->size_bytes - offset) {
        return tarn_fail(err, TARN_CORRUPT,
                         "'" TARN_SLICE_FMT "' has %llu bytes, %zu at offset %llu are beyond them",
                         TARN_SLICE_ARG(tarn_object_name(object)),
                         (unsigned long long)object->size_bytes, len, (unsigned long long)offset);
    }
    if (len == 0) return TARN_OK;
    if (object->file == NULL) {
        memcpy(bytes, object->bytes + offset, len);
        return TARN_OK;
    }
    size_t read_len = 0;
    TARN_TRY(tarn_file_read_at(object->file, offset, bytes, len, &read_len, err));
    if (read_len == len) return TARN_OK;
    return tarn_fail(err, TARN_CORRUPT, "'" TARN_SLICE_FMT "' became shorter while it was read",
                     TARN_SLICE_ARG(tarn_object_name(object)));
}

void tarn_object_close(tarn_object *object) {
    if (object == NULL) return;
    (void)tarn_file_close(object->file, NULL); // only read: nothing can be lost
    tarn_alloc_release(object->alloc, object, 1, sizeof *object + object->name_len);
}

// ---- writing ----

tarn_status tarn_store_create(tarn_store *store, tarn_slice path, tarn_store_writer **ret_writer,
                              tarn_error *err) {
    full_path full;
    TARN_TRY(locate(store, path, &full, err));
    TARN_TRY(make_parent(store, &full, err));
    tarn_store_writer *writer = store->alloc->acquire(store->alloc->context, sizeof *writer);
    if (writer == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a writer");
    writer->alloc = store->alloc; // `pending` needs no zeros
    writer->position = 0;
    writer->pending_len = 0;
    writer->failed = false;
    tarn_status status = tarn_draft_open(store->os, full.text, &writer->draft, err);
    if (status != TARN_OK) {
        tarn_alloc_free(store->alloc, writer, 1);
        return status;
    }
    *ret_writer = writer;
    return TARN_OK;
}

static tarn_status write_out(tarn_store_writer *writer, tarn_slice bytes, tarn_error *err) {
    tarn_status status = tarn_file_append(tarn_draft_file(writer->draft), bytes, err);
    writer->failed = status != TARN_OK;
    return status;
}

static tarn_status flush(tarn_store_writer *writer, tarn_error *err) {
    tarn_slice pending = {writer->pending, writer->pending_len};
    writer->pending_len = 0;
    return write_out(writer, pending, err);
}

tarn_status tarn_store_writer_append(tarn_store_writer *writer, tarn_slice bytes, tarn_error *err) {
    if (writer->failed) {
        return tarn_fail(err, TARN_IO, "an earlier append to this object failed");
    }
    writer->position += bytes.len;
    if (bytes.len > WRITER_BYTES - writer->pending_len) TARN_TRY(flush(writer, err));
    if (bytes.len >= WRITER_BYTES) return write_out(writer, bytes, err);
    if (bytes.len > 0) memcpy(writer->pending + writer->pending_len, bytes.data, bytes.len);
    writer->pending_len += bytes.len;
    return TARN_OK;
}

uint64_t tarn_store_writer_position(const tarn_store_writer *writer) {
    return writer->position;
}

tarn_status tarn_store_writer_finish(tarn_store_writer *writer, tarn_error *err) {
    tarn_status status = TARN_OK;
    if (writer->failed) {
        status = tarn_fail(err, TARN_IO, "an earlier append to this object failed");
    } else {
        status = flush(writer, err);
    }
    if (status != TARN_OK) {
        tarn_store_writer_abort(writer);
        return status;
    }
    tarn_draft *draft = writer->draft;
    tarn_alloc_free(writer->alloc, writer, 1);
    return tarn_draft_commit(draft, TARN_WRITE_EXCLUSIVE, err);
}

void tarn_store_writer_abort(tarn_store_writer *writer) {
    if (writer == NULL) return;
    tarn_draft_abort(writer->draft);
    tarn_alloc_free(writer->alloc, writer, 1);
}

// ---- small objects and names ----

tarn_status tarn_store_put(tarn_store *store, tarn_slice path, tarn_slice bytes,
                           tarn_write_mode mode, tarn_error *err) {
    full_path full;
    TARN_TRY(locate(store, path, &full, err));
    TARN_TRY(make_parent(store, &full, err));
    return tarn_os_write_file(store->os, full.text, bytes, mode, err);
}

tarn_status tarn_store_get(tarn_store *store, tarn_slice path, size_t limit_bytes,
                           tarn_arena *arena, tarn_slice *ret_bytes, tarn_error *err) {
    full_path full;
    TARN_TRY(locate(store, path, &full, err));
    return tarn_os_read_file(store->os, full.text, limit_bytes, arena, ret_bytes, err);
}

tarn_status tarn_store_stat(tarn_store *store, tarn_slice path, tarn_file_info *ret_info,
                            tarn_error *err) {
    full_path full;
    TARN_TRY(locate(store, path, &full, err));
    return tarn_os_stat(store->os, full.text, ret_info, err);
}

tarn_status tarn_store_list(tarn_store *store, tarn_slice prefix, tarn_arena *arena,
                            tarn_slice **ret_names, size_t *ret_count, tarn_error *err) {
    full_path full = {.text = tarn_store_root(store)};
    if (prefix.len > 0) TARN_TRY(locate(store, prefix, &full, err));
    tarn_slice *names = NULL;
    size_t count = 0;
    TARN_TRY(tarn_os_list(store->os, full.text, arena, &names, &count, err));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!tarn_draft_is_name(names[i])) names[kept++] = names[i];
    }
    *ret_names = names;
    *ret_count = kept;
    return TARN_OK;
}

tarn_status tarn_store_sync_names(tarn_store *store, tarn_slice prefix, tarn_error *err) {
    full_path full = {.text = tarn_store_root(store)};
    if (prefix.len > 0) TARN_TRY(locate(store, prefix, &full, err));
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(store->os, full.text, &info, err));
    return info.is_directory ? tarn_os_sync_dir(store->os, full.text, err) : TARN_OK;
}

static tarn_status remove_drafts(tarn_store *store, tarn_slice directory, tarn_arena *scratch,
                                 uint64_t *ret_removed, tarn_error *err) {
    tarn_slice *names = NULL;
    size_t count = 0;
    uint64_t removed = 0;
    TARN_TRY(tarn_os_list(store->os, directory, scratch, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        // Other writers of the format (Flink, Spark) may be at work.
        if (!tarn_draft_is_ours(names[i])) continue;
        tarn_slice path;
        if (!tarn_arena_printf(scratch, &path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                               TARN_SLICE_ARG(directory), TARN_SLICE_ARG(names[i]))) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
        }
        TARN_TRY(tarn_os_remove(store->os, path, err));
        removed++;
    }
    *ret_removed = removed;
    return TARN_OK;
}

tarn_status tarn_store_remove_unfinished(tarn_store *store, tarn_slice prefix,
                                         uint64_t *ret_removed, tarn_error *err) {
    full_path full = {.text = tarn_store_root(store)};
    if (prefix.len > 0) TARN_TRY(locate(store, prefix, &full, err));
    tarn_arena scratch;
    tarn_arena_init(&scratch, store->alloc, SIZE_MAX);
    tarn_status status = remove_drafts(store, full.text, &scratch, ret_removed, err);
    tarn_arena_reset(&scratch);
    return status;
}

tarn_status tarn_store_remove(tarn_store *store, tarn_slice path, tarn_error *err) {
    full_path full;
    TARN_TRY(locate(store, path, &full, err));
    return tarn_os_remove(store->os, full.text, err);
}

tarn_status tarn_store_remove_tree(tarn_store *store, tarn_slice path, tarn_error *err) {
    full_path full;
    TARN_TRY(locate(store, path, &full, err));
    TARN_TRY(tarn_os_remove_tree(store->os, full.text, err));
    // Without its parent there was nothing to remove, and there is nothing to sync.
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(store->os, parent_of(&full), &info, err));
    return info.exists ? tarn_os_sync_dir(store->os, parent_of(&full), err) : TARN_OK;
}
