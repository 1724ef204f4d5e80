#include "base/alloc.h"
#include "kv/lsm/manifest_format.h"

#define MANIFEST_NAME      "MANIFEST"
#define MANIFEST_BYTES_MAX ((size_t)1 << 30)

// A manifest that has grown to this many times its first length is written anew.
enum { GROWTH = 8, SMALL_BYTES = TARN_TUNABLE(1 << 20, 600) };

struct lsm_manifest {
    lsm *engine;
    tarn_file *file;
    uint64_t offset;      // where the next record goes
    uint64_t first_bytes; // when it was written anew
};

static tarn_status make_path(tarn_slice directory, tarn_arena *arena, tarn_slice *ret_path,
                             tarn_error *err) {
    if (tarn_arena_printf(arena, ret_path, TARN_SLICE_FMT "/" MANIFEST_NAME,
                          TARN_SLICE_ARG(directory))) {
        return TARN_OK;
    }
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
}

tarn_status lsm_manifest_load(lsm *engine, tarn_arena *arena, lsm_edit *ret_state,
                              tarn_error *err) {
    tarn_slice path;
    tarn_slice bytes;
    tarn_file_info info;
    size_t whole_len;
    TARN_TRY(make_path(engine->directory, arena, &path, err));
    TARN_TRY(tarn_os_stat(engine->os, path, &info, err));
    if (!info.exists) {
        *ret_state = (lsm_edit){0};
        return TARN_OK;
    }
    TARN_TRY(tarn_os_read_file(engine->os, path, MANIFEST_BYTES_MAX, arena, &bytes, err));
    tarn_status status = lsm_manifest_replay(bytes, arena, ret_state, &whole_len, err);
    if (status != TARN_OK) tarn_error_prefix(err, MANIFEST_NAME ": ");
    return status;
}

// Writes a whole manifest, atomically. Returns its length.
static tarn_status write_whole(lsm *engine, tarn_slice directory, const lsm_edit *state,
                               uint64_t *ret_len, tarn_error *err) {
    tarn_arena arena;
    tarn_buffer body = {.alloc = engine->alloc};
    tarn_buffer whole = {.alloc = engine->alloc};
    uint8_t header[LSM_MANIFEST_HEADER_BYTES] = {0};
    tarn_slice path;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    tarn_store_u64(header, LSM_MANIFEST_MAGIC);
    tarn_store_u32(header + 8, LSM_MANIFEST_VERSION);
    tarn_status status = make_path(directory, &arena, &path, err);
    if (status == TARN_OK) status = lsm_edit_encode(state, &body, err);
    if (status == TARN_OK && !tarn_buffer_append(&whole, (tarn_slice){header, sizeof header})) {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for the manifest");
    }
    if (status == TARN_OK) {
        status = lsm_manifest_put_record(tarn_buffer_slice(&body), whole.len, &whole, err);
    }
    if (status == TARN_OK) {
        status = tarn_os_write_file(engine->os, path, tarn_buffer_slice(&whole), TARN_WRITE_REPLACE,
                                    err);
    }
    *ret_len = whole.len;
    tarn_buffer_free(&whole);
    tarn_buffer_free(&body);
    tarn_arena_reset(&arena);
    return status;
}

tarn_status lsm_manifest_write(lsm *engine, tarn_slice directory, const lsm_edit *state,
                               tarn_error *err) {
    uint64_t len;
    return write_whole(engine, directory, state, &len, err);
}

// Writes the file anew and opens it for appending.
static tarn_status start(lsm_manifest *manifest, const lsm_edit *state, tarn_error *err) {
    lsm *engine = manifest->engine;
    tarn_arena arena;
    tarn_slice path;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    tarn_status status = make_path(engine->directory, &arena, &path, err);
    if (status == TARN_OK) {
        status = write_whole(engine, engine->directory, state, &manifest->first_bytes, err);
    }
    if (status == TARN_OK) {
        status = tarn_os_open(engine->os, path, TARN_OPEN_APPEND, &manifest->file, err);
    }
    manifest->offset = manifest->first_bytes;
    tarn_arena_reset(&arena);
    return status;
}

tarn_status lsm_manifest_create(lsm *engine, const lsm_edit *state, lsm_manifest **ret_manifest,
                                tarn_error *err) {
    lsm_manifest *manifest = tarn_alloc_new(engine->alloc, lsm_manifest, 1);
    if (manifest == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for the manifest");
    manifest->engine = engine;
    tarn_status status = start(manifest, state, err);
    if (status != TARN_OK) {
        (void)lsm_manifest_close(manifest, NULL); // the failure is reported already
        return status;
    }
    *ret_manifest = manifest;
    return TARN_OK;
}

// Everything so far and the edit, in a file that takes the old one's place.
static tarn_status start_anew(lsm_manifest *manifest, tarn_error *err) {
    tarn_arena arena;
    lsm_edit state;
    tarn_arena_init(&arena, manifest->engine->alloc, SIZE_MAX);
    tarn_status status = lsm_manifest_load(manifest->engine, &arena, &state, err);
    if (status == TARN_OK) {
        tarn_file *old = manifest->file;
        manifest->file = NULL;
        status = tarn_file_close(old, err);
    }
    if (status == TARN_OK) status = start(manifest, &state, err);
    tarn_arena_reset(&arena);
    return status;
}

tarn_status lsm_manifest_append(lsm_manifest *manifest, const lsm_edit *edit, tarn_error *err) {
    tarn_mutex_assert_held(manifest->engine->edit_lock);
    if (manifest->offset > SMALL_BYTES && manifest->offset / GROWTH > manifest->first_bytes) {
        TARN_TRY(start_anew(manifest, err));
    }
    tarn_buffer body = {.alloc = manifest->engine->alloc};
    tarn_buffer record = {.alloc = manifest->engine->alloc};
    tarn_status status = lsm_edit_encode(edit, &body, err);
    if (status == TARN_OK) {
        status = lsm_manifest_put_record(tarn_buffer_slice(&body), manifest->offset, &record, err);
    }
    if (status == TARN_OK) {
        status = tarn_file_append(manifest->file, tarn_buffer_slice(&record), err);
    }
    if (status == TARN_OK) status = tarn_file_sync(manifest->file, err);
    if (status == TARN_OK) manifest->offset += record.len;
    tarn_buffer_free(&record);
    tarn_buffer_free(&body);
    return status;
}

tarn_status lsm_manifest_close(lsm_manifest *manifest, tarn_error *err) {
    if (manifest == NULL) return TARN_OK;
    tarn_status status = manifest->file == NULL ? TARN_OK : tarn_file_close(manifest->file, err);
    tarn_alloc_free(manifest->engine->alloc, manifest, 1);
    return status;
}
