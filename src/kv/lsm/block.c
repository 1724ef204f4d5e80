#include "kv/lsm/block.h"

#include "base/alloc.h"
#include "base/varint.h"

enum { HEADER_BYTES = 8, WIDE_OFFSETS = 0x8000 };

tarn_status lsm_block_open(tarn_slice payload, lsm_block *ret_block, tarn_error *err) {
    if (payload.len < HEADER_BYTES) {
        return tarn_fail(err, TARN_CORRUPT, "block of %zu bytes has no header", payload.len);
    }
    lsm_block block = {.group_count = tarn_load_u32(payload.data)};
    uint16_t interval = tarn_load_u16(payload.data + 4);
    size_t prefix_len = tarn_load_u16(payload.data + 6);
    block.has_wide_offsets = (interval & WIDE_OFFSETS) != 0;
    block.interval = interval & (WIDE_OFFSETS - 1);
    size_t group_bytes = block.has_wide_offsets ? 8 : 6;
    tarn_slice rest = tarn_slice_skip(payload, HEADER_BYTES);
    if (block.group_count == 0 || block.interval == 0 || prefix_len > rest.len ||
        block.group_count > (rest.len - prefix_len) / group_bytes) {
        return tarn_fail(err, TARN_CORRUPT, "block header does not fit its %zu bytes", payload.len);
    }
    block.prefix = tarn_slice_head(rest, prefix_len);
    block.heads = rest.data + prefix_len;
    block.offsets = block.heads + (size_t)block.group_count * 4;
    block.entries = tarn_slice_skip(rest, prefix_len + block.group_count * group_bytes);
    *ret_block = block;
    return TARN_OK;
}

void lsm_block_cursor_init(lsm_block_cursor *cursor, const tarn_alloc *alloc, lsm_order order) {
    // The inline key is not cleared: point reads make a cursor each.
    cursor->block = (lsm_block){0};
    cursor->order = order;
    cursor->alloc = alloc;
    cursor->is_valid = false;
    cursor->key = cursor->value = (tarn_slice){NULL, 0};
    cursor->trailer = 0;
    cursor->begin = cursor->end = 0;
    cursor->group = 0;
    cursor->key_bytes = cursor->inline_key;
    cursor->key_capacity = LSM_INLINE_KEY_BYTES;
}

void lsm_block_cursor_reset(lsm_block_cursor *cursor) {
    if (cursor->key_bytes != cursor->inline_key) {
        tarn_alloc_free(cursor->alloc, cursor->key_bytes, cursor->key_capacity);
    }
    lsm_block_cursor_init(cursor, cursor->alloc, cursor->order);
}

void lsm_block_cursor_set(lsm_block_cursor *cursor, const lsm_block *block) {
    cursor->block = *block;
    cursor->is_valid = false;
    cursor->begin = cursor->end = 0;
    cursor->group = 0;
}

// ---- decoding ----

static tarn_status fail_at(lsm_block_cursor *cursor, size_t offset, tarn_error *err) {
    cursor->is_valid = false;
    return tarn_fail(err, TARN_CORRUPT, "entry at byte %zu of the block's %zu is damaged", offset,
                     cursor->block.entries.len);
}

static size_t group_offset(const lsm_block *block, uint32_t group) {
    return block->has_wide_offsets ? tarn_load_u32(block->offsets + (size_t)group * 4)
                                   : tarn_load_u16(block->offsets + (size_t)group * 2);
}

typedef struct raw_entry {
    size_t shared; // with the key before, behind the prefix
    tarn_slice rest;
    uint64_t trailer;
    tarn_slice value;
    size_t end;
} raw_entry;

static inline bool decode_length(tarn_slice *input, uint64_t *ret_value) {
    if (input->len > 0 && input->data[0] < 0x80) {
        *ret_value = input->data[0];
        *input = (tarn_slice){input->data + 1, input->len - 1};
        return true;
    }
    return tarn_varint_decode(input, ret_value);
}

