// Files in memory: what is the same for the real system and the simulated one.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "os/backend.h"

// Behind tarn_map.handle.
typedef struct map_state {
    os_mapped mapped;
    size_t path_len;
    uint8_t path[]; // for messages
} map_state;

static map_state *state_of(const tarn_map *map) {
    return (map_state *)map->handle; // NOLINT(performance-no-int-to-ptr): it was a pointer before
}

static void free_state(map_state *state) {
    tarn_alloc_release(&tarn_alloc_libc, state, 1, sizeof *state + state->path_len);
}

static tarn_status map_file(tarn_os *os, tarn_slice path, bool is_writable, size_t len,
                            tarn_map *ret_map, tarn_error *err) {
    char text[OS_PATH_MAX];
    TARN_TRY(os_path_to_cstr(path, text, err));
    map_state *state = tarn_alloc_zeroed(&tarn_alloc_libc, 1, sizeof *state + path.len);
    if (state == NULL) return os_fail(err, ENOMEM, "map", path);
    state->path_len = path.len;
    memcpy(state->path, path.data, path.len);

    int code = os->backend->map(os, text, is_writable, len, &state->mapped);
    if (code != 0) {
        free_state(state);
        return os_fail(err, code, "map", path);
    }
    *ret_map = (tarn_map){
        .data = state->mapped.data,
        .len = state->mapped.len,
        .os = os,
        .handle = (intptr_t)state,
        .is_reported = is_writable && os->backend->map_wrote != NULL,
        .is_writable = is_writable,
    };
    return TARN_OK;
}

tarn_status tarn_map_open(tarn_os *os, tarn_slice path, tarn_map *ret_map, tarn_error *err) {
    return map_file(os, path, false, 0, ret_map, err);
}

tarn_status tarn_map_create(tarn_os *os, tarn_slice path, size_t len, tarn_map *ret_map,
                            tarn_error *err) {
    tarn_assert(len > 0);
    return map_file(os, path, true, len, ret_map, err);
}

static bool is_inside(const tarn_map *map, size_t offset, size_t len) {
    return offset <= map->len && len <= map->len - offset;
}

void os_map_wrote(tarn_map *map, size_t offset, size_t len) {
    tarn_assert(map->is_writable);
    tarn_assert(is_inside(map, offset, len));
    if (len > 0) map->os->backend->map_wrote(map->os, &state_of(map)->mapped, offset, len);
}

tarn_status tarn_map_sync(tarn_map *map, size_t offset, size_t len, tarn_error *err) {
    tarn_assert(map->is_writable);
    tarn_assert(is_inside(map, offset, len));
    const map_state *state = state_of(map);
    tarn_slice path = {state->path, state->path_len};
    if (map->has_failed) {
        return tarn_fail(err, TARN_IO,
                         "cannot sync '" TARN_SLICE_FMT "': an earlier sync of it failed",
                         TARN_SLICE_ARG(path));
    }
    if (len == 0) { // the size alone
        offset = 0;
        len = 1;
    }
    int code = map->os->backend->map_sync(map->os, &state->mapped, offset, len);
    if (code == 0) return TARN_OK;
    map->has_failed = true;
    return os_fail(err, code, "sync", path);
}

void tarn_map_advise(const tarn_map *map, size_t offset, size_t len, tarn_map_advice advice) {
    tarn_assert(is_inside(map, offset, len));
    if (len == 0) return;
    map->os->backend->map_advise(map->os, &state_of(map)->mapped, offset, len, advice);
}

void tarn_map_close(tarn_map *map) {
    if (map == NULL || map->os == NULL) return;
    map_state *state = state_of(map);
    map->os->backend->unmap(map->os, &state->mapped);
    free_state(state);
    *map = (tarn_map){0};
}
