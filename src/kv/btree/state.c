#include "kv/btree/state.h"

#include "base/hash.h"
#include "base/varint.h"

static const uint8_t magic[8] = {'t', 'a', 'r', 'n', '-', 'b', 't', '\n'};

static uint64_t meta_checksum(const uint8_t *page, size_t page_bytes) {
    return tarn_xxh64((tarn_slice){page + BTREE_META_MAGIC, page_bytes - BTREE_META_MAGIC});
}

void btree_meta_encode(const btree_meta *meta, uint8_t *page, size_t page_bytes) {
    memset(page, 0, page_bytes);
    memcpy(page + BTREE_META_MAGIC, magic, sizeof magic);
    tarn_store_u32(page + BTREE_META_FORMAT, BTREE_FORMAT);
    tarn_store_u32(page + BTREE_META_PAGE_BYTES, (uint32_t)page_bytes);
    tarn_store_u64(page + BTREE_META_NUMBER, meta->number);
    tarn_store_u64(page + BTREE_META_VERSION, meta->version);
    tarn_store_u64(page + BTREE_META_SEQUENCE, meta->sequence);
    tarn_store_u32(page + BTREE_META_PAGE_COUNT, meta->page_count);
    tarn_store_u32(page + BTREE_META_STATE_PAGE, meta->state_page);
    tarn_store_u32(page + BTREE_META_STATE_PAGES, meta->state_pages);
    tarn_store_u64(page + BTREE_META_CHECKSUM, meta_checksum(page, page_bytes));
}

bool btree_meta_decode(const uint8_t *page, size_t page_bytes, btree_meta *ret_meta,
                       const char **ret_reason) {
    *ret_reason = "it is not a meta page";
    if (memcmp(page + BTREE_META_MAGIC, magic, sizeof magic) != 0) return false;
    *ret_reason = "its checksum does not fit its bytes";
    if (tarn_load_u64(page + BTREE_META_CHECKSUM) != meta_checksum(page, page_bytes)) return false;
    *ret_reason = "it has another format or page size";
    if (tarn_load_u32(page + BTREE_META_FORMAT) != BTREE_FORMAT) return false;
    if (tarn_load_u32(page + BTREE_META_PAGE_BYTES) != page_bytes) return false;
    btree_meta meta = {
        .number = tarn_load_u64(page + BTREE_META_NUMBER),
        .version = tarn_load_u64(page + BTREE_META_VERSION),
        .sequence = tarn_load_u64(page + BTREE_META_SEQUENCE),
        .page_count = tarn_load_u32(page + BTREE_META_PAGE_COUNT),
        .state_page = tarn_load_u32(page + BTREE_META_STATE_PAGE),
        .state_pages = tarn_load_u32(page + BTREE_META_STATE_PAGES),
    };
    *ret_reason = "its fields contradict each other";
    if (meta.page_count < 2 || meta.version == 0 || meta.version > UINT64_MAX / 2) return false;
    if (meta.state_page == 0
            ? meta.state_pages != 0
            : meta.state_page < 2 || meta.state_pages == 0 || meta.state_page > meta.page_count ||
                  meta.state_pages > meta.page_count - meta.state_page) {
        return false;
    }
    *ret_meta = meta;
    return true;
}

// ---- the run ----

static bool append_varint(tarn_buffer *out, uint64_t value) {
    if (!tarn_buffer_reserve(out, TARN_VARINT_MAX_BYTES)) return false;
    out->len += tarn_varint_encode(out->data + out->len, value);
    return true;
}

static bool append_families(const btree_family_root *families, size_t family_count,
                            tarn_buffer *out) {
    for (size_t i = 0; i < family_count; i++) {
        if (!tarn_buffer_reserve(out, BTREE_STATE_FAMILY_BYTES)) return false;
        uint8_t *at = out->data + out->len;
        const btree_root *root = &families[i].root;
        tarn_store_u32(at, families[i].family_id);
        tarn_store_u32(at + 4, root->page);
        tarn_store_u32(at + 8, root->level);
        tarn_store_u32(at + 12, 0);
        tarn_store_u64(at + 16, root->key_count);
        tarn_store_u64(at + 24, root->page_count);
        tarn_store_u64(at + 32, root->run_pages);
        out->len += BTREE_STATE_FAMILY_BYTES;
    }
    return true;
}