static bool decode(const lsm_block *block, size_t begin, raw_entry *ret_entry) {
    if (begin >= block->entries.len) return false;
    tarn_slice rest = tarn_slice_skip(block->entries, begin);
    uint64_t shared = 0;
    uint64_t key_len = 0;
    uint64_t packed = 0;
    uint64_t value_len = 0;
    if (block->interval > 1 && !decode_length(&rest, &shared)) return false;
    if (!decode_length(&rest, &key_len) || !decode_length(&rest, &packed) ||
        !decode_length(&rest, &value_len)) {
        return false;
    }
    if (key_len > rest.len || value_len > rest.len - key_len) return false;
    if (packed >> 2 > LSM_SEQUENCE_MAX || shared > UINT16_MAX) return false;
    *ret_entry = (raw_entry){
        .shared = shared,
        .rest = {rest.data, key_len},
        .trailer = lsm_trailer(packed >> 2, (unsigned)(packed & 3) + 1),
        .value = {rest.data + key_len, value_len},
    };
    ret_entry->end = (size_t)(ret_entry->value.data + value_len - block->entries.data);
    return true;
}

static tarn_status reserve_key(lsm_block_cursor *cursor, size_t len, size_t kept, tarn_error *err) {
    if (len <= cursor->key_capacity) return TARN_OK;
    size_t capacity = len * 2;
    uint8_t *bytes = tarn_alloc_new(cursor->alloc, uint8_t, capacity);
    if (bytes == NULL) {
        cursor->is_valid = false;
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a key of %zu bytes", len);
    }
    if (kept > 0) memcpy(bytes, cursor->key_bytes, kept);
    if (cursor->key_bytes != cursor->inline_key) {
        tarn_alloc_free(cursor->alloc, cursor->key_bytes, cursor->key_capacity);
    }
    cursor->key_bytes = bytes;
    cursor->key_capacity = capacity;
    return TARN_OK;
}

// Stands on the entry at `begin`. Unless it is the first of its group, the cursor stands on the one
// before it.
static tarn_status stand_on(lsm_block_cursor *cursor, size_t begin, uint32_t group, bool is_first,
                            tarn_error *err) {
    raw_entry entry;
    if (!decode(&cursor->block, begin, &entry)) return fail_at(cursor, begin, err);
    size_t prefix_len = cursor->block.prefix.len;
    size_t shared_max = is_first ? 0 : cursor->key.len - prefix_len;
    if (entry.shared > shared_max) return fail_at(cursor, begin, err);
    size_t kept = prefix_len + entry.shared;
    size_t len = kept + entry.rest.len;
    TARN_TRY(reserve_key(cursor, len, is_first ? 0 : kept, err));
    if (is_first && prefix_len > 0) {
        memcpy(cursor->key_bytes, cursor->block.prefix.data, prefix_len);
    }
    if (entry.rest.len > 0) memcpy(cursor->key_bytes + kept, entry.rest.data, entry.rest.len);
    cursor->key = (tarn_slice){cursor->key_bytes, len};
    cursor->trailer = entry.trailer;
    cursor->value = entry.value;
    cursor->begin = begin;
    cursor->end = entry.end;
    cursor->group = group;
    cursor->is_valid = true;
    return TARN_OK;
}

static tarn_status stand_on_group(lsm_block_cursor *cursor, uint32_t group, tarn_error *err) {
    return stand_on(cursor, group_offset(&cursor->block, group), group, true, err);
}

tarn_status lsm_block_next(lsm_block_cursor *cursor, tarn_error *err) {
    tarn_assert(cursor->is_valid);
    size_t begin = cursor->end;
    if (begin >= cursor->block.entries.len) {
        cursor->is_valid = false;
        return TARN_OK;
    }
    uint32_t group = cursor->group + 1;
    bool is_first =
        group < cursor->block.group_count && group_offset(&cursor->block, group) == begin;
    return stand_on(cursor, begin, is_first ? group : cursor->group, is_first, err);
}

tarn_status lsm_block_seek_first(lsm_block_cursor *cursor, tarn_error *err) {
    return stand_on_group(cursor, 0, err);
}

// To the last entry of the group that begins before byte `limit`.
static tarn_status stand_before(lsm_block_cursor *cursor, uint32_t group, size_t limit,
                                tarn_error *err) {
    TARN_TRY(stand_on_group(cursor, group, err));
    while (cursor->end < limit) {
        TARN_TRY(stand_on(cursor, cursor->end, group, false, err));
    }
    return TARN_OK;
}

tarn_status lsm_block_seek_last(lsm_block_cursor *cursor, tarn_error *err) {
    return stand_before(cursor, cursor->block.group_count - 1, cursor->block.entries.len, err);
}

