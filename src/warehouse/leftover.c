// What a crash leaves of files that were being written: hidden drafts that nobody will finish. They
// take room and nothing else, so that a failure to find or remove them is no failure to open.
#include "warehouse/internal.h"

// Partitions are directories below directories; no deeper than this.
#define DEPTH_MAX 66

typedef struct sweep {
    tarn_store *store;
    tarn_arena *arena;
} sweep;

static void remove_drafts(sweep *s, tarn_slice directory) {
    uint64_t removed = 0;
    tarn_status ignored = tarn_store_remove_unfinished(s->store, directory, &removed, NULL);
    (void)ignored; // see above
}

static bool is_bucket(tarn_slice name) {
    return tarn_slice_starts_with(name, TARN_LIT("bucket-"));
}

static bool is_partition(tarn_slice name) {
    return memchr(name.data, '=', name.len) != NULL;
}

// Directories are told by their names: files of data are many, and are not asked one by one.
static bool may_hold_files(tarn_slice name) {
    static const char *const names[] = {"schema", "snapshot", "manifest", "index", "statistics"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(names[i]))) return true;
    }
    return is_bucket(name) || is_partition(name);
}

static void sweep_table(sweep *s, tarn_slice directory, int depth) {
    tarn_slice *names = NULL;
    size_t count = 0;
    if (depth > DEPTH_MAX) return;
    if (tarn_store_list(s->store, directory, s->arena, &names, &count, NULL) != TARN_OK) return;
    for (size_t i = 0; i < count; i++) {
        tarn_slice path;
        if (!may_hold_files(names[i])) continue;
        if (!tarn_arena_printf(s->arena, &path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                               TARN_SLICE_ARG(directory), TARN_SLICE_ARG(names[i]))) {
            return;
        }
        if (is_partition(names[i])) {
            sweep_table(s, path, depth + 1);
        } else {
            remove_drafts(s, path);
        }
    }
}

void wh_sweep_leftovers(tarn_warehouse *warehouse) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    sweep s = {.store = warehouse->store, .arena = &arena};
    tarn_slice *names = NULL;
    size_t count = 0;
    remove_drafts(&s, TARN_LIT("tarn"));
    remove_drafts(&s, TARN_LIT("tarn/checkpoint"));
    tarn_status status =
        tarn_store_list(warehouse->store, TARN_LIT("public.db"), &arena, &names, &count, NULL);
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        tarn_slice path;
        status = wh_table_path(names[i], &arena, &path, NULL);
        if (status == TARN_OK) sweep_table(&s, path, 0);
    }
    tarn_arena_reset(&arena);
}
