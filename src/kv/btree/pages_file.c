// Pages that lie in the file: where it is mapped, and what is checked before a page is believed.
#include "kv/btree/pages.h"

tarn_status btree_pages_map(btree_pages *pages, tarn_os *os, uint32_t page_count, bool read_only,
                            tarn_error *err) {
    if (pages->map_count == BTREE_MAPS_MAX) {
        return tarn_fail(err, TARN_INVALID,
                         "'" TARN_SLICE_FMT "' grew too often: close and open the store",
                         TARN_SLICE_ARG(pages->path));
    }
    tarn_map *map = &pages->maps[pages->map_count];
    size_t bytes;
    if (__builtin_mul_overflow(pages->page_bytes, (size_t)page_count, &bytes)) {
        return tarn_fail(err, TARN_INVALID, "%u pages do not fit into memory", page_count);
    }
    TARN_TRY(read_only ? tarn_map_open(os, pages->path, map, err)
                       : tarn_map_create(os, pages->path, bytes, map, err));
    if (map->len < bytes) {
        tarn_map_close(map);
        return tarn_fail(err, TARN_CORRUPT,
                         "'" TARN_SLICE_FMT "' has %zu bytes, and %u pages need %zu",
                         TARN_SLICE_ARG(pages->path), map->len, page_count, bytes);
    }
    tarn_map_advise(map, 0, map->len, TARN_MAP_RANDOM);
    pages->map_count++;
    // Release: pairs with the acquire in btree_pages_load.
    atomic_store_explicit(&pages->newest, map, memory_order_release);
    return TARN_OK;
}

static tarn_status fail_page(const btree_pages *pages, uint32_t page, tarn_error *err,
                             const char *reason) {
    return tarn_fail(err, TARN_CORRUPT, "'" TARN_SLICE_FMT "': page %u at offset %llu: %s",
                     TARN_SLICE_ARG(pages->path), page,
                     (unsigned long long)page * pages->page_bytes, reason);
}

tarn_status btree_pages_fail_level(const btree_pages *pages, uint32_t page, tarn_error *err) {
    return fail_page(pages, page, err, "it is not of the level at which the tree has it");
}

static tarn_status check_checksum(const btree_pages *pages, uint32_t page, const uint8_t *bytes,
                                  size_t len, tarn_error *err) {
    uint64_t stored = tarn_load_u64(bytes + BTREE_AT_CHECKSUM);
    uint64_t computed = btree_page_checksum(bytes, len);
    if (stored == computed) return TARN_OK;
    return tarn_fail(err, TARN_CORRUPT,
                     "'" TARN_SLICE_FMT
                     "': page %u at offset %llu: its checksum is %016llx, its bytes give %016llx",
                     TARN_SLICE_ARG(pages->path), page,
                     (unsigned long long)page * pages->page_bytes, (unsigned long long)stored,
                     (unsigned long long)computed);
}

tarn_status btree_pages_check(const btree_pages *pages, uint32_t page, const uint8_t *bytes,
                              size_t available_bytes, tarn_error *err) {
    if (available_bytes < pages->page_bytes) {
        return fail_page(pages, page, err, "it lies behind the end of the file");
    }
    uint8_t kind = bytes[BTREE_AT_KIND];
    uint32_t run_pages = tarn_load_u32(bytes + BTREE_AT_RUN_PAGES);
    // The length of a run is not to be believed before its checksum is; as far as it can be right,
    // the checksum covers it.
    bool is_run = kind == BTREE_VALUE || kind == BTREE_STATE;
    if (run_pages == 0 || run_pages > available_bytes / pages->page_bytes ||
        (!is_run && run_pages != 1)) {
        return fail_page(pages, page, err, "its header is damaged");
    }
    TARN_TRY(check_checksum(pages, page, bytes, pages->page_bytes * run_pages, err));
    if (tarn_load_u32(bytes + BTREE_AT_PAGE) != page) {
        return fail_page(pages, page, err, "it has the number of another page");
    }
    const char *reason = NULL;
    if (!is_run && !btree_page_check(bytes, pages->page_bytes, &reason)) {
        return fail_page(pages, page, err, reason);
    }
    return TARN_OK;
}

tarn_status btree_pages_load(btree_pages *pages, uint32_t page, const uint8_t **ret_bytes,
                             tarn_error *err) {
    // Acquire: pairs with the release in btree_pages_map.
    const tarn_map *map = atomic_load_explicit(&pages->newest, memory_order_acquire);
    btree_place *place = btree_pages_place(pages, page);
    size_t offset;
    if (map == NULL || place == NULL || page < 2 ||
        __builtin_mul_overflow((size_t)page, pages->page_bytes, &offset) || offset >= map->len) {
        return fail_page(pages, page, err, "the tree has no such page");
    }
    uint8_t *bytes = map->data + offset;
    TARN_TRY(btree_pages_check(pages, page, bytes, map->len - offset, err));
    // Two readers may do this at once, with the same bytes, perhaps in two maps. Release: pairs
    // with the acquire in btree_pages_read.
    atomic_store_explicit(place, bytes, memory_order_release);
    *ret_bytes = bytes;
    return TARN_OK;
}

tarn_status btree_pages_read_first(btree_pages *pages, uint32_t page, btree_page_kind kind,
                                   const uint8_t **ret_bytes, tarn_error *err) {
    btree_place *place = btree_pages_place(pages, page);
    const uint8_t *bytes = place == NULL ? NULL : atomic_load_explicit(place, memory_order_acquire);
    if (bytes == NULL) TARN_TRY(btree_pages_load(pages, page, &bytes, err));
    tarn_assert(bytes != NULL);
    if (bytes[BTREE_AT_KIND] != (uint8_t)kind) {
        return fail_page(pages, page, err,
                         "it is of another kind than the page that points to it says");
    }
    *ret_bytes = bytes;
    return TARN_OK;
}

tarn_status btree_pages_read_run(btree_pages *pages, const btree_value *value,
                                 tarn_slice *ret_bytes, tarn_error *err) {
    const uint8_t *bytes = NULL;
    TARN_TRY(btree_pages_read_first(pages, value->run_page, BTREE_VALUE, &bytes, err));
    size_t room =
        pages->page_bytes * tarn_load_u32(bytes + BTREE_AT_RUN_PAGES) - BTREE_HEADER_BYTES;
    if (value->run_bytes > room) {
        return fail_page(pages, value->run_page, err, "it is too short for its value");
    }
    *ret_bytes = (tarn_slice){bytes + BTREE_HEADER_BYTES, (size_t)value->run_bytes};
    return TARN_OK;
}