tarn_status lsm_block_prev(lsm_block_cursor *cursor, tarn_error *err) {
    tarn_assert(cursor->is_valid);
    size_t limit = cursor->begin;
    uint32_t group = cursor->group;
    if (limit <= group_offset(&cursor->block, group)) {
        if (group == 0) {
            cursor->is_valid = false;
            return TARN_OK;
        }
        group--;
    }
    return stand_before(cursor, group, limit, err);
}

// ---- searching ----

typedef struct target {
    tarn_slice key;
    tarn_slice rest; // behind the block's prefix
    uint64_t trailer;
    uint32_t head;
} target;

// Whether the first entry of the group is before the target.
static tarn_status group_is_before(const lsm_block_cursor *cursor, uint32_t group, const target *t,
                                   bool *ret_is_before, tarn_error *err) {
    const lsm_block *block = &cursor->block;
    bool has_heads = lsm_order_is_bytewise(cursor->order);
    uint32_t head = tarn_load_u32(block->heads + (size_t)group * 4);
    if (has_heads && head != t->head) {
        *ret_is_before = head < t->head;
        return TARN_OK;
    }
    raw_entry entry;
    size_t begin = group_offset(block, group);
    if (!decode(block, begin, &entry) || entry.shared > 0) {
        return tarn_fail(err, TARN_CORRUPT, "entry at byte %zu of the block's %zu is damaged",
                         begin, block->entries.len);
    }
    // Without heads there is no prefix either.
    *ret_is_before = lsm_compare(cursor->order, entry.rest, entry.trailer, t->rest, t->trailer) < 0;
    return TARN_OK;
}

typedef enum prefix_answer { BEFORE_ALL, INSIDE, BEHIND_ALL } prefix_answer;

static prefix_answer compare_prefix(const lsm_block *block, tarn_slice key) {
    size_t len = block->prefix.len;
    if (len == 0) return INSIDE;
    size_t common = key.len < len ? key.len : len;
    int order = common == 0 ? 0 : memcmp(key.data, block->prefix.data, common);
    if (order == 0) return key.len < len ? BEFORE_ALL : INSIDE;
    return order < 0 ? BEFORE_ALL : BEHIND_ALL;
}

// How many groups begin with an entry before the target.
static tarn_status count_groups_before(lsm_block_cursor *cursor, tarn_slice key, uint64_t trailer,
                                       uint32_t *ret_count, tarn_error *err) {
    const lsm_block *block = &cursor->block;
    cursor->is_valid = false;
    if (!lsm_order_is_bytewise(cursor->order) && block->prefix.len > 0) {
        return tarn_fail(err, TARN_CORRUPT, "block of a family with a comparator has a prefix");
    }
    switch (compare_prefix(block, key)) {
    case BEFORE_ALL: *ret_count = 0; return TARN_OK;
    case BEHIND_ALL: *ret_count = block->group_count; return TARN_OK;
    case INSIDE: break;
    }
    target t = {key, tarn_slice_skip(key, block->prefix.len), trailer, 0};
    t.head = (uint32_t)(lsm_key_head(t.rest, 0) >> 32);
    uint32_t low = 0;
    uint32_t high = block->group_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool is_before = false;
        TARN_TRY(group_is_before(cursor, middle, &t, &is_before, err));
        if (is_before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_count = low;
    return TARN_OK;
}

static bool is_before(const lsm_block_cursor *cursor, tarn_slice key, uint64_t trailer) {
    return lsm_compare(cursor->order, cursor->key, cursor->trailer, key, trailer) < 0;
}

tarn_status lsm_block_seek(lsm_block_cursor *cursor, tarn_slice key, uint64_t trailer,
                           tarn_error *err) {
    uint32_t before = 0;
    TARN_TRY(count_groups_before(cursor, key, trailer, &before, err));
    // With groups of one, the first group that is not before is the answer.
    if (cursor->block.interval == 1 || before == 0) {
        if (before < cursor->block.group_count) return stand_on_group(cursor, before, err);
        cursor->is_valid = false;
        return TARN_OK;
    }
    TARN_TRY(stand_on_group(cursor, before - 1, err));
    while (cursor->is_valid && is_before(cursor, key, trailer)) {
        TARN_TRY(lsm_block_next(cursor, err));
    }
    return TARN_OK;
}

tarn_status lsm_block_seek_before(lsm_block_cursor *cursor, tarn_slice key, uint64_t trailer,
                                  tarn_error *err) {
    TARN_TRY(lsm_block_seek(cursor, key, trailer, err));
    return cursor->is_valid ? lsm_block_prev(cursor, err) : lsm_block_seek_last(cursor, err);
}