bool btree_state_encode(const btree_family_root *families, size_t family_count,
                        const btree_space *free, tarn_buffer *out) {
    size_t begin = out->len;
    uint8_t header[BTREE_STATE_HEADER_BYTES] = {0};
    if (!tarn_buffer_append(out, (tarn_slice){header, sizeof header})) return false;
    if (!append_families(families, family_count, out)) return false;
    uint32_t extent_count = 0;
    uint32_t end = 0;
    uint32_t page = 0;
    uint32_t count = 0;
    while (btree_space_next(free, end, &page, &count)) {
        if (!append_varint(out, page - end) || !append_varint(out, count)) return false;
        end = page + count;
        extent_count++;
    }
    tarn_store_u32(out->data + begin, (uint32_t)family_count);
    tarn_store_u32(out->data + begin + 4, extent_count);
    return true;
}

static bool is_root_possible(const btree_root *root, const btree_meta *meta) {
    if (root->page == 0) {
        return root->level == 0 && root->key_count == 0 && root->page_count == 0 &&
               root->run_pages == 0;
    }
    return root->page >= 2 && root->page < meta->page_count && root->level < BTREE_LEVELS_MAX &&
           root->page_count <= meta->page_count && root->run_pages <= meta->page_count;
}

static tarn_status decode_families(tarn_slice *rest, uint32_t count, const btree_meta *meta,
                                   tarn_arena *arena, btree_state *ret_state, tarn_error *err) {
    if (count > rest->len / BTREE_STATE_FAMILY_BYTES) {
        return tarn_fail(err, TARN_CORRUPT, "it ends inside the roots of its families");
    }
    btree_family_root *families = tarn_arena_new(arena, btree_family_root, count + 1u);
    if (families == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%u families", count);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = rest->data;
        families[i] = (btree_family_root){
            .family_id = tarn_load_u32(at),
            .root = {.page = tarn_load_u32(at + 4),
                     .level = tarn_load_u32(at + 8),
                     .key_count = tarn_load_u64(at + 16),
                     .page_count = tarn_load_u64(at + 24),
                     .run_pages = tarn_load_u64(at + 32)},
        };
        if (!is_root_possible(&families[i].root, meta) || tarn_load_u32(at + 12) != 0) {
            return tarn_fail(err, TARN_CORRUPT, "the root of family %u is impossible",
                             families[i].family_id);
        }
        *rest = tarn_slice_skip(*rest, BTREE_STATE_FAMILY_BYTES);
    }
    *ret_state = (btree_state){.families = families, .family_count = count};
    return TARN_OK;
}

static tarn_status decode_extents(tarn_slice *rest, uint32_t count, const btree_meta *meta,
                                  btree_space *space, tarn_error *err) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t gap;
        uint64_t len;
        if (!tarn_varint_decode(rest, &gap) || !tarn_varint_decode(rest, &len)) {
            return tarn_fail(err, TARN_CORRUPT, "it ends inside its free extents");
        }
        if (gap > meta->page_count - end || len == 0 || len > meta->page_count - end - gap ||
            end + gap < 2) {
            return tarn_fail(err, TARN_CORRUPT, "free extent %u lies outside the file", i);
        }
        btree_space_give(space, (uint32_t)(end + gap), (uint32_t)len);
        end += gap + len;
    }
    return TARN_OK;
}

tarn_status btree_state_decode(tarn_slice body, const btree_meta *meta, tarn_arena *arena,
                               btree_space *space, btree_state *ret_state, tarn_error *err) {
    if (body.len < BTREE_STATE_HEADER_BYTES) {
        return tarn_fail(err, TARN_CORRUPT, "it is too short");
    }
    tarn_slice rest = tarn_slice_skip(body, BTREE_STATE_HEADER_BYTES);
    btree_state state = {0};
    TARN_TRY(decode_families(&rest, tarn_load_u32(body.data), meta, arena, &state, err));
    TARN_TRY(decode_extents(&rest, tarn_load_u32(body.data + 4), meta, space, err));
    // The run was given its place after the free extents had been written down.
    for (uint32_t i = 0; i < meta->state_pages; i++) {
        if (btree_space_is_free(space, meta->state_page + i)) {
            btree_space_take_at(space, meta->state_page + i, 1);
        }
    }
    *ret_state = state;
    return TARN_OK;
}
